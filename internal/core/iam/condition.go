package iam

import (
	"fmt"
	"slices"
	"strings"
)

// quantifier is a condition operator's prefix.
type quantifier uint8

const (
	single quantifier = iota
	forAnyValue
	forAllValues
)

// condition is one key of one operator with its values.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
type condition struct {
	quantifier quantifier
	ifExists   bool
	key        string // in lower case
	// tag tells that key is that of one tag.
	tag      bool
	operator operator
	// negated tells that the operator is the Not form of operator, and so true where the key is absent.
	negated bool
	values  []comparand
}

// comparand is one compiled value of a policy: what it is compared with depends on the operator.
type comparand interface {
	// matches compares one value of the request. What cannot be compared, such as a word with a number, does not match.
	matches(value string, sc *scope) bool
}

// operator compiles the values of its conditions.
type operator struct {
	name    string
	compile func(value string, vars bool) (comparand, error)
}

// operators by their names in lower case. Those that end in Not are made of these.
var operators = map[string]operator{
	"stringequals":             {"StringEquals", compileString(false, false)},
	"stringequalsignorecase":   {"StringEqualsIgnoreCase", compileString(false, true)},
	"stringlike":               {"StringLike", compileString(true, false)},
	"numericequals":            {"NumericEquals", compileNumber(func(c int) bool { return c == 0 })},
	"numericlessthan":          {"NumericLessThan", compileNumber(func(c int) bool { return c < 0 })},
	"numericlessthanequals":    {"NumericLessThanEquals", compileNumber(func(c int) bool { return c <= 0 })},
	"numericgreaterthan":       {"NumericGreaterThan", compileNumber(func(c int) bool { return c > 0 })},
	"numericgreaterthanequals": {"NumericGreaterThanEquals", compileNumber(func(c int) bool { return c >= 0 })},
	"dateequals":               {"DateEquals", compileDate(func(c int) bool { return c == 0 })},
	"datelessthan":             {"DateLessThan", compileDate(func(c int) bool { return c < 0 })},
	"datelessthanequals":       {"DateLessThanEquals", compileDate(func(c int) bool { return c <= 0 })},
	"dategreaterthan":          {"DateGreaterThan", compileDate(func(c int) bool { return c > 0 })},
	"dategreaterthanequals":    {"DateGreaterThanEquals", compileDate(func(c int) bool { return c >= 0 })},
	"bool":                     {"Bool", compileBool},
	"binaryequals":             {"BinaryEquals", compileBinary},
	"ipaddress":                {"IpAddress", compileAddress},
	"arnequals":                {"ArnEquals", compileConditionARN},
	"arnlike":                  {"ArnLike", compileConditionARN}, // AWS: the two behave identically
	"null":                     {"Null", compileBool},
}

// negations are the operators that are true where another is false.
var negations = map[string]string{
	"stringnotequals": "stringequals", "stringnotequalsignorecase": "stringequalsignorecase",
	"stringnotlike": "stringlike", "numericnotequals": "numericequals", "datenotequals": "dateequals",
	"notipaddress": "ipaddress", "arnnotequals": "arnequals", "arnnotlike": "arnlike",
}

// newCondition compiles one operator and key.
func newCondition(name, key string, values []string, vars bool) (condition, error) {
	c := condition{key: strings.ToLower(key)}
	c.tag = isTag(c.key)
	bare := strings.ToLower(name)
	if rest, ok := strings.CutPrefix(bare, "foranyvalue:"); ok {
		c.quantifier, bare = forAnyValue, rest
	} else if rest, ok := strings.CutPrefix(bare, "forallvalues:"); ok {
		c.quantifier, bare = forAllValues, rest
	}
	if rest, ok := strings.CutSuffix(bare, "ifexists"); ok {
		c.ifExists, bare = true, rest
	}
	if positive, ok := negations[bare]; ok {
		c.negated, bare = true, positive
	}
	op, ok := operators[bare]
	switch {
	case !ok:
		return c, fmt.Errorf("%q is not a condition operator; see StringEquals, NumericLessThan, ArnLike and their like", name)
	case bare == "null" && (c.ifExists || c.quantifier != single):
		return c, fmt.Errorf("%q: Null takes neither IfExists nor ForAnyValue or ForAllValues", name)
	case key == "":
		return c, fmt.Errorf("a condition key of %s is empty", name)
	}
	c.operator = op
	for _, v := range values {
		value, err := op.compile(v, vars && op.name != "Null") // which is asked about true and false alone
		if err != nil {
			return c, err
		}
		c.values = append(c.values, value)
	}
	return c, nil
}

// holds tells whether the request fulfils the condition of a statement. Of tags whose keys differ in case alone nothing tells which one is meant, and who may put on
// one of them may not put on another: one that allows asks all of them, each by itself, and one that denies any.
func (c *condition) holds(effect effect, sc *scope) bool {
	values, found := sc.Values(c.key)
	if !c.tag || len(values) < 2 {
		return c.fulfilled(values, found, sc)
	}
	return slices.ContainsFunc(values, func(v string) bool {
		return c.fulfilled([]string{v}, true, sc) == (effect == deny)
	}) == (effect == deny)
}

// fulfilled compares the values of the condition's key.
func (c *condition) fulfilled(values []string, found bool, sc *scope) bool {
	if c.operator.name == "Null" {
		absent := !found || len(values) == 0
		return c.any(fmt.Sprint(absent), sc)
	}
	switch c.quantifier {
	case forAllValues: // true of no values at all: AWS's documentation warns of it
		return !slices.ContainsFunc(values, func(v string) bool { return !c.one(v, sc) })
	case forAnyValue:
		if !found && c.ifExists {
			return true
		}
		return slices.ContainsFunc(values, func(v string) bool { return c.one(v, sc) })
	}
	if !found || len(values) == 0 {
		return c.ifExists || c.negated
	}
	// A key of several values without a quantifier: as if each value were asked for alone. For a negated operator none may
	// match, for another one must.
	if c.negated {
		return !slices.ContainsFunc(values, func(v string) bool { return c.any(v, sc) })
	}
	return slices.ContainsFunc(values, func(v string) bool { return c.any(v, sc) })
}

// one compares one value of the request by the operator, negated or not.
func (c *condition) one(value string, sc *scope) bool { return c.any(value, sc) != c.negated }

// any tells whether one of the policy's values matches. Several are alternatives, so that one which names a variable that the
// request lacks is of no concern beside one that matches; of a negated operator, that makes none of them may match.
func (c *condition) any(value string, sc *scope) bool {
	before := sc.unresolved
	for _, v := range c.values {
		if sc.work.spent() { // it is denied, whatever else there is
			return false
		}
		if v.matches(value, sc) {
			sc.unresolved = before
			return true
		}
	}
	return false
}
