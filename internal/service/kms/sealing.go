package kms

import (
	"context"
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

// SealedFor is the key of a namespace that opens a sealed value, whichever material it was sealed for. It fails with
// sealing.ErrInvalid if the text names none.
func (s *Service) SealedFor(ctx context.Context, namespace, text string) (*v1alpha1.KMSKey, error) {
	h, err := sealing.Identify(strings.TrimSpace(text))
	if err != nil {
		return nil, err
	}
	found, err := s.list(ctx, client.InNamespace(namespace), client.MatchingFields{KeyIDIndex: keys.FormatKeyID(h.KeyID)})
	if err != nil {
		return nil, err
	}
	for i := range found {
		if _, ok := claimedMaterial(&found[i], h); ok {
			return &found[i], nil
		}
	}
	return nil, sealing.ErrInvalid
}

// OpenSealed opens a value that was sealed for the key, under any of its materials. It is for who may decrypt by the key: a state that
// forbids it is told as by CheckUsable. Everything that is wrong with the text or its scope is sealing.ErrInvalid. The caller wipes the
// value.
func (s *Service) OpenSealed(ctx context.Context, key *v1alpha1.KMSKey, scope sealing.Scope, text string) (value secretbytes.Bytes, err error) {
	if err := CheckUsable(key, keys.Decrypt); err != nil {
		return value, err
	}
	h, err := sealing.Identify(strings.TrimSpace(text))
	if err != nil {
		return value, err
	}
	h.Kind = keys.KindCiphertext
	material, ok := claimedMaterial(key, h)
	if !ok || !Seals(key) {
		return value, sealing.ErrInvalid
	}
	expected, err := header(key, material)
	if err != nil {
		return value, err
	}
	if expected != h {
		return value, sealing.ErrInvalid
	}
	err = s.useSealing(ctx, key, material, func(k *sealing.PrivateKey) error {
		value, err = k.OpenFor(scope, text)
		return err
	})
	return value, err
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
