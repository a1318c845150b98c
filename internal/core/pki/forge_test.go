package pki_test

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"strongroom.dev/strongroom/internal/core/pki"
)

// body is what of a certificate is signed, as RFC 5280 has it: so that a test can write what crypto/x509 does not.
type body struct {
	Raw        asn1.RawContent
	Version    int `asn1:"optional,explicit,default:0,tag:0"`
	Serial     asn1.RawValue
	Algorithm  pkix.AlgorithmIdentifier
	Issuer     asn1.RawValue
	Validity   asn1.RawValue
	Subject    asn1.RawValue
	PublicKey  asn1.RawValue
	Extensions []pkix.Extension `asn1:"omitempty,optional,explicit,tag:3"`
}

type signed struct {
	Body      body
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

// forge changes a certificate and signs it again by a key on P-256, as somebody does who has that key and tools of their own.
func forge(t testing.TB, der []byte, key crypto.Signer, change func(*signed)) []byte {
	t.Helper()
	var c signed
	if rest, err := asn1.Unmarshal(der, &c); err != nil || len(rest) > 0 {
		t.Fatal(err)
	}
	c.Body.Raw = nil
	change(&c)
	digest := sha256.Sum256(must(asn1.Marshal(c.Body)))
	c.Signature.Bytes = must(key.Sign(rand.Reader, digest[:], crypto.SHA256))
	c.Signature.BitLength = 8 * len(c.Signature.Bytes)
	return must(asn1.Marshal(c))
}

// integer is one of any bytes: crypto/x509 writes none below zero.
func integer(bytes ...byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagInteger, Bytes: bytes}
}

// replaced puts another value into an extension.
func replaced(id asn1.ObjectIdentifier, value []byte) func(*signed) {
	return func(c *signed) {
		for i := range c.Body.Extensions {
			if c.Body.Extensions[i].Id.Equal(id) {
				c.Body.Extensions[i].Value = value
			}
		}
	}
}

func added(e pkix.Extension) func(*signed) {
	return func(c *signed) { c.Body.Extensions = append(c.Body.Extensions, e) }
}

// generalNames are subject alternative names of tags and bytes as they are given (RFC 5280, GeneralName).
func generalNames(names ...asn1.RawValue) []byte {
	b, err := asn1.Marshal(names)
	if err != nil {
		panic(err)
	}
	return b
}

func generalName(tag int, content string) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: []byte(content)}
}

// The tags of general names.
const (
	tagEmail = 1
	tagDNS   = 2
	tagURI   = 6
	tagIP    = 7
)

// genuine is a root and a leaf that it has issued, both on P-256, and the root's key.
func genuine(t testing.TB) (root *pki.Authority, leaf []byte, key crypto.Signer) {
	t.Helper()
	root, key = newRoot(t, pki.ECPrime256v1), keyOf(t, pki.ECPrime256v1)
	return root, leafOf(t, root, keyOf(t, pki.ECSecp384r1), "a.example.com").Raw, key
}

// hostile are certificates that a reader must refuse or at least not trust, each signed as it should be by the key of their issuer.
// unreadable tells that already reading it fails.
func hostile(t testing.TB) map[string]struct {
	der        []byte
	unreadable bool
} {
	t.Helper()
	_, leaf, key := genuine(t)
	type one = struct {
		der        []byte
		unreadable bool
	}
	unknown := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}
	read := func(change func(*signed)) one { return one{forge(t, leaf, key, change), false} }
	unread := func(change func(*signed)) one { return one{forge(t, leaf, key, change), true} }
	return map[string]one{
		"a serial number below zero":            unread(func(c *signed) { c.Body.Serial = integer(0x80) }),
		"a serial number that is empty":         unread(func(c *signed) { c.Body.Serial = integer() }),
		"a serial number with zeros in front":   unread(func(c *signed) { c.Body.Serial = integer(0, 0, 1) }),
		"a critical extension that is unknown":  read(added(pkix.Extension{Id: unknown, Critical: true, Value: []byte{5, 0}})),
		"an extension twice":                    unread(added(pkix.Extension{Id: oidKeyUsage, Critical: true, Value: []byte{3, 2, 7, 0x80}})),
		"version 1, whose names nobody reads":   read(func(c *signed) { c.Body.Version = 0 }),
		"version 2, whose names nobody reads":   read(func(c *signed) { c.Body.Version = 1 }),
		"version 9":                             unread(func(c *signed) { c.Body.Version = 8 }),
		"another algorithm within than without": unread(func(c *signed) { c.Body.Algorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3} }),
		"an algorithm that nobody knows": read(func(c *signed) {
			c.Body.Algorithm.Algorithm, c.Algorithm.Algorithm = unknown, unknown
		}),
		"no time at all":                    unread(func(c *signed) { c.Body.Validity = asn1.NullRawValue }),
		"a key of no type":                  unread(func(c *signed) { c.Body.PublicKey = asn1.NullRawValue }),
		"an address of five bytes":          unread(replaced(oidNames, generalNames(generalName(tagIP, "\x0a\x00\x00\x01\x02")))),
		"an address of no bytes":            unread(replaced(oidNames, generalNames(generalName(tagIP, "")))),
		"a DNS name that is not ASCII":      unread(replaced(oidNames, generalNames(generalName(tagDNS, "b\xfccher.example")))),
		"an email address that is UTF-8":    unread(replaced(oidNames, generalNames(generalName(tagEmail, "ö@example.com")))),
		"a URI that is none":                unread(replaced(oidNames, generalNames(generalName(tagURI, "http://%zz/")))),
		"names that are cut off":            unread(replaced(oidNames, generalNames(generalName(tagDNS, "a.example.com"))[:5])),
		"a usage of a key that is no bits":  unread(replaced(oidKeyUsage, []byte{2, 1, 1})),
		"a leaf that says it is its issuer": read(func(c *signed) { c.Body.Issuer = c.Body.Subject }),
		"constraints that are none": unread(added(pkix.Extension{
			Id: oidNameConstraints, Critical: true, Value: []byte{0x30, 0x05, 0xa0, 0x03, 0x30, 0x01, 0x00},
		})),
	}
}
