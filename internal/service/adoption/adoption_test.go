package adoption_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/adoption"
)

// attempt is a Secret as a service makes it.
func attempt() *v1alpha1.Secret {
	return &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "db", Finalizers: []string{"strongroom.dev/kept"},
		Labels:          map[string]string{v1alpha1.GrantKeyIDLabel: "key"},
		Annotations:     map[string]string{v1alpha1.RequestTokenAnnotation: "token"},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "Secret", Name: "primary", UID: "1"}},
	}}
}

func TestAnObjectIsTakenForWhatWouldBeMade(t *testing.T) {
	owner := func(uid types.UID) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "theirs", UID: uid}
	}
	set := func(m *map[string]string, key, value string) {
		if *m == nil {
			*m = map[string]string{}
		}
		(*m)[key] = value
	}
	for _, tt := range []struct {
		name   string
		change func(*v1alpha1.Secret)
		says   string // of the refusal; empty for none
	}{
		{name: "as it would be made", change: func(*v1alpha1.Secret) {}},
		{name: "with what the API server adds", change: func(s *v1alpha1.Secret) {
			s.UID, s.ResourceVersion, s.Generation, s.CreationTimestamp = "2", "7", 1, metav1.Now()
			s.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "anybody"}}
		}},
		{name: "with its controller's finalizer", change: func(s *v1alpha1.Secret) { s.Finalizers = append(s.Finalizers, "strongroom.dev/controller") }},
		{name: "without a finalizer or an owner that it should have", change: func(s *v1alpha1.Secret) { s.Finalizers, s.OwnerReferences = nil, nil }},
		{name: "with a label of an admission webhook", change: func(s *v1alpha1.Secret) { set(&s.Labels, "example.com/cost-center", "7") }},
		{name: "with an annotation of a tool", change: func(s *v1alpha1.Secret) {
			set(&s.Annotations, "kubectl.kubernetes.io/last-applied-configuration", "{}")
		}},
		{name: "asked to reconcile", change: func(s *v1alpha1.Secret) { set(&s.Annotations, v1alpha1.ReconcileAnnotation, "now") }},
		{name: "asked to rotate", change: func(s *v1alpha1.Secret) { set(&s.Annotations, v1alpha1.RotateAnnotation, "now") }},
		{name: "not while it is being deleted", change: func(s *v1alpha1.Secret) { s.DeletionTimestamp = &metav1.Time{Time: time.Now()} }, says: "being deleted"},
		{name: "not with another owner", change: func(s *v1alpha1.Secret) { s.OwnerReferences = []metav1.OwnerReference{owner("9")} }, says: "ConfigMap theirs"},
		{name: "not with another owner beside the right one", change: func(s *v1alpha1.Secret) {
			s.OwnerReferences = append(s.OwnerReferences, owner("9"))
		}, says: "ConfigMap theirs"},
		{name: "not with an owner of the right name and another UID", change: func(s *v1alpha1.Secret) { s.OwnerReferences[0].UID = "9" }, says: "Secret primary"},
		{name: "not with another finalizer", change: func(s *v1alpha1.Secret) { s.Finalizers = append(s.Finalizers, "example.com/kept") }, says: "finalizer example.com/kept"},
		{name: "not with another token", change: func(s *v1alpha1.Secret) { set(&s.Annotations, v1alpha1.RequestTokenAnnotation, "other") }, says: v1alpha1.RequestTokenAnnotation},
		{name: "not without the token", change: func(s *v1alpha1.Secret) { s.Annotations = nil }, says: v1alpha1.RequestTokenAnnotation},
		{name: "not with a further annotation of ours", change: func(s *v1alpha1.Secret) { set(&s.Annotations, v1alpha1.ForceDeleteAnnotation, "true") }, says: v1alpha1.ForceDeleteAnnotation},
		{name: "not with one that is empty", change: func(s *v1alpha1.Secret) { set(&s.Annotations, v1alpha1.ResealAnnotation, "") }, says: v1alpha1.ResealAnnotation},
		{name: "not without a label of ours", change: func(s *v1alpha1.Secret) { s.Labels = nil }, says: v1alpha1.GrantKeyIDLabel},
		{name: "not with another label of ours", change: func(s *v1alpha1.Secret) { set(&s.Labels, v1alpha1.ManagedLabel, "true") }, says: v1alpha1.ManagedLabel},
	} {
		existing := attempt()
		tt.change(existing)
		err := adoption.Check(existing, attempt(), "strongroom.dev/controller")
		if (err != nil) != (tt.says != "") || err != nil && (!errors.Is(err, adoption.ErrForeign) || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestNeitherObjectIsChanged(t *testing.T) {
	existing, wanted := attempt(), attempt()
	existing.Labels, wanted.Annotations = nil, nil
	_ = adoption.Check(existing, wanted)
	if existing.Labels != nil || wanted.Annotations != nil || len(existing.Annotations) != 1 || len(wanted.Labels) != 1 {
		t.Error("an object was changed")
	}
}
