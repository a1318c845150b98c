package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func identity(t testing.TB) *age.HybridIdentity {
	t.Helper()
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func secretNamed(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": "Secret",
		"metadata": map[string]any{"name": name, "namespace": "shop"},
		"spec":     map[string]any{"generate": map[string]any{"length": int64(1 << 60)}},
	}}
}

// written is a backup of some objects.
func written(t testing.TB, to age.Recipient, objects ...*unstructured.Unstructured) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, Header{Created: time.Unix(1, 0).UTC(), Namespace: "strongroom-system", Roots: []string{"strongroom-system/strongroom-root"}}, to)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if err := w.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// all reads a backup to its end.
func all(src io.Reader, identities ...age.Identity) (out []*unstructured.Unstructured, err error) {
	r, err := NewReader(src, identities...)
	if err != nil {
		return nil, err
	}
	return rest(r)
}

func rest(r *Reader) (out []*unstructured.Unstructured, err error) {
	for {
		o, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, o)
	}
}

func TestABackupIsReadAsItWasWritten(t *testing.T) {
	id := identity(t)
	file := written(t, id.Recipient(), secretNamed("one"), secretNamed("two"))
	got, err := all(bytes.NewReader(file), id)
	if err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	for i, name := range []string{"one", "two"} {
		if !equality.Semantic.DeepEqual(got[i].Object, secretNamed(name).Object) {
			t.Errorf("%#v", got[i].Object)
		}
	}
	r, err := NewReader(bytes.NewReader(file), id)
	if err != nil {
		t.Fatal(err)
	}
	if h := r.Header(); h.Format != Format || h.Version != Version || h.Namespace != "strongroom-system" || !h.Created.Equal(time.Unix(1, 0)) || len(h.Roots) != 1 {
		t.Errorf("%+v", h)
	}
	if bytes.Contains(file, []byte("shop")) {
		t.Error("a name is in the clear")
	}
}

func TestWhatIsLateIsKnownToBe(t *testing.T) {
	id := identity(t)
	var b bytes.Buffer
	w, err := NewWriter(&b, Header{Namespace: "strongroom-system"}, id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Add(secretNamed("one")), w.AddLate(secretNamed("two")), w.Add(secretNamed("three")), w.Close()); err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(&b, id)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{false, true, false} {
		if _, err := r.Next(); err != nil || r.Late() != want {
			t.Errorf("%v, %t", err, r.Late())
		}
	}
}

func TestWhoHasLostANameIsContested(t *testing.T) {
	for reason, want := range map[string]bool{v1alpha1.ReasonNameConflict: true, v1alpha1.ReasonSucceeded: false, "": false} {
		o := secretNamed("one")
		if reason != "" {
			o.Object["status"] = map[string]any{"conditions": []any{"odd", map[string]any{"type": "Other", "reason": v1alpha1.ReasonNameConflict}, map[string]any{"type": "Ready", "reason": reason}}}
		}
		if got := contested(o); got != want {
			t.Errorf("%q: %t", reason, got)
		}
	}
}

func TestNobodyElseOpensABackup(t *testing.T) {
	_, err := all(bytes.NewReader(written(t, identity(t).Recipient(), secretNamed("one"))), identity(t))
	var stranger *age.NoIdentityMatchError
	if !errors.As(err, &stranger) {
		t.Error(err)
	}
}

func TestABackupThatIsCutOrChangedAnywhereIsRefused(t *testing.T) {
	id := identity(t)
	file := written(t, id.Recipient(), secretNamed("one"), secretNamed("two"))
	step := max(1, len(file)/200) // each try decrypts, and a hybrid one takes its time
	for n := 0; n < len(file); n += step {
		if _, err := all(bytes.NewReader(file[:n]), id); err == nil {
			t.Fatalf("its first %d bytes of %d are taken", n, len(file))
		}
		changed := bytes.Clone(file)
		changed[n] ^= 1
		if _, err := all(bytes.NewReader(changed), id); err == nil {
			t.Fatalf("it is taken with byte %d changed", n)
		}
	}
	if _, err := all(bytes.NewReader(append(bytes.Clone(file), 0)), id); err == nil {
		t.Error("it is taken with something behind it")
	}
}

func TestWhatIsNoBackupIsRefusedWithoutSayingWhatItIs(t *testing.T) {
	const (
		header  = `{"header":{"format":"strongroom-backup","version":1,"namespace":"strongroom-system"}}` + "\n"
		object  = `{"object":{"apiVersion":"strongroom.dev/v1alpha1","kind":"Secret","metadata":{"name":"a","namespace":"b"}}}` + "\n"
		trailer = `{"trailer":{"objects":1}}` + "\n"
	)
	of := func(apiVersion, kind string) string {
		return header + strings.NewReplacer("strongroom.dev/v1alpha1", apiVersion, `"Secret"`, `"`+kind+`"`).Replace(object) + trailer
	}
	for name, tt := range map[string]struct {
		text string
		want error
	}{
		"whole":                    {header + object + trailer, nil},
		"empty":                    {"", ErrTruncated},
		"no header":                {object + trailer, ErrFormat},
		"of another version":       {strings.Replace(header, `"version":1`, `"version":2`, 1) + object + trailer, ErrFormat},
		"of another format":        {strings.Replace(header, "strongroom-backup", "other", 1) + object + trailer, ErrFormat},
		"of no namespace":          {strings.Replace(header, "strongroom-system", "", 1) + object + trailer, ErrFormat},
		"no trailer":               {header + object, ErrTruncated},
		"an object is missing":     {header + trailer, ErrTruncated},
		"something behind the end": {header + object + trailer + object, ErrFormat},
		"no JSON":                  {header + "s3cr3t\n", ErrFormat},
		"an empty line":            {header + "\n", ErrFormat},
		"neither of the three":     {header + "{}\n", ErrFormat},
		"an object without a name": {header + strings.Replace(object, `"name":"a",`, "", 1) + trailer, ErrFormat},
		"an object that is a list": {header + `{"object":["s3cr3t"]}` + "\n", ErrFormat},
		"a line without an end":    {header + strings.Repeat("x", maximumLine+1), ErrFormat},
		"a role of the cluster":    {of("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"), ErrFormat},
		"a pod":                    {of("v1", "Pod"), ErrFormat},
		"a kind that is not known": {of("strongroom.dev/v1alpha1", "Other"), ErrFormat},
		"another version of it":    {of("strongroom.dev/v9", "Secret"), ErrFormat},
	} {
		r, err := newLines(strings.NewReader(tt.text))
		if err == nil {
			_, err = rest(r)
		}
		if !errors.Is(err, tt.want) || err != nil && strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(`{"header":{"format":"strongroom-backup","version":1,"namespace":"n"}}` + "\n" + `{"trailer":{}}`))
	f.Add([]byte(`{"header":{"format":"strongroom-backup","version":1,"namespace":"n"}}` + "\n" +
		`{"object":{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","labels":7,"annotations":{"x":1}}}}` + "\n" + `{"trailer":{"objects":1}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := newLines(bytes.NewReader(text))
		if err != nil {
			return
		}
		objects, err := rest(r)
		if err != nil {
			return
		}
		for _, o := range objects { // what is read can be written, and asked for what it is
			if _, known := rankOf(o); !known {
				t.Fatal(o)
			}
			if _, err := portable(o).MarshalJSON(); err != nil {
				t.Fatal(err)
			}
			_, _ = nameOf(o), pinOf(o)
		}
	})
}

func TestEveryKindIsInABackup(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	in := map[string]bool{kindEnvelope: true}
	for _, kind := range kinds {
		in[kind] = true
	}
	for kind := range scheme.KnownTypes(v1alpha1.SchemeGroupVersion) {
		if strings.HasSuffix(kind, "List") {
			if of := strings.TrimSuffix(kind, "List"); !in[of] {
				t.Error(of, "is missing")
			}
			delete(in, strings.TrimSuffix(kind, "List"))
		}
	}
	if len(in) > 0 {
		t.Error("there is no kind", in)
	}
}

func TestWhatIsPortableOfAnObjectIsWhatItSays(t *testing.T) {
	had := secretNamed("one")
	had.Object["status"] = map[string]any{"arn": "x", "observedGeneration": int64(3), "conditions": []any{}, "projection": map[string]any{}, "policyBinding": map[string]any{"policyDigest": "d"}}
	had.Object["metadata"] = map[string]any{
		"name": "one", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": int64(3), "creationTimestamp": "2026-11-29T12:00:00Z",
		"finalizers": []any{"f"}, "managedFields": []any{map[string]any{}},
		"labels":      map[string]any{"app": "shop"},
		"annotations": map[string]any{v1alpha1.RotateAnnotation: "1", v1alpha1.TakenAnnotation: "u/7"},
		"ownerReferences": []any{
			map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop", "uid": "u", "controller": true, "blockOwnerDeletion": true}, map[string]any{"uid": "u"},
		},
	}
	want := secretNamed("one")
	want.SetFinalizers([]string{"f"})
	want.Object["metadata"].(map[string]any)["ownerReferences"] = []any{map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}}
	want.SetLabels(map[string]string{"app": "shop"})
	want.SetAnnotations(map[string]string{v1alpha1.RotateAnnotation: "1"})
	want.Object["status"] = map[string]any{"arn": "x", "policyBinding": map[string]any{"policyDigest": "d"}}
	got := portable(had)
	if !equality.Semantic.DeepEqual(got.Object, want.Object) {
		t.Errorf("%v", got.Object)
	}
	if again := portable(got); !equality.Semantic.DeepEqual(again.Object, want.Object) {
		t.Errorf("as it is read: %v", again.Object)
	}
	if made := bare(got); len(made.GetOwnerReferences()) > 0 || len(made.GetFinalizers()) > 0 || made.GetLabels()["app"] != "shop" {
		t.Errorf("as it is made: %v", made.Object)
	}
	root := portable(&unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token", "data": map[string]any{"root": "eA=="}, "stringData": map[string]any{"a": "b"}, "immutable": true,
		"metadata": map[string]any{"name": "r", "namespace": "n", "annotations": map[string]any{"kubernetes.io/service-account.name": "default", v1alpha1.Group + "/domain-keys": "[]"}},
	}})
	if got := fmt.Sprint(root.Object); strings.Contains(got, "token") || strings.Contains(got, "stringData") || strings.Contains(got, "service-account") ||
		!strings.Contains(got, "domain-keys") || !strings.Contains(got, "eA==") || !strings.Contains(got, "immutable:true") {
		t.Error("a core Secret:", got)
	}
	ns := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "spec": map[string]any{"finalizers": []any{"kubernetes"}},
		"metadata": map[string]any{"name": "shop", "labels": map[string]any{"kubernetes.io/metadata.name": "shop", v1alpha1.AccountIDLabel: "111122223333"}},
	}}
	if got := fmt.Sprint(portable(ns).Object); strings.Contains(got, "finalizers") || strings.Contains(got, "metadata.name") || !strings.Contains(got, "111122223333") {
		t.Error(got)
	}
}

// Fields that status does not have would be dropped by the API server without a word.
func TestEveryFieldOfStatusThatIsKeptIsOneOfTheKind(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	for kind, fields := range kept {
		obj, err := scheme.New(v1alpha1.SchemeGroupVersion.WithKind(kind))
		if err != nil {
			t.Fatal(err)
		}
		status, _ := reflect.TypeOf(obj).Elem().FieldByName("Status")
		has := map[string]bool{}
		for i := range status.Type.NumField() {
			name, _, _ := strings.Cut(status.Type.Field(i).Tag.Get("json"), ",")
			has[name] = true
		}
		for _, field := range fields {
			if !has[field] {
				t.Errorf("%s has no status.%s", kind, field)
			}
		}
		if field := bindings[kind]; !slices.Contains(fields, field) {
			t.Errorf("%s: whom its policy names is not kept", kind)
		} else if len(fields) == 1 { // and it lists nothing
			continue
		}
		if of, ok := indexes[kind]; !ok || !slices.Contains(fields, of.list) || !slices.Contains(fields, "arn") {
			t.Errorf("%s: what it lists is not looked at", kind)
		}
	}
}

func TestAStatusIsInABackupOnlyWithAllThatItLists(t *testing.T) {
	const arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:db-AbCdEf"
	entry := func(field string, n int64, more ...any) map[string]any {
		e := map[string]any{field: n}
		for i := 0; i < len(more); i += 2 {
			e[more[i].(string)] = more[i+1]
		}
		return e
	}
	of := func(kind, list string, entries ...any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": kind, "metadata": map[string]any{"namespace": "shop", "name": "db"},
			"status": map[string]any{"arn": arn, list: entries},
		}}
	}
	in := func(namespace string, class v1alpha1.EnvelopeClass, subject string, sequence int64) string {
		return heldBy(&unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"namespace": namespace}, "spec": map[string]any{"class": string(class), "subject": subject, "sequence": sequence},
		}})
	}
	two := of("Secret", "versions", entry("sequence", 1), entry("sequence", 2))
	for name, c := range map[string]struct {
		of   *unstructured.Unstructured
		has  []string
		want bool
	}{
		"all are there":               {two, []string{in("shop", "SecretVersion", arn, 1), in("shop", "SecretVersion", arn, 2)}, true},
		"one is missing":              {two, []string{in("shop", "SecretVersion", arn, 1)}, false},
		"one is another's":            {two, []string{in("shop", "SecretVersion", arn, 1), in("shop", "SecretVersion", arn+"x", 2)}, false},
		"one is of another namespace": {two, []string{in("shop", "SecretVersion", arn, 1), in("bank", "SecretVersion", arn, 2)}, false},
		"one is of another class":     {two, []string{in("shop", "SecretVersion", arn, 1), in("shop", "ParameterVersion", arn, 2)}, false},
		"there is a tombstone, whatever its sequence": {
			two, []string{in("shop", "SecretVersion", arn, 1), in("shop", "SecretVersion", arn, 2), in("shop", "Tombstone", arn, 7)}, false,
		},
		"it lists nothing":             {of("Secret", "versions"), nil, true},
		"a parameter's numbers":        {of("Parameter", "versions", entry("version", 4)), []string{in("shop", "ParameterVersion", arn, 4)}, true},
		"a key's material":             {of("KMSKey", "keyMaterials", entry("sequence", 1)), []string{in("shop", "KeyMaterial", arn, 1)}, true},
		"a key's material is missing":  {of("KMSKey", "keyMaterials", entry("sequence", 1)), nil, false},
		"imported material is deleted": {of("KMSKey", "keyMaterials", entry("sequence", 1, "import", map[string]any{"state": "PENDING_IMPORT"})), nil, true},
		"a kind without an index":      {of("IAMGroup", "versions", entry("sequence", 1)), nil, true},
	} {
		envelopes := map[string]bool{}
		for _, e := range c.has {
			envelopes[e] = true
		}
		if got := complete(c.of, envelopes); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
