// Package accesskey makes access keys as AWS IAM writes them: an id that tells its account, and a secret of 40 characters.
//
// An id is a prefix of four letters that tells what the key is, and 16 characters of base32 (RFC 4648, A-Z2-7), which are 80
// bits: a 1, the account's number in 40 bits, and 39 random bits. This is the layout of AWS's own ids since 2018, so the tools
// that find the account of a leaked key find it here as well, and so does GetAccessKeyInfo, without looking anything up.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetAccessKeyInfo.html
//
// An id is not secret and not a capability. 39 random bits do not make it unique by themselves: who makes one looks whether
// there is such a one in the account already.
package accesskey

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// Prefix is the first four letters of an access key id.
type Prefix string

// The prefixes.
const (
	// LongTerm is an access key of a user.
	LongTerm Prefix = "AKIA"
	// Temporary is an access key of a session, which STS makes.
	Temporary Prefix = "ASIA"
)

const (
	// IDLength is the length of an access key id in characters.
	IDLength = 20
	// SecretLength is the length of a secret access key in characters.
	SecretLength = 40

	prefixLength = 4
	bodyBytes    = 10
	secretBytes  = SecretLength / 4 * 3
	accountBits  = 40
	accounts     = 1_000_000_000_000
)

// ErrInvalidPrefix says that a prefix is neither LongTerm nor Temporary.
var ErrInvalidPrefix = errors.New("an access key id begins with AKIA or ASIA")

// New makes the id of a new access key of an account of 12 digits. Random bytes are read from r, or from crypto/rand if it is
// nil. It wraps arn.ErrInvalidAccount and ErrInvalidPrefix.
func New(r io.Reader, prefix Prefix, account string) (string, error) {
	if prefix != LongTerm && prefix != Temporary {
		return "", ErrInvalidPrefix
	}
	if err := arn.ValidateAccount(account); err != nil {
		return "", err
	}
	number, err := strconv.ParseUint(account, 10, 64)
	if err != nil {
		return "", fmt.Errorf("%w: %w", arn.ErrInvalidAccount, err)
	}
	if r == nil {
		r = rand.Reader
	}
	var body [bodyBytes]byte
	if _, err := io.ReadFull(r, body[5:]); err != nil {
		return "", fmt.Errorf("reading a random access key id: %w", err)
	}
	// The first 48 bits: a 1, the account, and the 7 random bits that are there already.
	var first [8]byte
	binary.BigEndian.PutUint64(first[:], 1<<47|number<<7|uint64(body[5]&0x7f))
	copy(body[:6], first[2:])
	return string(prefix) + base32.StdEncoding.EncodeToString(body[:]), nil
}

// Account is the account of 12 digits that an access key id tells, of either prefix; ok is false for what New cannot have made.
// That an id tells an account does not say that there is such a key.
func Account(id string) (account string, ok bool) {
	if len(id) != IDLength {
		return "", false
	}
	if prefix := Prefix(id[:prefixLength]); prefix != LongTerm && prefix != Temporary {
		return "", false
	}
	if strings.ContainsAny(id, "\r\n") { // which the decoder skips
		return "", false
	}
	body, err := base32.StdEncoding.DecodeString(id[prefixLength:])
	if err != nil || len(body) != bodyBytes {
		return "", false
	}
	first := binary.BigEndian.Uint64(append([]byte{0, 0}, body[:6]...))
	number := first >> 7 & (1<<accountBits - 1)
	if first>>47 != 1 || number >= accounts {
		return "", false
	}
	return fmt.Sprintf("%012d", number), true
}

// NewSecret makes a secret access key: 240 random bits as 40 characters of base64 (A-Z, a-z, 0-9, + and /), read from r, or
// from crypto/rand if it is nil. The caller wipes it.
func NewSecret(r io.Reader) (secretbytes.Bytes, error) {
	random, err := secretbytes.Random(r, secretBytes)
	if err != nil {
		return secretbytes.Bytes{}, fmt.Errorf("making a secret access key: %w", err)
	}
	defer random.Wipe()
	out := make([]byte, SecretLength)
	base64.StdEncoding.Encode(out, random.Reveal())
	return secretbytes.Own(out), nil
}
