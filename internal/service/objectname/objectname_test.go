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
		name := objectname.Derived("certificate", text, "x")
		if rest, ok := strings.CutPrefix(name, beginning); !ok || len(rest) != 16 {
			t.Errorf("%q becomes %q, want %q and 16 characters", text, name, beginning)
		}
		if !objectname.DNSSafe(name) || len(name) > objectname.MaximumDerived {
			t.Errorf("%q is no name for Kubernetes", name)
		}
	}
}

func TestDerivedNamesDifferInWhatTellsObjectsApart(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range []string{
		objectname.Derived("secret", "a", "r", "a"), objectname.Derived("certificate", "a", "r", "a"), objectname.Derived("secret", "a", "ra"),
		objectname.Derived("secret", "a", "r", "b"), objectname.Derived("secret", "a", "", "ra"),
	} {
		if seen[name] {
			t.Errorf("%s comes twice", name)
		}
		seen[name] = true
	}
}

func TestTheNamesOfSecretsThatWereMadeAreFrozen(t *testing.T) {
	if name := objectname.Derived("secret", "Prod/DB", "us-east-1", "Prod/DB"); name != "prod-db-uylcynieavdq5pgn" {
		t.Errorf("the name is %s now", name)
	}
}

func TestNamesForKubernetes(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "a-b.c": true, "": false, "A": false, "-a": false, "a-": false, "a.": false, ".a": false, "a..b": false, "a.-b": false, "a-.b": false,
		"a/b": false, strings.Repeat("a", 253): true, strings.Repeat("a", 254): false,
	} {
		if got := objectname.DNSSafe(name); got != want {
			t.Errorf("DNSSafe(%q) = %t", name, got)
		}
	}
}
