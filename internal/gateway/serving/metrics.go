package serving

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var refusedConnections = prometheus.NewCounter(prometheus.CounterOpts{
	Name: "strongroom_gateway_connections_refused_total",
	Help: "Connections to the AWS APIs that were closed at once because their source had its share of all.",
})

func init() { metrics.Registry.MustRegister(refusedConnections) }
