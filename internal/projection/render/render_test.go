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

const canary = "CANARY-hunter2"

func value(current string) render.Value {
	return render.Value{Current: secretbytes.Copy([]byte(current))}
}

func one(t *testing.T, text string, v render.Value) (string, error) {
	t.Helper()
	data, err := render.Data(map[string]string{"k": text}, v)
	if err != nil {
		return "", err
	}
	return string(data["k"].Reveal()), nil
}

func TestTemplatesSeeTheValue(t *testing.T) {
	document := `{"engine":"postgres","port":5432,"big":12345678901234567890,"ok":true,"none":null,"tags":["a","b"],` +
		`"nested":{"x":{"y":"deep"}},"password":"p@ss w/ord","list":[{"n":"1"},{"n":"2"}]}`
	tests := []struct{ name, template, value, want string }{
		{"the current value", `{{ .current }}`, "hunter2", "hunter2"},
		{"no previous value is empty", `{{ .current }},{{ .previous }}`, "new", "new,"},
		{"a member of a JSON object", `{{ .engine }}`, document, "postgres"},
		{"a number as it was written", `{{ .port }}/{{ .big }}`, document, "5432/12345678901234567890"},
		{"a nested member", `{{ .nested.x.y }}`, document, "deep"},
		{"a list", `{{ range .tags }}[{{ . }}]{{ end }}`, document, "[a][b]"},
		{"an index", `{{ index .tags 1 }}`, document, "b"},
		{"a list of objects", `{{ range $i, $e := .list }}{{ $i }}{{ $e.n }}{{ end }}`, document, "0112"},
		{"a condition", `{{ if .ok }}yes{{ else }}no{{ end }}`, document, "yes"},
		{"a URL", `postgres://u:{{ .password | urlquery }}@h/{{ .engine }}`, document, "postgres://u:p%40ss+w%2Ford@h/postgres"},
		{"the whole document", `{{ .current }}`, `{"a":1}`, `{"a":1}`},
		{"base64", `{{ .current | b64enc }}`, "x", "eA=="},
		{"base64 back", `{{ "eA==" | b64dec }}`, "", "x"},
		{"quoting", `{{ .current | quote }}{{ .current | squote }}`, `a"b`, `"a\"b"'a"b'`},
		{"upper and lower case", `{{ upper .current }}{{ lower .current }}`, "aB", "ABab"},
		{"trimming", `{{ trim .current }}{{ trimPrefix "a" "ab" }}{{ trimSuffix "b" "ab" }}`, " x ", "xba"},
		{"replacement", `{{ .current | replace "a" "bb" }}`, "aca", "bbcbb"},
		{"joining", `{{ join "," .tags }}{{ splitList "/" "x/y" | join "+" }}`, document, "a,bx+y"},
		{"a default", `{{ .current | default "d" }}{{ .none | default "d" }}`, document[:0], "d"},
		{"indentation", `{{ indent 2 "a\nb" }}{{ nindent 1 "c" }}`, "", "  a\n  b\n c"},
		{"a hash", `{{ sha256sum .current }}`, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"JSON of a part", `{{ toJson .nested }}{{ toJson .port }}`, document, `{"x":{"y":"deep"}}5432`},
		{"JSON within text", `{{ (fromJson .inner).a }}`, `{"inner":"{\"a\":7}"}`, "7"},
		{"current wins over a member of that name", `{{ .current }}`, `{"current":"member"}`, `{"current":"member"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "a default" {
				tt.value, tt.want = `{"none":null}`, `{"none":null}d`
			}
			got, err := one(t, tt.template, value(tt.value))
			if err != nil || got != tt.want {
				t.Errorf("%q: %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestThePreviousValueIsSeen(t *testing.T) {
	v := value("new")
	v.Previous, v.HasPrevious = secretbytes.Copy([]byte("old")), true
	if got, err := one(t, `{{ .current }},{{ .previous }}`, v); err != nil || got != "new,old" {
		t.Errorf("%q: %v", got, err)
	}
}

func TestWithoutATemplateAnObjectBecomesKeysAndAnythingElseValue(t *testing.T) {
	tests := []struct {
		name, value string
		want        map[string]string
	}{
		{"text", "hunter2", map[string]string{"value": "hunter2"}},
		{"text that starts like an object", "{not json", map[string]string{"value": "{not json"}},
		{"a JSON array", `["a"]`, map[string]string{"value": `["a"]`}},
		{"a duplicate member", `{"a":1,"a":2}`, map[string]string{"value": `{"a":1,"a":2}`}},
		{"binary", "\x00\xff", map[string]string{"value": "\x00\xff"}},
		{"an object", `{"user":"u","port":5432,"tls":true,"list":[1, 2],"esc":"a\"b"}`,
			map[string]string{"user": "u", "port": "5432", "tls": "true", "list": "[1,2]", "esc": `a"b`}},
		{"an empty object", `{}`, map[string]string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data, err := render.Data(nil, value(tt.value))
			if err != nil || len(data) != len(tt.want) {
				t.Fatalf("%d keys: %v", len(data), err)
			}
			for k, want := range tt.want {
				if got := string(data[k].Reveal()); got != want {
					t.Errorf("%s is %q, want %q", k, got, want)
				}
			}
		})
	}
}

func TestNoErrorHoldsAnyPartOfTheValue(t *testing.T) {
	document := fmt.Sprintf(`{"p":%q,"list":[%q],"n":{"x":%q},%q:"v"}`, canary, canary, canary, "m-"+canary)
	tests := map[string]string{
		"a missing member":                 `{{ .nothing }}`,
		"a member of text":                 `{{ .p.x }}`,
		"a member of a missing one":        `{{ .n.y.z }}`,
		"text that is no JSON":             `{{ fromJson .p }}`,
		"text that is no base64":           `{{ b64dec .p }}`,
		"an index that text has not":       `{{ index .p 999 }}`,
		"an index that a list has not":     `{{ index .list 5 }}`,
		"an index by a value":              `{{ index .n .p }}{{ (index .n .p).x }}`,
		"a range over text":                `{{ range .p }}{{ end }}`,
		"a comparison of unlike things":    `{{ lt .p .list }}`,
		"an argument of the wrong type":    `{{ indent .p "x" }}`,
		"a list where text is wanted":      `{{ b64dec .list }}`,
		"joining text":                     `{{ join "," .p }}`,
		"a call":                           `{{ call .p }}`,
		"a slice":                          `{{ slice .p 0 9999 }}`,
		"too much output":                  `{{ range .list }}{{ . }}{{ end }}` + strings.Repeat(`{{ printf "%999s" .p }}`, 600) + `{{ .nothing }}`,
		"an empty separator":               `{{ splitList "" .p }}`,
		"too many spaces":                  `{{ indent 101 .p }}`,
		"a missing member of that name":    `{{ index .p "x" }}`,
		"a function of too many arguments": `{{ upper .p .p }}`,
	}
	for name, template := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := one(t, template, value(document))
			if err == nil {
				t.Fatalf("it rendered %d bytes", len(got))
			}
			if !errors.Is(err, render.ErrTemplate) || strings.Contains(err.Error(), "CANARY") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error is %v", err)
			}
		})
	}
	if _, err := render.Data(nil, value(fmt.Sprintf(`{"bad key %s":1}`, canary))); err == nil || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("a bad member name: %v", err)
	}
}

func TestErrorsSayWhereAndWhat(t *testing.T) {
	_, err := render.Data(map[string]string{"a": "ok", "url": "line one\n{{ .nothing }}"}, value(`{"x":1}`))
	if err == nil || !strings.Contains(err.Error(), "key url at 2:3") || !strings.Contains(err.Error(), `no member "nothing"`) {
		t.Errorf("%v", err)
	}
}

func TestWhatCouldRunWithoutABoundIsRefusedBeforeItRuns(t *testing.T) {
	tests := map[string]struct{ template, says string }{
		"a range over a number":     {`{{ range 200000000 }}{{ end }}`, "range"},
		"a range over a function":   {`{{ range (splitList "," .current) }}{{ end }}`, "range"},
		"a range over a pipeline":   {`{{ range .current | len }}{{ end }}`, "range"},
		"three nested ranges":       {`{{ range .a }}{{ range .b }}{{ range .c }}{{ end }}{{ end }}{{ end }}`, "nested"},
		"a definition":              {`{{ define "x" }}{{ end }}`, "define"},
		"a block":                   {`{{ block "x" . }}{{ end }}`, "define"},
		"recursion":                 {`{{ define "x" }}{{ template "x" . }}{{ end }}{{ template "x" . }}`, "define"},
		"a wide field":              {`{{ printf "%1000000000d" 1 }}`, "printf"},
		"a wide precision":          {`{{ printf "%.1000000000f" 1.0 }}`, "printf"},
		"a width from an argument":  {`{{ printf "%*d" 1000000000 1 }}`, "printf"},
		"a format from the value":   {`{{ printf .current }}`, "printf"},
		"a format from a pipeline":  {`{{ "%1000000000d" | printf }}`, "printf"},
		"a nested printf":           {`{{ upper (printf "%9999s" "x") }}`, "printf"},
		"a syntax error":            {`{{ .x `, "unclosed"},
		"an unknown function":       {`{{ env "HOME" }}`, "env"},
		"a file":                    {`{{ readFile "/etc/passwd" }}`, "readFile"},
		"too long a template":       {strings.Repeat("x", 16385), "16384"},
		"a range in an else branch": {`{{ if .x }}{{ else }}{{ range 5 }}{{ end }}{{ end }}`, "range"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := render.Validate(map[string]string{"k": tt.template})
			if !errors.Is(err, render.ErrTemplate) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestLimitsHold(t *testing.T) {
	many := map[string]string{}
	for i := range render.MaximumTemplates + 1 {
		many[fmt.Sprint(i)] = "x"
	}
	if err := render.Validate(many); err == nil {
		t.Error("too many templates are accepted")
	}
	if err := render.Validate(map[string]string{"bad key": "x"}); err == nil {
		t.Error("a bad key is accepted")
	}
	list := `{"a":[` + strings.TrimSuffix(strings.Repeat("1,", 30000), ",") + `]}`
	start := time.Now()
	for _, body := range []string{"x", ""} {
		_, err := one(t, `{{ range .a }}{{ range $.a }}`+body+`{{ end }}{{ end }}`, value(list))
		if err == nil || !strings.Contains(err.Error(), "too much work") {
			t.Errorf("900 million rounds of %q: %v", body, err)
		}
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("refusing them took %s", took)
	}
	var members []string
	for i := range render.MaximumKeys + 1 {
		members = append(members, fmt.Sprintf("%q:1", fmt.Sprint("k", i)))
	}
	if _, err := render.Data(nil, value("{"+strings.Join(members, ",")+"}")); err == nil {
		t.Error("too many members are accepted")
	}
}

func FuzzData(f *testing.F) {
	for _, seed := range []string{`{{ .current }}`, `{{ range .a }}{{ . }}{{ end }}`, `{{ printf "%5s" .p | b64enc }}`, `{{ with .x }}{{ end }}`} {
		f.Add(seed, `{"a":[1,2],"p":"x"}`)
	}
	f.Fuzz(func(t *testing.T, template, current string) {
		if len(current) > 65536 {
			return
		}
		data, err := render.Data(map[string]string{"k": template}, value(current))
		if err != nil && !errors.Is(err, render.ErrTemplate) {
			t.Fatalf("another error: %v", err)
		}
		if err == nil && data["k"].Len() > render.MaximumOutput {
			t.Fatalf("%d bytes of output", data["k"].Len())
		}
		if (render.Validate(map[string]string{"k": template}) != nil) && err == nil {
			t.Fatal("an invalid template was rendered")
		}
	})
}

func FuzzPlain(f *testing.F) {
	f.Add(`{"a":1}`)
	f.Add("text")
	f.Fuzz(func(t *testing.T, current string) {
		if _, err := render.Data(nil, value(current)); err != nil && !errors.Is(err, render.ErrTemplate) {
			t.Fatal(err)
		}
	})
}
