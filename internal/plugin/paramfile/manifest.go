package paramfile

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"sigs.k8s.io/yaml"
)

var (
	errBinary   = errors.New("it is no text: a parameter's value is text")
	errManifest = errors.New("the manifest cannot be read")
)

// manifest is what is read of a ConfigMap, a core Secret, or a list of those.
type manifest struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Data       map[string]string `json:"data"`
	StringData map[string]string `json:"stringData"`
	BinaryData map[string]string `json:"binaryData"`
	Items      []json.RawMessage `json:"items"`
}

// kindOf is the kind of a manifest, empty if a text is none.
func kindOf(text []byte) string {
	var m struct {
		APIVersion any `json:"apiVersion"`
		Kind       any `json:"kind"`
	}
	if yaml.Unmarshal(text, &m) != nil || m.APIVersion != "v1" {
		return ""
	}
	switch m.Kind {
	case "ConfigMap", "Secret", "List", "ConfigMapList", "SecretList":
		return m.Kind.(string)
	}
	return ""
}

func parseManifest(text []byte) ([]Entry, error) {
	var m manifest
	if yaml.Unmarshal(text, &m) != nil {
		return nil, errManifest // the library's own error may quote the text
	}
	switch m.Kind {
	case "ConfigMap":
		return m.config()
	case "Secret":
		return m.secret()
	}
	if len(m.Items) > maximumManifests {
		return nil, errManifest
	}
	var out []Entry
	for _, item := range m.Items {
		kind := kindOf(item)
		if kind != "ConfigMap" && kind != "Secret" {
			return nil, errObject
		}
		entries, err := parseManifest(item)
		if err != nil {
			return nil, err
		}
		if out = append(out, entries...); len(out) > MaximumEntries {
			return nil, errMany
		}
	}
	return out, nil
}

func (m *manifest) config() (out []Entry, err error) {
	for _, key := range slices.Sorted(maps.Keys(m.BinaryData)) {
		return nil, fmt.Errorf("%s: %w", key, errBinary)
	}
	for _, key := range slices.Sorted(maps.Keys(m.Data)) {
		out = append(out, Entry{Name: key, Value: m.Data[key]})
	}
	return out, nil
}

// secret takes stringData for what it is to Kubernetes: it wins over data.
func (m *manifest) secret() (out []Entry, err error) {
	all := maps.Clone(m.StringData)
	if all == nil {
		all = map[string]string{}
	}
	for key, encoded := range m.Data {
		if _, has := all[key]; has {
			continue
		}
		value, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || !utf8.Valid(value) {
			return nil, fmt.Errorf("%s: %w", key, errBinary)
		}
		all[key] = string(value)
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		out = append(out, Entry{Name: key, Value: all[key], Secret: true})
	}
	return out, nil
}
