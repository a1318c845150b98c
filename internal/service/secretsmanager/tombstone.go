package secretsmanager

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/principals"
	"strongroom.dev/strongroom/internal/store"
)

// TombstoneOf is what a tombstone keeps of a Secret. Of a spec that is too long it is what says who may do what with the secret that
// stays: the target can be applied again, and so can a sealed value.
func TombstoneOf(secret *v1alpha1.Secret) store.Tombstone {
	out := store.Tombstone{Index: IndexOf(secret), PolicyBinding: principals.Unowned(secret, secret.Spec.ResourcePolicy, secret.Status.PolicyBinding)}
	spec := secret.Spec
	for range 3 {
		if store.SpecOf([]any{spec, out.PolicyBinding}) != nil {
			out.Spec = store.SpecOf(spec)
			return out
		}
		if spec.Target == nil {
			spec.Sealed = ""
		}
		spec.Target = nil
	}
	return out
}

// IsForced tells that a Secret is deleted without a recovery window: not one that somebody owns, which the garbage collector deletes (store.SkipsWindow). The owner of a replica is its primary, which has
// all of its values.
func IsForced(secret *v1alpha1.Secret) bool {
	return store.SkipsWindow(secret, primaryOf(secret), "true")
}

// entomb stores the tombstone of a Secret that was just deleted. Crash-safe: it is one object, whose name has the ARN and the
// last version's sequence, so that of the two that make it, this and the controller of Envelopes, one does. One that is left
// over from an earlier deletion, which was undone, makes room.
func (s *Service) entomb(ctx context.Context, secret *v1alpha1.Secret, expires time.Time) error {
	ring, err := s.KMS.Keyring.Get()
	if err != nil {
		return err
	}
	subject := s.ARNOf(secret)
	for range maximumTries {
		e, err := store.NewTombstone(ring, secret.Namespace, Owner(secret.Name), subject, TombstoneOf(secret), s.Now(), expires)
		if err != nil {
			return err
		}
		stored, err := s.Store.Create(ctx, e)
		if err != nil {
			return err
		}
		if stored == e || !stored.Spec.CreatedTime.Time.Before(secret.CreationTimestamp.Time) {
			return nil
		}
		if err := s.Store.Delete(ctx, stored); err != nil {
			return err
		}
	}
	return errContended
}

// Exhume reads a tombstone as the Secret that it was, with what is known of it: spec and, of status, ARN and versions. Of one
// that was deleted while no manager ran the spec has the name alone. It wraps store.ErrTampered or keyring.ErrSealed.
func (s *Service) Exhume(e *v1alpha1.Envelope) (*v1alpha1.Secret, error) {
	t, err := store.OpenTombstone(s.KMS.Keyring, e)
	if err != nil {
		return nil, err
	}
	secret := &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: e.Namespace, Name: e.Spec.Owner.Name, CreationTimestamp: e.Spec.CreatedTime,
	}}
	if len(t.Spec) > 0 && string(t.Spec) != "null" {
		if err := json.Unmarshal(t.Spec, &secret.Spec); err != nil {
			return nil, fmt.Errorf("%w: the spec in tombstone %s is not readable", store.ErrTampered, e.Name)
		}
	} else {
		id, err := ParseID(e.Spec.Subject)
		if err != nil {
			return nil, fmt.Errorf("%w: tombstone %s is of no secret", store.ErrTampered, e.Name)
		}
		if secret.Spec.Name = id.Name; id.Region != s.Region {
			secret.Spec.Region = id.Region
		}
	}
	if region := s.RegionOf(secret); !arn.IsSecret(e.Spec.Subject, region, arn.Account(e.Spec.Subject), secret.AWSName()) {
		return nil, fmt.Errorf("%w: the spec in tombstone %s is another secret's", store.ErrTampered, e.Name)
	}
	Record(&secret.Status, e.Spec.Subject, t.Index, s.Now())
	secret.Status.PolicyBinding = t.PolicyBinding
	return secret, nil
}
