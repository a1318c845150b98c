package pki

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"time"
)

// Authority is a certificate that issues others, what it was issued by, and what signs for it. It is immutable.
type Authority struct {
	certificate *x509.Certificate
	// issuers are the certificates above, the nearest first; none if it is a root.
	issuers []*x509.Certificate
	signer  crypto.Signer
	// Random is what serial numbers are made of; crypto/rand if nil.
	Random io.Reader
}

// NewAuthority makes an Authority of its chain, its own certificate first, and its key. It wraps ErrChain, ErrMismatch, ErrNotAuthority,
// ErrWeak or ErrUnsupported. That the chain is valid at this time is Issue's to check.
func NewAuthority(chain []*x509.Certificate, signer crypto.Signer) (*Authority, error) {
	if len(chain) == 0 || len(chain) > MaximumChain {
		return nil, fmt.Errorf("%w: %d certificates; an authority's has 1 to %d", ErrChain, len(chain), MaximumChain)
	}
	own := chain[0]
	switch {
	case !own.IsCA || !own.BasicConstraintsValid || own.KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, fmt.Errorf("%w: the certificate of %s may not issue others", ErrNotAuthority, shown(own))
	case !samePublicKey(own.PublicKey, signer.Public()):
		return nil, fmt.Errorf("%w: the certificate of %s was made for another key", ErrMismatch, shown(own))
	}
	if _, err := AlgorithmOf(own.PublicKey); err != nil {
		return nil, fmt.Errorf("the certificate of %s: %w", shown(own), err)
	}
	return &Authority{certificate: own, issuers: chain[1:], signer: signer}, nil
}

// Certificate is the authority's own.
func (a *Authority) Certificate() *x509.Certificate { return a.certificate }

// Chain is the authority's own certificate and those above it, up to the root.
func (a *Authority) Chain() []*x509.Certificate {
	return append([]*x509.Certificate{a.certificate}, a.issuers...)
}

// AuthorityRequest is an authority's certificate to be made.
type AuthorityRequest struct {
	// Subject must have a name.
	Subject pkix.Name
	// NotBefore and NotAfter are its time.
	NotBefore, NotAfter time.Time
	// PathLength is how many authorities may be below it, one below the other; nil for any number.
	PathLength *int
	// Constraints of the names below it.
	Constraints Constraints
	// SignatureAlgorithm is that of the issuer's key type if 0.
	SignatureAlgorithm x509.SignatureAlgorithm
}

// NewRoot makes the certificate of an authority that is its own issuer. It wraps ErrValidity, ErrInvalidName, ErrWeak or ErrUnsupported.
func NewRoot(signer crypto.Signer, in AuthorityRequest, random io.Reader) (*x509.Certificate, error) {
	template, err := in.template(signer.Public(), random)
	if err != nil {
		return nil, err
	}
	algorithm, _ := AlgorithmOf(signer.Public())
	return create(template, template, signer.Public(), signer, algorithm)
}

// IssueAuthority makes the certificate of an authority below this one. It wraps what Issue does, and ErrNotAuthority if there may be none
// below this one.
func (a *Authority) IssueAuthority(public crypto.PublicKey, in AuthorityRequest) (*x509.Certificate, error) {
	below, limited := pathLength(a.certificate)
	switch {
	case limited && below == 0:
		return nil, fmt.Errorf("%w: the path length of %s lets no authority be below it", ErrNotAuthority, shown(a.certificate))
	case limited && (in.PathLength == nil || *in.PathLength >= below):
		return nil, fmt.Errorf("%w: the path length of %s is %d, so that of an authority below it must be %d or less",
			ErrNotAuthority, shown(a.certificate), below, below-1)
	}
	template, err := in.template(public, a.Random)
	if err != nil {
		return nil, err
	}
	return a.issue(template, public)
}

func (in AuthorityRequest) template(public crypto.PublicKey, random io.Reader) (*x509.Certificate, error) {
	if len(in.Subject.ToRDNSequence()) == 0 {
		return nil, fmt.Errorf("%w: an authority has a subject that is not empty", ErrInvalidName)
	}
	t, err := template(in.Subject, public, in.NotBefore, in.NotAfter, random)
	if err != nil {
		return nil, err
	}
	t.SignatureAlgorithm = in.SignatureAlgorithm
	t.IsCA, t.BasicConstraintsValid = true, true
	t.MaxPathLen = -1
	if in.PathLength != nil {
		t.MaxPathLen, t.MaxPathLenZero = *in.PathLength, *in.PathLength == 0
	}
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	in.Constraints.apply(t)
	return t, nil
}

// LeafRequest is a certificate to be made for a server, a client or whoever else has names.
type LeafRequest struct {
	// Subject may be empty; the names then tell alone.
	Subject pkix.Name
	// Names are what it is for.
	Names Names
	// NotBefore and NotAfter are its time. What is after the authority's own is cut off.
	NotBefore, NotAfter time.Time
	// Usages are TLS server and TLS client if empty, as AWS Certificate Manager issues them.
	// https://docs.aws.amazon.com/privateca/latest/userguide/UsingTemplates.html
	Usages []x509.ExtKeyUsage
	// SignatureAlgorithm is that of the authority's key type if 0.
	SignatureAlgorithm x509.SignatureAlgorithm
}

// Issue makes a certificate for a public key. It wraps ErrNotPermitted for names outside the constraints of the authority or of those
// above it, ErrExpired or ErrNotYetValid if the authority or one above it is not valid, and ErrValidity, ErrWeak or ErrUnsupported.
func (a *Authority) Issue(public crypto.PublicKey, in LeafRequest) (*x509.Certificate, error) {
	t, err := template(in.Subject, public, in.NotBefore, in.NotAfter, a.Random)
	if err != nil {
		return nil, err
	}
	t.SignatureAlgorithm = in.SignatureAlgorithm
	t.DNSNames, t.IPAddresses, t.URIs, t.EmailAddresses = in.Names.DNS, in.Names.IPs, in.Names.URIs, in.Names.Emails
	t.KeyUsage = x509.KeyUsageDigitalSignature
	if algorithm, _ := AlgorithmOf(public); SignatureAlgorithmOf(algorithm) == x509.SHA256WithRSA {
		t.KeyUsage |= x509.KeyUsageKeyEncipherment // RSA key exchange of TLS 1.2
	}
	t.ExtKeyUsage = in.Usages
	if len(in.Usages) == 0 {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	for _, above := range a.Chain() {
		k := ConstraintsOf(above)
		err := k.Check(in.Names)
		if err == nil {
			t.Subject.CommonName, err = k.commonName(t.Subject.CommonName, in.Names)
		}
		if err != nil {
			return nil, fmt.Errorf("%s does not issue this: %w", shown(above), err)
		}
	}
	if in.Names.Len() == 0 && len(t.Subject.ToRDNSequence()) == 0 {
		return nil, fmt.Errorf("%w: a certificate has a name", ErrInvalidName)
	}
	return a.issue(t, public)
}

// CheckTime says whether this authority and all above it are valid at a time. It wraps ErrExpired or ErrNotYetValid. Issue cannot tell: what it
// makes may begin earlier than now.
func (a *Authority) CheckTime(now time.Time) error {
	for _, above := range a.Chain() {
		switch {
		case !now.Before(above.NotAfter):
			return fmt.Errorf("the authority %s: %w at %s", shown(above), ErrExpired, moment(above.NotAfter))
		case now.Before(above.NotBefore):
			return fmt.Errorf("the authority %s: %w before %s", shown(above), ErrNotYetValid, moment(above.NotBefore))
		}
	}
	return nil
}

// issue signs, if this authority and all above it are valid when the certificate begins, or were just made.
func (a *Authority) issue(t *x509.Certificate, public crypto.PublicKey) (*x509.Certificate, error) {
	for _, above := range a.Chain() {
		switch {
		case !t.NotBefore.Before(above.NotAfter):
			return nil, fmt.Errorf("the authority %s: %w at %s", shown(above), ErrExpired, moment(above.NotAfter))
		case !above.NotBefore.Before(t.NotAfter):
			return nil, fmt.Errorf("the authority %s: %w before %s", shown(above), ErrNotYetValid, moment(above.NotBefore))
		}
		t.NotAfter = earlier(t.NotAfter, above.NotAfter)
		if t.NotBefore.Before(above.NotBefore) {
			t.NotBefore = above.NotBefore
		}
	}
	algorithm, err := AlgorithmOf(a.certificate.PublicKey)
	if err != nil {
		return nil, err
	}
	return create(t, a.certificate, public, a.signer, algorithm)
}

// template is what all certificates have.
func template(subject pkix.Name, public crypto.PublicKey, notBefore, notAfter time.Time, random io.Reader) (*x509.Certificate, error) {
	if _, err := AlgorithmOf(public); err != nil {
		return nil, err
	}
	notBefore, notAfter = notBefore.UTC().Truncate(time.Second), notAfter.UTC().Truncate(time.Second)
	switch {
	case !notBefore.Before(notAfter):
		return nil, fmt.Errorf("%w: it would end at %s, before it begins", ErrValidity, moment(notAfter))
	case notAfter.Year() > 9999 || notBefore.Year() < 1950:
		return nil, fmt.Errorf("%w: times of a certificate are from 1950 to 9999", ErrValidity)
	case len(subject.CommonName) > MaximumCommonName:
		return nil, fmt.Errorf("%w: a common name of %d characters; it has at most %d", ErrInvalidName, len(subject.CommonName), MaximumCommonName)
	}
	serial, err := NewSerial(random)
	if err != nil {
		return nil, err
	}
	keyID, err := KeyIdentifier(public)
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: subject, NotBefore: notBefore, NotAfter: notAfter, SubjectKeyId: keyID,
	}, nil
}

// create signs, and reads what was made: crypto/x509 checks the signature, so that a signer that fails is seen here.
func create(t, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer, algorithm KeyAlgorithm) (*x509.Certificate, error) {
	if t.SignatureAlgorithm == x509.UnknownSignatureAlgorithm {
		t.SignatureAlgorithm = SignatureAlgorithmOf(algorithm)
	}
	if err := checkSignature(t.SignatureAlgorithm); err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, public, signer)
	if err != nil {
		return nil, fmt.Errorf("signing the certificate of %s: %w", shown(t), err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate that was made: %w", err)
	}
	return c, nil
}

// KeyIdentifier is what the certificates of a public key call it: the first 160 bits of SHA-256 of it (RFC 7093, method 4). It wraps
// ErrUnsupported.
func KeyIdentifier(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	sum := sha256.Sum256(der)
	return sum[:20], nil
}

// pathLength is how many authorities may be below one, if that is limited.
func pathLength(c *x509.Certificate) (below int, limited bool) {
	if c.MaxPathLen > 0 || c.MaxPathLen == 0 && c.MaxPathLenZero {
		return c.MaxPathLen, true
	}
	return 0, false
}

// samePublicKey compares public keys of the standard library.
func samePublicKey(a, b crypto.PublicKey) bool {
	comparable, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && comparable.Equal(b)
}

// IsRoot tells whether a certificate says that it is its own issuer.
func IsRoot(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, c.RawSubject) }

// shown names a certificate in a message: by its subject, or else by its serial number.
func shown(c *x509.Certificate) string {
	if name := c.Subject.String(); name != "" {
		return name
	}
	if c.SerialNumber == nil {
		return "no name"
	}
	return "serial number " + FormatSerial(new(big.Int).Abs(c.SerialNumber))
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
