package iam

import (
	"unicode"
	"unicode/utf8"
)

// The quotas of AWS IAM on documents, in characters that are not white space. Those that AWS raises on request are at the value to
// which it does.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const (
	// MaximumManagedPolicy is the size of a managed policy.
	MaximumManagedPolicy = 6144
	// MaximumUserPolicies is the size of all inline policies of a user together.
	MaximumUserPolicies = 2048
	// MaximumRolePolicies is the size of all inline policies of a role together.
	MaximumRolePolicies = 10240
	// MaximumGroupPolicies is the size of all inline policies of a group together.
	MaximumGroupPolicies = 5120
	// MaximumTrustPolicy is the size of a role's trust policy. AWS's default is 2,048.
	MaximumTrustPolicy = 4096
)

// Size is the size of a document as the quotas count it: its characters without white space, wherever it is.
func Size(document []byte) int {
	size := 0
	for len(document) > 0 {
		r, width := utf8.DecodeRune(document)
		document = document[width:]
		if !unicode.IsSpace(r) {
			size++
		}
	}
	return size
}
