package metrics_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/metrics"
	"strongroom.dev/strongroom/internal/operator"
)

func TestObjectsShowTheirStateAndGoWithTheObject(t *testing.T) {
	next := metav1.Unix(2_000_000_000, 0)
	good := &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "good"}, Status: v1alpha1.SecretStatus{
		Conditions:       []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Succeeded"}},
		NextRotationTime: &next, LastRotatedTime: &metav1.Time{Time: metav1.Unix(1_000_000_000, 0).Time},
	}}
	bad := &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "bad"}, Status: v1alpha1.SecretStatus{
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "Conflict"}},
	}}
	fresh := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "fresh"}}
	c := fake.NewClientBuilder().WithScheme(operator.Scheme()).WithObjects(good, bad, fresh).Build()
	collector := metrics.NewCollector(c, &keyring.Holder{})
	want := `
# HELP strongroom_last_rotated_timestamp_seconds When an object's value or key material was last made.
# TYPE strongroom_last_rotated_timestamp_seconds gauge
strongroom_last_rotated_timestamp_seconds{kind="Secret",name="good",namespace="shop"} 1e+09
# HELP strongroom_next_rotation_timestamp_seconds When an object will be rotated.
# TYPE strongroom_next_rotation_timestamp_seconds gauge
strongroom_next_rotation_timestamp_seconds{kind="Secret",name="good",namespace="shop"} 2e+09
# HELP strongroom_object_ready Whether an object is Ready: 1 if so, 0 if not, with the reason of its condition.
# TYPE strongroom_object_ready gauge
strongroom_object_ready{kind="KMSKey",name="fresh",namespace="shop",reason="Pending"} 0
strongroom_object_ready{kind="Secret",name="bad",namespace="shop",reason="Conflict"} 0
strongroom_object_ready{kind="Secret",name="good",namespace="shop",reason="Succeeded"} 1
# HELP strongroom_sealed Whether the keyring is sealed, so that nothing can be encrypted or decrypted.
# TYPE strongroom_sealed gauge
strongroom_sealed 1
`
	if err := testutil.CollectAndCompare(collector, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	for _, o := range []client.Object{good, bad, fresh} {
		if err := c.Delete(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	if n := testutil.CollectAndCount(collector); n != 1 {
		t.Errorf("%d series are left without objects", n)
	}
}

func TestARotationThatFailsHasASeriesForAsLongAsItFails(t *testing.T) {
	failing := []metav1.Condition{{Type: v1alpha1.ConditionRotationFailing, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonDatabaseUnreachable}}
	for name, tt := range map[string]struct {
		status v1alpha1.SecretStatus
		want   string
	}{
		"failing for the third time":  {v1alpha1.SecretStatus{Conditions: failing, Rotation: &v1alpha1.RotationStatus{Attempts: 3}}, "3"},
		"failing before it has begun": {v1alpha1.SecretStatus{Conditions: failing}, "1"},
		"tested twice in vain":        {v1alpha1.SecretStatus{Conditions: failing, RotationTest: &v1alpha1.RotationTestStatus{Attempts: 2}}, "2"},
		"going on":                    {v1alpha1.SecretStatus{Rotation: &v1alpha1.RotationStatus{Attempts: 3}}, ""},
		"none":                        {v1alpha1.SecretStatus{}, ""},
	} {
		s := &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db"}, Status: tt.status}
		collector := metrics.NewCollector(fake.NewClientBuilder().WithScheme(operator.Scheme()).WithObjects(s).Build(), &keyring.Holder{})
		want := ""
		if tt.want != "" {
			want = `
# HELP strongroom_rotation_attempts Failed attempts of an object's rotation in progress, with the reason of the last. There is none while no rotation fails.
# TYPE strongroom_rotation_attempts gauge
strongroom_rotation_attempts{kind="Secret",name="db",namespace="shop",reason="DatabaseUnreachable"} ` + tt.want + "\n"
		}
		if err := testutil.CollectAndCompare(collector, strings.NewReader(want), "strongroom_rotation_attempts"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRegionsThatFailHaveASeriesForAsLongAsTheyFail(t *testing.T) {
	for name, tt := range map[string]struct {
		states []v1alpha1.ReplicationState
		want   string
	}{
		"a secret without replicas has none": {nil, ""},
		"one whose replicas are well":        {[]v1alpha1.ReplicationState{v1alpha1.ReplicationInSync, v1alpha1.ReplicationInProgress}, ""},
		"one with some that fail":            {[]v1alpha1.ReplicationState{v1alpha1.ReplicationFailed, v1alpha1.ReplicationInSync, v1alpha1.ReplicationFailed}, "2"},
	} {
		s := &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db"}}
		for _, state := range tt.states {
			s.Status.Replication = append(s.Status.Replication, v1alpha1.ReplicationStatus{State: state})
		}
		collector := metrics.NewCollector(fake.NewClientBuilder().WithScheme(operator.Scheme()).WithObjects(s).Build(), &keyring.Holder{})
		want := ""
		if tt.want != "" {
			want = `
# HELP strongroom_replication_failing Regions that a Secret is not replicated to, though it lists them. There is none while none fails.
# TYPE strongroom_replication_failing gauge
strongroom_replication_failing{kind="Secret",name="db",namespace="shop"} ` + tt.want + "\n"
		}
		if err := testutil.CollectAndCompare(collector, strings.NewReader(want), "strongroom_replication_failing"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRegisteringAgainReplacesTheCollector(t *testing.T) {
	c := fake.NewClientBuilder().WithScheme(operator.Scheme()).Build()
	for range 2 {
		if err := metrics.Register(c, &keyring.Holder{}); err != nil {
			t.Error(err)
		}
	}
}
