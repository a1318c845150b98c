package pki_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// A renewal is planned within a certificate's life, in its last nine tenths, and the later the certificate ends the later it is.
func TestARenewalIsAlwaysPlannedWithinTheLife(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		life := time.Duration(rapid.Int64Range(int64(time.Minute), int64(100*year)).Draw(rt, "life"))
		before := time.Duration(rapid.Int64Range(0, int64(120*year)).Draw(rt, "before"))
		seed := rapid.String().Draw(rt, "seed")
		at := pki.RenewalTime(now, now.Add(life), before, seed)
		if !at.After(now.Add(life/20)) || !at.Before(now.Add(life)) {
			rt.Fatalf("of a life of %s after %s", life, at.Sub(now))
		}
		if before == 0 && at.After(now.Add(life*2/3+time.Second)) {
			rt.Fatalf("of a life of %s after %s: two thirds are over", life, at.Sub(now))
		}
		longer := pki.RenewalTime(now, now.Add(life+life/2), 0, "")
		if shorter := pki.RenewalTime(now, now.Add(life), 0, ""); longer.Before(shorter) {
			rt.Fatalf("the longer life is renewed sooner: %s, %s", longer, shorter)
		}
	})
}

func TestAnUnsignedOrOldKeyIsNotTakenForANewOne(t *testing.T) {
	first, second := newKey(t, pki.ECPrime256v1), newKey(t, pki.ECPrime256v1)
	root := newRoot(t, pki.ECPrime256v1)
	keys := []crypto.Signer{first, second, keyOf(t, pki.ECSecp384r1), keyOf(t, pki.RSA2048)}
	for i, of := range keys {
		leaf := leafOf(t, root, of, "a.example.com")
		for j, by := range keys {
			b := pki.Bundle{Key: must(pki.MarshalKey(by)), Chain: []*x509.Certificate{leaf}}
			text, err := b.Marshal()
			if i != j && !errors.Is(err, pki.ErrMismatch) || i == j && err != nil {
				t.Errorf("the key %d with the certificate of %d: %v", j, i, err)
			}
			if i != j {
				continue
			}
			// the same bytes with another's key in their place
			other := must(pki.MarshalKey(keys[(i+1)%len(keys)])).Reveal()
			if swapped := swapKey(text.Reveal(), other); second2(pki.ParseBundle(secretbytes.Copy(swapped))) == nil {
				t.Errorf("another key within the bundle of %d is read", i)
			}
		}
	}
}

func second2[T any](_ T, err error) error { return err }

// swapKey puts another key into a bundle that was written: format, number of parts, and each part behind its length.
func swapKey(text, key []byte) []byte {
	n := binary.BigEndian.Uint32(text[2:])
	out := append([]byte{}, text[:2]...)
	out = append(binary.BigEndian.AppendUint32(out, uint32(len(key))), key...)
	return append(out, text[6+n:]...)
}

func TestABundleWithAnyBitFlippedIsRefusedOrHasTheSameKeyAndLeaf(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	key := newKey(t, pki.ECPrime256v1)
	leaf := leafOf(t, root, key, "a.example.com")
	text := must(pki.Bundle{Key: must(pki.MarshalKey(key)), Chain: []*x509.Certificate{leaf}}.Marshal()).Reveal()
	for bit := range 8 * len(text) {
		flipped := slices.Clone(text)
		flipped[bit/8] ^= 1 << (bit % 8)
		b, err := pki.ParseBundle(secretbytes.Copy(flipped))
		if err != nil {
			continue
		}
		parsed, err := pki.ParsePKCS8(b.Key.Reveal())
		if err != nil || pki.CheckKey(parsed, b.Chain[0]) != nil {
			t.Fatalf("bit %d: a key and a certificate that do not match: %v", bit, err)
		}
	}
}

// Constraints that are narrower permit no more: whatever is within the narrower is within the wider.
func TestNarrowerConstraintsPermitNoMore(t *testing.T) {
	host := rapid.StringMatching(`(\*\.)?([ab]\.){0,3}ex\.com`)
	domain := rapid.StringMatching(`([ab]\.){0,2}ex\.com`)
	rapid.Check(t, func(rt *rapid.T) {
		n, err := pki.ParseNames([]string{host.Draw(rt, "host")})
		if err != nil {
			rt.Skip(err)
		}
		wide := domain.Draw(rt, "domain")
		narrow := "a." + wide
		if (pki.Constraints{PermittedDNS: []string{narrow}}).Check(n) == nil && (pki.Constraints{PermittedDNS: []string{wide}}).Check(n) != nil {
			rt.Fatalf("%v is within %s and not within %s", n.DNS, narrow, wide)
		}
		if (pki.Constraints{ExcludedDNS: []string{wide}}).Check(n) == nil && (pki.Constraints{ExcludedDNS: []string{narrow}}).Check(n) != nil &&
			!strings.HasPrefix(n.DNS[0], "*") {
			rt.Fatalf("%v is outside of %s and not outside of %s", n.DNS, wide, narrow)
		}
		both := pki.Constraints{PermittedDNS: []string{wide}, ExcludedDNS: []string{wide}}
		if both.Check(n) == nil {
			rt.Fatalf("%v is permitted although all is excluded", n.DNS)
		}
	})
}

func TestAnAddressIsWithinItsOwnNetworkAndNoOther(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.SampledFrom([]int{4, 16}).Draw(rt, "size")
		ip := net.IP(rapid.SliceOfN(rapid.Byte(), size, size).Draw(rt, "ip"))
		if size == 16 && ip.To4() != nil {
			rt.Skip("an address of IPv4")
		}
		bits := rapid.IntRange(1, 8*size).Draw(rt, "bits")
		mask := net.CIDRMask(bits, 8*size)
		own := &net.IPNet{IP: ip.Mask(mask), Mask: mask}
		flipped := slices.Clone(ip)
		flipped[(bits-1)/8] ^= 0x80 >> ((bits - 1) % 8)
		names := pki.Names{IPs: []net.IP{ip}}
		if err := (pki.Constraints{PermittedIPs: []*net.IPNet{own}}).Check(names); err != nil {
			rt.Fatal(err)
		}
		if err := (pki.Constraints{ExcludedIPs: []*net.IPNet{own}}).Check(names); !errors.Is(err, pki.ErrNotPermitted) {
			rt.Fatal(err)
		}
		other := &net.IPNet{IP: flipped.Mask(mask), Mask: mask}
		if err := (pki.Constraints{PermittedIPs: []*net.IPNet{other}}).Check(names); !errors.Is(err, pki.ErrNotPermitted) {
			rt.Fatal(err)
		}
	})
}

func TestASerialNumberOfAnySizeIsWrittenAndReadTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		serial := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(rt, "serial"))
		if serial.Sign() == 0 {
			rt.Skip()
		}
		text := pki.FormatSerial(serial)
		got, err := pki.ParseSerial(strings.ToUpper(text))
		if err != nil || got.Cmp(serial) != 0 || len(text)%2 != 0 {
			rt.Fatalf("%s is read as %v, %v", text, got, err)
		}
	})
}

func FuzzCheckChain(f *testing.F) {
	root, leaf, _ := genuine(f)
	f.Add(leaf)
	f.Add(root.Certificate().Raw)
	for _, one := range hostile(f) {
		f.Add(one.der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		c, err := pki.ParseCertificate(der)
		if err != nil {
			return
		}
		if pki.CheckChain([]*x509.Certificate{c, root.Certificate()}, now) == nil && !bytes.Equal(c.RawTBSCertificate, must(x509.ParseCertificate(leaf)).RawTBSCertificate) &&
			!bytes.Equal(c.Raw, root.Certificate().Raw) && c.CheckSignatureFrom(root.Certificate()) != nil {
			t.Fatalf("one that the root has not issued is trusted: %x", der)
		}
	})
}

func FuzzConstraintsAgreeWithGo(f *testing.F) {
	for _, seed := range [][2]string{{"a.example.com", "example.com"}, {"example.com", ".example.com"}, {"*.example.com", "a.example.com"}, {"10.0.0.1", "example.com"}, {"a@example.com", "example.com"}} {
		f.Add(seed[0], seed[1])
	}
	key := keyOf(f, pki.ECSecp384r1)
	f.Fuzz(func(t *testing.T, name, domain string) {
		n, err := pki.ParseNames([]string{name})
		if _, domainErr := pki.ParseNames([]string{strings.TrimPrefix(domain, ".")}); err != nil || domainErr != nil || strings.ContainsAny(domain, "@:/*") || net.ParseIP(domain) != nil {
			return
		}
		bound := newRoot(t, pki.ECPrime256v1, func(in *pki.AuthorityRequest) { in.Constraints.ExcludedDNS = []string{strings.ToLower(domain)} })
		leaf, err := bound.Issue(key.Public(), pki.LeafRequest{Names: n, NotBefore: now.Add(-time.Minute), NotAfter: now.Add(day)})
		if err != nil {
			return
		}
		if err := pki.CheckChain([]*x509.Certificate{leaf, bound.Certificate()}, now); err != nil {
			t.Fatalf("%q is issued though %q is excluded: %v", name, domain, err)
		}
	})
}

func FuzzParseSerial(f *testing.F) {
	for _, seed := range []string{"", "00", "0a:0b", "FF", strings.Repeat("f", 40), "0x1", "-1", "::"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		serial, err := pki.ParseSerial(text)
		if err != nil {
			return
		}
		if again, err := pki.ParseSerial(pki.FormatSerial(serial)); err != nil || again.Cmp(serial) != 0 || serial.Sign() <= 0 || len(serial.Bytes()) > 20 {
			t.Fatalf("%q is %s, %v", text, serial, err)
		}
	})
}
