package arn_test

import (
	"testing"

	"strongroom.dev/strongroom/internal/core/arn"
)

// "Account is the account id in an ARN, or nothing if it is no ARN."
func TestWhatIsNoARNHasNoAccountAndNoKey(t *testing.T) {
	for _, s := range []string{"a:b:c:d:e:f", "urn:aws:kms:r:123456789012:key/k", ":::::"} {
		if got := arn.Account(s); got != "" {
			t.Errorf("account of %q is %q", s, got)
		}
	}
	if id, ok := arn.KeyID("urn:x:kms:r:123456789012:key/k"); ok {
		t.Errorf("key %q", id)
	}
	if id, ok := arn.KeyID("arn:aws:kms:r:123456789012:key/"); ok {
		t.Errorf("key %q: the id is empty", id)
	}
}
