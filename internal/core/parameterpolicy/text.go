package parameterpolicy

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"fmt"
	"strconv"
)

// document is a policy as AWS writes it.
type document struct {
	Type       string            `json:"Type,omitempty"`
	Version    string            `json:"Version,omitempty"`
	Attributes map[string]string `json:"Attributes,omitempty"`
}

// counts are the names of the attribute that says how many.
var counts = map[Type]string{ExpirationNotification: "Before", NoChangeNotification: "After"}

// Parse reads policies in AWS's JSON: an array of objects with Type, Version and Attributes. An empty array, and one of an empty object, which is AWS's
// way to take all policies away, are none. An error tells nothing of the text.
func Parse(text string) ([]Policy, error) {
	var all []jsontext.Value
	if len(text) > MaximumText || json.Unmarshal([]byte(text), &all) != nil || all == nil {
		return nil, ErrText
	}
	if len(all) > Maximum {
		return nil, ErrTooMany
	}
	out := make([]Policy, 0, len(all))
	for i := range all {
		p, empty, err := parse(all[i])
		switch {
		case err != nil:
			return nil, fmt.Errorf("policy %d: %w", i+1, err)
		case empty && len(all) > 1:
			return nil, fmt.Errorf("policy %d: %w", i+1, ErrType)
		case empty:
			return out, nil
		}
		out = append(out, p)
	}
	return out, Check(out)
}

func parse(text jsontext.Value) (p Policy, empty bool, err error) {
	if text.Kind() != '{' {
		return p, false, ErrText
	}
	var is struct {
		Type string `json:"Type"`
	}
	if json.Unmarshal(text, &is) != nil {
		return p, false, ErrType
	}
	var d document
	if json.Unmarshal(text, &d, json.RejectUnknownMembers(true)) != nil {
		return p, false, fmt.Errorf("%w: a policy has Type, Version and Attributes, which are texts", ErrAttribute)
	}
	if d.Type == "" && d.Version == "" && d.Attributes == nil {
		return p, true, nil
	}
	p.Type = Type(d.Type)
	switch p.Type {
	case Expiration, ExpirationNotification, NoChangeNotification:
	default:
		return p, false, ErrType
	}
	if d.Version != Version {
		return p, false, fmt.Errorf("%w: the version is %s", ErrAttribute, Version)
	}
	return p, false, p.take(d.Attributes)
}

// take reads the attributes of a policy.
func (p *Policy) take(attributes map[string]string) error {
	for name, value := range attributes {
		switch {
		case p.Type == Expiration && name == "Timestamp":
			p.Timestamp = value
		case p.Type != Expiration && name == "Unit":
			p.Unit = Unit(value)
		case p.Type != Expiration && name == counts[p.Type]:
			n, err := strconv.Atoi(value)
			if err != nil {
				return fmt.Errorf("%w: %s is no number", ErrAttribute, name)
			}
			p.Count = n
		default:
			return fmt.Errorf("%w: a policy of type %s has no attribute of a name that is given", ErrAttribute, p.Type)
		}
	}
	return p.check()
}

// Text is a policy in AWS's JSON.
func (p *Policy) Text() string {
	if p.Type == Expiration {
		return `{"Type":"Expiration","Version":"` + Version + `","Attributes":{"Timestamp":` + quoted(p.Timestamp) + `}}`
	}
	return fmt.Sprintf(`{"Type":%s,"Version":"%s","Attributes":{"%s":"%d","Unit":%s}}`,
		quoted(string(p.Type)), Version, counts[p.Type], p.Count, quoted(string(p.Unit)))
}

func quoted(text string) string {
	b, err := jsontext.AppendQuote(nil, text)
	if err != nil {
		return `""`
	}
	return string(b)
}
