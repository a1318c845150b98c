package pki

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"math/big"
)

// serialSize is the length of a serial number in bytes: 128 bits.
const serialSize = 16

// NewSerial makes a serial number of 128 random bits, where 64 are asked for. It reads crypto/rand if random is nil.
// https://cabforum.org/working-groups/server/baseline-requirements/requirements/ section 7.1
func NewSerial(random io.Reader) (*big.Int, error) {
	if random == nil {
		random = rand.Reader
	}
	b := make([]byte, serialSize)
	if _, err := io.ReadFull(random, b); err != nil {
		return nil, fmt.Errorf("reading a random serial number: %w", err)
	}
	serial := new(big.Int).SetBytes(b)
	if serial.Sign() == 0 { // RFC 5280 wants a positive one
		return nil, fmt.Errorf("reading a random serial number: the source gives zeros alone")
	}
	return serial, nil
}

// FormatSerial writes a serial number as 32 or more hexadecimal digits in lower case, as it is in the ARN of an issued certificate.
func FormatSerial(serial *big.Int) string {
	b := serial.Bytes()
	if len(b) < serialSize {
		b = serial.FillBytes(make([]byte, serialSize))
	}
	return hex.EncodeToString(b)
}

// ParseSerial reads a serial number as FormatSerial writes it, or as tools show it: in either case and with colons between bytes. It
// wraps ErrMalformed.
func ParseSerial(text string) (*big.Int, error) {
	digits := make([]byte, 0, len(text))
	for i := range len(text) {
		if text[i] != ':' {
			digits = append(digits, text[i])
		}
	}
	b, err := hex.DecodeString(string(digits))
	if err != nil || len(b) == 0 || len(b) > 20 { // RFC 5280, section 4.1.2.2
		return nil, fmt.Errorf("%w: a serial number is up to 40 hexadecimal digits, two a byte", ErrMalformed)
	}
	serial := new(big.Int).SetBytes(b)
	if serial.Sign() == 0 {
		return nil, fmt.Errorf("%w: a serial number is not zero", ErrMalformed)
	}
	return serial, nil
}
