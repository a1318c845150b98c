package awscbor

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"strongroom.dev/strongroom/internal/gateway/shapes"
)

// reader binds a well-formed document to a struct, in one walk. Nothing is copied on the way: a blob is allocated once, as what the
// handler gets and the server overwrites.
type reader struct {
	data []byte
	at   int
	path []string
}

func newReader(body []byte) *reader { return &reader{data: body} }

func (r *reader) read(into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("awscbor: %T is not a pointer to a struct", into))
	}
	return r.structure(r.head(), v.Elem())
}

// fail is an error at where the reader is, which is written as in JSON's pointers: /EncryptionContext/app.
func (r *reader) fail(format string, args ...any) error {
	at := shapes.At("/" + strings.Join(r.path, "/"))
	return fmt.Errorf("%w: %s: %s", ErrSerialization, at, fmt.Sprintf(format, args...))
}

func (r *reader) mismatch(i item, t reflect.Type) error {
	return r.fail("%s can not be converted to %s", i.name(), shapes.TypeName(t))
}

// within reads a part at a name.
func (r *reader) within(name string, read func() error) error {
	r.path = append(r.path, name)
	err := read()
	r.path = r.path[:len(r.path)-1]
	return err
}

// value reads the item into a value that is no member's: null is refused, unless the value is a pointer, as the SDK has it where a
// list or a map may hold null.
func (r *reader) value(i item, v reflect.Value) error {
	if v.Kind() == reflect.Pointer {
		if i.isNull() {
			return nil
		}
		v.Set(reflect.New(v.Type().Elem()))
		return r.value(i, v.Elem())
	}
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		return r.time(i, v)
	case v.Kind() == reflect.Struct:
		return r.structure(i, v)
	case shapes.IsBlob(v.Type()):
		return r.blob(i, v)
	case v.Kind() == reflect.Slice:
		return r.list(i, v)
	case v.Kind() == reflect.Map:
		return r.mapping(i, v)
	}
	return r.scalar(i, v)
}

func (r *reader) scalar(i item, v reflect.Value) error {
	switch {
	case v.Kind() == reflect.String && i.major == text:
		s, err := r.text(i)
		v.SetString(s)
		return err
	case v.Kind() == reflect.Bool && i.isBool():
		v.SetBool(i.info == yes)
		return nil
	case v.CanInt() && i.isInteger():
		return r.integer(i, v)
	case v.CanFloat() && (i.isInteger() || i.isFloat()):
		return r.float(i, v)
	}
	return r.mismatch(i, v.Type())
}

func (r *reader) integer(i item, v reflect.Value) error {
	whole, ok := i.integer()
	if !ok || v.OverflowInt(whole) {
		return r.fail("the number is out of the range of %s", shapes.TypeName(v.Type()))
	}
	v.SetInt(whole)
	return nil
}

// float reads a float, or an integer that it holds exactly: Smithy lets a client send either.
func (r *reader) float(i item, v reflect.Value) error {
	number, ok := i.number()
	if !ok || v.OverflowFloat(number) {
		return r.fail("the number is out of the range of %s", shapes.TypeName(v.Type()))
	}
	v.SetFloat(number)
	return nil
}

func (r *reader) time(i item, v reflect.Value) error {
	if i.major != tag || i.argument != epoch {
		return r.mismatch(i, v.Type())
	}
	number, ok := r.head().number()
	if !ok {
		return r.fail("a timestamp is a number of seconds since 1970")
	}
	t, err := shapes.Time(number)
	if err != nil {
		return r.fail("%v", err)
	}
	v.Set(reflect.ValueOf(t))
	return nil
}

func (r *reader) blob(i item, v reflect.Value) error {
	if i.major != blob {
		return r.mismatch(i, v.Type())
	}
	v.SetBytes(r.bytes(i))
	return nil
}

// bytes reads the bytes of a string, which are copied to memory of their own: once, since it is known before how many there are.
func (r *reader) bytes(i item) []byte {
	length, start := int(i.argument), r.at
	if i.info == indefinite {
		length = 0
		for !r.ends() {
			chunk := int(r.head().argument)
			length, r.at = length+chunk, r.at+chunk
		}
		r.at = start
	}
	out := make([]byte, 0, length)
	r.chunks(i, func(chunk []byte) bool {
		out = append(out, chunk...)
		return true
	})
	return out
}

// chunks gives the parts of a string of indefinite length, or the one part of another, until it is told to stop.
func (r *reader) chunks(i item, take func([]byte) bool) bool {
	next := func(length uint64) []byte {
		start := r.at
		r.at += int(length)
		return r.data[start:r.at]
	}
	if i.info != indefinite {
		return take(next(i.argument))
	}
	for !r.ends() {
		if !take(next(r.head().argument)) {
			return false
		}
	}
	return true
}

// text reads text, each part of which is to be UTF-8 by itself.
func (r *reader) text(i item) (string, error) {
	var whole []byte // and not the parts: a body can have a million that are empty
	if !r.chunks(i, func(chunk []byte) bool {
		if whole == nil && i.info != indefinite {
			whole = chunk // which is copied below
		} else {
			whole = append(whole, chunk...)
		}
		return utf8.Valid(chunk)
	}) {
		return "", r.fail("the text is not UTF-8")
	}
	return string(whole), nil
}

// each reads the entries of an array or a map: of as many as there are said to be, or until the end.
func (r *reader) each(i item, read func(n int) error) error {
	for n := 0; i.info == indefinite || uint64(n) < i.argument; n++ {
		if i.info == indefinite && r.ends() {
			return nil
		}
		if err := read(n); err != nil {
			return err
		}
	}
	return nil
}

// allocated is for how many entries there is memory before they are seen.
const allocated = 16

func (r *reader) list(i item, v reflect.Value) error {
	if i.major != array {
		return r.mismatch(i, v.Type())
	}
	out := reflect.MakeSlice(v.Type(), 0, int(min(i.argument, allocated)))
	err := r.each(i, func(n int) error {
		element := reflect.New(v.Type().Elem()).Elem()
		err := r.within(strconv.Itoa(n), func() error { return r.value(r.head(), element) })
		out = reflect.Append(out, element)
		return err
	})
	v.Set(out)
	return err
}

// pairs reads the keys of a map, each of which is text and there once, and has what is behind it read.
func (r *reader) pairs(i item, read func(key string) error) error {
	var seen map[string]struct{} // made at the first key: a million empty maps are a megabyte
	return r.each(i, func(int) error {
		head := r.head()
		if head.major != text {
			return r.fail("a key is %s, and not text", head.name())
		}
		key, err := r.text(head)
		if err != nil {
			return err
		}
		return r.within(key, func() error {
			if _, twice := seen[key]; twice {
				return r.fail("the member is there twice")
			}
			if seen == nil {
				seen = make(map[string]struct{}, min(i.argument, allocated))
			}
			seen[key] = struct{}{}
			return read(key)
		})
	})
}

func (r *reader) mapping(i item, v reflect.Value) error {
	if i.major != mapping {
		return r.mismatch(i, v.Type())
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), int(min(i.argument, allocated))))
	return r.pairs(i, func(name string) error {
		key, element := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		key.SetString(name)
		err := r.value(r.head(), element)
		v.SetMapIndex(key, element)
		return err
	})
}

func (r *reader) structure(i item, v reflect.Value) error {
	if i.major != mapping {
		return r.mismatch(i, v.Type())
	}
	members := shapes.Members(v.Type())
	return r.pairs(i, func(name string) error {
		for _, m := range members {
			if m.Name == name {
				head := r.head()
				if head.isNull() {
					return nil // absent
				}
				return r.value(head, v.Field(m.Field))
			}
		}
		return r.skip(r.head())
	})
}

// skip passes over what no member is called: it is held to the grammar, and nothing is made of it.
func (r *reader) skip(i item) error {
	switch i.major {
	case blob:
		r.chunks(i, func([]byte) bool { return true })
	case text:
		if !r.chunks(i, utf8.Valid) {
			return r.fail("the text is not UTF-8")
		}
	case array:
		return r.each(i, func(int) error { return r.skip(r.head()) })
	case mapping:
		return r.pairs(i, func(string) error { return r.skip(r.head()) })
	case tag:
		return r.skip(r.head())
	}
	return nil
}
