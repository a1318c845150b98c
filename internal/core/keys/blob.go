package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// Kind is what a blob is, so that a blob of one kind never opens as another.
type Kind byte

// The kinds of blobs. The numbers are part of the format.
const (
	// KindCiphertext is what Encrypt and GenerateDataKey answer.
	KindCiphertext Kind = 1
	// KindKeyToken is wrapped key material.
	KindKeyToken Kind = 2
	// KindSecretVersion is the value of a secret's version.
	KindSecretVersion Kind = 3
	// KindParameterVersion is the value of a parameter's version.
	KindParameterVersion Kind = 4
	// KindGrantToken is a grant token.
	KindGrantToken Kind = 5
	// KindImportToken is a token of GetParametersForImport.
	KindImportToken Kind = 6
	// KindBackupChunk is a piece of a backup.
	KindBackupChunk Kind = 7
	// KindPageToken is the NextToken or NextMarker of a list.
	KindPageToken Kind = 8
	// KindTombstone is what is kept of a deleted object until it is gone for good.
	KindTombstone Kind = 9
	// KindAccessKey is the secret half of a user's access key.
	KindAccessKey Kind = 10
	// KindSessionToken is a session of STS: its secret, whose it is and what limits it.
	KindSessionToken Kind = 11
	// KindAuthorizationMessage is what DecodeAuthorizationMessage opens: why a request was denied.
	KindAuthorizationMessage Kind = 12
	// KindPrivateKey is a certificate's private key together with its chain.
	KindPrivateKey Kind = 13
	// KindIssuedCertificate is a certificate that an authority issued.
	KindIssuedCertificate Kind = 14
	// KindRevocation is what is known of the revocation of one.
	KindRevocation Kind = 15

	lastKind = KindRevocation
)

const (
	version1  = 1
	suiteHKDF = 1
	// suiteModule is of blobs whose body a hardware module made, see NewModuleBlob.
	suiteModule = 16

	headerSize = 36
	saltSize   = 32
	sealedAt   = headerSize + saltSize // the nonce, as GCM writes it itself, and then the ciphertext
	nonceSize  = 12
	tagSize    = 16
)

const (
	// KeySize is the size of key material for blobs, in bytes.
	KeySize = 32
	// Overhead is how much longer a blob is than its plaintext, in bytes.
	Overhead = sealedAt + nonceSize + tagSize
	// MaxPlaintext is the longest plaintext that Seal takes, in bytes. Callers have limits of their own below it, as
	// the 4,096 bytes of AWS KMS's Encrypt.
	MaxPlaintext = 256 << 10
)

var (
	// ErrInvalidCiphertext is the one error of Open and ParseHeader. It never says why: a cause would help whoever
	// guesses at ciphertexts. It is AWS KMS's InvalidCiphertextException.
	// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html#API_Decrypt_Errors
	ErrInvalidCiphertext = errors.New("the ciphertext does not open: it is damaged, or it was sealed for something else")
	// ErrTooLarge says that a plaintext or an encryption context is over its limit.
	ErrTooLarge = errors.New("too large")
	// ErrInvalidKey says that a key is not KeySize bytes.
	ErrInvalidKey = errors.New("invalid key")
	// ErrInvalidKind says that a Kind is none of those listed.
	ErrInvalidKind = errors.New("invalid kind of blob")
)

// Header says what a blob is and which key material seals it. It is in clear, and authenticated by Open.
type Header struct {
	Kind Kind
	// KeyID is the key's UUID as bytes, see ParseKeyID.
	KeyID [16]byte
	// MaterialID is the start of the id of the key material, see MaterialIDPrefix.
	MaterialID [16]byte
}

func (h Header) append(b []byte) []byte {
	b = append(b, version1, suiteHKDF, byte(h.Kind), 0)
	b = append(b, h.KeyID[:]...)
	return append(b, h.MaterialID[:]...)
}

// Seal encrypts plaintext of at most MaxPlaintext bytes under a key of KeySize bytes into a blob that is Overhead bytes
// longer, and that opens only with the same header and context. Random bytes are those of crypto/rand, always.
// It fails with ErrInvalidKey, ErrInvalidKind or ErrTooLarge.
func Seal(key secretbytes.Bytes, h Header, ctx AAD, plaintext secretbytes.Bytes) ([]byte, error) {
	return SealPart(key, h, ctx, Part{}, plaintext)
}

// SealPart is Seal with a context that is part of a larger one.
func SealPart(key secretbytes.Bytes, h Header, ctx AAD, part Part, plaintext secretbytes.Bytes) ([]byte, error) {
	if key.Len() != KeySize {
		return nil, fmt.Errorf("%w: it is %d bytes and must be %d", ErrInvalidKey, key.Len(), KeySize)
	}
	if h.Kind == 0 || h.Kind > lastKind {
		return nil, fmt.Errorf("%w: %d is not one of 1 to %d", ErrInvalidKind, h.Kind, lastKind)
	}
	if plaintext.Len() > MaxPlaintext {
		return nil, fmt.Errorf("%w: the plaintext is %d bytes and the limit is %d", ErrTooLarge, plaintext.Len(), MaxPlaintext)
	}
	if ctx == nil {
		ctx = Context(nil)
	}
	size, err := ctx.measure(part)
	if err != nil {
		return nil, err
	}
	aad := ctx.append(h.append(make([]byte, 0, headerSize+size)), part)
	blob := make([]byte, sealedAt, plaintext.Len()+Overhead)
	copy(blob, aad[:headerSize])
	salt := blob[headerSize:sealedAt]
	if _, err := rand.Read(salt); err != nil {
		return nil, fmt.Errorf("reading a random salt: %w", err)
	}
	secretbytes.Do(func() {
		var aead cipher.AEAD
		if aead, err = messageCipher(key, salt, aad[:headerSize]); err == nil {
			blob = aead.Seal(blob, nil, plaintext.Reveal(), aad)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("sealing a blob of kind %d: %w", h.Kind, err)
	}
	return blob, nil
}

// Open decrypts a blob that Seal made with the same key, header and context. The caller owns the answer and wipes it.
// Every failure is ErrInvalidCiphertext itself.
func Open(key secretbytes.Bytes, h Header, ctx AAD, blob []byte) (secretbytes.Bytes, error) {
	return OpenPart(key, h, ctx, Part{}, blob)
}

// OpenPart is Open with a context that is part of a larger one.
func OpenPart(key secretbytes.Bytes, h Header, ctx AAD, part Part, blob []byte) (secretbytes.Bytes, error) {
	aad, err := expected(key, h, ctx, part, blob)
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	var plaintext []byte
	secretbytes.Do(func() {
		// Exactly as large as needed, so that one Wipe erases all of it, and made in here, so that the garbage collector
		// erases it if the caller forgets to.
		plaintext = make([]byte, 0, len(blob)-Overhead)
		var aead cipher.AEAD
		if aead, err = messageCipher(key, blob[headerSize:sealedAt], aad[:headerSize]); err == nil {
			plaintext, err = aead.Open(plaintext, nil, blob[sealedAt:], aad)
		}
	})
	if err != nil {
		return secretbytes.Bytes{}, ErrInvalidCiphertext
	}
	return secretbytes.Own(plaintext), nil
}

// OpenPublic is OpenPart of a plaintext that is no secret, and was sealed to be known again. What the key leaves on the stack is erased, and the message's own key, which opens this
// blob alone, is not, and neither is the plaintext: each object that the runtime has to erase costs as much as the whole opening.
func OpenPublic(key secretbytes.Bytes, h Header, ctx AAD, part Part, blob []byte) ([]byte, error) {
	aad, err := expected(key, h, ctx, part, blob)
	if err != nil {
		return nil, err
	}
	var derived [KeySize]byte
	secretbytes.Do(func() { derived, err = derive(key, blob[headerSize:sealedAt], aad[:headerSize]) })
	if err != nil {
		return nil, ErrInvalidCiphertext
	}
	aead, err := gcm(derived[:])
	if err != nil {
		return nil, ErrInvalidCiphertext
	}
	plaintext, err := aead.Open(make([]byte, 0, len(blob)-Overhead), nil, blob[sealedAt:], aad)
	if err != nil {
		return nil, ErrInvalidCiphertext
	}
	return plaintext, nil
}

// expected is the additional data that a blob is opened with. It is made from what the caller expects, never from the blob.
func expected(key secretbytes.Bytes, h Header, ctx AAD, part Part, blob []byte) (aad []byte, err error) {
	if ctx == nil {
		ctx = Context(nil)
	}
	actual, err := ParseHeader(blob)
	size, tooLarge := ctx.measure(part)
	if err != nil || blob[1] != suiteHKDF || actual != h || key.Len() != KeySize || tooLarge != nil {
		return nil, ErrInvalidCiphertext
	}
	return ctx.append(h.append(make([]byte, 0, headerSize+size)), part), nil
}

// ParseHeader reads a blob's header, to find the key that opens it and to decide whether the caller may use it. Nothing
// is authenticated before Open. Every failure is ErrInvalidCiphertext itself.
func ParseHeader(blob []byte) (Header, error) {
	if len(blob) <= headerSize || len(blob) > MaxPlaintext+Overhead {
		return Header{}, ErrInvalidCiphertext
	}
	kind := Kind(blob[2])
	known := blob[1] == suiteHKDF && len(blob) >= Overhead || blob[1] == suiteModule
	if blob[0] != version1 || !known || kind == 0 || kind > lastKind || blob[3] != 0 {
		return Header{}, ErrInvalidCiphertext
	}
	return Header{Kind: kind, KeyID: [16]byte(blob[4:20]), MaterialID: [16]byte(blob[20:36])}, nil
}

// messageCipher is the cipher of the one message that has this salt. Call it within secretbytes.Do.
func messageCipher(key secretbytes.Bytes, salt, header []byte) (cipher.AEAD, error) {
	derived, err := derive(key, salt, header)
	if err != nil {
		return nil, err
	}
	return gcm(derived[:])
}

// gcm is AES-256-GCM (NIST SP 800-38D) with nonces of 96 random bits, which go before the ciphertext, and tags of 128.
// NewGCMWithRandomNonce and not NewGCM, which GODEBUG=fips140=only refuses, even for opening.
func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
