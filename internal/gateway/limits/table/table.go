// Package table is the format of the tables of limits: what AWS's model of a service says that a gateway needs, and no
// more. hack/awslimits writes them out of the models, package limits reads them. A table is JSON with one operation,
// shape or error a line, in the order of names, so that two versions of it can be compared line by line.
package table

import (
	"bytes"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Format is the version of the format that this package writes, and the only one that it reads.
const Format = 1

// MaximumSize is how many bytes a table may have. The largest that exists has about a tenth of it.
const MaximumSize = 1 << 20

// Header is what holds for the whole of a service.
type Header struct {
	Format       int    `json:"format"`
	Service      string `json:"service"`                 // the file's name without its ending: kms, acm-pca
	Source       string `json:"source"`                  // where the facts are from, and under which licence
	ModelSHA256  string `json:"modelSHA256"`             // of the model that the table was made of, in hexadecimal
	APIVersion   string `json:"apiVersion"`              // 2014-11-01
	Protocol     string `json:"protocol"`                // json or query
	JSONVersion  string `json:"jsonVersion,omitzero"`    // 1.1, with protocol json
	TargetPrefix string `json:"targetPrefix,omitzero"`   // what X-Amz-Target starts with, with protocol json
	XMLNamespace string `json:"xmlNamespace,omitzero"`   // with protocol query
	SigningName  string `json:"signingName"`             // the service in a signature's scope
	ServiceID    string `json:"serviceID"`               // the service as AWS writes it: "Secrets Manager"
	EndpointName string `json:"endpointPrefix,omitzero"` // the first label of the endpoint's host name
}

// Table is one service's.
type Table struct {
	Header
	Operations map[string]Operation `json:"operations"`
	Shapes     map[string]Shape     `json:"shapes"`
	Errors     map[string]Error     `json:"errors"` // by the shape's name
}

// Operation is one action of the service.
type Operation struct {
	Input         string   `json:"input,omitzero"`         // a structure of Shapes; none for an operation without members
	Output        string   `json:"output,omitzero"`        // a structure of Shapes; none if the answer is empty
	ResultWrapper string   `json:"resultWrapper,omitzero"` // the element around the answer, with protocol query
	Unsigned      bool     `json:"unsigned,omitzero"`      // authtype none: the caller signs nothing
	Idempotent    bool     `json:"idempotent,omitzero"`
	ReadOnly      bool     `json:"readOnly,omitzero"`
	Errors        []string `json:"errors,omitzero"` // names of Errors, in the model's order
}

// The types that a shape has.
const (
	Structure = "structure"
	List      = "list"
	Map       = "map"
	String    = "string"
	Integer   = "integer"
	Long      = "long"
	Float     = "float"
	Double    = "double"
	Boolean   = "boolean"
	Blob      = "blob"
	Timestamp = "timestamp"
)

// Shape is a type of the service. Min and Max are the length of strings (UTF-16 units), blobs (bytes), lists and maps
// (entries), and the value of numbers.
type Shape struct {
	Type            string   `json:"type"`
	Min             *int64   `json:"min,omitzero"`
	Max             *int64   `json:"max,omitzero"`
	Pattern         string   `json:"pattern,omitzero"`     // as AWS writes it, in Java's language
	Expressions     []string `json:"expressions,omitzero"` // the pattern for package regexp: the whole value matches each
	Enum            []string `json:"enum,omitzero"`        // in the model's order
	Sensitive       bool     `json:"sensitive,omitzero"`
	TimestampFormat string   `json:"timestampFormat,omitzero"` // where it isn't the protocol's own
	Union           bool     `json:"union,omitzero"`           // exactly one of Members is set
	Members         []Member `json:"members,omitzero"`         // of a structure, in the model's order
	Element         *Member  `json:"element,omitzero"`         // of a list
	Key             *Member  `json:"key,omitzero"`             // of a map
	Value           *Member  `json:"value,omitzero"`           // of a map
}

// Member is a member of a structure, or what a list or a map holds.
type Member struct {
	Name             string `json:"name,omitzero"` // as the model has it; empty for what a list or a map holds
	Wire             string `json:"wire,omitzero"` // locationName, where it isn't Name (or "member", "key", "value")
	Shape            string `json:"shape"`
	Required         bool   `json:"required,omitzero"`
	Sensitive        bool   `json:"sensitive,omitzero"`
	Flattened        bool   `json:"flattened,omitzero"`
	IdempotencyToken bool   `json:"idempotencyToken,omitzero"`
	Deprecated       bool   `json:"deprecated,omitzero"`
	TimestampFormat  string `json:"timestampFormat,omitzero"`
}

// Error is an error of the service, as it is on the wire.
type Error struct {
	Code    string `json:"code"`             // __type with protocol json, <Code> with protocol query
	Status  int    `json:"status"`           // of HTTP
	Fault   bool   `json:"fault,omitzero"`   // the service's own: <Type> is Receiver, SDKs try again
	Message string `json:"message,omitzero"` // the name of the member that holds the text: message or Message
}

// Encode writes a table, the same for the same table.
func Encode(t *Table) ([]byte, error) {
	header, err := json.Marshal(t.Header, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.Write(header[:len(header)-1])
	err = errors.Join(section(&out, "operations", t.Operations), section(&out, "shapes", t.Shapes), section(&out, "errors", t.Errors))
	out.WriteString("}\n")
	if out.Len() > MaximumSize {
		return nil, fmt.Errorf("the table of %s has %d bytes, over %d", t.Service, out.Len(), MaximumSize)
	}
	return out.Bytes(), err
}

func section[T any](out *bytes.Buffer, name string, entries map[string]T) error {
	fmt.Fprintf(out, ",\n%q:{", name)
	for i, key := range slices.Sorted(maps.Keys(entries)) {
		entry, err := json.Marshal(entries[key], jsontext.EscapeForHTML(false))
		if err != nil {
			return fmt.Errorf("%s %s: %w", name, key, err)
		}
		if i > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(out, "\n%q:%s", key, entry)
	}
	out.WriteString("\n}")
	return nil
}

// Decode reads a table. It takes only what Encode writes: a member that is not known, another version or a name that
// leads nowhere is an error.
func Decode(data []byte) (*Table, error) {
	if len(data) > MaximumSize {
		return nil, fmt.Errorf("a table has %d bytes, over %d", len(data), MaximumSize)
	}
	t := &Table{}
	if err := json.Unmarshal(data, t, json.RejectUnknownMembers(true)); err != nil {
		return nil, err
	}
	if t.Format != Format {
		return nil, fmt.Errorf("format %d of the table of limits; this program reads %d", t.Format, Format)
	}
	return t, t.validate()
}

// validate looks that each name leads somewhere, and that each type has what it needs.
func (t *Table) validate() error {
	for name, o := range t.Operations {
		for _, shape := range []string{o.Input, o.Output} {
			if shape != "" && t.Shapes[shape].Type != Structure {
				return fmt.Errorf("operation %s: %s is not a structure", name, shape)
			}
		}
		for _, e := range o.Errors {
			if _, ok := t.Errors[e]; !ok {
				return fmt.Errorf("operation %s: error %s is missing", name, e)
			}
		}
	}
	for name, s := range t.Shapes {
		if err := t.shape(&s); err != nil {
			return fmt.Errorf("shape %s: %w", name, err)
		}
	}
	return nil
}

func (t *Table) shape(s *Shape) error {
	var held []*Member
	switch s.Type {
	case Structure:
		for i := range s.Members {
			if s.Members[i].Name == "" {
				return fmt.Errorf("member %d has no name", i)
			}
			held = append(held, &s.Members[i])
		}
	case List:
		held = append(held, s.Element)
	case Map:
		held = append(held, s.Key, s.Value)
	case String, Integer, Long, Float, Double, Boolean, Blob, Timestamp:
	default:
		return fmt.Errorf("type %q is not known", s.Type)
	}
	if (s.Pattern == "") != (len(s.Expressions) == 0) {
		return errors.New("a pattern and its expressions come together")
	}
	for _, m := range held {
		if m == nil {
			return errors.New("what it holds is missing")
		}
		if _, ok := t.Shapes[m.Shape]; !ok {
			return fmt.Errorf("shape %s of member %q is missing", m.Shape, m.Name)
		}
	}
	return nil
}
