package hsmcluster

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/fault"
)

func TestAClusterThatWrapsTheKeyringNeverGetsAnotherFirstDomainKey(t *testing.T) {
	empty := []node{{state: hsmpb.State_STATE_INITIALIZED}, {state: hsmpb.State_STATE_INITIALIZED}}
	create := decideDomainKeys(nil, empty)
	if got := onlyFormer(false, create); !got.create || got.err != nil {
		t.Errorf("a new cluster: %+v", got)
	}
	got := onlyFormer(true, create)
	if f := fault.Of(got.err); got.create || f.Reason != v1alpha1.ReasonDomainKeyLost || !f.Stalled || !strings.Contains(got.err.Error(), "bring back the volume") {
		t.Errorf("one that wraps: %+v", got)
	}
	holder := node{hsmpb.State_STATE_ACTIVE, keysOf(first)}
	if got := onlyFormer(true, decideDomainKeys(keysOf(first), []node{holder, empty[0]})); got.err != nil || len(got.joiners) != 1 {
		t.Errorf("cloning goes on: %+v", got)
	}
}

func TestTheRootKeepsOneNodeWhateverItsSizeAndSaysSo(t *testing.T) {
	for _, tt := range []struct {
		claimed bool
		size    int32
		want    int
	}{{false, 0, 0}, {false, 3, 3}, {true, 0, 1}, {true, 1, 1}, {true, 3, 3}} {
		hc := &v1alpha1.HSMCluster{Spec: v1alpha1.HSMClusterSpec{Size: tt.size}}
		if tt.claimed {
			hc.Finalizers = []string{v1alpha1.RootFinalizer}
		}
		if got := wanted(hc).Size; got != tt.want {
			t.Errorf("%+v: %d nodes", tt, got)
		}
		sayRoot(&pass{cluster: hc, root: tt.claimed})
		said := meta.FindStatusCondition(hc.Status.Conditions, v1alpha1.ConditionRootOfTrust)
		if tells := said != nil && strings.Contains(said.Message, "keeps one node although spec.size is 0"); tells != (tt.claimed && tt.size == 0) {
			t.Errorf("%+v: %+v", tt, said)
		}
	}
}

func TestThePINOfTheRootMayNotBeWrittenByWhatItUnseals(t *testing.T) {
	written := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "own", Name: "pin", Labels: map[string]string{v1alpha1.ManagedLabel: "true"}}}
	given := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "own", Name: "pin"}}
	for _, tt := range []struct {
		what   string
		root   bool
		secret *corev1.Secret
		reason string
	}{
		{"the root, with a PIN of its own", true, given, ""},
		{"the root, with a PIN that Strongroom writes", true, written, v1alpha1.ReasonCycle},
		{"another cluster, with a PIN that Strongroom writes", false, written, ""},
	} {
		err := checkPIN(tt.root, tt.secret)
		if (err != nil) != (tt.reason != "") {
			t.Errorf("%s: %v", tt.what, err)
			continue
		}
		if err != nil && (fault.Of(err).Reason != tt.reason || !strings.Contains(err.Error(), "own/pin")) {
			t.Errorf("%s: %v", tt.what, err)
		}
	}
}

func TestThatAClusterIsTheRootIsSaidOnceAndTakenBackWhenItIsNoMore(t *testing.T) {
	hc := &v1alpha1.HSMCluster{Status: v1alpha1.HSMClusterStatus{ClusterID: "cluster-a"}}
	p := &pass{cluster: hc, before: hc.DeepCopy(), root: true}
	if !p.becameRoot() {
		t.Error("it is no news")
	}
	sayRoot(p)
	c := meta.FindStatusCondition(hc.Status.Conditions, v1alpha1.ConditionRootOfTrust)
	if c == nil || c.Status != metav1.ConditionTrue || !strings.Contains(c.Message, "cluster-a-authority") {
		t.Fatalf("%+v", c)
	}
	p.before = hc.DeepCopy()
	if p.becameRoot() {
		t.Error("it is news again")
	}
	p.root = false
	if sayRoot(p); meta.FindStatusCondition(hc.Status.Conditions, v1alpha1.ConditionRootOfTrust) != nil || p.becameRoot() {
		t.Error("it is still said")
	}
}

func TestAClaimIsLookedAtAtOnceAndNoOtherChangeOfMetadataIs(t *testing.T) {
	with := func(finalizers ...string) *v1alpha1.HSMCluster {
		return &v1alpha1.HSMCluster{ObjectMeta: metav1.ObjectMeta{Finalizers: finalizers}}
	}
	for _, tt := range []struct {
		old, new *v1alpha1.HSMCluster
		want     bool
	}{
		{with(), with(v1alpha1.RootFinalizer), true},
		{with(v1alpha1.RootFinalizer), with(), true},
		{with(Finalizer), with(Finalizer), false},
	} {
		tt.new.Labels = map[string]string{"a": "b"}
		if got := finalizersChanged.Update(event.UpdateEvent{ObjectOld: tt.old, ObjectNew: tt.new}); got != tt.want {
			t.Errorf("%v, %v: %t", tt.old.Finalizers, tt.new.Finalizers, got)
		}
	}
}
