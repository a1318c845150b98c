package shapes

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// Format is how a protocol writes values, each appended to what was written before.
type Format interface {
	AppendNull(dst []byte) []byte
	AppendBool(dst []byte, v bool) []byte
	AppendInt(dst []byte, v int64) []byte
	AppendFloat(dst []byte, v float64) []byte
	// AppendString writes text that may not be UTF-8, as whatever the protocol has for it.
	AppendString(dst []byte, v string) []byte
	AppendBlob(dst []byte, v []byte) []byte
	AppendTime(dst []byte, v time.Time) []byte

	// OpenMap begins a map or a structure of n entries, and OpenList a list. The entries follow, with Next between two; those of a
	// map with a Key each.
	OpenMap(dst []byte, n int) []byte
	OpenList(dst []byte, n int) []byte
	Next(dst []byte) []byte
	AppendKey(dst []byte, name string) []byte
	CloseMap(dst []byte) []byte
	CloseList(dst []byte) []byte

	// Compare is the order of a map's keys.
	Compare(a, b string) int
	// SortsMembers says that structures have their members in that order too, and not in the model's.
	SortsMembers() bool
}

// Encoder writes the SDK's structs in a Format.
type Encoder struct {
	format Format
	plans  sync.Map // of reflect.Type to *plan
}

// NewEncoder makes an Encoder.
func NewEncoder(f Format) *Encoder { return &Encoder{format: f} }

// Append appends an output struct, or a pointer to one. A nil pointer is a structure without members.
func (e *Encoder) Append(dst []byte, output any) []byte {
	v := reflect.ValueOf(output)
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return e.format.CloseMap(e.format.OpenMap(dst, 0))
		}
		v = v.Elem()
	}
	return e.planOf(v.Type()).append(dst, v)
}

// AppendError appends an error: its type, its message under the service's own key (message or Message) if there is one, and the
// members of its shape, if the error is a struct of the SDK's.
func (e *Encoder) AppendError(dst []byte, code, messageKey, message string, shape any) []byte {
	entries := []entry{e.text("__type", code)}
	if message != "" {
		entries = append(entries, e.text(messageKey, message))
	}
	v := reflect.ValueOf(shape)
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() == reflect.Struct {
		for _, m := range Members(v.Type()) {
			if field := v.Field(m.Field); m.Name != "Message" && m.Name != "ErrorCodeOverride" && !Absent(field) {
				entries = append(entries, entry{m.Name, field})
			}
		}
	}
	if e.format.SortsMembers() {
		slices.SortFunc(entries, func(a, b entry) int { return e.format.Compare(a.name, b.name) })
	}
	dst = e.format.OpenMap(dst, len(entries))
	for i, entry := range entries {
		if i > 0 {
			dst = e.format.Next(dst)
		}
		dst = e.format.AppendKey(dst, entry.name)
		dst = e.planOf(entry.value.Type()).append(dst, entry.value)
	}
	return e.format.CloseMap(dst)
}

// entry is one of an error's.
type entry struct {
	name  string
	value reflect.Value
}

func (e *Encoder) text(name, value string) entry { return entry{name, reflect.ValueOf(value)} }

// plan is how values of one type are written. It is worked out once a type.
type plan struct {
	append func(dst []byte, v reflect.Value) []byte
}

// planOf may work a plan out twice at once: the results are alike. Types that contain themselves end by the plan's own look-up
// at the time of writing.
func (e *Encoder) planOf(t reflect.Type) *plan {
	if known, ok := e.plans.Load(t); ok {
		return known.(*plan)
	}
	made := &plan{append: e.newPlan(t)}
	e.plans.Store(t, made)
	return made
}

func (e *Encoder) newPlan(t reflect.Type) func([]byte, reflect.Value) []byte {
	f := e.format
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface:
		return e.newReference()
	case reflect.Slice:
		if IsBlob(t) {
			return func(dst []byte, v reflect.Value) []byte { return f.AppendBlob(dst, v.Bytes()) }
		}
		return e.appendList
	case reflect.Map:
		return e.appendMap
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return func(dst []byte, v reflect.Value) []byte { return f.AppendTime(dst, v.Interface().(time.Time)) }
		}
		return e.newStruct(t)
	case reflect.String:
		return func(dst []byte, v reflect.Value) []byte { return f.AppendString(dst, v.String()) }
	case reflect.Bool:
		return func(dst []byte, v reflect.Value) []byte { return f.AppendBool(dst, v.Bool()) }
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Int:
		return func(dst []byte, v reflect.Value) []byte { return f.AppendInt(dst, v.Int()) }
	case reflect.Float32, reflect.Float64:
		return func(dst []byte, v reflect.Value) []byte { return f.AppendFloat(dst, v.Float()) }
	}
	panic(fmt.Sprintf("shapes: no shape is a %s", t)) // no output struct of a served operation has one: a test encodes them all
}

// newReference writes what is pointed to, or null within a list or a map: a member that is nil is absent.
func (e *Encoder) newReference() func([]byte, reflect.Value) []byte {
	return func(dst []byte, v reflect.Value) []byte {
		for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
			if v.IsNil() {
				return e.format.AppendNull(dst)
			}
			v = v.Elem()
		}
		return e.planOf(v.Type()).append(dst, v)
	}
}

// planned is a member with all that can be known of it before there is a value.
type planned struct {
	field int
	key   []byte
	plan  *plan
}

func (e *Encoder) newStruct(t reflect.Type) func([]byte, reflect.Value) []byte {
	members := sync.OnceValue(func() []planned { return e.plan(t) }) // at the first value: a type may hold itself
	return func(dst []byte, v reflect.Value) []byte {
		present, all := 0, members()
		for i := range all {
			if !Absent(v.Field(all[i].field)) {
				present++
			}
		}
		dst = e.format.OpenMap(dst, present)
		some := false
		for i := range all {
			field := v.Field(all[i].field)
			if Absent(field) {
				continue
			}
			if some {
				dst = e.format.Next(dst)
			}
			some = true
			dst = append(dst, all[i].key...)
			dst = all[i].plan.append(dst, field)
		}
		return e.format.CloseMap(dst)
	}
}

func (e *Encoder) plan(t reflect.Type) []planned {
	list := slices.Clone(Members(t))
	if e.format.SortsMembers() {
		slices.SortFunc(list, func(a, b Member) int { return e.format.Compare(a.Name, b.Name) })
	}
	out := make([]planned, 0, len(list))
	for _, m := range list {
		out = append(out, planned{m.Field, e.format.AppendKey(nil, m.Name), e.planOf(m.Type)})
	}
	return out
}

func (e *Encoder) appendList(dst []byte, v reflect.Value) []byte {
	p := e.planOf(v.Type().Elem())
	dst = e.format.OpenList(dst, v.Len())
	for i := range v.Len() {
		if i > 0 {
			dst = e.format.Next(dst)
		}
		dst = p.append(dst, v.Index(i))
	}
	return e.format.CloseList(dst)
}

func (e *Encoder) appendMap(dst []byte, v reflect.Value) []byte {
	p := e.planOf(v.Type().Elem())
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return e.format.Compare(a.String(), b.String()) })
	dst = e.format.OpenMap(dst, len(keys))
	for i, key := range keys {
		if i > 0 {
			dst = e.format.Next(dst)
		}
		dst = e.format.AppendKey(dst, key.String())
		dst = p.append(dst, v.MapIndex(key))
	}
	return e.format.CloseMap(dst)
}

// Alphabetical is an order for Format.Compare.
func Alphabetical(a, b string) int { return strings.Compare(a, b) }
