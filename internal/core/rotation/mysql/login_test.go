package mysql_test

import (
	"testing"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/rotation/rotationtest"
)

// The server's error is the same for every login that it refuses: 1045.
func TestALoginThatIsRefusedIsToldWithWhoseItWas(t *testing.T) {
	r := rotationtest.Refused{
		Engine: engine(), Code: "error 1045", Username: user(t), Admin: admin(t), Wrong: credential(t, admin(t).Username, "another"),
		Credential: func(username, password string) *rotation.Credential { return credential(t, username, password) },
	}
	r.Tell(ctx, t)
}
