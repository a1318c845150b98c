package kms

import (
	"context"
	"errors"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
)

// MaximumAliases of one key.
// https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html
const MaximumAliases = 50

var (
	// ErrAliasExists says that a key has the alias already.
	ErrAliasExists = errors.New("the alias exists")
	// ErrTooManyAliases says that the key has MaximumAliases.
	ErrTooManyAliases = errors.New("the key has as many aliases as it can have")
)

// aliasWrites is held while an alias changes hands.
var aliasWrites sync.Mutex

// CreateAlias gives an alias to a key. It fails with ErrAliasExists and ErrTooManyAliases. Two replicas that give it to two keys
// at once both succeed: the older key has it then, and the other is Stalled with NameConflict, as by two manifests.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html
func (s *Service) CreateAlias(ctx context.Context, key *v1alpha1.KMSKey, alias string) error {
	aliasWrites.Lock() // of two in this process one is first
	defer aliasWrites.Unlock()
	holders, err := s.holders(ctx, key, alias)
	if err != nil {
		return err
	}
	if len(holders) > 0 {
		return ErrAliasExists
	}
	if key, err = s.reread(ctx, key); err != nil {
		return err
	}
	return s.addAlias(ctx, key, alias)
}

// UpdateAlias moves an alias to a key. It is given to the new one first and taken from the others second: in between, both have
// it, and never neither. A crash there is mended by the same call. Two replicas that move it in opposite directions at the same moment
// can both take it away: each sees that the other's key has it.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_UpdateAlias.html
func (s *Service) UpdateAlias(ctx context.Context, key *v1alpha1.KMSKey, alias string) error {
	aliasWrites.Lock()
	defer aliasWrites.Unlock()
	holders, err := s.holders(ctx, key, alias)
	if err != nil {
		return err
	}
	if key, err = s.reread(ctx, key); err != nil {
		return err
	}
	if err := s.addAlias(ctx, key, alias); err != nil {
		return err
	}
	for i := range holders {
		if holders[i].UID == key.UID {
			continue
		}
		if err := s.removeAlias(ctx, &holders[i], alias); err != nil {
			return err
		}
	}
	return nil
}

// DeleteAlias takes an alias from a key, and from younger keys that claim it, so that it is gone.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_DeleteAlias.html
func (s *Service) DeleteAlias(ctx context.Context, key *v1alpha1.KMSKey, alias string) error {
	aliasWrites.Lock()
	defer aliasWrites.Unlock()
	holders, err := s.holders(ctx, key, alias)
	if err != nil {
		return err
	}
	for i := range holders {
		if err := s.removeAlias(ctx, &holders[i], alias); err != nil {
			return err
		}
	}
	return nil
}

// holders are the keys of a key's account and region that claim an alias.
func (s *Service) holders(ctx context.Context, key *v1alpha1.KMSKey, alias string) ([]v1alpha1.KMSKey, error) {
	found, err := s.list(ctx, client.InNamespace(key.Namespace), client.MatchingFields{AliasIndex: alias})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(k v1alpha1.KMSKey) bool {
		return RegionOf(&k, s.Region) != arn.Region(key.Status.ARN)
	}), nil
}

// reread reads a key anew that was found before aliasWrites was taken: the alias that it had then may be another's by now, and a key
// that seems to have it is not written.
func (s *Service) reread(ctx context.Context, key *v1alpha1.KMSKey) (*v1alpha1.KMSKey, error) {
	now, err := s.await(ctx, key)
	if apierrors.IsNotFound(err) || err == nil && now.UID != key.UID {
		return nil, ErrGone
	}
	return now, err
}

func (s *Service) addAlias(ctx context.Context, key *v1alpha1.KMSKey, alias string) error {
	_, err := s.Change(ctx, key, func(k *v1alpha1.KMSKey) error {
		switch {
		case slices.Contains(k.Spec.Aliases, alias):
			return nil
		case len(k.Spec.Aliases) >= MaximumAliases:
			return ErrTooManyAliases
		}
		k.Spec.Aliases = append(k.Spec.Aliases, alias)
		return nil
	})
	return err
}

func (s *Service) removeAlias(ctx context.Context, key *v1alpha1.KMSKey, alias string) error {
	_, err := s.Change(ctx, key, func(k *v1alpha1.KMSKey) error {
		k.Spec.Aliases = slices.DeleteFunc(k.Spec.Aliases, func(a string) bool { return a == alias })
		return nil
	})
	if errors.Is(err, ErrGone) {
		return nil
	}
	return err
}
