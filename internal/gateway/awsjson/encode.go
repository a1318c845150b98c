package awsjson

import (
	"encoding/base64"
	"encoding/json/jsontext"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An SDK user sees an absent, a null, an empty and a false member as four different things. So: a nil pointer, slice or map
// and an empty enum are absent; an empty slice, map or blob is there; a plain bool or number is always there, since the SDK
// uses plain types where the model has a default.

// Append appends the JSON of an output struct, or a pointer to one.
func Append(dst []byte, output any) []byte {
	v := reflect.ValueOf(output)
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return append(dst, "{}"...)
		}
		v = v.Elem()
	}
	return planOf(v.Type()).append(dst, v)
}

// AppendError appends the body of an error: its type, its message under the service's own key (message or Message), and the
// members of its shape, if the error is a struct of the SDK's.
func AppendError(dst []byte, code, messageKey, message string, shape any) []byte {
	dst = append(dst, `{"__type":`...)
	dst = appendString(dst, code)
	if message != "" {
		dst = append(dst, ',')
		dst = appendString(dst, messageKey)
		dst = append(dst, ':')
		dst = appendString(dst, message)
	}
	v := reflect.ValueOf(shape)
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() == reflect.Struct {
		for _, m := range membersOf(v.Type()) {
			if m.name == "Message" || m.name == "ErrorCodeOverride" {
				continue
			}
			dst, _ = m.append(dst, v, true)
		}
	}
	return append(dst, '}')
}

// plan is how values of one type are written. It is worked out once a type.
type plan struct {
	append func(dst []byte, v reflect.Value) []byte
	// absent tells that a member with this value is left out; nil for never.
	absent func(v reflect.Value) bool
}

type member struct {
	name  string
	index int
	plan  *plan
	// key is the name in quotes, with a colon.
	key []byte
}

// append writes the member unless it is absent, after a comma if something is before it.
func (m *member) append(dst []byte, parent reflect.Value, comma bool) ([]byte, bool) {
	v := parent.Field(m.index)
	if m.plan.absent != nil && m.plan.absent(v) {
		return dst, false
	}
	if comma {
		dst = append(dst, ',')
	}
	dst = append(dst, m.key...)
	return m.plan.append(dst, v), true
}

var plans sync.Map // of reflect.Type to *plan

// planOf may work a plan out twice at once: the results are alike. Types that contain themselves end by the plan's own look-up
// at the time of writing.
func planOf(t reflect.Type) *plan {
	if known, ok := plans.Load(t); ok {
		return known.(*plan)
	}
	made := newPlan(t)
	plans.Store(t, made)
	return made
}

func isNil(v reflect.Value) bool   { return v.IsNil() }
func isEmpty(v reflect.Value) bool { return v.Len() == 0 }

func newPlan(t reflect.Type) *plan {
	switch t.Kind() {
	case reflect.Pointer:
		return &plan{absent: isNil, append: func(dst []byte, v reflect.Value) []byte {
			if v.IsNil() {
				return append(dst, "null"...)
			}
			return planOf(t.Elem()).append(dst, v.Elem())
		}}
	case reflect.String:
		p := &plan{append: func(dst []byte, v reflect.Value) []byte { return appendString(dst, v.String()) }}
		if t != reflect.TypeFor[string]() {
			p.absent = isEmpty // an enum
		}
		return p
	case reflect.Bool, reflect.Int32, reflect.Int64, reflect.Int, reflect.Float64, reflect.Float32:
		return newNumberPlan(t.Kind())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return &plan{absent: isNil, append: appendBlob}
		}
		return &plan{absent: isNil, append: appendList}
	case reflect.Map:
		return &plan{absent: isNil, append: appendMap}
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return &plan{append: appendTime}
		}
		return newStructPlan(t)
	case reflect.Interface:
		return &plan{absent: isNil, append: func(dst []byte, v reflect.Value) []byte { return Append(dst, v.Interface()) }}
	}
	panic(fmt.Sprintf("awsjson: no JSON for %s", t)) // no output struct of a served operation has one: a test encodes them all
}

// newNumberPlan is for the plain types that the SDK uses where the model has a default: never absent.
func newNumberPlan(kind reflect.Kind) *plan {
	switch kind {
	case reflect.Bool:
		return &plan{append: func(dst []byte, v reflect.Value) []byte { return strconv.AppendBool(dst, v.Bool()) }}
	case reflect.Float64, reflect.Float32:
		return &plan{append: func(dst []byte, v reflect.Value) []byte { return strconv.AppendFloat(dst, v.Float(), 'g', -1, 64) }}
	default:
		return &plan{append: func(dst []byte, v reflect.Value) []byte { return strconv.AppendInt(dst, v.Int(), 10) }}
	}
}

func newStructPlan(t reflect.Type) *plan {
	var once sync.Once
	var members []member
	return &plan{append: func(dst []byte, v reflect.Value) []byte {
		once.Do(func() { members = membersOf(t) })
		dst = append(dst, '{')
		some := false
		for i := range members {
			var wrote bool
			dst, wrote = members[i].append(dst, v, some)
			some = some || wrote
		}
		return append(dst, '}')
	}}
}

// membersOf lists what is written of a struct: its exported fields, but for the SDK's own ResultMetadata.
func membersOf(t reflect.Type) []member {
	var members []member
	for f := range t.Fields() {
		if !f.IsExported() || f.Anonymous || f.Name == "ResultMetadata" {
			continue
		}
		key := append(appendString(nil, f.Name), ':')
		members = append(members, member{name: f.Name, index: f.Index[0], plan: planOf(f.Type), key: key})
	}
	return members
}

func appendList(dst []byte, v reflect.Value) []byte {
	p := planOf(v.Type().Elem())
	dst = append(dst, '[')
	for i := range v.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = p.append(dst, v.Index(i))
	}
	return append(dst, ']')
}

func appendMap(dst []byte, v reflect.Value) []byte {
	p := planOf(v.Type().Elem())
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	dst = append(dst, '{')
	for i, key := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, key.String()), ':')
		dst = p.append(dst, v.MapIndex(key))
	}
	return append(dst, '}')
}

func appendBlob(dst []byte, v reflect.Value) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, v.Bytes())
	return append(dst, '"')
}

// appendTime writes epoch seconds with at most three decimals: more than that some SDKs refuse.
func appendTime(dst []byte, v reflect.Value) []byte {
	milliseconds := v.Interface().(time.Time).UnixMilli()
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

// appendString quotes text. What is not UTF-8 is replaced, so that an answer is always JSON.
func appendString(dst []byte, s string) []byte {
	quoted, err := jsontext.AppendQuote(dst, s)
	if err != nil { // invalid UTF-8, which was replaced
		return quoted
	}
	return quoted
}
