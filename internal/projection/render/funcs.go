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

// names are the functions by which templates are parsed. What they do when called comes from a budget.
var names = (&budget{}).functions()

// functions are those that templates may call besides the ones of text/template that cost nothing (and, or, not, len,
// index), under sprig's names and with sprig's order of arguments. https://masterminds.github.io/sprig/
func (b *budget) functions() template.FuncMap {
	return template.FuncMap{
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
		"_spend":     func(cost int) (string, error) { return "", b.spend(cost) }, // check puts these two into loops
		"_over":      b.over,
		// text/template's own, paid for.
		"print":    b.printing(fmt.Sprint),
		"println":  b.printing(fmt.Sprintln),
		"printf":   b.printf,
		"html":     b.printing(template.HTMLEscaper),
		"js":       b.printing(template.JSEscaper),
		"urlquery": b.printing(template.URLQueryEscaper),
		"eq":       b.eq,
		"ne":       b.ne,
		"lt":       b.ordered("lt", func(order int) bool { return order < 0 }),
		"le":       b.ordered("le", func(order int) bool { return order <= 0 }),
		"gt":       b.ordered("gt", func(order int) bool { return order > 0 }),
		"ge":       b.ordered("ge", func(order int) bool { return order >= 0 }),
		// These two of text/template's own could run without a bound, or call what they are given.
		"call":  func(...any) (any, error) { return nil, &functionError{"call", "is not allowed"} },
		"slice": func(...any) (any, error) { return nil, &functionError{"slice", "is not allowed"} },
	}
}

func (b *budget) text(f func(string) string) func(any) (string, error) {
	return func(v any) (string, error) {
		if err := b.spend(costOfCall + b.size(v)); err != nil {
			return "", err
		}
		return b.made(f(textOf(v)))
	}
}

func (b *budget) text2(f func(string, string) string) func(string, any) (string, error) {
	return func(a string, v any) (string, error) {
		if err := b.spend(costOfCall + len(a) + b.size(v)); err != nil {
			return "", err
		}
		return b.made(f(a, textOf(v)))
	}
}

// printing wraps one of text/template's functions that print what they are given.
func (b *budget) printing(f func(...any) string) func(...any) (string, error) {
	return func(args ...any) (string, error) {
		if err := b.spend(costOfCall + costOfEscape*b.size(args...)); err != nil {
			return "", err
		}
		return b.made(f(args...))
	}
}

// printf is text/template's. That the format is a constant without wide fields is checked when it is parsed.
func (b *budget) printf(format string, args ...any) (string, error) {
	if err := b.spend(costOfCall + len(format) + costOfEscape*b.size(args...)); err != nil {
		return "", err
	}
	return b.made(fmt.Sprintf(format, args...))
}

// over pays for what a loop goes over before it begins, since the members of an object are sorted first. Nothing but lists and
// objects is gone over: neither numbers, which count, nor text.
func (b *budget) over(v any) (any, error) {
	n := 0
	switch v := v.(type) {
	case []any:
		n = len(v)
	case []string:
		n = len(v)
	case map[string]any:
		n = len(v) * costOfWrite
	case nil:
	default:
		return nil, &functionError{"range", "goes over lists and objects alone"}
	}
	return v, b.spend(costOfCall + n)
}

// made pays for a result.
func (b *budget) made(s string) (string, error) {
	if len(s) > MaximumOutput {
		return "", errOutput
	}
	return s, b.spend(len(s))
}

// size is about what values are as text, and never more than a little over what is left of the budget, so that finding it
// costs no more than that.
func (b *budget) size(values ...any) int {
	sum := 0
	for _, v := range values {
		if sum++; sum > b.work {
			break
		}
		switch v := v.(type) {
		case string:
			sum += len(v)
		case number:
			sum += len(v)
		case []string:
			for _, s := range v {
				sum += len(s) + costOfWrite
			}
		case []any:
			sum += costOfWrite + b.size(v...)
		case map[string]any:
			for name, member := range v {
				sum += costOfWrite + len(name) + b.size(member)
				if sum > b.work {
					break
				}
			}
		default:
			sum += costOfWrite
		}
	}
	return sum
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
	if err := b.spend(costOfCall + len(s)); err != nil {
		return "", err
	}
	out, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return "", &functionError{"b64dec", "the text is no base64"}
	}
	return b.made(string(out))
}

func (b *budget) replace(old, replacement, s string) (string, error) {
	if err := b.spend(costOfCall + len(old) + len(replacement) + len(s)); err != nil {
		return "", err
	}
	if len(s)+strings.Count(s, old)*(len(replacement)-len(old)) > MaximumOutput {
		return "", errOutput
	}
	return b.made(strings.ReplaceAll(s, old, replacement))
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
	if err := b.spend(costOfCall + b.size(items...) + len(items)*(len(separator)+costOfWrite)); err != nil {
		return "", err
	}
	parts := make([]string, 0, len(items))
	for _, item := range items {
		parts = append(parts, textOf(item))
	}
	return b.made(strings.Join(parts, separator))
}

func (b *budget) splitList(separator, s string) ([]string, error) {
	if separator == "" {
		return nil, &functionError{"splitList", "the separator is empty"}
	}
	if err := b.spend(costOfCall + len(s) + costOfWrite*strings.Count(s, separator)); err != nil {
		return nil, err
	}
	return strings.Split(s, separator), nil
}

func (b *budget) orDefault(fallback any, given ...any) (any, error) {
	if len(given) == 0 || given[0] == nil || given[0] == "" || given[0] == number("0") || given[0] == false {
		return fallback, b.spend(costOfCall)
	}
	return given[0], b.spend(costOfCall)
}

func (b *budget) toJSON(v any) (string, error) {
	if err := b.spend(costOfCall + costOfEscape*b.size(v)); err != nil {
		return "", err
	}
	asWritten := json.MarshalToFunc(func(e *jsontext.Encoder, n number) error { return e.WriteValue(jsontext.Value(n)) })
	out, err := json.Marshal(v, json.WithMarshalers(asWritten), json.Deterministic(true))
	if err != nil {
		return "", &functionError{"toJson", "the value has no JSON form"}
	}
	return b.made(string(out))
}

// fromJSON pays for the values before they are made: each takes a comma or a bracket to write.
func (b *budget) fromJSON(s string) (any, error) {
	values := 1 + strings.Count(s, ",") + strings.Count(s, ":") + strings.Count(s, "[") + strings.Count(s, "{")
	if err := b.spend(costOfCall + len(s) + costOfValue*values); err != nil {
		return nil, err
	}
	out, err := decode(jsontext.Value(s))
	if err != nil {
		return nil, &functionError{"fromJson", "the text is no JSON"}
	}
	return out, nil
}
