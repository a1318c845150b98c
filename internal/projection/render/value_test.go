package render_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/projection/render"
)

func TestMembersAreSeenByName(t *testing.T) {
	for _, tt := range []struct{ name, template, value, want, says string }{
		{"by an escaped name", `{{ .a }}`, `{"\u0061":"x"}`, "x", ""},
		{"by a name that is no identifier", `{{ index . "a-b" }}`, `{"a-b":"x"}`, "x", ""},
		{"with white space around the object", `{{ .a }}`, " \r\n\t{\"a\":\"x\"}\n", "x", ""},
		{"with text unescaped", `{{ .a }}`, `{"a":"\u00e9\n\"<"}`, "é\n\"<", ""},
		{"that is null", `{{ if .a }}yes{{ else }}no{{ end }}`, `{"a":null}`, "no", ""},
		{"that is zero, which is true as text is", `{{ if .a }}yes{{ else }}no{{ end }}`, `{"a":0}`, "yes", ""},
		{"that is an empty object", `{{ if .a }}yes{{ else }}no{{ end }}`, `{"a":{}}`, "no", ""},
		{"by comparison with text", `{{ if eq .a "x" }}yes{{ end }}`, `{"a":"x"}`, "yes", ""},
		{"that is a large number", `{{ .a }}`, `{"a":1e400}`, "1e400", ""},
		{"that is a negative zero", `{{ .a }}`, `{"a":-0.0}`, "-0.0", ""},
		{"in the order of names", `{{ range $k, $v := .o }}{{ $k }}={{ $v }};{{ end }}`, `{"o":{"b":2,"a":1}}`, "a=1;b=2;", ""},
		{"of an element", `{{ (index .l 0).n }}`, `{"l":[{"n":"x"}]}`, "x", ""},
		{"named previous is hidden", `[{{ .previous }}]`, `{"previous":"member"}`, "[]", ""},
		{"without one is an error", `{{ .b }}`, `{"a":1}`, "", `no member "b"`},
		{"of a nested object without one is an error", `{{ .a.c }}`, `{"a":{"b":1}}`, "", `no member "c"`},
		{"by index without one is nothing", `[{{ with index .a "c" }}{{ . }}{{ end }}]`, `{"a":{"b":1}}`, "[]", ""},
		{"of text is an error", `{{ .a.b }}`, `{"a":"x"}`, "", "cannot be evaluated"},
		{"of an array is an error", `{{ .a }}`, `["a"]`, "", `no member "a"`},
		{"of a duplicate is an error", `{{ .a }}`, `{"a":1,"a":1}`, "", `no member "a"`},
		{"of an object with something after it is an error", `{{ .a }}`, `{"a":1} x`, "", `no member "a"`},
		{"in another case is an error", `{{ .A }}`, `{"a":1}`, "", `no member "A"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := one(t, tt.template, value(tt.value))
			if tt.says == "" && (err != nil || got != tt.want) || tt.says != "" && !refusal(err, tt.says) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestAPreviousValueThatIsNoneIsEmptyWhateverItsBytes(t *testing.T) {
	v := render.Value{Current: secretbytes.Copy([]byte("new")), Previous: secretbytes.Copy([]byte("left over"))}
	if got, err := one(t, `{{ .current }},{{ .previous }}{{ if .previous }}!{{ end }}`, v); err != nil || got != "new," {
		t.Errorf("%q, %v", got, err)
	}
	v.HasPrevious = true
	v.Previous = secretbytes.Copy([]byte(`{"a":"old"}`))
	if got, err := one(t, `{{ (fromJson .previous).a }}`, v); err != nil || got != "old" {
		t.Errorf("the previous document: %q, %v", got, err)
	}
}

// encoding/json's first version, which is not what the code reads JSON with, says what an object's members are.
func TestPlainDataIsWhatAnotherJSONReaderSees(t *testing.T) {
	for _, text := range []string{
		`{}`, `{"a":"b"}`, `{"a":1,"b":-2.50,"c":1e9}`, `{"a":true,"b":false,"c":null}`, `{"a":{"b":[1,2,{"c":"d"}]},"e":[]}`,
		`{"a":"\u0000\ud83d\ude00\\\/"}`, " {\"a\" : [ 1 , 2 ] }\n", `{"A-1_.z":""}`,
	} {
		want := map[string]json.RawMessage{}
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		data, err := render.Data(nil, value(text))
		if err != nil || !slices.Equal(slices.Sorted(maps.Keys(data)), slices.Sorted(maps.Keys(want))) {
			t.Errorf("%s: %v, %v", text, slices.Sorted(maps.Keys(data)), err)
			continue
		}
		for k, raw := range want {
			var asText string
			if json.Unmarshal(raw, &asText) != nil || string(raw) == "null" {
				asText = strings.Join(strings.Fields(string(raw)), "")
			}
			if got := string(data[k].Reveal()); got != asText {
				t.Errorf("%s: %s is %q, want %q", text, k, got, asText)
			}
		}
	}
}

func TestWhatIsNoObjectIsTheKeyValueByteForByte(t *testing.T) {
	for name, text := range map[string]string{
		"a number": "1", "text in quotes": `"a"`, "two objects": `{"a":1}{"b":2}`, "an object cut off": `{"a":1`, "a BOM": "\ufeff{\"a\":1}",
		"a nested duplicate": `{"a":{"x":1,"x":2}}`, "a comment": `{/*x*/"a":1}`, "bytes in a name that are no text": "{\"\xff\":1}",
		"bytes that are no text": "{\"a\":\"\xff\"}", "white space": " \n", "a vertical tab before": "\v{\"a\":1}", "a trailing comma": `{"a":1,}`,
	} {
		data, err := render.Data(nil, value(text))
		if err != nil || len(data) != 1 || string(data["value"].Reveal()) != text {
			t.Errorf("%s: %d keys, %v", name, len(data), err)
		}
	}
}

func TestNamesThatCannotBeKeysAreRefusedWithoutBeingNamed(t *testing.T) {
	for _, name := range []string{"", "with blank", "slash/", "quote\"", "ä", "line\n", ".", "..", "..data", strings.Repeat("n", 254)} {
		quoted, _ := json.Marshal(name)
		_, err := render.Data(nil, value(`{"fine":"x",`+string(quoted)+`:1}`))
		if !refusal(err, "use a template") || strings.Contains(err.Error(), "nnnn") || strings.Contains(err.Error(), "blank") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// text/template would quote a text that it is to loop over, which must not pass for the name of a member.
func TestATemplateCannotMakeAnErrorThatQuotesTheValue(t *testing.T) {
	for name, text := range map[string]string{
		"by printf": `{{ $x := printf "map has no entry for key %q" .current }}{{ range $x }}{{ end }}`,
		"by print":  `{{ $x := print "map has no entry for key \"" .current "\"" }}{{ range $x }}{{ end }}`,
		"by halves": `{{ $x := print "map has no entry for key \"" (index (splitList "-" .current) 1) "\"" }}{{ range $x }}{{ end }}`,
	} {
		_, err := one(t, text, value(canary))
		if !refusal(err, "lists and objects alone") || strings.Contains(err.Error(), "CANARY") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheMostMembersAreAThousandAndTwentyFour(t *testing.T) {
	for n, ok := range map[int]bool{1024: true, 1025: false} {
		members := make([]string, n)
		for i := range members {
			members[i] = fmt.Sprintf(`"m%d":%d`, i, i)
		}
		data, err := render.Data(nil, value("{"+strings.Join(members, ",")+"}"))
		if ok != (err == nil) || ok && len(data) != n || !ok && !refusal(err, "use a template") {
			t.Errorf("%d members: %d keys, %v", n, len(data), err)
		}
	}
}
