package projection_test

import (
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/test/environment"
)

// everyPolicy of a target.
var everyPolicy = []v1alpha1.CreationPolicy{"", v1alpha1.CreationPolicyOwner, v1alpha1.CreationPolicyAdopt, v1alpha1.CreationPolicyMerge}

func TestWhichNamesAreNoTargetWhateverIsThere(t *testing.T) {
	p := &projection.Projector{Reserved: []projection.Reserved{
		{Namespace: "own", Name: regexp.MustCompile("^root$"), What: "the root"},
		{ConfigMap: true, Name: regexp.MustCompile("^settings$"), What: "the settings"},
	}}
	tests := []struct {
		configMap       bool
		namespace, name string
		says            string
	}{
		{true, "shop", "kube-root-ca.crt", "ConfigMap kube-root-ca.crt is what pods know the API server by"},
		{true, "own", "kube-root-ca.crt", "name another target"},
		{false, "shop", "kube-root-ca.crt", ""},
		{true, "shop", "kube-root-caXcrt", ""},
		{false, "own", "root", "core Secret root is the root"},
		{false, "own", "root2", ""},
		{false, "shop", "root", ""},
		{true, "own", "root", ""},
		{true, "own", "settings", "ConfigMap settings is the settings"},
		{true, "shop", "settings", "name another target"},
		{false, "shop", "settings", ""},
	}
	for _, tt := range tests {
		for _, policy := range everyPolicy {
			err := p.CheckName(&projection.Target{ConfigMap: tt.configMap, Namespace: tt.namespace, Name: tt.name, Policy: policy, Owner: owner})
			if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%+v, policy %q: %v", tt, policy, err)
			}
			if f := fault.Of(err); err != nil && (!f.Stalled || f.Reason != v1alpha1.ReasonConflict) {
				t.Errorf("%+v: %+v", tt, f)
			}
		}
	}
}

func TestWhichCoreSecretsAreReservedByTheirNames(t *testing.T) {
	reserved := []projection.Reserved{
		{Namespace: "own", Name: regexp.MustCompile("^root$"), What: "the root"},
		{Name: regexp.MustCompile("^everywhere$"), What: "what is everywhere"},
		{ConfigMap: true, Name: regexp.MustCompile("^settings$"), What: "the settings"},
	}
	for _, tt := range []struct{ namespace, name, what string }{
		{"own", "root", "the root"},
		{"own", "root2", ""},
		{"shop", "root", ""},
		{"shop", "everywhere", "what is everywhere"},
		{"own", "settings", ""},
		{"own", "", ""},
	} {
		if got := projection.ReservedSecret(reserved, tt.namespace, tt.name); got != tt.what {
			t.Errorf("%s/%s: %q", tt.namespace, tt.name, got)
		}
	}
	if got := projection.ReservedSecret(nil, "own", "root"); got != "" {
		t.Errorf("of none: %q", got)
	}
}

func TestWhatIsTheControlPlanesOrStrongroomsOwnIsNoTargetByAnyPolicy(t *testing.T) {
	tests := []struct {
		name     string
		existing corev1.Secret
		says     string
	}{
		{"an access key's", corev1.Secret{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{v1alpha1.AccessKeyIDLabel: "AKIA"}}}, "IAMUser"},
		{"a service account's", corev1.Secret{Type: corev1.SecretTypeServiceAccountToken}, "kubernetes.io/service-account-token"},
		{"a bootstrap token", corev1.Secret{Type: corev1.SecretTypeBootstrapToken}, "bootstrap.kubernetes.io/token"},
		{"a release of Helm's", corev1.Secret{Type: "helm.sh/release.v1"}, "helm.sh/release.v1"},
	}
	for _, tt := range tests {
		for _, policy := range everyPolicy {
			for _, own := range []bool{false, true} {
				existing := tt.existing.DeepCopy()
				if own {
					controlledBy("Secret", "db", owner.UID)(existing)
				}
				target := &projection.Target{Name: "x", Type: string(tt.existing.Type), Policy: policy, Owner: owner}
				verdict, why := projection.Judge(target, existing)
				if verdict != projection.Foreign || !strings.Contains(why, tt.says) || strings.Contains(why, "creationPolicy") {
					t.Errorf("%s, policy %q: %d, %q", tt.name, policy, verdict, why)
				}
			}
		}
	}
	if verdict, why := projection.Judge(&projection.Target{Name: "x", Policy: v1alpha1.CreationPolicyAdopt, Owner: owner}, &corev1.Secret{Type: corev1.SecretTypeOpaque}); verdict != projection.Ours {
		t.Errorf("an ordinary one: %s", why)
	}
}

func TestTheCacheKeepsWhatTellsAnAccessKeysCoreSecret(t *testing.T) {
	for _, managed := range []string{v1alpha1.ManagedAccessKey, v1alpha1.ManagedProjection, v1alpha1.ManagedSource} {
		got, err := projection.NewDigester().Transform()(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{
			Labels: map[string]string{v1alpha1.ManagedLabel: managed, v1alpha1.AccessKeyIDLabel: "AKIA", "other": "x"},
		}})
		labels := got.(*corev1.Secret).Labels
		if err != nil || len(labels) != 2 || labels[v1alpha1.AccessKeyIDLabel] != "AKIA" || labels[v1alpha1.ManagedLabel] != managed {
			t.Errorf("%s: %v, %v", managed, labels, err)
		}
		plain, err := projection.NewDigester().Transform()(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{v1alpha1.ManagedLabel: managed}}})
		if labels := plain.(*corev1.Secret).Labels; err != nil || len(labels) != 1 {
			t.Errorf("%s: an access key's label is on another's: %v, %v", managed, labels, err)
		}
	}
}

var _ = Describe("A target that is Strongroom's own or the cluster's", func() {
	conflict := func(t *projection.Target, says string) {
		GinkgoHelper()
		outcome, err := projector.Project(ctx, t)
		Expect(outcome).To(Equal(projection.Unchanged))
		Expect(err).To(MatchError(ContainSubstring(says)))
		Expect(fault.Of(err)).To(And(HaveField("Reason", v1alpha1.ReasonConflict), HaveField("Stalled", true)))
	}

	It("is refused with no request at all where the name tells, be it there or not", func() {
		for _, name := range []string{"kube-root-ca.crt", "strongroom-parameter-store", "strongroom-gateway-ca"} {
			for _, policy := range everyPolicy {
				conflict(goal(withPolicy(policy), func(t *projection.Target) { t.ConfigMap, t.Name = true, name }), name)
				synced, err := projector.InSync(ctx, goal(withPolicy(policy), func(t *projection.Target) { t.ConfigMap, t.Name = true, name }))
				Expect(synced, err).To(BeFalse())
			}
		}
		for _, name := range []string{"strongroom-root", "strongroom-gateway-ca", "cluster-abcdefghijk", "cluster-abcdefghijk-authority", "pkcs11-token-abcdefghijklmnopqrstuvwx"} {
			for _, policy := range everyPolicy {
				conflict(goal(withPolicy(policy), func(t *projection.Target) { t.Namespace, t.Name = environment.OperatorNamespace, name }), name)
			}
		}
		Expect(traffic.take()).To(BeEmpty())
	})

	It("is refused where it holds an access key, and is left as it is", func() {
		made := foreign("strongroom", func(s *corev1.Secret) { s.Labels = map[string]string{v1alpha1.AccessKeyIDLabel: "AKIAEXAMPLE"} })
		for _, policy := range everyPolicy {
			conflict(goal(withPolicy(policy)), "Strongroom's own")
			conflict(goal(withPolicy(policy), withData("theirs", "evil")), "Strongroom's own")
		}
		Expect(stored("shown").ResourceVersion).To(Equal(made.ResourceVersion))
	})

	It("is refused even if it was taken before", func() {
		project(goal(withData("theirs", "1")))
		edit(func(s *corev1.Secret) { s.Labels[v1alpha1.AccessKeyIDLabel] = "AKIAEXAMPLE" })
		for _, policy := range everyPolicy {
			conflict(goal(withPolicy(policy), withData("theirs", "1")), "Strongroom's own")
		}
	})

	It("is refused where its type is the control plane's", func() {
		made := foreign("helm", func(s *corev1.Secret) { s.Type = "helm.sh/release.v1" })
		for _, policy := range everyPolicy {
			conflict(goal(withPolicy(policy)), "helm.sh/release.v1")
		}
		Expect(stored("shown").ResourceVersion).To(Equal(made.ResourceVersion))
	})

	It("is another's in a namespace that is not Strongroom's", func() {
		outcome, err := projector.Project(ctx, goal(func(t *projection.Target) {
			t.Name, t.Data = "strongroom-root", map[string]secretbytes.Bytes{"a": secretbytes.Copy([]byte("b"))}
		}))
		Expect(outcome, err).To(Equal(projection.Created))
		Expect(apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "strongroom-gateway-ca"}, &corev1.ConfigMap{}))).To(BeTrue())
	})
})
