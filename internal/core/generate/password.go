// Package generate makes the values of secrets: passwords as AWS Secrets Manager's GetRandomPassword makes them, JSON
// documents with one generated member, random bytes and UUIDs.
//
// Options are checked before anything is made; an error wraps ErrInvalid and never holds a generated character.
package generate

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// ErrInvalid says that the options cannot be met.
var ErrInvalid = errors.New("the generator's options cannot be met")

// Generator makes values. A nil reader is crypto/rand.
type Generator interface {
	// Validate wraps ErrInvalid if the options cannot be met.
	Validate() error
	// Generate makes a value that the caller owns. It wraps ErrInvalid, or the reader's error.
	Generate(r io.Reader) (secretbytes.Bytes, error)
}

// The classes of characters.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetRandomPassword.html
const (
	lowercase   = "abcdefghijklmnopqrstuvwxyz"
	uppercase   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	numbers     = "0123456789"
	punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
	space       = " "
)

const (
	// DefaultPasswordLength in characters, where none is given.
	DefaultPasswordLength = 32
	// MaximumLength in characters or bytes of anything generated.
	MaximumLength = 4096
)

// Password has the options of GetRandomPassword. The zero value is its defaults.
type Password struct {
	// Length in characters, 1 to 4096. 32 if 0.
	Length int64
	// ExcludeCharacters are characters that it must not hold. Those that no class has make no difference.
	ExcludeCharacters string
	// ExcludeNumbers and so on leave a class out.
	ExcludeNumbers, ExcludePunctuation, ExcludeUppercase, ExcludeLowercase bool
	// IncludeSpace adds the space as a class of its own.
	IncludeSpace bool
	// RequireEachIncludedType puts at least one character of each class into it that has any left. True if nil.
	RequireEachIncludedType *bool
}

// Validate implements Generator.
func (p Password) Validate() error {
	_, err := p.plan()
	return err
}

// plan is what the options come to.
type plan struct {
	length   int
	alphabet []byte
	required [][]byte
}

func (p Password) plan() (plan, error) {
	out := plan{length: int(p.Length)}
	if p.Length == 0 {
		out.length = DefaultPasswordLength
	}
	if p.Length < 0 || p.Length > MaximumLength {
		return out, fmt.Errorf("%w: length is %d; give 1 to %d", ErrInvalid, p.Length, MaximumLength)
	}
	requireEach := p.RequireEachIncludedType == nil || *p.RequireEachIncludedType
	for _, class := range []struct {
		excluded   bool
		characters string
	}{
		{p.ExcludeLowercase, lowercase}, {p.ExcludeUppercase, uppercase}, {p.ExcludeNumbers, numbers},
		{p.ExcludePunctuation, punctuation}, {!p.IncludeSpace, space},
	} {
		if class.excluded {
			continue
		}
		left := without(class.characters, p.ExcludeCharacters)
		out.alphabet = append(out.alphabet, left...)
		if requireEach && len(left) > 0 {
			out.required = append(out.required, left)
		}
	}
	switch {
	case len(out.alphabet) == 0:
		return out, fmt.Errorf("%w: no character is left; exclude fewer", ErrInvalid)
	case len(out.required) > out.length:
		return out, fmt.Errorf("%w: length is %d and %d types of character are required; make it longer, or set "+
			"requireEachIncludedType to false", ErrInvalid, out.length, len(out.required))
	}
	return out, nil
}

func without(characters, excluded string) []byte {
	var left []byte
	for _, c := range []byte(characters) {
		if !bytes.ContainsRune([]byte(excluded), rune(c)) {
			left = append(left, c)
		}
	}
	return left
}

// Generate implements Generator: one character of each required class, the rest of the whole alphabet, then a shuffle, all
// uniform.
func (p Password) Generate(r io.Reader) (secretbytes.Bytes, error) {
	plan, err := p.plan()
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	out := make([]byte, plan.length)
	source := &uniform{r: r}
	secretbytes.Do(func() {
		for i := range out {
			alphabet := plan.alphabet
			if i < len(plan.required) {
				alphabet = plan.required[i]
			}
			out[i] = alphabet[source.below(len(alphabet))]
		}
		for i := len(out) - 1; i > 0; i-- { // Fisher-Yates
			j := source.below(i + 1)
			out[i], out[j] = out[j], out[i]
		}
		clear(source.buffer[:])
	})
	if source.err != nil {
		clear(out)
		return secretbytes.Bytes{}, fmt.Errorf("reading random bytes: %w", source.err)
	}
	return secretbytes.Own(out), nil
}

// uniform draws numbers without bias, by rejection.
type uniform struct {
	r      io.Reader
	buffer [256]byte
	left   int
	err    error
}

// below is a uniform number from 0 up to but not including n, at most 65,536. After a failed read it is 0 and err is set.
func (u *uniform) below(n int) int {
	limit := 1 << 16 / n * n
	for u.err == nil {
		if v := u.uint16(); v < limit {
			return v % n
		}
	}
	return 0
}

func (u *uniform) uint16() int {
	if u.left == 0 {
		r := u.r
		if r == nil {
			r = rand.Reader
		}
		if _, u.err = io.ReadFull(r, u.buffer[:]); u.err != nil {
			return 0
		}
		u.left = len(u.buffer)
	}
	u.left -= 2
	return int(u.buffer[u.left])<<8 | int(u.buffer[u.left+1])
}
