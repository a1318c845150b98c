package pki_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/pki"
)

// A verifier that finds no DNS name takes the common name for one: OpenSSL does, and checks it against the constraints, too.
func TestACommonNameThatIsTakenForADNSNameIsWithinTheConstraints(t *testing.T) {
	permitted := newRoot(t, pki.ECPrime256v1, func(in *pki.AuthorityRequest) { in.Constraints.PermittedDNS = []string{"example.com"} })
	excluded := newRoot(t, pki.ECPrime256v1, func(in *pki.AuthorityRequest) { in.Constraints.ExcludedDNS = []string{"secret.example.com"} })
	below := below(t, permitted, pki.ECPrime256v1) // the constraint is the root's
	free := newRoot(t, pki.ECPrime256v1)
	for name, tt := range map[string]struct {
		by         *pki.Authority
		commonName string
		names      []string
		refused    bool
		want       string // the common name of what is issued
	}{
		"outside, and no other name":             {permitted, "evil.example.org", nil, true, ""},
		"outside, in upper case":                 {permitted, "EVIL.Example.ORG", nil, true, ""},
		"outside, beside an address":             {permitted, "evil.example.org", []string{"10.0.0.1"}, true, ""},
		"outside, beside an email address":       {permitted, "evil.example.org", []string{"ops@example.com"}, true, ""},
		"one word, which is no host's":           {permitted, "alice", nil, false, "alice"},
		"a wildcard outside":                     {permitted, "*.example.org", nil, true, ""},
		"outside of the constraint of the root":  {below, "evil.example.org", nil, true, ""},
		"excluded":                               {excluded, "a.secret.example.com", nil, true, ""},
		"a wildcard that stands for an excluded": {excluded, "*.example.com", nil, true, ""},
		"within":                                 {permitted, "a.example.com", nil, false, "a.example.com"},
		"not excluded":                           {excluded, "a.example.com", nil, false, "a.example.com"},
		"beside a DNS name, which alone counts":  {permitted, "evil.example.org", []string{"a.example.com"}, false, "evil.example.org"},
		"a person's":                             {permitted, "Shop Server", nil, false, "Shop Server"},
		"an email address":                       {permitted, "ops@example.org", []string{"ops@example.org"}, false, "ops@example.org"},
		"an address, which is left out":          {permitted, "10.0.0.1", []string{"10.0.0.1"}, false, ""},
		"an address of IPv6, which is left out":  {permitted, "2001:db8::1", []string{"2001:db8::1"}, false, ""},
		"an address that nothing limits":         {free, "10.0.0.1", []string{"10.0.0.1"}, false, "10.0.0.1"},
		"whatever it is without constraints":     {free, "evil.example.org", nil, false, "evil.example.org"},
	} {
		leaf, err := tt.by.Issue(keyOf(t, pki.ECSecp384r1).Public(), pki.LeafRequest{
			Subject: pkix.Name{CommonName: tt.commonName}, Names: names(t, tt.names...), NotBefore: now.Add(-time.Minute), NotAfter: now.Add(day),
		})
		if tt.refused {
			if !errors.Is(err, pki.ErrNotPermitted) || !strings.Contains(err.Error(), strings.ToLower(tt.commonName)) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || leaf.Subject.CommonName != tt.want {
			t.Errorf("%s: %v, %v", name, leaf, err)
			continue
		}
		chain := append([]*x509.Certificate{leaf}, tt.by.Chain()...)
		root := chain[len(chain)-1]
		if out, err := strictly(t, root, chain[1:len(chain)-1], leaf); err != nil {
			t.Errorf("%s: openssl says %s", name, out)
		}
		if err := pki.CheckChain(chain, now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACertificateWhoseOnlyNameIsLeftOutIsNotMade(t *testing.T) {
	bound := newRoot(t, pki.ECPrime256v1, func(in *pki.AuthorityRequest) { in.Constraints.PermittedDNS = []string{"example.com"} })
	_, err := bound.Issue(keyOf(t, pki.ECPrime256v1).Public(), pki.LeafRequest{
		Subject: pkix.Name{CommonName: "10.0.0.1"}, NotBefore: now, NotAfter: now.Add(day),
	})
	if !errors.Is(err, pki.ErrInvalidName) {
		t.Errorf("a certificate of nobody: %v", err)
	}
}

func TestAnAuthorityIsValidFromItsBeginToItsEnd(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	middle := below(t, root, pki.ECPrime256v1, func(in *pki.AuthorityRequest) {
		in.NotBefore, in.NotAfter = now.Add(-time.Minute), now.Add(10*day)
	})
	for name, tt := range map[string]struct {
		of   *pki.Authority
		at   time.Time
		want error
	}{
		"a second before its begin":     {middle, now.Add(-time.Minute - time.Second), pki.ErrNotYetValid},
		"at its begin":                  {middle, now.Add(-time.Minute), nil},
		"now":                           {middle, now, nil},
		"a second before its end":       {middle, now.Add(10*day - time.Second), nil},
		"at its end":                    {middle, now.Add(10 * day), pki.ErrExpired},
		"the root, which lives on":      {root, now.Add(10 * day), nil},
		"when the root has expired too": {middle, now.Add(11 * year), pki.ErrExpired},
	} {
		err := tt.of.CheckTime(tt.at)
		if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), "CN=") {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}
