package metrics

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
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
