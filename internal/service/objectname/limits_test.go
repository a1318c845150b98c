package objectname_test

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/validation"

	"strongroom.dev/strongroom/internal/service/objectname"
)

func TestADerivedNameShowsWhatCanBeReadOfTheNameAndIsOneOfKubernetess(t *testing.T) {
	for name, want := range map[string]string{
		"/prod/shop/log-level":    `^prod-shop-log-level-[a-z2-7]{16}$`,
		"LogLevel":                `^loglevel-[a-z2-7]{16}$`,
		"a//..__b":                `^a-b-[a-z2-7]{16}$`,
		"-a-":                     `^a-[a-z2-7]{16}$`,
		"":                        `^[a-z2-7]{16}$`,
		"___":                     `^[a-z2-7]{16}$`,
		"日本":                      `^[a-z2-7]{16}$`,
		"*.example.com":           `^example-com-[a-z2-7]{16}$`,
		strings.Repeat("x", 1011): `^x{180}-[a-z2-7]{16}$`,
	} {
		got := objectname.Derived("parameter", "us-east-1", name)
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%q: %q", name, got)
		}
		if again := objectname.Derived("parameter", "us-east-1", name); again != got {
			t.Errorf("%q: %q, and then %q", name, got, again)
		}
	}
}

// The parts are told apart: what is at the end of one cannot be taken for the beginning of the next.
func TestTheBordersOfKindRegionAndNameCount(t *testing.T) {
	if objectname.Derived("a", "b", "c") == objectname.Derived("ab", "", "c") || objectname.Derived("a", "b", "c") == objectname.Derived("a", "", "bc") {
		t.Error("two requests have one name")
	}
}

// Whatever the name, both functions give one that Kubernetes takes, and IsDNS agrees with Kubernetes on what that is.
func TestRandomNamesAreNamesOfKubernetess(t *testing.T) {
	const signs = "ab09-._/AZ ~é\x00"
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 3))
	for range 20_000 {
		b := make([]byte, random.IntN(12))
		for i := range b {
			b[i] = signs[random.IntN(len(signs))]
		}
		name := string(b)
		if is, want := objectname.IsDNS(name), len(validation.NameIsDNSSubdomain(name, false)) == 0; is != want {
			t.Fatalf("seed %d: %q is one: %t; Kubernetes says %t", seed, name, is, want)
		}
		for _, home := range []bool{true, false} {
			if got := objectname.Of("secret", "us-east-1", name, home); len(validation.NameIsDNSSubdomain(got, false)) > 0 {
				t.Fatalf("seed %d: %q became %q", seed, name, got)
			}
		}
	}
	for length, is := range map[int]bool{1: true, 253: true, 254: false} {
		if objectname.IsDNS(strings.Repeat("a", length)) != is {
			t.Errorf("of %d characters", length)
		}
	}
	if objectname.IsDNS("") {
		t.Error("nothing is a name")
	}
}
