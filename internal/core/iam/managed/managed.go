// Package managed has the policies that every account has, under AWS's names: arn:aws:iam::aws:policy/NAME. There are those
// that make sense for the services that Strongroom serves, and they name those services only.
// https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
package managed

import (
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
)

//go:embed *.json
var files embed.FS

// Policy is one of them.
type Policy struct {
	// ARN is arn:aws:iam::aws:policy/NAME.
	ARN string
	// Document is its JSON. Do not change it.
	Document []byte
	// Compiled is the document, for iam.Policies.
	Compiled *iam.Policy
}

var policies = load()

// load reads and compiles the embedded documents. A test holds that all of them compile, so that a failure is no one's to handle.
func load() map[string]Policy {
	out := map[string]Policy{}
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err)
	}
	for _, entry := range entries {
		document, err := files.ReadFile(entry.Name())
		if err != nil {
			panic(err)
		}
		compiled, err := iam.Parse(document, iam.Identity)
		if err != nil {
			panic(fmt.Sprintf("the policy %s: %v", entry.Name(), err))
		}
		p := Policy{ARN: arn.IAMPolicy(arn.AWSAccount, "/", strings.TrimSuffix(entry.Name(), ".json")), Document: document, Compiled: compiled}
		out[p.ARN] = p
	}
	return out
}

// ByARN is the policy of an ARN; ok is false if there is none.
func ByARN(policyARN string) (p Policy, ok bool) {
	p, ok = policies[policyARN]
	return p, ok
}

// ARNs lists the ARNs of all of them, sorted.
func ARNs() []string { return slices.Sorted(maps.Keys(policies)) }
