package grants

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
)

// Selector is what an index has a grant under, so that those that may allow a request are found among the 50,000 that a key can have, however many of them are for
// the same principal: empty for a grant without a constraint, and made of all of Equals, or of one pair of Subset. A grant that allows a request has one of the
// request's [Selectors]; the reverse is for [Grant.Allows] to say.
func (g *Grant) Selector() string {
	switch {
	case g.Equals != nil:
		return "=" + digest(folded(g.Equals))
	case len(g.Subset) > 0:
		subset := folded(g.Subset)
		first := slices.Min(slices.Collect(maps.Keys(subset)))
		return "+" + digest(map[string]string{first: subset[first]})
	}
	return ""
}

// Selectors are those of the grants that may allow an operation with an encryption context: as many as it has pairs, and two. All is true if constraints do not speak
// of the operation, so that any grant may allow it.
func Selectors(operation Operation, ec map[string]string) (selectors []string, all bool) {
	if unconstrained(operation) {
		return nil, true
	}
	given := folded(ec)
	selectors = append(selectors, "", "="+digest(given))
	for name, value := range given {
		selectors = append(selectors, "+"+digest(map[string]string{name: value}))
	}
	return selectors, false
}

// digest is short: two contexts that have one cost a look at each other's grants.
func digest(pairs map[string]string) string {
	text, err := json.Marshal(pairs) // in the order of the names
	if err != nil {
		panic(err) // texts alone
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:12])
}
