// Package render makes the data of a projected Kubernetes Secret from a secret's values, by Go text/template.
//
// Templates are hermetic and bounded: they see the value and nothing else (no environment, file, network, time or
// randomness), and their size, output and work have limits. No error holds any part of a value.
package render

import (
	"bytes"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// ErrTemplate says that a template cannot be rendered. Every error of this package wraps it.
var ErrTemplate = errors.New("the template cannot be rendered")

// The limits.
const (
	// MaximumTemplates is the number of keys with a template.
	MaximumTemplates = 64
	// MaximumTemplate is the length of one template in bytes.
	MaximumTemplate = 16384
	// MaximumOutput is the length of all data together in bytes: that of a core Secret.
	// https://kubernetes.io/docs/concepts/configuration/secret/#restriction-data-size
	MaximumOutput = 1 << 20
	// MaximumKeys is the number of members of a JSON object that become keys when there is no template.
	MaximumKeys = 1024
)

var keySyntax = regexp.MustCompile(`^[-._a-zA-Z0-9]{1,253}$`)

// validKey tells whether a core Secret can have a key. One that begins with two dots, or is a dot, could not be a file's name.
func validKey(key string) bool {
	return keySyntax.MatchString(key) && key != "." && !strings.HasPrefix(key, "..")
}

// Value is what templates see.
type Value struct {
	// Current is the newest value, .current in a template. If it is a JSON object, its members are seen by their names.
	Current secretbytes.Bytes
	// Previous is the one before, .previous in a template, which is empty text if HasPrevious is false.
	Previous    secretbytes.Bytes
	HasPrevious bool
	// Sources are the values of other objects by alias, .sources in a template; a member of that name is hidden if there are any. A
	// source's own Sources are not seen.
	Sources map[string]Value
}

// Wipe overwrites the values, those of the sources too.
func (v *Value) Wipe() {
	v.Current.Wipe()
	v.Previous.Wipe()
	for _, source := range v.Sources {
		source.Wipe()
	}
}

// Validate says whether templates could be rendered with some value.
func Validate(templates map[string]string) error {
	_, err := compileAll(templates)
	return err
}

// keyed is the compiled template of a key.
type keyed struct {
	key      string
	template *template.Template
}

// compileAll compiles all templates in the order of their keys.
func compileAll(templates map[string]string) ([]keyed, error) {
	if len(templates) > MaximumTemplates {
		return nil, fmt.Errorf("%w: there are %d keys with a template; at most %d are allowed", ErrTemplate, len(templates), MaximumTemplates)
	}
	out := make([]keyed, 0, len(templates))
	for _, key := range slices.Sorted(maps.Keys(templates)) {
		parsed, err := compile(key, templates[key])
		if err != nil {
			return nil, err
		}
		out = append(out, keyed{key, parsed})
	}
	return out, nil
}

// Data renders every key. Without templates, a value that is a JSON object becomes one key a member, text as it is and
// anything else as compact JSON, and any other value the key "value". The caller owns the result.
func Data(templates map[string]string, v Value) (data map[string]secretbytes.Bytes, err error) {
	secretbytes.Do(func() {
		if len(templates) == 0 {
			data, err = plain(v)
		} else {
			data, err = rendered(templates, v)
		}
	})
	return data, err
}

func rendered(templates map[string]string, v Value) (map[string]secretbytes.Bytes, error) {
	compiled, err := compileAll(templates)
	if err != nil {
		return nil, err
	}
	dot, err := dotOf(v)
	if err != nil {
		return nil, err
	}
	data := make(map[string]secretbytes.Bytes, len(compiled))
	work := &budget{output: MaximumOutput, work: maximumWork}
	functions := work.functions()
	for _, k := range compiled {
		out := &limitedBuffer{budget: work}
		err = k.template.Funcs(functions).Execute(out, dot)
		data[k.key] = secretbytes.Own(out.Bytes())
		if err != nil {
			for _, b := range data {
				b.Wipe()
			}
			return nil, describe(k.key, templates[k.key], err)
		}
	}
	return data, nil
}

// dotOf is the data that a template sees.
func dotOf(v Value) (map[string]any, error) {
	dot, err := viewOf(v)
	if err != nil || len(v.Sources) == 0 {
		return dot, err
	}
	sources := make(map[string]any, len(v.Sources))
	for alias, source := range v.Sources {
		if sources[alias], err = viewOf(source); err != nil {
			return nil, fmt.Errorf("source %s: %w", alias, err)
		}
	}
	dot["sources"] = sources
	return dot, nil
}

// viewOf is what a template sees of one object: its values, and the members of the current one.
func viewOf(v Value) (map[string]any, error) {
	dot := map[string]any{}
	if members, ok := object(v.Current.Reveal()); ok {
		for name, raw := range members {
			value, err := decode(raw)
			if err != nil {
				return nil, fmt.Errorf("%w: the value's JSON is not readable", ErrTemplate)
			}
			dot[name] = value
		}
	}
	dot["current"], dot["previous"] = string(v.Current.Reveal()), ""
	if v.HasPrevious {
		dot["previous"] = string(v.Previous.Reveal())
	}
	return dot, nil
}

// object takes a JSON object apart. A duplicate member, or anything after it, makes it none.
func object(value []byte) (map[string]jsontext.Value, bool) {
	if !bytes.HasPrefix(bytes.TrimLeft(value, " \t\r\n"), []byte("{")) {
		return nil, false
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(value, &members); err != nil {
		return nil, false
	}
	return members, true
}

// number keeps a JSON number as it was written.
type number string

// decode reads JSON as templates see it: numbers as they were written.
func decode(raw jsontext.Value) (any, error) {
	numbers := json.UnmarshalFromFunc(func(d *jsontext.Decoder, out *any) error {
		if d.PeekKind() != jsontext.KindNumber {
			return errors.ErrUnsupported
		}
		value, err := d.ReadValue()
		*out = number(value)
		return err
	})
	var out any
	err := json.Unmarshal(raw, &out, json.WithUnmarshalers(numbers))
	return out, err
}

func plain(v Value) (map[string]secretbytes.Bytes, error) {
	members, ok := object(v.Current.Reveal())
	if !ok {
		return map[string]secretbytes.Bytes{"value": secretbytes.Copy(v.Current.Reveal())}, nil
	}
	if len(members) > MaximumKeys {
		return nil, fmt.Errorf("%w: the value has %d members; at most %d become keys: use a template", ErrTemplate, len(members), MaximumKeys)
	}
	data := make(map[string]secretbytes.Bytes, len(members))
	for name, raw := range members {
		if !validKey(name) {
			return nil, fmt.Errorf("%w: a member's name cannot be a key of a core Secret, which has letters, digits, dashes, "+
				"underscores and dots, and does not begin with two dots: use a template", ErrTemplate)
		}
		if raw.Kind() == jsontext.KindString {
			unquoted, err := jsontext.AppendUnquote(nil, raw)
			if err != nil {
				return nil, fmt.Errorf("%w: the value's JSON is not readable", ErrTemplate)
			}
			data[name] = secretbytes.Own(unquoted)
			continue
		}
		if err := raw.Compact(); err != nil {
			return nil, fmt.Errorf("%w: the value's JSON is not readable", ErrTemplate)
		}
		data[name] = secretbytes.Copy(raw)
	}
	return data, nil
}

func compile(key, text string) (*template.Template, error) {
	switch {
	case !validKey(key):
		return nil, fmt.Errorf("%w: key %q: a key has letters, digits, dashes, underscores and dots, at most 253, and does not begin with two dots", ErrTemplate, key)
	case len(text) > MaximumTemplate:
		return nil, fmt.Errorf("%w: key %s: the template has %d bytes; at most %d are allowed", ErrTemplate, key, len(text), MaximumTemplate)
	}
	parsed, err := template.New(key).Option("missingkey=error").Funcs(names).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemplate, err) // holds parts of the template at most
	}
	if err := check(parsed); err != nil {
		return nil, fmt.Errorf("%w: key %s: %w", ErrTemplate, key, err)
	}
	return parsed, nil
}
