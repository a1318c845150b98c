package main

import (
	"embed"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
)

// laterFiles are what AWS has added to its services since the models: a file a service, in the layout of the models, with the source of its facts.
//
//go:embed later
var laterFiles embed.FS

// later is such a file. There is nothing in it but what is new: an operation or a shape, or values of an enumeration and members of a structure that
// the model has.
type later struct {
	Source     string                    `json:"source"`
	Operations map[string]jsontext.Value `json:"operations"`
	Shapes     map[string]jsontext.Value `json:"shapes"`
}

// addLater adds a service's file to its model, and answers what the table is to say of its source: nothing if there is no file.
func addLater(m *model, service string) (source string, err error) {
	data, err := laterFiles.ReadFile("later/" + service + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if source, err = m.add(data); err != nil {
		return "", fmt.Errorf("later/%s.json: %w", service, err)
	}
	return "; what is newer is of " + source + "; Copyright Amazon.com, Inc. or its affiliates, Apache License 2.0", nil
}

// add adds what a file of laterFiles has, and answers its source. It fails for what the model has already, so that a newer model does not leave
// the file behind, and for all that would change what the model says.
func (m *model) add(data []byte) (source string, err error) {
	var file later
	if err := json.Unmarshal(data, &file, json.RejectUnknownMembers(true)); err != nil {
		return "", err
	}
	if file.Source == "" {
		return "", errors.New("it has no source")
	}
	operations, shapes := map[string]operation{}, map[string]shape{}
	if err := errors.Join(entries(file.Operations, operations), entries(file.Shapes, shapes)); err != nil {
		return "", err
	}
	for name, o := range operations {
		if _, ok := m.Operations[name]; ok {
			return "", fmt.Errorf("operation %s: the model has it: take it out", name)
		}
		m.Operations[name] = o
	}
	for name, s := range shapes {
		is, ok := m.Shapes[name]
		if ok {
			if s, err = is.with(s); err != nil {
				return "", fmt.Errorf("shape %s: %w", name, err)
			}
		}
		m.Shapes[name] = s
	}
	return file.Source, nil
}

// with is a shape of the model with the values or members that came later at its end.
func (s shape) with(added shape) (shape, error) {
	values, members := added.Enum, added.Members
	if added.Type != s.Type {
		return shape{}, fmt.Errorf("it is a %s in the model, and not a %s", s.Type, added.Type)
	}
	added.Type, added.Enum, added.Members = "", nil, nil
	switch {
	case !reflect.DeepEqual(added, shape{}):
		return shape{}, errors.New("the model has it: nothing can be added to it but values of an enumeration and members that are not required")
	case len(values) == 0 && len(members) == 0:
		return shape{}, errors.New("the model has it, and nothing is added to it: take it out")
	case len(values) > 0 && len(s.Enum) == 0:
		return shape{}, errors.New("it is no enumeration in the model")
	case len(members) > 0 && s.Type != "structure":
		return shape{}, errors.New("it is no structure in the model")
	}
	s.Enum, s.Members = slices.Clone(s.Enum), slices.Clone(s.Members)
	for _, value := range values {
		if slices.Contains(s.Enum, value) {
			return shape{}, fmt.Errorf("the model has the value %s: take it out", value)
		}
		s.Enum = append(s.Enum, value)
	}
	for _, member := range members {
		if slices.ContainsFunc(s.Members, func(n named) bool { return n.name == member.name }) {
			return shape{}, fmt.Errorf("the model has the member %s: take it out", member.name)
		}
		s.Members = append(s.Members, member)
	}
	return s, nil
}
