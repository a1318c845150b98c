// Package awsjson is the codec of AWS's JSON protocol, version 1.1, as a server speaks it: requests into the SDK's own input
// structs, the SDK's own output and error structs into answers.
// https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
//
// Requests are parsed strictly: names in their own case, no member twice, no invalid UTF-8, nothing behind the document,
// bounded depth and numbers of values. Members that the struct lacks are ignored, as AWS ignores them, so that newer clients work.
package awsjson

import (
	"bytes"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"

	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"

	"strongroom.dev/strongroom/internal/gateway/shapes"
)

// ErrSerialization is AWS's SerializationException: the body is not JSON, or not of the operation's shape.
var ErrSerialization = shapes.ErrSerialization

var unmarshalers = json.JoinUnmarshalers(
	json.UnmarshalFromFunc(unmarshalTime),
	json.UnmarshalFromFunc(unmarshalString),
	json.UnmarshalFromFunc(camel[acmtypes.Filters]()),
)

// Decode reads the body of a request into an input struct. An empty body is an empty object. Errors wrap ErrSerialization.
func Decode(body []byte, into any) error {
	if _, err := Measure(body); err != nil {
		return err
	}
	return DecodeMeasured(body, into)
}

// DecodeMeasured is Decode of a body that Measure has passed.
func DecodeMeasured(body []byte, into any) error {
	body = bytes.TrimLeft(body, " \t\r\n")
	if len(body) == 0 {
		return nil
	}
	if body[0] != '{' { // null would leave the input as it is
		return fmt.Errorf("%w: the body is not a JSON object", ErrSerialization)
	}
	if err := json.Unmarshal(body, into, json.WithUnmarshalers(unmarshalers)); err != nil {
		return fmt.Errorf("%w: %s", ErrSerialization, problem(err))
	}
	return nil
}

// Measure is how many values a body has at most, in arrays and objects of all depths. It fails if they are more than
// shapes.MaximumValues, nested deeper than shapes.MaximumDepth, or one has more than shapes.MaximumEntries. It makes nothing of them, and
// looks at nothing else: what is not JSON is found by the parser after it.
func Measure(body []byte) (values int, err error) {
	m, quoted := measure{values: 1}, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted:
			if err := m.see(c); err != nil {
				return 0, err
			}
		}
	}
	return m.values, nil
}

// measure is what a body has been found to hold so far.
type measure struct {
	values, depth int
	commas        [shapes.MaximumDepth + 1]int // of each array or object that is open
}

// see takes a byte that is not within a string.
func (m *measure) see(c byte) error {
	switch c {
	case '{', '[':
		if m.depth++; m.depth > shapes.MaximumDepth {
			return shapes.ErrTooDeep
		}
		m.commas[m.depth] = 0
		m.values++
	case ',':
		if m.commas[m.depth]++; m.commas[m.depth] >= shapes.MaximumEntries {
			return shapes.ErrManyEntries
		}
		m.values++
	case '}', ']':
		m.depth = max(m.depth-1, 0)
	}
	if m.values > shapes.MaximumValues {
		return shapes.ErrManyValues
	}
	return nil
}

// unmarshalTime reads epoch seconds, with or without decimals, and nothing else.
func unmarshalTime(dec *jsontext.Decoder, t *time.Time) error {
	token, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if token.Kind() != '0' {
		return fmt.Errorf("a timestamp is a number of seconds since 1970")
	}
	seconds, err := strconv.ParseFloat(token.String(), 64)
	if err != nil {
		seconds = math.Inf(1) // of the grammar of numbers, and beyond them all
	}
	*t, err = shapes.Time(seconds)
	return err
}

// unmarshalString refuses null where a string must be: in a map or a list. (A member that is null never gets here: its pointer
// stays nil, as if it were absent.)
func unmarshalString(dec *jsontext.Decoder, s *string) error {
	if dec.PeekKind() == 'n' {
		return errors.New("null is not a string")
	}
	token, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if token.Kind() != '"' {
		return fmt.Errorf("%s can not be converted to a String", kindName(token.Kind()))
	}
	*s = token.String()
	return nil
}

// kindName is the kind of a JSON value in AWS's words.
func kindName(kind jsontext.Kind) string {
	switch kind {
	case '"':
		return "STRING_VALUE"
	case '0':
		return "NUMBER_VALUE"
	case 't':
		return "TRUE_VALUE"
	case 'f':
		return "FALSE_VALUE"
	case '{':
		return "START_OBJECT"
	case '[':
		return "START_ARRAY"
	}
	return "NULL_VALUE"
}

// problem is what is wrong, and where, without what the parser may quote.
func problem(err error) string {
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		at := shapes.At(string(semantic.JSONPointer))
		what := kindName(semantic.JSONKind) + " can not be converted to " + typeName(semantic.GoType)
		if semantic.JSONKind == 0 && semantic.Err != nil {
			what = semantic.Err.Error() // one of this file's own: they quote nothing
		}
		return at + ": " + what
	}
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		at := shapes.At(string(syntactic.JSONPointer))
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return at + ": the member is there twice"
		}
		return fmt.Sprintf("%s (byte %d): not valid JSON", at, syntactic.ByteOffset)
	}
	return "not valid JSON"
}

// typeName is the type that was wanted in AWS's words.
func typeName(t reflect.Type) string {
	name := shapes.TypeName(t)
	if name == "a Blob" {
		return name + " (base64)"
	}
	return name
}
