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
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"strongroom.dev/strongroom/internal/core/keyring"
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
	for _, collect := range kinds {
		all.Go(func() { collect(ctx, c.reader, ch) })
	}
	all.Wait()
}
