package awscbor

import (
	"cmp"
	"encoding/binary"
	"math"
	"strings"
	"time"

	"strongroom.dev/strongroom/internal/gateway/shapes"
)

var encoder = shapes.NewEncoder(format{})

// Append appends the CBOR of an output struct, or a pointer to one.
func Append(dst []byte, output any) []byte { return encoder.Append(dst, output) }

// AppendError appends the body of an error: its type, which is an absolute shape id such as com.amazonaws.kms#NotFoundException,
// its message under the service's own key (message or Message), and the members of its shape, if the error is a struct of the SDK's.
func AppendError(dst []byte, id, messageKey, message string, shape any) []byte {
	return encoder.AppendError(dst, id, messageKey, message, shape)
}

// format writes CBOR in the core deterministic encoding: definite lengths, the shortest heads, keys in the order of their bytes.
// It differs in two points that Smithy asks for: no float has 16 bits, and a timestamp with a fraction has 64, of which some SDKs
// read no fewer well. The heads are written here and not by the library: what is answered is secret, and goes into the buffer that
// is overwritten, and through no other.
// https://www.rfc-editor.org/rfc/rfc8949.html#section-4.2.1
type format struct{}

// appendHead appends the beginning of a data item: its major type and its argument, a value or a length.
func appendHead(dst []byte, m major, argument uint64) []byte {
	switch kind := byte(m) << 5; {
	case argument < 24:
		return append(dst, kind|byte(argument))
	case argument <= math.MaxUint8:
		return append(dst, kind|24, byte(argument))
	case argument <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, kind|25), uint16(argument))
	case argument <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, kind|26), uint32(argument))
	default:
		return binary.BigEndian.AppendUint64(append(dst, kind|27), argument)
	}
}

func (format) AppendNull(dst []byte) []byte { return append(dst, simple|null) }

func (format) AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, simple|yes)
	}
	return append(dst, simple|no)
}

func (format) AppendInt(dst []byte, v int64) []byte {
	if v < 0 {
		return appendHead(dst, negative, uint64(-(v + 1)))
	}
	return appendHead(dst, unsigned, uint64(v))
}

// notANumber are the bits of the one NaN that is written.
const notANumber = 0x7fc00000

// AppendFloat writes 32 bits if they hold the value, and else 64.
func (format) AppendFloat(dst []byte, v float64) []byte {
	if math.IsNaN(v) {
		return binary.BigEndian.AppendUint32(append(dst, simple|float32bits), notANumber)
	}
	if short := float32(v); float64(short) == v {
		return binary.BigEndian.AppendUint32(append(dst, simple|float32bits), math.Float32bits(short))
	}
	return appendDouble(dst, v)
}

func appendDouble(dst []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, simple|float64bits), math.Float64bits(v))
}

// AppendString writes text. What is not UTF-8 is replaced, so that an answer is always CBOR.
func (format) AppendString(dst []byte, v string) []byte {
	v = strings.ToValidUTF8(v, "\uFFFD")
	return append(appendHead(dst, text, uint64(len(v))), v...)
}

func (format) AppendBlob(dst, v []byte) []byte {
	return append(appendHead(dst, blob, uint64(len(v))), v...)
}

// AppendTime writes tag 1, epoch seconds, to the millisecond.
func (f format) AppendTime(dst []byte, t time.Time) []byte {
	dst = appendHead(dst, tag, epoch)
	if milliseconds := t.UnixMilli(); milliseconds%1000 != 0 {
		return appendDouble(dst, float64(milliseconds)/1000)
	}
	return f.AppendInt(dst, t.UnixMilli()/1000)
}

func (format) OpenMap(dst []byte, n int) []byte  { return appendHead(dst, mapping, uint64(n)) }
func (format) OpenList(dst []byte, n int) []byte { return appendHead(dst, array, uint64(n)) }
func (format) Next(dst []byte) []byte            { return dst }
func (format) CloseMap(dst []byte) []byte        { return dst }
func (format) CloseList(dst []byte) []byte       { return dst }

func (f format) AppendKey(dst []byte, name string) []byte { return f.AppendString(dst, name) }

// Compare is the order of the keys' bytes: a shorter text has a smaller head.
func (format) Compare(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

func (format) SortsMembers() bool { return true }
