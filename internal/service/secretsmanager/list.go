package secretsmanager

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/store"
)

// Listed is a secret in a list.
type Listed struct {
	// Secret is the cache's own, or was exhumed: read it only.
	Secret *v1alpha1.Secret
	// ARN of the secret.
	ARN string
	// Deleted is when it will be gone, if it is scheduled for deletion; zero if not.
	Deleted time.Time
}

// List lists the secrets of a namespace and region, in no order, from the cache alone; on demand with those that are scheduled
// for deletion.
func (s *Service) List(ctx context.Context, namespace, region string, deleted bool) ([]Listed, error) {
	var list v1alpha1.SecretList
	if err := s.Client.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing Secrets: %w", err)
	}
	out := make([]Listed, 0, len(list.Items))
	live := make(map[string]bool, len(list.Items))
	for i := range list.Items {
		secret := &list.Items[i]
		subject := s.ARNOf(secret)
		if subject == "" || s.RegionOf(secret) != region || !secret.DeletionTimestamp.IsZero() {
			continue
		}
		live[subject] = true
		out = append(out, Listed{Secret: secret, ARN: subject})
	}
	if !deleted {
		return out, nil
	}
	buried, err := s.listBuried(ctx, namespace, region, live)
	return append(out, buried...), err
}

// listBuried lists the secrets that are scheduled for deletion, but for those whose ARN one that is there has again.
func (s *Service) listBuried(ctx context.Context, namespace, region string, live map[string]bool) (out []Listed, err error) {
	tombstones, err := s.Store.Indexed(ctx, namespace, TombstoneIndex, allTombstones)
	if err != nil {
		return nil, err
	}
	for i := range tombstones {
		e := &tombstones[i]
		if live[e.Spec.Subject] || !s.inWindow(e) {
			continue
		}
		one, err := s.Buried(e)
		if errors.Is(err, store.ErrTampered) { // nobody's, and no reason to list nothing
			continue
		}
		if err != nil {
			return nil, err
		}
		if s.RegionOf(one.Secret) == region {
			out = append(out, one)
		}
	}
	return out, nil
}

// Buried reads a tombstone for a list. It wraps store.ErrTampered or keyring.ErrSealed.
func (s *Service) Buried(e *v1alpha1.Envelope) (Listed, error) {
	secret, err := s.Exhume(e)
	return Listed{Secret: secret, ARN: e.Spec.Subject, Deleted: e.Spec.ExpireTime.UTC()}, err
}

// CreatedOf is when a secret was made: an object that was restored or brought back by a backup is younger than its versions.
func CreatedOf(secret *v1alpha1.Secret) time.Time {
	created := secret.CreationTimestamp.UTC()
	if vs := secret.Status.Versions; len(vs) > 0 && vs[0].Sequence == 1 && vs[0].CreatedTime.Time.Before(created) {
		created = vs[0].CreatedTime.UTC()
	}
	return created
}

// ChangedOf is when a secret was last changed in any way.
func ChangedOf(secret *v1alpha1.Secret) time.Time {
	changed := CreatedOf(secret)
	if at := secret.Status.LastChangedTime; at != nil && at.After(changed) {
		changed = at.UTC()
	}
	return changed
}
