package kms

import (
	"context"
	"errors"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/keys"
)

func TestPrivateKeysThatAreTooManyAtOnceWaitAsLongAsTheirRequestDoes(t *testing.T) {
	for range cap(generating) {
		generating <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	made, err := software{&Service{}}.Generate(ctx, keys.NISTP256)
	if !errors.Is(err, context.DeadlineExceeded) || made.Len() != 0 {
		t.Errorf("with no room: %d bytes, %v", made.Len(), err)
	}
	symmetric, err := software{&Service{}}.Generate(ctx, keys.SymmetricDefault)
	if err != nil || symmetric.Len() != keys.KeySize {
		t.Errorf("a symmetric key waits for nothing: %d bytes, %v", symmetric.Len(), err)
	}
	for range cap(generating) {
		<-generating
	}
	made, err = software{&Service{}}.Generate(context.Background(), keys.NISTP256)
	if err != nil || made.Len() == 0 {
		t.Errorf("with room: %v", err)
	}
	if len(generating) != 0 {
		t.Error("a key that is made keeps its place")
	}
}
