package awsquery

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"strongroom.dev/strongroom/internal/gateway/shapes"
)

// What is absent is shapes.Absent's to say; an empty list, map or text is an element without content.

// Append appends the answer of an operation, such as AssumeRole, in a service's XML namespace: its result is the output struct,
// or a pointer to one, within the element that the model calls the result wrapper, empty for an operation that answers nothing.
// (UpdateRole has one, and nothing in it: SDKs look for it.)
func Append(dst []byte, operation, wrapper, namespace string, output any, requestID string) []byte {
	dst = append(dst, '<')
	dst = append(dst, operation...)
	dst = append(dst, `Response xmlns="`...)
	dst = appendText(dst, namespace)
	dst = append(dst, `">`...)
	v := reflect.ValueOf(output)
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() == reflect.Struct && wrapper != "" {
		dst = appendTag(dst, wrapper)
		dst = planOf(v.Type()).append(dst, v)
		dst = appendEnd(dst, wrapper)
	}
	dst = append(dst, "<ResponseMetadata><RequestId>"...)
	dst = appendText(dst, requestID)
	dst = append(dst, "</RequestId></ResponseMetadata></"...)
	dst = append(dst, operation...)
	return append(dst, "Response>"...)
}

// AppendError appends the body of an error. The fault is the sender's, or the receiver's, which SDKs try again.
func AppendError(dst []byte, namespace, code, message string, receiver bool, requestID string) []byte {
	dst = append(dst, `<ErrorResponse`...)
	if namespace != "" {
		dst = append(dst, ` xmlns="`...)
		dst = appendText(dst, namespace)
		dst = append(dst, '"')
	}
	kind := "Sender"
	if receiver {
		kind = "Receiver"
	}
	dst = append(dst, "><Error><Type>"...)
	dst = append(dst, kind...)
	dst = append(dst, "</Type><Code>"...)
	dst = appendText(dst, code)
	dst = append(dst, "</Code><Message>"...)
	dst = appendText(dst, message)
	dst = append(dst, "</Message></Error><RequestId>"...)
	dst = appendText(dst, requestID)
	return append(dst, "</RequestId></ErrorResponse>"...)
}

// plan is how values of one type are written. It is worked out once a type.
type plan struct {
	append func(dst []byte, v reflect.Value) []byte
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

func newPlan(t reflect.Type) *plan {
	switch t.Kind() {
	case reflect.Pointer:
		return &plan{append: func(dst []byte, v reflect.Value) []byte {
			if v.IsNil() {
				return dst
			}
			return planOf(t.Elem()).append(dst, v.Elem())
		}}
	case reflect.String:
		return &plan{append: func(dst []byte, v reflect.Value) []byte { return appendText(dst, v.String()) }}
	case reflect.Bool:
		return &plan{append: func(dst []byte, v reflect.Value) []byte { return strconv.AppendBool(dst, v.Bool()) }}
	case reflect.Int32, reflect.Int64:
		return &plan{append: func(dst []byte, v reflect.Value) []byte { return strconv.AppendInt(dst, v.Int(), 10) }}
	case reflect.Float32, reflect.Float64:
		return &plan{append: func(dst []byte, v reflect.Value) []byte { return strconv.AppendFloat(dst, v.Float(), 'g', -1, 64) }}
	case reflect.Slice:
		if shapes.IsBlob(t) {
			return &plan{append: func(dst []byte, v reflect.Value) []byte {
				return base64.StdEncoding.AppendEncode(dst, v.Bytes())
			}}
		}
		return &plan{append: appendList}
	case reflect.Map:
		return &plan{append: appendMap}
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return &plan{append: appendTime}
		}
		return newStructPlan(t)
	}
	panic(fmt.Sprintf("awsquery: no XML for %s", t)) // no output struct of STS or IAM has one
}

func newStructPlan(t reflect.Type) *plan {
	members := shapes.Members(t)
	return &plan{append: func(dst []byte, v reflect.Value) []byte {
		for i := range members {
			m := &members[i]
			field := v.Field(m.Field)
			if shapes.Absent(field) {
				continue
			}
			dst = appendTag(dst, m.Name)
			dst = planOf(m.Type).append(dst, field)
			dst = appendEnd(dst, m.Name)
		}
		return dst
	}}
}

func appendList(dst []byte, v reflect.Value) []byte {
	p := planOf(v.Type().Elem())
	for i := range v.Len() {
		dst = append(dst, "<member>"...)
		dst = p.append(dst, v.Index(i))
		dst = append(dst, "</member>"...)
	}
	return dst
}

func appendMap(dst []byte, v reflect.Value) []byte {
	p := planOf(v.Type().Elem())
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, key := range keys {
		dst = append(dst, "<entry><key>"...)
		dst = appendText(dst, key.String())
		dst = append(dst, "</key><value>"...)
		dst = p.append(dst, v.MapIndex(key))
		dst = append(dst, "</value></entry>"...)
	}
	return dst
}

// appendTime writes ISO 8601 in UTC, with milliseconds only where there are some.
func appendTime(dst []byte, v reflect.Value) []byte {
	return v.Interface().(time.Time).UTC().Truncate(time.Millisecond).AppendFormat(dst, "2006-01-02T15:04:05.999Z")
}

func appendTag(dst []byte, name string) []byte {
	dst = append(dst, '<')
	dst = append(dst, name...)
	return append(dst, '>')
}

func appendEnd(dst []byte, name string) []byte {
	dst = append(dst, "</"...)
	dst = append(dst, name...)
	return append(dst, '>')
}

// appendText escapes text. What XML cannot have is replaced, so that an answer is always XML; a carriage return is written as a
// reference, since parsers turn it into a line feed otherwise.
func appendText(dst []byte, s string) []byte {
	for _, r := range s {
		switch {
		case r == '&':
			dst = append(dst, "&amp;"...)
		case r == '<':
			dst = append(dst, "&lt;"...)
		case r == '>':
			dst = append(dst, "&gt;"...)
		case r == '"':
			dst = append(dst, "&quot;"...)
		case r == '\r':
			dst = append(dst, "&#xD;"...)
		case r < ' ' && r != '\t' && r != '\n', r == 0xFFFE, r == 0xFFFF:
			dst = utf8.AppendRune(dst, utf8.RuneError)
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}
