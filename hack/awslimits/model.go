package main

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"fmt"
)

// model is what is read of a service's model. What it doesn't name (pagination, waiters) is passed over.
type model struct {
	Metadata struct {
		APIVersion     string `json:"apiVersion"`
		Protocol       string `json:"protocol"`
		JSONVersion    string `json:"jsonVersion"`
		TargetPrefix   string `json:"targetPrefix"`
		XMLNamespace   string `json:"xmlNamespace"`
		SigningName    string `json:"signingName"`
		EndpointPrefix string `json:"endpointPrefix"`
		ServiceID      string `json:"serviceId"`
	} `json:"metadata"`
	Operations map[string]operation `json:"operations"`
	Shapes     map[string]shape     `json:"shapes"`
}

type operation struct {
	Input      reference      `json:"input"`
	Output     reference      `json:"output"`
	Errors     []errorName    `json:"errors"`
	AuthType   string         `json:"authtype"`
	Idempotent bool           `json:"idempotent"`
	ReadOnly   bool           `json:"readonly"`
	HTTP       jsontext.Value `json:"http"` // not taken, but known: parse refuses what it doesn't know
}

// reference is where a model names a shape.
type reference struct {
	Shape            string `json:"shape"`
	LocationName     string `json:"locationName"`
	Flattened        bool   `json:"flattened"`
	Sensitive        bool   `json:"sensitive"`
	Deprecated       bool   `json:"deprecated"`
	IdempotencyToken bool   `json:"idempotencyToken"`
	TimestampFormat  string `json:"timestampFormat"`
	ResultWrapper    string `json:"resultWrapper"`
}

type shape struct {
	Type               string         `json:"type"`
	Required           []string       `json:"required"`
	Members            members        `json:"members"`
	Member             *reference     `json:"member"`
	Key                *reference     `json:"key"`
	Value              *reference     `json:"value"`
	Min                *int64         `json:"min"`
	Max                *int64         `json:"max"`
	Pattern            string         `json:"pattern"`
	Enum               []string       `json:"enum"`
	Sensitive          bool           `json:"sensitive"`
	Flattened          bool           `json:"flattened"`
	TimestampFormat    string         `json:"timestampFormat"`
	Union              bool           `json:"union"`
	Exception          bool           `json:"exception"`
	Fault              bool           `json:"fault"`
	Error              wireError      `json:"error"`
	Deprecated         bool           `json:"deprecated"`
	ModelledHTTPStatus int            `json:"modelledHttpStatus"` // not what the service sends
	Retryable          jsontext.Value `json:"retryable"`          // the SDKs' own business
}

type wireError struct {
	Type   string `json:"type"`
	Code   string `json:"code"`
	Status int    `json:"httpStatusCode"`
}

// errorName takes both layouts: "Name" and {"shape": "Name"}.
type errorName string

// UnmarshalJSON implements json.Unmarshaler.
func (e *errorName) UnmarshalJSON(data []byte) error {
	var name string
	if err := json.Unmarshal(data, &name); err == nil {
		*e = errorName(name)
		return nil
	}
	var r reference
	if err := json.Unmarshal(data, &r); err != nil {
		return err
	}
	*e = errorName(r.Shape)
	return nil
}

// members keeps the order of the model's members, which Go's maps lose: violations are told in it.
type members []named

type named struct {
	name string
	reference
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (m *members) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if start, err := d.ReadToken(); err != nil || start.Kind() != '{' {
		return fmt.Errorf("members are not an object (%w)", err)
	}
	*m = members{}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		n := named{name: name.String()} // before the next read, which the token does not outlive
		if err := json.UnmarshalDecode(d, &n.reference); err != nil {
			return err
		}
		*m = append(*m, n)
	}
	_, err := d.ReadToken()
	return err
}

// parse reads a model. What a shape or an operation has that is not known is refused: it could be a constraint that
// would go unchecked without anybody's noticing.
func parse(data []byte) (*model, error) {
	var sections struct {
		Metadata   jsontext.Value            `json:"metadata"`
		Operations map[string]jsontext.Value `json:"operations"`
		Shapes     map[string]jsontext.Value `json:"shapes"`
	}
	if err := json.Unmarshal(data, &sections); err != nil {
		return nil, err
	}
	m := &model{Operations: map[string]operation{}, Shapes: map[string]shape{}}
	if err := json.Unmarshal(sections.Metadata, &m.Metadata); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	if err := entries(sections.Operations, m.Operations); err != nil {
		return nil, err
	}
	return m, entries(sections.Shapes, m.Shapes)
}

func entries[T any](from map[string]jsontext.Value, to map[string]T) error {
	for name, data := range from {
		var entry T
		if err := json.Unmarshal(data, &entry, json.RejectUnknownMembers(true)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		to[name] = entry
	}
	return nil
}
