package keyimport

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

type vector struct {
	ID           int `json:"tcId"`
	Key, Msg, Ct string
	Result       string
	Flags        []string
}

// vectors are Project Wycheproof's of AES-KWP with a key of 256 bits.
func vectors(t testing.TB) (all []vector) {
	t.Helper()
	text, err := fs.ReadFile(wycheproof.TestVectors, "aes_kwp_test.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			KeySize int      `json:"keySize"`
			Tests   []vector `json:"tests"`
		} `json:"testGroups"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		if group.KeySize == 256 {
			all = append(all, group.Tests...)
		}
	}
	return all
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Up to eight bytes are wrapped in another way (RFC 5649, section 4.1), and are no key: they are refused.
func TestWrappedKeysAreJudgedAsWycheproofDoes(t *testing.T) {
	valid, refused := 0, 0
	for _, v := range vectors(t) {
		got, err := unwrapKWP(secretbytes.Own(unhex(t, v.Key)), unhex(t, v.Ct))
		if v.Result == "valid" && len(v.Msg) > 2*8 {
			if valid++; err != nil || !bytes.Equal(got.Reveal(), unhex(t, v.Msg)) {
				t.Errorf("vector %d: %v", v.ID, err)
			}
			continue
		}
		if refused++; !errors.Is(err, keys.ErrInvalidCiphertext) || got.Len() != 0 {
			t.Errorf("vector %d is let through: %v", v.ID, v.Flags)
		}
	}
	if valid < 15 || refused < 20 {
		t.Errorf("%d valid and %d refused: there are more", valid, refused)
	}
}

func FuzzUnwrapKWP(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(unhex(f, v.Key), unhex(f, v.Ct))
	}
	f.Fuzz(func(t *testing.T, kek, wrapped []byte) {
		before := bytes.Clone(wrapped)
		got, err := unwrapKWP(secretbytes.Copy(kek), wrapped)
		if !bytes.Equal(before, wrapped) {
			t.Fatal("what was wrapped is changed")
		}
		switch {
		case err == nil && (got.Len() < 9 || got.Len() > len(wrapped)-8):
			t.Fatalf("%d bytes of %d", got.Len(), len(wrapped))
		case err != nil && (err != keys.ErrInvalidCiphertext || got.Len() != 0): //nolint:errorlint // the very value is the contract
			t.Fatalf("refused with %v and %d bytes", err, got.Len())
		}
	})
}

func FuzzParseToken(f *testing.F) {
	f.Add([]byte{tokenVersion, 1, 1, 0, 0, 0, 0, 0x69, 0, 0, 0, 0x30})
	f.Add([]byte{tokenVersion, 9, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		token, err := parseToken(b)
		if err != nil {
			if token != nil || err != ErrInvalidToken { //nolint:errorlint // the very value is the contract
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if number(algorithms, token.Algorithm()) == 0 || number(wrappingSpecs, token.Wrapping()) == 0 {
			t.Fatalf("a token by %q under %q", token.Algorithm(), token.Wrapping())
		}
		if _, err := token.Unwrap(b); err == nil {
			t.Fatal("a token that is its own wrapped material")
		}
	})
}

// FuzzIdentity is about what is in a wrapping: PKCS#8 of anybody's making.
func FuzzIdentity(f *testing.F) {
	for _, spec := range []keys.Spec{keys.NISTP256, keys.NISTP521, keys.MLKEM768} {
		key, err := keys.GeneratePrivateKey(spec)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(spec), key.Reveal())
	}
	f.Add("HMAC_256", make([]byte, 32))
	f.Fuzz(func(t *testing.T, spec string, material []byte) {
		identity, err := Identity(keys.Spec(spec), secretbytes.Copy(material))
		if err != nil {
			if err != ErrIncorrectMaterial || identity.Len() != 0 { //nolint:errorlint // the very value is the contract
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if again, err := Identity(keys.Spec(spec), secretbytes.Copy(material)); err != nil || !again.Equal(identity) {
			t.Fatalf("another identity: %v", err)
		}
	})
}
