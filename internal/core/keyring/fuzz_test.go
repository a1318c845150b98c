package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

func FuzzUnwrapToken(f *testing.F) {
	g, k := readGolden(f)
	h := keys.Header{KeyID: [16]byte(g.KeyID), MaterialID: [16]byte(g.MaterialID)}
	for i := range 2 {
		f.Add(g.Tokens[i])
		f.Add(g.Tombstones[i])
	}
	f.Add([]byte{})
	f.Add(make([]byte, keyring.Overhead))
	f.Fuzz(func(t *testing.T, token []byte) {
		if _, err := k.UnwrapToken(h, g.Context, token); err == nil {
			if !bytes.Equal(token, g.Tokens[0]) && !bytes.Equal(token, g.Tokens[1]) {
				t.Fatalf("a forged token opens: %x", token)
			}
		} else if !errors.Is(err, keys.ErrInvalidCiphertext) && !errors.Is(err, keyring.ErrUnknownEpoch) {
			t.Fatal(err)
		}
		if _, err := k.Open(keys.KindTombstone, g.Context, token); err == nil {
			if !bytes.Equal(token, g.Tombstones[0]) && !bytes.Equal(token, g.Tombstones[1]) {
				t.Fatalf("a forged tombstone opens: %x", token)
			}
		}
		if epoch, err := keyring.Epoch(token); err == nil && (epoch < 1 || epoch > keyring.MaxEpoch) {
			t.Fatalf("epoch %d", epoch)
		}
	})
}

func FuzzUnseal(f *testing.F) {
	g, _ := readGolden(f)
	for _, r := range g.Records {
		f.Add(r.Epoch, r.Wrapped)
	}
	f.Add(int64(0), []byte{})
	f.Add(int64(-1), make([]byte, keys.Overhead+32))
	root := keyring.NewSoftwareRoot("root", secretbytes.Own(g.Root))
	f.Fuzz(func(t *testing.T, epoch int64, wrapped []byte) {
		k, err := keyring.Unseal(context.Background(), root, []keyring.DomainKeyRecord{{Epoch: epoch, Wrapped: wrapped}})
		if err == nil {
			for _, r := range g.Records {
				if r.Epoch == epoch && bytes.Equal(r.Wrapped, wrapped) {
					return
				}
			}
			t.Fatalf("a forged domain key of epoch %d opens: %x", epoch, wrapped)
		}
		if k != nil || !errors.Is(err, keyring.ErrSealed) {
			t.Fatalf("%v, %v", k, err)
		}
	})
}
