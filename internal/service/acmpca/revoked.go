package acmpca

import (
	"context"
	"crypto/x509"
	"fmt"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/fault"
)

// CheckRevoked tells whether a certificate of an authority's chain was revoked by the one above it: what is issued below would be trusted by
// nobody who reads revocation lists, and by everybody else in spite of them. A link whose issuer is no authority of the namespace is
// not asked about. The fault says Revoked. It asks the cache alone.
// https://www.rfc-editor.org/rfc/rfc5280#section-6.1.3
func (s *Service) CheckRevoked(ctx context.Context, ca *v1alpha1.CertificateAuthority, chain []*x509.Certificate) error {
	if len(chain) < 2 {
		return nil
	}
	all, err := s.list(ctx, ca.Namespace)
	if err != nil {
		return err
	}
	for i, c := range chain[:len(chain)-1] {
		serial := pki.FormatSerial(c.SerialNumber)
		for k := range all {
			// The issuer is told by its name, not by authorityRef, which may have been changed since; serial numbers are random.
			above := &all[k]
			if above.Status.ARN == "" || above.Spec.Subject.CommonName != chain[i+1].Subject.CommonName {
				continue
			}
			revoked, err := s.IsRevoked(ctx, above, serial)
			if err != nil {
				return err
			}
			if revoked {
				return fault.Stalled(v1alpha1.ReasonRevoked, fmt.Errorf("%w: %s: the certificate %s of %s is revoked by the CertificateAuthority %s; "+
					"create another CertificateAuthority with a key of its own, and name that in authorityRef", errAuthorityNotReady, ca.Name, serial, c.Subject, above.Name))
			}
		}
	}
	return nil
}
