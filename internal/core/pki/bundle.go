package pki

import (
	"bytes"
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

// check says whether key and certificate belong together.
func (b Bundle) check() (err error) {
	if len(b.Chain) == 0 || len(b.Chain) > MaximumChain {
		return fmt.Errorf("%w: %d certificates; there must be 1 to %d", ErrChain, len(b.Chain), MaximumChain)
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
