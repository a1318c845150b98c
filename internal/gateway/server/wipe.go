package server

import (
	"reflect"
	"strings"

	"strongroom.dev/strongroom/internal/gateway/limits"
	"strongroom.dev/strongroom/internal/gateway/limits/table"
)

// wiper overwrites the blobs of a struct that AWS's model marks as sensitive. Other blobs may be shared with caches, and are left.
// Strings cannot be overwritten: Go shares their memory.
type wiper struct {
	blob   bool
	fields []wipedField // of a structure
	held   *wiper       // of a list
}

type wipedField struct {
	index int
	wiper *wiper
}

// newWiper makes the wiper of a shape in a Go type, nil if there is nothing to wipe.
func newWiper(shape *limits.Shape, typ reflect.Type) *wiper {
	return makeWiper(shape, typ, false, map[*limits.Shape]bool{})
}

func makeWiper(shape *limits.Shape, typ reflect.Type, sensitive bool, within map[*limits.Shape]bool) *wiper {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if within[shape] { // a shape that holds itself holds no blobs: only filters do so
		return nil
	}
	within[shape] = true
	defer delete(within, shape)
	switch shape.Type {
	case table.Blob:
		if sensitive {
			return &wiper{blob: true}
		}
	case table.List:
		if held := makeWiper(shape.Element.Shape, typ.Elem(), sensitive || shape.Element.Sensitive, within); held != nil {
			return &wiper{held: held}
		}
	case table.Structure:
		if fields := wipedFields(shape, typ, sensitive, within); fields != nil {
			return &wiper{fields: fields}
		}
	}
	return nil
}

func wipedFields(shape *limits.Shape, typ reflect.Type, sensitive bool, within map[*limits.Shape]bool) (fields []wipedField) {
	if shape.Union {
		return nil
	}
	for _, m := range shape.Members {
		f, ok := typ.FieldByName(strings.ToUpper(m.Name[:1]) + m.Name[1:])
		if !ok {
			continue
		}
		if held := makeWiper(m.Shape, f.Type, sensitive || m.Sensitive, within); held != nil {
			fields = append(fields, wipedField{f.Index[0], held})
		}
	}
	return fields
}

// wipe overwrites. The value is nil, or a pointer to the struct.
func (w *wiper) wipe(value any) {
	if w != nil && value != nil {
		w.value(reflect.ValueOf(value))
	}
}

func (w *wiper) value(v reflect.Value) {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	switch {
	case w.blob:
		clear(v.Bytes())
	case w.held != nil:
		for i := range v.Len() {
			w.held.value(v.Index(i))
		}
	default:
		for _, f := range w.fields {
			f.wiper.value(v.Field(f.index))
		}
	}
}
