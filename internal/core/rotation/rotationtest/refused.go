package rotationtest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// Refused is what a server that refuses logins is asked for: an engine of whose error for that, which is the same whoever logs in, nobody could tell whose password is wrong.
type Refused struct {
	Engine rotation.Engine
	// Code is how that error is told.
	Code string
	// Username of a user whose password is "old", and Credential that user's or its clone's with any password.
	Username   string
	Credential func(username, password string) *rotation.Credential
	// Admin may make users, and Wrong is that user with another password.
	Admin, Wrong *rotation.Credential
	// AdminSets tells that the admin, and not the user itself, sets passwords.
	AdminSets bool
}

// login is one that is refused, and how the error begins.
type login struct {
	does func() error
	says string
}

// Tell checks that each login which the server refuses is told with whose it was, and that none changes the password.
func (r *Refused) Tell(ctx context.Context, t *testing.T) {
	t.Helper()
	for what, tt := range r.logins(ctx) {
		err := tt.does()
		if !errors.Is(err, rotation.ErrRefused) || !strings.HasPrefix(err.Error(), tt.says) || !strings.Contains(err.Error(), "("+r.Code+")") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := r.Engine.Login(ctx, r.Credential(r.Username, "old")); err != nil {
		t.Error("what was refused has changed the password:", err)
	}
}

func (r *Refused) logins(ctx context.Context) map[string]login {
	good, next := r.Credential(r.Username, "old"), r.Credential(r.Username, "new")
	single, alternating := r.database(rotation.SingleUser), r.database(rotation.AlternatingUsers)
	asAdmin := "as the admin " + r.Wrong.Username + ": "
	set := func(d *rotation.Database, s rotation.Stored) func() error {
		return func() error {
			_, err := d.Set(ctx, &s)
			return err
		}
	}
	all := map[string]login{
		"the pending version, when it is tested": {func() error {
			return single.Test(ctx, &rotation.Stored{Pending: next, Current: good, Admin: r.Admin})
		}, "as user " + r.Username + ", with the pending version of the secret: "},
		"the admin, when the rotation is tried": {func() error {
			return single.Verify(ctx, &rotation.Stored{Pending: good, Current: good, Admin: r.Wrong})
		}, asAdmin},
		"the admin, who makes a second user": {
			set(alternating, rotation.Stored{Pending: r.Credential(r.Username+"_clone", "new"), Current: good, Admin: r.Wrong}), asAdmin,
		},
		"the admin, who heals": {
			set(single, rotation.Stored{Pending: next, Current: r.Credential(r.Username, "lost"), Admin: r.Wrong, Own: true}), asAdmin,
		},
	}
	if r.AdminSets {
		all["the admin, who sets the password of a user"] = login{set(single, rotation.Stored{Pending: next, Current: good, Admin: r.Wrong}), asAdmin}
	}
	return all
}

// database is a rotation whose next password is always the same.
func (r *Refused) database(strategy rotation.Strategy) *rotation.Database {
	return &rotation.Database{
		Engine: r.Engine, Strategy: strategy, NewPassword: func() (secretbytes.Bytes, error) { return secretbytes.Copy([]byte("new")), nil },
	}
}
