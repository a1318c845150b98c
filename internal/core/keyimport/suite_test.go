package keyimport_test

import (
	"context"
	"crypto"
	"crypto/aes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"hash"
	"sync"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/keyimport"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

const (
	keyARN   = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	otherARN = "arn:aws:kms:us-east-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321"
)

var begin = time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)

// ring is a keyring of its own.
func ring(t testing.TB) *keyring.Keyring {
	t.Helper()
	secret := make([]byte, keys.KeySize)
	_, _ = rand.Read(secret)
	root := keyring.NewSoftwareRoot("test", secretbytes.Own(secret))
	record, err := keyring.NewDomainKey(context.Background(), root, 1, nil, begin)
	must(t, err)
	k, err := keyring.Unseal(context.Background(), root, []keyring.DomainKeyRecord{record})
	must(t, err)
	return k
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var (
	made  = map[keys.Spec]secretbytes.Bytes{}
	oneAt sync.Mutex
)

// private is a private key of a spec as PKCS#8, the same one each time: those of RSA take long.
func private(t testing.TB, spec keys.Spec) secretbytes.Bytes {
	t.Helper()
	oneAt.Lock()
	defer oneAt.Unlock()
	if _, ok := made[spec]; !ok {
		key, err := keys.GeneratePrivateKey(spec)
		must(t, err)
		made[spec] = key
	}
	return secretbytes.Copy(made[spec].Reveal())
}

// token makes a token by an algorithm, and answers the public key to wrap by.
func token(t testing.TB, r *keyring.Keyring, a keyimport.Algorithm, wrapping keys.Spec) ([]byte, *rsa.PublicKey) {
	t.Helper()
	key := private(t, wrapping)
	made, err := keyimport.NewToken(r, keyARN, a, wrapping, key, begin.Add(keyimport.Validity))
	must(t, err)
	parsed, err := x509.ParsePKCS8PrivateKey(key.Reveal())
	must(t, err)
	return made, &parsed.(*rsa.PrivateKey).PublicKey
}

// wrap does what the other side does, by Go's own RSA and AES, and by the text of RFC 5649.
func wrap(t testing.TB, a keyimport.Algorithm, public *rsa.PublicKey, material []byte) []byte {
	t.Helper()
	h := crypto.SHA256
	if a == keyimport.OAEPSHA1 || a == keyimport.RSAAESKeyWrapSHA1 {
		h = crypto.SHA1
	}
	if a == keyimport.OAEPSHA1 || a == keyimport.OAEPSHA256 {
		return oaep(t, h, public, material)
	}
	kek := make([]byte, 32)
	_, _ = rand.Read(kek)
	return append(oaep(t, h, public, kek), kwp(t, kek, material)...)
}

func oaep(t testing.TB, h crypto.Hash, public *rsa.PublicKey, plaintext []byte) []byte {
	t.Helper()
	of := map[crypto.Hash]func() hash.Hash{crypto.SHA1: sha1.New, crypto.SHA256: sha256.New}[h]
	out, err := rsa.EncryptOAEP(of(), rand.Reader, public, plaintext, nil)
	must(t, err)
	return out
}

// kwp is the key wrap with padding of RFC 5649, section 4.1, for more than eight bytes.
func kwp(t testing.TB, kek, plaintext []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(kek)
	must(t, err)
	padded := append(make([]byte, 8), plaintext...)
	for len(padded)%8 != 0 {
		padded = append(padded, 0)
	}
	copy(padded, []byte{0xA6, 0x59, 0x59, 0xA6})
	binary.BigEndian.PutUint32(padded[4:], uint32(len(plaintext)))
	n := len(padded)/8 - 1
	for j := range 6 {
		for i := 1; i <= n; i++ {
			b := append(append([]byte{}, padded[:8]...), padded[8*i:8*i+8]...)
			block.Encrypt(b, b)
			binary.BigEndian.PutUint64(padded, binary.BigEndian.Uint64(b)^uint64(n*j+i))
			copy(padded[8*i:], b[8:])
		}
	}
	return padded
}
