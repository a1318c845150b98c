package iam

import (
	"context"
	"errors"
	"fmt"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/accesskey"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
)

// Owner names an IAMUser in Envelopes.
func Owner(name string) v1alpha1.EnvelopeOwner {
	return v1alpha1.EnvelopeOwner{Kind: "IAMUser", Name: name}
}

// keyLabels are what an access key's Envelope says of it, bound to its payload: the key's name in spec, and the unique id of the
// user, so that a user who is made again under the name does not get the keys of the one before.
func keyLabels(user *v1alpha1.IAMUser, name string) []string {
	return []string{name, user.Status.UniqueID}
}

// KeyName is the name in spec.accessKeys that an access key's Envelope was made for, empty if it is not this user's.
func KeyName(user *v1alpha1.IAMUser, e *v1alpha1.Envelope) string {
	stages := e.Spec.Stages
	if e.Spec.Class != v1alpha1.EnvelopeAccessKey || e.Spec.Subject != user.Status.ARN || len(stages) != 2 || stages[1] != user.Status.UniqueID {
		return ""
	}
	return stages[0]
}

// CreateAccessKey makes and stores the access key of a sequence number, and returns its index entry. If an earlier attempt stored
// one, that one is returned: the Envelope's name allows one only. The key is in force when the caller has written the index.
func (s *Service) CreateAccessKey(ctx context.Context, user *v1alpha1.IAMUser, name string, sequence int64) (*v1alpha1.AccessKeyStatus, error) {
	ring, err := s.Keyring.Get()
	if err != nil {
		return nil, err
	}
	id, err := s.newAccessKeyID(ctx, user)
	if err != nil {
		return nil, err
	}
	version := versions.Version{ID: id, Sequence: sequence, Created: s.Now(), Stages: keyLabels(user, name)}
	e := store.New(user.Namespace, v1alpha1.EnvelopeAccessKey, Owner(user.Name), user.Status.ARN, version, store.DomainKey(ring))
	secret, err := accesskey.NewSecret(s.Random)
	if err != nil {
		return nil, err
	}
	defer secret.Wipe()
	if e.Spec.Ciphertext, err = ring.Seal(keys.KindAccessKey, store.Binding(e), secret); err != nil {
		return nil, fmt.Errorf("sealing an access key: %w", err)
	}
	stored, err := s.Store.Create(ctx, e)
	if err != nil {
		return nil, err
	}
	if KeyName(user, stored) != name {
		return nil, fmt.Errorf("%w: Envelope %s is in the place of access key %q and is not its; delete that Envelope", store.ErrTampered, stored.Name, name)
	}
	return KeyStatus(user, stored), nil
}

// maximumAttempts at an id that nobody has. Of 2^39 ids of an account, one is taken by chance once in a lifetime.
const maximumAttempts = 8

var errNoID = errors.New("every access key id that was tried is taken")

func (s *Service) newAccessKeyID(ctx context.Context, user *v1alpha1.IAMUser) (string, error) {
	for range maximumAttempts {
		id, err := accesskey.New(s.Random, accesskey.LongTerm, arn.Account(user.Status.ARN))
		if err != nil {
			return "", err
		}
		_, _, err = s.keyOwner(ctx, id)
		if errors.Is(err, ErrUnknownAccessKey) {
			return id, nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", errNoID
}

// KeyStatus is the index entry of an access key's Envelope.
func KeyStatus(user *v1alpha1.IAMUser, e *v1alpha1.Envelope) *v1alpha1.AccessKeyStatus {
	return &v1alpha1.AccessKeyStatus{
		Name: KeyName(user, e), Sequence: e.Spec.Sequence, AccessKeyID: e.Spec.Version, CreatedTime: e.Spec.CreatedTime,
	}
}

// RevealAccessKey lends the secret half of an access key to use, to be handed out once.
func (s *Service) RevealAccessKey(ctx context.Context, user *v1alpha1.IAMUser, key *v1alpha1.AccessKeyStatus, use func(secretbytes.Bytes) error) error {
	secret, err := s.OpenAccessKey(ctx, user, *key)
	if err != nil {
		return err
	}
	defer secret.Wipe()
	return use(secret)
}
