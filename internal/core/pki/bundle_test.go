package pki_test

import (
	"crypto/x509"
	"errors"
	"testing"

	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

func TestAFreshKeyAndItsChainAreOneBundleAndWrittenAsAnyOther(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	for _, a := range pki.KeyAlgorithms() {
		key := keyOf(t, a)
		chain := append([]*x509.Certificate{leafOf(t, root, key, "a.example.com")}, root.Chain()...)
		b, err := pki.NewBundle(key, chain)
		if err != nil {
			t.Fatalf("%s: %v", a, err)
		}
		text := must(b.Marshal())
		if !text.Equal(must(pki.Bundle{Key: must(pki.MarshalKey(key)), Chain: chain}.Marshal())) {
			t.Errorf("%s: it is written otherwise", a)
		}
		if got, err := pki.ParseBundle(text); err != nil || !got.Key.Equal(b.Key) || len(got.Chain) != len(chain) {
			t.Errorf("%s: it is not read: %v", a, err)
		}
	}
}

func TestABundleOfAFreshKeyIsCheckedAgainWhenItIsNotWhatItWas(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	key, other := keyOf(t, pki.ECPrime256v1), newKey(t, pki.ECPrime256v1)
	leaf, theirs := leafOf(t, root, key, "a.example.com"), leafOf(t, root, other, "a.example.com")
	for name, tt := range map[string]struct {
		change func(*pki.Bundle)
		want   error
	}{
		"with the certificate of another key": {func(b *pki.Bundle) { b.Chain = []*x509.Certificate{theirs} }, pki.ErrMismatch},
		"with another key":                    {func(b *pki.Bundle) { b.Key = must(pki.MarshalKey(other)) }, pki.ErrMismatch},
		"with a key that was wiped":           {func(b *pki.Bundle) { b.Key.Wipe() }, pki.ErrMalformed},
		"without a key":                       {func(b *pki.Bundle) { b.Key = secretbytes.Bytes{} }, pki.ErrMalformed},
		"without a certificate":               {func(b *pki.Bundle) { b.Chain = nil }, pki.ErrChain},
		"with too many":                       {func(b *pki.Bundle) { b.Chain = make([]*x509.Certificate, pki.MaximumChain+1) }, pki.ErrChain},
		"with a copy of its key":              {func(b *pki.Bundle) { b.Key = secretbytes.Copy(b.Key.Reveal()) }, nil},
	} {
		b := must(pki.NewBundle(key, []*x509.Certificate{leaf}))
		tt.change(&b)
		if _, err := b.Marshal(); !errors.Is(err, tt.want) {
			t.Errorf("%s it is written, or refused for something else: %v", name, err)
		}
	}
}

func TestNoBundleIsMadeOfAKeyAndTheCertificateOfAnother(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	leaf := leafOf(t, root, newKey(t, pki.ECPrime256v1), "a.example.com")
	for _, a := range pki.KeyAlgorithms() {
		if _, err := pki.NewBundle(keyOf(t, a), []*x509.Certificate{leaf}); !errors.Is(err, pki.ErrMismatch) {
			t.Errorf("%s: %v", a, err)
		}
	}
	if _, err := pki.NewBundle(keyOf(t, pki.ECPrime256v1), nil); !errors.Is(err, pki.ErrChain) {
		t.Errorf("without a certificate: %v", err)
	}
}
