package keys

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding"
	"sync"
	"testing"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// TestAMessageKeyIsHKDFsHoweverOftenItsHashesWereUsed, by many at once too.
func TestAMessageKeyIsHKDFsHoweverOftenItsHashesWereUsed(t *testing.T) {
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for n := range 300 {
				key, salt, info := make([]byte, KeySize), make([]byte, 1+n%100), make([]byte, n%90)
				for _, b := range [][]byte{key, salt, info} {
					_, _ = rand.Read(b)
				}
				want, err := hkdf.Key(sha256.New, key, salt, string(info), KeySize)
				if err != nil {
					t.Error(err)
					return
				}
				var got []byte
				secretbytes.Do(func() { got, err = derive(secretbytes.Copy(key), salt, info) })
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("a salt of %d and an info of %d bytes: %x, not %x: %v", len(salt), len(info), got, want, err)
				}
			}
		})
	}
	all.Wait()
}

// TestHashesKeepNothingOfAKeyThatWasDerived: what is in one that was used is what is in one that hashed zeros and no more.
func TestHashesKeepNothingOfAKeyThatWasDerived(t *testing.T) {
	h := derivations.New().(*hashes)
	for _, length := range []int{1, 31, 32, 63, 64, 65, 127, 128, 200} {
		for range len(h.all) {
			h.next().Write(bytes.Repeat([]byte("secret"), 40)[:length])
		}
		h.wipe()
		if h.used != 0 {
			t.Fatal("they are not given back")
		}
		for i, of := range h.all {
			// One byte more makes the state show the block that it is in, which holds what was there before.
			of.Write([]byte{1})
			state, err := of.(encoding.BinaryMarshaler).MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			of.Reset()
			fresh := sha256.New()
			fresh.Write([]byte{1})
			want, _ := fresh.(encoding.BinaryMarshaler).MarshalBinary()
			if bytes.Contains(state, []byte("secret")) || !bytes.Equal(state, want) {
				t.Errorf("hash %d after %d bytes: %x", i, length, state)
			}
		}
	}
}
