package keys

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/mlkem"
	"crypto/rsa"
	"runtime"
	"testing"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// What a parsed key's numbers were made of is erased when it is collected, so nothing may hold the key that outlives it.
func TestWhoHoldsThePublicHalfDoesNotKeepThePrivateOneFromBeingErased(t *testing.T) {
	for _, spec := range []Spec{RSA2048, NISTP256, EDWARDS25519, SECGP256K1, MLDSA44, MLKEM768, MLKEM1024} {
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
			case ed25519.PrivateKey:
				runtime.AddCleanup(&inner[0], done, collected)
			case *mldsa.PrivateKey:
				runtime.AddCleanup(inner, done, collected)
			case *mlkem.DecapsulationKey768:
				runtime.AddCleanup(inner, done, collected)
			case *mlkem.DecapsulationKey1024:
				runtime.AddCleanup(inner, done, collected)
			case *secp256k1.PrivateKey:
				runtime.AddCleanup(inner, done, collected)
			}
			if err := worked(key); err != nil { // which has Go's module keep what it has worked out
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

// worked has a key do what it is for.
func worked(key *PrivateKey) error {
	if key.spec.EncapsulationAlgorithms() != nil {
		_, ciphertext, err := key.Public().Encapsulate(MLKEM)
		if err == nil {
			_, err = key.Decapsulate(MLKEM, ciphertext)
		}
		return err
	}
	a := key.spec.SigningAlgorithms()[0]
	message := Message{make([]byte, 64), schemes[a].types[0]}
	signature, err := key.Sign(a, message)
	if err != nil {
		return err
	}
	return key.Public().Verify(a, message, signature)
}
