package store_test

import (
	"testing"

	"strongroom.dev/strongroom/internal/store"
)

// These are in the Envelopes of installations, and never change.
func TestTheNameOfARootInAnEnvelopeIsReadBackWithWhichOfItsKeysWrapped(t *testing.T) {
	for _, tt := range []struct{ what, root, identity, keyARN string }{
		{"the core Secret, as from the first release on", "CoreSecret", "", "root:CoreSecret"},
		{"an HSMCluster with the epoch and the key check value", "hsm:strongroom-system/root", "1:0a1b2c3d4e", "root:hsm:strongroom-system/root:1:0a1b2c3d4e"},
		{"an HSMCluster that did not know which of its keys it was", "hsm:a/b.c", "", "root:hsm:a/b.c"},
	} {
		if got := store.RootKeyARN(tt.root, tt.identity); got != tt.keyARN {
			t.Errorf("%s: %s", tt.what, got)
		}
		if root, identity := store.RootOf(tt.keyARN); root != tt.root || identity != tt.identity {
			t.Errorf("%s: %q, %q", tt.what, root, identity)
		}
	}
	if got := store.RootHSM("ns", "name"); got != "hsm:ns/name" {
		t.Error(got)
	}
}

func TestWhatSomebodyElseWroteInPlaceOfARootIsNoRootOfOurs(t *testing.T) {
	for _, text := range []string{"", "root:", "root:hsm:", "root:hsm::", "hsm:", "arn:aws:kms:us-east-1:1:key/2", "root:root:CoreSecret", "root:hsm:a/b/c:1:2:3"} {
		if root, _ := store.RootOf(text); root == "CoreSecret" || root == "hsm:a/b" {
			t.Errorf("%q is %s", text, root)
		}
	}
}
