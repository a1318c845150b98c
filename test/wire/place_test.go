package wire_test

import (
	"maps"
	"strings"

	"strongroom.dev/strongroom/internal/gateway/limits"
	"strongroom.dev/strongroom/internal/gateway/limits/table"
)

// place is a member of an operation's input, at any depth.
type place struct {
	path     string // as AWS's errors name it
	shape    *limits.Shape
	hidden   bool // it, or something that it is in, is sensitive
	required bool
	// entry says that it is in a list or a map, whose error tells of it, and which is found at path.
	entry, key bool
	around     *limits.Shape
	// request is a whole input with the value in this place; absent leaves it out.
	request func(value any) any
	// shown is what the list or map around an entry shows for the value.
	shown func(value any) any
}

// absent stands for a member that is not sent.
type absent struct{}

// places are those of an operation's input. A shape that holds itself is gone into once.
func places(op *limits.Operation) (all []place) {
	root := place{shape: op.Input, request: func(v any) any { return v }}
	walk(root, map[*limits.Shape]bool{}, func(p place) { all = append(all, p) })
	return all
}

func walk(p place, within map[*limits.Shape]bool, visit func(place)) {
	if within[p.shape] {
		return
	}
	within[p.shape] = true
	defer delete(within, p.shape)
	switch p.shape.Type {
	case table.Structure:
		for _, m := range p.shape.Members {
			inner := member(p, m)
			visit(inner)
			walk(inner, within, visit)
		}
	case table.List:
		inner := element(p)
		if inner.shape.Type == table.Structure || inner.shape.Type == table.List {
			inner.path += ".1.member"
			walk(inner, within, visit)
		} else {
			inner.entry = true
			visit(inner)
		}
	case table.Map:
		for _, key := range []bool{true, false} {
			visit(mapEntry(p, key))
		}
	}
}

func member(p place, m *limits.Member) place {
	return place{
		path: strings.TrimPrefix(p.path+"."+strings.ToLower(m.Name[:1])+m.Name[1:], "."), shape: m.Shape,
		hidden: p.hidden || m.Sensitive, required: m.Required,
		request: func(v any) any {
			object := valid(p.shape).(map[string]any)
			delete(object, m.Wire)
			if v != (absent{}) {
				object[m.Wire] = v
			}
			return p.request(object)
		},
	}
}

func element(p place) place {
	around := func(v any) any { return append(entries(p.shape, least(p.shape)-1), v) }
	return place{
		path: p.path, shape: p.shape.Element.Shape, hidden: p.hidden || p.shape.Element.Sensitive, around: p.shape,
		request: func(v any) any { return p.request(reversed(around(v).([]any))) }, shown: func(v any) any { return reversed(around(v).([]any)) },
	}
}

// reversed has the value that is tried first.
func reversed(list []any) []any {
	list[0], list[len(list)-1] = list[len(list)-1], list[0]
	return list
}

func mapEntry(p place, key bool) place {
	of, other := p.shape.Value, p.shape.Key
	if key {
		of, other = other, of
	}
	around := func(v any) any {
		if key {
			return map[string]any{v.(string): valid(other.Shape)}
		}
		return map[string]any{valid(other.Shape).(string): v}
	}
	return place{
		path: p.path, shape: of.Shape, hidden: p.hidden || of.Sensitive || other.Sensitive, entry: true, key: key, around: p.shape,
		request: func(v any) any { return p.request(around(v)) }, shown: around,
	}
}

// valid is a value that fits the shape: of a structure, one with the required members alone.
func valid(s *limits.Shape) any {
	switch s.Type {
	case table.Structure:
		object := map[string]any{}
		for _, m := range s.Members {
			if m.Required {
				object[m.Wire] = valid(m.Shape)
			}
		}
		if len(object) == 0 && len(s.Members) > 0 && scalar(s.Members[0].Shape) {
			object[s.Members[0].Wire] = valid(s.Members[0].Shape) // a query cannot tell an empty structure from none
		}
		return object
	case table.List:
		return entries(s, least(s))
	case table.Map:
		return sized(s, least(s))
	case table.Boolean:
		return true
	case table.Timestamp:
		return 1.7e9
	case table.Float, table.Double:
		return 1.5
	}
	for n := least(s); ; n++ {
		if v := sized(s, n); len(failures(s, v)) == 0 {
			return v
		} else if n > least(s)+256 {
			panic("no value fits " + s.Name)
		}
	}
}

func scalar(s *limits.Shape) bool {
	return s.Type != table.Structure && s.Type != table.List && s.Type != table.Map
}

// least is the smallest size that is not nothing.
func least(s *limits.Shape) int64 {
	if s.Min != nil && *s.Min > 1 {
		return *s.Min
	}
	return 1
}

func entries(s *limits.Shape, n int64) []any {
	list := []any{}
	for range n {
		list = append(list, valid(s.Element.Shape))
	}
	return list
}

// merged is for maps of many entries.
func merged(into, more map[string]any) map[string]any {
	maps.Copy(into, more)
	return into
}
