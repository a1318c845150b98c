package acmpca

import (
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"k8s.io/utils/lru"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/store"
)

const (
	ownerKind = "CertificateAuthority"
	// defaultValidity of an authority's certificate.
	defaultValidity = 3650 * 24 * time.Hour
)

// Owner names an authority in Envelopes.
func Owner(name string) v1alpha1.EnvelopeOwner {
	return v1alpha1.EnvelopeOwner{Kind: ownerKind, Name: name}
}

// Versions stores and reads the authorities' own certificates, each with its chain.
func (s *Service) Versions() *sealed.Versions {
	return &sealed.Versions{
		Kind: sealed.Kind{
			Owner: ownerKind, Class: v1alpha1.EnvelopeIssuedCertificate, Blob: keys.KindIssuedCertificate,
			Context: func(subject, _ string) keys.Context { return keys.Context{"aws:acm-pca:arn": subject} },
			InForce: func(ix versions.Index) (versions.Version, bool) { return ix.ByStage(versions.Current) },
		},
		KMS: s.KMS, Keyring: s.Keyring, Store: s.Store, Random: s.Random, Now: s.Now,
	}
}

// SubjectOf is whose versions an authority's are. ARN is empty as long as it has none.
func SubjectOf(ca *v1alpha1.CertificateAuthority) sealed.Subject {
	return sealed.Subject{Namespace: ca.Namespace, Name: ca.Name, ARN: ca.Status.ARN, Reading: store.Reading(ca)}
}

// IndexOf is the index of versions that status holds.
func IndexOf(ca *v1alpha1.CertificateAuthority) versions.Index {
	return sealed.IndexOf(ca.Status.Versions)
}

// Chain is an authority's certificate in force and those above it, from its Envelope. The fault says AuthorityNotReady while there is none.
func (s *Service) Chain(ctx context.Context, ca *v1alpha1.CertificateAuthority) ([]*x509.Certificate, error) {
	current, found := IndexOf(ca).ByStage(versions.Current)
	if !found {
		return nil, fault.Waiting(v1alpha1.ReasonAuthorityNotReady, fmt.Errorf("%w: %s/%s has no certificate yet", errAuthorityNotReady, ca.Namespace, ca.Name))
	}
	return s.ChainOf(ctx, SubjectOf(ca), current)
}

// ChainOf is the chain of one version of an authority's certificate. Chains that were read are kept, by Envelope, which never change.
func (s *Service) ChainOf(ctx context.Context, of sealed.Subject, v versions.Version) ([]*x509.Certificate, error) {
	of2 := s.Versions()
	found, err := of2.Fetch(ctx, of, v)
	if err != nil {
		return nil, err
	}
	id := string(found.Envelope.UID) + "/" + found.Envelope.ResourceVersion
	if known, ok := s.read().Get(id); ok {
		return known.([]*x509.Certificate), nil
	}
	text, err := of2.Open(ctx, found)
	if err != nil {
		return nil, err
	}
	chain, err := pki.ParseCertificates(text.Reveal())
	if err != nil {
		return nil, Fault(err)
	}
	s.read().Add(id, chain)
	return chain, nil
}

// maximumChains bounds the chains that are kept: each user can make authorities, and each renewal makes another chain.
const maximumChains = 1024

func (s *Service) read() *lru.Cache {
	s.once.Do(func() { s.chains = lru.New(maximumChains) })
	return s.chains
}

// Authority is what issues: the certificate in force and the KMSKey that signs. The fault says AuthorityNotReady, also of one that has
// expired and waits for its renewal or whose status has another's ARN, Revoked, KeyNotFound, KeyUnusable or KeyMismatch.
func (s *Service) Authority(ctx context.Context, ca *v1alpha1.CertificateAuthority) (*pki.Authority, error) {
	if err := s.CheckARN(ctx, ca, ca.Status.ARN); err != nil {
		return nil, fault.Waiting(v1alpha1.ReasonAuthorityNotReady, fmt.Errorf("%w: CertificateAuthority %s: %w", errAuthorityNotReady, ca.Name, err))
	}
	chain, err := s.Chain(ctx, ca)
	if err != nil {
		return nil, err
	}
	if err := s.CheckRevoked(ctx, ca, chain); err != nil {
		return nil, err
	}
	signer, err := s.signer(ctx, ca, true)
	if err != nil {
		return nil, err
	}
	a, err := s.AuthorityOf(ca, chain, signer)
	if err != nil {
		return nil, err
	}
	if err := a.CheckTime(s.Now()); err != nil {
		return nil, fault.Waiting(v1alpha1.ReasonAuthorityNotReady, fmt.Errorf("%w: %w", errAuthorityNotReady, err))
	}
	return a, nil
}

// AuthorityOf is what issues with a chain and a key that are known already. The fault says KeyMismatch.
func (s *Service) AuthorityOf(ca *v1alpha1.CertificateAuthority, chain []*x509.Certificate, signer crypto.Signer) (*pki.Authority, error) {
	a, err := pki.NewAuthority(chain, signer)
	if errors.Is(err, pki.ErrMismatch) {
		return nil, fault.Stalled(v1alpha1.ReasonKeyMismatch, fmt.Errorf("KMSKey %s is not the one that the certificate of %s was made for: %w; "+
			"restore that key from a backup, or create another CertificateAuthority", ca.KMSKeyName(), ca.Name, err))
	}
	if err != nil {
		return nil, Fault(err)
	}
	a.Random = s.Random
	return a, nil
}

// Certify makes an authority's certificate, issued by itself or by the authority above it, and returns it with its chain. A subordinate's is
// recorded by its issuer first.
func (s *Service) Certify(ctx context.Context, ca *v1alpha1.CertificateAuthority, signer crypto.Signer) ([]*x509.Certificate, error) {
	in, err := s.request(ca)
	if err != nil {
		return nil, err
	}
	if err := s.checkKey(ctx, ca, signer.Public()); err != nil {
		return nil, err
	}
	if ca.Spec.Type == v1alpha1.CertificateAuthorityRoot {
		c, err := pki.NewRoot(signer, in, s.Random)
		if err != nil {
			return nil, Fault(err)
		}
		return []*x509.Certificate{c}, nil
	}
	above, err := s.ByName(ctx, ca.Namespace, ca.Spec.AuthorityRef.Name)
	if err != nil {
		return nil, err
	}
	issuer, err := s.Authority(ctx, above)
	if err != nil {
		return nil, err
	}
	c, err := issuer.IssueAuthority(signer.Public(), in)
	if err != nil {
		return nil, Fault(err)
	}
	if err := s.record(ctx, above, c, issuer.Chain()); err != nil {
		return nil, err
	}
	return append([]*x509.Certificate{c}, issuer.Chain()...), nil
}

// request is the spec as internal/core/pki reads it.
func (s *Service) request(ca *v1alpha1.CertificateAuthority) (in pki.AuthorityRequest, err error) {
	validity := Duration(ca.Spec.Validity, defaultValidity)
	now := s.Now()
	in = pki.AuthorityRequest{Subject: subjectOf(&ca.Spec.Subject), NotBefore: pki.Backdate(now, validity), NotAfter: now.Add(validity)}
	if ca.Spec.PathLength != nil {
		n := int(*ca.Spec.PathLength)
		in.PathLength = &n
	}
	in.Constraints, err = constraintsOf(ca.Spec.NameConstraints)
	return in, err
}

func subjectOf(in *v1alpha1.CertificateSubject) pkix.Name {
	some := func(text string) []string {
		if text == "" {
			return nil
		}
		return []string{text}
	}
	return pkix.Name{
		CommonName: in.CommonName, Organization: some(in.Organization), OrganizationalUnit: some(in.OrganizationalUnit),
		Country: some(in.Country), Province: some(in.State), Locality: some(in.Locality),
	}
}

func constraintsOf(in *v1alpha1.NameConstraints) (out pki.Constraints, err error) {
	if in == nil {
		return out, nil
	}
	if p := in.Permitted; p != nil {
		out.PermittedDNS, out.PermittedEmails, out.PermittedURIs = p.DNSDomains, p.EmailAddresses, p.URIDomains
		if out.PermittedIPs, err = rangesOf(p.IPRanges); err != nil {
			return out, err
		}
	}
	if e := in.Excluded; e != nil {
		out.ExcludedDNS, out.ExcludedEmails, out.ExcludedURIs = e.DNSDomains, e.EmailAddresses, e.URIDomains
		out.ExcludedIPs, err = rangesOf(e.IPRanges)
	}
	return out, err
}

func rangesOf(texts []string) ([]*net.IPNet, error) {
	var out []*net.IPNet
	for _, text := range texts {
		_, n, err := net.ParseCIDR(text)
		if err != nil {
			return nil, fault.Stalled(v1alpha1.ReasonInvalidName, fmt.Errorf("spec.nameConstraints: %q is no range in CIDR notation", text))
		}
		out = append(out, n)
	}
	return out, nil
}

// Duration reads a time of a spec, or gives what is used when it is left out.
func Duration(text v1alpha1.CertificateValidity, otherwise time.Duration) time.Duration {
	if text == "" {
		return otherwise
	}
	unit := time.Hour
	if text[len(text)-1] == 'd' {
		unit = 24 * time.Hour
	}
	n, err := strconv.Atoi(string(text[:len(text)-1]))
	if err != nil || n <= 0 {
		return otherwise
	}
	return time.Duration(n) * unit
}

// Marshal is a chain as a version of an authority's certificate holds it.
func Marshal(chain []*x509.Certificate) secretbytes.Bytes {
	return secretbytes.Own(pki.CertificatesPEM(chain))
}
