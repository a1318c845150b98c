package acm

import (
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/acmpca"
	"strongroom.dev/strongroom/internal/service/sealed"
)

// AlgorithmOf is the key algorithm that a certificate asks for.
func AlgorithmOf(c *v1alpha1.Certificate) v1alpha1.CertificateKeyAlgorithm {
	if c.Spec.KeyAlgorithm == "" {
		return v1alpha1.KeyAlgorithmRSA2048
	}
	return c.Spec.KeyAlgorithm
}

// NamesOf are the names that a certificate asks for. The fault says InvalidName.
func NamesOf(c *v1alpha1.Certificate) (pki.Names, error) {
	names, err := pki.ParseNames(append([]string{c.Spec.DomainName}, c.Spec.SubjectAlternativeNames...))
	if err != nil {
		return names, acmpca.Fault(fmt.Errorf("spec.domainName or spec.subjectAlternativeNames: %w", err))
	}
	return names, nil
}

// Issue makes a fresh key, has a certificate's authority issue for it, and stores both as the next version. If an earlier attempt stored
// that sequence number, that one is returned with made false. The caller wipes the bundle's key, which is there only if made.
//
// Crash-safe: the authority's record comes first, then the Envelope, and the caller's write of the index commits. No key and certificate are
// ever apart.
func (s *Service) Issue(ctx context.Context, c *v1alpha1.Certificate, ca *v1alpha1.CertificateAuthority, of sealed.Subject, sequence int64) (
	version versions.Version, bundle pki.Bundle, made bool, err error,
) {
	names, err := NamesOf(c)
	if err != nil {
		return version, bundle, false, err
	}
	key, err := s.Key(ctx, c) // before anything is recorded
	if err != nil {
		return version, bundle, false, err
	}
	signer, err := newKey(ctx, pki.KeyAlgorithm(AlgorithmOf(c)), keys.TryTurn(c.Namespace, turnOf(c.Namespace, c.Name)))
	if err != nil {
		return version, bundle, false, acmpca.Fault(err)
	}
	now, validity := s.Now(), acmpca.Duration(c.Spec.Validity, DefaultValidity)
	issued, err := s.Authorities.Issue(ctx, ca, signer.Public(), pki.LeafRequest{
		Subject: subjectOf(c.Spec.DomainName), Names: names, NotBefore: pki.Backdate(now, validity), NotAfter: now.Add(validity),
	})
	if err != nil {
		return version, bundle, false, err
	}
	if bundle, err = pki.NewBundle(signer, issued.Chain); err != nil {
		return version, bundle, false, acmpca.Fault(err)
	}
	version, made, err = s.Put(ctx, of, key, sequence, bundle)
	if err != nil || !made {
		bundle.Key.Wipe()
		bundle = pki.Bundle{}
	}
	return version, bundle, made, err
}

// turnOf is who waits for a turn to make a Certificate's RSA key. It says nothing of the UID, which nobody knows any more who is told that a Certificate is gone.
func turnOf(namespace, name string) string { return "Certificate " + namespace + "/" + name }

// ForgetTurn says that a Certificate is gone, and will not ask for its turn to make an RSA key again. Else it would count on for its namespace's share, and keep
// others from theirs, until it is late. It does nothing for one that waits for none.
func ForgetTurn(namespace, name string) { keys.ForgetTurn(turnOf(namespace, name)) }

// newKey makes a private key, in its turn if it is RSA's.
func newKey(ctx context.Context, algorithm pki.KeyAlgorithm, turn keys.Turn) (signer crypto.Signer, err error) {
	if algorithm.RSA() {
		done, err := turn(ctx)
		if err != nil {
			return nil, err
		}
		defer done()
	}
	secretbytes.Do(func() { signer, err = pki.GenerateKey(algorithm) })
	return signer, err
}

// subjectOf is the subject for a first name: its common name, unless that is too long for one.
func subjectOf(domainName string) pkix.Name {
	if len(domainName) > pki.MaximumCommonName {
		return pkix.Name{}
	}
	return pkix.Name{CommonName: domainName}
}

// Put stores a key with its certificate as a version, as sealed.Versions does. The caller commits it.
func (s *Service) Put(ctx context.Context, of sealed.Subject, key *v1alpha1.KMSKey, sequence int64, bundle pki.Bundle) (versions.Version, bool, error) {
	value, err := bundle.Marshal()
	if err != nil {
		return versions.Version{}, false, acmpca.Fault(err)
	}
	defer value.Wipe()
	return s.Versions().Put(ctx, of, sealed.Content{Sequence: sequence, Stages: []string{versions.Current}, Key: key, Value: value, Binary: true})
}

// Bundle reads a version. The caller wipes its key. It wraps store.ErrMissing or store.ErrTampered, or is a fault.
func (s *Service) Bundle(ctx context.Context, of sealed.Subject, v versions.Version) (pki.Bundle, error) {
	value, err := s.Versions().Value(ctx, of, v)
	if err != nil {
		return pki.Bundle{}, err
	}
	defer value.Wipe()
	bundle, err := pki.ParseBundle(value)
	if err != nil {
		return pki.Bundle{}, acmpca.Fault(err)
	}
	return bundle, nil
}

var errNoCertificate = errors.New("the certificate is not issued yet")

// Current reads the version in force. The fault says NoCertificate while there is none.
func (s *Service) Current(ctx context.Context, c *v1alpha1.Certificate) (pki.Bundle, error) {
	current, found := IndexOf(c).ByStage(versions.Current)
	if !found {
		return pki.Bundle{}, fault.Waiting(v1alpha1.ReasonNoCertificate, errNoCertificate)
	}
	return s.Bundle(ctx, SubjectOf(c), current)
}

// Chain is the certificate in force and those above it.
// https://docs.aws.amazon.com/acm/latest/APIReference/API_GetCertificate.html
func (s *Service) Chain(ctx context.Context, c *v1alpha1.Certificate) ([]*x509.Certificate, error) {
	bundle, err := s.Current(ctx, c)
	bundle.Key.Wipe()
	return bundle.Chain, err
}

// Exported is a certificate with its private key, encrypted under a passphrase.
type Exported struct {
	// Chain is the certificate and those above it.
	Chain []*x509.Certificate
	// EncryptedKey is PEM.
	EncryptedKey []byte
}

// Export encrypts the private key in force under a passphrase.
// https://docs.aws.amazon.com/acm/latest/APIReference/API_ExportCertificate.html
func (s *Service) Export(ctx context.Context, c *v1alpha1.Certificate, passphrase secretbytes.Bytes) (Exported, error) {
	bundle, err := s.Current(ctx, c)
	if err != nil {
		return Exported{}, err
	}
	defer bundle.Key.Wipe()
	encrypted, err := pki.EncryptKey(bundle.Key, passphrase)
	if err != nil {
		return Exported{}, acmpca.Fault(err)
	}
	return Exported{Chain: bundle.Chain, EncryptedKey: encrypted}, nil
}

// ParseImport reads a certificate, its private key and those above it, and says whether they can be used together. The caller wipes the
// key. The fault says InvalidCertificate or NotPermitted.
// https://docs.aws.amazon.com/acm/latest/userguide/import-certificate-prerequisites.html
func ParseImport(certificate, privateKey, chain []byte, now time.Time) (pki.Bundle, error) {
	certificates, err := pki.ParseCertificates(certificate)
	if err != nil {
		return pki.Bundle{}, acmpca.Fault(fmt.Errorf("the certificate: %w", err))
	}
	if len(chain) > 0 {
		above, err := pki.ParseCertificates(chain)
		if err != nil {
			return pki.Bundle{}, acmpca.Fault(fmt.Errorf("the certificate chain: %w", err))
		}
		certificates = joined(certificates, above)
	}
	if err := pki.CheckChain(certificates, now); err != nil {
		return pki.Bundle{}, acmpca.Fault(err)
	}
	bundle := pki.Bundle{Chain: certificates}
	secretbytes.Do(func() {
		var signer crypto.Signer
		if signer, err = pki.ParseKey(privateKey); err != nil {
			err = fmt.Errorf("the private key: %w", err)
			return
		}
		if err = pki.CheckKey(signer, certificates[0]); err == nil {
			bundle.Key, err = pki.MarshalKey(signer)
		}
	})
	if err != nil {
		return pki.Bundle{}, acmpca.Fault(err)
	}
	return bundle, nil
}

// joined puts a chain behind certificates, of which the last may be the chain's first.
func joined(certificates, above []*x509.Certificate) []*x509.Certificate {
	if certificates[len(certificates)-1].Equal(above[0]) {
		above = above[1:]
	}
	return append(certificates, above...)
}

// maximumTries is how often a write is tried that others' writes come before.
const maximumTries = 16

var errContended = errors.New("the certificate is being changed by others all the time; try again")

// Import stores a key with its certificate as the version in force and commits it: its Envelope first, and then one write of status. The
// object must have an ARN, or account must be that of its namespace. A crash between the two writes leaves an Envelope that is next in
// sequence, which the controller commits. It wraps ErrGone.
// https://docs.aws.amazon.com/acm/latest/APIReference/API_ImportCertificate.html
func (s *Service) Import(ctx context.Context, in *v1alpha1.Certificate, account string, bundle pki.Bundle) (*v1alpha1.Certificate, error) {
	c := in.DeepCopy()
	key, err := s.Key(ctx, c)
	if err != nil {
		return nil, err
	}
	var own versions.Version // what this call has stored, once it has
	for range maximumTries {
		if c.Status.ARN == "" {
			c.Status.ARN = s.NewARN(c, account)
		}
		of := SubjectOf(c)
		ix, err := s.Versions().Resume(ctx, of, IndexOf(c))
		if err != nil {
			return nil, err
		}
		if _, stored := ix.ByID(own.ID); !stored { // not yet, or under a number that others had let go: then it goes behind all there are
			v, made, err := s.Put(ctx, of, key, ix.Last()+1, bundle)
			if err != nil {
				return nil, err
			}
			if !made {
				continue // another writer's: Resume takes it into the index, and this one goes behind it
			}
			own, ix = v, ix.Add(v)
		}
		chain, err := s.inForce(ctx, of, ix, own, bundle.Chain)
		if err != nil {
			return nil, err
		}
		prune := s.Versions().LetGo(ctx, of, Record(&c.Status, of.ARN, ix, chain))
		c.Status.Type, c.Status.RenewalTime, c.Status.AuthorityARN, c.Status.ImportedFrom = v1alpha1.CertificateImported, nil, "", ""
		err = s.Client.Status().Update(ctx, c)
		switch {
		case err == nil:
			return c, prune(ctx)
		case apierrors.IsNotFound(err):
			return nil, ErrGone
		case !apierrors.IsConflict(err):
			return nil, fmt.Errorf("writing the status of Certificate %s: %w", c.Name, err)
		}
		if c, err = s.latest(ctx, in); err != nil { // not the cache, which may be behind all tries, nor another object of that name
			return nil, err
		}
	}
	return nil, errContended
}

// inForce is the chain of the version in force: own, unless others were stored behind it meanwhile.
func (s *Service) inForce(ctx context.Context, of sealed.Subject, ix versions.Index, own versions.Version, chain []*x509.Certificate) ([]*x509.Certificate, error) {
	current, found := ix.ByStage(versions.Current)
	if !found || current.ID == own.ID {
		return chain, nil
	}
	bundle, err := s.Bundle(ctx, of, current)
	bundle.Key.Wipe()
	return bundle.Chain, err
}
