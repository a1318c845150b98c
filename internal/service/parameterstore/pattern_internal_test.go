package parameterstore

import (
	"errors"
	"regexp/syntax"
	"strings"
	"testing"
	"time"
)

func TestAPatternIsBoundedBeforeItIsCompiled(t *testing.T) {
	for name, tt := range map[string]struct {
		pattern string
		want    error
	}{
		"words":                          {"^(debug|info|warn|error)$", nil},
		"a thousand of a class":          {"^[a-zA-Z0-9/+=]{1,1000}$", nil},
		"a UUID":                         {"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", nil},
		"an ARN":                         {`^arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@-]{1,64}$`, nil},
		"any":                            {".*", nil},
		"empty":                          {"", nil},
		"as long as can be":              {strings.Repeat("x", 1024), nil},
		"a hundred thousands":            {strings.Repeat(".{0,1000}", 112) + "z$", errLargePattern},
		"groups of them":                 {"(" + strings.Repeat(".{0,999}", 113) + ")x$", errLargePattern},
		"a nest":                         {"((a{0,30}){0,30}b){0,1}" + strings.Repeat("(x{0,30}){0,30}", 3), errLargePattern},
		"a nest that the parser refuses": {"((a{0,100}){0,100}){0,100}", errPattern},
		"no pattern":                     {"(", errPattern},
		"a backreference":                {`(a)\1`, errPattern},
	} {
		began := time.Now()
		_, err := compilePattern(tt.pattern)
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		if took := time.Since(began); tt.want != nil && took > time.Second {
			t.Errorf("%s: %s until it was refused", name, took)
		}
	}
}

func TestInstructionsAreNoFewerThanThereAre(t *testing.T) {
	for _, pattern := range []string{
		"", "a", "abc", "a|b|cd", "(a|b)*c+d?", "a{3}", "a{3,}", "a{0,7}", "(ab{2,3}){2,4}", "[a-z]{1,50}x", "(?i)straße", "(?:a{2}|b{3}){0,5}", "^.*$", `\pL{0,20}`, "((a*)*)*",
	} {
		parsed, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		estimated := instructions(parsed)
		prog, err := syntax.Compile(parsed.Simplify())
		if err != nil {
			t.Fatal(err)
		}
		if has := len(prog.Inst) - 2; estimated < has || estimated > 4*has+8 { // two are there always
			t.Errorf("%q: estimated %d, and there are %d", pattern, estimated, has)
		}
	}
}
