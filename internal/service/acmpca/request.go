package acmpca

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/service/idempotent"
	"strongroom.dev/strongroom/internal/service/kms"
)

const (
	// tokenWindow is how long the token of a request counts.
	// https://docs.aws.amazon.com/privateca/latest/APIReference/API_IssueCertificate.html
	tokenWindow = 5 * time.Minute
	// maximumTries is how often a write is tried that others' writes come before, and how many certificates one token can make.
	maximumTries = 16
	requestBlock = "CERTIFICATE REQUEST"
)

var (
	// ErrGone says that the CertificateAuthority was deleted meanwhile.
	ErrGone      = errors.New("the CertificateAuthority was deleted meanwhile")
	errContended = errors.New("the authority is being changed by others all the time, or the token was used too often; try again")
)

// CreateInput is an authority that a request makes: a root, which its controller certifies.
type CreateInput struct {
	Namespace, Region string
	// Token of the request, empty for none.
	Token string
	// Subject of the authority.
	Subject v1alpha1.CertificateSubject
	// KeyAlgorithm of its key.
	KeyAlgorithm v1alpha1.CertificateKeyAlgorithm
	// ExpirationInDays of its revocation lists; 0 for the usual.
	ExpirationInDays int32
	// Tags of the authority.
	Tags []v1alpha1.Tag
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=certificateauthorities,verbs=create;patch

// Create makes a root CertificateAuthority, or finds the one that the same token has made for the same subject within five minutes. It
// wraps idempotent.ErrTokenReused.
// https://docs.aws.amazon.com/privateca/latest/APIReference/API_CreateCertificateAuthority.html
//
// Crash-safe: it is one write, under a name that derives from the token.
func (s *Service) Create(ctx context.Context, in CreateInput) (*v1alpha1.CertificateAuthority, error) {
	ca := &v1alpha1.CertificateAuthority{
		ObjectMeta: metav1.ObjectMeta{Namespace: in.Namespace},
		Spec: v1alpha1.CertificateAuthoritySpec{
			Type: v1alpha1.CertificateAuthorityRoot, Subject: in.Subject, KeyAlgorithm: in.KeyAlgorithm, Tags: in.Tags,
		},
	}
	if in.Region != s.Region {
		ca.Spec.Region = in.Region
	}
	if in.ExpirationInDays != 0 {
		ca.Spec.CRL = &v1alpha1.CertificateRevocationList{ExpirationInDays: in.ExpirationInDays}
	}
	maker := idempotent.Maker{Client: s.Client, Store: s.Store, Random: s.Random, Now: s.Now, Window: tokenWindow}
	made, err := maker.Make(ctx, &idempotent.Request{
		Kind: ownerKind, Text: in.Subject.CommonName, Region: in.Region, Token: in.Token, Object: ca, Existing: &v1alpha1.CertificateAuthority{},
		Same: func(existing client.Object) bool { // with a kmsKeyRef, for example, it would sign with somebody else's key
			return equality.Semantic.DeepEqual(existing.(*v1alpha1.CertificateAuthority).Spec, ca.Spec)
		},
	})
	if err != nil {
		return nil, err
	}
	return made.(*v1alpha1.CertificateAuthority), nil
}

// Change changes an authority's spec. change gets a copy, and a later one if somebody else was faster; its error ends it, and is returned as
// it is. It wraps ErrGone.
//
// Crash-safe: it is one optimistic write, which is done or not.
func (s *Service) Change(ctx context.Context, ca *v1alpha1.CertificateAuthority, change func(*v1alpha1.CertificateAuthority) error) error {
	before := ca.DeepCopy()
	for range maximumTries {
		after := before.DeepCopy()
		if err := change(after); err != nil {
			return err
		}
		if equality.Semantic.DeepEqual(before, after) {
			return nil
		}
		err := s.Client.Patch(ctx, after, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), kms.FieldOwner)
		if err == nil {
			return nil
		}
		if apierrors.IsConflict(err) {
			before = &v1alpha1.CertificateAuthority{}
			err = s.Store.Live.Get(ctx, client.ObjectKeyFromObject(ca), before)
		}
		if apierrors.IsNotFound(err) || err == nil && before.UID != ca.UID {
			return ErrGone
		}
		if err != nil {
			return fmt.Errorf("changing CertificateAuthority %s: %w", ca.Name, err)
		}
	}
	return errContended
}

// SigningRequest is a certificate request in PEM for an authority's own subject and key, for those who want another authority to certify
// the key as well. The fault says KeyNotFound, KeyUnusable, KeyInUse or KeyMismatch.
// https://docs.aws.amazon.com/privateca/latest/APIReference/API_GetCertificateAuthorityCsr.html
func (s *Service) SigningRequest(ctx context.Context, ca *v1alpha1.CertificateAuthority) ([]byte, error) {
	signer, err := s.signer(ctx, ca, false)
	if err != nil {
		return nil, err
	}
	algorithm, err := pki.AlgorithmOf(signer.Public())
	if err != nil {
		return nil, Fault(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: subjectOf(&ca.Spec.Subject), SignatureAlgorithm: pki.SignatureAlgorithmOf(algorithm),
	}, signer)
	if err != nil {
		return nil, fmt.Errorf("signing the certificate request of %s: %w", ca.Name, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: requestBlock, Bytes: der}), nil
}

// IssueOnce is Issue for a request that may be made again: within five minutes the same token gets the certificate that it got before. It
// wraps idempotent.ErrTokenReused if that is one for another key. Without a token it is Issue.
//
// Crash-safe, as Issue is: the token makes the serial number, and that the record's name, which the API server lets one of several make.
func (s *Service) IssueOnce(ctx context.Context, ca *v1alpha1.CertificateAuthority, token string, request *x509.CertificateRequest, in pki.LeafRequest) (Issued, error) {
	if token == "" {
		return s.Issue(ctx, ca, request.PublicKey, in)
	}
	ring, err := s.Keyring.Get()
	if err != nil {
		return Issued{}, err
	}
	attempt := 0
	for range maximumTries {
		serial := ring.Digest("acm-pca token", []byte(ca.Status.ARN), []byte(token), []byte(strconv.Itoa(attempt)))
		before, payload, err := s.find(ctx, ca, v1alpha1.EnvelopeIssuedCertificate, keys.KindIssuedCertificate, serial)
		switch {
		case err == nil && s.Now().Sub(before.Spec.CreatedTime.Time) >= tokenWindow:
			attempt++ // the token has run out, and makes another
			continue
		case err == nil:
			return s.again(ca, serial, payload.Reveal(), request)
		case !errors.Is(err, ErrNotIssued):
			return Issued{}, err
		}
		issued, made, err := s.issueNumbered(ctx, ca, serial, request, in)
		if made || err != nil {
			return issued, err
		}
	}
	return Issued{}, errContended
}

// again is what a token has got before.
func (s *Service) again(ca *v1alpha1.CertificateAuthority, serial string, chainPEM []byte, request *x509.CertificateRequest) (Issued, error) {
	chain, err := pki.ParseCertificates(chainPEM)
	if err != nil {
		return Issued{}, Fault(err)
	}
	if !bytes.Equal(chain[0].RawSubjectPublicKeyInfo, request.RawSubjectPublicKeyInfo) {
		return Issued{}, idempotent.ErrTokenReused
	}
	return Issued{ARN: arn.IssuedCertificate(ca.Status.ARN, serial), Chain: chain}, nil
}

// issueNumbered issues under a serial number, unless another request has done so meanwhile.
func (s *Service) issueNumbered(ctx context.Context, ca *v1alpha1.CertificateAuthority, serial string, request *x509.CertificateRequest, in pki.LeafRequest) (
	issued Issued, made bool, err error,
) {
	a, err := s.Authority(ctx, ca)
	if err != nil {
		return issued, false, err
	}
	number, err := hex.DecodeString(serial)
	if err != nil {
		return issued, false, fmt.Errorf("reading a serial number: %w", err)
	}
	a.Random = bytes.NewReader(number)
	c, err := a.Issue(request.PublicKey, in)
	if err != nil {
		return issued, false, Fault(err)
	}
	chain := append([]*x509.Certificate{c}, a.Chain()...)
	made, err = s.keep(ctx, ca, v1alpha1.EnvelopeIssuedCertificate, keys.KindIssuedCertificate, serial, c.NotAfter, pki.CertificatesPEM(chain))
	return Issued{ARN: arn.IssuedCertificate(ca.Status.ARN, serial), Chain: chain}, made, err
}
