package keys

import (
	"bytes"
	"crypto/mlkem"
	"encoding/asn1"
	"fmt"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// EncapsulationAlgorithm is how a shared secret is encapsulated, by AWS's name.
type EncapsulationAlgorithm string

// MLKEM is the one encapsulation algorithm: ML-KEM (FIPS 203), sections 7.2 and 7.3.
const MLKEM EncapsulationAlgorithm = "ML_KEM"

// encapsulationKey and decapsulationKey are the halves of a key of ML-KEM, of either parameter set.
type (
	encapsulationKey interface {
		Bytes() []byte
		Encapsulate() (sharedKey, ciphertext []byte)
	}
	decapsulationKey interface {
		Bytes() []byte // the seed
		Decapsulate(ciphertext []byte) (sharedKey []byte, err error)
	}
)

// kem is a parameter set of ML-KEM. x509 has none of them: what is here is their DER, byte for byte as openssl writes it.
type kem struct {
	oid asn1.ObjectIdentifier // RFC 9935, section 3
	// public is the length of an encapsulation key in bytes.
	public int
	// ciphertext is the length of an encapsulated secret in bytes.
	ciphertext int
	generate   func() (decapsulationKey, error)
	private    func(seed []byte) (decapsulationKey, error)
	parse      func(public []byte) (encapsulationKey, error)
}

var kems = map[Spec]*kem{
	MLKEM768: {
		oid: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 4, 2}, public: mlkem.EncapsulationKeySize768, ciphertext: mlkem.CiphertextSize768,
		generate: func() (decapsulationKey, error) { return mlkem.GenerateKey768() },
		private:  func(seed []byte) (decapsulationKey, error) { return mlkem.NewDecapsulationKey768(seed) },
		parse:    func(public []byte) (encapsulationKey, error) { return mlkem.NewEncapsulationKey768(public) },
	},
	MLKEM1024: {
		oid: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 4, 3}, public: mlkem.EncapsulationKeySize1024, ciphertext: mlkem.CiphertextSize1024,
		generate: func() (decapsulationKey, error) { return mlkem.GenerateKey1024() },
		private:  func(seed []byte) (decapsulationKey, error) { return mlkem.NewDecapsulationKey1024(seed) },
		parse:    func(public []byte) (encapsulationKey, error) { return mlkem.NewEncapsulationKey1024(public) },
	},
}

// publicOf is the other half of a private key.
func publicOf(key decapsulationKey) encapsulationKey {
	switch key := key.(type) {
	case *mlkem.DecapsulationKey768:
		return key.EncapsulationKey()
	case *mlkem.DecapsulationKey1024:
		return key.EncapsulationKey()
	}
	return nil
}

type kemAlgorithm struct{ Algorithm asn1.ObjectIdentifier }

// kemPublicKey is a SubjectPublicKeyInfo (RFC 9935, section 4), whose algorithm has no parameters.
type kemPublicKey struct {
	Algorithm kemAlgorithm
	Key       asn1.BitString
}

// kemPKCS8 is a PrivateKeyInfo (RFC 5208, section 5). It holds a seed, as [0] IMPLICIT OCTET STRING (RFC 9935, section 6).
type kemPKCS8 struct {
	Version   int
	Algorithm kemAlgorithm
	Key       []byte
}

// seedHead is the tag and the length in front of a seed.
var seedHead = []byte{0x80, mlkem.SeedSize}

func marshalKEM(key decapsulationKey) ([]byte, error) {
	seed := key.Bytes()
	defer clear(seed)
	inner := append(bytes.Clone(seedHead), seed...)
	defer clear(inner)
	for _, k := range kems {
		if len(publicOf(key).Bytes()) == k.public {
			return asn1.Marshal(kemPKCS8{Algorithm: kemAlgorithm{k.oid}, Key: inner})
		}
	}
	return nil, ErrInvalidPrivateKey
}

// parsePrivate fails with ErrInvalidPrivateKey, also for the expanded form of a key (RFC 9935, section 6), from which the seed cannot be had again.
func (k *kem) parsePrivate(s Spec, pkcs8 []byte) (*PrivateKey, error) {
	var outer kemPKCS8
	defer func() { clear(outer.Key) }()
	rest, err := asn1.Unmarshal(pkcs8, &outer)
	if err != nil || len(rest) != 0 || outer.Version != 0 || !outer.Algorithm.Algorithm.Equal(k.oid) {
		return nil, ErrInvalidPrivateKey
	}
	seed, ok := bytes.CutPrefix(outer.Key, seedHead)
	if !ok || len(seed) != mlkem.SeedSize {
		return nil, ErrInvalidPrivateKey
	}
	key, err := k.private(seed)
	if err != nil {
		return nil, ErrInvalidPrivateKey
	}
	public, err := k.newPublic(s, bytes.Clone(publicOf(key).Bytes())) // made anew: Go's own half is a part of the private key
	if err != nil {
		return nil, ErrInvalidPrivateKey
	}
	if der, err := marshalKEM(key); err != nil || !bytes.Equal(der, pkcs8) { // as for public keys: nothing else may be in it
		return nil, ErrInvalidPrivateKey
	}
	return &PrivateKey{spec: s, key: key, public: public}, nil
}

// newPublic is a public key by its bytes (FIPS 203, section 7.2).
func (k *kem) newPublic(s Spec, encoded []byte) (*PublicKey, error) {
	key, err := k.parse(encoded)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidPublicKey, err)
	}
	der, err := asn1.Marshal(kemPublicKey{kemAlgorithm{k.oid}, asn1.BitString{Bytes: encoded, BitLength: 8 * len(encoded)}})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidPublicKey, err)
	}
	return &PublicKey{spec: s, key: key, der: der}, nil
}

func (k *kem) parsePublic(s Spec, der []byte) (*PublicKey, error) {
	var info kemPublicKey
	rest, err := asn1.Unmarshal(der, &info)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrInvalidPublicKey, err)
	case len(rest) != 0 || !info.Algorithm.Algorithm.Equal(k.oid) || info.Key.BitLength != 8*k.public:
		return nil, fmt.Errorf("%w: it is no SubjectPublicKeyInfo of %s", ErrInvalidPublicKey, s)
	}
	public, err := k.newPublic(s, info.Key.Bytes)
	if err != nil {
		return nil, err
	}
	if err := public.written(der); err != nil {
		return nil, err
	}
	return public, nil
}

// EncapsulationAlgorithms of a key of this spec and the usage EncapsulateDecapsulate. It is nil for keys that never encapsulate.
func (s Spec) EncapsulationAlgorithms() []EncapsulationAlgorithm {
	if kems[s] == nil {
		return nil
	}
	return []EncapsulationAlgorithm{MLKEM}
}

// CheckEncapsulation fails with ErrAlgorithm unless keys of this spec encapsulate by that algorithm.
func (s Spec) CheckEncapsulation(a EncapsulationAlgorithm) error {
	if kems[s] == nil || a != MLKEM {
		return fmt.Errorf("%w: %.40q is not for keys of the spec %.40q", ErrAlgorithm, string(a), string(s))
	}
	return nil
}

// Encapsulate makes a random secret of 32 bytes, and the ciphertext that gives it to whoever has the private key. The secret can be used as a key as it is. The
// caller wipes it. Random bytes are those of crypto/rand, always. It fails with ErrAlgorithm.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Encapsulate.html
func (k *PublicKey) Encapsulate(a EncapsulationAlgorithm) (secret secretbytes.Bytes, ciphertext []byte, err error) {
	if err := k.spec.CheckEncapsulation(a); err != nil {
		return secret, nil, err
	}
	key, ok := k.key.(encapsulationKey)
	if !ok {
		return secret, nil, ErrInvalidPublicKey
	}
	secretbytes.Do(func() {
		var shared []byte
		shared, ciphertext = key.Encapsulate()
		secret = secretbytes.Own(shared)
		ciphertext = bytes.Clone(ciphertext)
	})
	return secret, ciphertext, nil
}

// Decapsulate is the secret of a ciphertext. It fails with ErrInvalidCiphertext if that is not as long as those of the spec. For any other that is not the key's it is a
// secret that nobody else has, the same one each time (implicit rejection: FIPS 203, section 6.3), so that who asks learns nothing of why. The caller wipes it. It fails with
// ErrAlgorithm.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decapsulate.html
func (k *PrivateKey) Decapsulate(a EncapsulationAlgorithm, ciphertext []byte) (secret secretbytes.Bytes, err error) {
	if err := k.spec.CheckEncapsulation(a); err != nil {
		return secret, err
	}
	key, ok := k.key.(decapsulationKey)
	if !ok {
		return secret, ErrInvalidPrivateKey
	}
	if len(ciphertext) != kems[k.spec].ciphertext {
		return secret, ErrInvalidCiphertext
	}
	secretbytes.Do(func() {
		shared, failed := key.Decapsulate(ciphertext)
		if failed != nil {
			err = ErrInvalidCiphertext
			return
		}
		secret = secretbytes.Own(shared)
	})
	return secret, err
}
