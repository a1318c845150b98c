package parametertree

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func TestATreeIsFoundByItsPathAndByWhatItWrites(t *testing.T) {
	inConfigMap, inSecret := &v1alpha1.ParameterTreeConfigMap{}, &v1alpha1.ParameterTreeSecret{}
	for name, tt := range map[string]struct {
		target v1alpha1.ParameterTreeTarget
		want   string
	}{
		"a ConfigMap of its name":    {v1alpha1.ParameterTreeTarget{ConfigMap: inConfigMap}, "ConfigMap/tree"},
		"a ConfigMap of another":     {v1alpha1.ParameterTreeTarget{ConfigMap: &v1alpha1.ParameterTreeConfigMap{Name: "c"}}, "ConfigMap/c"},
		"a core Secret of its name":  {v1alpha1.ParameterTreeTarget{Secret: inSecret}, "tree"},
		"a core Secret of another":   {v1alpha1.ParameterTreeTarget{Secret: &v1alpha1.ParameterTreeSecret{Name: "s"}}, "s"},
		"nothing, of a later schema": {v1alpha1.ParameterTreeTarget{}, ""},
	} {
		tree := &v1alpha1.ParameterTree{ObjectMeta: metav1.ObjectMeta{Name: "tree"}, Spec: v1alpha1.ParameterTreeSpec{Path: "/p", Target: tt.target}}
		var want []string
		if tt.want != "" {
			want = []string{tt.want}
		}
		if got := Indexes()[TargetIndex](tree); !slices.Equal(got, want) {
			t.Errorf("%s: %v", name, got)
		}
		if got := Indexes()[PathIndex](tree); !slices.Equal(got, []string{"/p"}) {
			t.Errorf("%s: %v", name, got)
		}
		if got := tree.FollowedSource(); got != "" {
			t.Errorf("%s follows %s", name, got)
		}
	}
	for name, index := range Indexes() {
		if got := index(&corev1.Secret{}); got != nil {
			t.Errorf("%s: %v of another kind", name, got)
		}
	}
}

func TestWhatATreeShowsOfAParameterAsksForAPass(t *testing.T) {
	settled := &v1alpha1.Parameter{
		ObjectMeta: metav1.ObjectMeta{Name: "p", UID: "u", ResourceVersion: "1"},
		Spec:       v1alpha1.ParameterSpec{Tags: []v1alpha1.Tag{{Key: "k"}}},
		Status:     v1alpha1.ParameterStatus{ARN: "arn", Version: 1, Versions: []v1alpha1.ParameterVersion{{Version: 1}}},
	}
	now := metav1.Now()
	for name, tt := range map[string]struct {
		change func(*v1alpha1.Parameter)
		want   bool
	}{
		"nothing":       {func(*v1alpha1.Parameter) {}, false},
		"a condition":   {func(p *v1alpha1.Parameter) { p.Status.Conditions = []metav1.Condition{{}} }, false},
		"a description": {func(p *v1alpha1.Parameter) { p.Spec.Description = "x" }, false},
		"a target":      {func(p *v1alpha1.Parameter) { p.Status.Projection = &v1alpha1.ParameterProjection{} }, false},
		"another version": {func(p *v1alpha1.Parameter) {
			p.Status.Versions = append(p.Status.Versions, v1alpha1.ParameterVersion{Version: 2})
		}, true},
		"a lost version": {func(p *v1alpha1.Parameter) { p.Status.Versions = nil }, true},
		"a label":        {func(p *v1alpha1.Parameter) { p.Status.Versions[0].Labels = []string{"l"} }, true},
		"a tag":          {func(p *v1alpha1.Parameter) { p.Spec.Tags[0].Value = "v" }, true},
		"a deletion":     {func(p *v1alpha1.Parameter) { p.DeletionTimestamp = &now }, true},
		"another object": {func(p *v1alpha1.Parameter) { p.UID = "v" }, true},
		"an ARN":         {func(p *v1alpha1.Parameter) { p.Status.ARN = "" }, true},
	} {
		after := settled.DeepCopy()
		tt.change(after)
		if got := shownChanged(event.UpdateEvent{ObjectOld: settled, ObjectNew: after}); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if shownChanged(event.UpdateEvent{ObjectOld: &corev1.Secret{}, ObjectNew: &corev1.Secret{}}) {
		t.Error("another kind's update is let through")
	}
}

func TestWhatIsThereAtTheStartIsLookedAtByEachTreesOwnPass(t *testing.T) {
	p := client.Object(&v1alpha1.Parameter{})
	if isNew(event.CreateEvent{Object: p, IsInInitialList: true}) || !isNew(event.CreateEvent{Object: p}) {
		t.Error("the initial list is not told from what is new")
	}
}

func TestALostProjectionAsksForAPass(t *testing.T) {
	with, without := &v1alpha1.ParameterTree{}, &v1alpha1.ParameterTree{}
	with.Status.Projection = &v1alpha1.ParameterTreeProjection{}
	if !statusLost(with, without) || statusLost(without, with) || statusLost(with, with) {
		t.Error("a lost projection is not told from a new one")
	}
	if gathering < 100*time.Millisecond || gathering > 5*time.Second {
		t.Error("a change waits for too short or too long")
	}
}
