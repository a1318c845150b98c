package objectname_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/validation"

	"strongroom.dev/strongroom/internal/service/objectname"
)

func TestANameThatKubernetesHasTooIsKeptAtHomeAndEveryOtherIsDerived(t *testing.T) {
	for _, tt := range []struct {
		name       string
		home, kept bool
	}{
		{"log-level", true, true}, {"a.b", true, true}, {"log-level", false, false}, {"prod/a", true, false}, {"A", true, false},
		{"a_b", true, false}, {"-a", true, false}, {"a-", true, false}, {"a..b", true, false}, {strings.Repeat("a", 254), true, false}, {"ä", true, false},
	} {
		got := objectname.Of("parameter", "us-east-1", tt.name, tt.home)
		if (got == tt.name) != tt.kept {
			t.Errorf("%q at home %t: %q", tt.name, tt.home, got)
		}
		if problems := validation.NameIsDNSSubdomain(got, false); len(problems) > 0 {
			t.Errorf("%q: %v", got, problems)
		}
	}
}

func TestDerivedNamesOfOtherKindsRegionsAndNamesDiffer(t *testing.T) {
	seen := map[string]bool{}
	for _, kind := range []string{"secret", "parameter"} {
		for _, region := range []string{"us-east-1", "eu-west-1"} {
			for _, name := range []string{"a/b", "a-b", "A/b"} {
				seen[objectname.Derived(kind, region, name)] = true
			}
		}
	}
	if len(seen) != 12 {
		t.Errorf("%d different names of 12", len(seen))
	}
}
