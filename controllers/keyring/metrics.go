package keyring

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var damagedEnvelopes = prometheus.NewGauge(prometheus.GaugeOpts{
	Name: "strongroom_damaged_envelopes",
	Help: "Envelopes that do not open under the domain key that they name, as the leader last saw.",
})

func init() { metrics.Registry.MustRegister(damagedEnvelopes) }
