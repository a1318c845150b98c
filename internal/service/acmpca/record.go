package acmpca

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json/v2"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
)

// Each certificate that an authority issues is recorded as an Envelope of its own before anybody gets it: class IssuedCertificate, owner the
// authority, subject the certificate's ARN with its serial number. A status could not hold thousands; a record of its own is one write,
// is found by serial number without a list, outlives the Certificate that asked for it, and needs no index: it goes when the certificate
// has expired. A revocation is an Envelope too, so that it is one write and done once.

var (
	// ErrNotIssued says that an authority has issued no certificate of a serial number, or that it has expired.
	ErrNotIssued = errors.New("the authority has issued no certificate of that serial number, or it has expired")
	// ErrRevoked says that a certificate is revoked already.
	ErrRevoked = errors.New("the certificate is revoked already")
)

// Issued is a certificate that an authority issued.
type Issued struct {
	// ARN of the certificate: the authority's and the serial number.
	ARN string
	// Chain is the certificate and those above it, up to the root.
	Chain []*x509.Certificate
}

// Issue has an authority issue a certificate for a public key, and records it. The fault says AuthorityNotReady, KeyNotFound, KeyUnusable,
// KeyMismatch, InvalidName, NotPermitted or InvalidCertificate.
// https://docs.aws.amazon.com/privateca/latest/APIReference/API_IssueCertificate.html
//
// Crash-safe: the record comes first. What a crash leaves is the record of a certificate that nobody has.
func (s *Service) Issue(ctx context.Context, ca *v1alpha1.CertificateAuthority, public crypto.PublicKey, in pki.LeafRequest) (Issued, error) {
	a, err := s.Authority(ctx, ca)
	if err != nil {
		return Issued{}, err
	}
	c, err := a.Issue(public, in)
	if err != nil {
		return Issued{}, Fault(err)
	}
	chain := a.Chain()
	if err := s.record(ctx, ca, c, chain); err != nil {
		return Issued{}, err
	}
	return Issued{ARN: arn.IssuedCertificate(ca.Status.ARN, pki.FormatSerial(c.SerialNumber)), Chain: append([]*x509.Certificate{c}, chain...)}, nil
}

func (s *Service) record(ctx context.Context, ca *v1alpha1.CertificateAuthority, c *x509.Certificate, above []*x509.Certificate) error {
	chain := pki.CertificatesPEM(append([]*x509.Certificate{c}, above...))
	_, err := s.keep(ctx, ca, v1alpha1.EnvelopeIssuedCertificate, keys.KindIssuedCertificate, pki.FormatSerial(c.SerialNumber), c.NotAfter, chain)
	return err
}

// keep stores what is known of one issued certificate. made tells that it was not there before.
func (s *Service) keep(ctx context.Context, ca *v1alpha1.CertificateAuthority, class v1alpha1.EnvelopeClass, kind keys.Kind, serial string,
	expires time.Time, payload []byte,
) (made bool, err error) {
	ring, err := s.Keyring.Get()
	if err != nil {
		return false, err
	}
	v := versions.Version{ID: serial, Sequence: 1, Created: s.Now()}
	e := store.New(ca.Namespace, class, Owner(ca.Name), arn.IssuedCertificate(ca.Status.ARN, serial), v, store.DomainKey(ring))
	expireTime := metav1.NewTime(expires).Rfc3339Copy()
	e.Spec.ExpireTime = &expireTime
	if e.Spec.Ciphertext, err = ring.Seal(kind, store.Bound(e), secretbytes.Own(payload)); err != nil {
		return false, fmt.Errorf("sealing the record of a certificate: %w", err)
	}
	stored, err := s.Store.Create(ctx, e)
	return stored == e, err
}

// find reads what is known of one issued certificate. It wraps ErrNotIssued if there is nothing.
func (s *Service) find(ctx context.Context, ca *v1alpha1.CertificateAuthority, class v1alpha1.EnvelopeClass, kind keys.Kind, serial string) (
	*v1alpha1.Envelope, secretbytes.Bytes, error,
) {
	e, err := s.Store.Get(ctx, ca.Namespace, class, Owner(ca.Name), arn.IssuedCertificate(ca.Status.ARN, serial), versions.Version{ID: serial, Sequence: 1})
	if errors.Is(err, store.ErrMissing) {
		return nil, secretbytes.Bytes{}, fmt.Errorf("%w: %s", ErrNotIssued, serial)
	}
	if err != nil {
		return nil, secretbytes.Bytes{}, err
	}
	payload, err := s.open(kind, e)
	return e, payload, err
}

func (s *Service) open(kind keys.Kind, e *v1alpha1.Envelope) (secretbytes.Bytes, error) {
	payload, err := s.Keyring.Open(kind, store.Bound(e), e.Spec.Ciphertext)
	if store.Elsewhere(e, err) {
		return secretbytes.Bytes{}, err
	}
	if err != nil {
		return secretbytes.Bytes{}, fmt.Errorf("%w: Envelope %s does not open; restore it from a backup", store.ErrTampered, e.Name)
	}
	return payload, nil
}

// Issued finds a certificate that an authority issued, by its serial number as pki.FormatSerial writes it. It wraps ErrNotIssued.
// https://docs.aws.amazon.com/privateca/latest/APIReference/API_GetCertificate.html
func (s *Service) Issued(ctx context.Context, ca *v1alpha1.CertificateAuthority, serial string) (Issued, error) {
	_, payload, err := s.find(ctx, ca, v1alpha1.EnvelopeIssuedCertificate, keys.KindIssuedCertificate, serial)
	if err != nil {
		return Issued{}, err
	}
	chain, err := pki.ParseCertificates(payload.Reveal())
	if err != nil {
		return Issued{}, Fault(err)
	}
	return Issued{ARN: arn.IssuedCertificate(ca.Status.ARN, serial), Chain: chain}, nil
}

// revocation is the payload of a Revocation.
type revocation struct {
	Reason pki.Reason `json:"reason"`
}

// Revoke says that a certificate which an authority issued is not to be trusted any more. It wraps ErrNotIssued, or ErrRevoked if it was
// said before. The authority's controller then makes the next revocation list. With an authority's certificate its key is revoked, too, unless
// the reason says that the key is good.
// https://docs.aws.amazon.com/privateca/latest/APIReference/API_RevokeCertificate.html
//
// Crash-safe: the revocation of the key comes first, and that of the certificate, whose name has the serial number, is what makes it done.
func (s *Service) Revoke(ctx context.Context, ca *v1alpha1.CertificateAuthority, serial string, reason pki.Reason) error {
	record, chain, err := s.find(ctx, ca, v1alpha1.EnvelopeIssuedCertificate, keys.KindIssuedCertificate, serial)
	if err != nil {
		return err
	}
	if done, err := s.IsRevoked(ctx, ca, serial); done || err != nil {
		return cmp.Or(err, fmt.Errorf("%w: %s", ErrRevoked, serial))
	}
	if !record.Spec.ExpireTime.After(s.Now()) {
		return fmt.Errorf("%w: %s", ErrNotIssued, serial)
	}
	payload, err := json.Marshal(revocation{Reason: reason})
	if err != nil {
		return fmt.Errorf("encoding a revocation: %w", err)
	}
	if condemns(reason) {
		if err := s.condemn(ctx, ca, chain, payload); err != nil {
			return err
		}
	}
	made, err := s.keep(ctx, ca, v1alpha1.EnvelopeRevocation, keys.KindRevocation, serial, record.Spec.ExpireTime.Time, payload)
	if err == nil && !made {
		return fmt.Errorf("%w: %s", ErrRevoked, serial)
	}
	return err
}

// IsRevoked tells whether a certificate of an authority is revoked. It asks the cache alone.
func (s *Service) IsRevoked(ctx context.Context, ca *v1alpha1.CertificateAuthority, serial string) (bool, error) {
	_, _, err := s.find(ctx, ca, v1alpha1.EnvelopeRevocation, keys.KindRevocation, serial)
	if errors.Is(err, ErrNotIssued) {
		return false, nil
	}
	return err == nil, err
}

// Revocation is what an authority keeps of a certificate that it revoked.
type Revocation struct {
	pki.Revoked
	// Expires is when the certificate does, or did.
	Expires time.Time
	// Envelope has the record.
	Envelope *v1alpha1.Envelope
}

// Revoked lists what an authority has revoked, as long as there is a record of it, and the records of certificates that expired 14 days ago:
// those of what it issued may go; those of revocations once they have been on a list for the last time, which the caller knows.
func (s *Service) Revoked(ctx context.Context, ca *v1alpha1.CertificateAuthority) (revoked []Revocation, expired []*v1alpha1.Envelope, err error) {
	envelopes, err := s.Store.OfOwner(ctx, ca.Namespace, Owner(ca.Name))
	if err != nil {
		return nil, nil, err
	}
	now := s.Now()
	for i := range envelopes {
		e := &envelopes[i]
		if e.Spec.ExpireTime == nil || arn.Authority(e.Spec.Subject) != ca.Status.ARN || e.Spec.Class == v1alpha1.EnvelopeTombstone {
			continue
		}
		if !e.Spec.ExpireTime.Add(expiredKept).After(now) {
			expired = append(expired, e)
		}
		if e.Spec.Class != v1alpha1.EnvelopeRevocation || ofKey(e) {
			continue
		}
		one, err := s.revoked(e)
		if err != nil {
			return nil, nil, err
		}
		revoked = append(revoked, Revocation{Revoked: one, Expires: e.Spec.ExpireTime.Time, Envelope: e})
	}
	return revoked, expired, nil
}

// expiredKept is how long a record is kept at least after its certificate has expired.
const expiredKept = 14 * 24 * time.Hour

func (s *Service) revoked(e *v1alpha1.Envelope) (pki.Revoked, error) {
	payload, err := s.open(keys.KindRevocation, e)
	if err != nil {
		return pki.Revoked{}, err
	}
	var r revocation
	if err := json.Unmarshal(payload.Reveal(), &r); err != nil {
		return pki.Revoked{}, fmt.Errorf("%w: Envelope %s is not readable", store.ErrTampered, e.Name)
	}
	serial, err := pki.ParseSerial(e.Spec.Version)
	if err != nil {
		return pki.Revoked{}, fmt.Errorf("%w: Envelope %s is of no serial number", store.ErrTampered, e.Name)
	}
	return pki.Revoked{Serial: serial, Time: e.Spec.CreatedTime.Time, Reason: r.Reason}, nil
}
