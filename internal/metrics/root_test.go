package metrics_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/metrics"
)

const rootHelp = `
# HELP strongroom_root_reached Whether the root of trust answered when it was last asked: 1 if so, 0 if not. A manager that is unsealed goes on without it, and one that starts is sealed.
# TYPE strongroom_root_reached gauge
`

func TestTheRootOfTrustIsReachedOrNotAtTheMomentOfTheScrape(t *testing.T) {
	reached := false
	collector := metrics.RootCollector(func() (string, bool) { return "hsm:strongroom-system/root", reached })
	for _, tt := range []struct {
		reached bool
		want    string
	}{{false, "0"}, {true, "1"}, {false, "0"}} {
		reached = tt.reached
		want := rootHelp + `strongroom_root_reached{root="hsm:strongroom-system/root"} ` + tt.want + "\n"
		if err := testutil.CollectAndCompare(collector, strings.NewReader(want)); err != nil {
			t.Error(err)
		}
	}
	if problems, err := testutil.CollectAndLint(collector); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", err, problems)
	}
}

func TestTheManagersRegistryShowsTheRootThatWasRegisteredLast(t *testing.T) {
	for _, root := range []string{"core-secret", "hsm:a/b"} {
		if err := metrics.RegisterRoot(func() (string, bool) { return root, true }); err != nil {
			t.Fatal(err)
		}
		want := rootHelp + `strongroom_root_reached{root="` + root + `"} 1` + "\n"
		if err := testutil.GatherAndCompare(ctrlmetrics.Registry, strings.NewReader(want), "strongroom_root_reached"); err != nil {
			t.Error(err)
		}
	}
}

func TestHSMClustersHaveTheirSeriesToo(t *testing.T) {
	hc := &v1alpha1.HSMCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "strongroom-system", Name: "root"}, Status: v1alpha1.HSMClusterStatus{
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNodesUnavailable}},
	}}
	want := `
# HELP strongroom_object_ready Whether an object is Ready: 1 if so, 0 if not, with the reason of its condition.
# TYPE strongroom_object_ready gauge
strongroom_object_ready{kind="HSMCluster",name="root",namespace="strongroom-system",reason="NodesUnavailable"} 0
`
	if err := testutil.CollectAndCompare(metrics.NewCollector(newClient(hc), unsealed(t)), strings.NewReader(want), "strongroom_object_ready"); err != nil {
		t.Error(err)
	}
}
