package awscbor

import (
	"encoding/binary"
	"math"

	"github.com/x448/float16"
)

// major is the major type of a data item.
// https://www.rfc-editor.org/rfc/rfc8949.html#section-3.1
type major byte

const (
	unsigned major = iota
	negative
	blob
	text
	array
	mapping
	tag
	special
)

// What follows the major type in the first byte, for major type 7.
const (
	simple               = byte(special) << 5
	no, yes              = 20, 21
	null, undefined      = 22, 23
	float16bits     byte = 25
	float32bits     byte = 26
	float64bits     byte = 27
)

const (
	indefinite = 31   // in the first byte: the length is not said
	stop       = 0xff // ends what is of indefinite length
	epoch      = 1    // the tag of seconds since 1970
)

// item is the head of a data item.
type item struct {
	major major
	info  byte
	// argument is the value, the length, the tag's number or the float's bits. It is 0 if the length is indefinite.
	argument uint64
}

// head reads the head of the next item. The document is known to be well formed.
func (r *reader) head() item {
	first := r.data[r.at]
	r.at++
	i := item{major: major(first >> 5), info: first & 31}
	width := 0
	if i.info < 24 {
		i.argument = uint64(i.info)
	} else if i.info < 28 {
		width = 1 << (i.info - 24)
	}
	var wide [8]byte
	copy(wide[8-width:], r.data[r.at:r.at+width])
	if width > 0 {
		i.argument = binary.BigEndian.Uint64(wide[:])
	}
	r.at += width
	return i
}

// ends says whether what is of indefinite length ends here, and steps over its end.
func (r *reader) ends() bool {
	if r.data[r.at] != stop {
		return false
	}
	r.at++
	return true
}

func (i item) isNull() bool { return i.major == special && (i.info == null || i.info == undefined) }

func (i item) isBool() bool { return i.major == special && (i.info == yes || i.info == no) }

func (i item) isInteger() bool { return i.major == unsigned || i.major == negative }

func (i item) isFloat() bool {
	return i.major == special && i.info >= float16bits && i.info <= float64bits
}

// integer is the value of an item that is one, and whether an int64 holds it.
func (i item) integer() (int64, bool) {
	if i.argument > math.MaxInt64 || !i.isInteger() {
		return 0, false
	}
	if i.major == negative {
		return -1 - int64(i.argument), true
	}
	return int64(i.argument), true
}

// number is the value of a float, or of an integer that a float holds exactly.
func (i item) number() (float64, bool) {
	switch {
	case i.isFloat() && i.info == float16bits:
		return float64(float16.Frombits(uint16(i.argument)).Float32()), true
	case i.isFloat() && i.info == float32bits:
		return float64(math.Float32frombits(uint32(i.argument))), true
	case i.isFloat():
		return math.Float64frombits(i.argument), true
	}
	whole, ok := i.integer()
	const exact = 1 << 53
	return float64(whole), ok && whole >= -exact && whole <= exact
}

// name is the kind of an item in a message.
func (i item) name() string {
	switch {
	case i.isNull():
		return "NULL_VALUE"
	case i.isFloat():
		return "FLOAT_VALUE"
	case i.major == special && i.info == yes:
		return "TRUE_VALUE"
	case i.major == special && i.info == no:
		return "FALSE_VALUE"
	}
	return [...]string{"INTEGER_VALUE", "INTEGER_VALUE", "BYTE_STRING", "TEXT_STRING", "START_ARRAY", "START_MAP", "TAG", "SIMPLE_VALUE"}[i.major]
}
