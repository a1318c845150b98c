package acm

import (
	"context"
	"errors"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/pki"
)

// A renewal of a thousand certificates at once takes no more processors than two.
func TestRSAKeysOfCertificatesShareTheTurnsOfKMSKeysAndOthersNeedNone(t *testing.T) {
	for range 2 {
		done, err := keys.AwaitTurn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(done)
	}
	for _, algorithm := range pki.KeyAlgorithms() {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		signer, err := newKey(ctx, algorithm)
		cancel()
		if waits := errors.Is(err, context.DeadlineExceeded); waits != algorithm.RSA() || !waits && (err != nil || signer == nil) {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}
