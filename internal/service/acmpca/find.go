package acmpca

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/store"
)

// Find finds the authority of a namespace and account that has an ARN, in the cache alone, and nil if there is none. It finds one that a
// request has just made, too, before its controller has given it its ARN: that derives from its UID. It is the cache's own: read it only.
func (s *Service) Find(ctx context.Context, namespace, account, given string) (*v1alpha1.CertificateAuthority, error) {
	if !arn.IsCertificateAuthority(given, arn.Region(given), account) {
		return nil, nil
	}
	ca, err := s.ByARN(ctx, namespace, given)
	switch {
	case err == nil && ca.DeletionTimestamp.IsZero():
		return ca, nil
	case err == nil, fault.Of(err).Reason == v1alpha1.ReasonAuthorityNotFound:
		return nil, nil
	}
	return nil, err
}

// ARNOf is the ARN of an authority, which it has from the first.
func (s *Service) ARNOf(ca *v1alpha1.CertificateAuthority, account string) string {
	if ca.Status.ARN != "" {
		return ca.Status.ARN
	}
	return s.NewARN(ca, account)
}

// List lists the authorities of a namespace and region, in no order, from the cache alone, without those whose status has another's ARN. They are the cache's own: read them only.
func (s *Service) List(ctx context.Context, namespace, region string) ([]*v1alpha1.CertificateAuthority, error) {
	all, err := s.list(ctx, namespace)
	if err != nil {
		return nil, err
	}
	out := make([]*v1alpha1.CertificateAuthority, 0, len(all))
	for i := range all {
		ca := &all[i]
		if s.RegionOf(ca) != region || !ca.DeletionTimestamp.IsZero() {
			continue
		}
		err := s.CheckARN(ctx, ca, ca.Status.ARN)
		if errors.Is(err, store.ErrTampered) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, ca)
	}
	return out, nil
}

func (s *Service) list(ctx context.Context, namespace string) ([]v1alpha1.CertificateAuthority, error) {
	var list v1alpha1.CertificateAuthorityList
	if err := s.Client.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing CertificateAuthorities: %w", err)
	}
	return list.Items, nil
}

// RevokedAt is when a certificate was revoked that an authority of a namespace issued, by their ARN and serial number; nil if it is not, or if
// the authority is not there any more. It asks the cache alone.
func (s *Service) RevokedAt(ctx context.Context, namespace, authority, serial string) (*time.Time, error) {
	ca, err := s.ByARN(ctx, namespace, authority)
	if err != nil {
		if fault.Of(err).Reason == v1alpha1.ReasonAuthorityNotFound {
			return nil, nil
		}
		return nil, err
	}
	e, _, err := s.find(ctx, ca, v1alpha1.EnvelopeRevocation, keys.KindRevocation, serial)
	if errors.Is(err, ErrNotIssued) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	at := e.Spec.CreatedTime.UTC()
	return &at, nil
}
