// Package objectname says what objects are called in Kubernetes that requests to the AWS API make.
package objectname

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// DNSSafe tells whether a name can be metadata.name (RFC 1123 subdomain).
func DNSSafe(name string) bool {
	if len(name) > 253 {
		return false
	}
	before := byte('.')
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		switch {
		case letter, c == '-' && before != '.', c == '.' && before != '.' && before != '-':
		default:
			return false
		}
		before = c
	}
	return before != '-' && before != '.'
}

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const (
	// readable is how much of a text is seen in a derived name.
	readable = 180
	// MaximumDerived is the length of a derived name.
	MaximumDerived = readable + 17
)

// Derived is a name of at most MaximumDerived characters: a readable part of a text, and 80 bits of SHA-256 of the kind and of all that
// tells the object from others of its kind, so that no two of a namespace meet. No part has a zero byte.
func Derived(kind, text string, distinct ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(append([]string{kind}, distinct...), "\x00")))
	out := make([]byte, 0, MaximumDerived)
	for i := 0; i < len(text) && len(out) < readable; i++ {
		c := text[i]
		switch {
		case c >= 'A' && c <= 'Z':
			out = append(out, c+'a'-'A')
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			out = append(out, c)
		case len(out) > 0 && out[len(out)-1] != '-':
			out = append(out, '-')
		}
	}
	if len(out) > 0 && out[len(out)-1] != '-' {
		out = append(out, '-')
	}
	return string(encoding.AppendEncode(out, sum[:10]))
}
