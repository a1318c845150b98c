package serving

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/internal/core/authority"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/service/acmpca"
)

// issued is a certificate of the gateway's. Its key is in memory alone.
type issued struct {
	*tls.Certificate
	// authority is the ARN of the CertificateAuthority that issued it; empty for the gateway's own.
	authority string
}

// named issues by a CertificateAuthority.
type named struct {
	authorities *acmpca.Service
	name        client.ObjectKey
}

// issue has the authority issue for the gateway's names, and record it, so that it can be revoked. root is what clients trust.
//
// Crash-safe: what a crash leaves is the record of a certificate whose key is nowhere.
func (n *named) issue(ctx context.Context, names []string, now time.Time) (out issued, root *x509.Certificate, err error) {
	ca, err := n.authorities.ByName(ctx, n.name.Namespace, n.name.Name)
	if err != nil {
		return out, nil, err
	}
	key, err := pki.GenerateKey(pki.ECPrime256v1)
	if err != nil {
		return out, nil, fmt.Errorf("making the gateway's key: %w", err)
	}
	parsed, err := pki.ParseNames(names)
	if err != nil {
		return out, nil, fmt.Errorf("reading the gateway's names: %w", err)
	}
	made, err := n.authorities.Issue(ctx, ca, key.Public(), pki.LeafRequest{
		Subject: pkix.Name{CommonName: "strongroom-gateway"}, Names: parsed, NotBefore: pki.Backdate(now, authority.LeafValidity),
		NotAfter: now.Add(authority.LeafValidity), Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return out, nil, err
	}
	chain := &tls.Certificate{PrivateKey: key, Leaf: made.Chain[0]}
	for _, c := range made.Chain {
		chain.Certificate = append(chain.Certificate, c.Raw)
	}
	return issued{chain, ca.Status.ARN}, made.Chain[len(made.Chain)-1], nil
}

var (
	errOtherAuthority = errors.New("the certificate is not of the authority that is named")
	errRevoked        = errors.New("the certificate is revoked")
)

// check says why a certificate is to be issued anew before its time; nil if it is not. An authority that cannot be asked changes nothing: the
// certificate that there is stays. It asks the cache alone.
func (n *named) check(ctx context.Context, c issued) error {
	ca, err := n.authorities.ByName(ctx, n.name.Namespace, n.name.Name)
	if err != nil || ca.Status.ARN == "" {
		return nil
	}
	if ca.Status.ARN != c.authority {
		return errOtherAuthority
	}
	if revoked, err := n.authorities.IsRevoked(ctx, ca, pki.FormatSerial(c.Leaf.SerialNumber)); err != nil || !revoked {
		return nil
	}
	return errRevoked
}

// own reads the gateway's own authority, or makes it. Of two replicas that start at once one makes it and the other is told
// AlreadyExists, and reads the first one's.
func (c *Certificate) own(ctx context.Context) (*authority.Authority, error) {
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
