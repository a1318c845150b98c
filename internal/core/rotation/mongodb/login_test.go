package mongodb_test

import (
	"errors"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// made is a rotation whose next password is always the same.
func made(strategy rotation.Strategy) *rotation.Database {
	return &rotation.Database{Engine: engine(), Strategy: strategy, NewPassword: func() (secretbytes.Bytes, error) { return secretbytes.Copy([]byte("new")), nil }}
}

// The server's error is the same for every login that it refuses: 18.
func TestALoginThatIsRefusedIsToldWithWhoseItWas(t *testing.T) {
	name, wrong := user(t), of(t, server.Port, "", admin(t).Username, "another")
	good, bad := credential(t, name, "old"), func(password string) *rotation.Credential { return credential(t, name, password) }
	single, alternating := made(rotation.SingleUser), made(rotation.AlternatingUsers)
	second := credential(t, name+"_clone", "new")
	for what, tt := range map[string]struct {
		does func() error
		says string
	}{
		"the pending version, when it is tested": {func() error {
			return single.Test(ctx, &rotation.Stored{Pending: bad("new"), Current: good, Admin: admin(t)})
		},
			"as user " + name + ", with the pending version of the secret: "},
		"the admin, when the rotation is tried": {func() error { return single.Verify(ctx, &rotation.Stored{Pending: good, Current: good, Admin: wrong}) },
			"as the admin " + wrong.Username + ": "},
		"the admin, who makes a second user": {func() error {
			_, err := alternating.Set(ctx, &rotation.Stored{Pending: second, Current: good, Admin: wrong})
			return err
		}, "as the admin " + wrong.Username + ": "},
		"the admin, who heals": {func() error {
			_, err := single.Set(ctx, &rotation.Stored{Pending: bad("new"), Current: bad("lost"), Admin: wrong, Own: true})
			return err
		}, "as the admin " + wrong.Username + ": "},
		"the admin, who sets the password of a user": {func() error {
			_, err := single.Set(ctx, &rotation.Stored{Pending: bad("new"), Current: good, Admin: wrong})
			return err
		}, "as the admin " + wrong.Username + ": "},
	} {
		err := tt.does()
		if !errors.Is(err, rotation.ErrRefused) || !strings.HasPrefix(err.Error(), tt.says) || !strings.Contains(err.Error(), "(error 18)") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := engine().Login(ctx, good); err != nil {
		t.Error("what was refused has changed the password:", err)
	}
}
