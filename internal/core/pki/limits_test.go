package pki_test

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/pki"
)

// Each limit at its least, one below, its most and one above.
func TestANameIsAsLongAsItsKindMayBeAndNotLonger(t *testing.T) {
	labels := func(n int) string { // a DNS name of n characters
		name := strings.Repeat(strings.Repeat("a", 63)+".", 4)
		return name[len(name)-n+3:] + "com"
	}
	email := func(n int) string { return strings.Repeat("a", 60) + "@" + labels(n-61) }
	uri := func(n int) string {
		return "spiffe://example.com/" + strings.Repeat("x", n-len("spiffe://example.com/"))
	}
	for name, good := range map[string]bool{
		"a": true, "a.b": true, labels(252): true, labels(253): true, labels(254): false,
		strings.Repeat("a", 62) + ".com": true, strings.Repeat("a", 63) + ".com": true, strings.Repeat("a", 64) + ".com": false,
		"*." + labels(251): true, "*." + labels(252): false,
		email(253): true, email(254): true, email(255): false,
		uri(1023): true, uri(1024): true, uri(1025): false,
	} {
		n, err := pki.ParseNames([]string{name})
		if (err == nil) != good || err != nil && !errors.Is(err, pki.ErrInvalidName) {
			t.Errorf("%d characters, %.20s…: %v", len(name), name, err)
		}
		if err == nil {
			leaf := leafOf(t, newRoot(t, pki.ECPrime256v1), keyOf(t, pki.ECPrime256v1), name)
			if got := pki.NamesOf(leaf).Texts(); !slices.Equal(got, n.Texts()) {
				t.Errorf("%d characters became %d", len(name), len(got[0]))
			}
		}
	}
	for n, good := range map[int]bool{1: true, 63: true, 64: true, 65: false} {
		_, err := newRoot(t, pki.ECPrime256v1).Issue(keyOf(t, pki.ECPrime256v1).Public(), pki.LeafRequest{
			Subject: named(strings.Repeat("x", n)), NotBefore: now, NotAfter: now.Add(day),
		})
		if (err == nil) != good {
			t.Errorf("a common name of %d: %v", n, err)
		}
	}
}

func TestACertificateOfAsManyNamesAsThereMayBeIsVerifiedForTheLast(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	for n, good := range map[int]bool{99: true, 100: true, 101: false} {
		var many []string
		for i := range n {
			many = append(many, fmt.Sprintf("%s%d.example.com", strings.Repeat("a", 60), i))
		}
		parsed, err := pki.ParseNames(many)
		if (err == nil) != good || err != nil && !errors.Is(err, pki.ErrTooLarge) {
			t.Errorf("%d names: %v", n, err)
		}
		if err != nil {
			continue
		}
		leaf, err := root.Issue(keyOf(t, pki.ECPrime256v1).Public(), pki.LeafRequest{Names: parsed, NotBefore: now.Add(-day), NotAfter: now.Add(day)})
		if err != nil {
			t.Fatal(err)
		}
		if out, err := strictly(t, root.Certificate(), nil, leaf, "-verify_hostname", many[n-1]); err != nil {
			t.Errorf("%d names: %s", n, out)
		}
		if again, err := pki.ParseCertificates(pki.CertificatesPEM([]*x509.Certificate{leaf})); err != nil || len(again[0].DNSNames) != n {
			t.Errorf("%d names are not read again: %v", n, err)
		}
	}
}

// padded makes a certificate of exactly n bytes, by an extension that nobody knows.
func padded(t *testing.T, n int) []byte {
	t.Helper()
	_, leaf, key := genuine(t)
	for size := n - len(leaf) - 60; ; size++ {
		var der []byte
		for len(der) < n { // an ECDSA signature has one of three lengths
			der = forge(t, leaf, key, func(c *signed) {
				e := c.Body.Extensions[0]
				e.Id, e.Critical, e.Value = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 2}, false, make([]byte, size)
				c.Body.Extensions = append(c.Body.Extensions, e)
			})
			if len(der) < n-2 {
				break
			}
		}
		if len(der) == n {
			return der
		}
		if len(der) > n+60 {
			t.Fatalf("no certificate of %d bytes", n)
		}
	}
}

func TestTheLimitsOfWhatIsReadAreExact(t *testing.T) {
	root, leaf, _ := genuine(t)
	if _, err := pki.ParseCertificate(padded(t, pki.MaximumCertificate)); err != nil {
		t.Errorf("the largest certificate: %v", err)
	}
	if _, err := pki.ParseCertificate(padded(t, pki.MaximumCertificate+1)); !errors.Is(err, pki.ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
	ten := bytes.Repeat(block("CERTIFICATE", leaf), pki.MaximumChain)
	if got, err := pki.ParseCertificates(ten); err != nil || len(got) != pki.MaximumChain {
		t.Errorf("a chain of ten: %v", err)
	}
	filled := append(slices.Clone(ten), bytes.Repeat([]byte("\n"), pki.MaximumPEM-len(ten))...)
	if _, err := pki.ParseCertificates(filled); err != nil {
		t.Errorf("the longest text: %v", err)
	}
	if _, err := pki.ParseCertificates(append(filled, '\n')); !errors.Is(err, pki.ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
	key := pki.KeyPEM(must(pki.MarshalKey(keyOf(t, pki.RSA4096)))).Reveal()
	if len(key) > pki.MaximumKey {
		t.Fatalf("the largest key has %d bytes", len(key))
	}
	whole := append(slices.Clone(key), bytes.Repeat([]byte("\n"), pki.MaximumKey-len(key))...)
	if _, err := pki.ParseKey(whole); err != nil {
		t.Errorf("the longest key: %v", err)
	}
	if _, err := pki.ParseKey(append(whole, '\n')); !errors.Is(err, pki.ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
	csr := block("CERTIFICATE REQUEST", requestOf(t, func(*x509.CertificateRequest) {}))
	long := append(slices.Clone(csr), bytes.Repeat([]byte("\n"), pki.MaximumRequest-len(csr))...)
	if _, err := pki.ParseRequest(long); err != nil {
		t.Errorf("the longest request: %v", err)
	}
	if _, err := pki.ParseRequest(append(long, '\n')); !errors.Is(err, pki.ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
	full := append([]*x509.Certificate{must(x509.ParseCertificate(leaf))}, slices.Repeat(root.Chain(), 9)...)
	b := pki.Bundle{Key: must(pki.MarshalKey(keyOf(t, pki.ECSecp384r1))), Chain: full}
	if text, err := b.Marshal(); err != nil || must(pki.ParseBundle(text)).Chain[9].SerialNumber.Cmp(root.Certificate().SerialNumber) != 0 {
		t.Errorf("a bundle of ten: %v", err)
	}
	b.Chain = append(b.Chain, root.Certificate())
	if _, err := b.Marshal(); !errors.Is(err, pki.ErrChain) {
		t.Errorf("a bundle of eleven: %v", err)
	}
}

func TestASerialNumberHasUpToTwentyBytes(t *testing.T) {
	for text, good := range map[string]bool{
		"01": true, "7f": true, strings.Repeat("f", 38): true, strings.Repeat("f", 40): true, strings.Repeat("f", 42): false, strings.Repeat("f", 39): false,
		strings.Repeat("0", 40): false, strings.Repeat("0", 39) + "1": true, "0x01": false, " 01": false, "01\n": false, "١٢": false, ":": false, "::01": true,
	} {
		serial, err := pki.ParseSerial(text)
		if (err == nil) != good || err != nil && !errors.Is(err, pki.ErrMalformed) {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if err != nil {
			continue
		}
		shown := pki.FormatSerial(serial)
		if again, err := pki.ParseSerial(shown); err != nil || again.Cmp(serial) != 0 || len(shown) < 32 {
			t.Errorf("%q is shown as %s, %v", text, shown, err)
		}
	}
}

// Names that look like something that they are not.
func TestANameThatPretendsIsRefused(t *testing.T) {
	for _, text := range []string{
		"010.0.0.1", "0x7f.0.0.1", "10.0.0", "10.0.0.1.", "10.0.0.1:443", "2130706433", "::ffff:10.0.0.1%1", "1::2::3", "10.0.0.1/32", " 10.0.0.1", "10.0.0.1\x00", "*.10.0.0.1", "*.1",
		"*.localhost", "**.example.com", "*.*", "a*.example.com", "*a.example.com", "www.*.example.com", "example.*", "*.", "*..example.com", "xn--*.example.com",
		"bücher.example", "例え.jp", "ｅxample.com", "example。com", "exa\u00admple.com", "exam\u200dple.com", "аpple.com", "example.com\u2028", "пример.рф", "ⓔxample.com",
		"example.com:443", "example.com/path", "user:pass@", "http:/example.com", "javascript://alert(1)", "spiffe:///path", "spiffe://user@example.com/x", "spiffe://example.com:x/", "https://*/x",
		"https://exa_mple.com/", "https://bücher.example/", "https://10.0.0.256/", "https://[::1/x", "https://example.com/\n", "https://example..com/",
		"@", "@@", "ops@", "ops@localhost.", "ops@.com", "ops@example.com.", "ops@1.2.3.4", "ops@[IPv6:::1]", "<ops@example.com>", "ops @example.com", "ops@exam ple.com", "öps@example.com", "ops@bücher.example",
		"o\"ps@example.com", "ops\\@example.com", "a@b@example.com", "ops@*.example.com", "(x)ops@example.com", "ops@example.com,x@example.com",
	} {
		if n, err := pki.ParseNames([]string{text}); !errors.Is(err, pki.ErrInvalidName) {
			t.Errorf("%q is %v, %v", text, n.Texts(), err)
		} else if len(err.Error()) > 600 {
			t.Errorf("%q: a message of %d bytes", text, len(err.Error()))
		}
	}
	for _, text := range []string{"xn--bcher-kva.example", "*.xn--bcher-kva.example", "xn--80ak6aa92e.com", "1.com", "1a.2b", "a--b.com", "0x7f.example"} {
		if _, err := pki.ParseNames([]string{text}); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestOneBadNameAmongGoodOnesIsNamedAndNoneIsTaken(t *testing.T) {
	n, err := pki.ParseNames([]string{"a.example.com", "b_c.example.com", "d.example.com"})
	if !errors.Is(err, pki.ErrInvalidName) || !strings.Contains(err.Error(), "b_c.example.com") || n.Len() != 0 {
		t.Errorf("%v, %v", n.Texts(), err)
	}
}

func TestAWildcardIsGoodForOneLabelAlone(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	leaf := leafOf(t, root, keyOf(t, pki.ECPrime256v1), "*.example.com")
	for host, good := range map[string]bool{"a.example.com": true, "A.EXAMPLE.com": true, "example.com": false, "a.b.example.com": false, "a.example.org": false} {
		_, sslErr := strictly(t, root.Certificate(), nil, leaf, "-verify_hostname", host)
		goErr := leaf.VerifyHostname(host)
		if (sslErr == nil) != good || (goErr == nil) != good {
			t.Errorf("%s: openssl says %v, Go %v", host, sslErr, goErr)
		}
	}
}

func TestAURIOfEachFormComesBackAsItWas(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	for _, text := range []string{
		"spiffe://example.com/ns/a/sa/b", "https://example.com:8443/x?y=z", "https://example.com", "https://[2001:db8::1]/x", "https://10.0.0.1:443/", "ldap://example.com/cn=x,dc=y",
		"https://example.com/%2e%2e/x", "https://EXAMPLE.com/X", "https://example.com/x#y",
	} {
		want := must(url.Parse(text)).String()
		leaf := leafOf(t, root, keyOf(t, pki.ECPrime256v1), text)
		if got := pki.NamesOf(leaf).Texts(); !slices.Equal(got, []string{want}) {
			t.Errorf("%s became %v", text, got)
		}
		if out, err := strictly(t, root.Certificate(), nil, leaf); err != nil {
			t.Errorf("%s: %s", text, out)
		}
	}
}
