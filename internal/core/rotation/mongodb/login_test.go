package mongodb_test

import (
	"testing"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/rotation/rotationtest"
)

// The server's error is the same for every login that it refuses: 18.
func TestALoginThatIsRefusedIsToldWithWhoseItWas(t *testing.T) {
	r := rotationtest.Refused{
		Engine: engine(), Code: "error 18", Username: user(t), Admin: admin(t), Wrong: of(t, server.Port, "", admin(t).Username, "another"), AdminSets: true,
		Credential: func(username, password string) *rotation.Credential { return credential(t, username, password) },
	}
	r.Tell(ctx, t)
}
