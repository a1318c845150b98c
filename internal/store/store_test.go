package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/internal/store"
)

var (
	created = time.Date(2026, 11, 24, 12, 0, 0, 123, time.UTC)
	owner   = v1alpha1.EnvelopeOwner{Kind: "Secret", Name: "db"}
)

const subject = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-aaaaaa"

func envelope(sequence int64, id string) *v1alpha1.Envelope {
	return store.New("shop", v1alpha1.EnvelopeSecretVersion, owner, subject,
		versions.Version{ID: id, Sequence: sequence, Stages: []string{"AWSCURRENT"}, Created: created}, "arn:key")
}

func newStore(objects ...client.Object) *store.Store {
	c := fake.NewClientBuilder().WithScheme(operator.Scheme()).
		WithIndex(&v1alpha1.Envelope{}, store.OwnerIndex, store.IndexOwner).
		WithIndex(&v1alpha1.Envelope{}, store.KeyIndex, store.IndexKey).
		WithObjects(objects...).Build()
	return &store.Store{Client: c, Live: c}
}

func TestNamesAreValidShortAndUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, class := range []v1alpha1.EnvelopeClass{
		v1alpha1.EnvelopeSecretVersion, v1alpha1.EnvelopeKeyMaterial, v1alpha1.EnvelopeDomainKey, v1alpha1.EnvelopeTombstone,
	} {
		for _, of := range []string{subject, subject + "b", strings.Repeat("x", 2048)} {
			for _, sequence := range []int64{0, 1, 1<<63 - 1} {
				name := store.Name(class, of, sequence)
				if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 || seen[name] || len(name) > 63 {
					t.Errorf("%s: %v", name, problems)
				}
				seen[name] = true
			}
		}
	}
}

func TestOnlyOneWriterMakesASequenceNumber(t *testing.T) {
	s := newStore()
	first, err := s.Create(context.Background(), envelope(1, "one"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.Create(context.Background(), envelope(1, "two"))
	if err != nil || second.Spec.Version != "one" || second.UID != first.UID {
		t.Errorf("the second writer got %v, %v", second, err)
	}
}

func TestGettingAVersion(t *testing.T) {
	moved := envelope(2, "two")
	moved.Name = envelope(3, "x").Name
	s := newStore(envelope(1, "one"), moved)
	get := func(id string, sequence int64) error {
		_, err := s.Get(context.Background(), "shop", v1alpha1.EnvelopeSecretVersion, owner, subject, versions.Version{ID: id, Sequence: sequence})
		return err
	}
	if err := get("one", 1); err != nil {
		t.Error(err)
	}
	if err := get("two", 2); !errors.Is(err, store.ErrMissing) {
		t.Errorf("a missing one: %v", err)
	}
	if err := get("two", 3); !errors.Is(err, store.ErrTampered) {
		t.Errorf("one under another's name: %v", err)
	}
	if err := get("other", 1); !errors.Is(err, store.ErrTampered) {
		t.Errorf("another version: %v", err)
	}
}

func TestIdentity(t *testing.T) {
	good := versions.Version{ID: "one", Sequence: 1}
	for name, tt := range map[string]struct {
		change func(*v1alpha1.Envelope)
		ok     bool
	}{
		"itself":           {func(*v1alpha1.Envelope) {}, true},
		"another name":     {func(e *v1alpha1.Envelope) { e.Name = "x" }, false},
		"another class":    {func(e *v1alpha1.Envelope) { e.Spec.Class = v1alpha1.EnvelopeKeyMaterial }, false},
		"another subject":  {func(e *v1alpha1.Envelope) { e.Spec.Subject = "arn:x"; e.Name = store.Name(e.Spec.Class, "arn:x", 1) }, false},
		"another sequence": {func(e *v1alpha1.Envelope) { e.Spec.Sequence = 2; e.Name = store.Name(e.Spec.Class, subject, 2) }, false},
		"another version":  {func(e *v1alpha1.Envelope) { e.Spec.Version = "two" }, false},
	} {
		e := envelope(1, "one")
		tt.change(e)
		if err := store.CheckIdentity(e, owner, subject, good); (err == nil) != tt.ok || err != nil && !errors.Is(err, store.ErrTampered) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFindingByOwnerAndByKey(t *testing.T) {
	other := store.New("shop", v1alpha1.EnvelopeSecretVersion, v1alpha1.EnvelopeOwner{Kind: "Secret", Name: "web"}, subject+"x",
		versions.Version{ID: "w", Sequence: 1, Created: created}, "arn:other")
	elsewhere := envelope(1, "one")
	elsewhere.Namespace = "elsewhere"
	s := newStore(envelope(1, "one"), envelope(2, "two"), other, elsewhere)
	if found, err := s.OfOwner(context.Background(), "shop", owner); err != nil || len(found) != 2 {
		t.Errorf("%d of the owner: %v", len(found), err)
	}
	if found, err := s.OfKey(context.Background(), "shop", "arn:other"); err != nil || len(found) != 1 {
		t.Errorf("%d of the key: %v", len(found), err)
	}
	if store.IndexOwner(&v1alpha1.Secret{}) != nil || store.IndexKey(&v1alpha1.Secret{}) != nil {
		t.Error("something else is indexed")
	}
}

func TestDeletingTwiceIsDeletingOnce(t *testing.T) {
	s := newStore(envelope(1, "one"))
	e, err := s.Get(context.Background(), "shop", v1alpha1.EnvelopeSecretVersion, owner, subject, versions.Version{ID: "one", Sequence: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Delete(context.Background(), e); err != nil {
			t.Error(err)
		}
	}
}

func TestEveryFieldIsBound(t *testing.T) {
	base := store.Binding(envelope(1, "one"))
	later := metav1.NewTime(created.Add(time.Hour))
	for name, change := range map[string]func(*v1alpha1.Envelope){
		"namespace":  func(e *v1alpha1.Envelope) { e.Namespace = "x" },
		"class":      func(e *v1alpha1.Envelope) { e.Spec.Class = v1alpha1.EnvelopeTombstone },
		"owner kind": func(e *v1alpha1.Envelope) { e.Spec.Owner.Kind = "x" },
		"owner":      func(e *v1alpha1.Envelope) { e.Spec.Owner.Name = "x" },
		"subject":    func(e *v1alpha1.Envelope) { e.Spec.Subject = "x" },
		"version":    func(e *v1alpha1.Envelope) { e.Spec.Version = "x" },
		"sequence":   func(e *v1alpha1.Envelope) { e.Spec.Sequence = 9 },
		"stages":     func(e *v1alpha1.Envelope) { e.Spec.Stages = nil },
		"created":    func(e *v1alpha1.Envelope) { e.Spec.CreatedTime = later },
		"expires":    func(e *v1alpha1.Envelope) { e.Spec.ExpireTime = &later },
		"key":        func(e *v1alpha1.Envelope) { e.Spec.KeyARN = "x" },
	} {
		e := envelope(1, "one")
		change(e)
		same := true
		for k, v := range store.Binding(e) {
			same = same && base[k] == v
		}
		if same {
			t.Errorf("%s is not bound", name)
		}
	}
}

func TestAVersionSurvivesTheWayThroughTheAPI(t *testing.T) {
	e := envelope(3, "three")
	v := store.Version(e)
	if v.ID != "three" || v.Sequence != 3 || !v.Has("AWSCURRENT") || !v.Created.Equal(created.Truncate(time.Second)) {
		t.Errorf("%+v", v)
	}
}

func ring(t *testing.T) *keyring.Keyring {
	t.Helper()
	root := keyring.NewSoftwareRoot("test", secretbytes.Copy([]byte(strings.Repeat("r", 32))))
	record, err := keyring.NewDomainKey(t.Context(), root, 1, nil, created)
	if err != nil {
		t.Fatal(err)
	}
	k, err := keyring.Unseal(t.Context(), root, []keyring.DomainKeyRecord{record})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestATombstoneKeepsSpecAndIndexAndRefusesChanges(t *testing.T) {
	k := ring(t)
	want := store.Tombstone{
		Spec: []byte(`{"a":1}`), KeyID: "id",
		Index: versions.Index{}.Add(versions.Version{ID: "one", Sequence: 1, Stages: []string{"AWSCURRENT"}, Created: created.Truncate(time.Second)}),
	}
	e, err := store.NewTombstone(k, "shop", owner, subject, want, created, created.AddDate(0, 0, 7))
	if err != nil {
		t.Fatal(err)
	}
	got, err := store.OpenTombstone(k, e)
	if err != nil || string(got.Spec) != string(want.Spec) || got.KeyID != "id" || len(got.Index) != 1 || !got.Index[0].Has("AWSCURRENT") {
		t.Fatalf("%+v, %v", got, err)
	}
	for name, change := range map[string]func(*v1alpha1.Envelope){
		"a later end": func(e *v1alpha1.Envelope) { e.Spec.ExpireTime = &metav1.Time{Time: created.AddDate(1, 0, 0)} },
		"another one": func(e *v1alpha1.Envelope) { e.Spec.Owner.Name = "web" },
		"a bit":       func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[len(e.Spec.Ciphertext)-1] ^= 1 },
		"nothing":     func(e *v1alpha1.Envelope) { e.Spec.Ciphertext = nil },
	} {
		changed := e.DeepCopy()
		change(changed)
		if _, err := store.OpenTombstone(k, changed); !errors.Is(err, store.ErrTampered) {
			t.Errorf("with %s: %v", name, err)
		}
	}
	if _, err := store.OpenTombstone(ring(t), e); !errors.Is(err, store.ErrTampered) {
		t.Errorf("under another domain key: %v", err)
	}
}
