package render_test

import (
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/projection/render"
)

// sourced is a value beside two others: db, an object that had another value before, and token, which is text and had none.
func sourced(current string) render.Value {
	v := value(current)
	db := value(`{"user":"shop","password":"` + canary + `","port":5432}`)
	db.Previous, db.HasPrevious = secretbytes.Copy([]byte(`{"password":"former"}`)), true
	v.Sources = map[string]render.Value{"db": db, "token": value("t0ken")}
	return v
}

func TestATemplateSeesEachSourceAsItSeesTheValueItself(t *testing.T) {
	for _, tt := range []struct{ name, template, value, want, says string }{
		{"its members", `{{ .sources.db.user }}:{{ .sources.db.port }}`, "x", "shop:5432", ""},
		{"its text", `{{ .sources.token.current }}`, "x", "t0ken", ""},
		{"its value before", `{{ (fromJson .sources.db.previous).password }}`, "x", "former", ""},
		{"no value before is empty", `[{{ .sources.token.previous }}]`, "x", "[]", ""},
		{"beside the own value and its members", `{{ .user }}+{{ .current | len }}+{{ .sources.db.user }}`, `{"user":"a"}`, "a+12+shop", ""},
		{"a member named sources is hidden by them", `{{ .sources.db.user }}`, `{"sources":{"db":{"user":"hidden"}}}`, "shop", ""},
		{"all of them in a loop, in the order of their aliases", `{{ range $alias, $s := .sources }}{{ $alias }};{{ end }}`, "x", "db;token;", ""},
		{"one that is not named is an error", `{{ .sources.cache.user }}`, "x", "", `no member "cache"`},
		{"a member that it lacks is an error", `{{ .sources.db.host }}`, "x", "", `no member "host"`},
		{"a member of text is an error", `{{ .sources.token.user }}`, "x", "", `no member "user"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := one(t, tt.template, sourced(tt.value))
			if tt.says == "" && (err != nil || got != tt.want) || tt.says != "" && !refusal(err, tt.says) {
				t.Errorf("%q, %v", got, err)
			}
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Error("the error quotes a value")
			}
		})
	}
}

func TestWithoutSourcesAMemberOfThatNameIsSeenAsAnyOther(t *testing.T) {
	if got, err := one(t, `{{ .sources.a }}`, value(`{"sources":{"a":"x"}}`)); err != nil || got != "x" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestASourceIsNotSeenThroughAnother(t *testing.T) {
	v := sourced("x")
	db := v.Sources["db"]
	db.Sources = map[string]render.Value{"inner": value("secret of another")}
	v.Sources["db"] = db
	if got, err := one(t, `{{ .sources.db.sources.inner.current }}`, v); !refusal(err, `no member "sources"`) {
		t.Errorf("%q, %v", got, err)
	}
}

// What a template looks at is paid for, wherever it comes from.
func TestSourcesAreWithinTheLimitsOfWorkAndOutput(t *testing.T) {
	v := value("x")
	v.Sources = map[string]render.Value{"big": value(strings.Repeat("v", 65536))}
	text := strings.Repeat("{{ .sources.big.current }}", 17) // 1,114,112 bytes
	if _, err := one(t, text, v); !refusal(err, "1 MiB") {
		t.Error(err)
	}
	if _, err := one(t, strings.Repeat("{{ $x := sha256sum .sources.big.current }}", 65), v); !refusal(err, "too much work") {
		t.Error(err)
	}
}

func TestAValueIsWipedWithItsSources(t *testing.T) {
	v := sourced("own")
	v.Previous = secretbytes.Copy([]byte("before"))
	all := [][]byte{v.Current.Reveal(), v.Previous.Reveal()}
	for _, s := range v.Sources {
		all = append(all, s.Current.Reveal(), s.Previous.Reveal())
	}
	v.Wipe()
	for i, b := range all {
		if strings.Trim(string(b), "\x00") != "" {
			t.Errorf("%d is left", i)
		}
	}
}
