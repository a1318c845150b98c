package certificateauthority

import (
	"crypto/x509"
	"testing"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/service/acmpca"
)

func TestWhenAnAuthorityIsRenewed(t *testing.T) {
	const day = 24 * time.Hour
	begin := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	end := begin.Add(300 * day)
	for name, tt := range map[string]struct {
		in  renewal
		due bool
	}{
		"a root that is new":                                    {renewal{now: begin}, false},
		"a root a second before two thirds":                     {renewal{now: begin.Add(200*day - time.Second)}, false},
		"a root at two thirds":                                  {renewal{now: begin.Add(200 * day)}, true},
		"a root that has expired":                               {renewal{now: end.Add(day)}, true},
		"a root 30 days before its end, as it asks":             {renewal{now: end.Add(-30 * day), renewBefore: 30 * day}, true},
		"a root a second before that":                           {renewal{now: end.Add(-30*day - time.Second), renewBefore: 30 * day}, false},
		"one that somebody asks for":                            {renewal{now: begin, requested: "a"}, true},
		"one that somebody asks for again":                      {renewal{now: begin, requested: "b", handled: "a"}, true},
		"one that was asked for and handled":                    {renewal{now: begin, requested: "a", handled: "a"}, false},
		"one that nobody asks for any more":                     {renewal{now: begin, handled: "a"}, false},
		"a subordinate at two thirds":                           {renewal{now: begin.Add(200 * day), issuerEnds: end.Add(day)}, true},
		"a subordinate whose issuer ends with it":               {renewal{now: begin.Add(200 * day), issuerEnds: end}, false},
		"a subordinate whose issuer ends before it":             {renewal{now: end.Add(-day), issuerEnds: end.Add(-time.Second)}, false},
		"a subordinate whose issuer ends a second later":        {renewal{now: begin.Add(200 * day), issuerEnds: end.Add(time.Second)}, true},
		"a subordinate whose issuer ends, but somebody asks so": {renewal{now: begin, issuerEnds: end, requested: "a"}, true},
	} {
		tt.in.notBefore, tt.in.notAfter = begin, end
		due, at := decide(tt.in)
		if due != tt.due {
			t.Errorf("%s: %t", name, due)
		}
		if !at.After(begin) || !at.Before(end) {
			t.Errorf("%s: planned at %s", name, at)
		}
	}
}

func TestAListIsAnotherWhenAnythingOnItIs(t *testing.T) {
	key, err := pki.GenerateKey(pki.ECPrime256v1)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	of := func(change func(*v1alpha1.CertificateAuthority)) *pass {
		ca := &v1alpha1.CertificateAuthority{}
		change(ca)
		return &pass{ca: ca}
	}
	same := func(*v1alpha1.CertificateAuthority) {}
	plain := of(same)
	request := pki.AuthorityRequest{NotBefore: now, NotAfter: now.Add(time.Hour)}
	request.Subject.CommonName = "x"
	first, err1 := pki.NewRoot(key, request, nil)
	next, err2 := pki.NewRoot(key, request, nil)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	revocation := func(c *x509.Certificate) acmpca.Revocation {
		return acmpca.Revocation{Revoked: pki.Revoked{Serial: c.SerialNumber, Reason: pki.Unspecified}}
	}
	one, two, other := revocation(first), revocation(next), revocation(first)
	other.Reason = pki.KeyCompromise
	plain.chain = append(plain.chain, first)
	digests := map[string]string{}
	for name, tt := range map[string]struct {
		change  func(*v1alpha1.CertificateAuthority)
		renewed bool
		revoked []acmpca.Revocation
	}{
		"nothing revoked":     {same, false, nil},
		"one revoked":         {same, false, []acmpca.Revocation{one}},
		"for another reason":  {same, false, []acmpca.Revocation{other}},
		"two revoked":         {same, false, []acmpca.Revocation{one, two}},
		"another certificate": {same, true, nil},
		"another target": {func(ca *v1alpha1.CertificateAuthority) {
			ca.Spec.Target = &v1alpha1.AuthorityTarget{Name: "x"}
		}, false, nil},
		"another time": {func(ca *v1alpha1.CertificateAuthority) {
			ca.Spec.CRL = &v1alpha1.CertificateRevocationList{ExpirationInDays: 3}
		}, false, nil},
	} {
		p := of(tt.change)
		p.chain = append(p.chain, first)
		if tt.renewed {
			p.chain[0] = next
		}
		digest := digestOf(p, tt.revoked)
		if before, there := digests[digest]; there {
			t.Errorf("%s and %s are one", name, before)
		}
		digests[digest] = name
	}
	if digestOf(plain, []acmpca.Revocation{one, two}) != digestOf(plain, []acmpca.Revocation{two, one}) {
		t.Error("the order in which a cache lists them makes another list")
	}
	usual := of(func(ca *v1alpha1.CertificateAuthority) {
		ca.Spec.CRL = &v1alpha1.CertificateRevocationList{ExpirationInDays: 7}
	})
	usual.chain = plain.chain
	if digestOf(plain, nil) != digestOf(usual, nil) {
		t.Error("what is usual is another list when it is spelled out")
	}
}
