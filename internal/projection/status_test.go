package projection_test

import (
	"reflect"
	"testing"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
)

func TestWhatStatusSaysOfATargetIsWhatWasShown(t *testing.T) {
	since := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for name, shown := range map[string]projection.Shown{
		"a core Secret":        {Name: "db", Keys: []string{"a", "b"}, Digest: "d"},
		"one with former ones": {Name: "db-2", Keys: []string{"a"}, Digest: "d", Retained: []projection.Retained{{Name: "db-0", Since: since}, {Name: "db-1", Since: since.Add(time.Hour)}}},
	} {
		status := projection.StatusOf(&shown, true)
		want := &projection.Former{Name: shown.Name, Keys: shown.Keys, Digest: shown.Digest, Immutable: true, Retained: shown.Retained}
		if got := projection.FormerOf(status); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	if projection.FormerOf(nil) != nil {
		t.Error("nothing is something")
	}
}

func TestMetadataThatMeansSomethingToTheControlPlaneIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		metadata *v1alpha1.TargetMetadata
		refused  bool
	}{
		"none":                 {nil, false},
		"labels":               {&v1alpha1.TargetMetadata{Labels: map[string]v1alpha1.LabelValue{"team": "a", "app.kubernetes.io/name": "b"}}, false},
		"a label of ours":      {&v1alpha1.TargetMetadata{Labels: map[string]v1alpha1.LabelValue{v1alpha1.ManagedLabel: "source"}}, true},
		"a token's annotation": {&v1alpha1.TargetMetadata{Annotations: map[string]v1alpha1.AnnotationValue{"kubernetes.io/service-account.name": "admin"}}, true},
	} {
		target := &projection.Target{}
		err := projection.SetMetadata(target, tt.metadata)
		if (err != nil) != tt.refused || tt.refused && fault.Of(err).Reason != v1alpha1.ReasonInvalidTemplate {
			t.Errorf("%s: %v", name, err)
		}
		if tt.metadata != nil && len(target.Labels) != len(tt.metadata.Labels) {
			t.Errorf("%s: %v", name, target.Labels)
		}
	}
}
