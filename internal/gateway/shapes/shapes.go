// Package shapes is what the codecs of AWS's protocols have in common: how the SDK's own Go structs stand for the shapes of AWS's
// models. Which fields are members and by what names, what is absent, what a request may have of depth and of entries, and what
// is said of a value of another type, is here; how bytes are, is each codec's.
package shapes

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"sync"
	"time"

	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
)

const (
	// MaximumDepth of lists, maps and structures in a request. The deepest shape of the services served needs 8.
	MaximumDepth = 32
	// MaximumEntries of one list, map or structure in a request. The longest list that a model allows has 1,000.
	MaximumEntries = 8192
	// MaximumValues of a request, those of all lists, maps and structures together: what is made of a value takes more memory than
	// its bytes, {} in a list a whole struct. The largest requests, simulations of IAM, have some thousands.
	MaximumValues = 16384
	// MaximumTime is 9999-12-31T23:59:59Z, in seconds: the last that ISO 8601 can write in four digits.
	MaximumTime = 253402300799
)

// ErrSerialization is AWS's SerializationException: the body is not of the protocol's language, or not of the operation's shape.
// Messages quote nothing of the body but names of members.
var ErrSerialization = errors.New("SerializationException")

// Member is a member of a structure.
type Member struct {
	// Name is the member's on the wire.
	Name string
	// Field is its index in the Go struct.
	Field int
	Type  reflect.Type
}

// lowerCamel are the structures whose members all begin with a small letter on the wire, unlike their fields. A codec that did not
// know would pass over such members, as if the caller had not asked to filter.
var lowerCamel = map[reflect.Type]bool{reflect.TypeFor[acmtypes.Filters](): true}

var members sync.Map // of reflect.Type to []Member

// Members are those of a struct: its exported fields, but for the SDK's own ResultMetadata. The list is shared: nothing in it may
// be changed.
func Members(t reflect.Type) []Member {
	if known, ok := members.Load(t); ok {
		return known.([]Member)
	}
	var out []Member
	for f := range t.Fields() {
		if !f.IsExported() || f.Anonymous || f.Name == "ResultMetadata" {
			continue
		}
		name := f.Name
		if lowerCamel[t] {
			name = strings.ToLower(name[:1]) + name[1:]
		}
		out = append(out, Member{Name: name, Field: f.Index[0], Type: f.Type})
	}
	members.Store(t, out)
	return out
}

// Absent tells that a member with this value is not sent: an SDK's user sees an absent, a null, an empty and a false member as
// four different things. So a nil pointer, slice, map or union and an empty enum are absent; an empty slice, map or blob is there;
// a plain bool or number is always there, since the SDK uses plain types where the model has a default.
func Absent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return v.IsNil()
	case reflect.String:
		return v.Len() == 0 && isEnum(v.Type())
	}
	return false
}

func isEnum(t reflect.Type) bool { return t != reflect.TypeFor[string]() }

// IsBlob tells bytes from lists.
func IsBlob(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

// Time is the timestamp of so many seconds since 1970, to the millisecond. It fails beyond the year 9999, before or after.
func Time(seconds float64) (time.Time, error) {
	if math.IsNaN(seconds) || seconds < -MaximumTime || seconds > MaximumTime {
		return time.Time{}, errors.New("a timestamp is beyond the year 9999")
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(math.Round(fraction*1000))*int64(time.Millisecond)).UTC(), nil
}

// maximumPath is the length that a path in a message is cut at: it holds what the caller called things.
const maximumPath = 256

// At is a place in a request as messages tell it: a JSON pointer, cut if it is long.
func At(pointer string) string {
	if pointer == "" {
		return "/"
	}
	if len(pointer) > maximumPath {
		pointer = pointer[:maximumPath] + "..."
	}
	return strings.ToValidUTF8(pointer, "?")
}

// TypeName is the type that a value was to have, in AWS's words.
func TypeName(t reflect.Type) string {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == nil:
		return "the member's type"
	case t == reflect.TypeFor[time.Time]():
		return "a Timestamp"
	case IsBlob(t):
		return "a Blob"
	}
	if name, ok := typeNames[t.Kind()]; ok {
		return name
	}
	return "a Structure"
}

var typeNames = map[reflect.Kind]string{
	reflect.String: "a String", reflect.Bool: "a Boolean", reflect.Int8: "a Byte", reflect.Int16: "a Short", reflect.Int32: "an Integer",
	reflect.Int64: "a Long", reflect.Float32: "a Float", reflect.Float64: "a Double", reflect.Slice: "a List", reflect.Map: "a Map",
}
