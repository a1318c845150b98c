// Package serving is the gateway's listener: its certificate, which it renews in place, and its limits of time and size.
package serving

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/authority"
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
)

// Certificate keeps the gateway's certificate. Each replica has its own key, which is never stored.
type Certificate struct {
	// Client has no cache: neither object is worth a watch.
	Client client.Client
	// Namespace is Strongroom's own.
	Namespace string
	// Names are the DNS names and IP addresses of the gateway.
	Names []string
	// Now is the clock.
	Now func() time.Time
	Log logr.Logger

	current atomic.Pointer[tls.Certificate]
}

// +kubebuilder:rbac:groups="",namespace=strongroom-system,resources=secrets,resourceNames=strongroom-gateway-ca,verbs=get
// +kubebuilder:rbac:groups="",namespace=strongroom-system,resources=configmaps,verbs=create;patch

var errNoCertificate = errors.New("the gateway has no certificate yet")

// Get is tls.Config's GetCertificate.
func (c *Certificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if current := c.current.Load(); current != nil {
		return current, nil
	}
	return nil, errNoCertificate
}

// Keep issues the certificate, publishes the bundle, and issues it anew when two thirds of its life are over, until the context
// ends. Ready is called once, when there is a certificate. A failure is tried again; the certificate that there is stays.
func (c *Certificate) Keep(ctx context.Context, ready func()) error {
	for {
		wait := retry
		if err := c.renew(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			c.Log.Error(err, "The gateway's certificate was not renewed; trying again")
		} else {
			if ready != nil {
				ready()
				ready = nil
			}
			wait = authority.RenewalTime(c.current.Load().Leaf).Sub(c.Now())
		}
		timer := time.NewTimer(max(wait, retry))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// renew issues the certificate and publishes the bundle, both from the authority as it is now.
func (c *Certificate) renew(ctx context.Context) error {
	a, err := c.authority(ctx)
	if err != nil {
		return err
	}
	bundle := corev1ac.ConfigMap(BundleConfigMapName, c.Namespace).
		WithLabels(map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedGateway}).WithData(map[string]string{BundleKey: string(a.CertificatePEM())})
	// One write, the same of every replica: whoever dies here leaves the next one the same to do.
	if err := c.Client.Apply(ctx, bundle, client.FieldOwner(fieldOwner), client.ForceOwnership); err != nil {
		return fmt.Errorf("publishing ConfigMap %s/%s: %w", c.Namespace, BundleConfigMapName, err)
	}
	issued, err := a.Issue(c.Names, c.Now())
	if err != nil {
		return err
	}
	c.current.Store(issued)
	return nil
}

// authority reads the authority, or makes it. Of two replicas that start at once one makes it and the other is told
// AlreadyExists, and reads the first one's.
func (c *Certificate) authority(ctx context.Context) (*authority.Authority, error) {
	a, err := c.load(ctx)
	if !apierrors.IsNotFound(err) {
		return a, err
	}
	made, err := authority.New("Strongroom gateway", c.Now())
	if err != nil {
		return nil, err
	}
	key, err := made.KeyPEM()
	if err != nil {
		return nil, err
	}
	defer clear(key)
	err = c.Client.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: AuthoritySecretName},
		Type:       corev1.SecretTypeTLS,
		Data:       map[string][]byte{corev1.TLSCertKey: made.CertificatePEM(), corev1.TLSPrivateKeyKey: key},
	})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("creating core Secret %s/%s: %w", c.Namespace, AuthoritySecretName, err)
	}
	return c.load(ctx)
}

func (c *Certificate) load(ctx context.Context) (*authority.Authority, error) {
	var secret corev1.Secret
	if err := c.Client.Get(ctx, client.ObjectKey{Namespace: c.Namespace, Name: AuthoritySecretName}, &secret); err != nil {
		return nil, fmt.Errorf("reading core Secret %s/%s: %w", c.Namespace, AuthoritySecretName, err)
	}
	defer clear(secret.Data[corev1.TLSPrivateKeyKey])
	a, err := authority.Parse(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey], c.Now())
	if err != nil {
		return nil, fmt.Errorf("core Secret %s/%s: %w; delete it, and another is made", c.Namespace, AuthoritySecretName, err)
	}
	return a, nil
}
