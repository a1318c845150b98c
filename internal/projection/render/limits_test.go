package render_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/projection/render"
)

// refusal says whether an error is this package's and says why.
func refusal(err error, says string) bool {
	return errors.Is(err, render.ErrTemplate) && strings.Contains(err.Error(), says)
}

// times is {"a":[1,1,...]}, a value to loop over.
func times(n int) render.Value {
	return value(`{"a":[` + strings.TrimSuffix(strings.Repeat("1,", n), ",") + `]}`)
}

// A core Secret holds 1 MiB. https://kubernetes.io/docs/concepts/configuration/secret/#restriction-data-size
func TestAllKeysTogetherHaveOneMiBAndNotAByteMore(t *testing.T) {
	full := value(strings.Repeat("x", 65536)) // the longest value that a secret has
	sixteen, eight := strings.Repeat("{{ .current }}", 16), strings.Repeat("{{ .current }}", 8)
	for name, tt := range map[string]struct {
		templates map[string]string
		size      int
	}{
		"one key with all":                   {map[string]string{"a": sixteen}, 1 << 20},
		"one key with a byte more":           {map[string]string{"a": sixteen + "y"}, 0},
		"two keys with all":                  {map[string]string{"a": eight, "b": eight}, 1 << 20},
		"a third key with a byte more":       {map[string]string{"a": eight, "b": eight, "c": "y"}, 0},
		"a first key with a byte more":       {map[string]string{"A": "y", "a": eight, "b": eight}, 0},
		"what is made and not put out":       {map[string]string{"a": `{{ $x := upper .current }}` + sixteen}, 1 << 20},
		"too much by a function":             {map[string]string{"a": `{{ replace "x" "0123456789abcdefg" .current }}`}, 0},
		"too much by a function, thrown off": {map[string]string{"a": `{{ $x := replace "x" "0123456789abcdefg" .current }}`}, 0},
		"just enough by a function":          {map[string]string{"a": `{{ replace "x" "0123456789abcdef" .current }}`}, 1 << 20},
		"enough by a function":               {map[string]string{"a": `{{ replace "x" "0123456789abcde" .current }}`}, 15 << 16},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := render.Data(tt.templates, full)
			size := 0
			for _, b := range data {
				size += b.Len()
			}
			if tt.size == 0 && (!refusal(err, "1 MiB") || data != nil) || tt.size != 0 && (err != nil || size != tt.size) {
				t.Errorf("%d bytes, %v", size, err)
			}
		})
	}
}

func TestWorkIsCountedOverAllKeys(t *testing.T) {
	loop := `{{ range .a }}{{ end }}`
	if _, err := render.Data(map[string]string{"a": loop}, times(20000)); err != nil {
		t.Errorf("20,000 empty rounds: %v", err)
	}
	for name, templates := range map[string]map[string]string{
		"a loop in each of three keys":  {"a": loop, "b": loop, "c": loop},
		"three loops one after another": {"a": loop + loop + loop},
		"a loop in a loop":              {"a": `{{ range .a }}{{ range $.a }}{{ end }}{{ end }}`},
		"a loop that goes on at once":   {"a": `{{ range .a }}{{ range $.a }}{{ continue }}{{ end }}{{ end }}`},
		"a loop that calls":             {"a": `{{ range .a }}{{ $x := upper "x" }}{{ $x = lower "x" }}{{ end }}`},
		"a loop with a condition":       {"a": `{{ range .a }}{{ if $.a }}{{ range $.a }}{{ end }}{{ end }}{{ end }}`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := render.Data(templates, times(30000)); !refusal(err, "too much work") {
				t.Errorf("%v", err)
			}
		})
	}
	early := map[string]string{"a": `{{ range .a }}{{ break }}{{ end }}`, "b": `{{ range .a }}{{ break }}{{ end }}`}
	if _, err := render.Data(early, times(30000)); err != nil {
		t.Errorf("loops that end at their first round: %v", err)
	}
}

// 24 doublings of 2 bytes are 32 MiB; a template of 16 KiB has room for 700, which no machine has memory for.
func TestNoFunctionDoublesTextWithoutABound(t *testing.T) {
	for name, double := range map[string]string{
		"print":   `{{ $x = print $x $x }}`,
		"println": `{{ $x = println $x $x }}`,
		"printf":  `{{ $x = printf "%s%s" $x $x }}`,
		"js":      `{{ $x = js $x }}`,
		"quote":   `{{ $x = quote $x }}`,
		"toJson":  `{{ $x = toJson $x }}`,
		"replace": "{{ $x = replace `\\` `\\\\` $x }}",
		"join":    `{{ $x = splitList "-" (print $x "-" $x) | join "" }}`,
	} {
		t.Run(name, func(t *testing.T) {
			text := `{{ $x := "\\\\" }}` + strings.Repeat(double, 24) + `{{ len $x }}`
			if got, err := one(t, text, value("v")); !refusal(err, "too much work") && !refusal(err, "1 MiB") {
				t.Errorf("it made text of %s bytes: %v", got, err)
			}
		})
	}
}

// Work is paid by the byte: 5,000 hashes of 1 MiB are 5 GB, which are half a minute.
func TestALoopOverALongTextIsPaidForByItsLength(t *testing.T) {
	list := `{"s":"` + strings.Repeat("a", 16000) + `","a":[` + strings.TrimSuffix(strings.Repeat("1,", 5000), ",") + `]}`
	for _, call := range []string{"sha256sum $b", "upper $b", "b64enc $b", "trim $b", "html $b", "len (splitList \"a\" $b)", "eq $b $b", "print $b"} {
		text := `{{ $b := replace "a" "` + strings.Repeat("b", 32) + `" .s }}{{ range .a }}{{ $h := ` + call + ` }}{{ end }}`
		start := time.Now()
		if _, err := one(t, text, value(list)); !refusal(err, "too much work") {
			t.Errorf("%s ended after %s: %v", call, time.Since(start), err)
		}
	}
}

func TestTheSizeOfTemplatesIsBounded(t *testing.T) {
	many := func(n int) map[string]string {
		out := map[string]string{}
		for i := range n {
			out[fmt.Sprint("k", i)] = "x"
		}
		return out
	}
	for name, tt := range map[string]struct {
		templates map[string]string
		says      string
	}{
		"no template":          {nil, ""},
		"64 keys":              {many(64), ""},
		"65 keys":              {many(65), "at most 64"},
		"16,384 bytes":         {map[string]string{"k": strings.Repeat("x", 16384)}, ""},
		"16,385 bytes":         {map[string]string{"k": strings.Repeat("x", 16385)}, "at most 16384"},
		"a key of 253":         {map[string]string{strings.Repeat("k", 253): "x"}, ""},
		"a key of 254":         {map[string]string{strings.Repeat("k", 254): "x"}, "at most 253"},
		"an empty key":         {map[string]string{"": "x"}, "a key has letters"},
		"a key with a slash":   {map[string]string{"a/b": "x"}, "a key has letters"},
		"a key with a line":    {map[string]string{"a\n": "x"}, "a key has letters"},
		"a key with an umlaut": {map[string]string{"ä": "x"}, "a key has letters"},
		"a key that is a dot":  {map[string]string{".": "x"}, "a key has letters"},
		"a key of two dots":    {map[string]string{"..": "x"}, "a key has letters"},
		"a key from two dots":  {map[string]string{"..data": "x"}, "a key has letters"},
		"a key from one dot":   {map[string]string{".dockerconfigjson": "x"}, ""},
		"every kind of sign":   {map[string]string{"aZ0-_.": "x"}, ""},
		"an empty template":    {map[string]string{"k": ""}, ""},
		"a comment alone":      {map[string]string{"k": "{{/* nothing */}}"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := render.Validate(tt.templates)
			if tt.says == "" && err != nil || tt.says != "" && !refusal(err, tt.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A template that nests as deep as its length allows is refused or rendered; it neither ends the process nor hangs.
func TestDeepTemplatesDoNotEndTheProcess(t *testing.T) {
	nest := func(open, inner, end string) string {
		n := (render.MaximumTemplate - len(inner)) / (len(open) + len(end))
		return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	for name, text := range map[string]string{
		"conditions":  nest(`{{if .a}}`, "x", `{{end}}`),
		"elses":       nest(`{{if .none}}{{else}}`, "x", `{{end}}`),
		"withs":       nest(`{{with $}}`, "x", `{{end}}`),
		"parentheses": "{{" + strings.Repeat("(", 8000) + "1" + strings.Repeat(")", 8000) + "}}",
		"members":     "{{ .a" + strings.Repeat(".a", 8000) + " }}",
		"pipelines":   "{{ .a" + strings.Repeat("|len", 4000) + " }}",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := one(t, text, value(`{"a":{"a":"v"},"none":null}`))
			if err != nil && !errors.Is(err, render.ErrTemplate) || err == nil && got == "" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	deep := `{"a":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`
	if got, err := one(t, `{{ toJson .a }}`, value(deep)); err != nil || len(got) != 18000 {
		t.Errorf("a value nested 9,000 deep: %d bytes, %v", len(got), err)
	}
}

func TestAFormatIsWideIfItSaysSoInAnyWay(t *testing.T) {
	for format, refused := range map[string]bool{
		"%5s": false, "%-999s": false, "%.999f": false, "%999.999f": false, "%+08d": false, "%%": false, "100%": false, "%v %v": false,
		"%1000s": true, "%-1000s": true, "%01000d": true, "% 1000d": true, "%+#1000x": true, "%.1000f": true, "%1.1000f": true,
		"%*d": true, "%.*f": true, "%[1]d": true, "%5[1]d": true, "a%d b%1000d": true,
	} {
		for _, text := range []string{
			fmt.Sprintf(`{{ printf %q 1 }}`, format),
			fmt.Sprintf(`{{ if printf %q 1 }}{{ end }}`, format),
			fmt.Sprintf(`{{ with $x := printf %q 1 }}{{ end }}`, format),
			fmt.Sprintf(`{{ len (printf %q 1) }}`, format),
			fmt.Sprintf(`{{ (printf %q 1).x }}`, format),
			fmt.Sprintf(`{{ range .a }}{{ else }}{{ printf %q 1 | len }}{{ end }}`, format),
		} {
			if err := render.Validate(map[string]string{"k": text}); refused != refusal(err, "printf") {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}

func TestAFailureInOneKeyGivesNoKeyAtAll(t *testing.T) {
	data, err := render.Data(map[string]string{"a": "{{ .current }}", "b": "{{ .nothing }}", "c": "{{ .current }}"}, value(`{"x":1}`))
	if data != nil || !refusal(err, "key b") {
		t.Errorf("%d keys, %v", len(data), err)
	}
}

func TestRenderingChangesNeitherTheValueNorTheNextResult(t *testing.T) {
	v := render.Value{Current: secretbytes.Copy([]byte(`{"a":"x"}`)), Previous: secretbytes.Copy([]byte("old")), HasPrevious: true}
	templates := map[string]string{"k": `{{ .a }}{{ .previous }}`}
	first, err := render.Data(templates, v)
	if err != nil {
		t.Fatal(err)
	}
	first["k"].Wipe() // the caller owns the result
	second, err := render.Data(templates, v)
	if err != nil || string(second["k"].Reveal()) != "xold" || string(v.Current.Reveal()) != `{"a":"x"}` || string(v.Previous.Reveal()) != "old" {
		t.Errorf("%q, %v", second["k"].Reveal(), err)
	}
	third, err := render.Data(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	third["a"].Wipe()
	if string(v.Current.Reveal()) != `{"a":"x"}` {
		t.Error("wiping the result wiped the value")
	}
}
