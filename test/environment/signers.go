package environment

import (
	"context"
	"crypto"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
)

// Signers sign for KMSKeys with keys in memory, one a key's UID.
type Signers struct {
	// Algorithm of the keys.
	Algorithm pki.KeyAlgorithm

	mu sync.Mutex
	of map[types.UID]crypto.Signer
}

// Signer is the key of a KMSKey.
func (s *Signers) Signer(_ context.Context, key *v1alpha1.KMSKey) (crypto.Signer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[types.UID]crypto.Signer{}
	}
	if s.of[key.UID] == nil {
		made, err := pki.GenerateKey(s.Algorithm)
		if err != nil {
			return nil, err
		}
		s.of[key.UID] = made
	}
	return s.of[key.UID], nil
}
