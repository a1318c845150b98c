package acmpca

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/store"
)

// signer signs for an authority with the KMSKey that it names, if that belongs to it. certified tells that the caller compares the key with the authority's
// certificate. The fault says KeyNotFound, KeyUnusable, KeyInUse or KeyMismatch.
func (s *Service) signer(ctx context.Context, ca *v1alpha1.CertificateAuthority, certified bool) (crypto.Signer, error) {
	key, err := s.KMS.SharedByName(ctx, ca.Namespace, ca.KMSKeyName())
	if err != nil {
		return nil, err
	}
	if err := s.checkOwner(ctx, ca, key); err != nil {
		return nil, err
	}
	holder := key.Status.CertificateAuthority
	if err := s.checkChosen(ca, key, certified || holder != nil && holder.Certified); err != nil { // a request for a certificate of its key, too, is signed by it
		return nil, err
	}
	return s.KMS.Signer(ctx, key)
}

// keySpecs are AWS KMS's types of keys for the key algorithms.
// https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html
var keySpecs = map[v1alpha1.CertificateKeyAlgorithm]v1alpha1.KeySpec{
	v1alpha1.KeyAlgorithmRSA2048: v1alpha1.KeySpecRSA2048, v1alpha1.KeyAlgorithmRSA3072: v1alpha1.KeySpecRSA3072,
	v1alpha1.KeyAlgorithmRSA4096:      v1alpha1.KeySpecRSA4096,
	v1alpha1.KeyAlgorithmECPrime256v1: v1alpha1.KeySpecECCNISTP256, v1alpha1.KeyAlgorithmECSecp384r1: v1alpha1.KeySpecECCNISTP384,
	v1alpha1.KeyAlgorithmECSecp521r1: v1alpha1.KeySpecECCNISTP521,
}

// AlgorithmOf is the key algorithm of an authority.
func AlgorithmOf(ca *v1alpha1.CertificateAuthority) v1alpha1.CertificateKeyAlgorithm {
	if ca.Spec.KeyAlgorithm == "" {
		return v1alpha1.KeyAlgorithmRSA2048
	}
	return ca.Spec.KeyAlgorithm
}

// EstablishKey finds the KMSKey that signs for an authority with a chain, which is nil as long as it has none, and makes the key its own. It makes
// a key when there is none and the authority has no certificate yet: one that has lost its key must not get another, under which nothing that it
// issued would be good. The fault says KeyNotFound, KeyUnusable, KeyMismatch or KeyInUse. The authority's status has its ARN.
//
// Crash-safe: of two that make it, the API server lets one, and so it does of two that make it their own.
func (s *Service) EstablishKey(ctx context.Context, ca *v1alpha1.CertificateAuthority, chain []*x509.Certificate) (*v1alpha1.KMSKey, crypto.Signer, error) {
	key, err := s.KMS.ByName(ctx, ca.Namespace, ca.KMSKeyName())
	if err != nil {
		if fault.Of(err).Reason != v1alpha1.ReasonKeyNotFound || chain != nil {
			return nil, nil, err
		}
		return nil, nil, s.createKey(ctx, ca)
	}
	if key.Spec.MultiRegion { // whose replica would sign for another authority, with the same private key
		return nil, nil, fault.Stalled(v1alpha1.ReasonKeyMismatch, fmt.Errorf("KMSKey %s is a multi-Region key, and an authority's is in one region; name another in kmsKeyRef, "+
			"or let it be made", key.Name))
	}
	if err := s.checkChosen(ca, key, chain != nil); err != nil {
		return nil, nil, err
	}
	signer, err := s.KMS.Signer(ctx, key)
	if err != nil {
		return nil, nil, err
	}
	if algorithm, err := pki.AlgorithmOf(signer.Public()); err != nil || string(algorithm) != string(AlgorithmOf(ca)) {
		return nil, nil, fault.Stalled(v1alpha1.ReasonKeyMismatch, fmt.Errorf("KMSKey %s is not of keyAlgorithm %s; name another in kmsKeyRef, "+
			"or let it be made", key.Name, AlgorithmOf(ca)))
	}
	if chain != nil {
		if _, err := s.AuthorityOf(ca, chain, signer); err != nil {
			return nil, nil, err
		}
	}
	if err := s.take(ctx, ca, key, chain != nil); err != nil {
		return nil, nil, err
	}
	return key, signer, nil
}

// keyPolicy is the policy of a key that is made for an authority. The account administers it, as AWS's default policy for administrators has
// it, and may read and check by its public half. Nobody signs with it but by way of ACM PCA: a certificate that somebody signs with kms:Sign would
// be in no record, and could not be found or revoked. The authority itself is asked for acm-pca:IssueCertificate and not for kms:Sign, since
// AWS's keys of authorities are not the account's at all.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html#key-policy-default-allow-administrators
// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
func keyPolicy(account, region string) string {
	return strings.NewReplacer("ACCOUNT", account, "REGION", region).Replace(`{
  "Version" : "2012-10-17",
  "Id" : "acm-pca-authority-1",
  "Statement" : [ {
    "Sid" : "Allow administration to the account",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "arn:aws:iam::ACCOUNT:root"
    },
    "Action" : [ "kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias", "kms:Describe*", "kms:Get*", "kms:List*", "kms:Verify",
      "kms:Enable*", "kms:Disable*", "kms:Put*", "kms:UpdateKeyDescription", "kms:TagResource", "kms:UntagResource",
      "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion" ],
    "Resource" : "*"
  }, {
    "Sid" : "Allow signing by way of ACM PCA alone",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "arn:aws:iam::ACCOUNT:root"
    },
    "Action" : "kms:Sign",
    "Resource" : "*",
    "Condition" : {
      "StringEquals" : {
        "kms:ViaService" : "acm-pca.REGION.amazonaws.com"
      }
    }
  } ]
}`)
}

// KeyIndex is the cache index of CertificateAuthorities by the name of the KMSKey that signs.
const KeyIndex = "kms-key"

// SigningWith lists the names of the authorities of a namespace that sign with a KMSKey, sorted. One that is being deleted is not among
// them: it signs nothing any more. It asks the cache alone.
func SigningWith(ctx context.Context, cache client.Reader, namespace, key string) ([]string, error) {
	var list v1alpha1.CertificateAuthorityList
	err := cache.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{KeyIndex: key}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("looking for the CertificateAuthorities of KMSKey %s: %w", key, err)
	}
	var names []string
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp.IsZero() {
			names = append(names, list.Items[i].Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

const (
	// CertificateIndex is the cache index of Envelopes that finds the authorities' own certificates, by OwnCertificate.
	CertificateIndex = "authority-certificate"
	// OwnCertificate is the one value of CertificateIndex.
	OwnCertificate = "own"
)

// IndexCertificate lists the values of CertificateIndex.
func IndexCertificate(obj client.Object) []string {
	if e, ok := obj.(*v1alpha1.Envelope); ok && IsOwnCertificate(e) {
		return []string{OwnCertificate}
	}
	return nil
}

// IsOwnCertificate tells an authority's own certificate from the records of what it issued, which have an end.
func IsOwnCertificate(e *v1alpha1.Envelope) bool {
	return e.Spec.Class == v1alpha1.EnvelopeIssuedCertificate && e.Spec.Owner.Kind == ownerKind && e.Spec.ExpireTime == nil
}

// keyByStatus is the ARN of the key that the status of an authority which is there names, for a certificate of it that cannot be read.
func (s *Service) keyByStatus(ctx context.Context, e *v1alpha1.Envelope) (arn string, known bool) {
	ca := &v1alpha1.CertificateAuthority{}
	err := s.Client.Get(ctx, client.ObjectKey{Namespace: e.Namespace, Name: e.Spec.Owner.Name}, ca)
	return ca.Status.KMSKeyARN, err == nil && ca.Status.ARN == e.Spec.Subject && ca.Status.KMSKeyARN != ""
}

// ErrUnknownKey says that it cannot be told whether a key is an authority's.
var ErrUnknownKey = errors.New("it cannot be told whether this key is that of a CertificateAuthority that was deleted and can be had back")

// CertifiedFor lists the names of the authorities of a namespace, sorted, that have a certificate for a KMSKey, be they there or deleted and
// in their recovery window: what they issued is good as long as they can be restored. It wraps ErrUnknownKey if the key or a certificate cannot be
// read.
func (s *Service) CertifiedFor(ctx context.Context, key *v1alpha1.KMSKey) ([]string, error) {
	found, err := s.certificatesFor(ctx, key)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range found {
		names = append(names, e.Spec.Owner.Name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// certificatesFor are the authorities' own certificates for a key, in no order. It goes by the public key, since a deleted authority's spec may be
// lost, and reads the cache alone.
func (s *Service) certificatesFor(ctx context.Context, key *v1alpha1.KMSKey) ([]*v1alpha1.Envelope, error) {
	all, err := s.Store.Indexed(ctx, key.Namespace, CertificateIndex, OwnCertificate)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	public, err := s.KMS.PublicKeyOfAny(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnknownKey, err)
	}
	var found []*v1alpha1.Envelope
	for i := range all {
		e := &all[i]
		chain, err := s.ChainOf(ctx, sealed.Subject{Namespace: e.Namespace, Name: e.Spec.Owner.Name, ARN: e.Spec.Subject}, store.Version(e))
		if err != nil { // that of one authority does not keep the keys of others from signing
			held, known := s.keyByStatus(ctx, e)
			if !known {
				return nil, fmt.Errorf("%w: %w", ErrUnknownKey, err)
			}
			if held == key.Status.ARN {
				found = append(found, e)
			}
			continue
		}
		if own, ok := chain[0].PublicKey.(interface{ Equal(crypto.PublicKey) bool }); ok && own.Equal(public.Key()) {
			found = append(found, e)
		}
	}
	return found, nil
}
