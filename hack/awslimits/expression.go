package main

import (
	"fmt"
	"regexp"
	"strings"
)

// byHand are patterns with a look-ahead, which RE2 doesn't have. The value has to match each of the expressions.
var byHand = map[string][]string{
	// acm DomainNameString: no label starts with a hyphen; labels have 1 to 63 characters, the last has 2 to 63.
	`(\*\.)?(((?!-)[A-Za-z0-9-]{0,62}[A-Za-z0-9])\.)+((?!-)[A-Za-z0-9-]{1,62}[A-Za-z0-9])`: {
		`(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z0-9]`,
	},
	// iam accountAliasType: 3 to 63 characters, and no two hyphens in a row.
	`^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$`: {`[a-z0-9][a-z0-9-]{1,61}[a-z0-9]`, `[a-z0-9]+(-[a-z0-9]+)*`},
	// ssm Policy: one line, not of white space alone.
	`^(?!\s*$).+`: {javaDot + `*[^\t-\r \x{85}\x{2028}\x{2029}]` + javaDot + `*`},
	// sts arnType means U+10000 to U+10FFFF with its last range, though Java's \u has four digits and so reads \u1000, 0 to
	// \u10FF, and FF. The range is taken as it is meant, which is the wider.
	`[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+`: {
		`[\x{9}\x{A}\x{D}\x{20}-\x{7E}\x{85}\x{A0}-\x{D7FF}\x{E000}-\x{FFFD}\x{10000}-\x{10FFFF}]+`,
	},
}

// javaDot is what Java's . takes: all but line terminators, of which RE2 knows \n alone.
// https://docs.oracle.com/en/java/javase/21/docs/api/java.base/java/util/regex/Pattern.html#lt
const javaDot = `[^\n\r\x{85}\x{2028}\x{2029}]`

// expressions rewrites a pattern of Java for package regexp. None for no pattern.
func expressions(pattern string) ([]string, error) {
	if pattern == "" {
		return nil, nil
	}
	rewritten, ok := byHand[pattern]
	if !ok {
		r := rewriter{rest: pattern}
		rewritten = []string{r.rewrite()}
	}
	for _, e := range rewritten {
		if _, err := regexp.Compile(`\A(?:` + e + `)\z`); err != nil {
			return nil, fmt.Errorf("pattern %s must be rewritten by hand: %w", pattern, err)
		}
	}
	return rewritten, nil
}

// rewriter goes through a pattern once, from left to right.
type rewriter struct {
	out     strings.Builder
	rest    string
	inClass bool // inside [ ]
	dotAll  bool // after (?s)
}

func (r *rewriter) rewrite() string {
	for r.rest != "" {
		switch {
		case strings.HasPrefix(r.rest, `\uD800\uDC00-\uDBFF\uDFFF`): // a range between two pairs of surrogates
			r.write(25, `\x{10000}-\x{10FFFF}`)
		case strings.HasPrefix(r.rest, `\u`) && len(r.rest) >= 6:
			r.write(6, `\x{`+r.rest[2:6]+`}`)
		case strings.HasPrefix(r.rest, `\s`): // Java's has the vertical tab, RE2's has not
			r.write(2, r.class(`\t-\r `))
		case strings.HasPrefix(r.rest, `\`) && len(r.rest) >= 2:
			r.write(2, r.rest[:2])
		case strings.HasPrefix(r.rest, `(?s)`):
			r.dotAll = true
			r.write(4, `(?s)`)
		default:
			r.one(r.rest[0])
		}
	}
	return r.out.String()
}

// one takes a character that no backslash stands before.
func (r *rewriter) one(c byte) {
	switch {
	case c == '.' && !r.inClass && !r.dotAll:
		r.write(1, javaDot)
		return
	case c == '[' && !r.inClass:
		r.inClass = true
	case c == '[': // Java's union of classes, which no pattern uses: RE2 would read a bracket
		r.write(1, `\[`)
		return
	case c == ']':
		r.inClass = false
	}
	r.write(1, string(c))
}

func (r *rewriter) class(members string) string {
	if r.inClass {
		return members
	}
	return "[" + members + "]"
}

func (r *rewriter) write(taken int, text string) {
	r.rest = r.rest[taken:]
	r.out.WriteString(text)
}
