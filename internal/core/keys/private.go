package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// ErrInvalidPrivateKey says that bytes are not a private key of the spec that they should be. It never says more: it is about
// secret bytes.
var ErrInvalidPrivateKey = errors.New("this is not a private key of that spec")

// curves of the elliptic key specs.
var curves = map[Spec]elliptic.Curve{NISTP256: elliptic.P256(), NISTP384: elliptic.P384(), NISTP521: elliptic.P521()}

// GeneratePrivateKey makes a private key of an asymmetric spec, as PKCS#8 (RFC 5208). The caller wipes it. Random bytes are those
// of crypto/rand, always. RSA_4096 takes seconds of one processor. It fails with ErrAlgorithm for a spec that has none.
func GeneratePrivateKey(s Spec) (pkcs8 secretbytes.Bytes, err error) {
	secretbytes.Do(func() {
		var key crypto.Signer
		switch bits := specifications[s].bits; {
		case bits != 0:
			key, err = rsa.GenerateKey(rand.Reader, bits)
		case curves[s] != nil:
			key, err = ecdsa.GenerateKey(curves[s], rand.Reader)
		default:
			err = fmt.Errorf("%w: there are no private keys of the spec %.40q", ErrAlgorithm, string(s))
		}
		if err != nil {
			return
		}
		defer wipe(key)
		var der []byte
		if der, err = x509.MarshalPKCS8PrivateKey(key); err == nil {
			pkcs8 = secretbytes.Own(der)
		}
	})
	if err != nil {
		return secretbytes.Bytes{}, fmt.Errorf("making a private key: %w", err)
	}
	return pkcs8, nil
}

// PrivateKey is a parsed private key: parsing one of RSA costs a tenth of a signature. It prints as a fixed word. It is safe for
// concurrent use, except for Wipe.
type PrivateKey struct {
	spec   Spec
	key    crypto.Signer // *rsa.PrivateKey or *ecdsa.PrivateKey
	public *PublicKey
}

// ParsePrivateKey reads PKCS#8 that must hold a key of that spec. The bytes stay the caller's. Every failure is
// ErrInvalidPrivateKey.
func ParsePrivateKey(s Spec, pkcs8 secretbytes.Bytes) (key *PrivateKey, err error) {
	secretbytes.Do(func() { key, err = parsePrivateKey(s, pkcs8.Reveal()) })
	return key, err
}

func parsePrivateKey(s Spec, pkcs8 []byte) (*PrivateKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil {
		return nil, ErrInvalidPrivateKey
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok || !s.fits(signer.Public()) {
		return nil, ErrInvalidPrivateKey
	}
	der, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return nil, ErrInvalidPrivateKey
	}
	// Read anew, as Go's own public half is a part of the private key: whoever holds it would keep all of that from being erased.
	public, err := ParsePublicKey(s, der)
	if err != nil {
		return nil, ErrInvalidPrivateKey
	}
	return &PrivateKey{spec: s, key: signer, public: public}, nil
}

// Public is the other half. It holds nothing of the private one: it stays when that is wiped, and keeps it from nothing.
func (k *PrivateKey) Public() *PublicKey { return k.public }

// Sign signs a digest of the algorithm's length. It fails with ErrAlgorithm and ErrDigestLength.
func (k *PrivateKey) Sign(a SigningAlgorithm, digest []byte) (signature []byte, err error) {
	if err := k.spec.CheckAlgorithm(a); err != nil {
		return nil, err
	}
	if digest, err = (Message{digest, true}).Digest(a); err != nil {
		return nil, err
	}
	secretbytes.Do(func() { signature, err = k.key.Sign(rand.Reader, digest, schemes[a].options()) })
	if err != nil {
		return nil, fmt.Errorf("signing by %s: %w", a, err)
	}
	return signature, nil
}

func (s scheme) options() crypto.SignerOpts {
	if s.pss {
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: s.hash}
	}
	return s.hash
}

// Wipe overwrites what can be reached of the key, which must be out of use. The copies that Go's module keeps of its numbers are
// not reachable: they were made within secretbytes.Do, so that the garbage collector erases them with the key.
func (k *PrivateKey) Wipe() {
	if k != nil && k.key != nil {
		wipe(k.key)
	}
}

func wipe(key crypto.Signer) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		wipeNumbers(key.D, key.Precomputed.Dp, key.Precomputed.Dq, key.Precomputed.Qinv)
		wipeNumbers(key.Primes...)
	case *ecdsa.PrivateKey:
		wipeNumbers(key.D) //nolint:staticcheck // the key is of no use afterwards, and is to be
	}
}

func wipeNumbers(numbers ...*big.Int) {
	for _, n := range numbers {
		if n != nil {
			clear(n.Bits())
			n.SetInt64(0)
		}
	}
}

// Format prints a fixed word for every verb, so that no format string shows the key.
func (k *PrivateKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// LogValue logs a fixed word.
func (k *PrivateKey) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// MarshalJSON always fails with [secretbytes.ErrNotMarshalled].
func (k *PrivateKey) MarshalJSON() ([]byte, error) { return nil, secretbytes.ErrNotMarshalled }

// MarshalText always fails with [secretbytes.ErrNotMarshalled].
func (k *PrivateKey) MarshalText() ([]byte, error) { return nil, secretbytes.ErrNotMarshalled }
