package keys_test

import (
	"bytes"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

func moduleHeader() keys.Header {
	h := keys.Header{Kind: keys.KindCiphertext}
	h.KeyID[0], h.MaterialID[0] = 1, 2
	return h
}

func TestAModulesBlobNamesItsKeyAndGivesItsBodyBackForThatHeaderAlone(t *testing.T) {
	h := moduleHeader()
	blob := keys.NewModuleBlob(h, []byte("body"))
	if got, err := keys.ParseHeader(blob); err != nil || got != h {
		t.Errorf("%+v, %v", got, err)
	}
	if body, err := keys.ModuleBody(h, blob); err != nil || string(body) != "body" {
		t.Errorf("%q, %v", body, err)
	}
	other := h
	other.KeyID[0] = 9
	if _, err := keys.ModuleBody(other, blob); err != keys.ErrInvalidCiphertext { //nolint:errorlint // it is itself, so that nothing is told
		t.Error(err)
	}
	for cut := range 37 {
		if _, err := keys.ModuleBody(h, blob[:cut]); err != keys.ErrInvalidCiphertext { //nolint:errorlint // as above
			t.Errorf("%d bytes: %v", cut, err)
		}
	}
}

// Whoever exchanges the suite gets nothing: neither opens as the other.
func TestABlobOfOneSuiteIsNoneOfTheOther(t *testing.T) {
	h, key := moduleHeader(), secretbytes.Copy(bytes.Repeat([]byte{7}, keys.KeySize))
	sealed, err := keys.Seal(key, h, nil, secretbytes.Copy([]byte("plaintext")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.ModuleBody(h, sealed); err == nil {
		t.Error("a blob of the software's is a module's")
	}
	sealed[1] = 2
	if _, err := keys.Open(key, h, nil, sealed); err == nil {
		t.Error("a module's blob was opened by software")
	}
	if _, err := keys.Open(key, h, nil, keys.NewModuleBlob(h, make([]byte, 200))); err == nil {
		t.Error("a module's blob was opened by software")
	}
}

func TestWhatAModuleAuthenticatesDiffersForEveryHeaderAndContext(t *testing.T) {
	h := moduleHeader()
	other := h
	other.MaterialID[3] = 1
	seen := map[string]string{}
	for name, tt := range map[string]struct {
		h  keys.Header
		ec keys.Context
	}{
		"none": {h, nil}, "one": {h, keys.Context{"a": "b"}}, "moved": {h, keys.Context{"ab": ""}}, "two": {h, keys.Context{"a": "b", "c": ""}},
		"another material": {other, keys.Context{"a": "b"}},
	} {
		aad, err := keys.ModuleAAD(tt.h, tt.ec)
		if err != nil || seen[string(aad)] != "" {
			t.Errorf("%s is as %s: %v", name, seen[string(aad)], err)
		}
		seen[string(aad)] = name
	}
	if _, err := keys.ModuleAAD(h, keys.Context{"a": strings.Repeat("x", keys.MaxContext)}); err == nil {
		t.Error("a context that is too long")
	}
}
