package iam

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// simple is the matcher that all others are held against: a star remembers only its last place, and what follows is tried at each. It is
// as slow as pattern times text.
func simple(tokens []token, s string) bool {
	t, i, star, mark := 0, 0, -1, 0
	for t < len(tokens) || i < len(s) {
		if t < len(tokens) {
			switch next := &tokens[t]; {
			case next.kind == anyRun:
				star, mark = t, i
				t++
				continue
			case next.kind == anyOne && i < len(s):
				_, n := utf8.DecodeRuneInString(s[i:])
				i += n
				t++
				continue
			case next.kind == literal && strings.HasPrefix(s[i:], next.text):
				i += len(next.text)
				t++
				continue
			}
		}
		if star < 0 || mark >= len(s) {
			return false
		}
		_, n := utf8.DecodeRuneInString(s[mark:])
		mark += n
		t, i = star+1, mark
	}
	return true
}

// expression is the regular expression that means what a pattern does.
func expression(pattern string) *regexp.Regexp {
	quoted := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
	return regexp.MustCompile(`^(?s:` + quoted + `)$`)
}

// agree fails if match and the two oracles do not.
func agree(t interface {
	Fatalf(format string, args ...any)
}, pattern, text string) {
	p, err := compilePattern(pattern, true, false)
	if err != nil {
		t.Fatalf("%q: %v", pattern, err)
	}
	work := NewMeter()
	got := p.match(text, work)
	if work.spent() {
		t.Fatalf("%.80q of %.80q took all the work there is", pattern, text)
	}
	if fixed, each := p.cost(0); MaximumWork-work.left > fixed+each*int64(len(text)) {
		t.Fatalf("%.80q of %.80q took %d steps, more than %d and %d a byte", pattern, text, MaximumWork-work.left, fixed, each)
	}
	if want := simple(p.tokens, text); got != want {
		t.Fatalf("%q of %q is %t, and by trying each place %t", pattern, text, got, want)
	}
	if len(pattern) < 500 { // what regexp takes
		if want := expression(pattern).MatchString(text); got != want {
			t.Fatalf("%q of %q is %t, and as a regular expression %t", pattern, text, got, want)
		}
	}
}

func TestAPatternMatchesWhatItMatchesWhenEachPlaceIsTried(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.RuneFrom([]rune("ab*?ä日")), 0, 20, -1).Draw(t, "pattern")
		text := rapid.StringOfN(rapid.RuneFrom([]rune("abä日")), 0, 30, -1).Draw(t, "text")
		agree(t, pattern, text)
	})
}

// TestALongPatternMatchesATextThatIsMadeOfIt: parts of up to some hundred bytes take several words of bits, and one that fits has a
// character for each question mark and something for each star. One character less, more or other decides.
func TestALongPatternMatchesATextThatIsMadeOfIt(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	pick := func(from string) string { r := []rune(from); return string(r[random.IntN(len(r))]) }
	for range 3000 {
		var pattern, text strings.Builder
		for range random.IntN(260) {
			switch random.IntN(12) {
			case 0:
				pattern.WriteString("*")
				for range random.IntN(4) {
					text.WriteString(pick("abä日"))
				}
			case 1, 2, 3:
				pattern.WriteString("?")
				text.WriteString(pick("abä日"))
			default:
				c := pick("aaabä日")
				pattern.WriteString(c)
				text.WriteString(c)
			}
		}
		fits := text.String()
		p, _ := compilePattern(pattern.String(), true, false)
		if !p.match(fits, NewMeter()) {
			t.Fatalf("%q is not %q, which was made of it", fits, pattern.String())
		}
		agree(t, pattern.String(), fits)
		runes := []rune(fits)
		if len(runes) == 0 {
			continue
		}
		at := random.IntN(len(runes))
		agree(t, pattern.String(), string(runes[:at])+string(runes[at+1:]))
		agree(t, pattern.String(), string(runes[:at])+"a"+string(runes[at:]))
		runes[at] = 'b'
		agree(t, pattern.String(), string(runes))
	}
}

// TestAPartOfAsManyBitsAsWordsHaveIsFound at the beginning, in the middle and at the end, and one byte of it missing is not.
func TestAPartOfAsManyBitsAsWordsHaveIsFound(t *testing.T) {
	for _, bits := range []int{3, 62, 63, 64, 65, 66, 127, 128, 129, 130, 191, 192, 193, 1023, 1024, 1025, 1026, 1100} {
		body := strings.Repeat("a", bits-2)
		for _, middle := range []string{"a?" + body[1:], body[1:] + "?a", "a?" + strings.Repeat("?", bits-3) + "a"} {
			text := strings.ReplaceAll(middle, "?", "b")
			for _, around := range []string{"", "a", "aaaaaaa", "x", strings.Repeat("ab", 70)} {
				agree(t, "*"+middle+"*", around+text+around)
				agree(t, "*"+middle+"x*", around+text+around)
				agree(t, "*"+middle+"*", around+text[1:])
				agree(t, "*x"+middle+"*y?y*", around+"x"+text+"yyy")
			}
			p, err := compilePattern("*"+middle+"*", true, false)
			if err != nil || !p.match("ab"+text+"ba", NewMeter()) || p.match(text[:len(text)-1], NewMeter()) {
				t.Errorf("%d bits, %.20s…: %v", bits, middle, err)
			}
		}
	}
}

// TestAQuestionMarkIsACharacterAndNotAByte wherever it is, and an invalid byte counts as one.
func TestAQuestionMarkIsACharacterAndNotAByte(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"?", "ä", true}, {"??", "ä", false}, {"*a?b*", "xaäb", true}, {"*a??b*", "xaäb", false}, {"*a?b?c*", "a日b🙂cd", true},
		{"*a?b*", "aab", true}, {"*a?b*", "ab", false}, {"*ä?ä*", "ääää", true}, {"*ä?ä*", "ää", false}, {"*?ä*?", "aäb", true},
		{"*??*", "ä", false}, {"*??*", "ää", true}, {"*?", "", false}, {"?*", "日", true}, {"*a?", "xa🙂", true},
		{"*a?b*", "a\xa4b", true}, {"*a?b*", "a\xc3\x28b", false}, {"*a??b*", "a\xc3\x28b", true}, {"*a?b*", "a\xe6\x97b", false}, {"*a??b*", "a\xe6\x97b", true},
		{"?", "\x80", true}, {"??", "\x80\x80", true}, {"*\u00e4?b*", "\xc3\xa4\x80b", true},
	} {
		agree(t, c.pattern, c.text)
		if p, _ := compilePattern(c.pattern, true, false); p.match(c.text, NewMeter()) != c.want {
			t.Errorf("%q of %q is not %t", c.pattern, c.text, c.want)
		}
	}
}

// TestAVariableIsMatchedAsTheSameTextWouldBe: the parts of a pattern with variables are made when it is asked for.
func TestAVariableIsMatchedAsTheSameTextWouldBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.RuneFrom([]rune("ab*?ä$")), 0, 16, -1).Draw(t, "pattern")
		value := rapid.StringOfN(rapid.RuneFrom([]rune("abä")), 0, 70, -1).Draw(t, "value")
		text := rapid.StringOfN(rapid.RuneFrom([]rune("abä")), 0, 40, -1).Draw(t, "text")
		if rapid.Bool().Draw(t, "made of it") {
			text = strings.NewReplacer("$", value, "?", "a", "*", text).Replace(pattern)
		}
		p, err := compilePattern(strings.ReplaceAll(pattern, "$", "${k:v}"), true, true)
		if err != nil {
			t.Fatal(err)
		}
		resolved, ok := p.resolve(&scope{Context: Map{"k:v": {value}}, work: NewMeter()})
		if !ok {
			t.Fatal("it is not resolved")
		}
		plain, _ := compilePattern(strings.ReplaceAll(pattern, "$", value), true, false)
		if got, want := resolved.match(text, NewMeter()), simple(plain.tokens, text); got != want {
			t.Fatalf("%q with %q of %q is not %t", pattern, value, text, want)
		}
	})
}

// TestWhatIsMatchedWithTooLittleWorkLeftMatchesNothing: no answer is guessed, whenever the work ends.
func TestWhatIsMatchedWithTooLittleWorkLeftMatchesNothing(t *testing.T) {
	for _, pattern := range []string{"a*", "*a", "*aa*", "*a?a*", "a??a*a", "*" + strings.Repeat("a?", 100) + "a*"} {
		p, _ := compilePattern(pattern, true, false)
		text := strings.Repeat("a", 400)
		whole := NewMeter()
		if !p.match(text, whole) {
			t.Fatalf("%s does not match", pattern)
		}
		needed := MaximumWork - whole.left
		for left := int64(-1); left <= needed; left++ {
			work := &Meter{left: left}
			if p.match(text, work) != !work.spent() || work.spent() != (left < needed) {
				t.Fatalf("%s with %d of %d steps: %+v", pattern, left, needed, work)
			}
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, c := range [][2]string{
		{"", ""}, {"*", "a"}, {"a*b?c", "axbxc"}, {"*a?b*", "aab"}, {"*ä?日*", "xä日日"}, {"***??**", "ab"}, {"*a??????????????b*", "aaaaaaaaaaaaaaaaaaaaab"},
		{"*a?b*c?d*", "a\xffbc\xc3\xa4d"}, {"*" + strings.Repeat("a?", 40) + "b*", strings.Repeat("a", 99) + "b"},
	} {
		f.Add(c[0], c[1])
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if !utf8.ValidString(pattern) || len(pattern) > 400 || len(text) > 4000 {
			t.Skip(fmt.Sprint("a policy is UTF-8: ", len(pattern)))
		}
		agree(t, pattern, text)
	})
}
