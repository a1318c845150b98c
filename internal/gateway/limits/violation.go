package limits

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// The limits of what an error says. AWS shows values whole; an error here is not a megabyte because a value was.
const (
	// MaximumShown is how many bytes of a value an error shows; the rest is "...".
	MaximumShown = 512
	// MaximumViolations is how many violations are looked for in one request.
	MaximumViolations = 32
)

// Violation is one member's failure of one constraint.
type Violation struct {
	Path       string // in lower camel case: tags.1.member.tagKey, entries counted from 1
	Constraint string // in AWS's words: Member must have length less than or equal to 128
	Value      string // at most MaximumShown bytes; empty if Null or Hidden
	Null       bool   // the member is required and was not there
	Hidden     bool   // the value is sensitive, a blob or a structure, and is not shown
}

// String is AWS's text of one violation. The form with a value is that of IAM
// (https://github.com/SWO-GS/auto-tag/issues/90), the one without it KMS's for blobs (test_encrypt_key_with_empty_content
// of github.com/getmoto/moto, verified against AWS): Value at 'plaintext' failed to satisfy constraint: ...
func (v Violation) String() string {
	var value string
	switch {
	case v.Null:
		value = " null"
	case !v.Hidden:
		value = " '" + v.Value + "'"
	}
	return "Value" + value + " at '" + v.Path + "' failed to satisfy constraint: " + v.Constraint
}

// Violations are what is wrong with a request: the text of a ValidationException, or of IAM's and STS's ValidationError.
type Violations []Violation

// Error is AWS's text: 1 validation error detected: Value ...; it has no name of an error before it.
func (v Violations) Error() string {
	var b strings.Builder
	b.WriteString(strconv.Itoa(len(v)))
	b.WriteString(" validation error")
	if len(v) != 1 {
		b.WriteByte('s')
	}
	b.WriteString(" detected: ")
	for i, one := range v {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(one.String())
	}
	return b.String()
}

// Err is the violations as an error, nil if there are none.
func (v Violations) Err() error {
	if len(v) == 0 {
		return nil
	}
	return v
}

// shown cuts a value, not within a character.
func shown(value string) string {
	if len(value) <= MaximumShown {
		return strings.ToValidUTF8(value, "\uFFFD")
	}
	cut := MaximumShown - len("...")
	for cut > MaximumShown-8 && !utf8.RuneStart(value[cut]) {
		cut--
	}
	value = strings.ToValidUTF8(value[:cut], "?") // no longer than what it replaces
	return value + "..."
}

// lowerFirst is AWS's lower camel case in paths: of the first letter alone, as SNS's aWSAccountId shows.
func lowerFirst(name string) string {
	if name == "" || name[0] < 'A' || name[0] > 'Z' {
		return name
	}
	return string(name[0]+'a'-'A') + name[1:]
}
