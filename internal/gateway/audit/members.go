package audit

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"strongroom.dev/strongroom/internal/gateway/limits"
	"strongroom.dev/strongroom/internal/gateway/limits/table"
)

// Hidden stands in the place of a value that nothing may show: CloudTrail's own word.
const Hidden = "HIDDEN_DUE_TO_SECURITY_REASONS"

// Members is a request's input or an answer's output, and how it is written.
type Members struct {
	// Value is a pointer to the SDK's struct, nil for null.
	Value any
	// Plan of the struct.
	Plan *Plan
}

// append appends the member of the record: null if there is no value.
func (m Members) append(dst []byte, name string) []byte {
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	if m.Value == nil || m.Plan == nil {
		return append(dst, "null"...)
	}
	start := len(dst)
	dst = m.Plan.append(dst, reflect.ValueOf(m.Value))
	if size := len(dst) - start; size > MaximumParameters {
		dst = append(dst[:start], `{"omitted":true,"originalSize":`...)
		dst = strconv.AppendInt(dst, int64(size), 10)
		dst = append(dst, `,"reason":"`...)
		dst = append(dst, name...)
		dst = append(dst, ` too large"}`...)
	}
	return dst
}

// Plan is how a struct of the SDK's is written into records: which members there are, and which are hidden.
type Plan struct {
	// write appends the value, which is no pointer.
	write  func(dst []byte, v reflect.Value) []byte
	fields []field
	hidden bool
}

type field struct {
	key   []byte // the name in lower camel case, quoted, with a colon
	index int
	plan  *Plan
}

// planning are the structures whose plans are being made: a shape may hold itself.
type planning map[planKey]*Plan

type planKey struct {
	shape *limits.Shape
	typ   reflect.Type
}

// PlanOf makes the Plan of a shape that is held by a Go type, which must have a field for each of its members.
func PlanOf(shape *limits.Shape, typ reflect.Type) (*Plan, error) {
	return planning{}.plan(shape, typ, false)
}

func (made planning) plan(shape *limits.Shape, typ reflect.Type, hidden bool) (*Plan, error) {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if hidden || shape.Type == table.Blob || shape.Union { // unions hold filters, which no audit needs
		return &Plan{hidden: true}, nil
	}
	key := planKey{shape, typ}
	if known := made[key]; known != nil {
		return known, nil
	}
	p := &Plan{}
	made[key] = p
	return p, made.fill(p, shape, typ)
}

func (made planning) fill(p *Plan, shape *limits.Shape, typ reflect.Type) (err error) {
	switch shape.Type {
	case table.Structure:
		p.write = p.structure
		p.fields, err = made.fields(shape, typ)
	case table.List:
		var element *Plan
		element, err = made.plan(shape.Element.Shape, typ.Elem(), shape.Element.Sensitive)
		p.write = func(dst []byte, v reflect.Value) []byte { return list(dst, v, element) }
	case table.Map:
		var value *Plan
		value, err = made.plan(shape.Value.Shape, typ.Elem(), shape.Value.Sensitive || shape.Key.Sensitive)
		if shape.Key.Sensitive {
			p.hidden = true
		}
		p.write = func(dst []byte, v reflect.Value) []byte { return mapping(dst, v, value) }
	case table.Timestamp:
		p.write = func(dst []byte, v reflect.Value) []byte {
			return append(v.Interface().(time.Time).UTC().AppendFormat(append(dst, '"'), time.RFC3339), '"')
		}
	case table.Boolean:
		p.write = func(dst []byte, v reflect.Value) []byte { return strconv.AppendBool(dst, v.Bool()) }
	case table.Integer, table.Long:
		p.write = func(dst []byte, v reflect.Value) []byte { return strconv.AppendInt(dst, v.Int(), 10) }
	case table.Float, table.Double:
		p.write = func(dst []byte, v reflect.Value) []byte { return strconv.AppendFloat(dst, v.Float(), 'g', -1, 64) }
	default:
		p.write = func(dst []byte, v reflect.Value) []byte { return value(dst, v.String()) }
	}
	return err
}

// memberName is how CloudTrail writes a member: with a small first letter, as in aWSAccountId of KMS, but for the ARN of Secrets
// Manager, which is arn.
func memberName(name string) string {
	if name == "ARN" {
		return "arn"
	}
	return strings.ToLower(name[:1]) + name[1:]
}

func (made planning) fields(shape *limits.Shape, typ reflect.Type) (fields []field, err error) {
	for _, m := range shape.Members {
		name := strings.ToUpper(m.Name[:1]) + m.Name[1:]
		f, ok := typ.FieldByName(name)
		if !ok {
			return nil, fmt.Errorf("%s has no field for member %s of %s", typ, m.Name, shape.Name)
		}
		plan, err := made.plan(m.Shape, f.Type, m.Sensitive)
		if err != nil {
			return nil, err
		}
		key := quote(nil, memberName(m.Name))
		fields = append(fields, field{key: append(key, ':'), index: f.Index[0], plan: plan})
	}
	return fields, nil
}

// append appends the value, which may be a pointer.
func (p *Plan) append(dst []byte, v reflect.Value) []byte {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if p.hidden {
		return append(dst, `"`+Hidden+`"`...)
	}
	return p.write(dst, v)
}

func (p *Plan) structure(dst []byte, v reflect.Value) []byte {
	dst = append(dst, '{')
	first := true
	for i := range p.fields {
		f := &p.fields[i]
		member := v.Field(f.index)
		if absent(member) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = f.plan.append(append(dst, f.key...), member)
	}
	return append(dst, '}')
}

// absent are nil pointers, lists and maps, and zero values of what has no pointer: an audit need not tell those from others.
func absent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return v.IsNil()
	}
	return v.IsZero()
}

func list(dst []byte, v reflect.Value, element *Plan) []byte {
	dst = append(dst, '[')
	for i := range v.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = element.append(dst, v.Index(i))
	}
	return append(dst, ']')
}

// mapping writes entries in the map's own order: a record is read by machines.
func mapping(dst []byte, v reflect.Value, held *Plan) []byte {
	dst = append(dst, '{')
	for i, entries := 0, v.MapRange(); entries.Next(); i++ {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(value(dst, entries.Key().String()), ':')
		dst = held.append(dst, entries.Value())
	}
	return append(dst, '}')
}

// value is a parameter's text, whole up to the limit of all parameters together.
func value(dst []byte, s string) []byte {
	return quoteWhole(dst, s[:min(len(s), MaximumParameters+1)])
}
