package wire_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"strongroom.dev/strongroom/internal/gateway/limits"
	"strongroom.dev/strongroom/internal/gateway/limits/table"
)

// around are beginnings and ends between which a letter is repeated, for patterns that are not of one class of characters.
var around = [][3]string{
	{"", "a", ""}, {"", "1", ""}, {"", "A", ""}, {"", "a", "-a-1"}, {"1", "1", "h"}, {"cluster-", "a", ""},
	{"arn:aws:kms:us-east-1:123456789012:", "a", ""}, {"a.b.", "c", ""}, {"", "1", "h"}, {"/", "a", ""}, {"/", "a", "/"}, {"v", "1", ""},
	{"1.2.", "1", ""}, {"arn:aws:acm:us-east-1:123456789012:certificate/", "a", ""}, {"arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/", "a", ""},
	{"tag:", "a", ""}, {"https://", "a", ""}, {"/", "a", "/kms/xks/v1"}, {"com.amazonaws.vpce.us-east-1.vpce-svc-", "a", ""},
	{"hsm-", "a", ""}, {"subnet-", "a", ""}, {"eni-", "a", ""}, {"backup-", "a", ""}, {"us-east-1", "a", ""}, {"hsm1.", "a", ""}, {"1.1.1.", "1", ""},
}

// sized is a value of a size: UTF-16 units, bytes or entries, or the number itself. It matches the pattern if one is known.
func sized(s *limits.Shape, n int64) any {
	switch s.Type {
	case table.String:
		if s.Enum != nil {
			return s.Enum[0]
		}
		return text(s, int(n))
	case table.Blob:
		return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xAB}, int(n)))
	case table.List:
		return entries(s, n)
	case table.Map:
		object := map[string]any{}
		for i := range n {
			object = merged(object, map[string]any{"key" + strconv.FormatInt(i, 10): valid(s.Value.Shape)})
		}
		return object
	}
	return n
}

func text(s *limits.Shape, n int) string {
	for _, a := range around {
		if rest := n - len(a[0]) - len(a[2]); rest >= 0 {
			if v := a[0] + strings.Repeat(a[1], rest) + a[2]; matches(s, v) {
				return v
			}
		}
	}
	return strings.Repeat("a", n)
}

var compiled sync.Map // pattern to *regexp.Regexp

// java are the patterns that mean something else in Java than in Go: characters beyond U+FFFF, which none that this test sends is, \u
// escapes, and look-aheads, which Go has not.
var (
	java = strings.NewReplacer(`\u10000-\u10FFFF`, "", `\uE000-\uFFFD`, "",
		`((?!-)[A-Za-z0-9-]{0,62}[A-Za-z0-9])`, `([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)`,
		`((?!-)[A-Za-z0-9-]{1,62}[A-Za-z0-9])`, `([A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z0-9])`,
		`^(?!\s*$).+`, `^.*[^\t-\r ].*`)
	escaped = regexp.MustCompile(`\\u([0-9A-F]{4})`)
)

func goPattern(pattern string) string {
	return escaped.ReplaceAllString(java.Replace(pattern), `\x{$1}`)
}

func matches(s *limits.Shape, value string) bool {
	if s.Pattern == "" {
		return true
	}
	e, ok := compiled.Load(s.Pattern)
	if !ok {
		e, _ = compiled.LoadOrStore(s.Pattern, regexp.MustCompile(`^(?:`+goPattern(s.Pattern)+`)$`))
	}
	return e.(*regexp.Regexp).MatchString(value)
}

// unmatched is a value of a permitted length that fails the pattern.
func unmatched(s *limits.Shape) (string, bool) {
	for _, c := range []string{"!", "é", "\x01", "é\x01", "~", "中"} {
		n := least(s)
		if v := strings.Repeat(c, int(n)); !matches(s, v) && len([]rune(v)) == int(n) {
			return v, true
		}
	}
	return "", false
}

// size is that of a value as constraints count it. Text is ASCII here, or of characters of one unit.
func size(s *limits.Shape, value any) int64 {
	switch v := value.(type) {
	case string:
		if s.Type == table.Blob {
			raw, _ := base64.StdEncoding.DecodeString(v)
			return int64(len(raw))
		}
		return int64(len([]rune(v)))
	case int64:
		return v
	case []any:
		return int64(len(v))
	case map[string]any:
		return int64(len(v))
	}
	return 0
}

// failures are AWS's words for the constraints that a value fails, in AWS's order.
func failures(s *limits.Shape, value any) (out []string) {
	str, isText := value.(string)
	isText = isText && s.Type == table.String
	if isText && s.Enum != nil && !slices.Contains(s.Enum, str) {
		out = append(out, "Member must satisfy enum value set: ["+strings.Join(s.Enum, ", ")+"]")
	}
	if isText && !matches(s, str) {
		out = append(out, "Member must satisfy regular expression pattern: "+s.Pattern)
	}
	if s.Min != nil && size(s, value) < *s.Min {
		out = append(out, bound(s, "greater", *s.Min))
	}
	if s.Max != nil && size(s, value) > *s.Max {
		out = append(out, bound(s, "less", *s.Max))
	}
	return out
}

func bound(s *limits.Shape, side string, n int64) string {
	what := "length"
	if s.Type == table.Integer || s.Type == table.Long {
		what = "value"
	}
	return fmt.Sprintf("Member must have %s %s than or equal to %d", what, side, n)
}

// together are all constraints of an entry, as the list or map around it tells them.
func together(s *limits.Shape, query bool) string {
	var out []string
	if s.Max != nil {
		out = append(out, bound(s, "less", *s.Max))
	}
	if s.Min != nil {
		out = append(out, bound(s, "greater", *s.Min))
	}
	if s.Pattern != "" {
		out = append(out, "Member must satisfy regular expression pattern: "+s.Pattern)
	}
	if s.Enum != nil {
		out = append(out, "Member must satisfy enum value set: ["+strings.Join(s.Enum, ", ")+"]")
	}
	if query {
		out = append(out, "Member must not be null")
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// wanted is AWS's whole text for a value in a place, empty if nothing is wrong with it.
func wanted(p *place, query bool, value any) string {
	if value == (absent{}) {
		if !p.required {
			return ""
		}
		return "1 validation error detected: Value null at '" + p.path + "' failed to satisfy constraint: Member must not be null"
	}
	failed := failures(p.shape, value)
	if len(failed) == 0 {
		return ""
	}
	shape, shown := p.shape, value
	if p.entry {
		prefix := map[bool]string{true: "Map keys must satisfy constraint: ", false: "Map value must satisfy constraint: "}[p.key]
		if p.around.Type == table.List {
			prefix = "Member must satisfy constraint: "
		}
		failed = []string{prefix + together(p.shape, query)}
		shape, shown = p.around, p.shown(value)
	}
	said := ""
	if !p.hidden && shows(shape) {
		said = " '" + cut(printed(shown)) + "'"
	}
	plural := map[bool]string{true: "s"}[len(failed) > 1]
	for i := range failed {
		failed[i] = "Value" + said + " at '" + p.path + "' failed to satisfy constraint: " + failed[i]
	}
	text := fmt.Sprintf("%d validation error%s detected: %s", len(failed), plural, strings.Join(failed, "; "))
	if query {
		text = strings.ReplaceAll(text, "\x01", "\uFFFD") // no XML can hold it
	}
	return text
}

// shows says whether errors show values of the shape: text and numbers, and lists and maps of those.
func shows(s *limits.Shape) bool {
	switch s.Type {
	case table.List:
		return !s.Element.Sensitive && shows(s.Element.Shape)
	case table.Map:
		return !s.Key.Sensitive && !s.Value.Sensitive && shows(s.Key.Shape) && shows(s.Value.Shape)
	case table.Blob, table.Structure:
		return false
	}
	return true
}

// printed prints as Java does.
func printed(value any) string {
	switch v := value.(type) {
	case []any:
		var out []string
		for _, held := range v {
			out = append(out, printed(held))
		}
		return "[" + strings.Join(out, ", ") + "]"
	case map[string]any:
		var out []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out = append(out, key+"="+printed(v[key]))
		}
		return "{" + strings.Join(out, ", ") + "}"
	}
	return fmt.Sprint(value)
}

func cut(shown string) string {
	if len(shown) <= limits.MaximumShown {
		return shown
	}
	return shown[:limits.MaximumShown-3] + "..."
}
