// Package objectname names the objects that are made through AWS's APIs, whose names are not Kubernetes's.
package objectname

import (
	"crypto/sha256"
	"encoding/base32"
)

// Of is metadata.name for an AWS name: that name if it is one for Kubernetes too and the region is home, and else Derived.
func Of(kind, region, name string, home bool) string {
	if home && IsDNS(name) {
		return name
	}
	return Derived(kind, region, name)
}

// IsDNS tells whether a name can be metadata.name (RFC 1123 subdomain).
func IsDNS(name string) bool {
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

// readable is how much of an AWS name is seen in a derived one.
const readable = 180

// Derived is a readable part and 80 bits of SHA-256 over kind, region and name, so that no two names of a namespace meet.
func Derived(kind, region, name string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + region + "\x00" + name))
	out := make([]byte, 0, readable+17)
	for i := 0; i < len(name) && len(out) < readable; i++ {
		c := name[i]
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
