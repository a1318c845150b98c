package store_test

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
)

const keyARN = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"

// Envelopes are found by name alone, so a name that changed would lose every Envelope that is stored. These were made
// with Python's hashlib and base64.
func TestNamesNeverChange(t *testing.T) {
	for _, tt := range []struct {
		class    v1alpha1.EnvelopeClass
		subject  string
		sequence int64
		name     string
	}{
		{v1alpha1.EnvelopeSecretVersion, subject, 1, "secret-version-2ou6zclqoapxw4xo-1"},
		{v1alpha1.EnvelopeSecretVersion, subject, 2, "secret-version-2ou6zclqoapxw4xo-2"},
		{v1alpha1.EnvelopeKeyMaterial, keyARN, 1, "key-material-cyqvvv7d4so62q4j-1"},
		{v1alpha1.EnvelopeTombstone, subject, 1, "tombstone-mglhdujq45cr257b-1"},
		{v1alpha1.EnvelopeTombstone, keyARN, math.MaxInt64, "tombstone-6k2ppsppyz4nlb7c-9223372036854775807"},
		{v1alpha1.EnvelopeDomainKey, "strongroom:domain-key", 1, "domain-key-trcngje5fpmgb3pp-1"},
	} {
		if got := store.Name(tt.class, tt.subject, tt.sequence); got != tt.name {
			t.Errorf("%s of %s, %d: %s, and what is stored is under %s", tt.class, tt.subject, tt.sequence, got, tt.name)
		}
	}
}

// The definition, written a second time with the standard library's alphabet.
func TestANameIsTheHashOfClassAndSubjectAndThenTheSequence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		class := rapid.SampledFrom(classes).Draw(t, "class")
		of := rapid.String().Draw(t, "subject")
		sequence := rapid.Int64Min(0).Draw(t, "sequence")
		sum := sha256.Sum256(append(append([]byte(class), 0), of...))
		hash := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
		if got, want := store.Name(class, of, sequence), fmt.Sprintf("-%s-%d", hash, sequence); !strings.HasSuffix(got, want) {
			t.Fatalf("%s does not end in %s", got, want)
		}
	})
}

var classes = []v1alpha1.EnvelopeClass{
	v1alpha1.EnvelopeSecretVersion, v1alpha1.EnvelopeKeyMaterial, v1alpha1.EnvelopeDomainKey, v1alpha1.EnvelopeTombstone,
}

// Neighbours are what a careless encoding would run together: digits that move from the subject to the sequence, classes
// that begin alike, subjects that differ in case or in their end.
func TestNamesOfNeighboursDiffer(t *testing.T) {
	seen := map[string]string{}
	for _, class := range classes {
		for _, of := range []string{
			subject, subject + "1", subject + "-1", strings.ToUpper(subject), strings.TrimSuffix(subject, "a"), "", "\x00", "-", "1",
			string(v1alpha1.EnvelopeTombstone), "\x00" + subject,
		} {
			for _, sequence := range []int64{0, 1, 2, 11, 12, 111, math.MaxInt64} {
				what := fmt.Sprintf("%s %q %d", class, of, sequence)
				name := store.Name(class, of, sequence)
				if other, taken := seen[name]; taken {
					t.Errorf("%s has the name of %s: %s", what, other, name)
				}
				seen[name] = what
			}
		}
	}
}

// CheckIdentity with the changes that a writer of Envelopes can make, and with index entries that ask for another one.
func TestAnEnvelopeIsOnlyWhatItsNameAndTheIndexPromise(t *testing.T) {
	entry := versions.Version{ID: "one", Sequence: 1}
	rename := func(e *v1alpha1.Envelope) { e.Name = store.Name(e.Spec.Class, e.Spec.Subject, e.Spec.Sequence) }
	for _, tt := range []struct {
		name    string
		change  func(*v1alpha1.Envelope)
		subject string
		entry   versions.Version
		says    string // nothing if it is the one
	}{
		{"the one", nil, subject, entry, ""},
		{"with other stages, which the encryption binds", func(e *v1alpha1.Envelope) { e.Spec.Stages = nil }, subject, entry, ""},
		{"asked for by a later entry", nil, subject, versions.Version{ID: "two", Sequence: 2}, "holds version one, not two"},
		{"asked for by the id of another entry", nil, subject, versions.Version{ID: "two", Sequence: 1}, "holds version one, not two"},
		{"asked for by another number of the same id", nil, subject, versions.Version{ID: "one", Sequence: 2}, "not one"},
		{"asked for by another subject", nil, keyARN, entry, "another subject"},
		{"of another owner", func(e *v1alpha1.Envelope) { e.Spec.Owner.Name = "other" }, subject, entry, "belongs to Secret other, not to Secret db"},
		{"of another kind of owner", func(e *v1alpha1.Envelope) { e.Spec.Owner.Kind = "KMSKey" }, subject, entry, "belongs to KMSKey db, not to Secret db"},
		{"in the place of the next", func(e *v1alpha1.Envelope) { e.Name = store.Name(e.Spec.Class, subject, 2) }, subject, entry, "another Envelope's name"},
		{"made to be the next, without its name", func(e *v1alpha1.Envelope) { e.Spec.Sequence = 2 }, subject, entry, "another Envelope's name"},
		{"made to be the next, with its name", func(e *v1alpha1.Envelope) { e.Spec.Sequence = 2; rename(e) }, subject, entry, "not one"},
		{"made to be a tombstone", func(e *v1alpha1.Envelope) { e.Spec.Class = v1alpha1.EnvelopeTombstone }, subject, entry, "another Envelope's name"},
		{"without a name", func(e *v1alpha1.Envelope) { e.Name = "" }, subject, entry, "another Envelope's name"},
		{"of an unknown class", func(e *v1alpha1.Envelope) { e.Spec.Class = "Other" }, subject, entry, "another Envelope's name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := envelope(1, "one")
			if tt.change != nil {
				tt.change(e)
			}
			err := store.CheckIdentity(e, owner, tt.subject, tt.entry)
			if tt.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			mustBe(t, err, store.ErrTampered, tt.says)
		})
	}
}
