package paramfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

var errBoth = errors.New("it is a value and a level of other names, which an object has no place for: export as env, or another path")

// plainText needs no quotation marks in a .env file, for whatever reads it.
var plainText = regexp.MustCompile(`^[a-zA-Z0-9_./:@%+=,-]+$`)

// WriteEnv writes lines of KEY=VALUE, which Parse, shells and other readers of .env files take for the same. The names are the keys.
func WriteEnv(entries []Entry) []byte {
	var out bytes.Buffer
	for _, e := range entries {
		out.WriteString(e.Name + "=" + quote(e.Value) + "\n")
	}
	return out.Bytes()
}

// quote puts a value into single quotation marks, in which all but these is as it is; or else into double ones.
func quote(value string) string {
	switch {
	case plainText.MatchString(value):
		return value
	case !strings.ContainsAny(value, "'\r"):
		return "'" + value + "'"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`", "\r", `\r`).Replace(value) + `"`
}

// WriteNested writes an object as JSON or YAML, in which the levels of names are objects within each other, and StringLists lists.
func WriteNested(format Format, entries []Entry) ([]byte, error) {
	root := map[string]any{}
	for _, e := range slices.SortedFunc(slices.Values(entries), func(a, b Entry) int { return strings.Compare(a.Name, b.Name) }) {
		if err := place(root, e); err != nil {
			return nil, err
		}
	}
	if format == YAML {
		return yaml.Marshal(scalars(root))
	}
	var out bytes.Buffer
	in := json.NewEncoder(&out)
	in.SetEscapeHTML(false)
	in.SetIndent("", "    ")
	err := in.Encode(root)
	return out.Bytes(), err
}

func place(root map[string]any, e Entry) error {
	levels := strings.Split(e.Name, "/")
	at := root
	for i, level := range levels[:len(levels)-1] {
		next, has := at[level]
		if !has {
			next = map[string]any{}
			at[level] = next
		}
		object, is := next.(map[string]any)
		if !is {
			return fmt.Errorf("%s: %w", strings.Join(levels[:i+1], "/"), errBoth)
		}
		at = object
	}
	last := levels[len(levels)-1]
	if _, has := at[last]; has {
		return fmt.Errorf("%s: %w", e.Name, errBoth)
	}
	if at[last] = e.Value; e.List {
		at[last] = strings.Split(e.Value, ",")
	}
	return nil
}

// WriteManifest writes a ConfigMap or core Secret, whose keys are the names.
func WriteManifest(kind, name string, entries []Entry) ([]byte, error) {
	data := make(map[string]string, len(entries))
	for _, e := range entries {
		if _, has := data[e.Name]; has {
			return nil, fmt.Errorf("%s: %w", e.Name, errTwice)
		}
		data[e.Name] = e.Value
	}
	field := "data"
	if kind == "Secret" {
		field = "stringData"
	}
	return yaml.Marshal(map[string]any{"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": name}, field: scalars(data)})
}

// scalars makes nodes of YAML of all texts, which the library would write as blocks that it cannot read in every case.
func scalars(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, child := range v {
			out[key] = scalars(child)
		}
		return out
	case map[string]string:
		out := make(map[string]any, len(v))
		for key, text := range v {
			out[key] = scalar(text)
		}
		return out
	case []string:
		out := make([]*yaml.Node, 0, len(v))
		for _, text := range v {
			out = append(out, scalar(text))
		}
		return out
	case string:
		return scalar(v)
	}
	return value
}

// lines are those that a block shows as they are: none is empty or begins with a space.
var lines = regexp.MustCompile(`^([^\s\pC][^\n\pC]*\n)+$`)

// scalar is a text: in a block if it has plain lines, and otherwise in quotation marks, without which readers of YAML 1.1, as kubectl is one, take yes and 0640 for
// what they are not.
func scalar(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	if n.Style = yaml.DoubleQuotedStyle; lines.MatchString(text) {
		n.Style = yaml.LiteralStyle
	}
	return n
}
