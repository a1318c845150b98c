// Package paramfile reads parameters from files and writes them: .env files, JSON, YAML, and manifests of ConfigMaps and core Secrets. It knows
// neither AWS nor a cluster.
package paramfile

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
)

// Format is what a file is written in.
type Format string

// The formats.
const (
	// Env has lines of KEY=VALUE.
	Env Format = "env"
	// JSON and YAML have an object whose members become levels of names; or manifests of ConfigMaps and core Secrets.
	JSON Format = "json"
	YAML Format = "yaml"
)

// Limits of what is read.
const (
	// MaximumSize of a file in bytes.
	MaximumSize = 16 << 20
	// MaximumEntries of a file: an account has 10,000 standard parameters.
	// https://docs.aws.amazon.com/general/latest/gr/ssm.html
	MaximumEntries = 10000
	// maximumDepth of objects within each other: a name has at most 15 levels.
	maximumDepth = 15
	// maximumManifests within a file.
	maximumManifests = 1000
)

// Entry is one parameter of a file.
type Entry struct {
	// Name below the path that the file is for, such as db/host.
	Name string
	// Value as text; of a list, its items with commas between them.
	Value string
	// List tells that it was written as a list.
	List bool
	// Secret tells that it comes from a core Secret.
	Secret bool
}

// Errors of files. None holds a value.
var (
	errSize    = fmt.Errorf("the file has over %d bytes", MaximumSize)
	errMany    = fmt.Errorf("the file has over %d parameters", MaximumEntries)
	errDepth   = fmt.Errorf("its objects are over %d levels deep", maximumDepth)
	errEmpty   = errors.New("a parameter's value is at least one character: give it one, or take it out")
	errName    = errors.New("a name has letters, digits and . _ -")
	errTwice   = errors.New("it is there twice")
	errNull    = errors.New("it has no value")
	errNested  = errors.New("a list has texts, numbers and truth values, and no lists or objects")
	errComma   = errors.New("an item of a list has no comma: a StringList has them between its items")
	errObject  = errors.New("the file is no object with members, nor a manifest of a ConfigMap or Secret")
	errFormat  = errors.New("its format is not known by its name: say which it is")
	errUnknown = errors.New("there is no such format")
)

// FormatOf is a file's format by its name: .env, .json, .yaml or .yml, and .env.local and the like.
func FormatOf(file string) (Format, error) {
	base := path.Base(file)
	switch ext := path.Ext(base); {
	case ext == ".env", strings.HasPrefix(base, ".env."):
		return Env, nil
	case ext == ".json":
		return JSON, nil
	case ext == ".yaml", ext == ".yml":
		return YAML, nil
	}
	return "", fmt.Errorf("%s: %w", base, errFormat)
}

// Parse reads a file. The names are checked and there once; the order is the file's. An error says where it is and holds no value.
func Parse(format Format, text []byte) ([]Entry, error) {
	if len(text) > MaximumSize {
		return nil, errSize
	}
	read := map[Format]func([]byte) ([]Entry, error){Env: parseEnv, JSON: parseJSON, YAML: parseYAML}[format]
	if read == nil {
		return nil, fmt.Errorf("%w: %q", errUnknown, format)
	}
	entries, err := read(text)
	if err != nil {
		return nil, err
	}
	return entries, check(entries)
}

var nameText = regexp.MustCompile(`^[a-zA-Z0-9_.-]+(/[a-zA-Z0-9_.-]+)*$`)

// check says what cannot be imported, before anything is.
func check(entries []Entry) error {
	if len(entries) > MaximumEntries {
		return errMany
	}
	seen := make(map[string]bool, len(entries))
	for i, e := range entries {
		switch {
		case !nameText.MatchString(e.Name): // which is not told: it may be the rest of a value that was broken over two lines
			return fmt.Errorf("entry %d: %w", i+1, errName)
		case strings.Count(e.Name, "/") >= maximumDepth:
			return fmt.Errorf("%s: %w", e.Name, errDepth)
		case e.Value == "":
			return fmt.Errorf("%s: %w", e.Name, errEmpty)
		case seen[e.Name]:
			return fmt.Errorf("%s: %w", e.Name, errTwice)
		}
		seen[e.Name] = true
	}
	return nil
}

// list joins the items of a list.
func list(name string, items []string) (Entry, error) {
	for _, item := range items {
		if strings.Contains(item, ",") {
			return Entry{}, fmt.Errorf("%s: %w", name, errComma)
		}
	}
	return Entry{Name: name, Value: strings.Join(items, ","), List: true}, nil
}

// under is the name of a member.
func under(name, member string) string {
	if name == "" {
		return member
	}
	return name + "/" + member
}
