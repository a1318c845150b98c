package kms

import (
	"context"
	"crypto/hmac"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
)

// GenerateMac is the code of a message under an HMAC key. The fault says KeyUnusable; what is wrong with the message or the algorithm is
// keys.ErrTooLarge or keys.ErrAlgorithm.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateMac.html
func (s *Service) GenerateMac(ctx context.Context, key *v1alpha1.KMSKey, algorithm keys.MacAlgorithm, message []byte) ([]byte, error) {
	return s.mac(ctx, key, keys.GenerateMac, algorithm, message)
}

// VerifyMac fails with keys.ErrInvalidMac unless the code is the key's for that message, in a time that does not tell where they differ; and
// otherwise as GenerateMac.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_VerifyMac.html
func (s *Service) VerifyMac(ctx context.Context, key *v1alpha1.KMSKey, algorithm keys.MacAlgorithm, message, code []byte) error {
	expected, err := s.mac(ctx, key, keys.VerifyMac, algorithm, message)
	if err != nil {
		return err
	}
	defer clear(expected) // who sent another code has yet to learn it
	if !hmac.Equal(expected, code) {
		return keys.ErrInvalidMac
	}
	return nil
}

func (s *Service) mac(ctx context.Context, key *v1alpha1.KMSKey, operation keys.Operation, algorithm keys.MacAlgorithm, message []byte) (
	[]byte, error,
) {
	if err := CheckUsable(key, operation); err != nil {
		return nil, err
	}
	m, err := current(key)
	if err != nil {
		return nil, err
	}
	return s.backend(key).Mac(ctx, Material{key, m}, algorithm, message)
}
