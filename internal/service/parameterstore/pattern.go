package parameterstore

import (
	"fmt"
	"regexp"
	"regexp/syntax"
)

// maximumInstructions bounds what an allowedPattern compiles to. RE2 matches in time that is linear in the value, and in this: each instruction may be looked at for each
// character of at most MaximumAdvanced. A thousand characters of a class are some two thousand.
const maximumInstructions = 2500

// errLargePattern says that a pattern would cost too much.
var errLargePattern = fmt.Errorf("spec.allowedPattern is too large: its repetitions, written out, have more than %d instructions; write smaller ones", maximumInstructions)

// compilePattern compiles an allowedPattern. It fails with errPattern or errLargePattern, and the latter before anything is made of the size that it is about.
func compilePattern(pattern string) (*regexp.Regexp, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, errPattern
	}
	if instructions(parsed) > maximumInstructions {
		return nil, errLargePattern
	}
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		return nil, errPattern
	}
	return compiled, nil
}

// instructions is how many instructions an expression compiles to, or more; over maximumInstructions it is any number over it. Repetitions are not written out for it.
func instructions(re *syntax.Regexp) int {
	n := 0
	for _, sub := range re.Sub {
		n = min(n+instructions(sub), maximumInstructions+1)
	}
	switch re.Op {
	case syntax.OpConcat:
	case syntax.OpLiteral:
		n = len(re.Rune)
	case syntax.OpAlternate:
		n += len(re.Sub) - 1
	case syntax.OpCapture, syntax.OpStar:
		n += 2
	case syntax.OpRepeat: // at most 1,000 times, also nested: the parser's limit
		n = (n+1)*max(re.Min, re.Max, 1) - max(re.Min-1, 0) // what may be left out has one more each
	default:
		n++
	}
	return min(n, maximumInstructions+1)
}
