package render_test

import (
	"slices"
	"testing"

	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/projection/render"
)

func TestAKeyDependsOnASourceWithoutWhichItIsAnother(t *testing.T) {
	bytes := func(text string) secretbytes.Bytes { return secretbytes.Copy([]byte(text)) }
	value := render.Value{Current: bytes(`{"user":"u","sources":"own"}`), Sources: map[string]render.Value{
		"level": {Current: bytes("info"), Previous: bytes("debug"), HasPrevious: true},
		"db":    {Current: bytes(`{"host":"h"}`)},
	}}
	for name, tt := range map[string]struct {
		templates map[string]string
		alias     string
		want      []string
	}{
		"what names it": {map[string]string{
			"A": "{{ .sources.level.current }}", "B": "{{ .user }}", "C": "{{ .sources.db.host }}", "D": "x {{ .sources.level.previous }}",
		}, "level", []string{"A", "D"}},
		"the other one":                      {map[string]string{"A": "{{ .sources.level.current }}", "C": "{{ .sources.db.host }}"}, "db", []string{"C"}},
		"what names both":                    {map[string]string{"A": "{{ .sources.level.current }}@{{ .sources.db.host }}"}, "db", []string{"A"}},
		"what shows all there is":            {map[string]string{"A": "{{ toJson . }}", "B": "{{ range $a, $s := .sources }}{{ $s.current }},{{ end }}"}, "level", []string{"A", "B"}},
		"what reaches it by index":           {map[string]string{"A": `{{ index .sources "level" }}`}, "level", []string{"A"}},
		"what only asks whether it is":       {map[string]string{"A": `{{ if .sources.level }}yes{{ end }}`}, "level", []string{"A"}},
		"what names its value by a variable": {map[string]string{"A": `{{ $all := .sources }}{{ with $all.level }}{{ .current }}{{ end }}`}, "level", []string{"A"}},
		"nothing":                            {map[string]string{"A": "{{ .user }}"}, "level", nil},
		"a source that is none":              {map[string]string{"A": "{{ .user }}"}, "none", nil},
		"without templates":                  {nil, "level", nil},
		"what cannot be rendered":            {map[string]string{"A": "{{ .none }}", "B": "{{ .user }}"}, "level", []string{"A"}},
	} {
		got, err := render.Dependent(tt.templates, value, tt.alias)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, tt.want)
		}
	}
	if len(value.Sources) != 2 || string(value.Sources["level"].Current.Reveal()) != "info" {
		t.Error("the value is another by now")
	}
	if _, err := render.Dependent(map[string]string{"A": "{{"}, value, "level"); err == nil {
		t.Error("a template that is none is taken")
	}
}
