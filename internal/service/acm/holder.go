package acm

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/claim"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/store"
)

// An ARN derives from the UID of the object that it was made for, which may be made again under another UID and keeps its ARN. So nothing in an ARN tells that it is not the object's whose status
// has it; and whoever may write the status of one can put another's there. Its versions would then be stored in the place of the other's next ones,
// and who asks for the other by its ARN would be given this one.

// +kubebuilder:rbac:groups=strongroom.dev,resources=certificates,verbs=get;list;watch

// ByARN finds the certificate of a namespace that has an ARN, or will have it, nil if there is none. It is the cache's own: read it only.
func (s *Service) ByARN(ctx context.Context, namespace, given string) (*v1alpha1.Certificate, error) {
	all, err := s.claimants(ctx, namespace, given)
	if err != nil {
		return nil, err
	}
	return s.holder(ctx, all, given)
}

// CheckARN refuses an ARN to a certificate which another one of the namespace has. The fault says EnvelopeTampered.
func (s *Service) CheckARN(ctx context.Context, c *v1alpha1.Certificate, given string) error {
	if given == "" || arn.IsMadeOf(given, string(c.UID)) {
		return nil
	}
	all, err := s.claimants(ctx, c.Namespace, given)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(other *v1alpha1.Certificate) bool { return other.Name == c.Name }) {
		all = append(all, c)
	}
	holder, err := s.holder(ctx, all, given)
	if err != nil || holder == nil || holder.Name == c.Name {
		return err
	}
	return fault.Contested(v1alpha1.ReasonEnvelopeTampered, fmt.Errorf("%w: status.arn is that of the Certificate %s, which has it by right; remove it here "+
		"(--subresource=status) to have it rebuilt", store.ErrTampered, holder.Name))
}

// claimants are those of a namespace that an ARN can be the one of: those whose status has it, and the one whose UID it is made of and whose status has none yet. They are the cache's own.
func (s *Service) claimants(ctx context.Context, namespace, given string) (out []*v1alpha1.Certificate, err error) {
	for _, value := range []string{given, arn.IDOf(given)} {
		if value == "" {
			continue
		}
		var found v1alpha1.CertificateList
		err := s.Client.List(ctx, &found, client.InNamespace(namespace), client.MatchingFields{ARNIndex: value}, client.UnsafeDisableDeepCopy)
		if err != nil {
			return nil, fmt.Errorf("looking for the Certificate %s: %w", given, err)
		}
		for i := range found.Items {
			if c := &found.Items[i]; s.ARNOf(c, arn.Account(given)) == given {
				out = append(out, c)
			}
		}
	}
	return out, nil
}

// holder is which of those that claim an ARN has it, nil for nobody: the one whose UID it is made of, or else one of whose name there are Envelopes under it, or else the eldest.
func (s *Service) holder(ctx context.Context, all []*v1alpha1.Certificate, given string) (*v1alpha1.Certificate, error) {
	if len(all) == 1 {
		return all[0], nil
	}
	return claim.Holder(all, func(c *v1alpha1.Certificate) (int, error) {
		if arn.IsMadeOf(given, string(c.UID)) {
			return 2, nil
		}
		kept, err := s.Versions().Keeps(ctx, c.Namespace, c.Name, given)
		if err != nil || !kept {
			return 0, err
		}
		return 1, nil
	})
}

// IndexARN lists the values of ARNIndex.
func IndexARN(obj client.Object) []string {
	c, ok := obj.(*v1alpha1.Certificate)
	switch {
	case !ok:
		return nil
	case c.Status.ARN != "":
		return []string{c.Status.ARN}
	case c.UID != "":
		return []string{string(c.UID)}
	}
	return nil
}
