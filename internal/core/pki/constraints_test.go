package pki_test

import (
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/core/pki"
)

func network(t testing.TB, text string) *net.IPNet {
	t.Helper()
	_, n, err := net.ParseCIDR(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// laxer are the names that Go takes and RFC 5280 does not: for Go, a host of emails or URIs stands for those below it, too.
var laxer = map[string]bool{"*.example.com": true, "ops@mail.example.com": true, "ops@a.example.com": true, "spiffe://svc.example.com/x": true}

func TestNamesOutsideConstraintsAreRefusedAndOpenSSLAndGoAgree(t *testing.T) {
	constraints := pki.Constraints{
		PermittedDNS: []string{"example.com"}, ExcludedDNS: []string{"secret.example.com"},
		PermittedIPs: []*net.IPNet{network(t, "10.0.0.0/8"), network(t, "2001:db8::/32")}, ExcludedIPs: []*net.IPNet{network(t, "10.9.0.0/16")},
		PermittedEmails: []string{"example.com", ".mail.example.com"}, ExcludedEmails: []string{"root@example.com"},
		PermittedURIs: []string{"example.com", ".svc.example.com"}, ExcludedURIs: []string{"bad.svc.example.com"},
	}
	free := newRoot(t, pki.ECPrime256v1)
	bound := newRoot(t, pki.ECPrime256v1, func(in *pki.AuthorityRequest) { in.Constraints = constraints })
	if got := pki.ConstraintsOf(bound.Certificate()); len(got.PermittedDNS) != 1 || len(got.ExcludedIPs) != 1 || len(got.PermittedURIs) != 2 {
		t.Errorf("the certificate has %+v", got)
	}
	for name, good := range map[string]bool{
		"example.com": true, "a.example.com": true, "A.Example.Com": true, "*.a.example.com": true, "b.a.example.com": true,
		"example.org": false, "notexample.com": false, "secret.example.com": false, "a.secret.example.com": false, "*.secret.example.com": false,
		"*.example.com": false, // it stands for secret.example.com, too
		"10.1.2.3":      true, "10.9.1.1": false, "11.0.0.1": false, "2001:db8::5": true, "2001:db9::5": false,
		"ops@example.com": true, "ops@a.mail.example.com": true, "ops@mail.example.com": false, "ops@a.example.com": false, "root@example.com": false, "ops@example.org": false,
		"spiffe://example.com/x": true, "spiffe://a.svc.example.com/x": true, "spiffe://svc.example.com/x": false, "spiffe://bad.svc.example.com/x": false,
		"spiffe://example.org/x": false, "https://10.0.0.1/x": false,
	} {
		key := keyOf(t, pki.ECSecp384r1)
		_, err := bound.Issue(key.Public(), pki.LeafRequest{Names: names(t, name), NotBefore: now, NotAfter: now.Add(day)})
		if (err == nil) != good || !good && (!errors.Is(err, pki.ErrNotPermitted) || !strings.Contains(err.Error(), strings.ToLower(name))) {
			t.Errorf("%s: %v", name, err)
		}
		// what was issued without a look at the constraints is judged the same by Go's verifier, which CheckChain asks
		leaf := forged(t, free, bound, name)
		goErr := pki.CheckChain([]*x509.Certificate{leaf, bound.Certificate()}, now)
		if (goErr == nil) != good && !laxer[name] {
			t.Errorf("%s: Go says %v", name, goErr)
		}
		if !good && goErr != nil && !errors.Is(goErr, pki.ErrNotPermitted) && !errors.Is(goErr, pki.ErrChain) {
			t.Errorf("%s: %v", name, goErr)
		}
		out, sslErr := strictly(t, bound.Certificate(), nil, leaf)
		if (sslErr == nil) != good && name != "*.example.com" {
			t.Errorf("%s: openssl says %s", name, out)
		}
	}
}

// forged issues in the name of an authority by the key of another that has the same one and no constraints.
func forged(t *testing.T, free, bound *pki.Authority, name string) *x509.Certificate {
	t.Helper()
	if string(free.Certificate().RawSubject) != string(bound.Certificate().RawSubject) {
		t.Fatal("the two have not the same name")
	}
	return leafOf(t, free, keyOf(t, pki.ECSecp384r1), name)
}

func TestConstraintsOfAllLevelsHold(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1, func(in *pki.AuthorityRequest) { in.Constraints.PermittedDNS = []string{"example.com"} })
	middle := below(t, root, pki.ECPrime256v1, func(in *pki.AuthorityRequest) { in.Constraints.PermittedDNS = []string{"shop.example.com"} })
	for name, good := range map[string]bool{"a.shop.example.com": true, "b.example.com": false, "shop.example.org": false} {
		_, err := middle.Issue(keyOf(t, pki.ECPrime256v1).Public(), pki.LeafRequest{Names: names(t, name), NotBefore: now, NotAfter: now.Add(day)})
		if (err == nil) != good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever the constraints and the names, what is let through is let through by Go's verifier.
func TestNothingIsIssuedThatGoRefuses(t *testing.T) {
	domain := rapid.StringMatching(`\.?([ab]\.){0,2}(ex|ey)\.com`)
	host := rapid.StringMatching(`(\*\.)?([ab]\.){0,3}(ex|ey)\.com`)
	key := newKey(t, pki.ECPrime256v1)
	rapid.Check(t, func(rt *rapid.T) {
		free := newRoot(t, pki.ECPrime256v1)
		bound := newRoot(t, pki.ECPrime256v1, func(in *pki.AuthorityRequest) {
			in.Constraints = pki.Constraints{
				PermittedDNS: rapid.SliceOfN(domain, 0, 2).Draw(rt, "permitted"), ExcludedDNS: rapid.SliceOfN(domain, 0, 2).Draw(rt, "excluded"),
			}
		})
		n, err := pki.ParseNames(rapid.SliceOfN(host, 1, 2).Draw(rt, "names"))
		if err != nil {
			rt.Skip(err)
		}
		in := pki.LeafRequest{Names: n, NotBefore: now.Add(-day), NotAfter: now.Add(day)}
		issued, err := bound.Issue(key.Public(), in)
		if err == nil {
			if err := pki.CheckChain([]*x509.Certificate{issued, bound.Certificate()}, now); err != nil {
				rt.Fatalf("issued and refused: %v", err)
			}
			return
		}
		leaf, freeErr := free.Issue(key.Public(), in)
		if freeErr != nil {
			rt.Fatal(freeErr)
		}
		wild := strings.Contains(strings.Join(n.DNS, " "), "*")
		if goErr := pki.CheckChain([]*x509.Certificate{leaf, bound.Certificate()}, now); goErr == nil && !wild {
			rt.Fatalf("refused with %v, and Go takes it", err)
		}
	})
}
