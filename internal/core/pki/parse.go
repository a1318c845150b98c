package pki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"strings"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// The types of PEM blocks (RFC 7468).
const (
	certificateBlock = "CERTIFICATE"
	listBlock        = "X509 CRL"
	requestBlock     = "CERTIFICATE REQUEST"
	oldRequestBlock  = "NEW CERTIFICATE REQUEST"
	keyBlock         = "PRIVATE KEY"
	rsaKeyBlock      = "RSA PRIVATE KEY"
	ecKeyBlock       = "EC PRIVATE KEY"
	ecParameters     = "EC PARAMETERS"
	encryptedBlock   = "ENCRYPTED PRIVATE KEY"
)

// blocks reads PEM that has nothing but blocks and white space between them.
func blocks(text []byte, maximum int) ([]*pem.Block, error) {
	var out []*pem.Block
	for text = bytes.TrimSpace(text); len(text) > 0; {
		if len(out) == maximum {
			return nil, fmt.Errorf("%w: over %d blocks of PEM", ErrTooLarge, maximum)
		}
		block, rest := pem.Decode(text)
		// Decode passes over what it cannot read: that must have been nothing.
		if consumed := text[:len(text)-len(rest)]; block == nil || !bytes.HasPrefix(text, []byte("-----BEGIN ")) ||
			bytes.Count(consumed, []byte("-----BEGIN ")) != 1 {
			return nil, fmt.Errorf("%w: what follows %d blocks is no PEM block; leave nothing but blocks in the text", ErrMalformed, len(out))
		}
		out, text = append(out, block), bytes.TrimSpace(rest)
	}
	return out, nil
}

// ParseCertificates reads one certificate or more in PEM, of at most MaximumPEM bytes and MaximumChain certificates. It wraps ErrMalformed
// or ErrTooLarge.
func ParseCertificates(text []byte) ([]*x509.Certificate, error) {
	if len(text) > MaximumPEM {
		return nil, fmt.Errorf("%w: %d bytes of certificates; there may be %d", ErrTooLarge, len(text), MaximumPEM)
	}
	found, err := blocks(text, MaximumChain)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: there is no certificate", ErrMalformed)
	}
	out := make([]*x509.Certificate, 0, len(found))
	for i, block := range found {
		if block.Type != certificateBlock || len(block.Headers) > 0 {
			return nil, fmt.Errorf("%w: block %d is a %s, not a CERTIFICATE without headers", ErrMalformed, i+1, shownType(block))
		}
		c, err := ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", i+1, err)
		}
		out = append(out, c)
	}
	return out, nil
}

// ParseCertificate reads one certificate in DER, of at most MaximumCertificate bytes. It wraps ErrMalformed or ErrTooLarge.
func ParseCertificate(der []byte) (*x509.Certificate, error) {
	if len(der) > MaximumCertificate {
		return nil, fmt.Errorf("%w: %d bytes; a certificate has at most %d", ErrTooLarge, len(der), MaximumCertificate)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return c, nil
}

// ParseKey reads one private key in PEM of at most MaximumKey bytes: PKCS #8, PKCS #1 or SEC 1, not encrypted. It wraps ErrMalformed,
// ErrTooLarge, ErrWeak or ErrUnsupported, and says nothing of the key. Call it within secretbytes.Do.
func ParseKey(text []byte) (crypto.Signer, error) {
	if len(text) > MaximumKey {
		return nil, fmt.Errorf("%w: %d bytes; a private key has at most %d", ErrTooLarge, len(text), MaximumKey)
	}
	found, err := blocks(text, 2)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, block := range found {
			clear(block.Bytes)
		}
	}()
	if len(found) == 2 && found[0].Type == ecParameters { // as openssl ecparam writes it
		found[0], found = found[1], found[1:]
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%w: there are %d blocks of PEM; there must be one private key", ErrMalformed, len(found))
	}
	return parseKeyBlock(found[0])
}

func parseKeyBlock(block *pem.Block) (crypto.Signer, error) {
	if block.Type == encryptedBlock || len(block.Headers) > 0 {
		return nil, fmt.Errorf("%w: the private key is encrypted, or has headers; decrypt it first, with openssl pkey", ErrUnsupported)
	}
	switch block.Type {
	case keyBlock:
		return ParsePKCS8(block.Bytes)
	case rsaKeyBlock:
		key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			return nil, errKey
		}
		return checked(key)
	case ecKeyBlock:
		key, err := x509.ParseECPrivateKey(block.Bytes)
		if err != nil || !whole(block.Bytes) {
			return nil, errKey
		}
		return checked(key)
	}
	return nil, fmt.Errorf("%w: a block of type %s is no private key", ErrMalformed, shownType(block))
}

// errKey says no more: what a parser has to say of a private key may be part of it.
var errKey = fmt.Errorf("%w: the private key cannot be read, or its parts do not fit together", ErrMalformed)

// ParsePKCS8 reads a private key in DER. It wraps what ParseKey does. Call it within secretbytes.Do.
func ParsePKCS8(der []byte) (crypto.Signer, error) {
	if len(der) > MaximumKey {
		return nil, fmt.Errorf("%w: %d bytes; a private key has at most %d", ErrTooLarge, len(der), MaximumKey)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil || !whole(der) {
		return nil, errKey
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: a private key of type %T does not sign", ErrUnsupported, key)
	}
	return checked(signer)
}

// whole tells that nothing follows a value in DER, which crypto/x509 does not look at in private keys.
func whole(der []byte) bool {
	var value asn1.RawValue
	rest, err := asn1.Unmarshal(der, &value)
	return err == nil && len(rest) == 0
}

func checked(key crypto.Signer) (crypto.Signer, error) {
	if _, err := AlgorithmOf(key.Public()); err != nil {
		return nil, err
	}
	return key, nil
}

// ParseRequest reads a certificate request (PKCS #10) in PEM or DER, of at most MaximumRequest bytes, and checks that whoever made it has
// the key. It wraps ErrMalformed, ErrTooLarge, ErrWeak or ErrUnsupported.
func ParseRequest(text []byte) (*x509.CertificateRequest, error) {
	if len(text) > MaximumRequest {
		return nil, fmt.Errorf("%w: %d bytes; a certificate request has at most %d", ErrTooLarge, len(text), MaximumRequest)
	}
	der := text
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("-----BEGIN ")) {
		found, err := blocks(text, 1)
		if err != nil {
			return nil, err
		}
		if t := found[0].Type; t != requestBlock && t != oldRequestBlock {
			return nil, fmt.Errorf("%w: a block of type %s is no certificate request", ErrMalformed, shownType(found[0]))
		}
		der = found[0].Bytes
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if _, err := AlgorithmOf(request.PublicKey); err != nil { // before its signature is looked at, which a huge key makes slow
		return nil, err
	}
	if err := checkSignature(request.SignatureAlgorithm); err != nil {
		return nil, err
	}
	if err := request.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w: the certificate request is not signed by its own key", ErrMalformed)
	}
	return request, nil
}

// shownType is a block's type for a message.
func shownType(block *pem.Block) string {
	return strings.ToValidUTF8(block.Type[:min(len(block.Type), 64)], "?")
}

// CertificatesPEM writes certificates one after the other.
func CertificatesPEM(chain []*x509.Certificate) []byte {
	var out bytes.Buffer
	for _, c := range chain {
		_ = pem.Encode(&out, &pem.Block{Type: certificateBlock, Bytes: c.Raw}) // a buffer does not fail
	}
	return out.Bytes()
}

// ListPEM writes a revocation list.
func ListPEM(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: listBlock, Bytes: der}) }

// KeyPEM writes a private key in PKCS #8.
func KeyPEM(der secretbytes.Bytes) secretbytes.Bytes {
	var out []byte
	secretbytes.Do(func() { out = pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der.Reveal()}) })
	return secretbytes.Own(out)
}

// MarshalKey writes a private key in PKCS #8 and DER.
func MarshalKey(key crypto.Signer) (secretbytes.Bytes, error) {
	var der []byte
	var err error
	secretbytes.Do(func() { der, err = x509.MarshalPKCS8PrivateKey(key) })
	if err != nil {
		return secretbytes.Bytes{}, fmt.Errorf("%w: a private key of type %T cannot be written", ErrUnsupported, key)
	}
	return secretbytes.Own(der), nil
}
