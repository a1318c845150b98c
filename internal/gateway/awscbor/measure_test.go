package awscbor_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"

	"strongroom.dev/strongroom/internal/gateway/awscbor"
	"strongroom.dev/strongroom/internal/gateway/shapes"
)

// arrays is a document of a member with n arrays of m parts.
func arrays(t *testing.T, n, m int, part ...byte) []byte {
	block := append([]byte{0x99, byte(m >> 8), byte(m)}, bytes.Repeat(part, m)...)
	return append(append(x(t, "a1", "'X"), 0x99, byte(n>>8), byte(n)), bytes.Repeat(block, n)...)
}

func TestWhatABodyHoldsIsCountedBeforeAnythingIsMadeOfIt(t *testing.T) {
	for name, tt := range map[string]struct {
		body  []byte
		items int
		want  error
	}{
		"nothing":                         {nil, 0, nil},
		"an empty map":                    {x(t, "a0"), 1, nil},
		"a map without a length":          {x(t, "bf", "'KeyId", "'a", "ff"), 3, nil},
		"a string in chunks is one":       {x(t, "a1", "'KeyId", "7f 61 61 61 61 ff"), 3, nil},
		"bytes that look like much":       {x(t, "a1", "'KeyId", "44 80808080"), 3, nil},
		"a tag and what it is of":         {x(t, "a1", "'KeyId", "c1 00"), 4, nil},
		"as many as there may be":         {arrays(t, 4, 8190, 0), 4 + 4*8190 + 3, nil},
		"more":                            {arrays(t, 5, 8190, 0), 0, shapes.ErrManyValues},
		"empty maps, one byte each":       {arrays(t, 100, 8190, 0xa0), 0, shapes.ErrManyValues},
		"an array of as many as may be":   {arrays(t, 1, shapes.MaximumEntries, 0), shapes.MaximumEntries + 4, nil},
		"an array of one more":            {arrays(t, 1, shapes.MaximumEntries+1, 0), 0, shapes.ErrManyEntries},
		"an array of more without length": {append(append(x(t, "a1", "'X", "9f"), make([]byte, shapes.MaximumEntries+1)...), 0xff), 0, shapes.ErrManyEntries},
		"arrays nested too deeply":        {append(x(t, "a1", "'X"), append(bytes.Repeat([]byte{0x81}, 40), 0)...), 0, shapes.ErrTooDeep},
	} {
		items, err := awscbor.Measure(tt.body)
		if items != tt.items || !errors.Is(err, tt.want) || (err != nil) != (tt.want != nil) {
			t.Errorf("%s: %d items, not %d: %v", name, items, tt.items, err)
		}
		if err := awscbor.Decode(tt.body, new(kms.EncryptInput)); tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: Decode says %v", name, err)
		}
	}
}
