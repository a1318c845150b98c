// Package metrics exports what Strongroom's objects are like. Per-object series come from collectors over the cache, so
// that they go with their object and cannot be stale.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

var objectLabels = []string{"kind", "namespace", "name"}

var (
	readyDesc = prometheus.NewDesc("strongroom_object_ready",
		"Whether an object is Ready: 1 if so, 0 if not, with the reason of its condition.",
		append(objectLabels, "reason"), nil)
	nextRotationDesc = prometheus.NewDesc("strongroom_next_rotation_timestamp_seconds",
		"When an object will be rotated.", objectLabels, nil)
	rotationAttemptsDesc = prometheus.NewDesc("strongroom_rotation_attempts",
		"Failed attempts of an object's rotation in progress, with the reason of the last. There is none while no rotation fails.",
		append(objectLabels, "reason"), nil)
	replicationDesc = prometheus.NewDesc("strongroom_replication_failing",
		"Regions that a Secret is not replicated to, though it lists them. There is none while none fails.", objectLabels, nil)
	lastRotationDesc = prometheus.NewDesc("strongroom_last_rotated_timestamp_seconds",
		"When an object's value or key material was last made.", objectLabels, nil)
	notAfterDesc = prometheus.NewDesc("strongroom_certificate_expiration_timestamp_seconds",
		"When the certificate of an object expires.", objectLabels, nil)
	renewalDesc = prometheus.NewDesc("strongroom_certificate_renewal_timestamp_seconds",
		"When the certificate of an object will be renewed.", objectLabels, nil)
	expirationDesc = prometheus.NewDesc("strongroom_parameter_expiration_timestamp_seconds",
		"When a Parameter expires by its Expiration policy, and is then deleted.", objectLabels, nil)
	notificationDesc = prometheus.NewDesc("strongroom_parameter_policy_notification",
		"1 while a notification of a Parameter's policies stands: it is about to expire, or has not been changed.", append(objectLabels, "policy"), nil)
	epochDesc = prometheus.NewDesc("strongroom_domain_key_epoch",
		"The epoch of the domain key that wraps.", objectLabels, nil)
	rewrapDesc = prometheus.NewDesc("strongroom_rewrap_remaining",
		"Envelopes under former domain keys that are still to be rewrapped. There is none before the first rotation.", objectLabels, nil)
	sealedDesc = prometheus.NewDesc("strongroom_sealed",
		"Whether the keyring is sealed, so that nothing can be encrypted or decrypted.", nil, nil)
)

// patience bounds how long one scrape reads, which is shorter than the ten seconds that Prometheus waits by default. A kind that could not be
// read by then is missing from the scrape, and no other.
const patience = 5 * time.Second

// Collector collects from the cache when it is scraped.
type Collector struct {
	reader  client.Reader
	keyring *keyring.Holder
}

// NewCollector makes a Collector that reads from a cache: as it is, and not from a client that waits until the cache has seen its
// writes. A scrape that waits for a watch would tell nothing just while something is wrong with that watch.
func NewCollector(reader client.Reader, holder *keyring.Holder) *Collector {
	return &Collector{reader: reader, keyring: holder}
}

// Register adds a collector to the manager's registry. A process has one: another takes its place.
func Register(reader client.Reader, holder *keyring.Holder) error {
	collector := NewCollector(reader, holder)
	err := ctrlmetrics.Registry.Register(collector)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		ctrlmetrics.Registry.Unregister(already.ExistingCollector)
		err = ctrlmetrics.Registry.Register(collector)
	}
	if err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	return nil
}

// Describe lists the metrics.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{readyDesc, nextRotationDesc, rotationAttemptsDesc, replicationDesc, lastRotationDesc, notAfterDesc, renewalDesc, expirationDesc, notificationDesc, epochDesc, rewrapDesc, sealedDesc} {
		ch <- d
	}
}

// Collect reads all objects.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	sealed := 0.0
	if _, err := c.keyring.Get(); err != nil {
		sealed = 1
	}
	ch <- prometheus.MustNewConstMetric(sealedDesc, prometheus.GaugeValue, sealed)

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var all sync.WaitGroup // at once, so that each kind has all of the time
	for _, collect := range []func(context.Context, chan<- prometheus.Metric){
		c.collectSecrets, c.collectParameters, c.collectTrees, c.collectUsers, c.collectRoles, c.collectGroups, c.collectPolicies,
		c.collectCertificates, c.collectAuthorities, c.collectHSMClusters, c.collectKeyrings, c.collectKeys,
	} {
		all.Go(func() { collect(ctx, ch) })
	}
	all.Wait()
}

func (c *Collector) collectSecrets(ctx context.Context, ch chan<- prometheus.Metric) {
	var secrets v1alpha1.SecretList
	if err := c.reader.List(ctx, &secrets, client.UnsafeDisableDeepCopy); err == nil {
		for i := range secrets.Items {
			s := &secrets.Items[i]
			ready(ch, "Secret", &s.ObjectMeta, s.Status.Conditions)
			timestamp(ch, nextRotationDesc, "Secret", &s.ObjectMeta, s.Status.NextRotationTime)
			timestamp(ch, lastRotationDesc, "Secret", &s.ObjectMeta, s.Status.LastRotatedTime)
			rotationAttempts(ch, s)
			replicationFailing(ch, s)
		}
	}
}

func (c *Collector) collectParameters(ctx context.Context, ch chan<- prometheus.Metric) {
	var parameters v1alpha1.ParameterList
	if err := c.reader.List(ctx, &parameters, client.UnsafeDisableDeepCopy); err == nil {
		for i := range parameters.Items {
			p := &parameters.Items[i]
			ready(ch, "Parameter", &p.ObjectMeta, p.Status.Conditions)
			timestamp(ch, lastRotationDesc, "Parameter", &p.ObjectMeta, p.Status.LastModifiedTime)
			policies(ch, p)
		}
	}
}

func (c *Collector) collectKeys(ctx context.Context, ch chan<- prometheus.Metric) {
	var keys v1alpha1.KMSKeyList
	if err := c.reader.List(ctx, &keys, client.UnsafeDisableDeepCopy); err == nil {
		for i := range keys.Items {
			k := &keys.Items[i]
			ready(ch, "KMSKey", &k.ObjectMeta, k.Status.Conditions)
			timestamp(ch, nextRotationDesc, "KMSKey", &k.ObjectMeta, k.Status.NextRotationTime)
			if n := len(k.Status.KeyMaterials); n > 0 {
				timestamp(ch, lastRotationDesc, "KMSKey", &k.ObjectMeta, &k.Status.KeyMaterials[n-1].CreatedTime)
			}
		}
	}
}

// collectCertificates collects what cert-manager's users look at: when a certificate expires, and when it will be renewed.
func (c *Collector) collectCertificates(ctx context.Context, ch chan<- prometheus.Metric) {
	var certificates v1alpha1.CertificateList
	if err := c.reader.List(ctx, &certificates, client.UnsafeDisableDeepCopy); err == nil {
		for i := range certificates.Items {
			o := &certificates.Items[i]
			ready(ch, "Certificate", &o.ObjectMeta, o.Status.Conditions)
			timestamp(ch, notAfterDesc, "Certificate", &o.ObjectMeta, o.Status.NotAfter)
			timestamp(ch, renewalDesc, "Certificate", &o.ObjectMeta, o.Status.RenewalTime)
		}
	}
}

// collectAuthorities collects the same of authorities.
func (c *Collector) collectAuthorities(ctx context.Context, ch chan<- prometheus.Metric) {
	var authorities v1alpha1.CertificateAuthorityList
	if err := c.reader.List(ctx, &authorities, client.UnsafeDisableDeepCopy); err == nil {
		for i := range authorities.Items {
			o := &authorities.Items[i]
			ready(ch, "CertificateAuthority", &o.ObjectMeta, o.Status.Conditions)
			timestamp(ch, notAfterDesc, "CertificateAuthority", &o.ObjectMeta, o.Status.NotAfter)
			timestamp(ch, renewalDesc, "CertificateAuthority", &o.ObjectMeta, o.Status.RenewalTime)
		}
	}
}

// policies collects what the policies of a parameter have come to.
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

// collectTrees collects whether the trees of parameters are shown.
func (c *Collector) collectTrees(ctx context.Context, ch chan<- prometheus.Metric) {
	var trees v1alpha1.ParameterTreeList
	if err := c.reader.List(ctx, &trees, client.UnsafeDisableDeepCopy); err == nil {
		for i := range trees.Items {
			ready(ch, "ParameterTree", &trees.Items[i].ObjectMeta, trees.Items[i].Status.Conditions)
		}
	}
}

// collectKeyrings collects which domain key wraps, and how far the rewrap has come.
func (c *Collector) collectKeyrings(ctx context.Context, ch chan<- prometheus.Metric) {
	var keyrings v1alpha1.KeyringList
	if err := c.reader.List(ctx, &keyrings, client.UnsafeDisableDeepCopy); err != nil {
		return
	}
	for i := range keyrings.Items {
		k := &keyrings.Items[i]
		ready(ch, "Keyring", &k.ObjectMeta, k.Status.Conditions)
		timestamp(ch, nextRotationDesc, "Keyring", &k.ObjectMeta, k.Status.NextRotationTime)
		timestamp(ch, lastRotationDesc, "Keyring", &k.ObjectMeta, k.Status.LastRotatedTime)
		if k.Status.CurrentEpoch > 0 {
			ch <- prometheus.MustNewConstMetric(epochDesc, prometheus.GaugeValue, float64(k.Status.CurrentEpoch), "Keyring", k.Namespace, k.Name)
		}
		if rewrap := k.Status.Rewrap; rewrap != nil {
			ch <- prometheus.MustNewConstMetric(rewrapDesc, prometheus.GaugeValue, float64(rewrap.Total-rewrap.Done), "Keyring", k.Namespace, k.Name)
		}
	}
}

// collectUsers, and those after it, collect whether users, roles, groups and policies are in force.
func (c *Collector) collectUsers(ctx context.Context, ch chan<- prometheus.Metric) {
	var users v1alpha1.IAMUserList
	if err := c.reader.List(ctx, &users, client.UnsafeDisableDeepCopy); err == nil {
		for i := range users.Items {
			ready(ch, "IAMUser", &users.Items[i].ObjectMeta, users.Items[i].Status.Conditions)
		}
	}
}

func (c *Collector) collectRoles(ctx context.Context, ch chan<- prometheus.Metric) {
	var roles v1alpha1.IAMRoleList
	if err := c.reader.List(ctx, &roles, client.UnsafeDisableDeepCopy); err == nil {
		for i := range roles.Items {
			ready(ch, "IAMRole", &roles.Items[i].ObjectMeta, roles.Items[i].Status.Conditions)
		}
	}
}

func (c *Collector) collectGroups(ctx context.Context, ch chan<- prometheus.Metric) {
	var groups v1alpha1.IAMGroupList
	if err := c.reader.List(ctx, &groups, client.UnsafeDisableDeepCopy); err == nil {
		for i := range groups.Items {
			ready(ch, "IAMGroup", &groups.Items[i].ObjectMeta, groups.Items[i].Status.Conditions)
		}
	}
}

func (c *Collector) collectPolicies(ctx context.Context, ch chan<- prometheus.Metric) {
	var policies v1alpha1.IAMPolicyList
	if err := c.reader.List(ctx, &policies, client.UnsafeDisableDeepCopy); err == nil {
		for i := range policies.Items {
			ready(ch, "IAMPolicy", &policies.Items[i].ObjectMeta, policies.Items[i].Status.Conditions)
		}
	}
}

func ready(ch chan<- prometheus.Metric, kind string, object *metav1.ObjectMeta, conditions []metav1.Condition) {
	value, reason := 0.0, v1alpha1.ReasonPending
	if c := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); c != nil {
		reason = c.Reason
		if c.Status == metav1.ConditionTrue {
			value = 1
		}
	}
	ch <- prometheus.MustNewConstMetric(readyDesc, prometheus.GaugeValue, value, kind, object.Namespace, object.Name, reason)
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
