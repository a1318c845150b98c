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
	// SetPassword makes the server accept to's password for its user, whose password in as is good: the user acts itself. Only an
	// engine in which that takes rights that no application has acts as admin, if that is not nil. Where the engine lets a user have
	// several passwords, as's stays good, and others do not.
	SetPassword(ctx context.Context, as, to, admin *Credential) error
	// EnsureUser makes the server accept to's password, and no other, for its user, which it makes if there is none: with the rights
	// of the user like, if that is not empty. It acts as admin, and refuses (ErrPermission) to change users with more rights than an
	// application needs. to logs in once all of it is done, and not before.
	EnsureUser(ctx context.Context, admin, to *Credential, like string) error
	// MaximumUsername is the length of a user's name in bytes.
	MaximumUsername() int
}

// Persister is an Engine whose servers keep users in memory, and write them to a file when they are told to.
type Persister interface {
	// Persist has the server write its users, so that its next start knows them. It is false if the server has no file for them. It
	// acts as a user that may do so: ErrPermission if this one may not.
	Persist(ctx context.Context, as *Credential) (bool, error)
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

// Outcome is what a setSecret that succeeded has to tell.
type Outcome struct {
	// Healed says that none of the stored versions logged in and that the admin set the password, which happens after the database or
	// the cluster's own store was restored from a backup.
	Healed bool
	// Volatile says that the server has the password in memory alone, and no file for it: its next start has another one.
	Volatile bool
}

// Set makes the server accept the pending version (setSecret).
//
// It may be repeated: it first asks whether the pending version logs in. The user and server of the pending version are those of the
// current one, or for alternating users its other; anything else is ErrInvalid, for a version that somebody put must not turn the
// admin, or a password, to another server.
func (d *Database) Set(ctx context.Context, s *Stored) (out Outcome, err error) {
	if err := d.check(s); err != nil {
		return out, err
	}
	if out.Healed, err = d.set(ctx, s); err != nil {
		return out, err
	}
	// Also when an earlier attempt has set it: the server may have it in memory alone.
	out.Volatile, err = d.persist(ctx, s)
	return out, err
}

func (d *Database) set(ctx context.Context, s *Stored) (healed bool, err error) {
	err = d.Engine.Login(ctx, s.Pending)
	if err == nil || !errors.Is(err, ErrRefused) {
		return false, err
	}
	if s.Current == nil || d.Strategy == AlternatingUsers {
		return false, d.asAdmin(ctx, s)
	}
	return d.asUser(ctx, s)
}

func (d *Database) persist(ctx context.Context, s *Stored) (volatile bool, err error) {
	server, ok := d.Engine.(Persister)
	if !ok {
		return false, nil
	}
	as := s.Admin
	if as == nil {
		as = s.Pending
	}
	kept, err := server.Persist(ctx, as)
	return !kept && err == nil, err
}

// asUser has the user change its own password by whichever stored version logs in. Failing that the admin sets it.
func (d *Database) asUser(ctx context.Context, s *Stored) (healed bool, err error) {
	for _, as := range []*Credential{s.Current, s.Previous} {
		if as == nil || as.Username != s.Pending.Username || !as.SameServer(s.Pending) {
			continue
		}
		err := d.Engine.Login(ctx, as)
		if err == nil {
			return false, d.Engine.SetPassword(ctx, as, s.Pending, s.Admin)
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
