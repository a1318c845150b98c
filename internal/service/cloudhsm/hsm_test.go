package cloudhsm_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

// clusterOf is a cluster whose spec wants some nodes and whose status has others.
func clusterOf(size int32, states ...v1alpha1.HSMState) *v1alpha1.HSMCluster {
	hc := &v1alpha1.HSMCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "vault"}, Spec: v1alpha1.HSMClusterSpec{Size: size}}
	for i, state := range states {
		hc.Status.Nodes = append(hc.Status.Nodes, v1alpha1.HSMNode{Name: "n", State: state, Message: strings.Repeat("m", i)})
	}
	return hc
}

func TestAnHSMHasAnIdOfAWSsFormThatIsItsOwnAndStays(t *testing.T) {
	form := regexp.MustCompile(`^hsm-[2-7a-zA-Z]{11,16}$`)
	seen := map[string]bool{}
	for _, name := range []string{"vault", "vault1", "1"} {
		for number := range 12 { // vault and 11, vault1 and 1: the parts do not run together
			id := cloudhsm.HSMID("bank", name, number)
			if !form.MatchString(id) || seen[id] {
				t.Errorf("%s %d: %s", name, number, id)
			}
			seen[id] = true
		}
	}
	// Clients keep it: another one would be another HSM to them.
	if got := cloudhsm.HSMID("bank", "vault", 0); got != "hsm-d67dswgoado" {
		t.Error(got)
	}
}

func TestHSMsAreThoseThatTheSpecWantsAndThoseThatHaveYetToEnd(t *testing.T) {
	const (
		creating, active, degraded, deleting = v1alpha1.HSMCreateInProgress, v1alpha1.HSMActive, v1alpha1.HSMDegraded, cloudhsm.HSMDeleteInProgress
	)
	for name, tt := range map[string]struct {
		hc   *v1alpha1.HSMCluster
		want []v1alpha1.HSMState
	}{
		"a cluster without any":              {clusterOf(0), nil},
		"those that were asked for just now": {clusterOf(2), []v1alpha1.HSMState{creating, creating}},
		"one that is added":                  {clusterOf(3, active, degraded), []v1alpha1.HSMState{active, degraded, creating}},
		"one that is taken away":             {clusterOf(1, active, active), []v1alpha1.HSMState{active, deleting}},
		"the last that is taken away":        {clusterOf(0, degraded), []v1alpha1.HSMState{deleting}},
	} {
		var got []v1alpha1.HSMState
		for i, h := range cloudhsm.HSMs(tt.hc) {
			got = append(got, h.State)
			if h.Number != i || h.ID != cloudhsm.HSMID("bank", "vault", i) {
				t.Errorf("%s: number %d is %+v", name, i, h)
			}
			if h.State == deleting && h.Message != "" {
				t.Errorf("%s: one that goes says %q", name, h.Message)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	gone := clusterOf(1, active)
	gone.DeletionTimestamp = &metav1.Time{}
	now := metav1.Now()
	gone.DeletionTimestamp = &now
	if got := cloudhsm.HSMs(gone)[0].State; got != deleting {
		t.Errorf("an HSM of a cluster that is deleted is %s", got)
	}
}

func TestTheStateOfAClusterCountsFromWhenItsSpecWasWritten(t *testing.T) {
	with := func(hc *v1alpha1.HSMCluster, state v1alpha1.HSMClusterState) *v1alpha1.HSMCluster {
		hc.Status.State = state
		return hc
	}
	now := metav1.Now()
	deleted := with(clusterOf(1, v1alpha1.HSMActive), v1alpha1.HSMClusterActive)
	deleted.DeletionTimestamp = &now
	for name, tt := range map[string]struct {
		hc   *v1alpha1.HSMCluster
		want v1alpha1.HSMClusterState
	}{
		"nobody has looked yet":     {clusterOf(0), v1alpha1.HSMClusterCreateInProgress},
		"without HSMs":              {with(clusterOf(0), v1alpha1.HSMClusterUninitialized), v1alpha1.HSMClusterUninitialized},
		"as it was found":           {with(clusterOf(1, v1alpha1.HSMActive), v1alpha1.HSMClusterActive), v1alpha1.HSMClusterActive},
		"an HSM more was asked for": {with(clusterOf(2, v1alpha1.HSMActive), v1alpha1.HSMClusterActive), v1alpha1.HSMClusterUpdateInProgress},
		"an HSM fewer":              {with(clusterOf(0, v1alpha1.HSMActive), v1alpha1.HSMClusterActive), v1alpha1.HSMClusterUpdateInProgress},
		"degraded, and growing":     {with(clusterOf(2, v1alpha1.HSMDegraded), v1alpha1.HSMClusterDegraded), v1alpha1.HSMClusterDegraded},
		"deleted":                   {deleted, v1alpha1.HSMClusterDeleteInProgress},
	} {
		if got := cloudhsm.StateNow(tt.hc); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestWhatARequestAskedForIsToldBackAndIsNothingIfItCannotBeRead(t *testing.T) {
	hc := clusterOf(2, v1alpha1.HSMActive, v1alpha1.HSMActive)
	hc.Annotations = map[string]string{cloudhsm.RequestAnnotation: `{"hsmType":"hsm1.medium","subnetIds":["subnet-1"],"availabilityZones":["","us-east-1b","us-east-1c"]}`}
	if r := cloudhsm.RequestOf(hc); r.HSMType != "hsm1.medium" || !slices.Equal(r.SubnetIDs, []string{"subnet-1"}) {
		t.Errorf("%+v", r)
	}
	if all := cloudhsm.HSMs(hc); all[0].AvailabilityZone != "" || all[1].AvailabilityZone != "us-east-1b" {
		t.Errorf("%+v", all)
	}
	for _, text := range []string{"", "{", "[]", `{"hsmType":1}`, `{"subnetIds":["a"],"availabilityZones":{}}`} {
		hc.Annotations[cloudhsm.RequestAnnotation] = text
		if r := cloudhsm.RequestOf(hc); r.HSMType != "" || r.SubnetIDs != nil || r.AvailabilityZones != nil {
			t.Errorf("%s: %+v", text, r)
		}
	}
}

// Anybody who may write an HSMCluster can write the annotation.
func FuzzAnAnnotationBreaksNothing(f *testing.F) {
	for _, text := range []string{"", "{}", `{"availabilityZones":["a","b"]}`, `{"subnetIds":null}`, "\x00"} {
		f.Add(text, int32(2))
	}
	f.Fuzz(func(t *testing.T, text string, size int32) {
		hc := clusterOf(size%11, v1alpha1.HSMActive)
		hc.Annotations = map[string]string{cloudhsm.RequestAnnotation: text}
		if got := len(cloudhsm.HSMs(hc)); got < 1 || got > 10 {
			t.Errorf("%d HSMs", got)
		}
	})
}
