package iam

import (
	"slices"
	"strings"
)

// StrangeKeys are the condition keys of a policy, in lower case, sorted and once each, that are a service's by their prefix (kms:) and that the service does not have. No request has such a key, so
// that a Deny on it does nothing: mostly a name that is misspelt. AWS takes such policies as they are, and its Access Analyzer tells of them.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-reference-policy-checks.html#access-analyzer-reference-policy-checks-error-invalid-service-condition-key
func (p *Policy) StrangeKeys(service string, has func(key string) bool) []string {
	var out []string
	for i := range p.statements {
		for j := range p.statements[i].conditions {
			if key := p.statements[i].conditions[j].key; strings.HasPrefix(key, service+":") && !has(key) {
				out = append(out, key)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
