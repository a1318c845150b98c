package keys_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"os/exec"
	"slices"
	"testing"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// This is the format written a second time from its description, sharing no code with the package: HKDF by RFC 5869's
// own formulas over HMAC, plain GCM with a nonce that the caller gives, and the layout by hand.

func independentParts(key []byte, h keys.Header, ctx keys.Context, salt []byte) (header, aad []byte, gcm cipher.AEAD) {
	header = []byte{1, 1, byte(h.Kind), 0}
	header = append(header, h.KeyID[:]...)
	header = append(header, h.MaterialID[:]...)

	extract := hmac.New(sha256.New, salt)
	extract.Write(key)
	expand := hmac.New(sha256.New, extract.Sum(nil))
	expand.Write(header)
	expand.Write([]byte{1}) // T(1) is all of 32 bytes

	block, err := aes.NewCipher(expand.Sum(nil))
	if err != nil {
		panic(err)
	}
	if gcm, err = cipher.NewGCM(block); err != nil {
		panic(err)
	}
	var names []string
	for name := range ctx {
		names = append(names, name)
	}
	slices.Sort(names)
	var b bytes.Buffer
	b.Write(header)
	_ = binary.Write(&b, binary.BigEndian, uint32(len(names)))
	for _, name := range names {
		for _, s := range []string{name, ctx[name]} {
			_ = binary.Write(&b, binary.BigEndian, uint32(len(s)))
			b.WriteString(s)
		}
	}
	return header, b.Bytes(), gcm
}

func independentSeal(key []byte, h keys.Header, ctx keys.Context, salt, nonce, p []byte) (blob []byte) {
	fips140.WithoutEnforcement(func() { // NewGCM is refused by fips140=only
		header, aad, gcm := independentParts(key, h, ctx, salt)
		blob = slices.Concat(header, salt, nonce)
		blob = gcm.Seal(blob, nonce, p, aad)
	})
	return blob
}

func independentOpen(key []byte, h keys.Header, ctx keys.Context, blob []byte) (p []byte, err error) {
	fips140.WithoutEnforcement(func() {
		_, aad, gcm := independentParts(key, h, ctx, blob[36:68])
		p, err = gcm.Open(nil, blob[68:80], blob[80:], aad)
	})
	return p, err
}

func TestAnIndependentImplementationOpensWhatSealMakes(t *testing.T) {
	for _, size := range []int{0, 1, 32, 4096} {
		for _, ctx := range []keys.Context{nil, testContext, {"": ""}, {"b": "2", "a": "1", "ä": "€"}} {
			blob := mustSeal(t, testKey, testHeader, ctx, plaintext(size))
			p, err := independentOpen(testKey.Reveal(), testHeader, ctx, blob)
			if err != nil || !plaintext(size).Equal(secretbytes.Own(p)) {
				t.Errorf("%d bytes, %q: %v", size, ctx, err)
			}
		}
	}
}

func TestOpenOpensWhatAnIndependentImplementationSeals(t *testing.T) {
	salt, nonce := bytes.Repeat([]byte{3}, 32), bytes.Repeat([]byte{4}, 12)
	for _, size := range []int{0, 1, 32, 4096} {
		for _, ctx := range []keys.Context{nil, testContext, {"": ""}, {"b": "2", "a": "1", "ä": "€"}} {
			p := plaintext(size)
			blob := independentSeal(testKey.Reveal(), testHeader, ctx, salt, nonce, p.Reveal())
			got, err := keys.Open(testKey, testHeader, ctx, blob)
			if err != nil || !got.Equal(p) {
				t.Errorf("%d bytes, %q: %v", size, ctx, err)
			}
		}
	}
}

// The FIPS mode is chosen when a process starts, so the tests of the format run again in a process of their own.
func TestTheFormatWorksWhereOnlyFIPSCryptographyIsAllowed(t *testing.T) {
	const again = "STRONGROOM_TEST_FIPS_ONLY"
	if os.Getenv(again) != "" {
		if !fips140.Enforced() {
			t.Fatal("fips140=only is not in force")
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run",
		"^Test(TheFormat|ABlob|EverySingleBit|EveryOther|AnIndependent|OpenOpens|AGolden|SealRefuses)")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only", again+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestTheFormatWorks")) || !bytes.Contains(out, []byte("--- PASS: TestAGolden")) {
		t.Errorf("under GODEBUG=fips140=only: %v\n%s", err, out)
	}
}
