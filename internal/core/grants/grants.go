// Package grants is what a grant of AWS KMS allows: operations on one key, within constraints on the encryption context. Who is allowed is for
// package iam to decide.
// https://docs.aws.amazon.com/kms/latest/developerguide/grants.html
package grants

import (
	"maps"
	"slices"
	"strings"
)

// Operation is an operation that a grant can allow, with AWS's name: it is that of policies without the service.
// https://docs.aws.amazon.com/kms/latest/developerguide/grants.html#terms-grant-operations
type Operation string

// The operations that are spoken of by name here; [Supports] knows all.
const (
	CreateGrant   Operation = "CreateGrant"
	RetireGrant   Operation = "RetireGrant"
	DescribeKey   Operation = "DescribeKey"
	GetPublicKey  Operation = "GetPublicKey"
	ReEncryptFrom Operation = "ReEncryptFrom"
	ReEncryptTo   Operation = "ReEncryptTo"
)

// Grant is what a grant allows, and within what.
type Grant struct {
	// Operations that it allows; at least one.
	Operations []Operation
	// Equals is the encryption context that a request must have, and Subset pairs that must be in it; both, if both are there. Nil is no
	// constraint. Keys have no case here, unlike those of an encryption context itself, and values have one.
	// https://docs.aws.amazon.com/kms/latest/APIReference/API_GrantConstraints.html
	Equals, Subset map[string]string
}

// Constrained tells whether the grant has a constraint on the encryption context.
func (g *Grant) Constrained() bool { return g.Equals != nil || g.Subset != nil }

// Allows tells whether the grant allows an operation with an encryption context. CreateGrant has none: see [Grant.Covers]. Constraints do not
// speak of DescribeKey, RetireGrant and CreateGrant.
func (g *Grant) Allows(operation Operation, ec map[string]string) bool {
	if !slices.Contains(g.Operations, operation) {
		return false
	}
	if unconstrained(operation) || !g.Constrained() {
		return true
	}
	if g.ambiguous() {
		return false
	}
	given := folded(ec)
	return (g.Equals == nil || maps.Equal(folded(g.Equals), given)) && contains(given, folded(g.Subset))
}

// unconstrained tells that constraints do not speak of an operation, which has no encryption context.
func unconstrained(operation Operation) bool {
	return operation == DescribeKey || operation == RetireGrant || operation == CreateGrant
}

// Covers tells whether whoever may create grants by this one may create another: with no operation that this one lacks, and with constraints at
// least as strict.
// https://docs.aws.amazon.com/kms/latest/developerguide/create-grant-overview.html#grant-creategrant
func (g *Grant) Covers(child *Grant) bool {
	if !slices.Contains(g.Operations, CreateGrant) || g.ambiguous() || child.ambiguous() {
		return false
	}
	for _, operation := range child.Operations {
		if !slices.Contains(g.Operations, operation) {
			return false
		}
	}
	if g.Equals != nil && (child.Equals == nil || !maps.Equal(folded(g.Equals), folded(child.Equals))) {
		return false
	}
	subset := folded(g.Subset)
	return contains(folded(child.Subset), subset) || contains(folded(child.Equals), subset)
}

// ambiguous tells whether a constraint has keys that differ in case alone: it does not say what it wants, and is met by nothing.
func (g *Grant) ambiguous() bool {
	return len(folded(g.Equals)) != len(g.Equals) || len(folded(g.Subset)) != len(g.Subset)
}

// folded is a context whose keys have no case.
func folded(ec map[string]string) map[string]string {
	out := make(map[string]string, len(ec))
	for name, value := range ec {
		out[strings.ToLower(name)] = value
	}
	return out
}

// contains tells whether all pairs of part are in whole.
func contains(whole, part map[string]string) bool {
	for name, value := range part {
		if got, ok := whole[name]; !ok || got != value {
			return false
		}
	}
	return true
}
