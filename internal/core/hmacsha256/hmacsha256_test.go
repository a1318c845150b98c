package hmacsha256_test

import (
	"bytes"
	"crypto/fips140"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"strongroom.dev/strongroom/internal/core/hmacsha256"
)

// leastKey is the length of the shortest key that the module's HMAC takes.
func leastKey() int {
	if fips140.Enforced() {
		return 14 // 112 bits, NIST SP 800-131A
	}
	return 0
}

// module is the code by crypto/hmac.
func module(key, message []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(nil)
}

func TestASumIsThatOfRFC4231(t *testing.T) {
	many := func(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }
	for i, tt := range []struct {
		key, message []byte
		code         string
	}{
		{many(0x0b, 20), []byte("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		{[]byte("Jefe"), []byte("what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{many(0xaa, 20), many(0xdd, 50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
		{many(0xaa, 131), []byte("Test Using Larger Than Block-Size Key - Hash Key First"), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
	} {
		if len(tt.key) < leastKey() {
			continue // the module refuses it where nothing but approved services may be used
		}
		if got := hmacsha256.Sum(tt.key, tt.message); hex.EncodeToString(got[:]) != tt.code {
			t.Errorf("case %d: %x", i+1, got)
		}
	}
}

func TestASumIsTheModulesForEveryLengthOfKeyAndMessage(t *testing.T) {
	all := make([]byte, 1200)
	_, _ = rand.Read(all)
	for keySize := leastKey(); keySize <= sha256.BlockSize+2; keySize++ {
		for size := 0; size <= 600; size++ {
			key, message := all[size:size+keySize], all[1200-size:]
			if got := hmacsha256.Sum(key, message); !bytes.Equal(got[:], module(key, message)) {
				t.Fatalf("a key of %d and a message of %d bytes: %x", keySize, size, got)
			}
		}
	}
}

func TestASumOfAShortMessageLeavesNothingOnTheHeapAndWhatItIsGivenAsItWas(t *testing.T) {
	key, message := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 512)
	want := 0.0
	if fips140.Enforced() {
		want = 7 // it is the module's there
	}
	if n := testing.AllocsPerRun(100, func() { _ = hmacsha256.Sum(key, message) }); n > want {
		t.Errorf("%.0f objects", n)
	}
	long := bytes.Repeat([]byte{2}, 513)
	_ = hmacsha256.Sum(key, long)
	if !bytes.Equal(key, bytes.Repeat([]byte{1}, 32)) || !bytes.Equal(long, bytes.Repeat([]byte{2}, 513)) {
		t.Error("the key or the message was changed")
	}
}

func FuzzSum(f *testing.F) {
	f.Add([]byte("key of fourteen"), []byte("message"))
	f.Fuzz(func(t *testing.T, key, message []byte) {
		if len(key) < leastKey() {
			return
		}
		if got := hmacsha256.Sum(key, message); !bytes.Equal(got[:], module(key, message)) {
			t.Errorf("%x", got)
		}
	})
}

func BenchmarkSum(b *testing.B) {
	key, message := make([]byte, 32), make([]byte, 160)
	for name, sum := range map[string]func(){
		"here":   func() { _ = hmacsha256.Sum(key, message) },
		"module": func() { _ = module(key, message) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sum()
			}
		})
	}
}
