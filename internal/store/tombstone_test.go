package store_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
)

// mustBe checks an error's kind and that its message says something.
func mustBe(t *testing.T, err, kind error, says ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%v is not %v", err, kind)
		return
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q does not say %q", err, text)
		}
	}
}

func index(sequences ...int64) versions.Index {
	var ix versions.Index
	for _, n := range sequences {
		ix = append(ix, versions.Version{ID: strings.Repeat("v", int(n)), Sequence: n, Created: created.Truncate(time.Second)})
	}
	return ix
}

func TestATombstoneComesBackAsItWasStored(t *testing.T) {
	k := ring(t)
	for name, want := range map[string]store.Tombstone{
		"of an object that nobody saw go": {Index: index(1)},
		"of a secret":                     {Spec: []byte(`{"name":"prod/db"}`), Index: index(1, 2, 5)},
		"of a key":                        {Spec: []byte(`{}`), Index: index(3), KeyID: "1234abcd-12ab-34cd-56ef-1234567890ab"},
		"without a version":               {Spec: []byte(`{}`), Index: versions.Index{}},
		"of a hundred and eighty":         {Index: index(sequence(versions.Maximum)...)},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := store.NewTombstone(k, "shop", owner, subject, want, created, created.AddDate(0, 0, 30))
			if err != nil {
				t.Fatal(err)
			}
			got, err := store.OpenTombstone(k, e)
			if err != nil || !bytes.Equal(got.Spec, want.Spec) || got.KeyID != want.KeyID || len(got.Index) != len(want.Index) {
				t.Fatalf("%+v, %v", got, err)
			}
			for i, v := range want.Index {
				if g := got.Index[i]; g.ID != v.ID || g.Sequence != v.Sequence || !g.Created.Equal(v.Created) {
					t.Errorf("version %d: %+v", i, g)
				}
			}
		})
	}
}

func sequence(n int64) (out []int64) {
	for i := range n {
		out = append(out, i+1)
	}
	return out
}

// What is in the clear is what finding and expiring it needs. What the payload says is not.
func TestATombstoneShowsWhatItIsOfAndNothingOfTheSpec(t *testing.T) {
	k := ring(t)
	deleted := created.Add(700 * time.Millisecond)
	e, err := store.NewTombstone(k, "shop", owner, subject,
		store.Tombstone{Spec: []byte(`{"description":"CANARY"}`), Index: index(1, 4)}, deleted, deleted.AddDate(0, 0, 7))
	if err != nil {
		t.Fatal(err)
	}
	s := e.Spec
	if e.Name != store.Name(v1alpha1.EnvelopeTombstone, subject, 4) || e.Namespace != "shop" {
		t.Errorf("it is %s/%s", e.Namespace, e.Name)
	}
	if s.Class != v1alpha1.EnvelopeTombstone || s.Owner != owner || s.Subject != subject || s.Sequence != 4 {
		t.Errorf("it is of %+v", s)
	}
	if want := created.Truncate(time.Second); !s.CreatedTime.Time.Equal(want) || !s.ExpireTime.Time.Equal(want.AddDate(0, 0, 7)) {
		t.Errorf("from %s to %s", s.CreatedTime, s.ExpireTime)
	}
	if s.KeyARN != store.DomainKey(k) || s.KeyARN != "strongroom:domain-key/1" || len(s.EncryptedDataKey) != 0 {
		t.Errorf("under %s", s.KeyARN)
	}
	if bytes.Contains(s.Ciphertext, []byte("CANARY")) {
		t.Error("the spec is in the clear")
	}
}

// Whoever may write Envelopes can put any bytes in a tombstone's place: none opens, and every failure says the same.
func TestNoBitOfATombstoneCanBeChanged(t *testing.T) {
	k := ring(t)
	e, err := store.NewTombstone(k, "shop", owner, subject, store.Tombstone{Index: index(1)}, created, created.AddDate(0, 0, 7))
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, at int, ciphertext []byte) {
		t.Helper()
		forged := e.DeepCopy()
		forged.Spec.Ciphertext = ciphertext
		if _, err := store.OpenTombstone(k, forged); !errors.Is(err, store.ErrTampered) || !strings.Contains(err.Error(), e.Name) {
			t.Errorf("%s %d: %v", what, at, err)
		}
	}
	for i := range e.Spec.Ciphertext {
		flipped := bytes.Clone(e.Spec.Ciphertext)
		flipped[i] ^= 1 << (i % 8)
		refused("flipped in byte", i, flipped)
		refused("cut off at", i, e.Spec.Ciphertext[:i])
	}
	refused("longer by", 1, append(bytes.Clone(e.Spec.Ciphertext), 0))
}

// A tombstone that is moved to another place, owner, time or deletion does not open there.
func TestATombstoneOpensOnlyWhereItWasMade(t *testing.T) {
	k := ring(t)
	tombstone := func(sequences ...int64) *v1alpha1.Envelope {
		e, err := store.NewTombstone(k, "shop", owner, subject, store.Tombstone{Index: index(sequences...)}, created, created.AddDate(0, 0, 7))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	for name, change := range map[string]func(*v1alpha1.Envelope){
		"in another namespace":       func(e *v1alpha1.Envelope) { e.Namespace = "other" },
		"of another kind":            func(e *v1alpha1.Envelope) { e.Spec.Owner.Kind = "KMSKey" },
		"of another ARN":             func(e *v1alpha1.Envelope) { e.Spec.Subject = keyARN },
		"of another deletion":        func(e *v1alpha1.Envelope) { e.Spec.Sequence = 2 },
		"as a version":               func(e *v1alpha1.Envelope) { e.Spec.Class = v1alpha1.EnvelopeSecretVersion },
		"without an end":             func(e *v1alpha1.Envelope) { e.Spec.ExpireTime = nil },
		"with an end a second later": func(e *v1alpha1.Envelope) { e.Spec.ExpireTime = &metav1.Time{Time: e.Spec.ExpireTime.Add(time.Second)} },
		"with an earlier deletion":   func(e *v1alpha1.Envelope) { e.Spec.CreatedTime = metav1.NewTime(created.AddDate(0, 0, -1)) },
		"with another's payload":     func(e *v1alpha1.Envelope) { e.Spec.Ciphertext = tombstone(1, 2).Spec.Ciphertext },
		"with a stage":               func(e *v1alpha1.Envelope) { e.Spec.Stages = []string{"AWSCURRENT"} },
		"under another epoch's name": func(e *v1alpha1.Envelope) { e.Spec.KeyARN = "strongroom:domain-key/2" },
	} {
		moved := tombstone(1)
		change(moved)
		_, err := store.OpenTombstone(k, moved)
		if err == nil {
			t.Errorf("%s it opens", name)
			continue
		}
		mustBe(t, err, store.ErrTampered, moved.Name)
	}
	_, err := store.OpenTombstone(ring(t), tombstone(1))
	mustBe(t, err, store.ErrTampered)
}
