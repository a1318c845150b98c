package keys

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// MaxContext is the most that the keys and values of a Context may have together, in bytes.
// https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html
const MaxContext = 8 << 10

// Context is what AWS calls an encryption context: not secret, not stored in the blob, and needed in full to open it.
// A nil and an empty Context are the same.
type Context map[string]string

// Part is where a Context is part of a larger one: its names are prefixed there, and one more entry is beside them, so that no name of a caller's can be one
// of ours. The larger one is only ever encoded: this saves making it. The zero Part is the Context by itself.
type Part struct {
	// Prefix of all names of the Context.
	Prefix string
	// Name and Value of the one more entry. Name is behind all that begins with Prefix, in the order of bytes.
	Name, Value string
}

// Validate fails with ErrTooLarge if the context is over MaxContext.
func (c Context) Validate() error {
	_, err := c.measure(Part{})
	return err
}

// measure is how many bytes append adds. It fails with ErrTooLarge if all names and values together are over MaxContext.
func (c Context) measure(part Part) (size int, err error) {
	total, entries := len(part.Name)+len(part.Value)+len(c)*len(part.Prefix), c.entries(part)
	for name, value := range c {
		total += len(name) + len(value)
	}
	if total > MaxContext {
		return 0, fmt.Errorf("%w: the encryption context is %d bytes and the limit is %d", ErrTooLarge, total, MaxContext)
	}
	return lengthSize*(1+2*entries) + total, nil
}

func (c Context) entries(part Part) int {
	if part.Name != "" {
		return len(c) + 1
	}
	return len(c)
}

// Encode is the context as bytes that can be read back in one way only, for ciphers outside of this package: equal contexts are equal
// bytes, and different ones different.
func (c Context) Encode() []byte { return c.append(nil, Part{}) }

// lengthSize is how many bytes a length has in the encoding.
const lengthSize = 4

type entry struct{ name, value string }

// append writes the context so that it can be read back in one way only: different contexts are different bytes. Entries are in the order of their names.
func (c Context) append(b []byte, part Part) []byte {
	var few [16]entry // on the stack: this is done for each message, of which most have fewer
	sorted := few[:0]
	for name, value := range c {
		sorted = append(sorted, entry{name, value})
	}
	slices.SortFunc(sorted, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	b = binary.BigEndian.AppendUint32(b, uint32(c.entries(part)))
	for i := range sorted {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part.Prefix)+len(sorted[i].name)))
		b = append(append(b, part.Prefix...), sorted[i].name...)
		b = appendText(b, sorted[i].value)
	}
	if part.Name != "" {
		b = appendText(appendText(b, part.Name), part.Value)
	}
	return b
}

func appendText(b []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...)
}
