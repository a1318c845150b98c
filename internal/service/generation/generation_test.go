package generation_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/generation"
)

func made(t *testing.T, spec *v1alpha1.SecretGenerator) string {
	t.Helper()
	if err := generation.Validate(spec); err != nil {
		t.Fatal(err)
	}
	value, err := generation.Of(spec).Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(value.Reveal())
}

func has(text string, is func(rune) bool) bool { return strings.ContainsFunc(text, is) }

func punctuation(r rune) bool { return unicode.IsPunct(r) || unicode.IsSymbol(r) }

// Each field of a spec must reach the generator: one that is lost on the way makes another password than the user asked for.
func TestEachFieldOfAPasswordReachesItsGenerator(t *testing.T) {
	no, yes := false, true
	for name, tt := range map[string]struct {
		spec v1alpha1.PasswordGenerator
		good func(password string) bool
	}{
		"nothing said": {v1alpha1.PasswordGenerator{}, func(p string) bool {
			return len(p) == 32 && has(p, unicode.IsUpper) && has(p, unicode.IsLower) && has(p, unicode.IsDigit) && has(p, punctuation)
		}},
		"length":              {v1alpha1.PasswordGenerator{Length: 77}, func(p string) bool { return len(p) == 77 }},
		"without numbers":     {v1alpha1.PasswordGenerator{ExcludeNumbers: true}, func(p string) bool { return !has(p, unicode.IsDigit) }},
		"without punctuation": {v1alpha1.PasswordGenerator{ExcludePunctuation: true}, func(p string) bool { return !has(p, punctuation) }},
		"without upper case":  {v1alpha1.PasswordGenerator{ExcludeUppercase: true}, func(p string) bool { return !has(p, unicode.IsUpper) }},
		"without lower case":  {v1alpha1.PasswordGenerator{ExcludeLowercase: true}, func(p string) bool { return !has(p, unicode.IsLower) }},
		"without characters":  {v1alpha1.PasswordGenerator{ExcludeCharacters: "aeiou\"/"}, func(p string) bool { return !strings.ContainsAny(p, "aeiou\"/") }},
		"each type, of four": {v1alpha1.PasswordGenerator{Length: 4, RequireEachIncludedType: &yes}, func(p string) bool {
			return has(p, unicode.IsUpper) && has(p, unicode.IsLower) && has(p, unicode.IsDigit) && has(p, punctuation)
		}},
		"not each type, of 1":  {v1alpha1.PasswordGenerator{Length: 1, RequireEachIncludedType: &no}, func(p string) bool { return len(p) == 1 }},
		"nothing but spaces":   {v1alpha1.PasswordGenerator{IncludeSpace: true, ExcludeNumbers: true, ExcludePunctuation: true, ExcludeUppercase: true, ExcludeLowercase: true}, func(p string) bool { return strings.Trim(p, " ") == "" && len(p) == 32 }},
		"no spaces by default": {v1alpha1.PasswordGenerator{Length: 4000}, func(p string) bool { return !strings.Contains(p, " ") }},
	} {
		for range 20 {
			if p := made(t, &v1alpha1.SecretGenerator{Password: &tt.spec}); !tt.good(p) {
				t.Errorf("%s: %q", name, p)
			}
		}
	}
}

func TestJSONHoldsItsTemplateAndThePasswordUnderItsKey(t *testing.T) {
	spec := &v1alpha1.SecretGenerator{JSON: &v1alpha1.JSONGenerator{
		Template: `{"user":"alice"}`, Key: "password", Password: &v1alpha1.PasswordGenerator{Length: 20, ExcludePunctuation: true},
	}}
	var out map[string]string
	if err := json.Unmarshal([]byte(made(t, spec)), &out); err != nil {
		t.Fatal(err)
	}
	if out["user"] != "alice" || len(out["password"]) != 20 || has(out["password"], punctuation) {
		t.Errorf("%v", out)
	}
	spec.JSON.Password = nil
	if err := json.Unmarshal([]byte(made(t, spec)), &out); err != nil || len(out["password"]) != 32 {
		t.Errorf("a password that is not specified is not the default one: %v, %v", out, err)
	}
}

func TestBytesHaveTheirLengthAndEncodingAndAUUIDIsOne(t *testing.T) {
	for encoding, want := range map[string]int{"": 32, "Hex": 48, "Base64": 32} {
		spec := &v1alpha1.SecretGenerator{Bytes: &v1alpha1.BytesGenerator{Length: 24, Encoding: v1alpha1.BytesEncoding(encoding)}}
		if got := made(t, spec); len(got) != want {
			t.Errorf("24 bytes in encoding %q are %d characters, want %d", encoding, len(got), want)
		}
	}
	if id := made(t, &v1alpha1.SecretGenerator{UUID: &v1alpha1.UUIDGenerator{}}); len(id) != 36 || strings.Count(id, "-") != 4 || id[14] != '4' {
		t.Errorf("%q", id)
	}
}

func TestAGeneratorThatMakesNothingIsAFaultThatOnlyAnEditMends(t *testing.T) {
	for name, spec := range map[string]*v1alpha1.SecretGenerator{
		"no characters are left": {Password: &v1alpha1.PasswordGenerator{
			ExcludeNumbers: true, ExcludePunctuation: true, ExcludeUppercase: true, ExcludeLowercase: true,
		}},
		"too short for each type":      {Password: &v1alpha1.PasswordGenerator{Length: 3}},
		"a template that is no object": {JSON: &v1alpha1.JSONGenerator{Template: `[]`, Key: "password"}},
		"a template that is no JSON":   {JSON: &v1alpha1.JSONGenerator{Template: `{`, Key: "password"}},
	} {
		err := generation.Validate(spec)
		if err == nil {
			t.Errorf("%s: it is valid", name)
			continue
		}
		if f := fault.Of(err); f.Reason != v1alpha1.ReasonInvalidGenerator || !f.Stalled || !strings.Contains(err.Error(), "spec.generate") {
			t.Errorf("%s: %s, stalled %t, %v", name, f.Reason, f.Stalled, err)
		}
	}
}
