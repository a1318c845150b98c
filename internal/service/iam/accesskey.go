package iam

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/accesskey"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
)

// AccessKeyOwner names a user in the Envelopes of its access keys.
func AccessKeyOwner(user *v1alpha1.IAMUser) v1alpha1.EnvelopeOwner {
	return v1alpha1.EnvelopeOwner{Kind: "IAMUser", Name: user.Name}
}

// SealAccessKey makes the secret half of an access key and the Envelope of it, which is not stored yet. The key's id is the
// version. It fails with keyring.ErrSealed.
func (s *Service) SealAccessKey(user *v1alpha1.IAMUser, v versions.Version) (*v1alpha1.Envelope, error) {
	ring, err := s.Keyring.Get()
	if err != nil {
		return nil, err
	}
	secret, err := accesskey.NewSecret(s.Random)
	if err != nil {
		return nil, err
	}
	defer secret.Wipe()
	e := store.New(user.Namespace, v1alpha1.EnvelopeAccessKey, AccessKeyOwner(user), user.Status.ARN, v, store.DomainKey(ring))
	if e.Spec.Ciphertext, err = ring.Seal(keys.KindAccessKey, store.Bound(e), secret); err != nil {
		return nil, fmt.Errorf("sealing an access key: %w", err)
	}
	return e, nil
}

// OpenAccessKey opens the secret half of an access key in force. The caller wipes it. It fails with store.ErrMissing, store.ErrTampered and
// keyring.ErrSealed.
func (s *Service) OpenAccessKey(ctx context.Context, user *v1alpha1.IAMUser, key *v1alpha1.AccessKeyStatus) (secretbytes.Bytes, error) {
	v := versions.Version{ID: key.AccessKeyID, Sequence: key.Sequence}
	e, err := s.Store.Get(ctx, user.Namespace, v1alpha1.EnvelopeAccessKey, AccessKeyOwner(user), user.Status.ARN, v)
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	return s.openAccessKey(e)
}

// OpenNewAccessKey opens the secret half of an access key that is not in force yet, from its Envelope. It fails as OpenAccessKey does.
func (s *Service) OpenNewAccessKey(user *v1alpha1.IAMUser, e *v1alpha1.Envelope) (secretbytes.Bytes, error) {
	if err := store.CheckIdentity(e, AccessKeyOwner(user), user.Status.ARN, store.Version(e)); err != nil {
		return secretbytes.Bytes{}, err
	}
	return s.openAccessKey(e)
}

func (s *Service) openAccessKey(e *v1alpha1.Envelope) (secretbytes.Bytes, error) {
	secret, err := s.Keyring.Open(keys.KindAccessKey, store.Bound(e), e.Spec.Ciphertext)
	if store.Elsewhere(e, err) {
		return secretbytes.Bytes{}, err
	}
	if err != nil {
		return secretbytes.Bytes{}, fmt.Errorf("%w: access key %s does not open", store.ErrTampered, e.Name)
	}
	return secret, nil
}

// IndexARN lists the values of ARNIndex.
func IndexARN(obj client.Object) []string {
	e, ok := obj.(Entity)
	if !ok || e.GetIAMStatus().ARN == "" {
		return nil
	}
	return []string{e.GetIAMStatus().ARN}
}

// IndexAccessKey lists the values of AccessKeyIndex.
func IndexAccessKey(obj client.Object) []string {
	user, ok := obj.(*v1alpha1.IAMUser)
	if !ok {
		return nil
	}
	var out []string
	for _, key := range user.Status.AccessKeys {
		out = append(out, key.AccessKeyID)
	}
	return out
}
