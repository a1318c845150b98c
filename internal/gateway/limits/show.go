package limits

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// showing is a violation with the value, if it may be shown: as Java prints it, a list as [a, b] and a map as {a=b}.
func (p *plan) showing(v reflect.Value) Violation {
	if !p.written {
		return Violation{Hidden: true}
	}
	var b strings.Builder
	write(&b, v)
	return Violation{Value: shown(b.String())}
}

// write stops a little after what is shown.
func write(b *strings.Builder, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			b.WriteString("null")
			return
		}
		write(b, v.Elem())
	case reflect.String:
		b.WriteString(v.String()[:min(v.Len(), MaximumShown+1)])
	case reflect.Int32, reflect.Int64:
		b.WriteString(strconv.FormatInt(v.Int(), 10))
	case reflect.Slice:
		b.WriteByte('[')
		for i := range v.Len() {
			if !more(b, i) {
				return
			}
			write(b, v.Index(i))
		}
		b.WriteByte(']')
	case reflect.Map:
		b.WriteByte('{')
		for i, key := range sortedKeys(v) {
			if !more(b, i) {
				return
			}
			write(b, key)
			b.WriteByte('=')
			write(b, v.MapIndex(key))
		}
		b.WriteByte('}')
	}
}

// more separates entries, and is false if no more can be shown.
func more(b *strings.Builder, i int) bool {
	if i > 0 {
		b.WriteString(", ")
	}
	return b.Len() <= MaximumShown
}

// sortedKeys are a map's, so that the same request has the same answer.
func sortedKeys(v reflect.Value) []reflect.Value {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	return keys
}
