package audit_test

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"time"

	"strongroom.dev/strongroom/internal/gateway/limits"
	"strongroom.dev/strongroom/internal/gateway/limits/table"
)

// mark is a text or a blob that was put into a request or an answer, and found nowhere else.
type mark struct {
	path   string // as limits.Sensitive takes it
	text   string
	hidden bool
}

// filler fills structs with marks.
type filler struct {
	service, operation string
	direction          limits.Direction
	marks              []mark
	within             map[*limits.Shape]bool
}

func (f *filler) mark(path string, blob bool) string {
	text := fmt.Sprintf("mark-%s-%d-%d-of-this-test", strings.ToLower(f.operation), f.direction, len(f.marks))
	hidden := blob || f.sensitive(path)
	f.marks = append(f.marks, mark{path, text, hidden})
	return text
}

// sensitive asks for the path and for all that it is in.
func (f *filler) sensitive(path string) bool {
	return limits.Sensitive(f.service, f.operation, f.direction, path)
}

// fill puts something into every member, at all depths.
func (f *filler) fill(v reflect.Value, s *limits.Shape, path string) {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch s.Type {
	case table.Structure:
		if !s.Union { // which is hidden as a whole
			f.structure(v, s, path)
		}
	case table.List:
		if f.within[s.Element.Shape] {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			f.fill(v.Index(i), s.Element.Shape, fmt.Sprintf("%s.%d.member", path, i+1))
		}
	case table.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.fill(key, s.Key.Shape, path+".key")
		f.fill(value, s.Value.Shape, path+".value")
		v.SetMapIndex(key, value)
	case table.Timestamp:
		v.Set(reflect.ValueOf(time.Unix(1.7e9, 0)))
	case table.Blob:
		v.SetBytes([]byte(f.mark(path, true)))
	case table.Boolean:
		v.SetBool(true)
	case table.Integer, table.Long:
		v.SetInt(7)
	case table.Float, table.Double:
		v.SetFloat(1.5)
	default:
		v.SetString(f.mark(path, false))
	}
}

func (f *filler) structure(v reflect.Value, s *limits.Shape, path string) {
	if f.within[s] {
		return
	}
	f.within[s] = true
	defer delete(f.within, s)
	for _, m := range s.Members {
		inner := strings.TrimPrefix(path+"."+m.Name, ".")
		f.fill(v.FieldByName(strings.ToUpper(m.Name[:1])+m.Name[1:]), m.Shape, inner)
	}
}

// encodings of a mark in which it would still be told: as it is, and in base64 at each of the three alignments.
func encodings(text string) []string {
	all := []string{text}
	for shift := range 3 {
		for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			encoded := e.EncodeToString([]byte(strings.Repeat("x", shift) + text))
			all = append(all, encoded[4:len(encoded)-4]) // without what depends on its neighbours
		}
	}
	return all
}
