package rotation

import (
	"context"
	"errors"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// Engine speaks to one kind of server. Each call uses a connection of its own and honours its context's deadline. Errors wrap this
// package's causes.
type Engine interface {
	// Login proves that the server accepts this user's password. A server that asks for none proves nothing: ErrInvalid.
	Login(ctx context.Context, c *Credential) error
	// SetPassword makes the server accept to's password for its user, who acts itself with the password of as. Where the engine lets
	// a user have two passwords, as's stays good.
	SetPassword(ctx context.Context, as, to *Credential) error
	// EnsureUser makes the server accept to's password for its user, which it makes if there is none: with the rights of the user
	// like, if that is not empty. It acts as admin, and refuses (ErrPermission) to change users with more rights than an
	// application needs.
	EnsureUser(ctx context.Context, admin, to *Credential, like string) error
	// MaximumUsername is the length of a user's name in bytes.
	MaximumUsername() int
}

// Database rotates the password of a user of a server.
type Database struct {
	Engine   Engine
	Strategy Strategy
	// NewPassword makes a password.
	NewPassword func() (secretbytes.Bytes, error)
}

// Stored is what is stored of a secret at a step. Only Pending is always there. Admin is a user that may make users and change others'
// passwords, nil if none is configured.
type Stored struct {
	Pending, Current, Previous, Admin *Credential
}

// Create derives the next value from the current one (createSecret). The caller wipes it.
func (d *Database) Create(current *Credential) (secretbytes.Bytes, error) {
	username := current.Username
	if d.Strategy == AlternatingUsers {
		var err error
		if username, err = alternate(username, d.Engine.MaximumUsername()); err != nil {
			return secretbytes.Bytes{}, err
		}
	}
	password, err := d.NewPassword()
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	defer password.Wipe()
	return current.With(username, password)
}

// Set makes the server accept the pending version (setSecret). healed tells that none of the stored versions logged in and that the
// admin set the password, which happens after the database or the cluster's own store was restored from a backup.
//
// It may be repeated: it first asks whether the pending version logs in. The user and server of the pending version are those of the
// current one, or for alternating users its other; anything else is ErrInvalid, for a version that somebody put must not turn the
// admin, or a password, to another server.
func (d *Database) Set(ctx context.Context, s *Stored) (healed bool, err error) {
	if err := d.check(s); err != nil {
		return false, err
	}
	err = d.Engine.Login(ctx, s.Pending)
	if err == nil || !errors.Is(err, ErrRefused) {
		return false, err
	}
	if s.Current == nil || d.Strategy == AlternatingUsers {
		return false, d.asAdmin(ctx, s)
	}
	return d.asUser(ctx, s)
}

// asUser has the user change its own password by whichever stored version logs in. Failing that the admin sets it.
func (d *Database) asUser(ctx context.Context, s *Stored) (healed bool, err error) {
	for _, as := range []*Credential{s.Current, s.Previous} {
		if as == nil || as.Username != s.Pending.Username || !as.SameServer(s.Pending) {
			continue
		}
		err := d.Engine.Login(ctx, as)
		if err == nil {
			return false, d.Engine.SetPassword(ctx, as, s.Pending)
		}
		if !errors.Is(err, ErrRefused) {
			return false, err
		}
	}
	if s.Admin == nil {
		return false, Because(ErrDrift, "neither the pending nor the current nor the previous version of user %s is accepted by %s: "+
			"set adminSecretRef to have it healed, or put the password that is in force with PutSecretValue", s.Pending.Username, s.Pending.Host)
	}
	return true, d.asAdmin(ctx, s)
}

func (d *Database) asAdmin(ctx context.Context, s *Stored) error {
	if s.Admin == nil {
		return Because(ErrInvalid, "user %s can be set by an admin alone: set adminSecretRef", s.Pending.Username)
	}
	like := ""
	if base := baseOf(s.Pending.Username); d.Strategy == AlternatingUsers && base != s.Pending.Username {
		like = base
	}
	return d.Engine.EnsureUser(ctx, s.Admin, s.Pending, like)
}

// Test logs in with the pending version (testSecret).
func (d *Database) Test(ctx context.Context, s *Stored) error {
	if err := d.check(s); err != nil {
		return err
	}
	return d.Engine.Login(ctx, s.Pending)
}

// check says whether the pending version is one that this rotation may bring in.
func (d *Database) check(s *Stored) error {
	if s.Admin != nil && !s.Admin.SameServer(s.Pending) {
		return Because(ErrInvalid, "the admin's secret is of the server %s, and this one of %s: both name the same host and port",
			server(s.Admin), server(s.Pending))
	}
	if s.Admin != nil && s.Admin.Username == s.Pending.Username {
		return Because(ErrInvalid, "the admin and the user are both %s: rotate an admin with strategy SingleUser and without adminSecretRef", s.Pending.Username)
	}
	if s.Current == nil {
		return nil
	}
	if !s.Current.SameServer(s.Pending) {
		return Because(ErrInvalid, "the pending version is of the server %s, and the current one of %s: put the new server's values as the current version instead",
			server(s.Pending), server(s.Current))
	}
	same := s.Current.Username == s.Pending.Username
	if d.Strategy == AlternatingUsers {
		same = baseOf(s.Current.Username) == baseOf(s.Pending.Username)
	}
	if !same {
		return Because(ErrInvalid, "the pending version is of user %s, and the current one of %s", s.Pending.Username, s.Current.Username)
	}
	return nil
}
