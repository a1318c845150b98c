package kmsgrant

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/event"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func TestOfAKeysChangesOnlyItsBecomingKnownConcernsItsGrants(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*v1alpha1.KMSKey)
		want   bool
	}{
		"a state":    {func(k *v1alpha1.KMSKey) { k.Status.KeyState = v1alpha1.KeyStateDisabled }, false},
		"a rotation": {func(k *v1alpha1.KMSKey) { k.Status.KeyMaterials = make([]v1alpha1.KeyMaterial, 2) }, false},
		"an ARN":     {func(k *v1alpha1.KMSKey) { k.Status.ARN = "arn:aws:kms:us-east-1:111122223333:key/x" }, true},
		"an id":      {func(k *v1alpha1.KMSKey) { k.Status.KeyID = "x" }, true},
	} {
		before := &v1alpha1.KMSKey{}
		after := before.DeepCopy()
		tt.change(after)
		if got := keyAppeared(event.UpdateEvent{ObjectOld: before, ObjectNew: after}); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if keyAppeared(event.UpdateEvent{ObjectOld: &v1alpha1.Secret{}, ObjectNew: &v1alpha1.Secret{}}) {
		t.Error("a Secret is taken for a key")
	}
}
