package iam_test

import (
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/iam"
)

func TestTheSizeOfADocumentIsItsCharactersWithoutWhiteSpace(t *testing.T) {
	for document, want := range map[string]int{
		"":                          0,
		" \t\r\n":                   0,
		`{"Statement":[]}`:          16,
		"{ \"Statement\" :\n\t[] }": 16,
		`{"a":"b c"}`:               10, // in a string too
		`"ä"`:                       3,  // characters, not bytes
		"\xff":                      1,
		strings.Repeat("x", 10241):  10241,
	} {
		if got := iam.Size([]byte(document)); got != want {
			t.Errorf("%.40q has the size %d, not %d", document, got, want)
		}
	}
}
