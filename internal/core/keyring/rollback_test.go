package keyring_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// A restored backup, or somebody who deletes an Envelope, gives fewer records than there were. What can still be opened
// opens, and what cannot says which epoch is missing, rather than that it is damaged.
func TestWithoutSomeOfTheRecordsOnlyTheirTokensAreLost(t *testing.T) {
	root := newRoot(1)
	var records []keyring.DomainKeyRecord
	var tokens [][]byte
	for epoch := int64(1); epoch <= 4; epoch++ {
		records = append(records, newRecord(t, root, epoch))
		tokens = append(tokens, wrap(t, unseal(t, root, records...), header, location, repeated(byte(epoch))))
	}
	for present := 1; present < 1<<4; present++ {
		var left []keyring.DomainKeyRecord
		for i, r := range records {
			if present>>i&1 == 1 {
				left = append(left, r)
			}
		}
		k := unseal(t, root, left...)
		if k.CurrentEpoch() != left[len(left)-1].Epoch || len(k.Epochs()) != len(left) {
			t.Errorf("%04b: current %d of %v", present, k.CurrentEpoch(), k.Epochs())
		}
		for i, token := range tokens {
			got, err := k.UnwrapToken(header, location, token)
			if present>>i&1 == 1 {
				if err != nil || !got.Equal(repeated(byte(i+1))) {
					t.Errorf("%04b: the token of epoch %d: %v", present, i+1, err)
				}
				continue
			}
			if !errors.Is(err, keyring.ErrUnknownEpoch) || errors.Is(err, keys.ErrInvalidCiphertext) || !strings.Contains(err.Error(), fmt.Sprintf("epoch %d,", i+1)) {
				t.Errorf("%04b: the token of epoch %d: %v", present, i+1, err)
			}
		}
	}
}

// Rolled back to a state before a rotation, the keyring must not make a second domain key of that epoch that opens as the
// first: a token of the one is refused by the other.
func TestTwoDomainKeysOfOneEpochDoNotOpenEachOthersTokens(t *testing.T) {
	root := newRoot(1)
	one := newRecord(t, root, 1)
	before, after := unseal(t, root, one, newRecord(t, root, 2)), unseal(t, root, one, newRecord(t, root, 2))
	token := wrap(t, before, header, location, repeated(7))
	if _, err := after.UnwrapToken(header, location, token); !errors.Is(err, keys.ErrInvalidCiphertext) {
		t.Errorf("%v", err)
	}
	if before.Digest("p") != after.Digest("p") {
		t.Error("digests hang on the first epoch, which is the same")
	}
}

func TestEpochReadsATokensFirstEightBytesOnlyIfTheyCanBeAnEpoch(t *testing.T) {
	token := func(epoch uint64, size int) []byte {
		return append(binary.BigEndian.AppendUint64(nil, epoch), make([]byte, size-8)...)
	}
	for _, c := range []struct {
		token []byte
		want  int64
	}{
		{token(1, keyring.Overhead), 1}, {token(keyring.MaxEpoch, keyring.Overhead), keyring.MaxEpoch}, {token(7, 4096), 7},
		{token(0, keyring.Overhead), 0}, {token(keyring.MaxEpoch+1, keyring.Overhead), 0}, {token(1<<63, keyring.Overhead), 0},
		{token(1<<64-1, keyring.Overhead), 0}, {token(1, keyring.Overhead-1), 0}, {nil, 0},
	} {
		got, err := keyring.Epoch(c.token)
		if got != c.want || (err == nil) != (c.want != 0) || err != nil && !errors.Is(err, keys.ErrInvalidCiphertext) {
			t.Errorf("%x of %d bytes: %d, %v", c.token[:min(8, len(c.token))], len(c.token), got, err)
		}
	}
	// A bare blob begins with format 1, which is 2^56 and more as an epoch.
	blob, err := keys.Seal(repeated(1), keys.Header{Kind: keys.KindKeyToken}, nil, repeated(2))
	if err != nil {
		t.Fatal(err)
	}
	if epoch, err := keyring.Epoch(append(blob, make([]byte, 8)...)); err == nil {
		t.Errorf("a bare blob is a token of epoch %d", epoch)
	}
}

// expand is HKDF-SHA-256 without a salt for up to 32 bytes, by the formulas of RFC 5869.
func expand(key []byte, info string) secretbytes.Bytes {
	extract := hmac.New(sha256.New, make([]byte, sha256.Size))
	extract.Write(key)
	mac := hmac.New(sha256.New, extract.Sum(nil))
	mac.Write([]byte(info))
	mac.Write([]byte{1})
	return secretbytes.Own(mac.Sum(nil))
}

// From the bytes of a domain key alone, the hierarchy's documentation is enough to open a token and a record, and to
// compute a digest.
func TestTheKeysOfAnEpochAreWhatTheDocumentationSays(t *testing.T) {
	domain := bytes.Repeat([]byte{0x42}, 32)
	record, err := keyring.NewDomainKey(t.Context(), newRoot(1), 5, bytes.NewReader(domain), now)
	if err != nil {
		t.Fatal(err)
	}
	k := unseal(t, newRoot(1), record)
	bound := keys.Context{"strongroom/epoch": "5", "c/namespace": "shop", "c/uid": "1"}

	token := wrap(t, k, header, location, repeated(7))
	h := header
	h.Kind = keys.KindKeyToken
	if got, err := keys.Open(expand(domain, "strongroom/v1/domain-key/token"), h, bound, token[8:]); err != nil || !got.Equal(repeated(7)) {
		t.Errorf("token: %v", err)
	}
	sealed, err := k.Seal(keys.KindTombstone, location, repeated(8))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := keys.Open(expand(domain, "strongroom/v1/domain-key/record"), keys.Header{Kind: keys.KindTombstone}, bound, sealed[8:]); err != nil || !got.Equal(repeated(8)) {
		t.Errorf("record: %v", err)
	}
	mac := hmac.New(sha256.New, expand(domain, "strongroom/v1/domain-key/digest").Reveal())
	for _, part := range []string{"purpose", "a", ""} {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		mac.Write([]byte(part))
	}
	if got, want := k.Digest("purpose", []byte("a"), nil), hex.EncodeToString(mac.Sum(nil)[:16]); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}

// keeping is a root that keeps the very bytes it is given and answers with, to see whether they are wiped.
type keeping struct {
	seen []secretbytes.Bytes
	give secretbytes.Bytes
	err  error
}

func (k *keeping) Name() string { return "Keeping" }

func (k *keeping) Wrap(_ context.Context, key secretbytes.Bytes, _ keyring.Context) ([]byte, error) {
	k.seen = append(k.seen, key)
	return []byte("wrapped"), k.err
}

func (k *keeping) Unwrap(context.Context, []byte, keyring.Context) (secretbytes.Bytes, error) {
	return k.give, nil
}

func TestADomainKeyIsWipedHoweverItsUseEnds(t *testing.T) {
	for name, failure := range map[string]error{"wrapped": nil, "not wrapped": errors.New("down")} {
		root := &keeping{err: failure}
		if _, err := keyring.NewDomainKey(t.Context(), root, 1, nil, now); !errors.Is(err, failure) {
			t.Fatalf("%s: %v", name, err)
		}
		if len(root.seen) != 1 || !wiped(root.seen[0].Reveal()) {
			t.Errorf("%s: the new domain key is left in memory", name)
		}
	}
	for _, size := range []int{16, 32, 33} {
		root := &keeping{give: secretbytes.Own(bytes.Repeat([]byte{9}, size))}
		_, err := keyring.Unseal(t.Context(), root, []keyring.DomainKeyRecord{{Epoch: 1, Wrapped: []byte("w")}})
		if (err == nil) != (size == 32) || !wiped(root.give.Reveal()) {
			t.Errorf("%d bytes: wiped %t, %v", size, wiped(root.give.Reveal()), err)
		}
	}
}

// As in a process where the unsealer replaces the keyring while controllers work: whoever got one before goes on with it,
// and every token opens under the newest.
func TestAKeyringIsReplacedWhileOthersWrapAndUnwrap(t *testing.T) {
	root := newRoot(1)
	records := []keyring.DomainKeyRecord{newRecord(t, root, 1)}
	var holder keyring.Holder
	holder.Set(unseal(t, root, records...))
	cache := keyring.NewMaterialCache(2, 0, nil)
	tokens := make(chan []byte)
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for worker := range byte(4) {
		workers.Go(func() {
			for !isClosed(stop) {
				ring, err := holder.Get()
				if err != nil {
					t.Error(err)
					return
				}
				token, err := ring.WrapToken(header, location, repeated(worker+1))
				if err != nil {
					t.Error(err)
					return
				}
				select {
				case tokens <- token:
				case <-stop:
					return
				}
				if err := keyring.Use(cache, hex.EncodeToString(token[8:24]), func() (secretbytes.Bytes, error) {
					return ring.UnwrapToken(header, location, token)
				}, func(m secretbytes.Bytes) error {
					if m.Len() != 32 || wiped(m.Reveal()) {
						return errors.New("no material")
					}
					return nil
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	defer func() { close(stop); workers.Wait() }()
	// Each keyring is replaced when somebody has wrapped under it, while others still use the one before.
	for epoch := int64(2); epoch < 20; epoch++ {
		records = append(records, newRecord(t, root, epoch))
		ring := unseal(t, root, records...)
		holder.Set(ring)
		for under := int64(0); under != epoch; {
			token := <-tokens
			if _, err := ring.UnwrapToken(header, location, token); err != nil {
				t.Fatal(err)
			}
			under, _ = keyring.Epoch(token)
		}
	}
}
