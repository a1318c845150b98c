package rotation

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// Engine speaks to one kind of server. Each call uses a connection of its own and honours its context's deadline. Errors wrap this
// package's causes.
type Engine interface {
	// Login proves that the server accepts this user's password. A server that asks for none proves nothing: ErrInvalid.
	Login(ctx context.Context, c *Credential) error
	// SetPassword makes the server accept to's password for its user, whose password in as is good: the user acts itself. Only an
	// engine in which that takes rights that no application has acts as admin, if that is not nil. Where the engine lets a user have
	// several passwords, as's stays good, and others do not. What fails as the admin says so (AsAdmin).
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

// Scoped is an Engine whose users belong to a database each: the same name in another one is another user.
type Scoped interface {
	// Scope is the database that a credential's user belongs to.
	Scope(c *Credential) string
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
	// Own tells that the user is this secret's whether or not a version logs in: whoever declares the secret names it, or it has logged in before. Without it the admin acts
	// for nobody whom no stored version proves: whoever may put a value may name any user in it.
	Own bool
	// Outdated tells that there is no current version, and that the pending one is not as whoever declares the secret has it by now.
	Outdated bool
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
		if s.Outdated {
			err = outdated
		}
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
	err = d.login(ctx, s.Pending, pendingVersion)
	if err == nil || !errors.Is(err, ErrRefused) {
		return false, err
	}
	switch {
	case s.Outdated: // and no server has it: after the loss of an index it could be the one in force
		return false, outdated
	case s.Current == nil:
		return false, d.asAdmin(ctx, s)
	case d.Strategy == AlternatingUsers && s.Current.Username == s.Pending.Username:
		// The other user is to be set, so that the one in force stays good until the pending version is.
		return false, Because(errInForce, "the pending version is of user %s, which is in force: with strategy AlternatingUsers it is of the other one", s.Pending.Username)
	case bars(err):
		return false, err
	case d.Strategy != AlternatingUsers:
		return d.asUser(ctx, s)
	}
	if err := d.prove(ctx, s); err != nil {
		return false, err
	}
	return false, d.asAdmin(ctx, s)
}

// prove has the version in force log in, unless it is known otherwise whose user it is, before the admin acts for the other one of two: as AWS's own rotation functions do.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotation-strategy.html
func (d *Database) prove(ctx context.Context, s *Stored) error {
	if s.Own {
		return nil
	}
	for _, as := range s.good() {
		if !slices.Equal(d.User(as.Credential), d.User(s.Pending)) {
			continue
		}
		if err := d.login(ctx, as.Credential, as.version); err == nil || !errors.Is(err, ErrRefused) {
			return err
		}
	}
	return d.stranger(s)
}

// stranger says that nothing shows whose user a version names.
func (d *Database) stranger(s *Stored) error {
	return Because(ErrDrift, "user %s at %s has not been this secret's before, so that an admin's rights are not used for it: put its password that is in force "+
		"with PutSecretValue, or name the user in spec.generate.json.template", baseOf(s.Pending.Username), s.Pending.Host)
}

// bars tells that a login was refused for what no other password ends: where it comes from, or because the user may not log in. Nothing is
// known of the password then, and a password that nobody here can prove must not take the place of one that workloads log in with.
func bars(err error) bool { return errors.Is(err, ErrBarred) && !errors.Is(err, ErrExpired) }

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
	if s.Admin != nil {
		err = AsAdmin(s.Admin, err)
	} else {
		err = withVersion(as, pendingVersion, err)
	}
	return !kept && err == nil, err
}

// asUser has the user change its own password by whichever stored version logs in. Failing that the admin sets it.
func (d *Database) asUser(ctx context.Context, s *Stored) (healed bool, err error) {
	for _, as := range s.good() {
		if as.Username != s.Pending.Username || d.scope(as.Credential) != d.scope(s.Pending) || !as.SameServer(s.Pending) {
			continue
		}
		err := d.login(ctx, as.Credential, as.version)
		if err == nil {
			return false, d.Engine.SetPassword(ctx, as.Credential, s.Pending, s.Admin)
		}
		if !errors.Is(err, ErrRefused) || bars(err) {
			return false, err
		}
	}
	if s.Admin == nil {
		return false, Because(ErrDrift, "neither the pending nor the current nor the previous version of user %s is accepted by %s: "+
			"set adminSecretRef to have it healed, or put the password that is in force with PutSecretValue", s.Pending.Username, s.Pending.Host)
	}
	if !s.Own {
		return false, d.stranger(s)
	}
	return true, d.asAdmin(ctx, s)
}

func (d *Database) asAdmin(ctx context.Context, s *Stored) error {
	if s.Admin == nil {
		return Because(ErrInvalid, "user %s can be set by an admin alone: set adminSecretRef", s.Pending.Username)
	}
	if !s.Own && s.Current == nil {
		return d.stranger(s)
	}
	like := ""
	if base := baseOf(s.Pending.Username); d.Strategy == AlternatingUsers && base != s.Pending.Username {
		like = base
	}
	return AsAdmin(s.Admin, d.Engine.EnsureUser(ctx, s.Admin, s.Pending, like))
}

// Test logs in with the pending version (testSecret).
func (d *Database) Test(ctx context.Context, s *Stored) error {
	if err := d.check(s); err != nil {
		return err
	}
	return d.login(ctx, s.Pending, pendingVersion)
}

// Verify says whether the version in force, which is Pending and Current here, logs in, and so does the admin: what a rotation by this
// configuration needs. It changes nothing. ErrDrift says that the server has another password of the user. A refusal that says nothing
// of the password is no drift.
func (d *Database) Verify(ctx context.Context, s *Stored) error {
	if err := d.check(s); err != nil {
		return err
	}
	if d.Strategy == AlternatingUsers {
		if _, err := alternate(s.Current.Username, d.Engine.MaximumUsername()); err != nil {
			return err
		}
	}
	err := d.login(ctx, s.Current, currentVersion)
	if errors.Is(err, ErrRefused) && !errors.Is(err, ErrBarred) {
		return Because(ErrDrift, "the current version of user %s is not accepted by %s: put the password that is in force with PutSecretValue, "+
			"or rotate with adminSecretRef set, which sets a fresh one", s.Current.Username, s.Current.Host)
	}
	if err != nil || s.Admin == nil {
		return err
	}
	return AsAdmin(s.Admin, d.Engine.Login(ctx, s.Admin))
}

// invalid is ErrInvalid, in its words, and what else it is.
type invalid struct{ also error }

func (invalid) Error() string     { return ErrInvalid.Error() }
func (i invalid) Unwrap() []error { return []error{ErrInvalid, i.also} }

var (
	errForeign error = invalid{ErrForeign}
	errInForce error = invalid{ErrInForce}
	outdated         = Because(errForeign, "the pending version is of an earlier spec.generate.json.template; another is made")
)

// check says whether the pending version is one that this rotation may bring in.
func (d *Database) check(s *Stored) error {
	if s.Current != nil {
		if err := d.follows(s); err != nil {
			return err
		}
	}
	switch {
	case s.Admin == nil:
		return nil
	case !s.Admin.SameServer(s.Pending):
		return Because(ErrInvalid, "the admin's secret is of the server %s, and this one of %s: both name the same host and port",
			server(s.Admin), server(s.Pending))
	case s.Admin.Username == s.Pending.Username && d.scope(s.Admin) == d.scope(s.Pending):
		return Because(ErrInvalid, "the admin and the user are both %s: rotate an admin with strategy SingleUser and without adminSecretRef", s.Pending.Username)
	}
	return nil
}

// follows says whether the pending version is of the server and the user that the current one is of: ErrForeign if not.
func (d *Database) follows(s *Stored) error {
	if !s.Current.SameServer(s.Pending) {
		return Because(errForeign, "the pending version is of the server %s, and the current one of %s: put the new server's values as the current version instead",
			server(s.Pending), server(s.Current))
	}
	same := s.Current.Username == s.Pending.Username
	if d.Strategy == AlternatingUsers {
		same = baseOf(s.Current.Username) == baseOf(s.Pending.Username)
	}
	if !same {
		return Because(errForeign, "the pending version is of user %s, and the current one of %s", s.Pending.Username, s.Current.Username)
	}
	if was, is := d.scope(s.Current), d.scope(s.Pending); was != is {
		return Because(errForeign, "the pending version is of a user of database %s, and the current one of database %s", is, was)
	}
	return nil
}

// User is what tells a user from others: its server, its name, which is that of the first of two that alternate, and the database that it belongs to, if the engine has it so.
func (d *Database) User(c *Credential) []string {
	return []string{strings.ToLower(c.Host), strconv.Itoa(int(c.Port)), d.scope(c), d.base(c.Username)}
}

// base is the first of two users that alternate, and any other user itself.
func (d *Database) base(username string) string {
	if d.Strategy == AlternatingUsers {
		return baseOf(username)
	}
	return username
}

// Follows says whether a value has all members of a document, as they are there: it was made from that one, and not from an earlier one. Of two users either will do.
func (d *Database) Follows(value secretbytes.Bytes, document string) bool {
	var has, wants map[string]any
	if json.Unmarshal([]byte(document), &wants) != nil || json.Unmarshal(value.Reveal(), &has) != nil {
		return false
	}
	for name, want := range wants {
		got, there := has[name]
		if user, ok := got.(string); ok && name == "username" {
			got = d.base(user)
			if named, ok := want.(string); ok {
				want = d.base(named)
			}
		}
		if !there || !reflect.DeepEqual(got, want) {
			return false
		}
	}
	return true
}

// scope is the database that a user belongs to, empty where users are the server's.
func (d *Database) scope(c *Credential) string {
	if engine, ok := d.Engine.(Scoped); ok {
		return engine.Scope(c)
	}
	return ""
}
