package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/metrics"
	"strongroom.dev/strongroom/internal/operator"
)

func newClient(objects ...client.Object) client.WithWatch {
	return fake.NewClientBuilder().WithScheme(operator.Scheme()).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.Secret{}, &v1alpha1.KMSKey{}).Build()
}

func secretIn(namespace, name string, status metav1.ConditionStatus, reason string) *v1alpha1.Secret {
	return &v1alpha1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Status:     v1alpha1.SecretStatus{Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: status, Reason: reason}}},
	}
}

func unsealed(t *testing.T) *keyring.Holder {
	t.Helper()
	root := keyring.NewSoftwareRoot("test", secretbytes.Copy([]byte(strings.Repeat("r", 32))))
	record, err := keyring.NewDomainKey(t.Context(), root, 1, nil, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Unseal(t.Context(), root, []keyring.DomainKeyRecord{record})
	if err != nil {
		t.Fatal(err)
	}
	holder := &keyring.Holder{}
	holder.Set(ring)
	return holder
}

const sealedHelp = `
# HELP strongroom_sealed Whether the keyring is sealed, so that nothing can be encrypted or decrypted.
# TYPE strongroom_sealed gauge
strongroom_sealed `

func TestSealedFollowsTheKeyring(t *testing.T) {
	holder := unsealed(t)
	collector := metrics.NewCollector(newClient(), holder)
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() {}, "0\n"},
		{func() { holder.SetSealed(errors.New("the root is gone")) }, "1\n"},
		{func() { ring, _ := unsealed(t).Get(); holder.Set(ring) }, "0\n"},
	} {
		step.do()
		if err := testutil.CollectAndCompare(collector, strings.NewReader(sealedHelp+step.want), "strongroom_sealed"); err != nil {
			t.Error(err)
		}
	}
}

// The series of a key's last rotation is of its newest material, the last of the list.
func TestAKeysSeriesAreThoseOfItsNewestMaterial(t *testing.T) {
	next := metav1.Unix(1_900_000_000, 0)
	key := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "key"}, Status: v1alpha1.KMSKeyStatus{
		Conditions:       []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded}},
		NextRotationTime: &next,
		KeyMaterials:     []v1alpha1.KeyMaterial{{CreatedTime: metav1.Unix(1_700_000_000, 0)}, {CreatedTime: metav1.Unix(1_800_000_000, 0)}},
	}}
	want := sealedHelp + `0
# HELP strongroom_last_rotated_timestamp_seconds When an object's value or key material was last made.
# TYPE strongroom_last_rotated_timestamp_seconds gauge
strongroom_last_rotated_timestamp_seconds{kind="KMSKey",name="key",namespace="shop"} 1.8e+09
# HELP strongroom_next_rotation_timestamp_seconds When an object will be rotated.
# TYPE strongroom_next_rotation_timestamp_seconds gauge
strongroom_next_rotation_timestamp_seconds{kind="KMSKey",name="key",namespace="shop"} 1.9e+09
# HELP strongroom_object_ready Whether an object is Ready: 1 if so, 0 if not, with the reason of its condition.
# TYPE strongroom_object_ready gauge
strongroom_object_ready{kind="KMSKey",name="key",namespace="shop",reason="Succeeded"} 1
`
	if err := testutil.CollectAndCompare(metrics.NewCollector(newClient(key), unsealed(t)), strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestAParametersSeriesTellWhenItExpiresAndWhatItsPoliciesTold(t *testing.T) {
	at := time.Unix(1_900_000_000, 0).UTC()
	p := &v1alpha1.Parameter{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "token"},
		Spec:       v1alpha1.ParameterSpec{Policies: []v1alpha1.ParameterPolicy{{Type: "Expiration", Timestamp: at.Format(time.RFC3339)}}},
		Status: v1alpha1.ParameterStatus{Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionExpiring, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonExpirationNotification},
			{Type: v1alpha1.ConditionUnchanged, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonNoChangeNotification},
		}},
	}
	without := &v1alpha1.Parameter{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "level"}}
	want := `
# HELP strongroom_parameter_expiration_timestamp_seconds When a Parameter expires by its Expiration policy, and is then deleted.
# TYPE strongroom_parameter_expiration_timestamp_seconds gauge
strongroom_parameter_expiration_timestamp_seconds{kind="Parameter",name="token",namespace="shop"} 1.9e+09
# HELP strongroom_parameter_policy_notification 1 while a notification of a Parameter's policies stands: it is about to expire, or has not been changed.
# TYPE strongroom_parameter_policy_notification gauge
strongroom_parameter_policy_notification{kind="Parameter",name="token",namespace="shop",policy="ExpirationNotification"} 1
strongroom_parameter_policy_notification{kind="Parameter",name="token",namespace="shop",policy="NoChangeNotification"} 1
`
	if err := testutil.CollectAndCompare(metrics.NewCollector(newClient(p, without), unsealed(t)), strings.NewReader(want),
		"strongroom_parameter_expiration_timestamp_seconds", "strongroom_parameter_policy_notification"); err != nil {
		t.Error(err)
	}
}

// ready lists the labels of strongroom_object_ready, with its value.
func ready(t *testing.T, collector prometheus.Collector) (out []string) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry() // checks that what is collected was described, and once each
	registry.MustRegister(collector)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "strongroom_object_ready" {
			continue
		}
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			out = append(out, fmt.Sprintf("%s=%v", strings.Join(labels, "/"), m.GetGauge().GetValue()))
		}
	}
	slices.Sort(out)
	return out
}

// A reason is a label, so a changed one must not leave the series of the former one behind, nor a deleted object its own.
func TestASeriesGoesWhenItsReasonOrItsObjectGoes(t *testing.T) {
	s := secretIn("shop", "db", metav1.ConditionFalse, v1alpha1.ReasonSealed)
	other := secretIn("bank", "db", metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	c := newClient(s, other)
	collector := metrics.NewCollector(c, unsealed(t))
	expect := func(want ...string) {
		t.Helper()
		if got := ready(t, collector); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	expect("Secret/db/bank/Succeeded=1", "Secret/db/shop/Sealed=0")
	s.Status.Conditions[0].Status, s.Status.Conditions[0].Reason = metav1.ConditionTrue, v1alpha1.ReasonSucceeded
	if err := c.Status().Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	expect("Secret/db/bank/Succeeded=1", "Secret/db/shop/Succeeded=1")
	s.Status.Conditions[0].Status = metav1.ConditionUnknown
	if err := c.Status().Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	expect("Secret/db/bank/Succeeded=1", "Secret/db/shop/Succeeded=0")
	if err := c.Delete(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	expect("Secret/db/bank/Succeeded=1")
}

// A cache that fails, as while it starts, costs the series of objects but not the scrape, nor the word whether it is sealed.
func TestACacheThatFailsCostsOnlyTheSeriesOfObjects(t *testing.T) {
	failing := interceptor.NewClient(newClient(secretIn("shop", "db", metav1.ConditionTrue, "Succeeded")), interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, ok := list.(*v1alpha1.KMSKeyList); ok {
				return errors.New("not started")
			}
			return c.List(ctx, list, opts...)
		},
	})
	collector := metrics.NewCollector(failing, &keyring.Holder{})
	if got := ready(t, collector); len(got) != 1 || testutil.CollectAndCount(collector, "strongroom_sealed") != 1 {
		t.Errorf("%v", got)
	}
}

// A scrape that waits for ever would take the whole of /metrics along, as it did when the cache's watch had ended.
func TestACacheThatNeverAnswersCostsAScrapeFiveSeconds(t *testing.T) {
	stuck := interceptor.NewClient(newClient(), interceptor.Funcs{
		List: func(ctx context.Context, _ client.WithWatch, _ client.ObjectList, _ ...client.ListOption) error {
			<-ctx.Done()
			return ctx.Err()
		},
	})
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if got := testutil.CollectAndCount(metrics.NewCollector(stuck, &keyring.Holder{})); got != 1 {
			t.Errorf("%d series, want that of being sealed alone", got)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("the scrape took %v", took)
		}
	})
}

// The cache of a kind that has just been added, or whose watch fails, is waited for.
func TestAKindThatIsNotReadInTimeKeepsNoOtherFromTheScrape(t *testing.T) {
	for _, slow := range []client.ObjectList{&v1alpha1.SecretList{}, &v1alpha1.ParameterList{}, &v1alpha1.KeyringList{}} {
		reader := interceptor.NewClient(newClient(
			secretIn("shop", "db", metav1.ConditionTrue, v1alpha1.ReasonSucceeded),
			&v1alpha1.Parameter{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "level"}},
			&v1alpha1.Keyring{ObjectMeta: metav1.ObjectMeta{Namespace: "strongroom-system", Name: "strongroom"}},
			&v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "key"}},
		), interceptor.Funcs{
			List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
				if reflect.TypeOf(list) == reflect.TypeOf(slow) {
					<-ctx.Done()
				}
				if ctx.Err() != nil {
					return ctx.Err()
				}
				return c.List(ctx, list, opts...)
			},
		})
		synctest.Test(t, func(t *testing.T) {
			if got := testutil.CollectAndCount(metrics.NewCollector(reader, &keyring.Holder{}), "strongroom_object_ready"); got != 3 {
				t.Errorf("%T is slow, and %d kinds of 4 are told of", slow, got)
			}
		})
	}
}

func TestIAMsObjectsHaveTheirSeriesToo(t *testing.T) {
	meta := metav1.ObjectMeta{Namespace: "shop", Name: "a"}
	stalled := v1alpha1.IAMStatus{Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "MalformedPolicyDocument"}}}
	c := newClient(
		&v1alpha1.IAMUser{ObjectMeta: meta, Status: v1alpha1.IAMUserStatus{IAMStatus: stalled}},
		&v1alpha1.IAMRole{ObjectMeta: meta, Status: v1alpha1.IAMRoleStatus{IAMStatus: stalled}}, &v1alpha1.IAMGroup{ObjectMeta: meta, Status: stalled},
		&v1alpha1.IAMPolicy{ObjectMeta: meta, Status: v1alpha1.IAMPolicyStatus{IAMStatus: stalled}},
		&v1alpha1.ParameterTree{ObjectMeta: meta, Status: v1alpha1.ParameterTreeStatus{Conditions: stalled.Conditions}},
	)
	want := `
# HELP strongroom_object_ready Whether an object is Ready: 1 if so, 0 if not, with the reason of its condition.
# TYPE strongroom_object_ready gauge
`
	for _, kind := range []string{"IAMGroup", "IAMPolicy", "IAMRole", "IAMUser", "ParameterTree"} {
		want += `strongroom_object_ready{kind="` + kind + `",name="a",namespace="shop",reason="MalformedPolicyDocument"} 0` + "\n"
	}
	if err := testutil.CollectAndCompare(metrics.NewCollector(c, unsealed(t)), strings.NewReader(want), "strongroom_object_ready"); err != nil {
		t.Error(err)
	}
}

func TestTheKeyringsSeriesSayWhichDomainKeyWrapsAndWhatIsLeftToRewrap(t *testing.T) {
	k := &v1alpha1.Keyring{ObjectMeta: metav1.ObjectMeta{Namespace: "strongroom-system", Name: "strongroom"}}
	names := []string{"strongroom_domain_key_epoch", "strongroom_rewrap_remaining", "strongroom_last_rotated_timestamp_seconds"}
	if err := testutil.CollectAndCompare(metrics.NewCollector(newClient(k), unsealed(t)), strings.NewReader(""), names...); err != nil {
		t.Errorf("before the first pass: %v", err)
	}
	at := metav1.Unix(1_900_000_000, 0)
	k.Status = v1alpha1.KeyringStatus{CurrentEpoch: 3, LastRotatedTime: &at, Rewrap: &v1alpha1.KeyringRewrap{Epoch: 3, Total: 250, Done: 100}}
	const want = `
# HELP strongroom_domain_key_epoch The epoch of the domain key that wraps.
# TYPE strongroom_domain_key_epoch gauge
strongroom_domain_key_epoch{kind="Keyring",name="strongroom",namespace="strongroom-system"} 3
# HELP strongroom_last_rotated_timestamp_seconds When an object's value or key material was last made.
# TYPE strongroom_last_rotated_timestamp_seconds gauge
strongroom_last_rotated_timestamp_seconds{kind="Keyring",name="strongroom",namespace="strongroom-system"} 1.9e+09
# HELP strongroom_rewrap_remaining Envelopes under former domain keys that are still to be rewrapped. There is none before the first rotation.
# TYPE strongroom_rewrap_remaining gauge
strongroom_rewrap_remaining{kind="Keyring",name="strongroom",namespace="strongroom-system"} 150
`
	if err := testutil.CollectAndCompare(metrics.NewCollector(newClient(k), unsealed(t)), strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

func TestTheNamesOfTheMetricsAreAsPrometheusWantsThem(t *testing.T) {
	s := secretIn("shop", "db", metav1.ConditionTrue, "Succeeded")
	s.Status.NextRotationTime, s.Status.LastRotatedTime = &metav1.Time{Time: time.Unix(1, 0)}, &metav1.Time{Time: time.Unix(1, 0)}
	problems, err := testutil.CollectAndLint(metrics.NewCollector(newClient(s), &keyring.Holder{}))
	if err != nil || len(problems) != 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func TestManyScrapeWhileObjectsChange(t *testing.T) {
	c := newClient()
	collector := metrics.NewCollector(c, unsealed(t))
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 20 {
				if err := c.Create(t.Context(), secretIn("shop", fmt.Sprintf("s-%d-%d", worker, i), metav1.ConditionTrue, "Succeeded")); err != nil {
					t.Error(err)
				}
				if n := testutil.CollectAndCount(collector, "strongroom_object_ready"); n < i+1 || n > 80 {
					t.Errorf("%d series after %d objects", n, i+1)
				}
			}
		})
	}
	wg.Wait()
	if n := testutil.CollectAndCount(collector, "strongroom_object_ready"); n != 80 {
		t.Errorf("%d series of 80 objects", n)
	}
}

// The newest manager of a process is the one that is scraped, as in tests that start several.
func TestTheManagersRegistryShowsTheCollectorThatWasRegisteredLast(t *testing.T) {
	for _, name := range []string{"first", "second"} {
		if err := metrics.Register(newClient(secretIn("shop", name, metav1.ConditionTrue, "Succeeded")), unsealed(t)); err != nil {
			t.Fatal(err)
		}
		families, err := ctrlmetrics.Registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, family := range families {
			if family.GetName() == "strongroom_object_ready" {
				for _, m := range family.GetMetric() {
					names = append(names, m.GetLabel()[1].GetValue())
				}
			}
		}
		if !slices.Equal(names, []string{name}) {
			t.Errorf("%v, want %s", names, name)
		}
	}
}
