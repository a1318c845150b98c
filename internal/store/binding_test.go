package store_test

import (
	"fmt"
	"maps"
	"reflect"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/store"
)

// unbound are the fields of the spec that are ciphertexts themselves, which open or do not.
var unbound = map[string]bool{"Ciphertext": true, "EncryptedDataKey": true}

// leaf is a field of a spec that has a value of its own.
type leaf struct {
	path  string
	index []int
}

// leaves lists the fields of a struct, those of structs within it included. A time is one value.
func leaves(of reflect.Type, prefix string, at []int) []leaf {
	var out []leaf
	for i := range of.NumField() {
		field := of.Field(i)
		index := append(append([]int(nil), at...), i)
		if field.Type.Kind() == reflect.Struct && field.Type != reflect.TypeFor[metav1.Time]() {
			out = append(out, leaves(field.Type, prefix+field.Name+".", index)...)
			continue
		}
		out = append(out, leaf{prefix + field.Name, index})
	}
	return out
}

// changed gives a field another value. A type that it does not know fails the test: teach it here.
func changed(t *testing.T, field reflect.Value) {
	t.Helper()
	switch value := field.Interface().(type) {
	case metav1.Time:
		field.Set(reflect.ValueOf(metav1.NewTime(value.Add(time.Second))))
	case *metav1.Time:
		field.Set(reflect.ValueOf(&metav1.Time{Time: created}))
	case *v1alpha1.KeyMaterialImport:
		field.Set(reflect.ValueOf(&v1alpha1.KeyMaterialImport{}))
	case []string:
		field.Set(reflect.ValueOf(append([]string{"ANOTHER"}, value...)))
	case []byte:
		field.SetBytes(append([]byte{1}, value...))
	default:
		switch field.Kind() {
		case reflect.String:
			field.SetString(field.String() + "x")
		case reflect.Int64, reflect.Int32:
			field.SetInt(field.Int() + 1)
		case reflect.Bool:
			field.SetBool(!field.Bool())
		default:
			t.Fatalf("this test cannot change a %s", field.Type())
		}
	}
}

// A field that is added to the spec and forgotten in Binding could be changed by whoever may write Envelopes, and the
// payload would still open. This test finds it.
func TestEveryFieldOfTheSpecButTheCiphertextsIsBound(t *testing.T) {
	all := leaves(reflect.TypeFor[v1alpha1.EnvelopeSpec](), "", nil)
	if len(all) < 12 {
		t.Fatalf("only %d fields were found", len(all))
	}
	before := store.Binding(envelope(1, "one"))
	for _, l := range all {
		e := envelope(1, "one")
		changed(t, reflect.ValueOf(e).Elem().FieldByName("Spec").FieldByIndex(l.index))
		if same := maps.Equal(before, store.Binding(e)); same != unbound[l.path] {
			t.Errorf("%s: bound is %t", l.path, !same)
		}
	}
}

// What is known of imported material decides when it ends and what it may be used for, so it is bound as the rest is.
func TestEveryFieldOfAnImportIsBound(t *testing.T) {
	imported := func() *v1alpha1.Envelope {
		e := envelope(1, "one")
		to := metav1.NewTime(created.Add(time.Hour))
		e.Spec.Import = &v1alpha1.KeyMaterialImport{State: v1alpha1.ImportStateImported, Rank: 1, ValidTo: &to, Description: "d", Request: "r"}
		return e
	}
	before := store.Binding(imported())
	all := leaves(reflect.TypeFor[v1alpha1.KeyMaterialImport](), "", nil)
	if len(all) < 7 {
		t.Fatalf("only %d fields were found", len(all))
	}
	for _, l := range all {
		e := imported()
		changed(t, reflect.ValueOf(e.Spec.Import).Elem().FieldByIndex(l.index))
		if maps.Equal(before, store.Binding(e)) {
			t.Errorf("%s is not bound", l.path)
		}
	}
	// The text is part of the format: Envelopes that are stored must open for ever.
	e := imported()
	to := metav1.NewTime(time.Date(2027, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600)))
	e.Spec.Import = &v1alpha1.KeyMaterialImport{
		State: v1alpha1.ImportStatePendingImport, Rank: 2, PendingRotation: true, RotationTime: &to, ValidTo: &to, Description: "of <2026>", Request: "r",
	}
	const want = `{"state":"PENDING_IMPORT","rank":2,"pendingRotation":true,"rotationTime":"2027-01-02T02:04:05Z","validTo":"2027-01-02T02:04:05Z",` +
		`"description":"of \u003c2026\u003e","request":"r"}`
	if got := store.Binding(e)["import"]; got != want {
		t.Errorf("an import is bound as %s", got)
	}
	e.Spec.Import = &v1alpha1.KeyMaterialImport{State: v1alpha1.ImportStateImported, Rank: 1}
	if got := store.Binding(e)["import"]; got != `{"state":"IMPORTED","rank":1}` {
		t.Errorf("the least import is bound as %s", got)
	}
}

// A backup tool makes objects again under another UID and with labels of its own: what it changes must not be bound.
func TestWhatABackupToolChangesIsNotBound(t *testing.T) {
	e := envelope(1, "one")
	e.UID, e.ResourceVersion, e.Generation = "other", "77", 9
	e.CreationTimestamp = metav1.NewTime(created.AddDate(1, 0, 0))
	e.Labels = map[string]string{"backup": "nightly"}
	e.OwnerReferences = []metav1.OwnerReference{{Kind: "Secret", Name: "db"}}
	if !maps.Equal(store.Binding(envelope(1, "one")), store.Binding(e)) {
		t.Error("a restored Envelope would not open")
	}
}

// Two Envelopes that differ in any field have bindings that differ, whatever moves from one field to its neighbour.
func TestFieldsDoNotRunTogether(t *testing.T) {
	seen := map[string]string{}
	for name, change := range map[string]func(*v1alpha1.EnvelopeSpec){
		"as it is":            func(*v1alpha1.EnvelopeSpec) {},
		"subject and version": func(s *v1alpha1.EnvelopeSpec) { s.Subject, s.Version = s.Subject+"o", "ne" },
		"version and number":  func(s *v1alpha1.EnvelopeSpec) { s.Version, s.Sequence = "one1", 1 },
		"number 11":           func(s *v1alpha1.EnvelopeSpec) { s.Sequence = 11 },
		"owner":               func(s *v1alpha1.EnvelopeSpec) { s.Owner = v1alpha1.EnvelopeOwner{Kind: "Secretd", Name: "b"} },
		"created, expires": func(s *v1alpha1.EnvelopeSpec) {
			s.CreatedTime, s.ExpireTime = metav1.Time{}, &metav1.Time{Time: s.CreatedTime.Time}
		},
		"expires at the epoch": func(s *v1alpha1.EnvelopeSpec) { s.ExpireTime = &metav1.Time{Time: time.Unix(0, 0)} },
		"no stages":            func(s *v1alpha1.EnvelopeSpec) { s.Stages = nil },
		"two stages":           func(s *v1alpha1.EnvelopeSpec) { s.Stages = []string{"AWSCURRENT", "AWSPREVIOUS"} },
		"the same, turned":     func(s *v1alpha1.EnvelopeSpec) { s.Stages = []string{"AWSPREVIOUS", "AWSCURRENT"} },
	} {
		e := envelope(1, "one")
		change(&e.Spec)
		bound := fmt.Sprintf("%q", store.Binding(e)) // in the order of names, each text in quotes
		for other, binding := range seen {
			if binding == bound {
				t.Errorf("%s is bound as %s is", name, other)
			}
		}
		seen[name] = bound
	}
}

// What is sealed and opened by the order of Bound must be that of its names: nothing sorts them.
func TestTheNamesThatAnEnvelopeIsBoundByAreInOrderEachOnce(t *testing.T) {
	for _, binary := range []bool{false, true} {
		for _, imported := range []*v1alpha1.KeyMaterialImport{nil, {State: v1alpha1.ImportStateImported, Rank: 1}} {
			e := envelope(1, "one")
			e.Spec.Binary, e.Spec.Import = binary, imported
			bound := store.Bound(e)
			for i := 1; i < len(bound); i++ {
				if bound[i-1].Name >= bound[i].Name {
					t.Errorf("%s is before %s", bound[i-1].Name, bound[i].Name)
				}
			}
			if want := store.Binding(e); !maps.Equal(bound.Context(), want) || len(bound) != len(want) {
				t.Errorf("%v is not %v", bound, want)
			}
			if n := testing.AllocsPerRun(100, func() { _ = store.Bound(e) }); imported == nil && n > 5 {
				t.Errorf("%.0f objects", n)
			}
		}
	}
}
