package keyring_test

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"testing"

	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// rotated are keyrings of one root: with the first domain key, with the first two, and with the second alone.
func rotated(t testing.TB) (before, after, second *keyring.Keyring) {
	t.Helper()
	root := newRoot(1)
	one, two := newRecord(t, root, 1), newRecord(t, root, 2)
	return unseal(t, root, one), unseal(t, root, one, two), unseal(t, root, two)
}

func TestWhatIsRewrappedOpensToTheSameUnderTheNewDomainKeyAlone(t *testing.T) {
	before, after, second := rotated(t)
	elsewhere := keys.Context{"namespace": "shop", "uid": "1", "key": "2"}
	for _, size := range []int{1, 32, 2400, keys.MaxPlaintext} {
		content := secretbytes.Own(bytes.Repeat([]byte{7}, size))
		token := wrap(t, before, header, location, content)
		made, err := after.Rewrap(token, location, elsewhere)
		if err != nil || len(made) != len(token) {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if got, err := second.UnwrapToken(header, elsewhere, made); err != nil || !got.Equal(content) {
			t.Errorf("%d bytes do not open under the second domain key: %v", size, err)
		}
		if got, err := after.UnwrapToken(header, location, token); err != nil || !got.Equal(content) {
			t.Errorf("what a cache has of before does not open: %v", err)
		}
		if _, err := before.UnwrapToken(header, elsewhere, made); !errors.Is(err, keyring.ErrUnknownEpoch) {
			t.Errorf("under the first: %v", err)
		}
		if _, err := second.UnwrapToken(header, location, made); !errors.Is(err, keys.ErrInvalidCiphertext) {
			t.Errorf("it opens where it was before: %v", err)
		}
	}
	for kind := keys.KindSecretVersion; kind <= keys.KindRevocation; kind++ {
		sealed, err := before.Seal(kind, location, repeated(byte(kind)))
		if err != nil {
			t.Fatal(err)
		}
		made, err := after.Rewrap(sealed, location, elsewhere)
		if err != nil {
			t.Fatalf("kind %d: %v", kind, err)
		}
		if got, err := second.Open(kind, elsewhere, made); err != nil || !got.Equal(repeated(byte(kind))) {
			t.Errorf("kind %d: %v", kind, err)
		}
		if _, err := second.Open(kind%keys.KindRevocation+3, elsewhere, made); err == nil {
			t.Errorf("kind %d opens as another", kind)
		}
	}
}

func TestRewrappingTwiceIsAsGoodAsOnce(t *testing.T) {
	_, after, second := rotated(t)
	once := wrap(t, after, header, location, repeated(7))
	twice, err := after.Rewrap(once, location, location)
	if err != nil || bytes.Equal(once, twice) {
		t.Fatal("the same nonce was used again, or ", err)
	}
	if got, err := second.UnwrapToken(header, location, twice); err != nil || !got.Equal(repeated(7)) {
		t.Error(err)
	}
}

func TestWhatDoesNotOpenIsNotRewrapped(t *testing.T) {
	before, after, second := rotated(t)
	token := wrap(t, before, header, location, repeated(7))
	customers, err := keys.Seal(repeated(1), keys.Header{Kind: keys.KindCiphertext}, nil, repeated(7))
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(at int) []byte {
		out := bytes.Clone(token)
		out[at] ^= 1
		return out
	}
	for name, tt := range map[string]struct {
		ring  *keyring.Keyring
		token []byte
		was   keys.Context
		want  error
	}{
		"in another place":              {after, token, keys.Context{"namespace": "shop"}, keys.ErrInvalidCiphertext},
		"with a bit of the tag":         {after, flipped(len(token) - 1), location, keys.ErrInvalidCiphertext},
		"with a bit of the key's id":    {after, flipped(8 + 4), location, keys.ErrInvalidCiphertext},
		"as a record":                   {after, flipped(8 + 2), location, keys.ErrInvalidCiphertext},
		"of the other epoch":            {after, append([]byte{0, 0, 0, 0, 0, 0, 0, 2}, token[8:]...), location, keys.ErrInvalidCiphertext},
		"of an epoch that is not there": {second, token, location, keyring.ErrUnknownEpoch},
		"a customer's ciphertext":       {after, append([]byte{0, 0, 0, 0, 0, 0, 0, 1}, customers...), location, keyring.ErrWrongKind},
		"nothing":                       {after, nil, location, keys.ErrInvalidCiphertext},
		"an epoch alone":                {after, token[:8], location, keys.ErrInvalidCiphertext},
	} {
		if made, err := tt.ring.Rewrap(tt.token, tt.was, location); !errors.Is(err, tt.want) || made != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestADomainKeyIsAddedAndNoneIsLost(t *testing.T) {
	root := newRoot(1)
	one, two, three := newRecord(t, root, 1), newRecord(t, root, 2), newRecord(t, root, 3)
	k := unseal(t, root, two)
	same, err := k.Add(t.Context(), root, []keyring.DomainKeyRecord{two})
	if err != nil || same != k {
		t.Errorf("nothing was to be added: %v", err)
	}
	all, err := k.Add(t.Context(), root, []keyring.DomainKeyRecord{three, two, one})
	if err != nil || all.CurrentEpoch() != 3 || !slices.Equal(all.Epochs(), []int64{1, 2, 3}) {
		t.Fatal(all.Epochs(), err)
	}
	if k.CurrentEpoch() != 2 || k.Has(3) || !all.Has(1) || all.Has(4) {
		t.Error("the keyring of before has changed")
	}
	if all.Digest("of") != unseal(t, root, one, two, three).Digest("of") {
		t.Error("digests are not those of the first epoch")
	}
	lacking, err := all.Add(t.Context(), root, []keyring.DomainKeyRecord{one})
	if err != nil || lacking != all {
		t.Errorf("a domain key that is not stored any more was let go: %v", err)
	}
	if _, err := k.Add(t.Context(), newRoot(2), []keyring.DomainKeyRecord{three}); !errors.Is(err, keyring.ErrSealed) || !errors.Is(err, keyring.ErrOtherRoot) {
		t.Errorf("another root: %v", err)
	}
}

func TestAHolderRenewsItsKeyringForWhatAnotherHasWrapped(t *testing.T) {
	before, after, _ := rotated(t)
	token := wrap(t, after, header, location, repeated(7))
	record, err := after.Seal(keys.KindTombstone, location, repeated(8))
	if err != nil {
		t.Fatal(err)
	}
	errAway := errors.New("the root is away")
	for name, tt := range map[string]struct {
		renew func(*keyring.Holder) error
		want  error
	}{
		"and it is there":          {func(h *keyring.Holder) error { h.Set(after); return nil }, nil},
		"and there is none":        {func(*keyring.Holder) error { return keyring.ErrUnknownEpoch }, keyring.ErrUnknownEpoch},
		"and it cannot be had":     {func(*keyring.Holder) error { return errAway }, errAway},
		"and it is sealed by then": {func(h *keyring.Holder) error { h.SetSealed(errAway); return nil }, keyring.ErrSealed},
		"and nothing has come":     {func(*keyring.Holder) error { return nil }, keyring.ErrUnknownEpoch},
	} {
		t.Run(name, func(t *testing.T) {
			h, asked := &keyring.Holder{}, []int64{}
			h.RenewWith(func(epoch int64) error { asked = append(asked, epoch); return tt.renew(h) })
			for _, open := range []func() (secretbytes.Bytes, error){
				func() (secretbytes.Bytes, error) { return h.UnwrapToken(header, location, token) },
				func() (secretbytes.Bytes, error) { return h.Open(keys.KindTombstone, location, record) },
			} {
				h.Set(before)
				got, err := open()
				if !errors.Is(err, tt.want) || (err == nil) != (got.Len() == 32) {
					t.Errorf("%v", err)
				}
				if errors.Is(err, errAway) != errors.Is(err, keyring.ErrSealed) {
					t.Errorf("it is not told from a token that is no good: %v", err)
				}
			}
			if !slices.Equal(asked, []int64{2, 2}) {
				t.Errorf("asked for %v", asked)
			}
		})
	}
}

func TestAHolderAsksForNoDomainKeyThatItHasAndNoneForWhatIsNoToken(t *testing.T) {
	before, after, _ := rotated(t)
	h := &keyring.Holder{}
	h.RenewWith(func(epoch int64) error { t.Errorf("asked for epoch %d", epoch); return nil })
	token := wrap(t, before, header, location, repeated(7))
	if _, err := h.UnwrapToken(header, location, token); !errors.Is(err, keyring.ErrSealed) {
		t.Error(err)
	}
	h.Set(after)
	if got, err := h.UnwrapToken(header, location, token); err != nil || !got.Equal(repeated(7)) {
		t.Error(err)
	}
	for _, bad := range [][]byte{nil, token[:20], bytes.Repeat([]byte{0xff}, 200), append(bytes.Clone(token), 1)} {
		if _, err := h.UnwrapToken(header, location, bad); !errors.Is(err, keys.ErrInvalidCiphertext) {
			t.Error(err)
		}
	}
	without := &keyring.Holder{}
	without.Set(before)
	if _, err := without.UnwrapToken(header, location, wrap(t, after, header, location, repeated(7))); !errors.Is(err, keyring.ErrUnknownEpoch) {
		t.Error(err)
	}
}

func TestManyWhoRenewAtOnceAllOpen(t *testing.T) {
	before, after, _ := rotated(t)
	token := wrap(t, after, header, location, repeated(7))
	record, err := after.Seal(keys.KindParameterVersion, location, repeated(7))
	if err != nil {
		t.Fatal(err)
	}
	h := &keyring.Holder{}
	h.Set(before)
	h.RenewWith(func(int64) error { h.Set(after); return nil })
	var running sync.WaitGroup
	for range 16 {
		running.Go(func() {
			if got, err := h.OpenPublic(keys.KindParameterVersion, location, record); err != nil || !got.Equal(repeated(7)) {
				t.Error(err)
			}
			if got, err := h.UnwrapToken(header, location, token); err != nil || !got.Equal(repeated(7)) {
				t.Error(err)
			}
		})
	}
	running.Wait()
}
