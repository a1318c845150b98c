package authority_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/url"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/authority"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func newAuthority(t *testing.T) *authority.Authority {
	t.Helper()
	a, err := authority.New("test", now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func key(t *testing.T, a *authority.Authority) []byte {
	t.Helper()
	text, err := a.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestACertificateIsTrustedForItsNamesAloneAndForItsTimeAlone(t *testing.T) {
	a := newAuthority(t)
	leaf, err := a.Issue([]string{"gateway.strongroom-system.svc", "localhost", "127.0.0.1", "::1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(a.CertificatePEM()) {
		t.Fatal("the authority's certificate is no PEM")
	}
	for _, tt := range []struct {
		name string
		at   time.Time
		good bool
	}{
		{"gateway.strongroom-system.svc", now, true}, {"localhost", now, true}, {"127.0.0.1", now, true}, {"::1", now, true},
		{"localhost", now.Add(-30 * time.Minute), true}, {"localhost", now.Add(authority.LeafValidity), true},
		{"example.org", now, false}, {"127.0.0.2", now, false},
		{"localhost", now.Add(-2 * time.Hour), false}, {"localhost", now.Add(authority.LeafValidity + time.Second), false},
	} {
		_, err := leaf.Leaf.Verify(x509.VerifyOptions{DNSName: tt.name, Roots: roots, CurrentTime: tt.at})
		if (err == nil) != tt.good {
			t.Errorf("%s at %s: %v", tt.name, tt.at, err)
		}
	}
	_, err = leaf.Leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err == nil {
		t.Error("a server's certificate is good for a client")
	}
}

func TestAnAuthorityIsTheSameWhenItIsReadAgain(t *testing.T) {
	a := newAuthority(t)
	again, err := authority.Parse(a.CertificatePEM(), key(t, a), now)
	if err != nil {
		t.Fatal(err)
	}
	if string(again.CertificatePEM()) != string(a.CertificatePEM()) || string(key(t, again)) != string(key(t, a)) {
		t.Error("it is another one")
	}
}

func TestWhatIsNoAuthorityIsRefused(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	leaf, err := a.Issue([]string{"localhost"}, now)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	leafPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Leaf.Raw})
	leafKey := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for name, tt := range map[string]struct {
		certificate, key []byte
		at               time.Time
	}{
		"nothing":             {nil, nil, now},
		"another's key":       {a.CertificatePEM(), key(t, other), now},
		"a server's":          {leafPEM, leafKey, now},
		"one that is expired": {a.CertificatePEM(), key(t, a), now.Add(authority.Validity + time.Second)},
	} {
		if _, err := authority.Parse(tt.certificate, tt.key, tt.at); !errors.Is(err, authority.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACertificateIsRenewedWhileItIsStillGoodForAThirdOfItsLife(t *testing.T) {
	leaf, err := newAuthority(t).Issue([]string{"localhost"}, now)
	if err != nil {
		t.Fatal(err)
	}
	left := leaf.Leaf.NotAfter.Sub(authority.RenewalTime(leaf.Leaf))
	if left < 10*24*time.Hour || left > 11*24*time.Hour {
		t.Errorf("%s are left", left)
	}
}

func TestACertificateDoesNotOutliveItsAuthority(t *testing.T) {
	a := newAuthority(t)
	late := now.Add(authority.Validity - time.Hour)
	leaf, err := a.Issue([]string{"localhost"}, late)
	if err != nil {
		t.Fatal(err)
	}
	if want := now.Add(authority.Validity); !leaf.Leaf.NotAfter.Equal(want) {
		t.Errorf("good until %s, the authority until %s", leaf.Leaf.NotAfter, want)
	}
}

func TestACertificateForBothSidesNamesWhoItIsAndIsKnownAsItsAuthoritys(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	uri := &url.URL{Scheme: "spiffe", Host: "strongroom.dev", Path: "/hsm/c/operator/manager"}
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	made, err := a.IssueTo(authority.Identity{CommonName: "x", Names: []string{"*.nodes.ns.svc", "127.0.0.1", uri.String()}, Usages: both}, now)
	if err != nil {
		t.Fatal(err)
	}
	if len(made.Leaf.URIs) != 1 || made.Leaf.URIs[0].String() != uri.String() {
		t.Errorf("%v", made.Leaf.URIs)
	}
	for _, usage := range both {
		if _, err := made.Leaf.Verify(x509.VerifyOptions{DNSName: "one.nodes.ns.svc", Roots: a.Pool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
			t.Error(err)
		}
	}
	if !a.Issued(made.Leaf, now) || other.Issued(made.Leaf, now) || a.Issued(made.Leaf, now.Add(authority.LeafValidity)) || a.Issued(made.Leaf, now.Add(-2*time.Hour)) {
		t.Error("whose it is, and when, is not told")
	}
	chain, private, err := authority.PEM(made)
	if err != nil {
		t.Fatal(err)
	}
	if pair, err := tls.X509KeyPair(chain, private); err != nil || len(pair.Certificate) != 2 || !pair.Leaf.Equal(made.Leaf) {
		t.Errorf("%v", err)
	}
}
