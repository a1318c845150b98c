package pki_test

import (
	"bytes"
	"crypto/x509"
	"testing"

	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

func FuzzParseCertificates(f *testing.F) {
	root := newRoot(f, pki.ECPrime256v1)
	f.Add(pki.CertificatesPEM(root.Chain()))
	f.Add(pki.CertificatesPEM(below(f, root, pki.ECSecp384r1).Chain()))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		chain, err := pki.ParseCertificates(text)
		if err != nil {
			return
		}
		again, err := pki.ParseCertificates(pki.CertificatesPEM(chain))
		if err != nil || len(again) != len(chain) || len(chain) == 0 {
			t.Fatalf("what was read is not read again: %v", err)
		}
		_ = pki.CheckChain(chain, now)
		_ = pki.ConstraintsOf(chain[0]).Check(pki.NamesOf(chain[0]))
		_, _ = pki.NewAuthority(chain, keyOf(t, pki.ECPrime256v1))
	})
}

func FuzzParseKey(f *testing.F) {
	for _, a := range []pki.KeyAlgorithm{pki.ECPrime256v1, pki.RSA2048} {
		f.Add(pki.KeyPEM(must(pki.MarshalKey(keyOf(f, a)))).Reveal())
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := pki.ParseKey(text)
		if err != nil {
			return
		}
		der, err := pki.MarshalKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := pki.ParsePKCS8(der.Reveal()); err != nil || !samePublic(again, key) {
			t.Fatalf("what was read is not read again: %v", err)
		}
	})
}

func FuzzParseRequest(f *testing.F) {
	der := request(f, keyOf(f, pki.ECPrime256v1))
	f.Add(der)
	f.Add(block("CERTIFICATE REQUEST", der))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := pki.ParseRequest(text)
		if err != nil {
			return
		}
		if _, err := pki.ParseRequest(r.Raw); err != nil {
			t.Fatalf("what was read is not read again: %v", err)
		}
	})
}

func FuzzParseBundle(f *testing.F) {
	key := keyOf(f, pki.ECPrime256v1)
	leaf := leafOf(f, newRoot(f, pki.ECSecp384r1), key, "a.example.com")
	f.Add(must(pki.Bundle{Key: must(pki.MarshalKey(key)), Chain: []*x509.Certificate{leaf}}.Marshal()).Reveal())
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := pki.ParseBundle(secretbytes.Copy(text))
		if err != nil {
			return
		}
		if again, err := b.Marshal(); err != nil || !bytes.Equal(again.Reveal(), text) {
			t.Fatalf("it is written another way: %v", err)
		}
	})
}

func FuzzParseNames(f *testing.F) {
	for _, text := range []string{"a.example.com", "*.example.com", "10.0.0.1", "::1", "spiffe://a/b", "a@example.com"} {
		f.Add(text)
	}
	root := newRoot(f, pki.ECPrime256v1)
	f.Fuzz(func(t *testing.T, text string) {
		n, err := pki.ParseNames([]string{text})
		if err != nil {
			return
		}
		c, err := root.Issue(keyOf(t, pki.ECSecp384r1).Public(), pki.LeafRequest{Names: n, NotBefore: now, NotAfter: now.Add(day)})
		if err != nil {
			t.Fatalf("%q is a name that no certificate can have: %v", text, err)
		}
		if got := pki.NamesOf(c); got.Len() != 1 {
			t.Fatalf("%q became %v", text, got.Texts())
		}
	})
}
