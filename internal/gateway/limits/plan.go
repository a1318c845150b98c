package limits

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"strongroom.dev/strongroom/internal/gateway/limits/table"
)

// plan is how one shape is checked in one Go type. It leaves out what has no constraint, and names fields by index.
type plan struct {
	shape   *Shape
	kind    kind
	typ     reflect.Type
	pointer bool // the value is behind a pointer
	hidden  bool // the value, or what it is in, is sensitive
	written bool // an error may show the value: not hidden, and of text and numbers alone
	fields  []field
	held    *plan // of a list's element, or a map's value; nil if there is nothing to check
	key     *plan // of a map's key; nil if there is nothing to check
}

// kind is what the check of a value has to tell apart.
type kind uint8

const (
	text kind = iota
	number
	bytes
	list
	mapping
	structure
	union
	free // has no constraint: booleans, timestamps
)

// field is one member of a structure.
type field struct {
	name     string // in a path
	index    int
	required bool
	plan     *plan // nil if only its presence is checked
}

// newer are the fields that the SDK's structs have and the models, which are older, have not. Nothing is checked of them,
// as the service of the model's day would pass over a member that it doesn't know. A model that has one will fail the
// test of this list.
var newer = map[string]bool{
	"sts.AssumeRoleInput.MinimumSessionTokenSize":                true,
	"sts.AssumeRoleWithSAMLInput.MinimumSessionTokenSize":        true,
	"sts.AssumeRoleWithWebIdentityInput.MinimumSessionTokenSize": true,
	"sts.AssumeRootInput.MinimumSessionTokenSize":                true,
	"sts.GetFederationTokenInput.MinimumSessionTokenSize":        true,
	"sts.GetSessionTokenInput.MinimumSessionTokenSize":           true,

	"sts.AssumeRoleOutput.SessionTokenSize":                       true,
	"sts.AssumeRoleOutput.SessionTokenUtilization":                true,
	"sts.AssumeRoleWithSAMLOutput.SessionTokenSize":               true,
	"sts.AssumeRoleWithSAMLOutput.SessionTokenUtilization":        true,
	"sts.AssumeRoleWithWebIdentityOutput.SessionTokenSize":        true,
	"sts.AssumeRoleWithWebIdentityOutput.SessionTokenUtilization": true,
	"sts.AssumeRootOutput.SessionTokenSize":                       true,
	"sts.AssumeRootOutput.SessionTokenUtilization":                true,
	"sts.GetFederationTokenOutput.SessionTokenSize":               true,
	"sts.GetFederationTokenOutput.SessionTokenUtilization":        true,
	"sts.GetSessionTokenOutput.SessionTokenSize":                  true,
	"sts.GetSessionTokenOutput.SessionTokenUtilization":           true,
	"types.Role.SourceRoleTemplate":                               true,
	"types.CertificateOptions.ValidationMethod":                   true,
	"types.CertificateDetail.UpdateSummary":                       true,
	"ssm.DeleteResourcePolicyInput.DeletionMode":                  true, // of documents alone
}

// compiler makes plans. Shapes may name themselves, so a plan is found again before it is complete.
type compiler struct {
	made map[planKey]*plan
}

type planKey struct {
	shape  *Shape
	typ    reflect.Type
	hidden bool
}

// compile makes the plan of a type, or says what in the type doesn't fit the shape: a field that the table doesn't know
// would go unchecked, and a member without a field would be lost.
func (c *compiler) compile(s *Shape, typ reflect.Type, hidden bool) (*plan, error) {
	key := planKey{s, typ, hidden}
	if p, ok := c.made[key]; ok {
		return p, nil
	}
	p := &plan{shape: s, typ: typ, hidden: hidden}
	c.made[key] = p
	if typ.Kind() == reflect.Pointer {
		p.pointer, typ = true, typ.Elem()
	}
	var ok bool
	if p.kind, ok = kindOf(s, typ); !ok {
		return nil, fmt.Errorf("shape %s (%s) is not a %s", s.Name, s.Type, typ)
	}
	var err error
	switch p.kind {
	case structure:
		p.fields, err = c.fields(s, typ, hidden)
	case text, number:
		p.written = !hidden
	case list:
		if p.held, err = c.compile(s.Element.Shape, typ.Elem(), hidden || s.Element.Sensitive); err == nil {
			p.written = !hidden && p.held.written
		}
	case mapping:
		err = c.mapping(p, typ)
	}
	return p, err
}

func (c *compiler) mapping(p *plan, typ reflect.Type) (err error) {
	s := p.shape
	if p.key, err = c.compile(s.Key.Shape, typ.Key(), p.hidden || s.Key.Sensitive); err != nil {
		return err
	}
	if p.held, err = c.compile(s.Value.Shape, typ.Elem(), p.hidden || s.Value.Sensitive); err != nil {
		return err
	}
	p.written = !p.hidden && p.key.written && p.held.written
	return nil
}

// holder is what a type of shape is, and which Go types can hold it.
type holder struct {
	kind kind
	fits func(reflect.Type) bool
}

func ofKinds(kinds ...reflect.Kind) func(reflect.Type) bool {
	return func(typ reflect.Type) bool { return slices.Contains(kinds, typ.Kind()) }
}

// holders has every type but structures. What is free must have no constraint.
var holders = map[string]holder{
	table.String:    {text, ofKinds(reflect.String)},
	table.Integer:   {number, ofKinds(reflect.Int32, reflect.Int64)},
	table.Long:      {number, ofKinds(reflect.Int32, reflect.Int64)},
	table.Float:     {free, ofKinds(reflect.Float32, reflect.Float64)},
	table.Double:    {free, ofKinds(reflect.Float32, reflect.Float64)},
	table.Boolean:   {free, ofKinds(reflect.Bool)},
	table.Timestamp: {free, func(typ reflect.Type) bool { return typ == reflect.TypeFor[time.Time]() }},
	table.Blob:      {bytes, func(typ reflect.Type) bool { return typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Uint8 }},
	table.List:      {list, ofKinds(reflect.Slice)},
	table.Map:       {mapping, func(typ reflect.Type) bool { return typ.Kind() == reflect.Map && typ.Key().Kind() == reflect.String }},
}

// kindOf is what the shape is, if the Go type can hold it.
func kindOf(s *Shape, typ reflect.Type) (kind, bool) {
	if h, ok := holders[s.Type]; ok {
		return h.kind, h.fits(typ) && (h.kind != free || !s.constrained())
	}
	if s.Union {
		return union, typ.Kind() == reflect.Interface
	}
	return structure, typ.Kind() == reflect.Struct
}

// fields are a structure's, in the order of the shape's members.
func (c *compiler) fields(s *Shape, typ reflect.Type, hidden bool) ([]field, error) {
	known := map[string]bool{}
	var fields []field
	for _, m := range s.Members {
		name := strings.ToUpper(m.Name[:1]) + m.Name[1:]
		known[name] = true
		f, ok := typ.FieldByName(name)
		if !ok {
			return nil, fmt.Errorf("%s has no field for member %s of %s", typ, m.Name, s.Name)
		}
		p, err := c.compile(m.Shape, f.Type, hidden || m.Sensitive)
		if err != nil {
			return nil, fmt.Errorf("%s of %s: %w", m.Name, s.Name, err)
		}
		fields = append(fields, field{name: lowerFirst(m.Name), index: f.Index[0], required: m.Required, plan: p})
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.IsExported() && f.Name != "ResultMetadata" && !known[f.Name] && !newer[typ.String()+"."+f.Name] {
			return nil, fmt.Errorf("field %s of %s is no member of %s", f.Name, typ, s.Name)
		}
	}
	return fields, nil
}

// prune takes away what cannot fail. A plan that is being looked at again counts as one that can.
func (p *plan) prune(seen map[*plan]bool) (needed bool) {
	if known, ok := seen[p]; ok {
		return known
	}
	seen[p] = true
	for i := range p.fields {
		if !p.fields[i].plan.prune(seen) {
			p.fields[i].plan = nil
		}
	}
	p.fields = slices.DeleteFunc(p.fields, func(f field) bool { return f.plan == nil && !f.required })
	if p.held != nil && !p.held.prune(seen) {
		p.held = nil
	}
	if p.key != nil && !p.key.prune(seen) {
		p.key = nil
	}
	seen[p] = p.shape.constrained() || len(p.fields) > 0 || p.held != nil || p.key != nil || p.kind == union
	return seen[p]
}

// compile is a pruned plan.
func compile(s *Shape, typ reflect.Type, hidden bool) (*plan, error) {
	c := compiler{made: map[planKey]*plan{}}
	p, err := c.compile(s, typ, hidden)
	if err != nil {
		return nil, err
	}
	p.prune(map[*plan]bool{})
	return p, nil
}
