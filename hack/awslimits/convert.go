package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"strongroom.dev/strongroom/internal/gateway/limits/table"
)

const source = "Facts of github.com/boto/botocore (service-2.json, 1.43.67) and, for the HTTP status of errors, " +
	"github.com/aws/api-models-aws; Copyright Amazon.com, Inc. or its affiliates, Apache License 2.0"

// table is the model in the project's own format, without what no operation reaches.
func (m *model) table(service string) (*table.Table, error) {
	t := &table.Table{
		Header: table.Header{
			Format: table.Format, Service: service, Source: source,
			APIVersion: m.Metadata.APIVersion, Protocol: m.Metadata.Protocol, JSONVersion: m.Metadata.JSONVersion,
			TargetPrefix: m.Metadata.TargetPrefix, XMLNamespace: m.Metadata.XMLNamespace, ServiceID: m.Metadata.ServiceID,
			EndpointName: m.Metadata.EndpointPrefix,
			SigningName:  cmp.Or(m.Metadata.SigningName, m.Metadata.EndpointPrefix), // botocore's own rule
		},
		Operations: map[string]table.Operation{}, Shapes: map[string]table.Shape{}, Errors: map[string]table.Error{},
	}
	if p := t.Protocol; p != "json" && p != "query" {
		return nil, fmt.Errorf("protocol %q is not known", p)
	}
	for name, o := range m.Operations {
		if o.AuthType != "" && o.AuthType != "none" {
			return nil, fmt.Errorf("operation %s: authtype %q is not known", name, o.AuthType)
		}
		to := table.Operation{
			Input: o.Input.Shape, Output: o.Output.Shape, ResultWrapper: o.Output.ResultWrapper,
			Unsigned: o.AuthType == "none", Idempotent: o.Idempotent, ReadOnly: o.ReadOnly,
		}
		for _, e := range o.Errors {
			to.Errors = append(to.Errors, string(e))
			if err := m.wireError(t, string(e)); err != nil {
				return nil, err
			}
		}
		t.Operations[name] = to
		for _, reached := range []string{o.Input.Shape, o.Output.Shape} {
			if err := m.reach(t, reached); err != nil {
				return nil, fmt.Errorf("operation %s: %w", name, err)
			}
		}
	}
	return t, nil
}

// wireError adds an error.
func (m *model) wireError(t *table.Table, name string) error {
	s, ok := m.Shapes[name]
	if !ok || !s.Exception {
		return fmt.Errorf("error %s: not an exception", name)
	}
	e := table.Error{Code: cmp.Or(s.Error.Code, s.Error.Type), Status: s.Error.Status, Fault: s.Fault}
	for _, member := range s.Members {
		if strings.EqualFold(member.name, "message") {
			e.Message = member.name
		}
	}
	if e.Code == "" || e.Status == 0 {
		return fmt.Errorf("error %s: no code or no status", name)
	}
	t.Errors[name] = e
	return nil
}

// reach adds a shape and those that it names.
func (m *model) reach(t *table.Table, name string) error {
	if _, ok := t.Shapes[name]; ok || name == "" {
		return nil
	}
	s, ok := m.Shapes[name]
	if !ok {
		return fmt.Errorf("shape %s is missing", name)
	}
	to := table.Shape{
		Type: s.Type, Min: s.Min, Max: s.Max, Pattern: s.Pattern, Enum: s.Enum, Sensitive: s.Sensitive,
		TimestampFormat: s.TimestampFormat, Union: s.Union,
	}
	var err error
	if to.Expressions, err = expressions(s.Pattern); err != nil {
		return fmt.Errorf("shape %s: %w", name, err)
	}
	for _, required := range s.Required {
		if !slices.ContainsFunc(s.Members, func(n named) bool { return n.name == required }) {
			return fmt.Errorf("shape %s: it requires %s, which it doesn't have", name, required)
		}
	}
	for _, n := range s.Members {
		member := *n.member(n.name)
		member.Required = slices.Contains(s.Required, n.name)
		to.Members = append(to.Members, member)
	}
	to.Element, to.Key, to.Value = s.Member.member(""), s.Key.member(""), s.Value.member("")
	if to.Element != nil && s.Flattened {
		to.Element.Flattened = true
	}
	t.Shapes[name] = to // before what it names: shapes may name themselves
	for _, held := range append(slices.Clone(to.Members), held(to.Element, to.Key, to.Value)...) {
		if err := m.reach(t, held.Shape); err != nil {
			return fmt.Errorf("shape %s: %w", name, err)
		}
	}
	return nil
}

func held(of ...*table.Member) []table.Member {
	var all []table.Member
	for _, m := range of {
		if m != nil {
			all = append(all, *m)
		}
	}
	return all
}

func (r *reference) member(name string) *table.Member {
	if r == nil {
		return nil
	}
	return &table.Member{
		Name: name, Wire: r.LocationName, Shape: r.Shape, Sensitive: r.Sensitive, Flattened: r.Flattened,
		IdempotencyToken: r.IdempotencyToken, Deprecated: r.Deprecated, TimestampFormat: r.TimestampFormat,
	}
}
