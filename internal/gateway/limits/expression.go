package limits

import (
	"regexp"
	"sync"
)

// expression is a regular expression that is compiled when it is first needed: a service has dozens, and most of them
// belong to operations that a process is never asked for. RE2 takes time in proportion to the value, whatever it is.
type expression struct{ compiled func() *regexp.Regexp }

func newExpression(text string) *expression {
	return &expression{compiled: sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\A(?:` + text + `)\z`) })}
}

// matches says whether the value matches the shape's pattern from end to end, as Java's String.matches has it.
func (s *Shape) matches(value string) bool {
	for _, e := range s.expressions {
		if !e.compiled().MatchString(value) {
			return false
		}
	}
	return true
}
