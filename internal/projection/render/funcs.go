package render

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"fmt"
	"strings"
	"text/template"
)

// functions are those that templates may call besides text/template's own, under sprig's names and with sprig's order of
// arguments. https://masterminds.github.io/sprig/
func (b *budget) functions() template.FuncMap {
	f := template.FuncMap{
		"b64enc":     b.text(func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }),
		"upper":      b.text(strings.ToUpper),
		"lower":      b.text(strings.ToLower),
		"trim":       b.text(strings.TrimSpace),
		"quote":      b.text(func(s string) string { return fmt.Sprintf("%q", s) }),
		"squote":     b.text(func(s string) string { return "'" + s + "'" }),
		"sha256sum":  b.text(func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) }),
		"trimSuffix": b.text2(func(suffix, s string) string { return strings.TrimSuffix(s, suffix) }),
		"trimPrefix": b.text2(func(prefix, s string) string { return strings.TrimPrefix(s, prefix) }),
		"b64dec":     b.b64dec,
		"replace":    b.replace,
		"indent":     b.indent,
		"nindent":    b.nindent,
		"join":       b.join,
		"splitList":  b.splitList,
		"default":    b.orDefault,
		"toJson":     b.toJSON,
		"fromJson":   b.fromJSON,
		"_step":      func() (string, error) { return "", b.step() }, // check puts it into loops
		// These two of text/template's own could run without a bound, or call what they are given.
		"call":  func(...any) (any, error) { return nil, &functionError{"call", "is not allowed"} },
		"slice": func(...any) (any, error) { return nil, &functionError{"slice", "is not allowed"} },
	}
	return f
}

func (b *budget) text(f func(string) string) func(any) (string, error) {
	return func(s any) (string, error) {
		if err := b.step(); err != nil {
			return "", err
		}
		return b.bounded(f(textOf(s)))
	}
}

func (b *budget) text2(f func(string, string) string) func(string, any) (string, error) {
	return func(a string, s any) (string, error) {
		if err := b.step(); err != nil {
			return "", err
		}
		return b.bounded(f(a, textOf(s)))
	}
}

func (b *budget) bounded(s string) (string, error) {
	if len(s) > MaximumOutput {
		return "", errOutput
	}
	return s, nil
}

// textOf is a value as text: what is no text is shown as text/template shows it.
func textOf(v any) string {
	switch s := v.(type) {
	case string:
		return s
	case number:
		return string(s)
	case nil:
		return ""
	}
	return fmt.Sprint(v)
}

func (b *budget) b64dec(s string) (string, error) {
	out, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return "", &functionError{"b64dec", "the text is no base64"}
	}
	return string(out), b.step()
}

func (b *budget) replace(old, replacement, s string) (string, error) {
	if len(s)+strings.Count(s, old)*len(replacement) > MaximumOutput {
		return "", errOutput
	}
	return strings.ReplaceAll(s, old, replacement), b.step()
}

func (b *budget) indent(spaces int, s string) (string, error) {
	if spaces < 0 || spaces > 100 {
		return "", &functionError{"indent", "the number of spaces is from 0 to 100"}
	}
	pad := strings.Repeat(" ", spaces)
	out, err := b.replace("\n", "\n"+pad, s)
	return pad + out, err
}

func (b *budget) nindent(spaces int, s string) (string, error) {
	out, err := b.indent(spaces, s)
	return "\n" + out, err
}

func (b *budget) join(separator string, list any) (string, error) {
	items, ok := list.([]any)
	if texts, isTexts := list.([]string); isTexts {
		ok = true
		for _, s := range texts {
			items = append(items, s)
		}
	}
	if !ok {
		return "", &functionError{"join", "the argument is no list"}
	}
	parts, size := make([]string, 0, len(items)), 0
	for _, item := range items {
		parts = append(parts, textOf(item))
		size += len(parts[len(parts)-1]) + len(separator)
	}
	if size > MaximumOutput {
		return "", errOutput
	}
	return strings.Join(parts, separator), b.step()
}

func (b *budget) splitList(separator, s string) ([]string, error) {
	if separator == "" {
		return nil, &functionError{"splitList", "the separator is empty"}
	}
	return strings.Split(s, separator), b.step()
}

func (b *budget) orDefault(fallback any, given ...any) (any, error) {
	if len(given) == 0 || given[0] == nil || given[0] == "" || given[0] == number("0") || given[0] == false {
		return fallback, b.step()
	}
	return given[0], b.step()
}

func (b *budget) toJSON(v any) (string, error) {
	asWritten := json.MarshalToFunc(func(e *jsontext.Encoder, n number) error { return e.WriteValue(jsontext.Value(n)) })
	out, err := json.Marshal(v, json.WithMarshalers(asWritten), json.Deterministic(true))
	if err != nil {
		return "", &functionError{"toJson", "the value has no JSON form"}
	}
	if err := b.step(); err != nil {
		return "", err
	}
	return b.bounded(string(out))
}

func (b *budget) fromJSON(s string) (any, error) {
	out, err := decode(jsontext.Value(s))
	if err != nil {
		return nil, &functionError{"fromJson", "the text is no JSON"}
	}
	return out, b.step()
}
