// Package serving is the gateway's listener: its certificate, which it renews in place, and its limits of time and size.
package serving

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/authority"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/acmpca"
)

const (
	// AuthoritySecretName is the core Secret, in Strongroom's own namespace, that holds the authority of the gateway's
	// certificates. All replicas share it.
	AuthoritySecretName = "strongroom-gateway-ca"
	// BundleConfigMapName is the ConfigMap, in Strongroom's own namespace, whose key ca.crt clients trust.
	BundleConfigMapName = v1alpha1.GatewayConfigMap
	// BundleKey is the key of the ConfigMap.
	BundleKey = v1alpha1.GatewayAuthorityKey

	fieldOwner = "strongroom-gateway"
	// retry is how long to wait after a failure of the API server's.
	retry = 5 * time.Second
	// patience is how long the first certificate waits for an authority that is named: at a start the keyring is sealed for a moment.
	patience = 10 * time.Second
	// checks is how often the cache is asked whether an authority that is named is another by now, or has revoked the certificate.
	checks = 30 * time.Second
	// attempt is how long issuing may take.
	attempt = 30 * time.Second
)

// Certificate keeps the gateway's certificate. Each replica has its own key, which is never stored.
//
// It is issued by the gateway's own authority, or by the CertificateAuthority that is named. If that one cannot issue, the certificate that
// there is stays until it has expired. Without one, the gateway's own authority issues it: whoever makes the authority through the gateway
// needs a gateway. Clients trust both, so that neither change cuts them off.
type Certificate struct {
	// Client has no cache: neither object is worth a watch.
	Client client.Client
	// Namespace is Strongroom's own.
	Namespace string
	// Names are the DNS names and IP addresses of the gateway.
	Names []string
	// Authority names the CertificateAuthority that issues; empty for the gateway's own. Authorities issues by it.
	Authority   client.ObjectKey
	Authorities *acmpca.Service
	// Now is the clock.
	Now func() time.Time
	Log logr.Logger

	current atomic.Pointer[issued]
	// told is what was said last of why the authority that is named does not issue. Keep alone uses it.
	told string
}

// +kubebuilder:rbac:groups="",namespace=strongroom-system,resources=secrets,resourceNames=strongroom-gateway-ca,verbs=get
// +kubebuilder:rbac:groups="",namespace=strongroom-system,resources=configmaps,verbs=get;create;patch

var errNoCertificate = errors.New("the gateway has no certificate yet")

// Get is tls.Config's GetCertificate.
func (c *Certificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if current := c.current.Load(); current != nil {
		return current.Certificate, nil
	}
	return nil, errNoCertificate
}

// Keep issues the certificate, publishes the bundle, and issues it anew when two thirds of its life are over, until the context
// ends. Ready is called once, when there is a certificate. A failure is tried again; the certificate that there is stays.
func (c *Certificate) Keep(ctx context.Context, ready func()) error {
	c.await(ctx)
	for {
		if c.due(ctx) {
			if err := c.renew(ctx); err != nil && ctx.Err() == nil {
				c.Log.Error(err, "The gateway's certificate was not renewed; trying again")
			}
		}
		if ready != nil && c.current.Load() != nil {
			ready()
			ready = nil
		}
		if !sleep(ctx, c.pause()) {
			return nil
		}
	}
}

// pause is how long to wait until the certificate is looked at again.
func (c *Certificate) pause() time.Duration {
	current := c.current.Load()
	if current == nil {
		return retry
	}
	wait := authority.RenewalTime(current.Leaf).Sub(c.Now())
	switch {
	case c.Authority.Name == "":
	case current.authority == "":
		wait = retry // in the place of the named one's
	default:
		wait = min(wait, checks)
	}
	return max(wait, retry)
}

// sleep tells whether the context still runs after a time.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// await waits a moment for the authority that is named.
func (c *Certificate) await(ctx context.Context) {
	for began := time.Now(); c.Authority.Name != "" && time.Since(began) < patience; {
		ca, err := c.Authorities.ByName(ctx, c.Authority.Namespace, c.Authority.Name)
		if err == nil {
			_, err = c.Authorities.Authority(ctx, ca)
		}
		if err == nil || !sleep(ctx, patience/50) {
			return
		}
	}
}

// due tells whether to issue.
func (c *Certificate) due(ctx context.Context) bool {
	current := c.current.Load()
	switch {
	case current == nil, !authority.RenewalTime(current.Leaf).After(c.Now()):
		return true
	case c.Authority.Name == "":
		return false
	case current.authority == "":
		return true
	}
	why := c.named().check(ctx, *current)
	if why != nil {
		c.Log.Info("The gateway's certificate is issued anew", "authority", c.Authority.String(), "reason", why.Error())
	}
	return why != nil
}

func (c *Certificate) named() *named { return &named{c.Authorities, c.Authority} }

// renew issues the certificate and publishes the bundle, from the authority as it is now. Whoever dies between leaves the next one the same
// to do.
func (c *Certificate) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	own, err := c.own(ctx)
	if c.Authority.Name == "" {
		return c.byOwn(ctx, own, err, nil)
	}
	next, root, why := c.named().issue(ctx, c.Names, c.Now())
	c.tell(why)
	switch {
	case why == nil:
		return errors.Join(err, c.take(ctx, next, bundle(own, root)))
	case c.lasts():
		return nil // it has been said
	}
	return c.byOwn(ctx, own, err, c.published(ctx)) // other replicas may have a certificate of the named one's
}

// byOwn has the gateway's own authority issue, if it could be read. Clients trust others besides.
func (c *Certificate) byOwn(ctx context.Context, own *authority.Authority, err error, others []*x509.Certificate) error {
	if err != nil {
		return err
	}
	leaf, err := own.Issue(c.Names, c.Now())
	if err != nil {
		return err
	}
	return c.take(ctx, issued{Certificate: leaf}, bundle(own, others...))
}

// lasts tells whether the certificate that there is can stay while the authority that is named cannot issue: to its end if it is that
// one's, and else as long as any of the own authority's.
func (c *Certificate) lasts() bool {
	current := c.current.Load()
	if current == nil {
		return false
	}
	until := current.Leaf.NotAfter
	if current.authority == "" {
		until = authority.RenewalTime(current.Leaf)
	}
	return until.After(c.Now())
}

// take publishes what clients trust, and then serves the certificate. The bundle is one write, the same of every replica.
func (c *Certificate) take(ctx context.Context, next issued, bundle []byte) error {
	published := corev1ac.ConfigMap(BundleConfigMapName, c.Namespace).
		WithLabels(map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedGateway}).WithData(map[string]string{BundleKey: string(bundle)})
	if err := c.Client.Apply(ctx, published, client.FieldOwner(fieldOwner), client.ForceOwnership); err != nil {
		return fmt.Errorf("publishing ConfigMap %s/%s: %w", c.Namespace, BundleConfigMapName, err)
	}
	c.current.Store(&next)
	certificateExpiry.Set(float64(next.Leaf.NotAfter.Unix()))
	if c.Authority.Name != "" {
		authorityInForce.WithLabelValues(c.Authority.String()).Set(map[bool]float64{true: 1}[next.authority != ""])
	}
	return nil
}

// bundle is PEM of what clients trust: other authorities, and the own one if it is known.
func bundle(own *authority.Authority, others ...*x509.Certificate) []byte {
	text := pki.CertificatesPEM(others)
	if own != nil && !bytes.Contains(text, own.CertificatePEM()) {
		text = append(text, own.CertificatePEM()...)
	}
	return text
}

// published are the authorities that clients trust now and that have not expired. A bundle that cannot be read is none.
func (c *Certificate) published(ctx context.Context) []*x509.Certificate {
	var config corev1.ConfigMap
	if err := c.Client.Get(ctx, client.ObjectKey{Namespace: c.Namespace, Name: BundleConfigMapName}, &config); err != nil {
		return nil
	}
	trusted, err := pki.ParseCertificates([]byte(config.Data[BundleKey]))
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(trusted, func(a *x509.Certificate) bool { return !a.NotAfter.After(c.Now()) })
}

// tell logs why the authority that is named does not issue, once for each reason.
func (c *Certificate) tell(why error) {
	text := ""
	if why != nil {
		text = fault.Message(why)
	}
	if text == c.told {
		return
	}
	if c.told = text; why == nil {
		c.Log.Info("The gateway's certificate comes from its CertificateAuthority", "authority", c.Authority.String())
		return
	}
	c.Log.Info("The gateway's CertificateAuthority does not issue; the certificate that there is stays, or the gateway's own authority issues one",
		"authority", c.Authority.String(), "reason", fault.Of(why).Reason, "message", text)
}
