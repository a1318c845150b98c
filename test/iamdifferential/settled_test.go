package iamdifferential_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// difference is a way in which internal/core/iam and the simulator differ on purpose.
type difference struct {
	// name says what we do, and document is where AWS says so, or leaves it open.
	name, document string
	// explains tells whether it is what two answers differ for.
	explains func(c *testCase, ours, theirs string) bool
}

const (
	allowed  = "Allowed"
	denied   = "ExplicitlyDenied"
	implicit = "ImplicitlyDenied"
)

var differences = []difference{
	{
		"whom the policy of another account's resource does not let in is denied for that: his own policies, which may deny too, are not asked about what is not his",
		"https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html",
		func(c *testCase, ours, theirs string) bool {
			return ours == implicit && theirs == denied && c.Account != "" && !strings.Contains(c.Principal, ":"+c.Account+":")
		},
	},
	{
		"a policy that names the session itself is not limited by a session policy that leaves the request out",
		"https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session",
		func(c *testCase, ours, theirs string) bool {
			return ours == allowed && theirs == implicit && c.Session != nil && slices.ContainsFunc(statements(c.Policy), func(s object) bool {
				return s["Effect"] == "Allow" && mentions(s["Principal"], session)
			})
		},
	},
	{
		"ForAnyValue with IfExists is true of a key that is not there, as every IfExists is",
		"https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_IfExists",
		func(c *testCase, _, _ string) bool {
			return conditioned(c, func(operator, key string) bool {
				return strings.HasPrefix(operator, "ForAnyValue:") && strings.HasSuffix(operator, "IfExists") && c.value(key) == nil
			})
		},
	},
	{
		"Null takes a key with an empty list of values for one that is not there: it asks for a value that is not null",
		"https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_Null",
		func(c *testCase, _, _ string) bool {
			return conditioned(c, func(operator, key string) bool {
				list, ok := c.value(key).([]string)
				return operator == "Null" && ok && len(list) == 0
			})
		},
	},
	{
		"0.0.0.0/0 contains every IPv4 address, and an address of IPv6 is outside of any of IPv4, and the other way round; the simulator shifts by 32 bits",
		"https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_IPAddress",
		func(c *testCase, _, _ string) bool {
			return c.value("aws:SourceIp") != nil && conditioned(c, func(operator, _ string) bool { return strings.Contains(operator, "IpAddress") })
		},
	},
	{
		"a statement that denies and negates a policy variable without a value applies, and one that allows does not: AWS leaves it open, and this gives less",
		"https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-no-value",
		func(c *testCase, ours, theirs string) bool {
			gives := ours == implicit && theirs == allowed
			return (ours == denied || gives) && (unresolved(c, "aws:username") || unresolved(c, "aws:PrincipalTag/team"))
		},
	},
	{
		"${*} is the character * in every string comparison; the simulator knows it in StringLike alone",
		"https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-specialchars",
		func(c *testCase, _, _ string) bool {
			return conditioned(c, func(operator, key string) bool {
				return strings.Contains(operator, "Equals") && !strings.Contains(operator, "Arn") && holdsStar(c.value(key))
			}) && written(c, "${*}")
		},
	},
	{
		"a * of a resource policy names nobody, so that a boundary or a session policy limits what it gives: AWS exempts who is named by ARN",
		"https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html",
		func(c *testCase, ours, theirs string) bool {
			return ours == implicit && theirs == allowed && (c.Boundary != nil || c.Session != nil) && givesToAnybody(c)
		},
	},
	{
		"a * that allows does not mean AWS services: AWS leaves it open, and this gives less",
		"https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-anonymous",
		func(c *testCase, ours, theirs string) bool {
			return c.Principal == service && ours == implicit && theirs == allowed && givesToAnybody(c)
		},
	},
	{
		"a NotPrincipal that denies spares a user or a session only if its account, its role and itself are all named",
		"https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html",
		func(c *testCase, ours, _ string) bool {
			return ours == denied && slices.ContainsFunc(statements(c.Policy), func(s object) bool { return s["NotPrincipal"] != nil && s["Effect"] == "Deny" })
		},
	},
}

// settle names the difference that explains two answers which are not the same, empty if there is none.
func settle(c *testCase, ours, theirs string) string {
	for _, d := range differences {
		if d.explains(c, ours, theirs) {
			return d.name
		}
	}
	return ""
}

// statements of a policy, which may be none.
func statements(policy object) []object {
	var out []object
	switch s := policy["Statement"].(type) {
	case object:
		out = append(out, s)
	case []any:
		for _, one := range s {
			out = append(out, one.(object))
		}
	}
	return out
}

func mentions(element any, text string) bool {
	written, err := json.Marshal(element)
	return err == nil && strings.Contains(string(written), `"`+text+`"`)
}

func givesToAnybody(c *testCase) bool {
	return slices.ContainsFunc(statements(c.Policy), func(s object) bool {
		return s["Effect"] == "Allow" && (s["NotPrincipal"] != nil || mentions(s["Principal"], "*"))
	})
}

// value is that of a condition key in the request, nil if it is not there.
func (c *testCase) value(key string) any {
	for name, value := range c.Context {
		if strings.EqualFold(name, key) {
			return value
		}
	}
	return nil
}

// conditioned tells whether a condition of any policy is such a one.
func conditioned(c *testCase, is func(operator, key string) bool) bool {
	for _, policy := range append([]object{c.Session, c.Boundary, c.Policy}, c.Identity...) {
		for _, s := range statements(policy) {
			conditions, _ := s["Condition"].(object)
			for operator, held := range conditions {
				for key := range held.(object) {
					if is(operator, key) {
						return true
					}
				}
			}
		}
	}
	return false
}

func written(c *testCase, text string) bool {
	document, err := json.Marshal([]any{c.Identity, c.Session, c.Boundary, c.Policy})
	return err == nil && strings.Contains(string(document), text)
}

// unresolved tells whether a policy has a variable that the request has no value for.
func unresolved(c *testCase, key string) bool { return c.value(key) == nil && written(c, "${"+key+"}") }

// holdsStar tells whether a value of a condition key has a star in it.
func holdsStar(value any) bool { return value != nil && strings.Contains(fmt.Sprint(value), "*") }
