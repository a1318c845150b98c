package kms

import (
	"context"
	"errors"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/keys"
)

func TestRSAKeysThatAreTooManyAtOnceWaitAsLongAsTheirRequestDoes(t *testing.T) {
	full(t)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	made, err := software{&Service{}}.Generate(ctx, keys.RSA2048, keys.AwaitTurn("shop", "one"))
	if !errors.Is(err, context.DeadlineExceeded) || made.Len() != 0 {
		t.Errorf("with no room: %d bytes, %v", made.Len(), err)
	}
	for _, spec := range []keys.Spec{keys.SymmetricDefault, keys.NISTP256} {
		if made, err := (software{&Service{}}).Generate(ctx, spec, keys.AwaitTurn("shop", "one")); err != nil || made.Len() == 0 {
			t.Errorf("%s waits for nothing: %d bytes, %v", spec, made.Len(), err)
		}
	}
}

func TestAnRSAKeyThatIsMadeGivesItsTurnBack(t *testing.T) {
	for range 3 { // one more than there is room for
		made, err := software{&Service{}}.Generate(context.Background(), keys.RSA2048, keys.AwaitTurn("shop", "one"))
		if err != nil || made.Len() == 0 {
			t.Errorf("with room: %v", err)
		}
	}
}

// full takes all turns until the test ends.
func full(t *testing.T) {
	t.Helper()
	for _, group := range []string{"bank", "market"} {
		done, err := keys.TryTurn(group, "one")(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(done)
	}
}
