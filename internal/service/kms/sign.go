package kms

import (
	"context"
	"crypto"
	"io"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
)

// Sign signs a message, or what its type says of it, by the key's private half. The fault says KeyUnusable; what is wrong with the message or
// the algorithm is keys.ErrAlgorithm, keys.ErrNotApproved, or what keys.Message.Check fails with.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html
func (s *Service) Sign(ctx context.Context, key *v1alpha1.KMSKey, algorithm keys.SigningAlgorithm, message keys.Message) ([]byte, error) {
	material, err := s.signing(key, keys.Sign, algorithm, message)
	if err != nil {
		return nil, err
	}
	return s.backend(key).Sign(ctx, material, algorithm, message)
}

// Verify fails with keys.ErrInvalidSignature unless the signature is the key's for that message or digest, and otherwise as Sign.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Verify.html
func (s *Service) Verify(ctx context.Context, key *v1alpha1.KMSKey, algorithm keys.SigningAlgorithm, message keys.Message,
	signature []byte,
) error {
	material, err := s.signing(key, keys.Verify, algorithm, message)
	if err != nil {
		return err
	}
	public, err := s.backend(key).PublicKey(ctx, material)
	if err != nil {
		return err
	}
	return public.Verify(algorithm, message, signature)
}

// signing checks what Sign and Verify are asked.
func (s *Service) signing(key *v1alpha1.KMSKey, operation keys.Operation, algorithm keys.SigningAlgorithm, message keys.Message) (
	material Material, err error,
) {
	if err := CheckUsable(key, operation); err != nil {
		return material, err
	}
	if err := SpecOf(key).CheckAlgorithm(algorithm); err != nil {
		return material, err
	}
	if err := message.Check(algorithm); err != nil {
		return material, err
	}
	m, err := current(key)
	return Material{key, m}, err
}

// PublicKey is the public half of an asymmetric key. The fault says KeyUnusable; it is keys.ErrKeyUsage too for a symmetric key,
// which has none.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GetPublicKey.html
func (s *Service) PublicKey(ctx context.Context, key *v1alpha1.KMSKey) (*keys.PublicKey, error) {
	if err := CheckUsable(key, keys.GetPublicKey); err != nil {
		return nil, err
	}
	if SpecOf(key).Symmetric() {
		return nil, wrongUsage(key, keys.ErrKeyUsage, "it has no public key; name a KMSKey with an asymmetric keySpec")
	}
	m, err := current(key)
	if err != nil {
		return nil, err
	}
	return s.backend(key).PublicKey(ctx, Material{key, m})
}

// PublicKeyOfAny is PublicKey of an asymmetric key in any state: what was signed with it is known by that, though it may not be used any more.
func (s *Service) PublicKeyOfAny(ctx context.Context, key *v1alpha1.KMSKey) (*keys.PublicKey, error) {
	m, err := current(key)
	if err != nil {
		return nil, err
	}
	return s.backend(key).PublicKey(ctx, Material{key, m})
}

// Signer is a key as Go's standard library signs with one, for example a certificate authority. It signs by the algorithm that its
// caller's options mean, see keys.Spec.MessageFor, for as long as ctx is not done; make one for each piece of work. It fails as
// PublicKey does.
func (s *Service) Signer(ctx context.Context, key *v1alpha1.KMSKey) (crypto.Signer, error) {
	if err := CheckUsable(key, keys.Sign); err != nil {
		return nil, err
	}
	public, err := s.PublicKey(ctx, key)
	if err != nil {
		return nil, err
	}
	return &signer{ctx: ctx, service: s, key: key, public: public}, nil
}

type signer struct {
	ctx     context.Context //nolint:containedctx // crypto.Signer's Sign is given none
	service *Service
	key     *v1alpha1.KMSKey
	public  *keys.PublicKey
}

// Public implements crypto.Signer.
func (s *signer) Public() crypto.PublicKey { return s.public.Key() }

// Sign implements crypto.Signer. Random bytes are those of crypto/rand, always.
func (s *signer) Sign(_ io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	algorithm, as, err := s.public.Spec().MessageFor(options)
	if err != nil {
		return nil, err
	}
	signature, err := s.service.Sign(s.ctx, s.key, algorithm, keys.Message{Bytes: digest, Type: as})
	s.service.usedWithin(s.key, keys.Sign, err)
	return signature, err
}
