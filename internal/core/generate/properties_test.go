package generate_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/core/generate"
)

// classes are the types of character of GetRandomPassword, in the order of the bits of a case below.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetRandomPassword.html
var classes = []string{"abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", punctuation, " "}

// switches makes the options that include the classes of a set, and no other.
func switches(included uint, require bool, length int64, exclude string) generate.Password {
	out := func(class int) bool { return included>>class&1 == 0 }
	return generate.Password{
		Length: length, ExcludeCharacters: exclude,
		ExcludeLowercase: out(0), ExcludeUppercase: out(1), ExcludeNumbers: out(2), ExcludePunctuation: out(3), IncludeSpace: !out(4),
		RequireEachIncludedType: &require,
	}
}

// All 64 combinations of the switches, at the lengths where something changes, without and with excluded characters. What
// must come out is counted anew from the meaning of each switch.
func TestEveryCombinationOfTheSwitchesDoesWhatEachOfThemMeans(t *testing.T) {
	for included := range uint(1 << len(classes)) {
		for _, exclude := range []string{"", "0123456789", "aeiouAEIOU \"'\\", classes[0] + classes[1]} {
			var allowed string
			var types []string
			for i, class := range classes {
				left := strings.Map(func(r rune) rune {
					if strings.ContainsRune(exclude, r) {
						return -1
					}
					return r
				}, class)
				if included>>i&1 == 1 && left != "" {
					allowed += left
					types = append(types, left)
				}
			}
			for _, require := range []bool{true, false} {
				for _, length := range []int64{1, 2, 3, 4, 5, 20} {
					checkPassword(t, switches(included, require, length, exclude), allowed, types, require)
				}
			}
		}
	}
}

func checkPassword(t *testing.T, p generate.Password, allowed string, types []string, require bool) {
	t.Helper()
	possible := allowed != "" && (!require || int(p.Length) >= len(types))
	v, err := p.Generate(seeded(uint64(p.Length)))
	if (err == nil) != possible || (p.Validate() == nil) != possible || err != nil && !errors.Is(err, generate.ErrInvalid) {
		t.Fatalf("%+v: %v, want possible: %t", p, err, possible)
	}
	if !possible {
		return
	}
	got := string(v.Reveal())
	if int64(len(got)) != p.Length || strings.Trim(got, allowed) != "" {
		t.Fatalf("%+v: %q", p, got)
	}
	for _, class := range types {
		if require && !strings.ContainsAny(got, class) {
			t.Fatalf("%+v: %q has none of %q", p, got, class)
		}
	}
}

// chiSquared is the statistic of counts that should be equal.
func chiSquared(counts []int) (sum float64) {
	total := 0
	for _, n := range counts {
		total += n
	}
	expected := float64(total) / float64(len(counts))
	for _, n := range counts {
		sum += (float64(n) - expected) * (float64(n) - expected) / expected
	}
	return sum
}

// The place of a required character tells nothing: the only space of a password of 16 is in each place equally often.
// Chi-squared of 15 degrees of freedom is over 44.3 once in 10,000 times; the seed is fixed, so this passes or fails for good.
func TestARequiredCharacterIsInEachPlaceEquallyOften(t *testing.T) {
	p := switches(0b10001, true, 16, "") // lower case and the space
	source := seeded(21)
	places := make([]int, p.Length)
	for range 6000 {
		got := text(t, p, source)
		if strings.Count(got, " ") == 1 {
			places[strings.Index(got, " ")]++
		}
	}
	if chi := chiSquared(places); chi > 44.3 {
		t.Errorf("chi-squared is %.1f: %v", chi, places)
	}
}

// Each of the 24 orders of four required types comes equally often: 49.7 is exceeded once in 1,000 times by 23 degrees.
func TestEachOrderOfTheTypesComesEquallyOften(t *testing.T) {
	source := seeded(22)
	orders := map[string]int{}
	for range 12000 {
		got := []byte(text(t, generate.Password{Length: 4}, source))
		for i, c := range got {
			got[i] = byte('0' + slices.IndexFunc(classes, func(class string) bool { return strings.IndexByte(class, c) >= 0 }))
		}
		orders[string(got)]++
	}
	counts := make([]int, 0, 24)
	for _, n := range orders {
		counts = append(counts, n)
	}
	if chi := chiSquared(counts); len(orders) != 24 || chi > 49.7 {
		t.Errorf("chi-squared of %d orders is %.1f", len(orders), chi)
	}
}

func TestTheMembersOfATemplateKeepTheirOrderAndTheirMeaning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-zA-Z0-9 "\\<>&/\x{7f}-\x{2030}\x{1f600}]{1,12}`), 1, 8, rapid.ID).Draw(t, "names")
		key := names[0]
		var template strings.Builder
		for i, name := range names[1:] {
			quoted, _ := json.Marshal(name)
			value := rapid.SampledFrom([]string{`1`, `-0.0`, `1e400`, `12345678901234567890`, `null`, `true`, `"\u0041<\/>"`, `[ 1 , {"a":{}} ]`, `{ }`}).Draw(t, "value")
			if i > 0 {
				template.WriteString(" ,\n")
			}
			template.Write(quoted)
			template.WriteString(" : " + value)
		}
		v, err := generate.JSON{Template: "{" + template.String() + "}", Key: key}.Generate(seeded(3))
		if err != nil {
			t.Fatalf("%s: %v", template.String(), err)
		}
		decoder := json.NewDecoder(bytes.NewReader(v.Reveal()))
		if _, err := decoder.Token(); err != nil {
			t.Fatal(err)
		}
		var got []string
		for decoder.More() {
			name, err := decoder.Token()
			if err != nil {
				t.Fatalf("%s: %v", v.Reveal(), err)
			}
			got = append(got, name.(string))
			var value json.RawMessage
			if err := decoder.Decode(&value); err != nil {
				t.Fatalf("%s: %v", v.Reveal(), err)
			}
		}
		want := append(slices.Clone(names[1:]), key)
		if !slices.Equal(got, want) {
			t.Fatalf("%q, want %q", got, want)
		}
	})
}

func TestWhatATemplateHoldsIsNeitherRoundedNorEscapedAnew(t *testing.T) {
	for template, want := range map[string]string{
		`{"n":12345678901234567890123}`:    `{"n":12345678901234567890123,`,
		`{"n":1.50}`:                       `{"n":1.50,`,
		`{"n":1E5}`:                        `{"n":1E5,`,
		`{"html":"<a href='x'>&</a>"}`:     `{"html":"<a href='x'>&</a>",`,
		`{"slash":"\/"}`:                   `{"slash":"\/",`,
		`{"u":"\u00e9\ud83d\ude00"}`:       `{"u":"\u00e9\ud83d\ude00",`,
		`{"é":"😀"}`:                        `{"é":"😀",`,
		`{"b":{"k":1},"a":[{"k":2}, "k"]}`: `{"b":{"k":1},"a":[{"k":2},"k"],`,
	} {
		if got := text(t, generate.JSON{Template: template, Key: "k"}, seeded(1)); !strings.HasPrefix(got, want) {
			t.Errorf("%s became %s", template, got)
		}
	}
	if got := text(t, generate.JSON{Template: "{}", Key: "a\"b\\c\n\u2028é"}, seeded(1)); !json.Valid([]byte(got)) || !strings.HasPrefix(got, `{"a\"b\\c\n`) {
		t.Errorf("a name with quotes became %s", got)
	}
	if _, err := (generate.JSON{Template: "{}", Key: "a\xff"}).Generate(seeded(1)); !errors.Is(err, generate.ErrInvalid) {
		t.Errorf("a name that is no text: %v", err)
	}
}

// Each length has its own padding, so all up to 64 are tried, and the longest.
func TestEncodedBytesDecodeToAsManyAsWereAskedFor(t *testing.T) {
	for length := 1; length <= 65; length++ {
		n := length
		if length == 65 {
			n = generate.MaximumLength
		}
		raw := make([]byte, n)
		_, _ = seeded(uint64(length)).Read(raw)
		for encoding, decode := range map[generate.Encoding]func(string) ([]byte, error){
			generate.Hex:       hex.DecodeString,
			generate.Base64:    base64.StdEncoding.Strict().DecodeString,
			generate.Base64URL: base64.RawURLEncoding.Strict().DecodeString,
		} {
			got := text(t, generate.Bytes{Length: n, Encoding: encoding}, seeded(uint64(length)))
			decoded, err := decode(got)
			if err != nil || !bytes.Equal(decoded, raw) {
				t.Errorf("%d bytes in %s: %s, %v", n, encoding, got, err)
			}
		}
	}
}

// RFC 9562: 6 bits are fixed, the others are random, so that each is set about half of the time: of 4,000 times, 1,800 to
// 2,200 is more than six standard deviations. The source is fixed, so this passes or fails for good.
func TestAllBitsOfAUUIDButSixAreRandom(t *testing.T) {
	const n = 4000
	source := seeded(23)
	var set [128]int
	for range n {
		b, err := hex.DecodeString(strings.ReplaceAll(text(t, generate.UUID{}, source), "-", ""))
		if err != nil || len(b) != 16 {
			t.Fatal(err)
		}
		for i := range set {
			set[i] += int(b[i/8] >> (7 - i%8) & 1)
		}
	}
	fixed := map[int]int{48: 0, 49: n, 50: 0, 51: 0, 64: n, 65: 0}
	for i, count := range set {
		if want, ok := fixed[i]; ok && count != want || !ok && (count < 1800 || count > 2200) {
			t.Errorf("bit %d is set %d times of %d", i, count, n)
		}
	}
}

func TestAUUIDIsTheSourcesBytesWithVersionAndVariantOverThem(t *testing.T) {
	for source, want := range map[byte]string{
		0x00: "00000000-0000-4000-8000-000000000000",
		0xff: "ffffffff-ffff-4fff-bfff-ffffffffffff",
		0x5a: "5a5a5a5a-5a5a-4a5a-9a5a-5a5a5a5a5a5a",
	} {
		if got := text(t, generate.UUID{}, bytes.NewReader(bytes.Repeat([]byte{source}, 16))); got != want {
			t.Errorf("%08b: %s, want %s", source, got, want)
		}
	}
}
