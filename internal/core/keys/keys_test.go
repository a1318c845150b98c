package keys_test

import (
	"bytes"
	"fmt"
	"testing"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

var (
	testKey    = secretbytes.Own(bytes.Repeat([]byte{0x5a}, keys.KeySize))
	testHeader = keys.Header{
		Kind:       keys.KindCiphertext,
		KeyID:      [16]byte{0x12, 0x34, 0xab, 0xcd, 15: 0xab},
		MaterialID: [16]byte{0xfe, 0xed, 15: 1},
	}
	testContext = keys.Context{"SecretARN": "arn:aws:secretsmanager:local:000000000001:secret:shop/db", "SecretVersionId": "v1"}
)

func plaintext(n int) secretbytes.Bytes {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return secretbytes.Own(b)
}

func mustSeal(t testing.TB, key secretbytes.Bytes, h keys.Header, ctx keys.Context, p secretbytes.Bytes) []byte {
	t.Helper()
	blob, err := keys.Seal(key, h, ctx, p)
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	return blob
}

// refuse checks that Open answers ErrInvalidCiphertext itself, not wrapped, and no byte of plaintext.
func refuse(t testing.TB, what string, key secretbytes.Bytes, h keys.Header, ctx keys.Context, blob []byte) {
	t.Helper()
	got, err := keys.Open(key, h, ctx, blob)
	if err != keys.ErrInvalidCiphertext { //nolint:errorlint // the very value is the contract
		t.Errorf("%s: error %v, want ErrInvalidCiphertext itself", what, err)
	}
	if got.Len() != 0 {
		t.Errorf("%s: %d bytes came out", what, got.Len())
	}
}

func TestABlobIsOverheadBytesLongerAndOpensAgain(t *testing.T) {
	for _, size := range []int{0, 1, 15, 16, 17, 32, 4096, keys.MaxPlaintext} {
		for _, ctx := range []keys.Context{nil, {}, {"": ""}, testContext} {
			t.Run(fmt.Sprintf("%d bytes with %d entries", size, len(ctx)), func(t *testing.T) {
				p := plaintext(size)
				blob := mustSeal(t, testKey, testHeader, ctx, p)
				if len(blob) != size+keys.Overhead {
					t.Errorf("%d bytes", len(blob))
				}
				got, err := keys.Open(testKey, testHeader, ctx, blob)
				if err != nil || !got.Equal(p) {
					t.Errorf("Open: %v", err)
				}
			})
		}
	}
}

func TestTheSizesAreThoseOfTheFormat(t *testing.T) {
	for size, want := range map[int]int{4096: 4192, 32: 128, 0: 96} {
		if got := len(mustSeal(t, testKey, testHeader, nil, plaintext(size))); got != want {
			t.Errorf("%d bytes became %d, want %d", size, got, want)
		}
	}
}

func TestTheHeaderIsInClearAtItsPlace(t *testing.T) {
	blob := mustSeal(t, testKey, testHeader, testContext, plaintext(10))
	if !bytes.Equal(blob[:4], []byte{1, 1, 1, 0}) || !bytes.Equal(blob[4:20], testHeader.KeyID[:]) ||
		!bytes.Equal(blob[20:36], testHeader.MaterialID[:]) {
		t.Errorf("header: %x", blob[:36])
	}
	got, err := keys.ParseHeader(blob)
	if err != nil || got != testHeader {
		t.Errorf("ParseHeader: %v, %v", got, err)
	}
}

func TestEverySingleBitFlipIsRefused(t *testing.T) {
	blob := mustSeal(t, testKey, testHeader, testContext, plaintext(32))
	for i := range len(blob) * 8 {
		flipped := bytes.Clone(blob)
		flipped[i/8] ^= 1 << (i % 8)
		// Also when the caller believes the flipped header, as one would who reads the key's id from the blob.
		refuse(t, fmt.Sprintf("bit %d", i), testKey, testHeader, testContext, flipped)
		if h, err := keys.ParseHeader(flipped); err == nil {
			refuse(t, fmt.Sprintf("bit %d, header believed", i), testKey, h, testContext, flipped)
		}
	}
}

func TestEveryTruncationAndExtensionIsRefused(t *testing.T) {
	blob := mustSeal(t, testKey, testHeader, testContext, plaintext(32))
	for n := range len(blob) {
		refuse(t, fmt.Sprintf("first %d bytes", n), testKey, testHeader, testContext, blob[:n])
		refuse(t, fmt.Sprintf("without the first %d bytes", n+1), testKey, testHeader, testContext, blob[n+1:])
		refuse(t, fmt.Sprintf("without byte %d", n), testKey, testHeader, testContext, append(bytes.Clone(blob[:n]), blob[n+1:]...))
	}
	for n := 1; n <= 64; n++ {
		refuse(t, fmt.Sprintf("%d bytes more", n), testKey, testHeader, testContext, append(bytes.Clone(blob), make([]byte, n)...))
		refuse(t, fmt.Sprintf("%d bytes in front", n), testKey, testHeader, testContext, append(make([]byte, n), blob...))
	}
	refuse(t, "twice", testKey, testHeader, testContext, append(bytes.Clone(blob), blob...))
	refuse(t, "over the limit", testKey, testHeader, testContext, make([]byte, keys.MaxPlaintext+keys.Overhead+1))
}

func TestOpenAndSealLeaveTheirInputsAlone(t *testing.T) {
	p, key := plaintext(100), secretbytes.Copy(testKey.Reveal())
	blob := mustSeal(t, key, testHeader, testContext, p)
	before := bytes.Clone(blob)
	if _, err := keys.Open(key, testHeader, testContext, blob); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(blob, before) || !p.Equal(plaintext(100)) || !key.Equal(testKey) {
		t.Error("an input changed")
	}
}

func TestTheSameContextInAnotherOrderOpens(t *testing.T) {
	for range 50 { // the order of a map is random
		a, b := keys.Context{}, keys.Context{}
		for i := range 20 {
			a[fmt.Sprint("key", i)] = fmt.Sprint(i)
			b[fmt.Sprint("key", 19-i)] = fmt.Sprint(19 - i)
		}
		blob := mustSeal(t, testKey, testHeader, a, plaintext(8))
		if _, err := keys.Open(testKey, testHeader, b, blob); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEveryOtherContextIsRefused(t *testing.T) {
	// Each of these would be the same bytes as another one if lengths or the count were left out.
	contexts := []keys.Context{
		nil, {"": ""}, {"a": ""}, {"": "a"}, {"a": "b"}, {"ab": ""}, {"": "ab"}, {"b": "a"}, {"A": "b"}, {"a": "B"},
		{"a": "b "}, {"a": "bc"}, {"ab": "c"}, {"abc": ""}, {"a": "b", "c": "d"}, {"a": "d", "c": "b"}, {"a": "bcd"},
		{"a": "b", "": ""}, {"a": "b", "c": ""}, {"a": "b\x00\x00\x00\x01c\x00\x00\x00\x01d"}, {"é": "1"}, {"e\u0301": "1"},
	}
	for i, sealed := range contexts {
		blob := mustSeal(t, testKey, testHeader, sealed, plaintext(8))
		for j, opened := range contexts {
			if i != j {
				refuse(t, fmt.Sprintf("sealed with %q, opened with %q", sealed, opened), testKey, testHeader, opened, blob)
			}
		}
	}
}

func TestNoBlobOpensAsAnotherKindOrUnderAnotherKeyOrMaterial(t *testing.T) {
	var headers []keys.Header
	for kind := keys.KindCiphertext; kind <= keys.KindAccessKey; kind++ {
		for id := range byte(2) {
			headers = append(headers, keys.Header{Kind: kind, KeyID: [16]byte{id}, MaterialID: [16]byte{1 - id}},
				keys.Header{Kind: kind, KeyID: [16]byte{id}, MaterialID: [16]byte{id}})
		}
	}
	for _, sealed := range headers {
		blob := mustSeal(t, testKey, sealed, testContext, plaintext(8))
		for _, opened := range headers {
			if opened != sealed {
				refuse(t, fmt.Sprintf("%v as %v", sealed, opened), testKey, opened, testContext, blob)
				relabelled := bytes.Clone(blob)
				copy(relabelled, mustSeal(t, testKey, opened, nil, plaintext(0))[:36])
				refuse(t, fmt.Sprintf("%v relabelled as %v", sealed, opened), testKey, opened, testContext, relabelled)
			}
		}
	}
}

func TestAnotherKeyIsRefused(t *testing.T) {
	blob := mustSeal(t, testKey, testHeader, testContext, plaintext(8))
	for i := range keys.KeySize * 8 {
		other := bytes.Clone(testKey.Reveal())
		other[i/8] ^= 1 << (i % 8)
		refuse(t, fmt.Sprintf("key bit %d", i), secretbytes.Own(other), testHeader, testContext, blob)
	}
	for _, n := range []int{0, 16, 31, 33, 64} {
		refuse(t, fmt.Sprintf("key of %d bytes", n), plaintext(n), testHeader, testContext, blob)
	}
}

func TestPartsOfTwoBlobsDoNotMakeAThird(t *testing.T) {
	a := mustSeal(t, testKey, testHeader, testContext, plaintext(32))
	b := mustSeal(t, testKey, testHeader, testContext, plaintext(32))
	for cut := 37; cut < len(a); cut++ {
		third := append(bytes.Clone(a[:cut]), b[cut:]...)
		if !bytes.Equal(third, a) && !bytes.Equal(third, b) { // random bytes may agree at an end
			refuse(t, fmt.Sprintf("cut at %d", cut), testKey, testHeader, testContext, third)
		}
	}
}
