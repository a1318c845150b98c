package keys_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"testing"

	"strongroom.dev/strongroom/internal/core/keys"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// counting is the bytes from, from+1, ... to.
func counting(from, to int) []byte {
	var b []byte
	for i := from; i <= to; i++ {
		b = append(b, byte(i))
	}
	return b
}

// The derivation is Go's, called as the package calls it. RFC 5869, appendix A, has the answers.
func TestTheDerivationGivesTheAnswersOfRFC5869(t *testing.T) {
	for name, c := range map[string]struct {
		key, salt, info []byte
		want            string
	}{
		"A.1, basic": {bytes.Repeat([]byte{0x0b}, 22), counting(0, 0x0c), counting(0xf0, 0xf9),
			"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
		"A.2, longer than a hash": {counting(0, 0x4f), counting(0x60, 0xaf), counting(0xb0, 0xff),
			"b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71" +
				"cc30c58179ec3e87c14c01d5c1f3434f1d87"},
		"A.3, without salt and info": {bytes.Repeat([]byte{0x0b}, 22), nil, nil,
			"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
	} {
		want := unhex(t, c.want)
		for _, size := range []int{len(want), keys.KeySize} { // a shorter answer is the beginning of the longer one
			got, err := hkdf.Key(sha256.New, c.key, c.salt, string(c.info), size)
			if err != nil || !bytes.Equal(got, want[:size]) {
				t.Errorf("%s, %d bytes: %x, %v", name, size, got, err)
			}
		}
	}
}

// The cipher is Go's AEAD that puts the nonce in front by itself. It must take what the standard's authors computed: test
// cases 13 to 16 (AES-256, nonce of 96 bits) of McGrew and Viega's "The Galois/Counter Mode of Operation", which NIST
// refers to in SP 800-38D.
func TestTheCipherOpensTheTestCasesOfGCM(t *testing.T) {
	const (
		key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"
		p   = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"
		c   = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
	)
	zeros := hex.EncodeToString(make([]byte, 32))
	for name, v := range map[string]struct{ key, nonce, aad, plaintext, ciphertext, tag string }{
		"13, nothing":              {zeros, zeros[:24], "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
		"14, one block":            {zeros, zeros[:24], "", zeros[:32], "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
		"15, four blocks":          {key, "cafebabefacedbaddecaf888", "", p, c, "b094dac5d93471bdec1a502270e3cc6c"},
		"16, with associated data": {key, "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2", p[:120], c[:120], "76fc6ece0f4e1768cddf8853bb2d551b"},
	} {
		block, err := aes.NewCipher(unhex(t, v.key))
		if err != nil {
			t.Fatal(err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			t.Fatal(err)
		}
		sealed := slices.Concat(unhex(t, v.nonce), unhex(t, v.ciphertext), unhex(t, v.tag))
		got, err := aead.Open(nil, nil, sealed, unhex(t, v.aad))
		if err != nil || !bytes.Equal(got, unhex(t, v.plaintext)) {
			t.Errorf("case %s: %x, %v", name, got, err)
		}
		sealed[len(sealed)-1] ^= 1
		if _, err := aead.Open(nil, nil, sealed, unhex(t, v.aad)); err == nil {
			t.Errorf("case %s: another tag opens", name)
		}
	}
}
