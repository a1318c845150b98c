// Package authority issues the certificates of Strongroom's own servers: a root certificate of its own, and short-lived ones
// under it. It is not the authority behind the kind Certificate, which is a CertificateAuthority, and which may issue the gateway's in its
// place; both issue by internal/core/pki.
// https://www.rfc-editor.org/rfc/rfc5280
package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"strongroom.dev/strongroom/internal/core/pki"
)

const (
	// Validity of an authority's certificate. It is replaced by deleting it, which everybody who trusts it has to know.
	Validity = 10 * 365 * 24 * time.Hour
	// LeafValidity of a server's certificate.
	LeafValidity = 30 * 24 * time.Hour

	certificateBlock = "CERTIFICATE"
	keyBlock         = "PRIVATE KEY"
)

// ErrInvalid says that what was to be an authority is none, or not any more.
var ErrInvalid = errors.New("not an authority's certificate and key")

// Authority is a certificate that issues others, and its key. It is immutable.
type Authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// New makes an Authority with a P-256 key.
func New(name string, now time.Time) (*Authority, error) {
	key, err := pki.GenerateKey(pki.ECPrime256v1)
	if err != nil {
		return nil, fmt.Errorf("making an authority's key: %w", err)
	}
	none := 0
	certificate, err := pki.NewRoot(key, pki.AuthorityRequest{
		Subject:   pkix.Name{CommonName: name, Organization: []string{"Strongroom"}},
		NotBefore: pki.Backdate(now, Validity), NotAfter: now.Add(Validity), PathLength: &none,
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("making an authority's certificate: %w", err)
	}
	return &Authority{certificate, key}, nil
}

// Parse reads an Authority from PEM. It wraps ErrInvalid if they do not belong together, or the certificate issues none, or it
// has expired.
func Parse(certificatePEM, keyPEM []byte, now time.Time) (*Authority, error) {
	pair, err := tls.X509KeyPair(certificatePEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: the key is not one of ECDSA", ErrInvalid)
	case !pair.Leaf.IsCA:
		return nil, fmt.Errorf("%w: the certificate is not an authority's", ErrInvalid)
	case now.After(pair.Leaf.NotAfter):
		return nil, fmt.Errorf("%w: the certificate expired at %s", ErrInvalid, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return &Authority{pair.Leaf, key}, nil
}

// CertificatePEM is the certificate that clients trust.
func (a *Authority) CertificatePEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: a.certificate.Raw})
}

// KeyPEM is the private key in PKCS #8.
func (a *Authority) KeyPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, fmt.Errorf("writing an authority's key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}), nil
}

// Issue makes a server's certificate for DNS names and IP addresses, with a key that is in memory alone.
func (a *Authority) Issue(names []string, now time.Time) (*tls.Certificate, error) {
	return a.IssueTo(Identity{CommonName: "strongroom-gateway", Names: names, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, now)
}

// Identity is whom a certificate is for.
type Identity struct {
	CommonName string
	// Names are DNS names and IP addresses of a server, and a URI that names who it is to the other side.
	Names []string
	// Usages are those of a server, of a client, or both.
	Usages []x509.ExtKeyUsage
}

// IssueTo makes a certificate, with a key that is in memory alone.
func (a *Authority) IssueTo(who Identity, now time.Time) (*tls.Certificate, error) {
	key, err := pki.GenerateKey(pki.ECPrime256v1)
	if err != nil {
		return nil, fmt.Errorf("making a certificate's key: %w", err)
	}
	issuer, err := pki.NewAuthority([]*x509.Certificate{a.certificate}, a.key)
	if err != nil {
		return nil, fmt.Errorf("issuing a certificate: %w", err)
	}
	parsed, err := pki.ParseNames(who.Names)
	if err != nil {
		return nil, fmt.Errorf("issuing a certificate: %w", err)
	}
	leaf, err := issuer.Issue(key.Public(), pki.LeafRequest{
		Subject: pkix.Name{CommonName: who.CommonName}, Names: parsed, NotBefore: pki.Backdate(now, LeafValidity), NotAfter: now.Add(LeafValidity),
		Usages: who.Usages,
	})
	if err != nil {
		return nil, fmt.Errorf("issuing a certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw, a.certificate.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// PEM is a certificate's chain, and its key in PKCS #8.
func PEM(c *tls.Certificate) (chain, key []byte, err error) {
	for _, der := range c.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: der})...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return nil, nil, fmt.Errorf("writing a certificate's key: %w", err)
	}
	return chain, pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}), nil
}

// Issued tells whether a certificate is this authority's and good at now.
func (a *Authority) Issued(c *x509.Certificate, now time.Time) bool {
	return c.CheckSignatureFrom(a.certificate) == nil && now.Before(c.NotAfter) && !now.Before(c.NotBefore)
}

// Pool has the authority's certificate alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// RenewalTime of a certificate: when two thirds of its life are over.
func RenewalTime(c *x509.Certificate) time.Time {
	return pki.RenewalTime(c.NotBefore, c.NotAfter, 0, "")
}
