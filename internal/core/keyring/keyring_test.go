package keyring_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

var (
	now      = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	header   = keys.Header{KeyID: [16]byte{1}, MaterialID: [16]byte{2}}
	location = keys.Context{"namespace": "shop", "uid": "1"}
)

func repeated(b byte) secretbytes.Bytes { return secretbytes.Own(bytes.Repeat([]byte{b}, 32)) }

func newRoot(b byte) keyring.Root { return keyring.NewSoftwareRoot("CoreSecret", repeated(b)) }

func newRecord(t testing.TB, root keyring.Root, epoch int64) keyring.DomainKeyRecord {
	t.Helper()
	record, err := keyring.NewDomainKey(context.Background(), root, epoch, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

func unseal(t testing.TB, root keyring.Root, records ...keyring.DomainKeyRecord) *keyring.Keyring {
	t.Helper()
	k, err := keyring.Unseal(context.Background(), root, records)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func wrap(t testing.TB, k *keyring.Keyring, h keys.Header, ctx keys.Context, material secretbytes.Bytes) []byte {
	t.Helper()
	token, err := k.WrapToken(h, ctx, material)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestATokenOpensUnderTheKeyringThatWrappedIt(t *testing.T) {
	k := unseal(t, newRoot(1), newRecord(t, newRoot(1), 1))
	for _, size := range []int{1, 32, 2400, keys.MaxPlaintext} {
		material := secretbytes.Own(bytes.Repeat([]byte{7}, size))
		token := wrap(t, k, header, location, material)
		if len(token) != size+keyring.Overhead {
			t.Errorf("%d bytes became %d", size, len(token))
		}
		if got, err := k.UnwrapToken(header, location, token); err != nil || !got.Equal(material) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestTokensAreTheSameInAProcessThatUnsealsLater(t *testing.T) {
	record := newRecord(t, newRoot(1), 1)
	token := wrap(t, unseal(t, newRoot(1), record), header, location, repeated(7))
	again := unseal(t, newRoot(1), record)
	if got, err := again.UnwrapToken(header, location, token); err != nil || !got.Equal(repeated(7)) {
		t.Errorf("after a restart: %v", err)
	}
}

func TestARotatedDomainKeyWrapsAndTheOldOneStillUnwraps(t *testing.T) {
	root := newRoot(1)
	one, two, three := newRecord(t, root, 1), newRecord(t, root, 2), newRecord(t, root, 3)
	before := unseal(t, root, one)
	old := wrap(t, before, header, location, repeated(7))
	for _, records := range [][]keyring.DomainKeyRecord{{one, two, three}, {three, one, two}, {two, three, one}} {
		after := unseal(t, root, records...)
		if after.CurrentEpoch() != 3 || fmt.Sprint(after.Epochs()) != "[1 2 3]" {
			t.Fatalf("current %d of %v", after.CurrentEpoch(), after.Epochs())
		}
		if got, err := after.UnwrapToken(header, location, old); err != nil || !got.Equal(repeated(7)) {
			t.Errorf("the old token: %v", err)
		}
		token := wrap(t, after, header, location, repeated(8))
		for what, want := range map[string]int64{string(old): 1, string(token): 3} {
			if epoch, err := keyring.Epoch([]byte(what)); err != nil || epoch != want {
				t.Errorf("epoch %d, %v, want %d", epoch, err, want)
			}
		}
		if _, err := before.UnwrapToken(header, location, token); !errors.Is(err, keyring.ErrUnknownEpoch) || !strings.Contains(err.Error(), "epoch 3") {
			t.Errorf("a keyring from before the rotation: %v", err)
		}
	}
}

func TestATokenDoesNotOpenForAnythingElse(t *testing.T) {
	root := newRoot(1)
	k := unseal(t, root, newRecord(t, root, 1), newRecord(t, root, 2))
	token := wrap(t, k, header, location, repeated(7))
	other := func(change func(*keys.Header)) keys.Header { h := header; change(&h); return h }
	otherEpoch, noEpoch := bytes.Clone(token), bytes.Clone(token)
	otherEpoch[7], noEpoch[0] = 1, 0x80
	cases := map[string]struct {
		h     keys.Header
		ctx   keys.Context
		token []byte
	}{
		"another key's":          {other(func(h *keys.Header) { h.KeyID[15] = 1 }), location, token},
		"another material's":     {other(func(h *keys.Header) { h.MaterialID[15] = 1 }), location, token},
		"ids swapped":            {keys.Header{KeyID: header.MaterialID, MaterialID: header.KeyID}, location, token},
		"another namespace":      {header, keys.Context{"namespace": "bank", "uid": "1"}, token},
		"another uid":            {header, keys.Context{"namespace": "shop", "uid": "2"}, token},
		"no context":             {header, nil, token},
		"more context":           {header, keys.Context{"namespace": "shop", "uid": "1", "x": ""}, token},
		"the epoch in context":   {header, keys.Context{"namespace": "shop", "uid": "1", "strongroom/epoch": "2"}, token},
		"relabelled as epoch 1":  {header, location, otherEpoch},
		"a negative epoch":       {header, location, noEpoch},
		"without the epoch":      {header, location, token[8:]},
		"cut short":              {header, location, token[:len(token)-1]},
		"longer":                 {header, location, append(bytes.Clone(token), 0)},
		"empty":                  {header, location, nil},
		"the epoch alone":        {header, location, token[:8]},
		"a blob under epoch two": {header, location, append(bytes.Clone(otherEpoch[:8]), token[8:]...)},
	}
	for name, c := range cases {
		if got, err := k.UnwrapToken(c.h, c.ctx, c.token); !errors.Is(err, keys.ErrInvalidCiphertext) || got.Len() != 0 {
			t.Errorf("%s: %v, %d bytes", name, err, got.Len())
		}
	}
	for bit := range len(token) * 8 {
		flipped := bytes.Clone(token)
		flipped[bit/8] ^= 1 << (bit % 8)
		if got, err := k.UnwrapToken(header, location, flipped); err == nil || got.Len() != 0 {
			t.Errorf("bit %d flipped: opens", bit)
		}
	}
}

func TestTokensOfTwoInstallationsDoNotOpenInEachOther(t *testing.T) {
	a, b := unseal(t, newRoot(1), newRecord(t, newRoot(1), 1)), unseal(t, newRoot(1), newRecord(t, newRoot(1), 1))
	if _, err := b.UnwrapToken(header, location, wrap(t, a, header, location, repeated(7))); !errors.Is(err, keys.ErrInvalidCiphertext) {
		t.Errorf("under the same root and epoch, and another domain key: %v", err)
	}
}

// opening are the two ways of opening a record.
func opening(k *keyring.Keyring) map[string]func(keys.Kind, keys.AAD, []byte) (secretbytes.Bytes, error) {
	return map[string]func(keys.Kind, keys.AAD, []byte) (secretbytes.Bytes, error){"Open": k.Open, "OpenPublic": k.OpenPublic}
}

func TestRecordsOpenAsTheirOwnKindAndContextOnly(t *testing.T) {
	root := newRoot(1)
	k := unseal(t, root, newRecord(t, root, 1))
	kinds := []keys.Kind{
		keys.KindSecretVersion, keys.KindParameterVersion, keys.KindGrantToken, keys.KindImportToken,
		keys.KindBackupChunk, keys.KindPageToken, keys.KindTombstone, keys.KindAccessKey,
		keys.KindSessionToken, keys.KindAuthorizationMessage,
	}
	for _, sealed := range kinds {
		blob, err := k.Seal(sealed, location, secretbytes.Copy([]byte("record")))
		if err != nil {
			t.Fatal(err)
		}
		for _, opened := range kinds {
			for name, open := range opening(k) {
				got, err := open(opened, location, blob)
				if (opened == sealed) != (err == nil) || (err == nil && string(got.Reveal()) != "record") || (err != nil && !errors.Is(err, keys.ErrInvalidCiphertext)) {
					t.Errorf("kind %d by %s as %d: %v", sealed, name, opened, err)
				}
			}
		}
		damaged := bytes.Clone(blob)
		damaged[len(damaged)-1] ^= 1
		for name, open := range opening(k) {
			if _, err := open(sealed, keys.Context{"namespace": "bank"}, blob); !errors.Is(err, keys.ErrInvalidCiphertext) {
				t.Errorf("another context by %s: %v", name, err)
			}
			if _, err := open(sealed, location, damaged); !errors.Is(err, keys.ErrInvalidCiphertext) {
				t.Errorf("a damaged one by %s: %v", name, err)
			}
			unknown := append(binary.BigEndian.AppendUint64(nil, 77), blob[8:]...)
			if _, err := open(sealed, location, unknown); !errors.Is(err, keyring.ErrUnknownEpoch) {
				t.Errorf("one of an epoch that there is not by %s: %v", name, err)
			}
			for _, short := range [][]byte{nil, blob[:8], blob[:keyring.Overhead-1]} {
				if _, err := open(sealed, location, short); !errors.Is(err, keys.ErrInvalidCiphertext) {
					t.Errorf("%d bytes by %s: %v", len(short), name, err)
				}
			}
		}
		if _, err := k.UnwrapToken(keys.Header{}, location, blob); !errors.Is(err, keys.ErrInvalidCiphertext) {
			t.Errorf("a record of kind %d as a token: %v", sealed, err)
		}
	}
}

func TestAnEmptyRecordIsSealed(t *testing.T) {
	k := unseal(t, newRoot(1), newRecord(t, newRoot(1), 1))
	blob, err := k.Seal(keys.KindTombstone, nil, secretbytes.Bytes{})
	if err != nil || len(blob) != keyring.Overhead {
		t.Fatalf("%d bytes, %v", len(blob), err)
	}
	if got, err := k.Open(keys.KindTombstone, nil, blob); err != nil || got.Len() != 0 {
		t.Errorf("%v", err)
	}
}

func TestKindsThatAreForAnotherFunctionAreRefused(t *testing.T) {
	k := unseal(t, newRoot(1), newRecord(t, newRoot(1), 1))
	token := wrap(t, k, keys.Header{Kind: keys.KindKeyToken}, nil, repeated(7))
	if _, err := k.UnwrapToken(keys.Header{}, nil, token); err != nil {
		t.Errorf("kind 0 is not the same as KindKeyToken: %v", err)
	}
	for _, kind := range []keys.Kind{keys.KindKeyToken, keys.KindCiphertext} {
		if _, err := k.Seal(kind, nil, repeated(7)); !errors.Is(err, keyring.ErrWrongKind) {
			t.Errorf("Seal of kind %d: %v", kind, err)
		}
		for name, open := range opening(k) {
			if _, err := open(kind, nil, token); !errors.Is(err, keyring.ErrWrongKind) {
				t.Errorf("%s of kind %d: %v", name, kind, err)
			}
		}
	}
	for _, kind := range []keys.Kind{keys.KindCiphertext, keys.KindTombstone, 99} {
		if _, err := k.WrapToken(keys.Header{Kind: kind}, nil, repeated(7)); !errors.Is(err, keyring.ErrWrongKind) {
			t.Errorf("WrapToken of kind %d: %v", kind, err)
		}
		if _, err := k.UnwrapToken(keys.Header{Kind: kind}, nil, token); !errors.Is(err, keyring.ErrWrongKind) {
			t.Errorf("UnwrapToken of kind %d: %v", kind, err)
		}
	}
	for _, kind := range []keys.Kind{0, 99} {
		if _, err := k.Seal(kind, nil, repeated(7)); !errors.Is(err, keys.ErrInvalidKind) {
			t.Errorf("Seal of kind %d: %v", kind, err)
		}
	}
}

func TestWrapRefusesWhatItCannotWrap(t *testing.T) {
	k := unseal(t, newRoot(1), newRecord(t, newRoot(1), 1))
	if _, err := k.WrapToken(header, location, secretbytes.Bytes{}); !errors.Is(err, keyring.ErrNoMaterial) {
		t.Errorf("no material: %v", err)
	}
	if _, err := k.WrapToken(header, location, secretbytes.Own(make([]byte, keys.MaxPlaintext+1))); !errors.Is(err, keys.ErrTooLarge) {
		t.Errorf("too much: %v", err)
	}
	if _, err := k.WrapToken(header, keys.Context{"a": strings.Repeat("b", keys.MaxContext)}, repeated(7)); !errors.Is(err, keys.ErrTooLarge) {
		t.Errorf("too much context: %v", err)
	}
}

func TestADigestSurvivesARotationAndDependsOnEverythingElse(t *testing.T) {
	root := newRoot(1)
	one, two := newRecord(t, root, 1), newRecord(t, root, 2)
	k, rotated, elsewhere := unseal(t, root, one), unseal(t, root, two, one), unseal(t, root, newRecord(t, root, 1))
	b := func(s string) []byte { return []byte(s) }
	digest := k.Digest("projection", b("a"), b("b"))
	if len(digest) != 32 || strings.Trim(digest, "0123456789abcdef") != "" {
		t.Errorf("digest %q", digest)
	}
	if k.Digest("projection", b("a"), b("b")) != digest || rotated.Digest("projection", b("a"), b("b")) != digest {
		t.Error("the digest changed")
	}
	seen := map[string]string{digest: "the digest"}
	for what, d := range map[string]string{
		"another purpose": k.Digest("drift", b("a"), b("b")), "no purpose": k.Digest("", b("a"), b("b")),
		"the purpose as a part": k.Digest("", b("projection"), b("a"), b("b")),
		"one part":              k.Digest("projection", b("ab")), "another order": k.Digest("projection", b("b"), b("a")),
		"an empty part more": k.Digest("projection", b("a"), b("b"), nil), "a part of the purpose": k.Digest("projectiona", b("b")),
		"no parts": k.Digest("projection"), "an empty part": k.Digest("projection", nil),
		"another domain key": elsewhere.Digest("projection", b("a"), b("b")),
	} {
		if before, twice := seen[d]; twice {
			t.Errorf("%s and %s are the same digest", what, before)
		}
		seen[d] = what
	}
}

func TestNoVerbPrintsAKeyringOrARoot(t *testing.T) {
	record, err := keyring.NewDomainKey(context.Background(), newRoot(0x41), 1, bytes.NewReader(bytes.Repeat([]byte{0x41}, 32)), now)
	if err != nil {
		t.Fatal(err)
	}
	k := unseal(t, newRoot(0x41), record)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, value := range []any{k, *k, newRoot(0x41), []any{k}, struct{ R keyring.Root }{newRoot(0x41)}} {
			out := fmt.Sprintf(verb, value)
			if strings.Contains(out, "AAAA") || strings.Contains(out, "4141") || strings.Contains(out, "65 65") || strings.Count(out, " ") > 8 || len(out) > 120 {
				t.Errorf("%s of %T: %.200s", verb, value, out)
			}
		}
	}
}
