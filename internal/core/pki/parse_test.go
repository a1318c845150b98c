package pki_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestCertificatesAreReadAsTheyWereWritten(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	middle := below(t, root, pki.ECPrime256v1)
	text := pki.CertificatesPEM(middle.Chain())
	for name, variant := range map[string][]byte{
		"as written": text, "with white space around": slices.Concat([]byte("\n \t\r\n"), text, []byte("\n\n")), "with CRLF": bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")),
	} {
		got, err := pki.ParseCertificates(variant)
		if err != nil || len(got) != 2 || !bytes.Equal(pki.CertificatesPEM(got), text) {
			t.Errorf("%s: %d certificates, %v", name, len(got), err)
		}
	}
}

func TestWhatIsNoCertificateIsRefused(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1).Certificate()
	good := block("CERTIFICATE", root.Raw)
	for name, tt := range map[string]struct {
		text []byte
		want error
	}{
		"nothing":                      {nil, pki.ErrMalformed},
		"white space":                  {[]byte(" \n"), pki.ErrMalformed},
		"text before":                  {slices.Concat([]byte("subject=x\n"), good), pki.ErrMalformed},
		"text between":                 {slices.Concat(good, []byte("x\n"), good), pki.ErrMalformed},
		"text after":                   {slices.Concat(good, []byte("x")), pki.ErrMalformed},
		"a block that has no end":      {slices.Concat(good, good[:100]), pki.ErrMalformed},
		"a broken block, then a good":  {slices.Concat([]byte("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"), good), pki.ErrMalformed},
		"a key":                        {block("PRIVATE KEY", root.Raw), pki.ErrMalformed},
		"headers":                      {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Headers: map[string]string{"a": "b"}, Bytes: root.Raw}), pki.ErrMalformed},
		"an empty block":               {block("CERTIFICATE", nil), pki.ErrMalformed},
		"something after in the block": {block("CERTIFICATE", append(slices.Clone(root.Raw), 0)), pki.ErrMalformed},
		"a certificate cut short":      {block("CERTIFICATE", root.Raw[:len(root.Raw)-1]), pki.ErrMalformed},
		"eleven":                       {bytes.Repeat(good, 11), pki.ErrTooLarge},
		"a certificate of 33 KiB":      {block("CERTIFICATE", make([]byte, 33<<10)), pki.ErrTooLarge},
		"a text of 161 KiB":            {bytes.Repeat([]byte(" "), 161<<10), pki.ErrTooLarge},
	} {
		if got, err := pki.ParseCertificates(tt.text); !errors.Is(err, tt.want) {
			t.Errorf("%s: %d certificates, %v", name, len(got), err)
		}
	}
}

func TestAPrivateKeyIsReadInEachOfItsForms(t *testing.T) {
	for _, a := range pki.KeyAlgorithms() {
		key := keyOf(t, a)
		forms := map[string][]byte{"PKCS #8": pki.KeyPEM(must(pki.MarshalKey(key))).Reveal()}
		switch k := key.(type) {
		case *rsa.PrivateKey:
			forms["PKCS #1"] = block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k))
		case *ecdsa.PrivateKey:
			forms["SEC 1"] = block("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(k)))
			forms["SEC 1 with parameters"] = slices.Concat(block("EC PARAMETERS", []byte{6, 0}), forms["SEC 1"])
		}
		for form, text := range forms {
			got, err := pki.ParseKey(text)
			if err != nil || !samePublic(got, key) {
				t.Errorf("%s in %s: %v", a, form, err)
			}
		}
	}
}

func samePublic(a, b crypto.Signer) bool {
	return a.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(b.Public())
}

func TestAKeyThatIsNoneOrIsWeakIsRefusedAndNotShown(t *testing.T) {
	good := pki.KeyPEM(must(pki.MarshalKey(keyOf(t, pki.RSA2048)))).Reveal()
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	for name, tt := range map[string]struct {
		text []byte
		want error
	}{
		"nothing":         {nil, pki.ErrMalformed},
		"two keys":        {slices.Concat(good, good), pki.ErrMalformed},
		"garbage in it":   {block("PRIVATE KEY", []byte("hunter2-CANARY")), pki.ErrMalformed},
		"garbage in EC":   {block("EC PRIVATE KEY", []byte("hunter2-CANARY")), pki.ErrMalformed},
		"garbage in RSA":  {block("RSA PRIVATE KEY", []byte("hunter2-CANARY")), pki.ErrMalformed},
		"a certificate":   {block("CERTIFICATE", []byte("hunter2-CANARY")), pki.ErrMalformed},
		"an encrypted":    {block("ENCRYPTED PRIVATE KEY", []byte("hunter2-CANARY")), pki.ErrUnsupported},
		"old encryption":  {pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: []byte("x")}), pki.ErrUnsupported},
		"Ed25519":         {block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(ed))), pki.ErrUnsupported},
		"P-224":           {block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(p224))), pki.ErrWeak},
		"a text of 6 KiB": {bytes.Repeat([]byte("x"), 6<<10), pki.ErrTooLarge},
		"text around":     {slices.Concat([]byte("x"), good), pki.ErrMalformed},
	} {
		_, err := pki.ParseKey(tt.text)
		if !errors.Is(err, tt.want) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := pki.ParseKey(must(os.ReadFile(filepath.Join("testdata", "rsa1024.pem")))); !errors.Is(err, pki.ErrWeak) && !errors.Is(err, pki.ErrMalformed) {
		t.Errorf("RSA of 1024 bits: %v", err)
	}
}

func request(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	return must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: named("x"), DNSNames: []string{"a.example.com"}}, key))
}

func TestARequestIsReadInPEMAndDERAndMustBeSignedByItsKey(t *testing.T) {
	for _, a := range pki.KeyAlgorithms() {
		der := request(t, keyOf(t, a))
		for name, text := range map[string][]byte{"DER": der, "PEM": block("CERTIFICATE REQUEST", der), "old PEM": block("NEW CERTIFICATE REQUEST", der)} {
			if got, err := pki.ParseRequest(text); err != nil || got.DNSNames[0] != "a.example.com" {
				t.Errorf("%s in %s: %v", a, name, err)
			}
		}
	}
	der := request(t, keyOf(t, pki.ECPrime256v1))
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	flipped := slices.Clone(der)
	flipped[bytes.Index(der, []byte("a.example.com"))] = 'b'
	for name, tt := range map[string]struct {
		text []byte
		want error
	}{
		"nothing":                     {nil, pki.ErrMalformed},
		"one that was changed":        {flipped, pki.ErrMalformed},
		"something after":             {append(slices.Clone(der), 0), pki.ErrMalformed},
		"a certificate":               {block("CERTIFICATE", der), pki.ErrMalformed},
		"two":                         {bytes.Repeat(block("CERTIFICATE REQUEST", der), 2), pki.ErrTooLarge},
		"a begin and nothing else":    {[]byte("-----BEGIN "), pki.ErrMalformed},
		"Ed25519":                     {request(t, ed), pki.ErrUnsupported},
		"P-224":                       {request(t, must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))), pki.ErrWeak},
		"one of 33 KiB":               {make([]byte, 33<<10), pki.ErrTooLarge},
		"one that openssl signs SHA1": {must(os.ReadFile(filepath.Join("testdata", "sha1.csr"))), pki.ErrWeak},
	} {
		if _, err := pki.ParseRequest(tt.text); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAKeyAndItsChainComeBackTogetherOrNotAtAll(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	for _, a := range pki.KeyAlgorithms() {
		key := keyOf(t, a)
		leaf := leafOf(t, root, key, "a.example.com")
		b := pki.Bundle{Key: must(pki.MarshalKey(key)), Chain: append([]*x509.Certificate{leaf}, root.Chain()...)}
		text := must(b.Marshal())
		got, err := pki.ParseBundle(text)
		if err != nil || !got.Key.Equal(b.Key) || len(got.Chain) != 2 || !got.Chain[0].Equal(leaf) {
			t.Fatalf("%s: %v", a, err)
		}
		again := secretbytes.Copy(text.Reveal())
		kept, _ := pki.ParseBundle(again)
		again.Wipe()
		if !kept.Key.Equal(b.Key) || !kept.Chain[0].Equal(leaf) {
			t.Errorf("%s: what was read goes with the text", a)
		}
		for n := range text.Len() {
			if _, err := pki.ParseBundle(secretbytes.Copy(text.Reveal()[:n])); err == nil {
				t.Fatalf("%s: its first %d bytes are enough", a, n)
			}
		}
		if _, err := pki.ParseBundle(secretbytes.Copy(append(slices.Clone(text.Reveal()), 0))); !errors.Is(err, pki.ErrMalformed) {
			t.Errorf("%s with something after: %v", a, err)
		}
	}
	other := leafOf(t, root, newKey(t, pki.ECPrime256v1), "a.example.com")
	b := pki.Bundle{Key: must(pki.MarshalKey(keyOf(t, pki.ECPrime256v1))), Chain: []*x509.Certificate{other}}
	if _, err := b.Marshal(); !errors.Is(err, pki.ErrMismatch) {
		t.Errorf("a key and another's certificate are written: %v", err)
	}
	b.Chain = nil
	if _, err := b.Marshal(); !errors.Is(err, pki.ErrChain) {
		t.Errorf("a key without a certificate is written: %v", err)
	}
}

func TestAnExportedKeyIsOpenedByOpenSSLWithItsPassphraseAlone(t *testing.T) {
	for _, a := range pki.KeyAlgorithms() {
		key := keyOf(t, a)
		der := must(pki.MarshalKey(key))
		text := must(pki.EncryptKey(der, secretbytes.Copy([]byte("correct horse"))))
		path := file(t, "key.pem", text)
		out, err := openssl(t, "pkey", "-in", path, "-passin", "pass:correct horse")
		if err != nil {
			t.Fatalf("%s: %s", a, out)
		}
		if got, err := pki.ParseKey([]byte(out)); err != nil || !samePublic(got, key) {
			t.Errorf("%s: it is another key: %v", a, err)
		}
		if out, err := openssl(t, "pkey", "-in", path, "-passin", "pass:wrong"); err == nil {
			t.Errorf("%s opens with another passphrase: %s", a, out)
		}
		shape, _ := openssl(t, "asn1parse", "-in", path)
		for _, want := range []string{"PBES2", "PBKDF2", "hmacWithSHA256", "aes-256-cbc"} {
			if !strings.Contains(shape, want) {
				t.Errorf("%s: no %s in %s", a, want, shape)
			}
		}
		if bytes.Contains(text, der.Reveal()[len(der.Reveal())-16:]) {
			t.Errorf("%s: the key is in it in the clear", a)
		}
	}
	der := must(pki.MarshalKey(keyOf(t, pki.ECPrime256v1)))
	for _, n := range []int{0, 3, 129} {
		if _, err := pki.EncryptKey(der, secretbytes.Own(bytes.Repeat([]byte("x"), n))); !errors.Is(err, pki.ErrTooLarge) {
			t.Errorf("a passphrase of %d bytes: %v", n, err)
		}
	}
	if _, err := pki.EncryptKey(secretbytes.Copy([]byte("x")), secretbytes.Copy([]byte("12345"))); !errors.Is(err, pki.ErrMalformed) {
		t.Errorf("no key: %v", err)
	}
}
