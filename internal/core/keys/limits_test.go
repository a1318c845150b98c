package keys_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

func TestSealRefusesWhatIsOverALimit(t *testing.T) {
	full := keys.Context{"k": strings.Repeat("v", keys.MaxContext-1)}
	over := keys.Context{"k": strings.Repeat("v", keys.MaxContext)}
	cases := map[string]struct {
		key  secretbytes.Bytes
		kind keys.Kind
		ctx  keys.Context
		size int
		want error
	}{
		"everything at its limit":     {testKey, keys.KindTombstone, full, keys.MaxPlaintext, nil},
		"the plaintext one byte over": {testKey, keys.KindTombstone, full, keys.MaxPlaintext + 1, keys.ErrTooLarge},
		"the context one byte over":   {testKey, keys.KindTombstone, over, 1, keys.ErrTooLarge},
		"no key":                      {secretbytes.Bytes{}, keys.KindCiphertext, nil, 1, keys.ErrInvalidKey},
		"a key of 16 bytes":           {plaintext(16), keys.KindCiphertext, nil, 1, keys.ErrInvalidKey},
		"a key of 33 bytes":           {plaintext(33), keys.KindCiphertext, nil, 1, keys.ErrInvalidKey},
		"kind 0":                      {testKey, 0, nil, 1, keys.ErrInvalidKind},
		"kind 16":                     {testKey, 16, nil, 1, keys.ErrInvalidKind},
		"kind 255":                    {testKey, 255, nil, 1, keys.ErrInvalidKind},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			blob, err := keys.Seal(c.key, keys.Header{Kind: c.kind}, c.ctx, plaintext(c.size))
			if !errors.Is(err, c.want) || (c.want != nil && blob != nil) {
				t.Fatalf("Seal: %d bytes, %v", len(blob), err)
			}
			if c.want == nil {
				if _, err := keys.Open(c.key, keys.Header{Kind: c.kind}, c.ctx, blob); err != nil {
					t.Errorf("what Seal made does not open: %v", err)
				}
			}
		})
	}
}

func TestNoErrorOfSealShowsThePlaintextOrTheKey(t *testing.T) {
	const canary = "CANARY-hunter2"
	long := secretbytes.Own(bytes.Repeat([]byte(canary), keys.MaxPlaintext/len(canary)+1))
	for _, err := range []error{
		sealError(testKey, 1, nil, long), sealError(secretbytes.Copy([]byte(canary)), 1, nil, plaintext(1)),
		sealError(testKey, 1, keys.Context{canary: strings.Repeat("v", keys.MaxContext)}, plaintext(1)),
	} {
		if err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("error: %v", err)
		}
	}
}

func sealError(key secretbytes.Bytes, kind keys.Kind, ctx keys.Context, p secretbytes.Bytes) error {
	_, err := keys.Seal(key, keys.Header{Kind: kind}, ctx, p)
	return err
}

func TestOpenRefusesAContextOverTheLimit(t *testing.T) {
	blob := mustSeal(t, testKey, testHeader, nil, plaintext(8))
	refuse(t, "context", testKey, testHeader, keys.Context{"k": strings.Repeat("v", keys.MaxContext)}, blob)
}

func TestParseHeaderRefusesWhatIsNoBlobOfVersionOne(t *testing.T) {
	good := mustSeal(t, testKey, testHeader, nil, plaintext(8))
	with := func(i int, b byte) []byte {
		c := bytes.Clone(good)
		c[i] = b
		return c
	}
	bad := map[string][]byte{
		"nil": nil, "empty": {}, "95 bytes": good[:95], "too long": make([]byte, keys.MaxPlaintext+keys.Overhead+1),
		"version 0": with(0, 0), "version 2": with(0, 2), "suite 0": with(1, 0), "suite 2": with(1, 2), "suite 17": with(1, 17),
		"kind 0": with(2, 0), "kind 16": with(2, 16), "flags 1": with(3, 1), "flags 128": with(3, 128),
	}
	for name, blob := range bad {
		if h, err := keys.ParseHeader(blob); err != keys.ErrInvalidCiphertext || h != (keys.Header{}) { //nolint:errorlint // the very value is the contract
			t.Errorf("%s: %v, %v", name, h, err)
		}
		refuse(t, name, testKey, testHeader, nil, blob)
	}
}

func TestNoSaltAndNoNonceComesTwice(t *testing.T) {
	const seals = 100_000
	salts, nonces := make(map[[32]byte]struct{}, seals), make(map[[12]byte]struct{}, seals)
	p := plaintext(1)
	for range seals {
		blob := mustSeal(t, testKey, testHeader, nil, p)
		salts[[32]byte(blob[36:68])] = struct{}{}
		nonces[[12]byte(blob[68:80])] = struct{}{}
	}
	if len(salts) != seals {
		t.Errorf("%d salts in %d seals", len(salts), seals)
	}
	// By the birthday bound two of 10^5 random 96-bit nonces agree once in 10^19 runs.
	if len(nonces) != seals {
		t.Errorf("%d nonces in %d seals", len(nonces), seals)
	}
}
