package secret

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// A target is written anew when what it shows has changed, and not when anything else of a source has.
func TestOnlyAnotherValueOfASourceConcernsTheTargetsThatAreMadeOfIt(t *testing.T) {
	now := metav1.Now()
	source := func() *v1alpha1.Secret {
		s := settled()
		s.Status.Versions = []v1alpha1.SecretVersion{{VersionID: "v1", Stages: []string{v1alpha1.StagePrevious}}, {VersionID: "v2", Stages: []string{"mine", v1alpha1.StageCurrent}}}
		return s
	}
	for _, tt := range []struct {
		name   string
		change func(*v1alpha1.Secret)
		want   bool
	}{
		{"a resync", func(*v1alpha1.Secret) {}, false},
		{"a spec, which is its own pass's to bring into force", func(s *v1alpha1.Secret) { s.Generation = 2 }, false},
		{"a version of a rotation that is not done", func(s *v1alpha1.Secret) {
			s.Status.Versions = append(s.Status.Versions, v1alpha1.SecretVersion{VersionID: "v3", Stages: []string{v1alpha1.StagePending}})
		}, false},
		{"a stage of somebody's own", func(s *v1alpha1.Secret) { s.Status.Versions[1].Stages = []string{v1alpha1.StageCurrent} }, false},
		{"conditions", func(s *v1alpha1.Secret) { s.Status.Conditions = nil }, false},
		{"another current version", func(s *v1alpha1.Secret) { s.Status.Versions[1].VersionID = "v3" }, true},
		{"another previous version", func(s *v1alpha1.Secret) { s.Status.Versions[0].VersionID = "v0" }, true},
		{"no current version", func(s *v1alpha1.Secret) { s.Status.Versions[1].Stages = nil }, true},
		{"an ARN, without which its versions are not known", func(s *v1alpha1.Secret) { s.Status.ARN = "" }, true},
		{"a deletion that waits", func(s *v1alpha1.Secret) { s.DeletionTimestamp = &now }, true},
		{"another object of the name", func(s *v1alpha1.Secret) { s.UID = "w" }, true},
	} {
		after := source()
		tt.change(after)
		if got := valueChanged(secretValues).Update(event.UpdateEvent{ObjectOld: source(), ObjectNew: after}); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

func TestOnlyTheTwoNewestVersionsOfAParameterConcernTargets(t *testing.T) {
	parameter := func(numbers ...int64) *v1alpha1.Parameter {
		p := &v1alpha1.Parameter{Status: v1alpha1.ParameterStatus{ARN: "arn"}}
		for _, n := range numbers {
			p.Status.Versions = append(p.Status.Versions, v1alpha1.ParameterVersion{Version: n})
		}
		return p
	}
	labelled := parameter(1, 2, 3)
	labelled.Status.Versions[2].Labels = []string{"stable"}
	for _, tt := range []struct {
		name          string
		before, after *v1alpha1.Parameter
		want          bool
	}{
		{"the first", parameter(), parameter(1), true},
		{"the next", parameter(1), parameter(1, 2), true},
		{"an old one that goes", parameter(1, 2, 3), parameter(2, 3), false},
		{"a label", parameter(1, 2, 3), labelled, false},
		{"none any more", parameter(1), parameter(), true},
	} {
		if got := valueChanged(parameterValues).Update(event.UpdateEvent{ObjectOld: tt.before, ObjectNew: tt.after}); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

// Each Secret has a pass of its own when a manager starts.
func TestASourceThatAppearsOrGoesConcernsTargetsAndOneThatWasThereAtTheStartDoesNot(t *testing.T) {
	p := valueChanged(secretValues)
	if p.Create(event.CreateEvent{Object: settled(), IsInInitialList: true}) || !p.Create(event.CreateEvent{Object: settled()}) || !p.Delete(event.DeleteEvent{Object: settled()}) {
		t.Error("the wrong events are looked at")
	}
}
