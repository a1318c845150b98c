package pki_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/core/pki"
)

func TestANameIsToldByItsForm(t *testing.T) {
	n := names(t, "Shop.Example.COM", "*.example.com", "localhost", "shop.prod.svc.cluster.local", "10.1.2.3", "::ffff:10.1.2.3", "2001:DB8::1",
		"spiffe://example.com/ns/shop", "https://10.0.0.1/x", "ops@example.com", "xn--bcher-kva.example", "shop.example.com", "123.example.com")
	want := pki.Names{DNS: []string{"shop.example.com", "*.example.com", "localhost", "shop.prod.svc.cluster.local", "xn--bcher-kva.example", "123.example.com"}}
	if !slices.Equal(n.DNS, want.DNS) {
		t.Errorf("DNS names are %v", n.DNS)
	}
	if got := fmt.Sprint(n.IPs); got != "[10.1.2.3 2001:db8::1]" || len(n.IPs[0]) != 4 {
		t.Errorf("addresses are %s", got)
	}
	if got := fmt.Sprint(n.URIs); got != "[spiffe://example.com/ns/shop https://10.0.0.1/x]" {
		t.Errorf("URIs are %s", got)
	}
	if !slices.Equal(n.Emails, []string{"ops@example.com"}) || n.Len() != 11 {
		t.Errorf("email addresses are %v, and all are %d", n.Emails, n.Len())
	}
	again := names(t, n.Texts()...)
	if !slices.Equal(again.Texts(), n.Texts()) {
		t.Errorf("%v are read as %v", n.Texts(), again.Texts())
	}
}

func TestWhatIsNoNameIsRefused(t *testing.T) {
	for _, text := range []string{
		"", ".", "a..b", ".example.com", "example.com.", "-a.example.com", "a-.example.com", "a_b.example.com", "bücher.example", "a b.example.com",
		"*", "*.com", "*example.com", "a.*.com", "*.*.example.com", "1.2.3", "1.2.3.4.5", "256.1.1.1", "example.123", "fe80::1%eth0", "[::1]", "10.0.0.0/8",
		strings.Repeat("a", 64) + ".example.com", strings.Repeat("a.", 126) + "example",
		"://x", "spiffe://", "http://user@example.com/", "http://user:pass@example.com/", "http://exa mple.com", "spiffe://-x/", "http://e\u0301.com/", "http://example.com/" + strings.Repeat("x", 1024),
		"@example.com", "a@", "a@b@c", "Ops <ops@example.com>", "a@-x", "a@*.example.com", `"a b"@example.com`, "ops@exa\x00mple.com", "a@[10.0.0.1]",
		"a\x00.example.com", "a\n.example.com", "x\u202e.example.com",
	} {
		if n, err := pki.ParseNames([]string{text}); !errors.Is(err, pki.ErrInvalidName) {
			t.Errorf("%q is %v, %v", text, n, err)
		}
	}
}

func TestThereIsALimitOfNames(t *testing.T) {
	var many []string
	for i := range pki.MaximumNames {
		many = append(many, fmt.Sprintf("h%d.example.com", i))
	}
	if n := names(t, append(many, many...)...); n.Len() != pki.MaximumNames {
		t.Errorf("%d names", n.Len())
	}
	if _, err := pki.ParseNames(append(many, "one.more.example.com")); !errors.Is(err, pki.ErrTooLarge) {
		t.Error(err)
	}
}

// Whatever is read as a name is accepted by the certificate's own encoding, and comes back the same.
func TestNamesComeBackOutOfACertificate(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	key := newKey(t, pki.ECPrime256v1)
	rapid.Check(t, func(rt *rapid.T) {
		texts := rapid.SliceOfN(rapid.OneOf(
			rapid.StringMatching(`(\*\.)?[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?\.[a-z]{2,5}\.[a-z]{2,3}`),
			rapid.StringMatching(`(1?[0-9]{1,2}\.){3}1?[0-9]{1,2}`),
			rapid.StringMatching(`[a-z]{1,8}@[a-z]{1,8}\.com`),
			rapid.StringMatching(`spiffe://[a-z]{1,8}\.com/[a-z]{1,8}`),
		), 1, 5).Draw(rt, "names")
		n, err := pki.ParseNames(texts)
		if err != nil {
			return
		}
		c, err := root.Issue(key.Public(), pki.LeafRequest{Names: n, NotBefore: now, NotAfter: now.Add(day)})
		if err != nil {
			rt.Fatalf("%v: %v", texts, err)
		}
		if got := pki.NamesOf(c).Texts(); !slices.Equal(got, n.Texts()) {
			rt.Fatalf("%v became %v", n.Texts(), got)
		}
	})
}
