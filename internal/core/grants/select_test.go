package grants_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/core/grants"
)

func TestAGrantIsFoundByTheContextsThatItAllowsAndByFewOthers(t *testing.T) {
	of := func(equals, subset ec) string {
		g := grants.Grant{Equals: equals, Subset: subset}
		return g.Selector()
	}
	if s := of(nil, nil) + of(nil, ec{}); s != "" {
		t.Errorf("a grant without a constraint: %q", s)
	}
	all := []string{of(nil, nil), of(ec{}, nil), of(ec{"a": "b"}, nil), of(ec{"a": "c"}, nil), of(nil, ec{"a": "b"}), of(nil, ec{"b": "a"}), of(ec{"a": "b", "c": "d"}, nil)}
	for i, s := range all {
		if slices.Contains(all[i+1:], s) {
			t.Errorf("two constraints have the selector %q", s)
		}
		if strings.Contains(s, " ") {
			t.Errorf("the selector %q has a space, which parts a value of the index", s)
		}
	}
	for name, tt := range map[string]struct{ one, other string }{
		"the case of names is none":           {of(ec{"App": "b"}, nil), of(ec{"aPP": "b"}, nil)},
		"nor is it of those of a subset":      {of(nil, ec{"App": "b"}), of(nil, ec{"aPP": "b"})},
		"a subset is found by its first pair": {of(nil, ec{"a": "b", "c": "d"}), of(nil, ec{"a": "b"})},
		"equals count, if both are there":     {of(ec{"a": "b"}, ec{"c": "d"}), of(ec{"a": "b"}, nil)},
	} {
		if tt.one != tt.other {
			t.Errorf("%s: %q and %q", name, tt.one, tt.other)
		}
	}
	for _, given := range []ec{nil, {}, {"a": "b"}, {"a": "b", "c": "d", "e": "f"}} {
		selectors, any := grants.Selectors("Decrypt", given)
		if any || len(selectors) != len(given)+2 {
			t.Errorf("a request with %d pairs has the selectors %q, or all: %t", len(given), selectors, any)
		}
	}
	for _, operation := range (ops{"DescribeKey", "RetireGrant", "CreateGrant"}) {
		if selectors, any := grants.Selectors(operation, ec{"a": "b"}); !any || selectors != nil {
			t.Errorf("%s has the selectors %q", operation, selectors)
		}
	}
}

// The law of the index: no grant that allows a request is missed.
func TestAGrantThatAllowsARequestHasOneOfItsSelectors(t *testing.T) {
	allowed := 0
	rapid.Check(t, func(t *rapid.T) {
		g, given := drawnGrant.Draw(t, "grant"), drawnContext.Draw(t, "given")
		for _, operation := range (ops{"Encrypt", "Decrypt", "DescribeKey", "RetireGrant", "CreateGrant"}) {
			selectors, any := grants.Selectors(operation, given)
			if !g.Allows(operation, given) {
				continue
			}
			allowed++
			if !any && !slices.Contains(selectors, g.Selector()) {
				t.Fatalf("%+v allows %s with %v and is not among %q", g, operation, given, selectors)
			}
		}
	})
	if allowed == 0 {
		t.Error("none of them allowed anything")
	}
}
