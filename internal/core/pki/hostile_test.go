package pki_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/pki"
)

func TestAHostileCertificateIsNotTrustedThoughItsSignatureIsGood(t *testing.T) {
	root, leaf, key := genuine(t)
	same := must(x509.ParseCertificate(forge(t, leaf, key, func(*signed) {})))
	if err := pki.CheckChain([]*x509.Certificate{same, root.Certificate()}, now); err != nil {
		t.Fatalf("one that is signed again and not changed: %v", err)
	}
	for name, tt := range hostile(t) {
		chain, err := pki.ParseCertificates(block("CERTIFICATE", tt.der))
		if tt.unreadable {
			if !errors.Is(err, pki.ErrMalformed) {
				t.Errorf("%s is read: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		err = pki.CheckChain(append(chain, root.Certificate()), now)
		if !errors.Is(err, pki.ErrChain) && !errors.Is(err, pki.ErrWeak) && !errors.Is(err, pki.ErrMalformed) {
			t.Errorf("%s is trusted: %v", name, err)
		}
	}
}

func TestASignatureThatIsChangedAnywhereIsSeen(t *testing.T) {
	root, leaf, _ := genuine(t)
	parsed := must(x509.ParseCertificate(leaf))
	for i := range parsed.Signature {
		der := slices.Clone(leaf)
		der[len(der)-len(parsed.Signature)+i] ^= 1
		c, err := pki.ParseCertificate(der)
		if err != nil {
			continue
		}
		if err := pki.CheckChain([]*x509.Certificate{c, root.Certificate()}, now); err == nil {
			t.Errorf("with byte %d of the signature changed it is trusted", i)
		}
	}
}

func TestWhateverBitOfACertificateIsFlippedItIsNotTakenForTheSame(t *testing.T) {
	root, leaf, _ := genuine(t)
	for bit := range 8 * len(leaf) {
		der := slices.Clone(leaf)
		der[bit/8] ^= 1 << (bit % 8)
		c, err := pki.ParseCertificate(der)
		if err != nil {
			if !errors.Is(err, pki.ErrMalformed) {
				t.Fatalf("bit %d: %v", bit, err)
			}
			continue
		}
		if pki.CheckChain([]*x509.Certificate{c, root.Certificate()}, now) == nil {
			t.Fatalf("with bit %d flipped it is trusted", bit)
		}
	}
}

func TestACertificateOfALengthThatLiesIsRefusedAtOnce(t *testing.T) {
	_, leaf, _ := genuine(t)
	for name, der := range map[string][]byte{
		"a length of four gigabytes": {0x30, 0x84, 0xff, 0xff, 0xff, 0xff}, "a length of 2^64": {0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"a length without end (BER)": {0x30, 0x80, 0, 0}, "nested a thousand times": bytes.Repeat([]byte{0x30, 0x80}, 1000),
		"half of one": leaf[:len(leaf)/2], "two in one": slices.Concat(leaf, leaf), "one with a zero byte after it": append(slices.Clone(leaf), 0),
		"one within an octet string": must(asn1.Marshal(leaf)), "zeros": make([]byte, 1024), "nothing": {},
	} {
		if _, err := pki.ParseCertificate(der); !errors.Is(err, pki.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := pki.ParseRequest(der); !errors.Is(err, pki.ErrMalformed) {
			t.Errorf("%s as a request: %v", name, err)
		}
		if _, err := pki.ParsePKCS8(der); !errors.Is(err, pki.ErrMalformed) {
			t.Errorf("%s as a key: %v", name, err)
		}
	}
}

// requestOf is one that crypto/x509 writes, for names that pki.ParseNames would refuse.
func requestOf(t testing.TB, change func(*x509.CertificateRequest)) []byte {
	t.Helper()
	in := &x509.CertificateRequest{Subject: named("x"), DNSNames: []string{"a.example.com"}}
	change(in)
	return must(x509.CreateCertificateRequest(rand.Reader, in, keyOf(t, pki.ECPrime256v1)))
}

func TestARequestThatWasTamperedWithOrIsOfAWeakKeyIsRefused(t *testing.T) {
	good := requestOf(t, func(*x509.CertificateRequest) {})
	for bit := range 8 * len(good) {
		der := slices.Clone(good)
		der[bit/8] ^= 1 << (bit % 8)
		if r, err := pki.ParseRequest(der); err == nil {
			t.Fatalf("with bit %d flipped it is still signed by its key: %v", bit, r.Subject)
		}
	}
	small := must(rsa.GenerateKey(rand.Reader, 1024))
	odd := must(rsa.GenerateKey(rand.Reader, 2050))
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	for name, tt := range map[string]struct {
		der  []byte
		want error
	}{
		"RSA of 1024 bits":          {request(t, small), pki.ErrWeak},
		"RSA of 2050 bits":          {request(t, odd), pki.ErrUnsupported},
		"P-224":                     {request(t, p224), pki.ErrWeak},
		"a block of another type":   {block("PKCS7", good), pki.ErrMalformed},
		"a block with text before":  {slices.Concat([]byte("Certificate Request:\n"), block("CERTIFICATE REQUEST", good)), pki.ErrMalformed},
		"a block with text after":   {slices.Concat(block("CERTIFICATE REQUEST", good), []byte("x")), pki.ErrTooLarge},
		"a block within a block":    {block("CERTIFICATE REQUEST", block("CERTIFICATE REQUEST", good)), pki.ErrMalformed},
		"DER with white space":      {append([]byte("\n"), good...), pki.ErrMalformed},
		"a certificate in DER":      {newRoot(t, pki.ECPrime256v1).Certificate().Raw, pki.ErrMalformed},
		"base64 without its border": {bytes.Split(block("CERTIFICATE REQUEST", good), []byte("\n"))[1], pki.ErrMalformed},
	} {
		if _, err := pki.ParseRequest(tt.der); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

func TestNothingOfARequestButItsKeyIsTakenOver(t *testing.T) {
	value := must(asn1.Marshal(struct{ IsCA bool }{true}))
	der := requestOf(t, func(in *x509.CertificateRequest) {
		in.ExtraExtensions = []pkix.Extension{
			{Id: oidBasicConstraints, Critical: true, Value: value}, {Id: oidKeyUsage, Critical: true, Value: []byte{3, 2, 1, 6}},
			{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: true, Value: []byte{5, 0}},
		}
	})
	r, err := pki.ParseRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	root := newRoot(t, pki.ECPrime256v1)
	leaf, err := root.Issue(r.PublicKey, pki.LeafRequest{Names: names(t, "b.example.com"), NotBefore: now.Add(-day), NotAfter: now.Add(day)})
	if err != nil || leaf.IsCA || leaf.KeyUsage != x509.KeyUsageDigitalSignature || !slices.Equal(leaf.DNSNames, []string{"b.example.com"}) {
		t.Errorf("%v, %v", leaf, err)
	}
	if out, err := strictly(t, root.Certificate(), nil, leaf); err != nil {
		t.Error(out)
	}
}

func TestAPrivateKeyWhosePartsDoNotFitIsRefusedWithoutAWordOfIt(t *testing.T) {
	good := keyOf(t, pki.RSA2048).(*rsa.PrivateKey)
	other := must(rsa.GenerateKey(rand.Reader, 2048))
	wrong := *good
	wrong.Primes = other.Primes
	exponent := *good
	exponent.D = new(big.Int).Add(good.D, big.NewInt(2))
	ec := keyOf(t, pki.ECPrime256v1).(*ecdsa.PrivateKey)
	curve := must(x509.MarshalECPrivateKey(ec))
	outside := bytes.Replace(slices.Clone(curve), must(ec.Bytes()), bytes.Repeat([]byte{0xff}, 32), 1)
	for name, text := range map[string][]byte{
		"RSA with the primes of another":   block("RSA PRIVATE KEY", marshalPKCS1(&wrong)),
		"RSA with another exponent":        block("RSA PRIVATE KEY", marshalPKCS1(&exponent)),
		"a scalar beyond the curve":        block("EC PRIVATE KEY", outside),
		"an EC key as RSA":                 block("RSA PRIVATE KEY", curve),
		"an RSA key as EC":                 block("EC PRIVATE KEY", x509.MarshalPKCS1PrivateKey(good)),
		"SEC 1 in a block of PKCS #8":      block("PRIVATE KEY", curve),
		"a key with something after it":    block("EC PRIVATE KEY", append(slices.Clone(curve), 0)),
		"PKCS #8 with something after it":  block("PRIVATE KEY", append(must(x509.MarshalPKCS8PrivateKey(ec)), 0)),
		"PKCS #1 with something after it":  block("RSA PRIVATE KEY", append(x509.MarshalPKCS1PrivateKey(good), 0)),
		"a public key":                     block("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(ec.Public()))),
		"parameters and no key":            block("EC PARAMETERS", []byte{6, 0}),
		"parameters behind the key":        slices.Concat(block("EC PRIVATE KEY", curve), block("EC PARAMETERS", []byte{6, 0})),
		"two keys, one of them of OpenSSH": slices.Concat(block("EC PRIVATE KEY", curve), block("OPENSSH PRIVATE KEY", curve)),
	} {
		_, err := pki.ParseKey(text)
		if !errors.Is(err, pki.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, secret := range []string{good.D.String(), fmt.Sprintf("%x", good.D), ec.D.String(), fmt.Sprintf("%x", ec.D), good.Primes[0].String()} { //nolint:staticcheck // what must not be shown
			if strings.Contains(err.Error(), secret[:16]) {
				t.Errorf("%s: the message has a part of the key: %v", name, err)
			}
		}
	}
}

// marshalPKCS1 writes an RSA key whatever its parts are.
func marshalPKCS1(k *rsa.PrivateKey) []byte {
	one := big.NewInt(1)
	p, q := k.Primes[0], k.Primes[1]
	return must(asn1.Marshal(struct {
		Version                    int
		N                          *big.Int
		E                          int
		D, P, Q, Dp, Dq, QInverted *big.Int
	}{0, k.N, k.E, k.D, p, q, new(big.Int).Mod(k.D, new(big.Int).Sub(p, one)), new(big.Int).Mod(k.D, new(big.Int).Sub(q, one)), new(big.Int).ModInverse(q, p)}))
}

func TestPEMThatLiesIsRefused(t *testing.T) {
	_, leaf, _ := genuine(t)
	good := string(block("CERTIFICATE", leaf))
	for name, text := range map[string]string{
		"begin and end that differ":        strings.Replace(good, "END CERTIFICATE", "END X509 CRL", 1),
		"a type in lower case":             strings.ReplaceAll(good, "CERTIFICATE", "certificate"),
		"a type with a space after it":     strings.ReplaceAll(good, "CERTIFICATE-----", "CERTIFICATE -----"),
		"the old type of OpenSSL":          strings.ReplaceAll(good, "CERTIFICATE", "X509 CERTIFICATE"),
		"that of OpenSSL with trust":       strings.ReplaceAll(good, "CERTIFICATE", "TRUSTED CERTIFICATE"),
		"four dashes":                      strings.ReplaceAll(good, "-----", "----"),
		"a zero byte between":              good + "\x00" + good,
		"a byte order mark":                "\ufeff" + good,
		"a begin within":                   strings.Replace(good, "\n", "\n-----BEGIN CERTIFICATE-----\n", 1),
		"a comment within":                 strings.Replace(good, "\n", "\n# mine\n", 1),
		"a line that is no base64":         strings.Replace(good, "\nMI", "\n**", 1),
		"a header of encryption":           string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Headers: map[string]string{"DEK-Info": "AES"}, Bytes: leaf})),
		"a key among the certificates":     good + string(block("PRIVATE KEY", []byte("hunter2-CANARY"))),
		"a type of a thousand characters":  strings.ReplaceAll(good, "CERTIFICATE", strings.Repeat("X", 1000)),
		"a type that is no text":           strings.ReplaceAll(good, "CERTIFICATE", "\xff\xfe"),
		"nothing but a begin and an end":   "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
		"a list of revocations":            strings.ReplaceAll(good, "CERTIFICATE", "X509 CRL"),
		"a certificate, then half of one":  good + good[:len(good)/2],
		"a certificate, and its DER after": good + string(leaf),
	} {
		_, err := pki.ParseCertificates([]byte(text))
		if !errors.Is(err, pki.ErrMalformed) || len(err.Error()) > 400 || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
