package acm

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/store"
)

// Find finds the certificate of a namespace and account that has an ARN, in the cache alone, and nil if there is none. It finds one that a
// request has just made, too, before its controller has given it its ARN: that derives from its UID. It is the cache's own: read it only.
func (s *Service) Find(ctx context.Context, namespace, account, given string) (*v1alpha1.Certificate, error) {
	if !arn.IsCertificate(given, arn.Region(given), account) {
		return nil, nil
	}
	c, err := s.ByARN(ctx, namespace, given)
	if err != nil || c == nil || !c.DeletionTimestamp.IsZero() {
		return nil, err
	}
	return c, nil
}

// ARNOf is the ARN of a certificate, which it has from the first.
func (s *Service) ARNOf(c *v1alpha1.Certificate, account string) string {
	if c.Status.ARN != "" {
		return c.Status.ARN
	}
	return s.NewARN(c, account)
}

// List lists the certificates of a namespace and region, in no order, from the cache alone, without those whose status has another's ARN. They are the cache's own: read them only.
func (s *Service) List(ctx context.Context, namespace, region string) ([]*v1alpha1.Certificate, error) {
	all, err := s.list(ctx, namespace)
	if err != nil {
		return nil, err
	}
	out := make([]*v1alpha1.Certificate, 0, len(all))
	for i := range all {
		c := &all[i]
		if s.RegionOf(c) != region || !c.DeletionTimestamp.IsZero() {
			continue
		}
		err := s.CheckARN(ctx, c, c.Status.ARN)
		if errors.Is(err, store.ErrTampered) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func (s *Service) list(ctx context.Context, namespace string) ([]v1alpha1.Certificate, error) {
	var list v1alpha1.CertificateList
	if err := s.Client.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing Certificates: %w", err)
	}
	return list.Items, nil
}
