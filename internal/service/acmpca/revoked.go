package acmpca

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/store"
)

// RevocationIndex is the cache index of Envelopes that finds revocations by the serial number of the certificate, or by keyPrefix and the key
// identifier of an authority whose key is not to be trusted. Serial numbers are random, so that they tell the issuer too.
const RevocationIndex = "revocation"

// keyPrefix begins the version of a revocation that is of a key.
const keyPrefix = "key-"

// IndexRevocation lists the values of RevocationIndex.
func IndexRevocation(obj client.Object) []string {
	if e, ok := obj.(*v1alpha1.Envelope); ok && e.Spec.Class == v1alpha1.EnvelopeRevocation {
		return []string{e.Spec.Version}
	}
	return nil
}

// CheckRevoked tells whether a certificate of an authority's chain was revoked by the one above it, or another one with the same key, for a reason
// that is the key's, by one that issued one of the authority's: what is issued below would be trusted by nobody who reads revocation lists, and by everybody else in spite of them. Only the
// namespace's authorities are asked, be they there or deleted and in their recovery window. The fault says Revoked. It asks the cache alone, twice
// for each certificate but the root's, however many authorities there are.
// https://www.rfc-editor.org/rfc/rfc5280#section-6.1.3
func (s *Service) CheckRevoked(ctx context.Context, ca *v1alpha1.CertificateAuthority, chain []*x509.Certificate) error {
	for i := range len(chain) - 1 {
		c := chain[i]
		serial := pki.FormatSerial(c.SerialNumber)
		by, err := s.revokedBy(ctx, ca.Namespace, serial)
		if err != nil {
			return err
		}
		if by != "" {
			return revokedFault(ca, fmt.Sprintf("the certificate %s of %s is revoked by the CertificateAuthority %s", serial, c.Subject, by), wayBack(i))
		}
		certificates := chain[i : i+1]
		if i == 0 {
			if certificates, err = s.own(ctx, ca, c); err != nil {
				return err
			}
		}
		if by, err = s.condemnedBy(ctx, ca.Namespace, c.SubjectKeyId, certificates); err != nil {
			return err
		}
		if by != "" {
			return revokedFault(ca, fmt.Sprintf("the key of %s is not to be trusted: another certificate for it is revoked by the CertificateAuthority %s", c.Subject, by), "")
		}
	}
	return nil
}

// checkKey tells whether a key, for which an authority is to have a certificate, is one that was revoked with an authority before. The fault says
// Revoked.
func (s *Service) checkKey(ctx context.Context, ca *v1alpha1.CertificateAuthority, public crypto.PublicKey) error {
	id, err := pki.KeyIdentifier(public)
	if err != nil {
		return Fault(err)
	}
	var by string
	if certificates, known := s.own(ctx, ca, nil); known != nil {
		return known
	} else if len(certificates) > 0 {
		by, err = s.condemnedBy(ctx, ca.Namespace, id, certificates)
	} else { // it has no issuer yet that could be asked for: whoever knows that a key is not to be trusted is heard
		by, err = s.revokedBy(ctx, ca.Namespace, keyPrefix+hex.EncodeToString(id))
	}
	if err == nil && by != "" {
		err = revokedFault(ca, fmt.Sprintf("its key is not to be trusted: a certificate for it is revoked by the CertificateAuthority %s", by), "")
	}
	return err
}

func revokedFault(ca *v1alpha1.CertificateAuthority, what, also string) error {
	return fault.Stalled(v1alpha1.ReasonRevoked, fmt.Errorf("%w: %s: %s; create another CertificateAuthority with a key of its own, and name that in authorityRef%s",
		errAuthorityNotReady, ca.Name, what, also))
}

// wayBack is what can be done besides about a revoked certificate of a chain, by its place: an authority's own is made anew for a key that is good.
func wayBack(place int) string {
	if place > 0 {
		return ""
	}
	return "; if its key is good, ask for another certificate of this one by the annotation " + v1alpha1.RotateAnnotation
}

// revokedBy names the authority that has revoked a serial number or a key, empty for none.
func (s *Service) revokedBy(ctx context.Context, namespace, what string) (string, error) {
	found, err := s.Store.Indexed(ctx, namespace, RevocationIndex, what)
	if err != nil || len(found) == 0 {
		return "", err
	}
	if _, err := s.open(keys.KindRevocation, &found[0]); err != nil {
		return "", err
	}
	return found[0].Spec.Owner.Name, nil
}

// own are the certificates of an authority that its index has, and one besides, unless that is nil.
func (s *Service) own(ctx context.Context, ca *v1alpha1.CertificateAuthority, current *x509.Certificate) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	if current != nil {
		out = append(out, current)
	}
	for _, v := range IndexOf(ca) {
		chain, err := s.ChainOf(ctx, SubjectOf(ca), v)
		switch {
		case err == nil:
			out = append(out, chain[0])
		case !errors.Is(err, store.ErrMissing): // an older one that is gone says nothing
			return nil, err
		}
	}
	return out, nil
}

// condemnedBy names the authority that has revoked a key and issued one of an authority's certificates for it; empty for none. Anybody who may write
// CertificateAuthorities can have one of their own certify the key of another one and revoke that: such a revocation is none of the other one's.
func (s *Service) condemnedBy(ctx context.Context, namespace string, key []byte, certificates []*x509.Certificate) (string, error) {
	found, err := s.Store.Indexed(ctx, namespace, RevocationIndex, keyPrefix+hex.EncodeToString(key))
	if err != nil {
		return "", err
	}
	for i := range found {
		e := &found[i]
		issued, err := s.hasIssued(ctx, e, certificates)
		if err != nil {
			return "", err
		}
		if !issued {
			continue
		}
		if _, err := s.open(keys.KindRevocation, e); err != nil {
			return "", err
		}
		return e.Spec.Owner.Name, nil
	}
	return "", nil
}

// hasIssued tells whether the authority of a revocation has a record of one of some certificates. Records are made by issuing alone.
func (s *Service) hasIssued(ctx context.Context, revocation *v1alpha1.Envelope, certificates []*x509.Certificate) (bool, error) {
	by := arn.Authority(revocation.Spec.Subject)
	for _, c := range certificates {
		serial := pki.FormatSerial(c.SerialNumber)
		_, err := s.Store.Get(ctx, revocation.Namespace, v1alpha1.EnvelopeIssuedCertificate, revocation.Spec.Owner, arn.IssuedCertificate(by, serial),
			versions.Version{ID: serial, Sequence: 1})
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, store.ErrMissing) {
			return false, err
		}
	}
	return false, nil
}

// condemns tells whether a reason to revoke an authority's certificate is one not to trust its key any more. The other reasons say that there
// is no cause to suspect the key, and the next certificate for it is good.
// https://www.itu.int/rec/T-REC-X.509 (section 9.5.3.1, reason code)
func condemns(reason pki.Reason) bool {
	switch reason {
	case pki.AffiliationChanged, pki.Superseded, pki.CessationOfOperation:
		return false
	}
	return true
}

// endless is the end of a revocation of a key. One that is not to be trusted never is.
var endless = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// condemn revokes the key of an authority's certificate. Of any other certificate it does nothing. It says so of the authorities alone that this one has
// issued a certificate for; an operator undoes it by deleting the Envelope, which leaves the certificate revoked: a new CertificateAuthority that
// names the key has another one.
func (s *Service) condemn(ctx context.Context, ca *v1alpha1.CertificateAuthority, chainPEM secretbytes.Bytes, payload []byte) error {
	chain, err := pki.ParseCertificates(chainPEM.Reveal())
	if err != nil {
		return Fault(err)
	}
	if !chain[0].IsCA {
		return nil
	}
	_, err = s.keep(ctx, ca, v1alpha1.EnvelopeRevocation, keys.KindRevocation, keyPrefix+hex.EncodeToString(chain[0].SubjectKeyId), endless, payload)
	return err
}

func ofKey(e *v1alpha1.Envelope) bool { return strings.HasPrefix(e.Spec.Version, keyPrefix) }
