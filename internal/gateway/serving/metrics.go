package serving

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var refusedConnections = prometheus.NewCounter(prometheus.CounterOpts{
	Name: "strongroom_gateway_connections_refused_total",
	Help: "Connections to the AWS APIs that were closed at once because their source had its share of all.",
})

var unreadRequests = prometheus.NewCounter(prometheus.CounterOpts{
	Name: "strongroom_gateway_requests_unread_total",
	Help: "Requests to the AWS APIs over HTTP/1 that were refused before they could be read. They have no audit record.",
})

var certificateExpiry = prometheus.NewGauge(prometheus.GaugeOpts{
	Name: "strongroom_gateway_certificate_expiry_timestamp_seconds",
	Help: "End of the certificate that the AWS APIs are served with.",
})

var authorityInForce = prometheus.NewGaugeVec(prometheus.GaugeOpts{
	Name: "strongroom_gateway_authority_in_force",
	Help: "1 if the certificate of the AWS APIs comes from the CertificateAuthority that is named, 0 if it is of the gateway's own authority instead.",
}, []string{"authority"})

func init() {
	metrics.Registry.MustRegister(refusedConnections, unreadRequests, certificateExpiry, authorityInForce)
}
