package passes_test

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/controllers/passes"
)

var kind = passes.Kind{
	Name: "Secret",
	New:  func() outcome.Object { return &v1alpha1.Secret{} },
	List: func() client.ObjectList { return &v1alpha1.SecretList{} },
}

func TestOwnProjectionsAreNotLookedAtWhenTheyAppear(t *testing.T) {
	yes := true
	by := func(apiVersion, kind string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{
			APIVersion: apiVersion, Kind: kind, Controller: &yes,
		}}}}
	}
	for _, tt := range []struct {
		name   string
		object *corev1.Secret
		want   bool
	}{
		{"one's own", by("strongroom.dev/v1alpha1", "Secret"), false},
		{"a source", &corev1.Secret{}, true},
		{"another project's Secret", by("example.com/v1", "Secret"), true},
		{"another kind's", by("strongroom.dev/v1alpha1", "Certificate"), true},
	} {
		if got := kind.NotOwn(event.CreateEvent{Object: tt.object}); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

func TestAnObjectThatAnotherControlsAsksForAPassOverThatOne(t *testing.T) {
	yes := true
	by := func(references ...metav1.OwnerReference) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "db-0123456789", OwnerReferences: references}}
	}
	own := metav1.OwnerReference{APIVersion: "strongroom.dev/v1alpha1", Kind: "Secret", Name: "db", Controller: &yes}
	for name, tt := range map[string]struct {
		change func(*metav1.OwnerReference)
		want   string
	}{
		"one of the kind":   {func(*metav1.OwnerReference) {}, "ns/db"},
		"one of another":    {func(r *metav1.OwnerReference) { r.Kind = "Parameter" }, ""},
		"a core Secret":     {func(r *metav1.OwnerReference) { r.APIVersion = "v1" }, ""},
		"one that only has": {func(r *metav1.OwnerReference) { r.Controller = nil }, ""},
	} {
		reference := own
		tt.change(&reference)
		got := ""
		for _, request := range kind.Controller(context.Background(), by(reference)) {
			got += request.String()
		}
		if got != tt.want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := kind.Controller(context.Background(), by()); got != nil {
		t.Errorf("nobody: %v", got)
	}
}

func TestChangesOfAKeyThatAnObjectMayWaitForAreLookedAt(t *testing.T) {
	now := metav1.Now()
	for name, tt := range map[string]struct {
		change func(*v1alpha1.KMSKey)
		want   bool
	}{
		"a description": {func(k *v1alpha1.KMSKey) { k.Spec.Description = "x" }, false},
		"a condition":   {func(k *v1alpha1.KMSKey) { k.Status.Conditions = []metav1.Condition{{}} }, false},
		"a state":       {func(k *v1alpha1.KMSKey) { k.Status.KeyState = v1alpha1.KeyStateDisabled }, true},
		"an ARN":        {func(k *v1alpha1.KMSKey) { k.Status.ARN = "x" }, true},
		"a deletion":    {func(k *v1alpha1.KMSKey) { k.DeletionTimestamp = &now }, true},
		"a rotation":    {func(k *v1alpha1.KMSKey) { k.Status.KeyMaterials = []v1alpha1.KeyMaterial{{}} }, true},
	} {
		after := &v1alpha1.KMSKey{}
		tt.change(after)
		if got := passes.KeyChanged(event.UpdateEvent{ObjectOld: &v1alpha1.KMSKey{}, ObjectNew: after}); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestOnlyUpdatesThatAreNotAControllersOwnAreLookedAt(t *testing.T) {
	now := metav1.Now()
	for name, tt := range map[string]struct {
		change func(*v1alpha1.Parameter)
		want   bool
	}{
		"a fact of status":           {func(p *v1alpha1.Parameter) { p.Status.Version = 2 }, false},
		"a label":                    {func(p *v1alpha1.Parameter) { p.Labels = map[string]string{"x": "y"} }, false},
		"a resync":                   {func(p *v1alpha1.Parameter) { p.ResourceVersion = "1" }, true},
		"a spec":                     {func(p *v1alpha1.Parameter) { p.Generation = 2 }, true},
		"an annotation":              {func(p *v1alpha1.Parameter) { p.Annotations = map[string]string{"a": "2"} }, true},
		"another object of the name": {func(p *v1alpha1.Parameter) { p.UID = "other" }, true},
		"a deletion":                 {func(p *v1alpha1.Parameter) { p.DeletionTimestamp = &now }, true},
		"lost conditions":            {func(p *v1alpha1.Parameter) { p.Status.Conditions = nil }, true},
		"what the kind says is lost": {func(p *v1alpha1.Parameter) { p.Status.ARN = "" }, true},
	} {
		settled := &v1alpha1.Parameter{
			ObjectMeta: metav1.ObjectMeta{ResourceVersion: "1", Generation: 1, UID: "u"},
			Status:     v1alpha1.ParameterStatus{ARN: "arn", Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady}}},
		}
		after := settled.DeepCopy()
		after.ResourceVersion = "2"
		tt.change(after)
		changed := passes.Changed(func(before, after *v1alpha1.Parameter) bool { return before.Status.ARN != after.Status.ARN })
		if got := changed(event.UpdateEvent{ObjectOld: settled, ObjectNew: after}); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestWhatThePredicatesDoNotKnowIsLookedAt(t *testing.T) {
	core := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "1"}}
	other := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "2"}}
	changed := passes.Changed(func(_, _ *v1alpha1.Secret) bool { return false })
	if !changed(event.UpdateEvent{ObjectOld: core, ObjectNew: other}) || !passes.KeyChanged(event.UpdateEvent{ObjectOld: core, ObjectNew: other}) {
		t.Error("an update of another kind is passed over")
	}
}

func TestAnEnvelopeConcernsItsOwnerIfThatIsOfTheKind(t *testing.T) {
	of := func(kind string) client.Object {
		return &v1alpha1.Envelope{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "e"},
			Spec:       v1alpha1.EnvelopeSpec{Owner: v1alpha1.EnvelopeOwner{Kind: kind, Name: "db"}},
		}
	}
	if got := kind.EnvelopeOwner(context.Background(), of("Secret")); len(got) != 1 || got[0].String() != "ns/db" {
		t.Errorf("a Secret's: %v", got)
	}
	for name, object := range map[string]client.Object{"a KMSKey's": of("KMSKey"), "of another kind": &corev1.Secret{}} {
		if got := kind.EnvelopeOwner(context.Background(), object); got != nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAnObjectWithoutTheValueIsInNoIndex(t *testing.T) {
	index := passes.Index(func(s *v1alpha1.Secret) string { return s.Spec.Name })
	for name, tt := range map[string]struct {
		object client.Object
		want   []string
	}{
		"with a value":    {&v1alpha1.Secret{Spec: v1alpha1.SecretSpec{Name: "db"}}, []string{"db"}},
		"without one":     {&v1alpha1.Secret{}, nil},
		"of another kind": {&v1alpha1.Parameter{Spec: v1alpha1.ParameterSpec{Name: "db"}}, nil},
	} {
		if got := index(tt.object); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}
