package keys

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// MaxContext is the most that the keys and values of a Context may have together, in bytes.
// https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html
const MaxContext = 8 << 10

// Context is what AWS calls an encryption context: not secret, not stored in the blob, and needed in full to open it.
// A nil and an empty Context are the same.
type Context map[string]string

// Validate fails with ErrTooLarge if the context is over MaxContext.
func (c Context) Validate() error {
	total := 0
	for key, value := range c {
		total += len(key) + len(value)
	}
	if total > MaxContext {
		return fmt.Errorf("%w: the encryption context is %d bytes and the limit is %d", ErrTooLarge, total, MaxContext)
	}
	return nil
}

func (c Context) encodedSize() int {
	size := 4
	for key, value := range c {
		size += 8 + len(key) + len(value)
	}
	return size
}

// Encode is the context as bytes that can be read back in one way only, for ciphers outside of this package: equal contexts are equal
// bytes, and different ones different.
func (c Context) Encode() []byte { return c.append(make([]byte, 0, c.encodedSize())) }

// append writes the context so that it can be read back in one way only: different contexts are different bytes.
func (c Context) append(b []byte) []byte {
	names := make([]string, 0, len(c)) // and not slices.Sorted, which allocates seven times
	for key := range c {
		names = append(names, key)
	}
	slices.Sort(names)
	b = binary.BigEndian.AppendUint32(b, uint32(len(c)))
	for _, key := range names {
		b = binary.BigEndian.AppendUint32(b, uint32(len(key)))
		b = append(b, key...)
		b = binary.BigEndian.AppendUint32(b, uint32(len(c[key])))
		b = append(b, c[key]...)
	}
	return b
}
