package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/mldsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// ErrInvalidPrivateKey says that bytes are not a private key of the spec that they should be. It never says more: it is about
// secret bytes.
var ErrInvalidPrivateKey = errors.New("this is not a private key of that spec")

// curves of the elliptic key specs.
var curves = map[Spec]elliptic.Curve{NISTP256: elliptic.P256(), NISTP384: elliptic.P384(), NISTP521: elliptic.P521()}

// parameters of the specs of ML-DSA.
var parameters = map[Spec]mldsa.Parameters{MLDSA44: mldsa.MLDSA44(), MLDSA65: mldsa.MLDSA65(), MLDSA87: mldsa.MLDSA87()}

// GeneratePrivateKey makes a private key of an asymmetric spec, as PKCS#8 (RFC 5208); those of ML-DSA and ML-KEM hold the seed alone (RFC 9881, RFC 9935). The caller
// wipes it. Random bytes are those of crypto/rand, always. RSA_4096 takes seconds of one processor. It fails with ErrAlgorithm for a spec that has
// none, and with ErrNotApproved.
func GeneratePrivateKey(s Spec) (pkcs8 secretbytes.Bytes, err error) {
	if err := s.CheckApproved(); err != nil {
		return pkcs8, err
	}
	secretbytes.Do(func() {
		var key any
		if key, err = generate(s); err != nil {
			return
		}
		defer wipe(key)
		var der []byte
		if der, err = marshalPKCS8(key); err == nil {
			pkcs8 = secretbytes.Own(der)
		}
	})
	if err != nil {
		return secretbytes.Bytes{}, fmt.Errorf("making a private key: %w", err)
	}
	return pkcs8, nil
}

func generate(s Spec) (any, error) {
	switch bits := specifications[s].bits; {
	case bits != 0:
		return rsa.GenerateKey(rand.Reader, bits)
	case kems[s] != nil:
		return kems[s].generate()
	case curves[s] != nil:
		return ecdsa.GenerateKey(curves[s], rand.Reader)
	case parameters[s] != mldsa.Parameters{}:
		return mldsa.GenerateKey(parameters[s])
	case s == EDWARDS25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case s == SECGP256K1:
		return secp256k1.GeneratePrivateKeyFromRand(rand.Reader)
	}
	return nil, fmt.Errorf("%w: there are no private keys of the spec %.40q", ErrAlgorithm, string(s))
}

// marshalPKCS8 writes what x509 has no type for, too.
func marshalPKCS8(key any) ([]byte, error) {
	switch key := key.(type) {
	case *secp256k1.PrivateKey:
		return marshalP256K1(key)
	case decapsulationKey:
		return marshalKEM(key)
	}
	return x509.MarshalPKCS8PrivateKey(key)
}

// PrivateKey is a parsed private key: parsing one of RSA costs a tenth of a signature. It prints as a fixed word. It is safe for
// concurrent use, except for Wipe.
type PrivateKey struct {
	spec   Spec
	key    any // *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey, *mldsa.PrivateKey, *secp256k1.PrivateKey or a decapsulationKey
	public *PublicKey
}

// ParsePrivateKey reads PKCS#8 that must hold a key of that spec. The bytes stay the caller's. Every failure is
// ErrInvalidPrivateKey.
func ParsePrivateKey(s Spec, pkcs8 secretbytes.Bytes) (key *PrivateKey, err error) {
	secretbytes.Do(func() { key, err = parsePrivateKey(s, pkcs8.Reveal()) })
	return key, err
}

func parsePrivateKey(s Spec, pkcs8 []byte) (*PrivateKey, error) {
	if s == SECGP256K1 {
		return parseP256K1(pkcs8)
	}
	if k := kems[s]; k != nil {
		return k.parsePrivate(s, pkcs8)
	}
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

// CheckPrimes fails with ErrInvalidPrivateKey for a key of RSA whose modulus is of more than two primes: RFC 8017 has those, and FIPS 186-5 and its modules have not.
func (k *PrivateKey) CheckPrimes() error {
	if key, ok := k.key.(*rsa.PrivateKey); ok && len(key.Primes) != 2 {
		return ErrInvalidPrivateKey
	}
	return nil
}

// Public is the other half. It holds nothing of the private one: it stays when that is wiped, and keeps it from nothing.
func (k *PrivateKey) Public() *PublicKey { return k.public }

// Sign signs a message, or what its type says of it. It fails with ErrAlgorithm and ErrNotApproved, and as Message.Check does.
func (k *PrivateKey) Sign(a SigningAlgorithm, m Message) (signature []byte, err error) {
	if err := k.spec.CheckAlgorithm(a); err != nil {
		return nil, err
	}
	if err := k.spec.CheckApproved(); err != nil {
		return nil, err
	}
	digest, err := m.Digest(a)
	if err != nil {
		return nil, err
	}
	secretbytes.Do(func() {
		switch key := k.key.(type) {
		case *secp256k1.PrivateKey:
			signature, err = signP256K1(key, digest)
		case crypto.Signer:
			signature, err = key.Sign(rand.Reader, digest, schemes[a].options(m.Type))
		}
	})
	if err != nil {
		return nil, fmt.Errorf("signing by %s: %w", a, err)
	}
	return signature, nil
}

// Wipe overwrites what can be reached of the key, which must be out of use. The copies that Go's module keeps of its numbers are
// not reachable: they were made within secretbytes.Do, so that the garbage collector erases them with the key.
func (k *PrivateKey) Wipe() {
	if k != nil && k.key != nil {
		wipe(k.key)
	}
}

func wipe(key any) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		wipeNumbers(key.D, key.Precomputed.Dp, key.Precomputed.Dq, key.Precomputed.Qinv)
		wipeNumbers(key.Primes...)
	case ed25519.PrivateKey:
		clear(key)
	case *secp256k1.PrivateKey:
		key.Zero()
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
