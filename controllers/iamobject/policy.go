package iamobject

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/iam/managed"
	"strongroom.dev/strongroom/internal/fault"
)

var (
	errQuota       = errors.New("over AWS's quota")
	errNotFound    = errors.New("there is no such policy")
	errNotReady    = errors.New("the policy is not in force")
	errForeign     = errors.New("the policy is another account's")
	errMalformedIn = errors.New("malformed policy document")
)

// Document looks whether a document is a policy of a type and at most so many characters long, white space not counted. field
// is where it is in the object. It fails with a fault of MalformedPolicyDocument that tells the place of the mistake, as a JSON
// pointer from the field.
func Document(field string, document *v1alpha1.PolicyDocument, t iam.Type, maximum int) error {
	if err := parse(field, document, t); err != nil {
		return err
	}
	return size(field, iam.Size(document.Raw), maximum)
}

// Inline is Document for all inline policies of an object, whose sizes add up.
func Inline(policies []v1alpha1.InlinePolicy, maximum int) error {
	total := 0
	for i := range policies {
		total += iam.Size(policies[i].Document.Raw)
		field := fmt.Sprintf("spec.policies[%s].document", policies[i].Name)
		if err := parse(field, &policies[i].Document, iam.Identity); err != nil {
			return err
		}
	}
	return size("spec.policies", total, maximum)
}

func size(field string, length, maximum int) error {
	if length <= maximum {
		return nil
	}
	return fault.Stalled(v1alpha1.ReasonMalformedPolicyDocument, fmt.Errorf("%w: %s has %d characters without white space; AWS takes "+
		"at most %d: move statements to an IAMPolicy", errQuota, field, length, maximum))
}

// parse leaves out the byte that a SyntaxError tells: it is one of what the API server stored, not of the user's manifest.
func parse(field string, document *v1alpha1.PolicyDocument, t iam.Type) error {
	_, err := iam.Parse(document.Raw, t)
	if err == nil {
		return nil
	}
	var syntax *iam.SyntaxError
	if errors.As(err, &syntax) {
		err = fmt.Errorf("%w: %s, at %s: %s", errMalformedIn, field, "/"+strings.TrimPrefix(syntax.Pointer, "/"), syntax.Problem)
	}
	return fault.Stalled(v1alpha1.ReasonMalformedPolicyDocument, err)
}

// Attached looks whether the managed policies of an object of an account are in force. It fails with a fault that says which is
// not and why; that of one that may yet appear ends when it does.
func Attached(ctx context.Context, reader client.Reader, namespace, account string, p *v1alpha1.IdentityPolicies) error {
	for i, policy := range p.ManagedPolicyARNs {
		if err := attached(ctx, reader, namespace, account, policy); err != nil {
			return fmt.Errorf("spec.managedPolicyArns[%d]: %w", i, err)
		}
	}
	return nil
}

// Boundary is Attached for a permissions boundary, which may be empty.
func Boundary(ctx context.Context, reader client.Reader, namespace, account, policyARN string) error {
	if policyARN == "" {
		return nil
	}
	if err := attached(ctx, reader, namespace, account, policyARN); err != nil {
		return fmt.Errorf("spec.permissionsBoundary: %w", err)
	}
	return nil
}

func attached(ctx context.Context, reader client.Reader, namespace, account, policyARN string) error {
	if _, ok := managed.ByARN(policyARN); ok {
		return nil
	}
	switch owner := arn.Account(policyARN); owner {
	case account:
	case arn.AWSAccount:
		return fault.Stalled(v1alpha1.ReasonPolicyNotFound, fmt.Errorf("%w: %s is none of AWS's policies that Strongroom has: docs/iam.md lists them",
			errNotFound, policyARN))
	default:
		return fault.Stalled(v1alpha1.ReasonForeignPolicy, fmt.Errorf("%w: %s: this namespace is account %s", errForeign, policyARN, account))
	}
	return attachedOwn(ctx, reader, namespace, account, policyARN)
}

// attachedOwn is attached of an IAMPolicy of the account itself.
func attachedOwn(ctx context.Context, reader client.Reader, namespace, account, policyARN string) error {
	same, err := named(ctx, reader, Policy, namespace, policyARN[strings.LastIndex(policyARN, "/")+1:])
	if err != nil {
		return err
	}
	for _, o := range same {
		policy, ok := o.(*v1alpha1.IAMPolicy)
		if !ok || arn.IAMPolicy(account, o.AWSPath(), o.AWSName()) != policyARN || !o.GetDeletionTimestamp().IsZero() {
			continue
		}
		if policy.Status.ARN == policyARN && inForce(policy) {
			return nil
		}
		err = fault.Waiting(v1alpha1.ReasonPolicyNotReady, fmt.Errorf("%w: IAMPolicy %s, which is %s, says why", errNotReady, policy.Name, policyARN))
	}
	if err != nil {
		return err
	}
	return fault.Waiting(v1alpha1.ReasonPolicyNotFound, fmt.Errorf("%w: no IAMPolicy of this namespace is %s; create it", errNotFound, policyARN))
}
