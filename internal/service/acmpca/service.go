// Package acmpca is the use cases of AWS Private CA over CertificateAuthority objects: what controllers and the gateway call. Errors are
// faults. internal/service/acm, which is about leaves and their private keys, calls it to have them issued; it is a package of its own
// since AWS's service is one, and since issuing needs no private key but the authority's.
//
// The surface for the gateway, by AWS's operation:
//
//	CreateCertificateAuthority               makes the object; controllers/certificateauthority does the rest
//	DescribeCertificateAuthority             ByARN, and the object's spec and status
//	GetCertificateAuthorityCertificate       Chain
//	IssueCertificate                         Issue, of a request read by pki.ParseRequest
//	GetCertificate                           Issued
//	RevokeCertificate                        Revoke
//
// Whatever an authority issues is recorded before it is handed out: see record.go.
package acmpca

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/store"
)

const (
	// ARNIndex is the cache index of CertificateAuthorities by the ARN in status, or by the UID that it will be made of.
	ARNIndex = "arn"
	// DefaultRecoveryWindow of a deleted authority that names none.
	// https://docs.aws.amazon.com/privateca/latest/APIReference/API_DeleteCertificateAuthority.html
	DefaultRecoveryWindow = 30 * 24 * time.Hour
	// MessageInForce is what Ready says of an authority.
	MessageInForce = "The authority is in force"
)

// Service issues and revokes certificates.
type Service struct {
	// Client reads from a cache that has ARNIndex, shows it its own writes, and writes.
	Client client.Client
	// Region is the operator's own: that of authorities which name none.
	Region string
	// KMS finds KMSKeys, and signs by them.
	KMS *kms.Service
	// Store keeps Envelopes, which Keyring seals: certificates are no secret, and must be what they were.
	Store   *store.Store
	Keyring *keyring.Holder
	// Random is crypto/rand if nil.
	Random io.Reader
	// Now is the clock.
	Now func() time.Time

	// chains has the authorities' chains that were read last, by the Envelope's UID.
	chains *lru.Cache
	once   sync.Once
}

var (
	errAuthorityNotFound = errors.New("the CertificateAuthority does not exist")
	errAuthorityNotReady = errors.New("the CertificateAuthority cannot issue")
)

// +kubebuilder:rbac:groups=strongroom.dev,resources=certificateauthorities,verbs=get;list;watch

// ByName finds an authority. The fault says AuthorityNotFound. It is the cache's own: read it only.
func (s *Service) ByName(ctx context.Context, namespace, name string) (*v1alpha1.CertificateAuthority, error) {
	ca := &v1alpha1.CertificateAuthority{}
	err := s.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, ca, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		return nil, fault.Stalled(v1alpha1.ReasonAuthorityNotFound,
			fmt.Errorf("%w: %s/%s; create it, or name another in authorityRef", errAuthorityNotFound, namespace, name))
	}
	if err != nil {
		return nil, fmt.Errorf("reading CertificateAuthority %s: %w", name, err)
	}
	return ca, nil
}

// RegionOf is the region of an authority.
func (s *Service) RegionOf(ca *v1alpha1.CertificateAuthority) string {
	if ca.Spec.Region != "" {
		return ca.Spec.Region
	}
	return s.Region
}

// NewARN is the ARN of an authority that has none yet. It derives from the object's UID, so that a crash before it is stored changes
// nothing.
func (s *Service) NewARN(ca *v1alpha1.CertificateAuthority, account string) string {
	return arn.CertificateAuthority(s.RegionOf(ca), account, string(ca.UID))
}

// RecoveryWindow is how long a deleted authority can be had back.
func RecoveryWindow(ca *v1alpha1.CertificateAuthority) time.Duration {
	if ca.Spec.Deletion == nil || ca.Spec.Deletion.RecoveryWindowInDays == 0 {
		return DefaultRecoveryWindow
	}
	return time.Duration(ca.Spec.Deletion.RecoveryWindowInDays) * 24 * time.Hour
}

// Fault tells what is wrong with a certificate in the words of conditions. An error that is none of internal/core/pki's is left as it is.
func Fault(err error) error {
	for _, known := range []struct {
		err    error
		reason string
	}{
		{pki.ErrInvalidName, v1alpha1.ReasonInvalidName},
		{pki.ErrNotPermitted, v1alpha1.ReasonNotPermitted},
		{pki.ErrNotAuthority, v1alpha1.ReasonNotPermitted},
		{pki.ErrExpired, v1alpha1.ReasonInvalidCertificate},
		{pki.ErrNotYetValid, v1alpha1.ReasonInvalidCertificate},
		{pki.ErrMalformed, v1alpha1.ReasonInvalidCertificate},
		{pki.ErrTooLarge, v1alpha1.ReasonInvalidCertificate},
		{pki.ErrUnsupported, v1alpha1.ReasonInvalidCertificate},
		{pki.ErrWeak, v1alpha1.ReasonInvalidCertificate},
		{pki.ErrMismatch, v1alpha1.ReasonInvalidCertificate},
		{pki.ErrChain, v1alpha1.ReasonInvalidCertificate},
		{pki.ErrValidity, v1alpha1.ReasonInvalidCertificate},
	} {
		if errors.Is(err, known.err) {
			return fault.Stalled(known.reason, err)
		}
	}
	return err
}
