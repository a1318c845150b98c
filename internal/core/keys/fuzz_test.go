package keys_test

import (
	"bytes"
	"errors"
	"testing"

	"strongroom.dev/strongroom/internal/core/keys"
)

func FuzzOpen(f *testing.F) {
	// The same blob in every process of the fuzzer.
	good := independentSeal(testKey.Reveal(), testHeader, testContext, make([]byte, 32), make([]byte, 12), plaintext(32).Reveal())
	f.Add(good, "SecretVersionId", "v1")
	f.Add(good[:95], "", "")
	f.Add([]byte{}, "a", "b")
	for _, g := range readGolden(f) {
		f.Add(g.Blob, "epoch", "1")
	}
	f.Fuzz(func(t *testing.T, blob []byte, name, value string) {
		before := bytes.Clone(blob)
		for _, ctx := range []keys.Context{testContext, {name: value}} {
			h, err := keys.ParseHeader(blob)
			if err != nil {
				h = testHeader
			}
			got, err := keys.Open(testKey, h, ctx, blob)
			public, otherwise := keys.OpenPublic(testKey, h, ctx, keys.Part{}, blob)
			if !errors.Is(otherwise, err) || err == nil && !bytes.Equal(public, got.Reveal()) {
				t.Fatalf("as a public one: %v, and not %v", otherwise, err)
			}
			if !bytes.Equal(blob, before) {
				t.Fatal("Open changed the blob")
			}
			if err == nil && !bytes.Equal(blob, good) {
				t.Fatalf("a forged blob opens: %x", blob)
			}
			if err != nil && (err != keys.ErrInvalidCiphertext || got.Len() != 0) { //nolint:errorlint // the very value is the contract
				t.Fatalf("refused with %v and %d bytes", err, got.Len())
			}
		}
	})
}

func FuzzParseHeader(f *testing.F) {
	f.Add(mustSeal(f, testKey, testHeader, nil, plaintext(0)))
	f.Add([]byte{1, 1, 1, 0})
	f.Add(make([]byte, keys.Overhead))
	f.Fuzz(func(t *testing.T, blob []byte) {
		h, err := keys.ParseHeader(blob)
		if err != nil {
			if h != (keys.Header{}) {
				t.Fatalf("refused, and yet a header: %v", h)
			}
			return
		}
		// The header of a blob that is sealed anew under what was read is the same bytes.
		if again := mustSeal(t, testKey, h, nil, plaintext(0)); !bytes.Equal(again[:36], blob[:36]) {
			t.Fatalf("%x became %x", blob[:36], again[:36])
		}
	})
}

// Two contexts that are not the same never open each other's blobs.
func FuzzContextIsBoundInjectively(f *testing.F) {
	f.Add("a", "b", "c", "d", "a", "bc", "", "d")
	f.Add("a", "", "", "a", "", "a", "a", "")
	f.Add("a", "b", "a", "b", "a", "b", "x", "y")
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2, k3, v3, k4, v4 string) {
		a, b := keys.Context{k1: v1, k2: v2}, keys.Context{k3: v3, k4: v4}
		if a.Validate() != nil || b.Validate() != nil {
			return
		}
		same := len(a) == len(b)
		for k, v := range a {
			w, ok := b[k]
			same = same && ok && v == w
		}
		_, err := keys.Open(testKey, testHeader, b, mustSeal(t, testKey, testHeader, a, plaintext(1)))
		if (err == nil) != same {
			t.Fatalf("%q and %q: %v", a, b, err)
		}
	})
}

func FuzzIDs(f *testing.F) {
	f.Add("1234abcd-12ab-34cd-56ef-1234567890ab")
	f.Add("mrk-1234abcd12ab34cd56ef1234567890ab")
	f.Add("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := keys.ParseKeyID(s); err == nil {
			uuid := keys.FormatKeyID(id)
			if s != uuid && s != "mrk-"+uuid[:8]+uuid[9:13]+uuid[14:18]+uuid[19:23]+uuid[24:] {
				t.Fatalf("%q and %q are the same key", s, uuid)
			}
		}
		if _, err := keys.MaterialIDPrefix(s); err == nil && len(s) != 64 {
			t.Fatalf("%q is taken as a key material id", s)
		}
	})
}
