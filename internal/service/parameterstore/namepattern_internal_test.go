package parameterstore

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// expression writes a pattern of names as a regular expression: what it means, in another language.
func expression(pattern string) *regexp.Regexp {
	var text strings.Builder
	for rest := pattern; rest != ""; {
		literal, after, found := strings.Cut(rest, "*")
		text.WriteString(regexp.QuoteMeta(literal))
		rest = strings.TrimLeft(after, "*")
		switch {
		case found && rest != after && strings.HasPrefix(rest, "/") && (literal == "" && text.Len() == 0 || strings.HasSuffix(literal, "/")):
			text.WriteString("(.*/)?")
			rest = rest[1:]
		case found && rest != after:
			text.WriteString(".*")
		case found:
			text.WriteString("[^/]*")
		}
	}
	return regexp.MustCompile("^" + text.String() + "$")
}

func agree(t interface{ Fatalf(string, ...any) }, pattern, name string) {
	p, err := CompilePattern(pattern)
	if err != nil {
		if isPattern(pattern) {
			t.Fatalf("%q: %v", pattern, err)
		}
		return
	}
	matches, steps := p.match(name)
	if want := expression(pattern).MatchString(name); matches != want {
		t.Fatalf("%q and %q: %t, want %t", pattern, name, matches, want)
	}
	if most := len(name) * (1 + len(pattern)/64); steps > most {
		t.Fatalf("%q and %q: %d steps of %d", pattern, name, steps, most)
	}
}

// words are all texts of at most so many of the letters.
func words(letters string, most int) []string {
	all := []string{""}
	for begin, n := 0, 0; n < most; n++ {
		end := len(all)
		for _, word := range all[begin:end] {
			for _, letter := range letters {
				all = append(all, word+string(letter))
			}
		}
		begin = end
	}
	return all
}

func TestEveryShortPatternMatchesAsItsExpressionDoes(t *testing.T) {
	names := words("a/", 6)
	for _, pattern := range words("a/*", 6) {
		if !isPattern(pattern) {
			continue
		}
		p, err := CompilePattern(pattern)
		if err != nil {
			t.Fatal(err)
		}
		want := expression(pattern)
		for _, name := range names {
			if p.MatchString(name) != want.MatchString(name) {
				t.Fatalf("%q and %q: %t", pattern, name, p.MatchString(name))
			}
		}
	}
}

func TestLongPatternsMatchAsTheirExpressionsDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringMatching(`[ab/]{0,70}`)
		wildcard := rapid.SampledFrom([]string{"*", "**", "**/", "/**/", "*/"})
		var pattern, name strings.Builder
		for range rapid.IntRange(0, 6).Draw(t, "wildcards") {
			text := part.Draw(t, "part")
			pattern.WriteString(text + wildcard.Draw(t, "wildcard"))
			name.WriteString(text + rapid.SampledFrom([]string{"", "a", "a/", "/", "/b/", "ab/ab"}).Draw(t, "what the wildcard is"))
		}
		end := part.Draw(t, "end")
		if short := pattern.String() + end; len(short) <= maximumPattern {
			agree(t, short, name.String()+end)
			agree(t, short, name.String()+end+rapid.SampledFrom([]string{"a", "/", ""}).Draw(t, "more"))
		}
	})
}

func FuzzAPatternMatchesAsItsExpressionDoes(f *testing.F) {
	for _, seed := range [][2]string{
		{"**/password", "a/password"}, {"*", "a/b"}, {"a/**/b", "a/b"}, {"***", ""}, {"*a*a*a*a*a*a*a*a", "aaaaaaaaa"}, {strings.Repeat("a", 63) + "**/" + strings.Repeat("b", 64), "x"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if strings.Contains(name, "\n") || len(name) > 4096 { // which the expressions do not take for a character; names have none
			return
		}
		agree(t, pattern, name)
	})
}

// hostile are patterns that a matcher that goes back would go back in for each character of each wildcard.
var hostile = []string{
	"*a*a*a*a*a*a*a*a", strings.Repeat("*a", 8) + "b", strings.Repeat("**a", 8) + "b", strings.Repeat("**/", 8) + "b", strings.Repeat("a", 120) + "*" + strings.Repeat("a", 120) + "b",
	strings.Repeat("**aaaaaaaaaaaaaaaaaaaaaaaaaaaa", 8) + "b", strings.Repeat("x", maximumPattern),
}

// A pattern looks at no more than five words for each character, so that ten thousand names of the longest are some fifty million steps at worst, and not some billions.
func TestMatchingTakesAsManyStepsAsTheNameIsLong(t *testing.T) {
	for _, pattern := range hostile {
		p, err := CompilePattern(pattern)
		if err != nil {
			t.Fatalf("%q: %v", pattern, err)
		}
		per := (len(pattern) + 1 - strings.Count(pattern, "*") + 63) / 64
		for _, length := range []int{0, 1, 64, 1011, 2048, 1 << 16} {
			for _, name := range []string{strings.Repeat("a", length), strings.Repeat("a/", length/2), strings.Repeat("a", max(length-1, 0)) + "c"} {
				if _, steps := p.match(name); steps > per*len(name) || per > 5 {
					t.Errorf("%q and %d characters: %d steps, more than %d for each", pattern, len(name), steps, per)
				}
			}
		}
	}
}

func TestANameThatCannotMatchAnyMoreIsNotReadOn(t *testing.T) {
	p, err := CompilePattern("prod/*")
	if err != nil {
		t.Fatal(err)
	}
	for name, most := range map[string]int{"test/" + strings.Repeat("x", 2000): 1, "prod/a/" + strings.Repeat("x", 2000): 7, "prod/a": 6} {
		if _, steps := p.match(name); steps > most {
			t.Errorf("%.10q: %d steps", name, steps)
		}
	}
}

func BenchmarkAPatternAndALongName(b *testing.B) {
	name := strings.Repeat("a", 2048)
	for i, pattern := range hostile {
		p, err := CompilePattern(pattern)
		if err != nil {
			b.Fatal(err)
		}
		re := expression(pattern)
		b.Run(fmt.Sprintf("%d/automaton", i), func(b *testing.B) {
			for b.Loop() {
				p.MatchString(name)
			}
		})
		b.Run(fmt.Sprintf("%d/expression", i), func(b *testing.B) {
			for b.Loop() {
				re.MatchString(name)
			}
		})
	}
}
