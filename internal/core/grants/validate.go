package grants

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
)

// The limits of a grant.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateGrant.html
// https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html
const (
	// MaximumPairs of one constraint.
	MaximumPairs = 8
	// MaximumConstraint is how many characters the keys and values of one constraint have together.
	MaximumConstraint = 384
	// MaximumPrincipal is the longest ARN of a principal, in characters.
	MaximumPrincipal = 256
	// MaximumPerKey is how many grants a key has.
	MaximumPerKey = 50_000
)

var (
	// ErrOperation says that there is no such grant for a key: it has no operation, or one that the key does not support.
	ErrOperation = errors.New("the grant's operations are not those of the key")
	// ErrConstraint says that a constraint is over a limit, is empty, or cannot be of such a key.
	ErrConstraint = errors.New("the grant's constraint is not valid")
	// ErrPrincipal says that a principal is not the ARN of a user, a role, a session or an account.
	ErrPrincipal = errors.New("not a valid principal")
)

// anyKey are the operations that every key supports, and by are the operations of KMS that a grant's stand for where they have another name.
var (
	anyKey = map[Operation]bool{CreateGrant: true, RetireGrant: true, DescribeKey: true}
	by     = map[Operation]keys.Operation{ReEncryptFrom: keys.Decrypt, ReEncryptTo: keys.ReEncrypt}
)

// cryptographic are the operations that grants can allow besides those of anyKey and by.
var cryptographic = map[Operation]bool{
	"Decrypt": true, "Encrypt": true, "GenerateDataKey": true, "GenerateDataKeyWithoutPlaintext": true, "GenerateDataKeyPair": true,
	"GenerateDataKeyPairWithoutPlaintext": true, "Sign": true, "Verify": true, GetPublicKey: true, "GenerateMac": true, "VerifyMac": true,
	"DeriveSharedSecret": true, "Encapsulate": true, "Decapsulate": true,
}

// Supports tells whether a grant of a key of this spec and usage can allow an operation.
func Supports(spec keys.Spec, usage keys.Usage, operation Operation) bool {
	if anyKey[operation] {
		return true
	}
	of, renamed := by[operation]
	switch {
	case !renamed && !cryptographic[operation]:
		return false
	case operation == GetPublicKey:
		return !spec.Symmetric()
	case !renamed:
		of = keys.Operation(operation)
	}
	return usage.CheckUsage(of) == nil && spec.CheckOperation(of) == nil
}

// Check tells whether a grant can be of a key of this spec and usage. It fails with ErrOperation or ErrConstraint.
func (g *Grant) Check(spec keys.Spec, usage keys.Usage) error {
	if len(g.Operations) == 0 {
		return fmt.Errorf("%w: it has none", ErrOperation)
	}
	for _, operation := range g.Operations {
		if !Supports(spec, usage, operation) {
			return fmt.Errorf("%w: a key of spec %s and usage %s does not support %s", ErrOperation, spec, usage, operation)
		}
	}
	if g.Constrained() && spec != keys.SymmetricDefault {
		return fmt.Errorf("%w: operations of %s keys have no encryption context", ErrConstraint, spec)
	}
	for name, pairs := range map[string]map[string]string{"EncryptionContextEquals": g.Equals, "EncryptionContextSubset": g.Subset} {
		if err := checkConstraint(pairs); pairs != nil && err != nil {
			return fmt.Errorf("%w: %s %w", ErrConstraint, name, err)
		}
	}
	return nil
}

func checkConstraint(pairs map[string]string) error {
	length := 0
	for name, value := range pairs {
		length += utf8.RuneCountInString(name) + utf8.RuneCountInString(value)
	}
	switch {
	case len(pairs) == 0:
		return errors.New("has no pair: leave it out")
	case len(pairs) > MaximumPairs:
		return fmt.Errorf("has %d pairs: %d are the most", len(pairs), MaximumPairs)
	case length > MaximumConstraint:
		return fmt.Errorf("has %d characters: %d are the most", length, MaximumConstraint)
	case len(folded(pairs)) != len(pairs):
		return errors.New("has keys that differ in case alone, which a constraint does not tell apart")
	}
	return nil
}

// Principal is the ARN that grants name a principal by: an account's id is the ARN of its root. It fails with ErrPrincipal.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns
func Principal(value string) (string, error) {
	if arn.ValidateAccount(value) == nil {
		return "arn:" + arn.Partition + ":iam::" + value + ":root", nil
	}
	if !strings.HasPrefix(value, "arn:"+arn.Partition+":") || arn.Region(value) != "" || arn.ValidateAccount(arn.Account(value)) != nil ||
		utf8.RuneCountInString(value) > MaximumPrincipal || strings.ContainsAny(value, "*?") || !names(arn.Service(value), arn.Resource(value)) {
		return "", fmt.Errorf("%w: write an account's id, or the ARN of a user, a role, a session or an account", ErrPrincipal)
	}
	return value, nil
}

// names tells whether the last part of an ARN of a service names a principal.
func names(service, resource string) bool {
	kind, rest, _ := strings.Cut(resource, "/")
	switch service + ":" + kind {
	case "iam:root":
		return resource == "root"
	case "iam:user", "iam:role", "sts:federated-user":
		return rest != ""
	case "sts:assumed-role":
		role, session, _ := strings.Cut(rest, "/")
		return role != "" && session != ""
	}
	return false
}
