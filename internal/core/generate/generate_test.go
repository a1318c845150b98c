package generate_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/generate"
)

const punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"

func no() *bool { b := false; return &b }

// seeded is a deterministic source of bytes that look random.
func seeded(n uint64) io.Reader {
	var seed [32]byte
	seed[0], seed[1] = byte(n), byte(n>>8)
	return rand.NewChaCha8(seed)
}

func text(t *testing.T, g generate.Generator, r io.Reader) string {
	t.Helper()
	v, err := g.Generate(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(v.Reveal())
}

func TestPasswordsHaveTheLengthAndCharactersTheyAreAskedFor(t *testing.T) {
	tests := []struct {
		name    string
		p       generate.Password
		length  int
		all     string // a character class that every character is in
		holding []string
	}{
		{"by default 32 of all types but the space", generate.Password{}, 32, `[!-~]`, []string{`[a-z]`, `[A-Z]`, `[0-9]`, `[^a-zA-Z0-9]`}},
		{"of the least length that holds each type", generate.Password{Length: 4}, 4, `[!-~]`, []string{`[a-z]`, `[A-Z]`, `[0-9]`, `[^a-zA-Z0-9]`}},
		{"of the greatest length", generate.Password{Length: 4096}, 4096, `[!-~]`, nil},
		{"without punctuation", generate.Password{Length: 48, ExcludePunctuation: true}, 48, `[a-zA-Z0-9]`, []string{`[a-z]`, `[A-Z]`, `[0-9]`}},
		{"without numbers", generate.Password{ExcludeNumbers: true}, 32, `[^0-9 ]`, []string{`[a-z]`}},
		{"without upper case", generate.Password{ExcludeUppercase: true}, 32, `[^A-Z ]`, []string{`[a-z]`}},
		{"without lower case", generate.Password{ExcludeLowercase: true}, 32, `[^a-z ]`, []string{`[A-Z]`}},
		{"with the space required", generate.Password{Length: 5, IncludeSpace: true}, 5, `[ -~]`, []string{` `}},
		{"of one character", generate.Password{Length: 1, RequireEachIncludedType: no()}, 1, `[!-~]`, nil},
		{"of the space alone", generate.Password{Length: 3, IncludeSpace: true, ExcludeLowercase: true, ExcludeUppercase: true, ExcludeNumbers: true, ExcludePunctuation: true}, 3, ` `, nil},
		{"without some characters", generate.Password{ExcludeCharacters: "/@\"'\\"}, 32, `[^/@"'\\]`, nil},
		{"without a type that is excluded character by character", generate.Password{Length: 3, ExcludeCharacters: "0123456789"}, 3, `[^0-9]`, []string{`[a-z]`, `[A-Z]`}},
		{"excluding characters that no type has", generate.Password{ExcludeCharacters: "äöü€\x00"}, 32, `[!-~]`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := regexp.MustCompile(`^` + tt.all + `*$`)
			for seed := range uint64(200) {
				got := text(t, tt.p, seeded(seed))
				if len(got) != tt.length || !all.MatchString(got) {
					t.Fatalf("seed %d: %q has %d characters", seed, got, len(got))
				}
				for _, class := range tt.holding {
					if !regexp.MustCompile(class).MatchString(got) {
						t.Fatalf("seed %d: %q holds no %s", seed, got, class)
					}
				}
			}
		})
	}
}

func TestPunctuationIsAWSs32Characters(t *testing.T) {
	p := generate.Password{Length: 4096, ExcludeLowercase: true, ExcludeUppercase: true, ExcludeNumbers: true}
	got := text(t, p, seeded(1))
	for _, c := range punctuation {
		if !strings.ContainsRune(got, c) {
			t.Errorf("%q never appears", c)
		}
	}
	if strings.Trim(got, punctuation) != "" || len(punctuation) != 32 {
		t.Error("something else appears")
	}
}

func TestImpossiblePasswordsAreRefusedWithTheRemedy(t *testing.T) {
	tests := map[string]struct {
		p    generate.Password
		says string
	}{
		"too long":                  {generate.Password{Length: 4097}, "1 to 4096"},
		"negative":                  {generate.Password{Length: -1}, "1 to 4096"},
		"shorter than its types":    {generate.Password{Length: 3}, "requireEachIncludedType"},
		"with the space, too short": {generate.Password{Length: 4, IncludeSpace: true}, "5 types"},
		"of no type":                {generate.Password{ExcludeLowercase: true, ExcludeUppercase: true, ExcludeNumbers: true, ExcludePunctuation: true}, "exclude fewer"},
		"of no character":           {generate.Password{ExcludeUppercase: true, ExcludeNumbers: true, ExcludePunctuation: true, ExcludeCharacters: "abcdefghijklmnopqrstuvwxyz"}, "exclude fewer"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := tt.p.Validate(); !errors.Is(err, generate.ErrInvalid) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Validate: %v", err)
			}
			if _, err := tt.p.Generate(nil); !errors.Is(err, generate.ErrInvalid) {
				t.Errorf("Generate: %v", err)
			}
		})
	}
}

// Chi-square of 88 degrees of freedom is over 150 once in 25,000 times; the seed is fixed, so this passes or fails for good.
func TestCharactersAndPlacesAreUniform(t *testing.T) {
	alphabet := regexp.MustCompile(`[!-~]`)
	counts := map[byte]float64{}
	var firstIsDigit float64
	const n = 4000
	source := seeded(7)
	for range n {
		p := text(t, generate.Password{Length: 26, RequireEachIncludedType: no()}, source)
		for i := range len(p) {
			counts[p[i]]++
		}
		if q := text(t, generate.Password{Length: 4}, source); q[0] >= '0' && q[0] <= '9' {
			firstIsDigit++
		}
	}
	expected := float64(n*26) / 94
	var chi float64
	for c := byte('!'); c <= '~'; c++ {
		if !alphabet.Match([]byte{c}) {
			continue
		}
		chi += (counts[c] - expected) * (counts[c] - expected) / expected
	}
	if chi > 150 {
		t.Errorf("chi-square of the characters is %f", chi)
	}
	if share := firstIsDigit / n; share < 0.22 || share > 0.28 {
		t.Errorf("the required digit is first in %f of the passwords of four, not in a quarter", share)
	}
}

func TestAShortSourceIsAnErrorAndNotAWeakValue(t *testing.T) {
	for _, g := range []generate.Generator{
		generate.Password{}, generate.Bytes{}, generate.UUID{}, generate.JSON{Template: "{}", Key: "k"},
	} {
		if v, err := g.Generate(strings.NewReader("short")); err == nil || v.Len() != 0 {
			t.Errorf("%T made %d bytes: %v", g, v.Len(), err)
		}
	}
}

func TestTwoValuesDiffer(t *testing.T) {
	for _, g := range []generate.Generator{
		generate.Password{}, generate.Bytes{}, generate.UUID{}, generate.JSON{Template: "{}", Key: "k"},
	} {
		first, second := text(t, g, nil), text(t, g, nil)
		if first == second {
			t.Errorf("%T made the same twice", g)
		}
	}
}

func TestJSONHasTheTemplatesMembersInOrderAndTheGeneratedOne(t *testing.T) {
	tests := []struct{ name, template, want string }{
		{"an empty object", `{}`, `{"password":"`},
		{"spaces go", " { \"a\" : 1 ,\n\"b\": [1, {\"password\": 2}] } ", `{"a":1,"b":[1,{"password":2}],"password":"`},
		{"the value is no name", `{"user":"password"}`, `{"user":"password","password":"`},
		{"numbers stay as written", `{"port":5432.0}`, `{"port":5432.0,"password":"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := text(t, generate.JSON{Template: tt.template, Key: "password"}, seeded(1))
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("%s", got)
			}
			var parsed map[string]any
			if err := json.Unmarshal([]byte(got), &parsed); err != nil || len(parsed["password"].(string)) != 32 {
				t.Errorf("%s: %v", got, err)
			}
		})
	}
}

func TestJSONEscapesWhateverThePasswordHolds(t *testing.T) {
	p := generate.Password{Length: 400, ExcludeLowercase: true, ExcludeUppercase: true, ExcludeNumbers: true}
	want := text(t, p, seeded(3))
	got := text(t, generate.JSON{Template: "{}", Key: "p", Password: p}, seeded(3))
	var parsed map[string]string
	if err := json.Unmarshal([]byte(got), &parsed); err != nil || parsed["p"] != want {
		t.Errorf("%s: %v", got, err)
	}
}

func TestBadTemplatesAreRefused(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
	tests := map[string]struct{ template, key, says string }{
		"an array":                   {`[]`, "k", "no JSON object"},
		"null":                       {`null`, "k", "no JSON object"},
		"nothing":                    {``, "k", "no JSON object"},
		"unfinished":                 {`{"a":`, "k", "no valid JSON"},
		"a member twice":             {`{"a":1,"a":2}`, "k", "no valid JSON"},
		"two objects":                {`{}{}`, "k", "more than one"},
		"something after it":         {`{} x`, "k", "more than one"},
		"the generated member":       {`{"k":"x"}`, "k", "already"},
		"the generated one, escaped": {`{"\u006b":"x"}`, "k", "already"},
		"too deep":                   {deep, "k", "deeper"},
		"too long":                   {`{"a":"` + strings.Repeat("x", 16384) + `"}`, "k", "16384"},
		"no key":                     {`{}`, "", "key is empty"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			j := generate.JSON{Template: tt.template, Key: tt.key}
			if err := j.Validate(); !errors.Is(err, generate.ErrInvalid) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Validate: %v", err)
			}
			if _, err := j.Generate(nil); !errors.Is(err, generate.ErrInvalid) {
				t.Errorf("Generate: %v", err)
			}
		})
	}
	if err := (generate.JSON{Template: "{}", Key: "k", Password: generate.Password{Length: 9999}}).Validate(); err == nil {
		t.Error("a bad password of a JSON document is not refused")
	}
}

func TestBytesAreEncodedAsAsked(t *testing.T) {
	raw := make([]byte, 20)
	_, _ = io.ReadFull(seeded(5), raw)
	for encoding, want := range map[generate.Encoding]string{
		"":                 base64.StdEncoding.EncodeToString(raw),
		generate.Base64:    base64.StdEncoding.EncodeToString(raw),
		generate.Base64URL: base64.RawURLEncoding.EncodeToString(raw),
		generate.Hex:       hex.EncodeToString(raw),
	} {
		if got := text(t, generate.Bytes{Length: 20, Encoding: encoding}, seeded(5)); got != want {
			t.Errorf("%s: %s, want %s", encoding, got, want)
		}
	}
	if got := text(t, generate.Bytes{Encoding: generate.Hex}, nil); len(got) != 64 {
		t.Errorf("the default is %d characters of hex", len(got))
	}
	for _, bad := range []generate.Bytes{{Length: -1}, {Length: 4097}, {Encoding: "base32"}} {
		if _, err := bad.Generate(nil); !errors.Is(err, generate.ErrInvalid) || bad.Validate() == nil {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestUUIDsAreOfVersion4(t *testing.T) {
	shape := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for range 200 {
		if got := text(t, generate.UUID{}, nil); !shape.MatchString(got) {
			t.Fatal(got)
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1}`, `[]`, `{"a":{"b":[1,2,"x"]}}`, `{"k":1}`, "{\"\xff\":1}", `{"a":1}{}`} {
		f.Add(seed, "k")
	}
	f.Fuzz(func(t *testing.T, template, key string) {
		j := generate.JSON{Template: template, Key: key}
		v, err := j.Generate(seeded(1))
		if (err == nil) != (j.Validate() == nil) && !errors.Is(err, generate.ErrInvalid) {
			t.Fatalf("Generate: %v; Validate: %v", err, j.Validate())
		}
		if err != nil {
			return
		}
		var parsed map[string]any
		if err := json.Unmarshal(v.Reveal(), &parsed); err != nil {
			t.Fatalf("%q gives invalid JSON: %v", template, err)
		}
		if s, ok := parsed[key].(string); !ok || len(s) != 32 {
			t.Fatalf("%q: member %q is %v", template, key, parsed[key])
		}
	})
}

func FuzzPassword(f *testing.F) {
	f.Add(int64(0), "", false, false, false, false, false, true)
	f.Add(int64(4), "abc", true, false, true, false, true, false)
	f.Fuzz(func(t *testing.T, length int64, exclude string, n, p, u, l, s, each bool) {
		g := generate.Password{
			Length: length, ExcludeCharacters: exclude, ExcludeNumbers: n, ExcludePunctuation: p,
			ExcludeUppercase: u, ExcludeLowercase: l, IncludeSpace: s, RequireEachIncludedType: &each,
		}
		v, err := g.Generate(seeded(2))
		if (err == nil) != (g.Validate() == nil) {
			t.Fatalf("Generate: %v; Validate: %v", err, g.Validate())
		}
		if err == nil && (v.Len() < 1 || v.Len() > 4096 || bytes.ContainsAny(v.Reveal(), exclude)) {
			t.Fatalf("%d characters, or an excluded one", v.Len())
		}
	})
}
