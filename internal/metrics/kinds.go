package metrics

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// kinds are those that are collected. KMSGrants are not: an account can have a hundred thousand of them.
var kinds = []func(context.Context, client.Reader, chan<- prometheus.Metric){
	kind("Secret", &v1alpha1.SecretList{}, secret),
	kind("Parameter", &v1alpha1.ParameterList{}, parameter),
	kind[*v1alpha1.ParameterTree]("ParameterTree", &v1alpha1.ParameterTreeList{}),
	kind("KMSKey", &v1alpha1.KMSKeyList{}, key),
	kind("Keyring", &v1alpha1.KeyringList{}, domainKey),
	kind("Certificate", &v1alpha1.CertificateList{}, func(ch chan<- prometheus.Metric, c *v1alpha1.Certificate) {
		validity(ch, "Certificate", &c.ObjectMeta, c.Status.NotAfter, c.Status.RenewalTime)
	}),
	kind("CertificateAuthority", &v1alpha1.CertificateAuthorityList{}, func(ch chan<- prometheus.Metric, a *v1alpha1.CertificateAuthority) {
		validity(ch, "CertificateAuthority", &a.ObjectMeta, a.Status.NotAfter, a.Status.RenewalTime)
	}),
	kind[*v1alpha1.HSMCluster]("HSMCluster", &v1alpha1.HSMClusterList{}),
	kind[*v1alpha1.IAMUser]("IAMUser", &v1alpha1.IAMUserList{}),
	kind[*v1alpha1.IAMRole]("IAMRole", &v1alpha1.IAMRoleList{}),
	kind[*v1alpha1.IAMGroup]("IAMGroup", &v1alpha1.IAMGroupList{}),
	kind[*v1alpha1.IAMPolicy]("IAMPolicy", &v1alpha1.IAMPolicyList{}),
}

// object is one of a kind that is collected.
type object interface {
	client.Object
	GetConditions() []metav1.Condition
}

// kind collects the objects of a kind: whether each is Ready, and what else is told of it. A kind that cannot be listed is missing.
func kind[O object](name string, empty client.ObjectList, more ...func(chan<- prometheus.Metric, O)) func(context.Context, client.Reader, chan<- prometheus.Metric) {
	return func(ctx context.Context, reader client.Reader, ch chan<- prometheus.Metric) {
		list := empty.DeepCopyObject().(client.ObjectList)
		if err := reader.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return
		}
		_ = meta.EachListItem(list, func(item runtime.Object) error { // which fails for what is no list
			o := item.(O)
			ready(ch, name, o)
			for _, tell := range more {
				tell(ch, o)
			}
			return nil
		})
	}
}

func secret(ch chan<- prometheus.Metric, s *v1alpha1.Secret) {
	timestamp(ch, nextRotationDesc, "Secret", &s.ObjectMeta, s.Status.NextRotationTime)
	timestamp(ch, lastRotationDesc, "Secret", &s.ObjectMeta, s.Status.LastRotatedTime)
	rotationAttempts(ch, s)
	replicationFailing(ch, s)
}

func parameter(ch chan<- prometheus.Metric, p *v1alpha1.Parameter) {
	timestamp(ch, lastRotationDesc, "Parameter", &p.ObjectMeta, p.Status.LastModifiedTime)
	policies(ch, p)
}

func key(ch chan<- prometheus.Metric, k *v1alpha1.KMSKey) {
	timestamp(ch, nextRotationDesc, "KMSKey", &k.ObjectMeta, k.Status.NextRotationTime)
	if n := len(k.Status.KeyMaterials); n > 0 {
		timestamp(ch, lastRotationDesc, "KMSKey", &k.ObjectMeta, &k.Status.KeyMaterials[n-1].CreatedTime)
	}
}

// domainKey tells which domain key wraps, and how far the rewrap has come.
func domainKey(ch chan<- prometheus.Metric, k *v1alpha1.Keyring) {
	timestamp(ch, nextRotationDesc, "Keyring", &k.ObjectMeta, k.Status.NextRotationTime)
	timestamp(ch, lastRotationDesc, "Keyring", &k.ObjectMeta, k.Status.LastRotatedTime)
	if k.Status.CurrentEpoch > 0 {
		ch <- prometheus.MustNewConstMetric(epochDesc, prometheus.GaugeValue, float64(k.Status.CurrentEpoch), "Keyring", k.Namespace, k.Name)
	}
	if rewrap := k.Status.Rewrap; rewrap != nil {
		ch <- prometheus.MustNewConstMetric(rewrapDesc, prometheus.GaugeValue, float64(rewrap.Total-rewrap.Done), "Keyring", k.Namespace, k.Name)
	}
}

// validity tells what cert-manager's users look at: when a certificate expires, and when it will be renewed.
func validity(ch chan<- prometheus.Metric, kind string, of *metav1.ObjectMeta, notAfter, renewal *metav1.Time) {
	timestamp(ch, notAfterDesc, kind, of, notAfter)
	timestamp(ch, renewalDesc, kind, of, renewal)
}

// policies tells what the policies of a parameter have come to.
func policies(ch chan<- prometheus.Metric, p *v1alpha1.Parameter) {
	if at := parameterstore.Expiry(p); at != nil {
		ch <- prometheus.MustNewConstMetric(expirationDesc, prometheus.GaugeValue, float64(at.Unix()), "Parameter", p.Namespace, p.Name)
	}
	for condition, policy := range map[string]string{
		v1alpha1.ConditionExpiring:  v1alpha1.ReasonExpirationNotification,
		v1alpha1.ConditionUnchanged: v1alpha1.ReasonNoChangeNotification,
	} {
		if meta.IsStatusConditionTrue(p.Status.Conditions, condition) {
			ch <- prometheus.MustNewConstMetric(notificationDesc, prometheus.GaugeValue, 1, "Parameter", p.Namespace, p.Name, policy)
		}
	}
}

func ready(ch chan<- prometheus.Metric, kind string, o object) {
	value, reason := 0.0, v1alpha1.ReasonPending
	if c := meta.FindStatusCondition(o.GetConditions(), v1alpha1.ConditionReady); c != nil {
		reason = c.Reason
		if c.Status == metav1.ConditionTrue {
			value = 1
		}
	}
	ch <- prometheus.MustNewConstMetric(readyDesc, prometheus.GaugeValue, value, kind, o.GetNamespace(), o.GetName(), reason)
}

func timestamp(ch chan<- prometheus.Metric, desc *prometheus.Desc, kind string, object *metav1.ObjectMeta, t *metav1.Time) {
	if t != nil {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(t.Unix()), kind, object.Namespace, object.Name)
	}
}

// rotationAttempts collects a rotation that fails. One whose count status does not know yet has failed once.
func rotationAttempts(ch chan<- prometheus.Metric, s *v1alpha1.Secret) {
	failing := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionRotationFailing)
	if failing == nil || failing.Status != metav1.ConditionTrue {
		return
	}
	attempts := int32(1)
	if s.Status.RotationTest != nil {
		attempts = max(attempts, s.Status.RotationTest.Attempts)
	}
	if s.Status.Rotation != nil {
		attempts = max(attempts, s.Status.Rotation.Attempts)
	}
	ch <- prometheus.MustNewConstMetric(rotationAttemptsDesc, prometheus.GaugeValue, float64(attempts), "Secret", s.Namespace, s.Name, failing.Reason)
}

// replicationFailing collects how many regions of a Secret fail.
func replicationFailing(ch chan<- prometheus.Metric, s *v1alpha1.Secret) {
	failing := 0
	for i := range s.Status.Replication {
		if s.Status.Replication[i].State == v1alpha1.ReplicationFailed {
			failing++
		}
	}
	if failing > 0 {
		ch <- prometheus.MustNewConstMetric(replicationDesc, prometheus.GaugeValue, float64(failing), "Secret", s.Namespace, s.Name)
	}
}
