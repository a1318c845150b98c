package pki

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// CheckChain says whether certificates, the leaf first, are a chain that can be trusted at a time: no key or signature is weak, each is
// valid at that time, each was issued by the next, and the leaf's names are within the constraints of all above it. The last need not
// be a root. The leaf is of version 3 of X.509, as AWS Certificate Manager asks. It wraps ErrWeak, ErrUnsupported, ErrMalformed, ErrExpired,
// ErrNotYetValid, ErrNotPermitted, ErrNotAuthority or ErrChain.
// https://docs.aws.amazon.com/acm/latest/userguide/import-certificate-prerequisites.html
func CheckChain(chain []*x509.Certificate, now time.Time) error {
	if len(chain) == 0 || len(chain) > MaximumChain {
		return fmt.Errorf("%w: %d certificates; there must be 1 to %d", ErrChain, len(chain), MaximumChain)
	}
	for i, c := range chain {
		if err := checkOne(c, now); err != nil {
			return fmt.Errorf("certificate %d, of %s: %w", i+1, shown(c), err)
		}
	}
	if v := chain[0].Version; v != 3 {
		return fmt.Errorf("%w: certificate 1, of %s, is of version %d of X.509, which has no names; use one of version 3", ErrMalformed, shown(chain[0]), v)
	}
	for i, c := range chain[1:] {
		if err := chain[i].CheckSignatureFrom(c); err != nil {
			return fmt.Errorf("%w: certificate %d, of %s, was not issued by the next, of %s; put the issuer of each behind it", ErrChain, i+1, shown(chain[i]), shown(c))
		}
	}
	return verify(chain, now)
}

func checkOne(c *x509.Certificate, now time.Time) error {
	if _, err := AlgorithmOf(c.PublicKey); err != nil {
		return err
	}
	if err := checkSignature(c.SignatureAlgorithm); err != nil {
		return err
	}
	switch {
	case now.After(c.NotAfter):
		return fmt.Errorf("%w at %s", ErrExpired, moment(c.NotAfter))
	case now.Before(c.NotBefore):
		return fmt.Errorf("%w before %s", ErrNotYetValid, moment(c.NotBefore))
	}
	return nil
}

// verify asks Go's verifier, which knows path lengths, constraints and critical extensions, with the last certificate as the anchor.
func verify(chain []*x509.Certificate, now time.Time) error {
	anchors, between := x509.NewCertPool(), x509.NewCertPool()
	anchors.AddCert(chain[len(chain)-1])
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: anchors, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	var invalid x509.CertificateInvalidError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &invalid):
		return fmt.Errorf("%w: %w", ErrChain, err)
	}
	switch invalid.Reason {
	case x509.CANotAuthorizedForThisName, x509.UnconstrainedName, x509.TooManyConstraints, x509.NameConstraintsWithoutSANs:
		return fmt.Errorf("%w: %w", ErrNotPermitted, err)
	case x509.NotAuthorizedToSign, x509.TooManyIntermediates:
		return fmt.Errorf("%w: %w", ErrNotAuthority, err)
	}
	return fmt.Errorf("%w: %w", ErrChain, err)
}

// CheckKey says whether a private key is that of a certificate. It wraps ErrMismatch.
func CheckKey(key crypto.Signer, c *x509.Certificate) error {
	if !samePublicKey(c.PublicKey, key.Public()) {
		return fmt.Errorf("%w: that of %s was made for another key", ErrMismatch, shown(c))
	}
	return nil
}
