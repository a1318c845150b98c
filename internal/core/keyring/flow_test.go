package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// A customer's ciphertext goes through all levels, as a controller does it: holder, token, cache, blob.
func TestACiphertextOpensThroughAllLevelsAfterTheDomainKeyWasRotated(t *testing.T) {
	root := newRoot(1)
	one := newRecord(t, root, 1)
	var holder keyring.Holder
	holder.Set(unseal(t, root, one))
	ring, err := holder.Get()
	if err != nil {
		t.Fatal(err)
	}
	token := wrap(t, ring, header, location, repeated(7))
	cache := keyring.NewMaterialCache(0, time.Minute, nil)
	material := func() (secretbytes.Bytes, error) {
		ring, err := holder.Get()
		if err != nil {
			return secretbytes.Bytes{}, err
		}
		return ring.UnwrapToken(header, location, token)
	}
	h := keys.Header{Kind: keys.KindCiphertext, KeyID: header.KeyID, MaterialID: header.MaterialID}
	var blob []byte
	if err := keyring.Use(cache, "key", material, func(m secretbytes.Bytes) (err error) {
		blob, err = keys.Seal(m, h, nil, secretbytes.Copy([]byte("hunter2")))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	open := func() error {
		return keyring.Use(cache, "key", material, func(m secretbytes.Bytes) error {
			got, err := keys.Open(m, h, nil, blob)
			if err == nil && string(got.Reveal()) != "hunter2" {
				return errors.New("another plaintext")
			}
			return err
		})
	}
	holder.SetSealed(errors.New("the root is gone"))
	cache.Clear()
	if err := open(); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("while sealed: %v", err)
	}
	holder.Set(unseal(t, root, one, newRecord(t, root, 2)))
	if err := open(); err != nil {
		t.Errorf("unsealed with a new domain key: %v", err)
	}
}

func TestARewrappedTokenNeedsTheOldDomainKeyNoLonger(t *testing.T) {
	root := newRoot(1)
	one, two := newRecord(t, root, 1), newRecord(t, root, 2)
	old := wrap(t, unseal(t, root, one), header, location, repeated(7))
	both := unseal(t, root, one, two)
	material, err := both.UnwrapToken(header, location, old)
	if err != nil {
		t.Fatal(err)
	}
	rewrapped := wrap(t, both, header, location, material)
	if epoch, err := keyring.Epoch(rewrapped); err != nil || epoch != both.CurrentEpoch() {
		t.Errorf("epoch %d, %v", epoch, err)
	}
	newest := unseal(t, root, two)
	if got, err := newest.UnwrapToken(header, location, rewrapped); err != nil || !got.Equal(repeated(7)) {
		t.Errorf("the new token: %v", err)
	}
	if _, err := newest.UnwrapToken(header, location, old); !errors.Is(err, keyring.ErrUnknownEpoch) {
		t.Errorf("the old token: %v", err)
	}
	if newest.Digest("p") == both.Digest("p") {
		t.Error("the digest does not hang on the first epoch")
	}
}

func TestAKeyringIsSafeForConcurrentUse(t *testing.T) {
	root := newRoot(1)
	k := unseal(t, root, newRecord(t, root, 1), newRecord(t, root, 2))
	digest := k.Digest("p", []byte("a"))
	var wg sync.WaitGroup
	for worker := range byte(6) {
		wg.Go(func() {
			h := keys.Header{KeyID: [16]byte{worker}}
			for range 100 {
				token, err := k.WrapToken(h, location, repeated(worker))
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := k.UnwrapToken(h, location, token); err != nil || !got.Equal(repeated(worker)) {
					t.Errorf("worker %d: %v", worker, err)
				}
				if k.Digest("p", []byte("a")) != digest || k.CurrentEpoch() != 2 {
					t.Error("the keyring changed")
				}
			}
		})
	}
	wg.Wait()
}

func TestNoErrorShowsASecret(t *testing.T) {
	const canary = "CANARY-CANARY-CANARY-CANARY-1234" // 32 bytes
	secret := secretbytes.Copy([]byte(canary))
	root := keyring.NewSoftwareRoot("CoreSecret", secret)
	record, err := keyring.NewDomainKey(context.Background(), root, 1, strings.NewReader(canary), now)
	if err != nil {
		t.Fatal(err)
	}
	k := unseal(t, root, record)
	token := wrap(t, k, header, location, secret)
	_, wrongRoot := keyring.Unseal(context.Background(), newRoot(2), []keyring.DomainKeyRecord{record})
	_, wrongContext := k.UnwrapToken(header, nil, token)
	_, wrongKind := k.Seal(keys.KindCiphertext, nil, secret)
	_, wrongHeader := k.WrapToken(keys.Header{Kind: 99}, nil, secret)
	_, shortRoot := keyring.NewSoftwareRoot("Short", secretbytes.Copy([]byte(canary[:31]))).Wrap(context.Background(), secret, nil)
	for i, err := range []error{wrongRoot, wrongContext, wrongKind, wrongHeader, shortRoot} {
		if err == nil {
			t.Errorf("case %d did not fail", i)
			continue
		}
		text := fmt.Sprintf("%v %+v %#v", err, err, err)
		if strings.Contains(text, "CANARY") || strings.Contains(text, fmt.Sprintf("%x", "CANARY")) || strings.Contains(text, "67 65 78") {
			t.Errorf("case %d: %s", i, text)
		}
	}
}
