package pki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/binary"
	"fmt"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// Bundle is a private key together with its certificate's chain, in one piece: a key and a certificate that do not match cannot be read
// from it, whatever happened while it was written.
type Bundle struct {
	// Key is the private key in PKCS #8 and DER. Whoever has the Bundle wipes it.
	Key secretbytes.Bytes
	// Chain is the certificate and those above it, up to the root.
	Chain []*x509.Certificate
	// of is the key and the certificate of a Bundle that NewBundle made, which are known to belong together; nil if somebody put it together.
	of *matched
}

type matched struct {
	key         secretbytes.Bytes
	certificate *x509.Certificate
}

// NewBundle is a private key together with its certificate's chain. The caller wipes the key. It wraps ErrChain, ErrMismatch or ErrUnsupported.
func NewBundle(key crypto.Signer, chain []*x509.Certificate) (Bundle, error) {
	if err := checkLength(chain); err != nil {
		return Bundle{}, err
	}
	if err := CheckKey(key, chain[0]); err != nil {
		return Bundle{}, err
	}
	der, err := MarshalKey(key)
	if err != nil {
		return Bundle{}, err
	}
	return Bundle{Key: der, Chain: chain, of: &matched{key: der, certificate: chain[0]}}, nil
}

// bundleFormat is the first byte of a Bundle that was written.
const bundleFormat = 1

// Marshal writes a Bundle: the format, then the number of parts, and each part with its length in four bytes, the key first.
func (b Bundle) Marshal() (secretbytes.Bytes, error) {
	if err := b.check(); err != nil {
		return secretbytes.Bytes{}, err
	}
	size := 2 + 4 + b.Key.Len()
	for _, c := range b.Chain {
		size += 4 + len(c.Raw)
	}
	var out []byte
	secretbytes.Do(func() {
		out = append(make([]byte, 0, size), bundleFormat, byte(1+len(b.Chain)))
		out = appendPart(out, b.Key.Reveal())
		for _, c := range b.Chain {
			out = appendPart(out, c.Raw)
		}
	})
	return secretbytes.Own(out), nil
}

func appendPart(out, part []byte) []byte {
	return append(binary.BigEndian.AppendUint32(out, uint32(len(part))), part...)
}

// ParseBundle reads what Marshal wrote. The caller wipes the key. It wraps ErrMalformed, ErrTooLarge, ErrMismatch, ErrWeak or
// ErrUnsupported.
func ParseBundle(text secretbytes.Bytes) (b Bundle, err error) {
	parts, err := parts(text.Reveal())
	if err != nil {
		return Bundle{}, err
	}
	for i, part := range parts[1:] {
		c, err := ParseCertificate(bytes.Clone(part)) // which the certificate keeps, and the caller wipes the text
		if err != nil {
			return Bundle{}, fmt.Errorf("certificate %d: %w", i+1, err)
		}
		b.Chain = append(b.Chain, c)
	}
	b.Key = secretbytes.Copy(parts[0])
	if err := b.check(); err != nil {
		b.Key.Wipe()
		return Bundle{}, err
	}
	return b, nil
}

func checkLength(chain []*x509.Certificate) error {
	if len(chain) == 0 || len(chain) > MaximumChain {
		return fmt.Errorf("%w: %d certificates; there must be 1 to %d", ErrChain, len(chain), MaximumChain)
	}
	return nil
}

// check says whether key and certificate belong together. What NewBundle wrote and compared it does not read again, if it is still there.
func (b Bundle) check() (err error) {
	if err := checkLength(b.Chain); err != nil {
		return err
	}
	if b.of != nil && b.of.certificate == b.Chain[0] && b.of.key == b.Key && b.Key.Reveal()[0] != 0 { // 0 when it was wiped
		return nil
	}
	secretbytes.Do(func() {
		key, parseErr := ParsePKCS8(b.Key.Reveal())
		if err = parseErr; err == nil {
			err = CheckKey(key, b.Chain[0])
		}
	})
	return err
}

func parts(text []byte) ([][]byte, error) {
	if len(text) < 2 || text[0] != bundleFormat || text[1] < 2 || text[1] > 1+MaximumChain {
		return nil, fmt.Errorf("%w: it is no key with its certificates", ErrMalformed)
	}
	out := make([][]byte, 0, text[1])
	rest := text[2:]
	for range int(text[1]) {
		if len(rest) < 4 {
			return nil, fmt.Errorf("%w: it ends within a key with its certificates", ErrMalformed)
		}
		n := binary.BigEndian.Uint32(rest)
		if rest = rest[4:]; uint64(n) > uint64(len(rest)) {
			return nil, fmt.Errorf("%w: it ends within a key with its certificates", ErrMalformed)
		}
		out, rest = append(out, rest[:n]), rest[n:]
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%w: something follows a key with its certificates", ErrMalformed)
	}
	return out, nil
}
