package objectname_test

import (
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/service/objectname"
)

func TestADerivedNameIsReadableAndANameForKubernetes(t *testing.T) {
	for text, beginning := range map[string]string{
		"shop.example.com": "shop-example-com-", "*.Example.COM": "example-com-", "--": "", "": "", "é": "", "Shop Root CA": "shop-root-ca-",
		strings.Repeat("a", 500): strings.Repeat("a", 180) + "-",
	} {
		name := objectname.Derived("certificate", "us-east-1", text)
		if rest, ok := strings.CutPrefix(name, beginning); !ok || len(rest) != 16 {
			t.Errorf("%q becomes %q, want %q and 16 characters", text, name, beginning)
		}
		if !objectname.IsDNS(name) {
			t.Errorf("%q is no name for Kubernetes", name)
		}
	}
}

func TestDerivedNamesDifferInKindRegionAndName(t *testing.T) {
	seen := map[string]bool{}
	for _, of := range [][3]string{{"secret", "r", "a"}, {"certificate", "r", "a"}, {"secret", "ra", ""}, {"secret", "r", "b"}, {"secret", "", "ra"}} {
		name := objectname.Derived(of[0], of[1], of[2])
		if seen[name] {
			t.Errorf("%s comes twice", name)
		}
		seen[name] = true
	}
}

func TestTheNamesOfSecretsThatWereMadeAreFrozen(t *testing.T) {
	if name := objectname.Derived("secret", "us-east-1", "Prod/DB"); name != "prod-db-uylcynieavdq5pgn" {
		t.Errorf("the name is %s now", name)
	}
}

func TestNamesForKubernetes(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "a-b.c": true, "": false, "A": false, "-a": false, "a-": false, "a.": false, ".a": false, "a..b": false, "a.-b": false, "a-.b": false,
		"a/b": false, strings.Repeat("a", 253): true, strings.Repeat("a", 254): false,
	} {
		if got := objectname.IsDNS(name); got != want {
			t.Errorf("IsDNS(%q) = %t", name, got)
		}
		if is := objectname.Of("secret", "us-east-1", name, true) == name; is != want {
			t.Errorf("an object of %q has that name: %t", name, is)
		}
		if objectname.Of("secret", "us-east-1", name, false) == name {
			t.Errorf("an object of %q in another region has that name", name)
		}
	}
}
