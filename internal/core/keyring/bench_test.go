package keyring_test

import (
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/keyring"
)

func BenchmarkUnwrapToken(b *testing.B) {
	k := unseal(b, newRoot(1), newRecord(b, newRoot(1), 1))
	token := wrap(b, k, header, location, repeated(7))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.UnwrapToken(header, location, token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUseOfCachedMaterial(b *testing.B) {
	var v vault
	c := keyring.NewMaterialCache(1024, time.Minute, nil)
	b.ReportAllocs()
	for b.Loop() {
		if err := keyring.Use(c, "a", v.load, look); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDigestOf4KiB(b *testing.B) {
	k := unseal(b, newRoot(1), newRecord(b, newRoot(1), 1))
	value := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		k.Digest("projection", value)
	}
}
