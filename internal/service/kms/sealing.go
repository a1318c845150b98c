package kms

import (
	"context"
	"fmt"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/sealing"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// Seals tells whether values can be sealed for a key: it is symmetric, and its material is in this process's reach.
func Seals(key *v1alpha1.KMSKey) bool { return SpecOf(key) == keys.SymmetricDefault && !InModule(key) }

// SealingPublicKey is the line by which values are sealed for the key's current material.
func (s *Service) SealingPublicKey(ctx context.Context, key *v1alpha1.KMSKey) (line string, err error) {
	material, err := current(key)
	if err != nil {
		return "", err
	}
	err = s.useSealing(ctx, key, material, func(k *sealing.PrivateKey) error {
		line = k.Public(key.Status.ARN).String()
		return nil
	})
	return line, err
}

// SealedFor is the key of a namespace that opens a sealed value, whichever material it was sealed for: of multi-Region keys one that can be used, and of
// those the primary. It fails with sealing.ErrInvalid if the text names none.
func (s *Service) SealedFor(ctx context.Context, namespace, text string) (*v1alpha1.KMSKey, error) {
	h, err := sealing.Identify(strings.TrimSpace(text))
	if err != nil {
		return nil, err
	}
	found, err := s.list(ctx, client.InNamespace(namespace), client.MatchingFields{KeyIDIndex: keys.FormatKeyID(h.KeyID)})
	if err != nil {
		return nil, err
	}
	var named *v1alpha1.KMSKey
	for i := range found {
		if _, ok := claimedMaterial(&found[i], h); ok && (named == nil || opensRather(&found[i], named)) {
			named = &found[i]
		}
	}
	if named == nil {
		return nil, sealing.ErrInvalid
	}
	return named, nil
}

// opensRather tells whether one of two keys of an id is to open a sealed value and not the other: the one that can be used, or else the primary.
func opensRather(key, other *v1alpha1.KMSKey) bool {
	ours, theirs := CheckUsable(key, keys.Decrypt) == nil, CheckUsable(other, keys.Decrypt) == nil
	if ours != theirs {
		return ours
	}
	return IsReplica(other) && !IsReplica(key)
}

// OpenSealed opens a value that was sealed for the key, under any of its materials. It is for who may decrypt by the key: a state that
// forbids it is told as by CheckUsable. Everything that is wrong with the text or its scope is sealing.ErrInvalid. The caller wipes the
// value.
func (s *Service) OpenSealed(ctx context.Context, key *v1alpha1.KMSKey, scope sealing.Scope, text string) (value secretbytes.Bytes, err error) {
	err = s.opening(ctx, key, text, func(k *sealing.PrivateKey) error {
		value, err = k.OpenFor(scope, text)
		return err
	})
	s.usedWithin(key, keys.Decrypt, err)
	return value, err
}

// Reseal seals for the current material of the key to what was sealed for the key, under any of its materials, and for the scope. The
// keys may be the same one. The value is in this process alone, and for as long as it takes. Errors are those of OpenSealed, and of
// CheckUsable for a key that nothing can be encrypted by.
func (s *Service) Reseal(ctx context.Context, key, to *v1alpha1.KMSKey, scope sealing.Scope, text string) (resealed string, err error) {
	if err := CheckUsable(to, keys.Encrypt); err != nil {
		return "", err
	}
	if !Seals(to) {
		return "", fmt.Errorf("%w: KMSKey %s is asymmetric, for HMAC, or in a custom key store", sealing.ErrPublicKey, to.Name)
	}
	line, err := s.SealingPublicKey(ctx, to)
	if err != nil {
		return "", err
	}
	public, err := sealing.ParsePublicKey(line)
	if err != nil {
		return "", err
	}
	err = s.opening(ctx, key, text, func(k *sealing.PrivateKey) error {
		resealed, err = k.Reseal(public, scope, text)
		return err
	})
	return resealed, err
}

// SealedForCurrent tells whether a value was sealed for the key's current material, by what it says of itself.
func SealedForCurrent(key *v1alpha1.KMSKey, text string) bool {
	h, err := sealing.Identify(strings.TrimSpace(text))
	if err != nil {
		return false
	}
	material, err := current(key)
	if err != nil {
		return false
	}
	claimed, ok := claimedMaterial(key, h)
	return ok && claimed.ID == material.ID
}

// opening derives the sealing key that a value was sealed for, for as long as open runs.
func (s *Service) opening(ctx context.Context, key *v1alpha1.KMSKey, text string, open func(*sealing.PrivateKey) error) error {
	if err := CheckUsable(key, keys.Decrypt); err != nil {
		return err
	}
	h, err := sealing.Identify(strings.TrimSpace(text))
	if err != nil {
		return err
	}
	h.Kind = keys.KindCiphertext
	material, ok := claimedMaterial(key, h)
	if !ok || !Seals(key) {
		return sealing.ErrInvalid
	}
	expected, err := header(key, material)
	if err != nil {
		return err
	}
	if expected != h {
		return sealing.ErrInvalid
	}
	return s.useSealing(ctx, key, material, open)
}

// useSealing derives the sealing key of a material for as long as use runs.
func (s *Service) useSealing(ctx context.Context, key *v1alpha1.KMSKey, material v1alpha1.KeyMaterial, use func(*sealing.PrivateKey) error) error {
	h, err := header(key, material)
	if err != nil {
		return err
	}
	return software{s}.useSymmetric(ctx, Material{key, material}, func(b secretbytes.Bytes) error {
		k, err := sealing.Derive(b, h)
		if err != nil {
			return err
		}
		return use(k)
	})
}
