package pki_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/pki"
)

func timeText(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

func TestWhatIsIssuedPassesStrictOpenSSLAndGoForEachPairOfKeyTypes(t *testing.T) {
	for _, above := range pki.KeyAlgorithms() {
		t.Run(string(above), func(t *testing.T) {
			t.Parallel()
			root := newRoot(t, above)
			if out, err := strictly(t, root.Certificate(), nil, root.Certificate()); err != nil {
				t.Errorf("the root: %s", out)
			}
			for _, under := range []pki.KeyAlgorithm{pki.ECPrime256v1, pki.ECSecp384r1, pki.ECSecp521r1, pki.RSA2048} {
				middle := below(t, root, under)
				for _, a := range pki.KeyAlgorithms() {
					key := keyOf(t, a)
					leaf := leafOf(t, middle, key, "shop.example.com", "*.shop.example.com", "10.0.0.1", "2001:db8::1",
						"spiffe://example.com/shop", "ops@example.com")
					verifiedByBoth(t, root, middle, leaf)
					if got, _ := pki.AlgorithmOf(leaf.PublicKey); got != a {
						t.Errorf("a key of %s is %s", a, got)
					}
				}
			}
		})
	}
}

func verifiedByBoth(t *testing.T, root, middle *pki.Authority, leaf *x509.Certificate) {
	t.Helper()
	for _, purpose := range []string{"sslserver", "sslclient"} {
		for _, name := range [][]string{{"-verify_hostname", "shop.example.com"}, {"-verify_hostname", "www.shop.example.com"},
			{"-verify_ip", "10.0.0.1"}, {"-verify_ip", "2001:db8::1"}, {"-verify_email", "ops@example.com"}} {
			out, err := strictly(t, root.Certificate(), []*x509.Certificate{middle.Certificate()}, leaf, append([]string{"-purpose", purpose}, name...)...)
			if err != nil {
				t.Fatalf("openssl for %s with %v: %s", purpose, name, out)
			}
			if purpose == "sslclient" {
				break
			}
		}
	}
	if out, err := strictly(t, root.Certificate(), []*x509.Certificate{middle.Certificate()}, leaf, "-verify_hostname", "other.example.com"); err == nil {
		t.Errorf("openssl takes it for another host: %s", out)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(root.Certificate())
	between.AddCert(middle.Certificate())
	for _, host := range []string{"shop.example.com", "www.shop.example.com", "10.0.0.1", "2001:db8::1"} {
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: between, CurrentTime: now}); err != nil {
			t.Errorf("Go for %s: %v", host, err)
		}
	}
	if err := pki.CheckChain(append([]*x509.Certificate{leaf}, middle.Chain()...), now); err != nil {
		t.Error(err)
	}
}

func TestALeafWithoutASubjectIsKnownByItsNamesAlone(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	c, err := root.Issue(keyOf(t, pki.ECSecp384r1).Public(), pki.LeafRequest{
		Names: names(t, strings.Repeat("long.", 14)+"example.com"), NotBefore: now, NotAfter: now.Add(day),
	})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := strictly(t, root.Certificate(), nil, c, "-attime", timeText(now.Add(time.Hour))); err != nil {
		t.Error(out)
	}
	if _, err := root.Issue(keyOf(t, pki.ECSecp384r1).Public(), pki.LeafRequest{NotBefore: now, NotAfter: now.Add(day)}); !errors.Is(err, pki.ErrInvalidName) {
		t.Errorf("a certificate of nobody: %v", err)
	}
}

func TestSerialNumbersAreOf128RandomBits(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	seen := map[string]bool{}
	var ones, bits int
	for range 200 {
		serial := leafOf(t, root, keyOf(t, pki.ECSecp384r1), "a.example.com").SerialNumber
		text := pki.FormatSerial(serial)
		if seen[text] || len(text) != 32 || serial.Sign() <= 0 {
			t.Fatalf("%s is not a serial number of its own", text)
		}
		seen[text] = true
		for i := range 128 {
			ones, bits = ones+int(serial.Bit(i)), bits+1
		}
		back, err := pki.ParseSerial(text)
		if err != nil || back.Cmp(serial) != 0 {
			t.Fatalf("%s is read as %v, %v", text, back, err)
		}
	}
	if share := float64(ones) / float64(bits); share < 0.48 || share > 0.52 {
		t.Errorf("%.3f of the bits are set", share)
	}
	if _, err := pki.NewSerial(bytes.NewReader(make([]byte, 16))); err == nil {
		t.Error("zero is a serial number")
	}
	if _, err := pki.NewSerial(io.LimitReader(rand.Reader, 15)); err == nil {
		t.Error("too few random bytes are enough")
	}
}

func TestASerialNumberIsReadAsToolsShowIt(t *testing.T) {
	want, _ := pki.ParseSerial("0a0b0c0d0e0f10111213141516171819")
	for _, text := range []string{"0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19", "0A0B0C0D0E0F10111213141516171819"} {
		if got, err := pki.ParseSerial(text); err != nil || got.Cmp(want) != 0 {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "00", "xyz", "0a:0", strings.Repeat("ff", 21), "-1"} {
		if got, err := pki.ParseSerial(text); !errors.Is(err, pki.ErrMalformed) {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
	if got := pki.FormatSerial(want); got != "0a0b0c0d0e0f10111213141516171819" {
		t.Error(got)
	}
}

func TestPathLengthsAreKeptAtEachLevel(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1, func(in *pki.AuthorityRequest) { in.PathLength = pathLength(1) })
	middle := below(t, root, pki.ECPrime256v1, func(in *pki.AuthorityRequest) { in.PathLength = pathLength(0) })
	leaf := leafOf(t, middle, keyOf(t, pki.ECPrime256v1), "a.example.com")
	if out, err := strictly(t, root.Certificate(), []*x509.Certificate{middle.Certificate()}, leaf); err != nil {
		t.Error(out)
	}
	request := func(n *int) pki.AuthorityRequest {
		return pki.AuthorityRequest{Subject: named("x"), NotBefore: now, NotAfter: now.Add(day), PathLength: n}
	}
	public := keyOf(t, pki.ECSecp384r1).Public()
	for name, err := range map[string]error{
		"one below path length 0":             second(middle.IssueAuthority(public, request(pathLength(0)))),
		"one without a limit below a limit":   second(root.IssueAuthority(public, request(nil))),
		"one with the same limit as its own":  second(root.IssueAuthority(public, request(pathLength(1)))),
		"one with a limit above its issuer's": second(root.IssueAuthority(public, request(pathLength(7)))),
	} {
		if !errors.Is(err, pki.ErrNotAuthority) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := newRoot(t, pki.ECSecp384r1).IssueAuthority(public, request(nil)); err != nil {
		t.Errorf("without a limit above: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestNothingOutlivesItsAuthority(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	middle := below(t, root, pki.ECPrime256v1, func(in *pki.AuthorityRequest) { in.NotAfter = now.Add(10 * day) })
	leaf := leafOf(t, middle, keyOf(t, pki.ECPrime256v1), "a.example.com")
	if !leaf.NotAfter.Equal(middle.Certificate().NotAfter) {
		t.Errorf("good until %s, its authority until %s", leaf.NotAfter, middle.Certificate().NotAfter)
	}
	if leaf.NotBefore.Before(middle.Certificate().NotBefore) {
		t.Errorf("it begins at %s, its authority at %s", leaf.NotBefore, middle.Certificate().NotBefore)
	}
	for at, want := range map[time.Time]error{now.Add(10 * day): pki.ErrExpired, now.Add(20 * day): pki.ErrExpired, now.Add(-20 * day): pki.ErrNotYetValid} {
		_, err := middle.Issue(keyOf(t, pki.ECPrime256v1).Public(), pki.LeafRequest{Names: names(t, "a.example.com"), NotBefore: at, NotAfter: at.Add(day)})
		if !errors.Is(err, want) || !strings.Contains(err.Error(), "subordinate") {
			t.Errorf("at %s: %v", at, err)
		}
	}
}

func TestARequestThatCannotBeIsRefused(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	public := keyOf(t, pki.ECPrime256v1).Public()
	ok := pki.AuthorityRequest{Subject: named("x"), NotBefore: now, NotAfter: now.Add(day)}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	odd, _ := rsa.GenerateKey(rand.Reader, 2056)
	with := func(change func(*pki.AuthorityRequest)) pki.AuthorityRequest {
		in := ok
		change(&in)
		return in
	}
	for name, tt := range map[string]struct {
		public any
		in     pki.AuthorityRequest
		want   error
	}{
		"no subject":              {public, with(func(in *pki.AuthorityRequest) { in.Subject = pkix.Name{} }), pki.ErrInvalidName},
		"a long common name":      {public, with(func(in *pki.AuthorityRequest) { in.Subject.CommonName = strings.Repeat("x", 65) }), pki.ErrInvalidName},
		"an end before its begin": {public, with(func(in *pki.AuthorityRequest) { in.NotAfter = now }), pki.ErrValidity},
		"the year 10000":          {public, with(func(in *pki.AuthorityRequest) { in.NotAfter = now.AddDate(8000, 0, 0) }), pki.ErrValidity},
		"a weak RSA key":          {weak.Public(), ok, pki.ErrWeak},
		"a weak curve":            {p224.Public(), ok, pki.ErrWeak},
		"RSA of an odd length":    {odd.Public(), ok, pki.ErrUnsupported},
		"a small exponent":        {&rsa.PublicKey{N: odd.N, E: 3}, ok, pki.ErrWeak},
		"no key at all":           {nil, ok, pki.ErrUnsupported},
		"a signature with SHA-1":  {public, with(func(in *pki.AuthorityRequest) { in.SignatureAlgorithm = x509.ECDSAWithSHA1 }), pki.ErrWeak},
	} {
		if _, err := root.IssueAuthority(tt.public, tt.in); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if _, err := pki.GenerateKey("RSA_1024"); !errors.Is(err, pki.ErrUnsupported) {
		t.Errorf("RSA_1024: %v", err)
	}
}

func TestOnlyAnAuthorityWithItsKeyIssues(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	leafKey := newKey(t, pki.ECPrime256v1)
	leaf := leafOf(t, root, leafKey, "a.example.com")
	for name, tt := range map[string]struct {
		chain []*x509.Certificate
		key   crypto.Signer
		want  error
	}{
		"nothing":            {nil, leafKey, pki.ErrChain},
		"a leaf":             {[]*x509.Certificate{leaf}, leafKey, pki.ErrNotAuthority},
		"another's key":      {root.Chain(), leafKey, pki.ErrMismatch},
		"too long a chain":   {slices.Repeat(root.Chain(), 11), keyOf(t, pki.ECPrime256v1), pki.ErrChain},
		"another type's key": {root.Chain(), keyOf(t, pki.RSA2048), pki.ErrMismatch},
	} {
		if _, err := pki.NewAuthority(tt.chain, tt.key); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

// broken signs wrongly, as a module that is damaged or lies might.
type broken struct{ crypto.Signer }

func (b broken) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	other := slices.Clone(digest)
	other[0] ^= 1
	return b.Signer.Sign(r, other, o)
}

func TestASignerThatSignsWronglyIssuesNothing(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	a := authority(t, broken{keyOf(t, pki.ECPrime256v1)}, root.Certificate())
	_, err := a.Issue(keyOf(t, pki.ECPrime256v1).Public(), pki.LeafRequest{Names: names(t, "a.example.com"), NotBefore: now, NotAfter: now.Add(day)})
	if err == nil {
		t.Error("it issued a certificate whose signature is wrong")
	}
}

func BenchmarkIssueP256(b *testing.B) {
	root := newRoot(b, pki.ECPrime256v1)
	public := newKey(b, pki.ECPrime256v1).Public()
	in := pki.LeafRequest{Subject: named("leaf"), Names: names(b, "shop.example.com", "www.shop.example.com"), NotBefore: now, NotAfter: now.Add(90 * day)}
	for b.Loop() {
		if _, err := root.Issue(public, in); err != nil {
			b.Fatal(err)
		}
	}
}
