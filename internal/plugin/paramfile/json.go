package paramfile

import (
	"bytes"
	"encoding/json/jsontext"
	"errors"
	"fmt"
	"io"
)

// parseJSON reads an object, whose objects become levels of names, or a manifest. A number is as it is written. A member that is there twice is an
// error.
func parseJSON(text []byte) ([]Entry, error) {
	if kind := kindOf(text); kind != "" {
		return parseManifest(text)
	}
	in := jsontext.NewDecoder(bytes.NewReader(text))
	if in.PeekKind() != '{' {
		if _, err := in.ReadToken(); err != nil {
			return nil, malformed(in)
		}
		return nil, errObject
	}
	r := jsonReader{in: in}
	if err := r.value("", 0); err != nil {
		return nil, err
	}
	if _, err := in.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, malformed(in)
	}
	return r.out, nil
}

// malformed says where a text is no JSON. The library's own error quotes it.
func malformed(in *jsontext.Decoder) error {
	return fmt.Errorf("it is no JSON, or a member is there twice, at byte %d", in.InputOffset())
}

type jsonReader struct {
	in  *jsontext.Decoder
	out []Entry
}

func (r *jsonReader) value(name string, depth int) error {
	switch r.in.PeekKind() {
	case '{':
		return r.object(name, depth)
	case '[':
		return r.list(name)
	case 'n':
		return fmt.Errorf("%s: %w", name, errNull)
	}
	token, err := r.in.ReadToken()
	if err != nil {
		return malformed(r.in)
	}
	r.out = append(r.out, Entry{Name: name, Value: token.String()})
	return r.bounded()
}

func (r *jsonReader) bounded() error {
	if len(r.out) > MaximumEntries {
		return errMany
	}
	return nil
}

func (r *jsonReader) object(name string, depth int) error {
	if depth > maximumDepth {
		return errDepth
	}
	if _, err := r.in.ReadToken(); err != nil {
		return malformed(r.in)
	}
	for r.in.PeekKind() != '}' {
		member, err := r.in.ReadToken()
		if err != nil {
			return malformed(r.in)
		}
		if err := r.value(under(name, member.String()), depth+1); err != nil {
			return err
		}
	}
	if _, err := r.in.ReadToken(); err != nil {
		return malformed(r.in)
	}
	return nil
}

func (r *jsonReader) list(name string) error {
	if _, err := r.in.ReadToken(); err != nil {
		return malformed(r.in)
	}
	var items []string
	for r.in.PeekKind() != ']' {
		switch r.in.PeekKind() {
		case '{', '[', 'n':
			return fmt.Errorf("%s: %w", name, errNested)
		}
		token, err := r.in.ReadToken()
		if err != nil {
			return malformed(r.in)
		}
		items = append(items, token.String())
	}
	if _, err := r.in.ReadToken(); err != nil {
		return malformed(r.in)
	}
	e, err := list(name, items)
	if err != nil {
		return err
	}
	r.out = append(r.out, e)
	return r.bounded()
}
