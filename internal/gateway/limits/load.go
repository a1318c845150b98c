package limits

import (
	"cmp"
	"fmt"

	"strongroom.dev/strongroom/internal/gateway/limits/table"
)

func load(name string) (*Service, error) {
	data, err := tables.ReadFile("tables/" + name + ".json")
	if err != nil {
		return nil, err
	}
	t, err := table.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("the table of limits of %s: %w", name, err)
	}
	return resolve(t), nil
}

// resolve turns the names of a table, which has been validated, into pointers.
func resolve(t *table.Table) *Service {
	s := &Service{
		Header: t.Header, operations: make(map[string]*Operation, len(t.Operations)),
		shapes: make(map[string]*Shape, len(t.Shapes)), errors: make(map[string]*Error, len(t.Errors)),
	}
	for name := range t.Shapes {
		s.shapes[name] = &Shape{Name: name}
	}
	for name, from := range t.Shapes {
		s.fill(s.shapes[name], t, &from)
	}
	for name, e := range t.Errors {
		s.errors[name] = &Error{Shape: name, Code: e.Code, Status: e.Status, Fault: e.Fault, Message: e.Message}
	}
	for name, from := range t.Operations {
		o := &Operation{
			Service: s, Name: name, Input: s.structure(from.Input), Output: s.structure(from.Output),
			ResultWrapper: from.ResultWrapper, Unsigned: from.Unsigned, Idempotent: from.Idempotent, ReadOnly: from.ReadOnly,
		}
		for _, e := range from.Errors {
			o.Errors = append(o.Errors, s.errors[e])
		}
		s.operations[name] = o
	}
	return s
}

// structure is the shape of that name, or one without members.
func (s *Service) structure(name string) *Shape {
	if name == "" {
		return &Shape{Type: table.Structure}
	}
	return s.shapes[name]
}

func (s *Service) fill(to *Shape, t *table.Table, from *table.Shape) {
	to.Type, to.Min, to.Max = from.Type, from.Min, from.Max
	to.Pattern, to.Enum, to.TimestampFormat, to.Union = from.Pattern, from.Enum, from.TimestampFormat, from.Union
	for _, e := range from.Expressions {
		to.expressions = append(to.expressions, newExpression(e))
	}
	for i := range from.Members {
		m := s.member(t, &from.Members[i], from.Members[i].Name)
		_, also := alsoSensitive[s.Service+":"+to.Name+"."+m.Name]
		m.Sensitive = m.Sensitive || also
		to.Members = append(to.Members, m)
	}
	to.Element, to.Key, to.Value = s.member(t, from.Element, "member"), s.member(t, from.Key, "key"), s.member(t, from.Value, "value")
}

func (s *Service) member(t *table.Table, from *table.Member, wire string) *Member {
	if from == nil {
		return nil
	}
	_, also := alsoSensitive[s.Service+":"+from.Shape]
	return &Member{
		Name: from.Name, Wire: cmp.Or(from.Wire, wire), Shape: s.shapes[from.Shape],
		Required: from.Required, Sensitive: from.Sensitive || t.Shapes[from.Shape].Sensitive || also,
		Flattened: from.Flattened, IdempotencyToken: from.IdempotencyToken, Deprecated: from.Deprecated,
		TimestampFormat: from.TimestampFormat,
	}
}
