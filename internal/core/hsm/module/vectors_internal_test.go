//go:build cgo

package module

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
)

// imported puts an AES key whose bytes are known into the module, for a comparison with another implementation.
func imported(t testing.TB, m *Module, value []byte) pkcs11.ObjectHandle {
	t.Helper()
	object, err := m.ctx.CreateObject(m.keeper, []*pkcs11.Attribute{
		attr(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), attr(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES), attr(pkcs11.CKA_TOKEN, false), attr(pkcs11.CKA_PRIVATE, true),
		attr(pkcs11.CKA_VALUE, value), attr(pkcs11.CKA_SIGN, true), attr(pkcs11.CKA_ENCRYPT, true), attr(pkcs11.CKA_DECRYPT, true),
	})
	if err != nil {
		t.Fatal(err)
	}
	return object
}

// cmac is AES-CMAC of one whole block (RFC 4493, section 2.4), written here anew.
func cmac(t testing.TB, key, block []byte) []byte {
	t.Helper()
	c, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	l := make([]byte, 16)
	c.Encrypt(l, l)
	k1, carry := make([]byte, 16), byte(0)
	for i := 15; i >= 0; i-- {
		k1[i], carry = l[i]<<1|carry, l[i]>>7
	}
	if carry == 1 {
		k1[15] ^= 0x87
	}
	out := make([]byte, 16)
	for i := range out {
		out[i] = block[i] ^ k1[i]
	}
	c.Encrypt(out, out)
	return out
}

func TestAKeyCheckValueIsTheFirstFiveBytesOfAnAESCMACOfZeros(t *testing.T) {
	// RFC 4493, section 4, example 2: it is what this test compares with.
	key, _ := hex.DecodeString("2b7e151628aed2a6abf7158809cf4f3c")
	message, _ := hex.DecodeString("6bc1bee22e409f96e93d7e117393172a")
	if got := hex.EncodeToString(cmac(t, key, message)); got != "070a16b46b4d4144f79bdd9dd04a287c" {
		t.Fatal(got)
	}
	m := open(t, "check-value")
	for range 5 {
		value := make([]byte, hsm.KeySize)
		_, _ = rand.Read(value)
		got, err := m.checkValue(imported(t, m, value))
		if err != nil || !bytes.Equal(got, cmac(t, value, make([]byte, 16))[:hsm.CheckValueSize]) {
			t.Errorf("%x: %x, %v", value, got, err)
		}
		// The value of the block cipher itself would tell the block that AES-GCM hashes with.
		c, _ := aes.NewCipher(value)
		zero := make([]byte, 16)
		c.Encrypt(zero, zero)
		if bytes.Equal(got, zero[:hsm.CheckValueSize]) {
			t.Errorf("%x: the check value is the encryption of zeros", value)
		}
	}
}

// What the module seals is AES-256-GCM by the book: Go's own opens it, with the header and the AAD, and the other way round.
func TestWhatTheModuleSealsGoOpensAndTheOtherWayRound(t *testing.T) {
	m := open(t, "gcm")
	value := make([]byte, hsm.KeySize)
	_, _ = rand.Read(value)
	key := imported(t, m, value)
	block, _ := aes.NewCipher(value)
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 15, 16, 17, 32, 4096} {
		plaintext, aad := bytes.Repeat([]byte{7}, size), bytes.Repeat([]byte{9}, size)
		b, err := m.seal(m.keeper, key, hsm.Sealed{Kind: hsm.KindWrapped, Epoch: 3}, aad, plaintext)
		if err != nil || len(b) != size+hsm.Overhead {
			t.Fatalf("%d bytes: %d, %v", size, len(b), err)
		}
		s, err := hsm.ParseSealed(hsm.KindWrapped, b)
		if err != nil {
			t.Fatal(err)
		}
		got, err := gcm.Open(nil, s.Nonce, s.Body, append(s.Header(), aad...))
		if err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("Go opens %d bytes as %d: %v", size, len(got), err)
		}
		s.Nonce = bytes.Repeat([]byte{byte(size)}, hsm.NonceSize)
		s.Body = gcm.Seal(nil, s.Nonce, plaintext, append(s.Header(), aad...))
		if got, err := m.open(m.keeper, key, s, aad); err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("the module opens %d bytes as %d: %v", size, len(got), err)
		}
	}
}

func TestNoNonceIsUsedTwice(t *testing.T) {
	m := open(t, "nonces")
	seen := map[string]bool{}
	for range 2000 {
		b, err := m.Wrap(make([]byte, hsm.KeySize), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		nonce := string(b[hsm.HeaderSize : hsm.HeaderSize+hsm.NonceSize])
		if seen[nonce] {
			t.Fatalf("%x is used twice", nonce)
		}
		seen[nonce] = true
	}
}

// Every bit of what was sealed, and every byte of the AAD, is authenticated; nothing says which one it was.
func TestEveryBitOfAWrappedKeyIsAuthenticated(t *testing.T) {
	m := open(t, "bits")
	aad := []byte("context")
	wrapped, err := m.Wrap(bytes.Repeat([]byte{5}, hsm.KeySize), aad, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 * len(wrapped) {
		changed := bytes.Clone(wrapped)
		changed[i/8] ^= 1 << (i % 8)
		got, err := m.Unwrap(changed, aad)
		epoch := i/8 >= 4 && i/8 < hsm.HeaderSize // then it may name an epoch that is not there
		known := errors.Is(err, hsm.ErrInvalidCiphertext) || epoch && errors.Is(err, hsm.ErrUnknownEpoch)
		if got != nil || !known {
			t.Fatalf("bit %d: %x, %v", i, got, err)
		}
	}
	for _, other := range [][]byte{nil, []byte("contex"), []byte("context "), []byte("Context")} {
		if _, err := m.Unwrap(wrapped, other); !errors.Is(err, hsm.ErrInvalidCiphertext) || err.Error() != hsm.ErrInvalidCiphertext.Error() {
			t.Errorf("%q: %v", other, err)
		}
	}
	if got, err := m.Unwrap(wrapped, aad); err != nil || !bytes.Equal(got, bytes.Repeat([]byte{5}, hsm.KeySize)) {
		t.Errorf("%x, %v", got, err)
	}
}

func TestWhatWasMadeUnderOneEpochOpensWithTheNextOnesInPlaceAndIsNotTheirs(t *testing.T) {
	m := open(t, "epochs")
	first, err := m.Wrap(make([]byte, hsm.KeySize), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.CreateDomainKey(7); err != nil { // epochs need not follow on each other
		t.Fatal(err)
	}
	newest, err := m.Wrap(make([]byte, hsm.KeySize), nil, 0)
	if err != nil || newest[hsm.HeaderSize-1] != 7 || first[hsm.HeaderSize-1] != 1 {
		t.Fatalf("%x and %x, %v", first[:hsm.HeaderSize], newest[:hsm.HeaderSize], err)
	}
	for _, wrapped := range [][]byte{first, newest} {
		if _, err := m.Unwrap(wrapped, nil); err != nil {
			t.Error(err)
		}
	}
	swapped := bytes.Clone(first)
	swapped[hsm.HeaderSize-1] = 7
	if _, err := m.Unwrap(swapped, nil); !errors.Is(err, hsm.ErrInvalidCiphertext) {
		t.Errorf("the key of one epoch as another's: %v", err)
	}
	if _, err := m.Wrap(make([]byte, hsm.KeySize), nil, 2); !errors.Is(err, hsm.ErrUnknownEpoch) || !strings.Contains(err.Error(), "the newest is 7") {
		t.Errorf("%v", err)
	}
}

func TestAnECDSASignatureBecomesTheDEROfItsHalves(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, s, err := ecdsa.Sign(rand.Reader, private, make([]byte, 64))
	if err != nil {
		t.Fatal(err)
	}
	raw := append(r.FillBytes(make([]byte, 66)), s.FillBytes(make([]byte, 66))...)
	der, err := encodeECDSA(raw)
	if err != nil || !ecdsa.VerifyASN1(&private.PublicKey, make([]byte, 64), der) {
		t.Errorf("%x, %v", der, err)
	}
	// Halves with leading zeros and with the first bit set, as DER's integers have them.
	der, err = encodeECDSA([]byte{0, 1, 0x80, 0})
	var got struct{ R, S *big.Int }
	if _, parsed := asn1.Unmarshal(der, &got); err != nil || parsed != nil || got.R.Int64() != 1 || got.S.Int64() != 0x8000 {
		t.Errorf("%x, %v, %v", der, err, parsed)
	}
	for _, bad := range [][]byte{nil, {1}, {1, 2, 3}} {
		if _, err := encodeECDSA(bad); !errors.Is(err, hsm.ErrModule) {
			t.Errorf("%x: %v", bad, err)
		}
	}
}

// Keys of the cache are told apart by the token and the AAD, however the bytes are divided between them.
func TestTheCachesKeyTellsATokenFromItsAAD(t *testing.T) {
	seen := map[cacheKey]string{}
	for token := range 6 {
		b := []byte("abcdef")
		key := cacheKeyOf(&hsmpb.KeyToken{Token: b[:token], Aad: b[token:]})
		if other, there := seen[key]; there {
			t.Errorf("the first %d bytes as the token are cached as %s", token, other)
		}
		seen[key] = string(b[:token])
	}
}

func TestEachCodeOfPKCS11IsTheErrorThatSaysWhatToDo(t *testing.T) {
	for code, want := range map[pkcs11.Error]error{
		pkcs11.CKR_PIN_INCORRECT: hsm.ErrWrongPIN, pkcs11.CKR_PIN_LOCKED: hsm.ErrPINLocked, pkcs11.CKR_PIN_EXPIRED: hsm.ErrPINLocked,
		pkcs11.CKR_PIN_INVALID: hsm.ErrInvalidArgument, pkcs11.CKR_PIN_LEN_RANGE: hsm.ErrInvalidArgument, pkcs11.CKR_MECHANISM_INVALID: hsm.ErrUnsupported,
		pkcs11.CKR_FUNCTION_NOT_SUPPORTED: hsm.ErrUnsupported, pkcs11.CKR_DEVICE_ERROR: hsm.ErrModuleLost, pkcs11.CKR_DEVICE_REMOVED: hsm.ErrModuleLost,
		pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED: hsm.ErrModuleLost, pkcs11.CKR_OPERATION_ACTIVE: hsm.ErrModuleLost, pkcs11.CKR_HOST_MEMORY: hsm.ErrModuleLost,
		pkcs11.CKR_GENERAL_ERROR: hsm.ErrModule, pkcs11.CKR_ARGUMENTS_BAD: hsm.ErrModule, 0x80000001: hsm.ErrModule,
	} {
		err := wrap("C_Function", code)
		if hsm.Reason(err) != hsm.Reason(want) || !strings.Contains(err.Error(), "C_Function") || !errors.Is(err, code) {
			t.Errorf("%v: %v, want %v", code, err, want)
		}
		// Of what does not open, modules answer many codes, and none may tell a forger more than another.
		opened := closed("C_Decrypt", code)
		if errors.Is(want, hsm.ErrModuleLost) || errors.Is(want, hsm.ErrUnsupported) {
			if !errors.Is(opened, want) {
				t.Errorf("%v of a decryption: %v", code, opened)
			}
		} else if opened != hsm.ErrInvalidCiphertext { //nolint:errorlint // not a word more
			t.Errorf("%v of a decryption: %v", code, opened)
		}
	}
	if err := wrap("C_Function", errors.New("odd")); !errors.Is(err, hsm.ErrModule) {
		t.Error(err)
	}
}
