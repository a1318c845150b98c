package limits

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// Fits says whether the input, a pointer to the SDK's input struct, has exactly the members that the table has. It is
// for the start of a program: Check panics where Fits gives an error.
func (o *Operation) Fits(input any) error {
	_, err := o.plan(reflect.ValueOf(input))
	return err
}

// Check looks at every member of a request, given as a pointer to the SDK's input struct, and gives what is wrong with
// it: nil, or at most MaximumViolations. It panics with what Fits says if the input isn't the operation's.
//
// A nil pointer, list, map or blob is a member that isn't there, and so is an empty string where the SDK has an enum
// without a pointer: the struct doesn't tell it from one that was sent. A number or boolean without a pointer is always
// there if it is required, and isn't there if it is 0 and not required.
func (o *Operation) Check(input any) Violations {
	v := reflect.ValueOf(input)
	p, err := o.plan(v)
	if err != nil {
		panic(err)
	}
	c := check{query: o.Service.Protocol == "query"}
	c.segments = c.space[:0]
	c.structure(p, v.Elem())
	return c.found
}

func (o *Operation) plan(v reflect.Value) (*plan, error) {
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return nil, fmt.Errorf("the input of %s is a %s, not a pointer to a struct", o.Name, v.Kind())
	}
	typ := v.Type().Elem()
	if p := o.checked.Load(); p != nil && p.typ == typ {
		return p, nil
	}
	p, err := compile(o.Input, typ, false)
	if err != nil {
		return nil, fmt.Errorf("the input of %s: %w", o.Name, err)
	}
	o.checked.Store(p)
	return p, nil
}

// check is one walk over a request.
type check struct {
	found    Violations
	query    bool // the service has protocol query
	segments []segment
	space    [8]segment // of segments, so that a path costs no allocation
}

// segment is a step of a path: a name, or the number of an entry.
type segment struct {
	name  string
	entry int // from 1; 0 for a name
}

func (c *check) full() bool { return len(c.found) >= MaximumViolations }

func (c *check) structure(p *plan, v reflect.Value) {
	for i := range p.fields {
		f := &p.fields[i]
		c.segments = append(c.segments, segment{name: f.name})
		if field := v.Field(f.index); !absent(field, f.required) {
			if f.plan != nil {
				c.value(f.plan, field)
			}
		} else if f.required {
			c.fail(Violation{Null: true}, notNull)
		}
		c.segments = c.segments[:len(c.segments)-1]
		if c.full() {
			return
		}
	}
}

// absent says whether the member wasn't sent.
func absent(v reflect.Value, required bool) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return v.IsNil()
	case reflect.String:
		return v.Len() == 0
	}
	return !required && v.IsZero()
}

func (c *check) value(p *plan, v reflect.Value) {
	if p.pointer {
		if v.IsNil() { // an entry of a list; members have been looked at
			c.fail(Violation{Null: true}, notNull)
			return
		}
		v = v.Elem()
	}
	switch p.kind {
	case structure:
		c.structure(p, v)
	case union:
		c.union(p, v)
	case list:
		c.entries(p, v)
	case mapping:
		c.mapping(p, v)
	default:
		for _, constraint := range p.shape.failed(p.scalar(v)) {
			c.fail(p.showing(v), constraint)
		}
	}
}

// scalar is the value as constraints see it.
func (p *plan) scalar(v reflect.Value) scalar {
	switch p.kind {
	case text:
		s := v.String()
		return scalar{text: s, size: int64(len(s))}
	case number:
		return scalar{size: v.Int()}
	case free, union, structure:
		return scalar{}
	}
	return scalar{size: int64(v.Len())}
}

// entries checks a list. What is wrong with entries that are no structures is said of the list, once.
func (c *check) entries(p *plan, v reflect.Value) {
	for _, constraint := range p.shape.failed(p.scalar(v)) {
		c.fail(p.showing(v), constraint)
	}
	if p.held == nil {
		return
	}
	for i := range v.Len() {
		if p.held.kind > bytes {
			c.segments = append(c.segments, segment{entry: i + 1}, segment{name: "member"})
			c.value(p.held, v.Index(i))
			c.segments = c.segments[:len(c.segments)-2]
		} else if p.held.fails(v.Index(i)) {
			c.fail(p.showing(v), "Member must satisfy constraint: "+p.held.shape.all(c.query))
			return
		}
		if c.full() {
			return
		}
	}
}

func (p *plan) fails(v reflect.Value) bool {
	if p.pointer {
		if v.IsNil() {
			return true
		}
		v = v.Elem()
	}
	return p.shape.failed(p.scalar(v)) != nil
}

// mapping checks a map. What is wrong with keys, and with values that are no structures, is said of the map, once: AWS's
// texts are those of DynamoDB (dynalite's tests) and Lambda (localstack's provider).
func (c *check) mapping(p *plan, v reflect.Value) {
	for _, constraint := range p.shape.failed(p.scalar(v)) {
		c.fail(p.showing(v), constraint)
	}
	var key, value bool
	for _, k := range sortedKeys(v) {
		key = key || p.key != nil && p.key.fails(k)
		if p.held == nil {
			continue
		}
		if p.held.kind > bytes {
			c.segments = append(c.segments, segment{name: shown(k.String())}, segment{name: "member"})
			c.value(p.held, v.MapIndex(k))
			c.segments = c.segments[:len(c.segments)-2]
		} else {
			value = value || p.held.fails(v.MapIndex(k))
		}
		if c.full() {
			return
		}
	}
	if key {
		c.fail(p.showing(v), "Map keys must satisfy constraint: "+p.key.shape.all(c.query))
	}
	if value {
		c.fail(p.showing(v), "Map value must satisfy constraint: "+p.held.shape.all(c.query))
	}
}

// unions are the plans of unions' variants, by their Go type: an interface doesn't tell which types it has.
var unions sync.Map // planKey to *plan

// union checks the one member that is set: AcmCertificateMetadataFilterMemberStatus{Value}, behind an interface.
func (c *check) union(p *plan, v reflect.Value) {
	v = reflect.Indirect(v.Elem())
	_, name, _ := strings.Cut(v.Type().Name(), p.typ.Name()+"Member")
	for _, m := range p.shape.Members {
		if name == "" || lowerFirst(m.Name) != lowerFirst(name) {
			continue
		}
		key := planKey{m.Shape, v.Field(0).Type(), p.hidden || m.Sensitive}
		made, ok := unions.Load(key)
		if !ok {
			compiled, err := compile(key.shape, key.typ, key.hidden)
			if err != nil {
				panic(fmt.Errorf("member %s of %s: %w", m.Name, p.shape.Name, err))
			}
			made, _ = unions.LoadOrStore(key, compiled)
		}
		c.segments = append(c.segments, segment{name: lowerFirst(m.Name)})
		c.value(made.(*plan), v.Field(0))
		c.segments = c.segments[:len(c.segments)-1]
		return
	}
	c.fail(Violation{Null: true}, notNull) // none of the members that the service knows
}

func (c *check) fail(v Violation, constraint string) {
	if c.full() {
		return
	}
	v.Path, v.Constraint = c.path(), constraint
	c.found = append(c.found, v)
}

func (c *check) path() string {
	var b strings.Builder
	for i, s := range c.segments {
		if i > 0 {
			b.WriteByte('.')
		}
		if s.entry > 0 {
			b.WriteString(strconv.Itoa(s.entry))
		} else {
			b.WriteString(s.name)
		}
	}
	return b.String()
}
