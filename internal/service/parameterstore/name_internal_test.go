package parameterstore

import (
	"regexp"
	"testing"
)

// The expression is the one of AWS's message: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
func FuzzANameIsOneAsItsExpressionSays(f *testing.F) {
	expression := regexp.MustCompile(`^(/?[a-zA-Z0-9_.-]+|(/[a-zA-Z0-9_.-]+)+)$`)
	for _, seed := range []string{"", "/", "//", "a", "/a", "a/", "/a/", "a/b", "/a/b", "//a", "/a//b", "/a/b/", "A.b_c-9", "/é", "a\n", "\n", "/a b", "/prod/shop/db/host", "/@", "a[", "a`", "a{", "a:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if got, want := isName(name), expression.MatchString(name); got != want {
			t.Errorf("%q: %t, not %t", name, got, want)
		}
	})
}
