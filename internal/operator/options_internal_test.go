package operator

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/projection"
)

func TestWhatIsLeftOutHasItsDocumentedDefaultAndWhatIsGivenStays(t *testing.T) {
	got := Options{}.withDefaults()
	if got.Concurrency != 8 || got.GracefulShutdownTimeout != 30*time.Second || got.MetricsBindAddress != "0" || got.HealthProbeBindAddress != "0" ||
		got.LeaderElection || got.MetricsInsecure || time.Since(got.Now()) > time.Minute {
		t.Errorf("%+v", got)
	}
	fixed := time.Unix(1, 0)
	given := Options{
		Concurrency: 3, GracefulShutdownTimeout: time.Second, MetricsBindAddress: ":1", HealthProbeBindAddress: ":2",
		Now: func() time.Time { return fixed },
	}
	kept := given.withDefaults()
	if kept.Concurrency != 3 || kept.GracefulShutdownTimeout != time.Second || kept.MetricsBindAddress != ":1" || kept.HealthProbeBindAddress != ":2" || !kept.Now().Equal(fixed) {
		t.Errorf("%+v", kept)
	}
}

// Metrics name every secret of the cluster, so they are protected unless somebody says otherwise.
func TestMetricsAreServedByHTTPSToWhoMayUnlessItIsSaidOtherwise(t *testing.T) {
	for insecure, secure := range map[bool]bool{false: true, true: false} {
		o := managerOptions(Options{MetricsInsecure: insecure}.withDefaults(), projection.NewDigester())
		if o.Metrics.SecureServing != secure || (o.Metrics.FilterProvider != nil) != secure {
			t.Errorf("insecure %t: HTTPS %t, filter %t", insecure, o.Metrics.SecureServing, o.Metrics.FilterProvider != nil)
		}
	}
}

func TestALeaderHasItsLeaseInItsOwnNamespaceAndGivesItBack(t *testing.T) {
	o := managerOptions(Options{Namespace: "vault", LeaderElection: true}.withDefaults(), projection.NewDigester())
	if !o.LeaderElection || o.LeaderElectionID != LeaseName || o.LeaderElectionNamespace != "vault" || !o.LeaderElectionReleaseOnCancel {
		t.Errorf("%+v", o)
	}
	if *o.GracefulShutdownTimeout != 30*time.Second || o.Controller.ReconciliationTimeout <= 0 || !*o.Client.Cache.EnableReadYourWritesConsistency {
		t.Errorf("%+v, %+v", o.Controller, o.Client.Cache)
	}
}

// Each kind that is watched is a watch of the whole cluster, and memory for all of its objects.
func TestOnlyTheseKindsAreWatchedAndOfCoreSecretsConfigMapsAndJobsOnlyThoseWithTheLabel(t *testing.T) {
	options := cacheOptions(projection.NewDigester())
	var kinds []string
	for object, by := range options.ByObject {
		kinds = append(kinds, fmt.Sprint(reflect.TypeOf(object)))
		if _, ok := object.(*corev1.Secret); !ok {
			if _, ok := object.(*corev1.ConfigMap); ok {
				if by.Label == nil || by.Label.Matches(labels.Set{"app": "x"}) || !by.Label.Matches(labels.Set{v1alpha1.ManagedLabel: v1alpha1.ManagedGateway}) {
					t.Errorf("ConfigMaps are watched by %v", by.Label)
				}
			} else if _, ok := object.(*batchv1.Job); ok {
				if by.Label == nil || by.Label.Matches(labels.Set{"app": "x"}) || !by.Label.Matches(labels.Set{v1alpha1.ManagedLabel: v1alpha1.ManagedRotation}) || by.Transform == nil {
					t.Errorf("Jobs are watched by %v", by.Label)
				}
			} else if by.Label != nil {
				t.Errorf("%T is watched by label", object)
			}
			continue
		}
		for _, tt := range []struct {
			set  labels.Set
			want bool
		}{
			{nil, false}, {labels.Set{"app": "x"}, false}, {labels.Set{v1alpha1.ManagedLabel: ""}, true},
			{labels.Set{v1alpha1.ManagedLabel: v1alpha1.ManagedProjection}, true}, {labels.Set{v1alpha1.ManagedLabel: v1alpha1.ManagedSource}, true},
		} {
			if got := by.Label.Matches(tt.set); got != tt.want {
				t.Errorf("%v is watched: %t", tt.set, got)
			}
		}
		if by.Transform == nil {
			t.Error("values of core Secrets would be kept in memory")
		}
	}
	slices.Sort(kinds)
	want := []string{"*v1.ConfigMap", "*v1.Job", "*v1.Namespace", "*v1.Secret", "*v1alpha1.Certificate", "*v1alpha1.CertificateAuthority", "*v1alpha1.Envelope", "*v1alpha1.HSMCluster", "*v1alpha1.IAMGroup", "*v1alpha1.IAMPolicy", "*v1alpha1.IAMRole", "*v1alpha1.IAMUser", "*v1alpha1.KMSGrant", "*v1alpha1.KMSKey", "*v1alpha1.Keyring", "*v1alpha1.Parameter", "*v1alpha1.ParameterTree", "*v1alpha1.Secret"}
	if !slices.Equal(kinds, want) || !options.ReaderFailOnMissingInformer || options.DefaultTransform == nil {
		t.Errorf("%v, want %v", kinds, want)
	}
}

func TestTheSchemeKnowsWhatIsReadAndWritten(t *testing.T) {
	scheme := Scheme()
	for _, gvk := range []schema.GroupVersionKind{
		v1alpha1.SchemeGroupVersion.WithKind("Secret"), v1alpha1.SchemeGroupVersion.WithKind("KMSKey"), v1alpha1.SchemeGroupVersion.WithKind("EnvelopeList"),
		corev1.SchemeGroupVersion.WithKind("Secret"), {Group: "apps", Version: "v1", Kind: "Deployment"}, {Group: "coordination.k8s.io", Version: "v1", Kind: "Lease"},
	} {
		if !scheme.Recognizes(gvk) {
			t.Errorf("%s is unknown", gvk)
		}
	}
}
