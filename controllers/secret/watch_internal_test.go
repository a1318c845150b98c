package secret

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/passes"
)

func settled() *v1alpha1.Secret {
	return &v1alpha1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "db", ResourceVersion: "1", Generation: 1, UID: "u", Annotations: map[string]string{"a": "1"}},
		Status: v1alpha1.SecretStatus{
			ARN: "arn", Versions: []v1alpha1.SecretVersion{{VersionID: "v1"}, {VersionID: "v2"}},
			Projection: &v1alpha1.SecretProjectionStatus{ProjectionStatus: v1alpha1.ProjectionStatus{Name: "db"}},
			Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady}},
		},
	}
}

func TestOnlyUpdatesThatAreNotTheControllersOwnAreLookedAt(t *testing.T) {
	now := metav1.Now()
	tests := []struct {
		name   string
		change func(*v1alpha1.Secret)
		want   bool
	}{
		{"its own write of status", func(s *v1alpha1.Secret) { s.Status.Versions = append(s.Status.Versions, v1alpha1.SecretVersion{}) }, false},
		{"a label", func(s *v1alpha1.Secret) { s.Labels = map[string]string{"x": "y"} }, false},
		{"a resync", func(s *v1alpha1.Secret) { s.ResourceVersion = "1" }, true},
		{"a spec", func(s *v1alpha1.Secret) { s.Generation = 2 }, true},
		{"an annotation", func(s *v1alpha1.Secret) { s.Annotations = map[string]string{"a": "2"} }, true},
		{"another object of the name", func(s *v1alpha1.Secret) { s.UID = "w" }, true},
		{"a deletion", func(s *v1alpha1.Secret) { s.DeletionTimestamp = &now }, true},
		{"a lost status", func(s *v1alpha1.Secret) { s.Status = v1alpha1.SecretStatus{} }, true},
		{"a lost version", func(s *v1alpha1.Secret) { s.Status.Versions = s.Status.Versions[:1] }, true},
		{"a lost projection", func(s *v1alpha1.Secret) { s.Status.Projection = nil }, true},
		{"lost conditions", func(s *v1alpha1.Secret) { s.Status.Conditions = nil }, true},
		{"a rotation that RotateSecret has begun", func(s *v1alpha1.Secret) { s.Status.Rotation = &v1alpha1.RotationStatus{VersionID: "v3"} }, true},
		{"a rotation that a pass has begun", func(s *v1alpha1.Secret) {
			s.Status.Rotation = &v1alpha1.RotationStatus{VersionID: "v3", Step: "createSecret"}
		}, false},
		{"a rotation whose version a pass has stored", func(s *v1alpha1.Secret) { s.Status.Rotation = &v1alpha1.RotationStatus{VersionID: "v2"} }, false},
		{"another ARN", func(s *v1alpha1.Secret) { s.Status.ARN = "other" }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			after := settled()
			after.ResourceVersion = "2"
			tt.change(after)
			if got := passes.Changed(statusLost)(event.UpdateEvent{ObjectOld: settled(), ObjectNew: after}); got != tt.want {
				t.Errorf("looked at: %t", got)
			}
		})
	}
}
