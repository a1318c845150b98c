package metrics

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"strongroom.dev/strongroom/api/v1alpha1"
)

var rootDesc = prometheus.NewDesc("strongroom_root_reached",
	"Whether the root of trust answered when it was last asked: 1 if so, 0 if not. A manager that is unsealed goes on without it, and one that starts is sealed.",
	[]string{"root"}, nil)

// RootCollector tells of the root of trust when it is scraped.
type RootCollector func() (root string, reached bool)

// Describe implements prometheus.Collector.
func (c RootCollector) Describe(ch chan<- *prometheus.Desc) { ch <- rootDesc }

// Collect implements prometheus.Collector.
func (c RootCollector) Collect(ch chan<- prometheus.Metric) {
	value := 0.0
	root, reached := c()
	if reached {
		value = 1
	}
	ch <- prometheus.MustNewConstMetric(rootDesc, prometheus.GaugeValue, value, root)
}

// RegisterRoot adds the root of trust to the manager's registry. A process has one: another takes its place.
func RegisterRoot(reached RootCollector) error {
	err := ctrlmetrics.Registry.Register(reached)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		ctrlmetrics.Registry.Unregister(already.ExistingCollector)
		err = ctrlmetrics.Registry.Register(reached)
	}
	if err != nil {
		return fmt.Errorf("registering the metric of the root of trust: %w", err)
	}
	return nil
}

// collectHSMClusters collects whether all nodes of clusters serve.
func (c *Collector) collectHSMClusters(ctx context.Context, ch chan<- prometheus.Metric) {
	var clusters v1alpha1.HSMClusterList
	if err := c.reader.List(ctx, &clusters, client.UnsafeDisableDeepCopy); err == nil {
		for i := range clusters.Items {
			ready(ch, "HSMCluster", &clusters.Items[i].ObjectMeta, clusters.Items[i].Status.Conditions)
		}
	}
}
