package acm

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/acmpca"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/store"
)

const (
	// ARNIndex is the cache index of Certificates by the ARN in status, or by the UID that it will be made of.
	ARNIndex = "arn"
	// DefaultValidity of a certificate, as in AWS Certificate Manager: 13 months.
	// https://docs.aws.amazon.com/acm/latest/userguide/gs-acm-request-private.html
	DefaultValidity = 395 * 24 * time.Hour
	// DefaultRecoveryWindow of a deleted certificate that names none.
	DefaultRecoveryWindow = 30 * 24 * time.Hour
	// DefaultKeyName is the KMSKey of an account's own key for certificates.
	// https://docs.aws.amazon.com/acm/latest/userguide/data-protection.html
	DefaultKeyName = "aws-acm"
	// DefaultKeyAlias is its alias.
	DefaultKeyAlias = "alias/aws/acm"
	// MessageInForce is what Ready says of a certificate.
	MessageInForce = "The certificate is in force"

	ownerKind = "Certificate"
)

// Service issues, imports and reads certificates and their private keys.
type Service struct {
	// Client reads from a cache that has ARNIndex, shows it its own writes, and writes.
	Client client.Client
	// Region is the operator's own: that of certificates which name none.
	Region string
	// Authorities issue.
	Authorities *acmpca.Service
	// KMS encrypts private keys.
	KMS *kms.Service
	// Store keeps Envelopes.
	Store *store.Store
	// Random is crypto/rand if nil.
	Random io.Reader
	// Now is the clock.
	Now func() time.Time
}

// Owner names a Certificate in Envelopes.
func Owner(name string) v1alpha1.EnvelopeOwner {
	return v1alpha1.EnvelopeOwner{Kind: ownerKind, Name: name}
}

// Versions stores and reads keys with their certificates.
func (s *Service) Versions() *sealed.Versions {
	return &sealed.Versions{
		Kind: sealed.Kind{
			Owner: ownerKind, Class: v1alpha1.EnvelopePrivateKey, Blob: keys.KindPrivateKey,
			Context: func(subject, _ string) keys.Context { return keys.Context{"aws:acm:arn": subject} },
			InForce: func(ix versions.Index) (versions.Version, bool) { return ix.ByStage(versions.Current) },
		},
		KMS: s.KMS, Keyring: s.KMS.Keyring, Store: s.Store, Random: s.Random, Now: s.Now,
	}
}

// SubjectOf is whose versions a certificate's are. ARN is empty as long as it has none.
func SubjectOf(c *v1alpha1.Certificate) sealed.Subject {
	return sealed.Subject{Namespace: c.Namespace, Name: c.Name, ARN: c.Status.ARN, Reading: store.Reading(c)}
}

// IndexOf is the index of versions that status holds.
func IndexOf(c *v1alpha1.Certificate) versions.Index { return sealed.IndexOf(c.Status.Versions) }

// RegionOf is the region of a certificate.
func (s *Service) RegionOf(c *v1alpha1.Certificate) string {
	if c.Spec.Region != "" {
		return c.Spec.Region
	}
	return s.Region
}

// NewARN is the ARN of a certificate that has none yet. It derives from the object's UID, so that a crash before it is stored changes
// nothing.
func (s *Service) NewARN(c *v1alpha1.Certificate, account string) string {
	return arn.Certificate(s.RegionOf(c), account, string(c.UID))
}

// RecoveryWindow is how long a deleted certificate can be had back.
func RecoveryWindow(c *v1alpha1.Certificate) time.Duration {
	if c.Spec.Deletion == nil || c.Spec.Deletion.RecoveryWindowInDays == 0 {
		return DefaultRecoveryWindow
	}
	return time.Duration(c.Spec.Deletion.RecoveryWindowInDays) * 24 * time.Hour
}

// IsForced tells that a Certificate is deleted without a recovery window: not one that somebody owns, which the garbage collector deletes (store.SkipsWindow).
func IsForced(c *v1alpha1.Certificate) bool { return store.SkipsWindow(c, nil, "true") }

// KeyName is the name of the KMSKey that encrypts a certificate's private keys.
func KeyName(c *v1alpha1.Certificate) string {
	if c.Spec.KMSKeyRef != nil {
		return c.Spec.KMSKeyRef.Name
	}
	return DefaultKeyName
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=kmskeys,verbs=create

// Key finds the KMSKey for a certificate's next private key, and makes the account's own key for certificates when it is wanted first. The
// fault says KeyNotFound or KeyUnusable.
func (s *Service) Key(ctx context.Context, c *v1alpha1.Certificate) (*v1alpha1.KMSKey, error) {
	name := KeyName(c)
	key, err := s.KMS.SharedByName(ctx, c.Namespace, name)
	switch {
	case err == nil:
		return key, kms.CheckUsable(key, keys.GenerateDataKey)
	case fault.Of(err).Reason != v1alpha1.ReasonKeyNotFound || c.Spec.KMSKeyRef != nil:
		return nil, err
	}
	err = s.Client.Create(ctx, &v1alpha1.KMSKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: name},
		Spec: v1alpha1.KMSKeySpec{
			Description: "Default key that protects the private keys of Certificates when no other key is named",
			Aliases:     []string{DefaultKeyAlias},
			Rotation:    &v1alpha1.KeyRotation{Enabled: true},
		},
	}, client.FieldOwner(v1alpha1.Group+"/certificate"))
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("creating the account's key %s: %w", name, err)
	}
	return nil, fault.Waiting(v1alpha1.ReasonKeyUnusable, errors.New("the account's own key "+name+" is being made"))
}

// Record puts an index and the facts of the certificate in force into status, and returns the versions that the index let go. Writing that
// status commits; the caller then calls Versions().Prune.
func Record(status *v1alpha1.CertificateStatus, arn string, ix versions.Index, chain []*x509.Certificate) (gone versions.Index) {
	status.ARN = arn
	kept, gone := sealed.Staged(ix)
	status.Versions = sealed.ListOf(kept)
	if len(chain) > 0 {
		describe(status, chain)
	}
	return gone
}

// describe puts what a certificate says into status.
func describe(status *v1alpha1.CertificateStatus, chain []*x509.Certificate) {
	c := chain[0]
	status.Serial = pki.FormatSerial(c.SerialNumber)
	status.Fingerprint = Fingerprint(c)
	status.Names = pki.NamesOf(c).Texts()[:min(pki.NamesOf(c).Len(), pki.MaximumNames)]
	algorithm, _ := pki.AlgorithmOf(c.PublicKey)
	status.KeyAlgorithm = v1alpha1.CertificateKeyAlgorithm(algorithm)
	begin, end := metav1.NewTime(c.NotBefore).Rfc3339Copy(), metav1.NewTime(c.NotAfter).Rfc3339Copy()
	status.NotBefore, status.NotAfter = &begin, &end
	status.Issuer = bounded(c.Issuer.String())
	status.Chain = nil
	for _, above := range chain[1:] {
		status.Chain = append(status.Chain, bounded(above.Subject.String()))
	}
}

// bounded cuts a name to what status has room for.
func bounded(name string) string {
	if len(name) > 1024 {
		return strings.ToValidUTF8(name[:1021], "") + "..."
	}
	return name
}

// Fingerprint is the SHA-256 of a certificate in hexadecimal digits.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}
