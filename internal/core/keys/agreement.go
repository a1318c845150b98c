package keys

import (
	"crypto/ecdsa"
	"fmt"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// ECDH is the one key agreement algorithm: the cofactor Diffie-Hellman primitive of NIST SP 800-56A, revision 3, section 5.7.1.2. The cofactor of
// NIST's curves is 1.
const ECDH = "ECDH"

// SharedSecret is the secret that the key shares with the owner of another public key on the same curve: the x coordinate, as long as the
// field's elements. It is no key by itself: derive one from it (NIST SP 800-56C). The caller wipes it. It fails with ErrAlgorithm for keys that are on no
// curve, and with ErrInvalidPublicKey for a peer on another one.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_DeriveSharedSecret.html
func (k *PrivateKey) SharedSecret(peer *PublicKey) (secret secretbytes.Bytes, err error) {
	private, ok := k.key.(*ecdsa.PrivateKey)
	if !ok {
		return secret, fmt.Errorf("%w: %s is not for keys of the spec %s", ErrAlgorithm, ECDH, k.spec)
	}
	public, ok := peer.key.(*ecdsa.PublicKey)
	if !ok || public.Curve != private.Curve {
		return secret, fmt.Errorf("%w: it is of the spec %s, and should be %s", ErrInvalidPublicKey, peer.spec, k.spec)
	}
	remote, err := public.ECDH()
	if err != nil {
		return secret, fmt.Errorf("%w: %w", ErrInvalidPublicKey, err)
	}
	secretbytes.Do(func() {
		local, failed := private.ECDH()
		if failed != nil {
			err = ErrInvalidPrivateKey
			return
		}
		shared, failed := local.ECDH(remote)
		if failed != nil {
			err = ErrInvalidPublicKey
			return
		}
		secret = secretbytes.Own(shared)
	})
	return secret, err
}
