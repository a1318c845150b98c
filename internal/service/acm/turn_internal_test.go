package acm

import (
	"errors"
	"testing"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/pki"
)

// A renewal of a thousand certificates at once takes no more processors than two.
func TestRSAKeysOfCertificatesShareTheTurnsOfKMSKeysAndOthersNeedNone(t *testing.T) {
	for _, group := range []string{"bank", "market"} {
		done, err := keys.TryTurn(group, "one")(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(done)
	}
	for _, algorithm := range pki.KeyAlgorithms() {
		signer, err := newKey(t.Context(), algorithm, keys.TryTurn("shop", "one"))
		_, waits := errors.AsType[*keys.TurnError](err)
		if waits != algorithm.RSA() || !waits && (err != nil || signer == nil) {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}
