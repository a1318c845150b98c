package keys_test

import (
	"fmt"
	"testing"

	"strongroom.dev/strongroom/internal/core/keys"
)

func BenchmarkSealAndOpen(b *testing.B) {
	for _, size := range []int{64, 4096} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			p := plaintext(size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				blob, err := keys.Seal(testKey, testHeader, testContext, p)
				if err != nil {
					b.Fatal(err)
				}
				got, err := keys.Open(testKey, testHeader, testContext, blob)
				if err != nil {
					b.Fatal(err)
				}
				got.Wipe()
			}
		})
	}
}

func BenchmarkStatePermits(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := keys.Enabled.Permits(keys.Decrypt); err != nil {
			b.Fatal(err)
		}
	}
}
