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

// AAD is the additional authenticated data of a blob (NIST SP 800-38D), which is not secret, not stored in it, and needed in full to open it: a Context, or an Ordered one. Equal names and values
// are equal bytes, in whichever of the two they are.
type AAD interface {
	// measure is how many bytes append adds. It fails with ErrTooLarge if all names and values together are over MaxContext.
	measure(part Part) (size int, err error)
	// append writes it so that it can be read back in one way only. Entries are in the order of their names.
	append(b []byte, part Part) []byte
}

// Entry is a name and a value of a Context.
type Entry struct{ Name, Value string }

// Ordered is a Context whose entries are in the order of the bytes of their names, each name once: whoever makes it by a list of names that never changes need not have it sorted for each message. One that is in another
// order opens nothing that a Context sealed.
type Ordered []Entry

// Context is it as a Context.
func (o Ordered) Context() Context {
	out := make(Context, len(o))
	for i := range o {
		out[o[i].Name] = o[i].Value
	}
	return out
}

func (o Ordered) measure(part Part) (int, error) {
	total := 0
	for i := range o {
		total += len(o[i].Name) + len(o[i].Value)
	}
	return part.measure(len(o), total)
}

func (o Ordered) append(b []byte, part Part) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(part.entries(len(o))))
	for i := range o {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part.Prefix)+len(o[i].Name)))
		b = append(append(b, part.Prefix...), o[i].Name...)
		b = appendText(b, o[i].Value)
	}
	if part.Name != "" {
		b = appendText(appendText(b, part.Name), part.Value)
	}
	return b
}

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

func (c Context) measure(part Part) (int, error) {
	total := 0
	for name, value := range c {
		total += len(name) + len(value)
	}
	return part.measure(len(c), total)
}

// measure is that of so many entries, whose names and values are so many bytes.
func (p Part) measure(entries, bytes int) (size int, err error) {
	total := bytes + entries*len(p.Prefix) + len(p.Name) + len(p.Value)
	if total > MaxContext {
		return 0, fmt.Errorf("%w: the encryption context is %d bytes and the limit is %d", ErrTooLarge, total, MaxContext)
	}
	return lengthSize*(1+2*p.entries(entries)) + total, nil
}

// entries is how many there are in the larger context.
func (p Part) entries(own int) int {
	if p.Name != "" {
		return own + 1
	}
	return own
}

// Encode is the context as bytes that can be read back in one way only, for ciphers outside of this package: equal contexts are equal
// bytes, and different ones different.
func (c Context) Encode() []byte { return c.append(nil, Part{}) }

// lengthSize is how many bytes a length has in the encoding.
const lengthSize = 4

func (c Context) append(b []byte, part Part) []byte {
	var few [16]Entry // on the stack: this is done for each message, of which most have fewer
	sorted := Ordered(few[:0])
	for name, value := range c {
		sorted = append(sorted, Entry{name, value})
	}
	slices.SortFunc(sorted, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return sorted.append(b, part)
}

func appendText(b []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...)
}
