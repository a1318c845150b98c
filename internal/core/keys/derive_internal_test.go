package keys

import (
	"bytes"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"testing"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// random is n random bytes.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// leastKey is the length of the shortest key that the module's HMAC and HKDF take.
func leastKey() int {
	if fips140.Enforced() {
		return 14 // 112 bits, NIST SP 800-131A
	}
	return 0
}

func TestAMessageKeyIsHKDFs(t *testing.T) {
	for keySize := leastKey(); keySize < 3*sha256.BlockSize; keySize++ {
		for _, salt := range [][]byte{nil, random(1), random(saltSize), random(63), random(sha256.BlockSize)} {
			for _, info := range [][]byte{nil, random(1), random(headerSize), random(macLimit - 1)} {
				key := random(keySize)
				want, err := hkdf.Key(sha256.New, key, salt, string(info), KeySize)
				if err != nil {
					t.Fatal(err)
				}
				var got [KeySize]byte
				secretbytes.Do(func() { got, err = derive(secretbytes.Copy(key), salt, info) })
				if err != nil || !bytes.Equal(got[:], want) {
					t.Fatalf("a key of %d, a salt of %d and an info of %d bytes: %x, not %x: %v", keySize, len(salt), len(info), got, want, err)
				}
			}
		}
	}
}

func TestWhatIsTooLongForAMessageKeyIsRefusedAndNotCutOff(t *testing.T) {
	for name, err := range map[string]error{
		"a key":   deriving(macLimit+1, saltSize, headerSize),
		"a salt":  deriving(KeySize, sha256.BlockSize+1, headerSize),
		"an info": deriving(KeySize, saltSize, macLimit),
	} {
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// deriving is the error of deriving from random bytes of these lengths.
func deriving(key, salt, info int) error {
	_, err := derive(secretbytes.Own(random(key)), random(salt), random(info))
	return err
}

// What is on the heap is erased at some collection of garbage, and what is on the stack at once.
func TestDerivingLeavesNothingOnTheHeap(t *testing.T) {
	key, salt, info := secretbytes.Own(random(KeySize)), random(saltSize), random(headerSize)
	if fips140.Enforced() {
		t.Skip("here it is the module's own HKDF")
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := derive(key, salt, info); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%.0f objects", n)
	}
}
