// Package awsjson is the codec of AWS's JSON protocol, version 1.1, as a server speaks it: requests into the SDK's own input
// structs, the SDK's own output and error structs into answers.
// https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
//
// Requests are parsed strictly: names in their own case, no member twice, no invalid UTF-8, nothing behind the document,
// bounded depth. Members that the struct lacks are ignored, as AWS ignores them, so that newer clients work.
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
)

// MaximumDepth of arrays and objects in a request. The deepest shape of the services served needs 8.
const MaximumDepth = 32

// ErrSerialization is AWS's SerializationException: the body is not JSON, or not of the operation's shape. Messages quote
// nothing of the body but names of members.
var ErrSerialization = errors.New("SerializationException")

// maximumTime is 9999-12-31T23:59:59Z, in seconds: the last that ISO 8601 can write in four digits.
const maximumTime = 253402300799

var unmarshalers = json.JoinUnmarshalers(
	json.UnmarshalFromFunc(unmarshalTime),
	json.UnmarshalFromFunc(unmarshalString),
	json.UnmarshalFromFunc(camel[acmtypes.Filters]()),
)

// Decode reads the body of a request into an input struct. An empty body is an empty object. Errors wrap ErrSerialization.
func Decode(body []byte, into any) error {
	body = bytes.TrimLeft(body, " \t\r\n")
	if len(body) == 0 {
		return nil
	}
	if body[0] != '{' { // null would leave the input as it is
		return fmt.Errorf("%w: the body is not a JSON object", ErrSerialization)
	}
	if deeper(body, MaximumDepth) {
		return fmt.Errorf("%w: arrays and objects are nested more than %d deep", ErrSerialization, MaximumDepth)
	}
	if err := json.Unmarshal(body, into, json.WithUnmarshalers(unmarshalers)); err != nil {
		return fmt.Errorf("%w: %s", ErrSerialization, problem(err))
	}
	return nil
}

// deeper tells whether arrays and objects are nested more than limit deep. It looks at nothing else: what is not JSON is found
// by the parser after it.
func deeper(body []byte, limit int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
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
	if err != nil || math.IsNaN(seconds) || seconds < -maximumTime || seconds > maximumTime {
		return errors.New("a timestamp is beyond the year 9999")
	}
	whole, fraction := math.Modf(seconds)
	*t = time.Unix(int64(whole), int64(math.Round(fraction*1000))*int64(time.Millisecond)).UTC()
	return nil
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
		at := string(semantic.JSONPointer)
		if at == "" {
			at = "/"
		}
		what := kindName(semantic.JSONKind) + " can not be converted to " + typeName(semantic.GoType)
		if semantic.JSONKind == 0 && semantic.Err != nil {
			what = semantic.Err.Error() // one of this file's own: they quote nothing
		}
		return at + ": " + what
	}
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return fmt.Sprintf("%s: the member is there twice", syntactic.JSONPointer)
		}
		return fmt.Sprintf("%s (byte %d): not valid JSON", syntactic.JSONPointer, syntactic.ByteOffset)
	}
	return "not valid JSON"
}

// typeName is the type that was wanted in AWS's words.
func typeName(t reflect.Type) string {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil {
		return "the member's type"
	}
	switch t.Kind() {
	case reflect.String:
		return "a String"
	case reflect.Bool:
		return "a Boolean"
	case reflect.Int32:
		return "an Integer"
	case reflect.Int64:
		return "a Long"
	case reflect.Float64:
		return "a Double"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "a Blob (base64)"
		}
		return "a List"
	case reflect.Map:
		return "a Map"
	}
	if t == reflect.TypeFor[time.Time]() {
		return "a Timestamp"
	}
	return "a Structure"
}
