package keys

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"runtime"
	"testing"
	"time"
)

// What a parsed key's numbers were made of is erased when it is collected, so nothing may hold the key that outlives it.
func TestWhoHoldsThePublicHalfDoesNotKeepThePrivateOneFromBeingErased(t *testing.T) {
	for _, spec := range []Spec{RSA2048, NISTP256} {
		pkcs8, err := GeneratePrivateKey(spec)
		if err != nil {
			t.Fatal(err)
		}
		collected := make(chan struct{})
		public := func() *PublicKey {
			key, err := ParsePrivateKey(spec, pkcs8)
			if err != nil {
				t.Fatal(err)
			}
			done := func(c chan struct{}) { close(c) }
			switch inner := key.key.(type) {
			case *rsa.PrivateKey:
				runtime.AddCleanup(inner, done, collected)
			case *ecdsa.PrivateKey:
				runtime.AddCleanup(inner, done, collected)
			}
			digest, a := make([]byte, 32), spec.SigningAlgorithms()[0]
			signature, err := key.Sign(a, digest) // which has Go's module keep what it has worked out
			if err != nil || key.Public().Verify(a, digest, signature) != nil {
				t.Fatal(err)
			}
			return key.Public()
		}()
		gone := false
		for deadline := time.Now().Add(10 * time.Second); !gone && time.Now().Before(deadline); {
			runtime.GC()
			select {
			case <-collected:
				gone = true
			case <-time.After(10 * time.Millisecond):
			}
		}
		if !gone {
			t.Errorf("%s: the private key is still there", spec)
		}
		runtime.KeepAlive(public)
	}
}
