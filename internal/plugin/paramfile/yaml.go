package paramfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

var (
	errYAML  = errors.New("it is no YAML")
	errAlias = errors.New("aliases, and merging by <<, are not taken: write the value out")
	errKey   = errors.New("a key is a text")
)

// parseYAML reads an object, whose objects become levels of names, or manifests. A number, a truth value and a date are as they are written: 0640
// stays 0640. Several documents are read if all are manifests.
func parseYAML(text []byte) ([]Entry, error) {
	in := yaml.NewDecoder(bytes.NewReader(text))
	var out []Entry
	for documents := 0; ; documents++ {
		var document yaml.Node
		err := in.Decode(&document)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil || documents > maximumManifests {
			return nil, errYAML // the library's own error may quote the text
		}
		entries, manifest, err := parseDocument(&document)
		if err != nil {
			return nil, err
		}
		if documents > 0 && !manifest {
			return nil, fmt.Errorf("document %d: %w", documents+1, errObject)
		}
		if out = append(out, entries...); len(out) > MaximumEntries {
			return nil, errMany
		}
	}
}

func parseDocument(document *yaml.Node) (entries []Entry, manifest bool, err error) {
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return nil, false, errObject
	}
	root := document.Content[0]
	if aliased(root, 0) {
		return nil, false, errAlias
	}
	if text, err := yaml.Marshal(root); err == nil && kindOf(text) != "" {
		entries, err = parseManifest(text)
		return entries, true, err
	}
	r := yamlReader{}
	err = r.value("", root, 0)
	return r.out, false, err
}

// aliased tells whether there is an alias in a node: a few of them make gigabytes. What is deeper than names go is an error of its own.
func aliased(n *yaml.Node, depth int) bool {
	if n.Kind == yaml.AliasNode {
		return true
	}
	for _, child := range n.Content {
		if depth <= maximumDepth+3 && aliased(child, depth+1) {
			return true
		}
	}
	return false
}

type yamlReader struct{ out []Entry }

func (r *yamlReader) value(name string, n *yaml.Node, depth int) error {
	switch {
	case depth > maximumDepth:
		return errDepth
	case n.Kind == yaml.MappingNode:
		return r.object(name, n, depth)
	case n.Kind == yaml.SequenceNode:
		return r.list(name, n)
	case n.Kind != yaml.ScalarNode:
		return fmt.Errorf("line %d: %w", n.Line, errAlias)
	case n.ShortTag() == "!!null":
		return fmt.Errorf("line %d: %s: %w", n.Line, name, errNull)
	}
	r.out = append(r.out, Entry{Name: name, Value: n.Value})
	if len(r.out) > MaximumEntries {
		return errMany
	}
	return nil
}

func (r *yamlReader) object(name string, n *yaml.Node, depth int) error {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case key.Kind != yaml.ScalarNode:
			return fmt.Errorf("line %d: %w", key.Line, errKey)
		case key.ShortTag() == "!!merge":
			return fmt.Errorf("line %d: %w", key.Line, errAlias)
		case seen[key.Value]:
			return fmt.Errorf("line %d: %s: %w", key.Line, under(name, key.Value), errTwice)
		}
		seen[key.Value] = true
		if err := r.value(under(name, key.Value), n.Content[i+1], depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (r *yamlReader) list(name string, n *yaml.Node) error {
	items := make([]string, 0, len(n.Content))
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode || item.ShortTag() == "!!null" {
			return fmt.Errorf("line %d: %s: %w", item.Line, name, errNested)
		}
		items = append(items, item.Value)
	}
	e, err := list(name, items)
	if err != nil {
		return err
	}
	r.out = append(r.out, e)
	if len(r.out) > MaximumEntries {
		return errMany
	}
	return nil
}
