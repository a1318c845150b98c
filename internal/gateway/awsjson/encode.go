package awsjson

import (
	"encoding/base64"
	"encoding/json/jsontext"
	"strconv"
	"time"

	"strongroom.dev/strongroom/internal/gateway/shapes"
)

var encoder = shapes.NewEncoder(format{})

// Append appends the JSON of an output struct, or a pointer to one.
func Append(dst []byte, output any) []byte { return encoder.Append(dst, output) }

// AppendError appends the body of an error: its type, its message under the service's own key (message or Message), and the
// members of its shape, if the error is a struct of the SDK's.
func AppendError(dst []byte, code, messageKey, message string, shape any) []byte {
	return encoder.AppendError(dst, code, messageKey, message, shape)
}

// format writes JSON: blobs in base64, timestamps as seconds since 1970.
type format struct{}

func (format) AppendNull(dst []byte) []byte         { return append(dst, "null"...) }
func (format) AppendBool(dst []byte, v bool) []byte { return strconv.AppendBool(dst, v) }
func (format) AppendInt(dst []byte, v int64) []byte { return strconv.AppendInt(dst, v, 10) }
func (format) AppendFloat(dst []byte, v float64) []byte {
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}

// AppendString quotes text. What is not UTF-8 is replaced, so that an answer is always JSON.
func (format) AppendString(dst []byte, s string) []byte {
	quoted, err := jsontext.AppendQuote(dst, s)
	if err != nil { // invalid UTF-8, which was replaced
		return quoted
	}
	return quoted
}

func (format) AppendBlob(dst, v []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, v)
	return append(dst, '"')
}

// AppendTime writes epoch seconds with at most three decimals: more than that some SDKs refuse.
func (format) AppendTime(dst []byte, t time.Time) []byte {
	milliseconds := t.UnixMilli()
	if milliseconds < 0 {
		dst, milliseconds = append(dst, '-'), -milliseconds
	}
	dst = strconv.AppendInt(dst, milliseconds/1000, 10)
	fraction := milliseconds % 1000
	if fraction == 0 {
		return dst
	}
	digits := []byte{'.', byte('0' + fraction/100), byte('0' + fraction/10%10), byte('0' + fraction%10)}
	for digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	return append(dst, digits...)
}

func (format) OpenMap(dst []byte, _ int) []byte  { return append(dst, '{') }
func (format) OpenList(dst []byte, _ int) []byte { return append(dst, '[') }
func (format) Next(dst []byte) []byte            { return append(dst, ',') }
func (format) CloseMap(dst []byte) []byte        { return append(dst, '}') }
func (format) CloseList(dst []byte) []byte       { return append(dst, ']') }

func (f format) AppendKey(dst []byte, name string) []byte {
	return append(f.AppendString(dst, name), ':')
}

func (format) Compare(a, b string) int { return shapes.Alphabetical(a, b) }
func (format) SortsMembers() bool      { return false }
