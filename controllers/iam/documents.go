package iam

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/iam/managed"
	"strongroom.dev/strongroom/internal/fault"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

// checkDocument says where and why a document cannot be used. The name is what messages call it.
func checkDocument(name string, document []byte, t iam.Type) error {
	if _, err := iam.Parse(document, t); err != nil {
		return fault.Stalled(v1alpha1.ReasonMalformedPolicyDocument, fmt.Errorf("%s: %w", name, err))
	}
	return nil
}

// checkSize holds AWS's quota, which counts no white space.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
func checkSize(name string, size, maximum int) error {
	if size > maximum {
		return fault.Stalled(v1alpha1.ReasonMalformedPolicyDocument, fmt.Errorf("%s: %d characters without white space, and AWS's limit is %d",
			name, size, maximum))
	}
	return nil
}

// checkInline looks at the policies that are part of a user or role, the first fault first.
func checkInline(policies []v1alpha1.InlinePolicy, maximum int) error {
	size := 0
	for i := range policies {
		p := &policies[i]
		if err := checkDocument("policy "+p.Name, p.Document.Raw, iam.Identity); err != nil {
			return err
		}
		size += iam.Size(p.Document.Raw)
	}
	return checkSize("the inline policies together", size, maximum)
}

var errPolicy = errors.New("a managed policy cannot be used")

// checkAttached looks whether the managed policies are there, of this account, and readable themselves.
func (b *Base) checkAttached(ctx context.Context, obj object, p *v1alpha1.Permissions) error {
	for _, policyARN := range p.ManagedPolicyARNs {
		if err := b.checkManaged(ctx, obj, policyARN); err != nil {
			return err
		}
	}
	if p.PermissionsBoundary != "" {
		return b.checkManaged(ctx, obj, p.PermissionsBoundary)
	}
	return nil
}

func (b *Base) checkManaged(ctx context.Context, obj object, policyARN string) error {
	if arn.Account(policyARN) == arn.AWSAccount {
		if _, ok := managed.ByARN(policyARN); !ok {
			return fault.Stalled(v1alpha1.ReasonPolicyNotFound, fmt.Errorf("%w: there is no %s; docs/iam.md lists those that every account has",
				errPolicy, policyARN))
		}
		return nil
	}
	if own := arn.Account(obj.GetIAMStatus().ARN); arn.Account(policyARN) != own {
		return fault.Stalled(v1alpha1.ReasonForeignPolicy, fmt.Errorf("%w: %s is of another account, and this one is %s", errPolicy, policyARN, own))
	}
	var found v1alpha1.IAMPolicyList
	err := b.Client.List(ctx, &found, client.InNamespace(obj.GetNamespace()), client.MatchingFields{serviceiam.ARNIndex: policyARN},
		client.UnsafeDisableDeepCopy)
	if err != nil {
		return fmt.Errorf("looking for IAMPolicy %s: %w", policyARN, err)
	}
	if len(found.Items) == 0 { // a policy that appears is watched, so there is no hurry to look again
		return fault.Stalled(v1alpha1.ReasonPolicyNotFound, fmt.Errorf("%w: there is no IAMPolicy of ARN %s in this namespace", errPolicy, policyARN))
	}
	policy := &found.Items[0]
	if !meta.IsStatusConditionTrue(policy.Status.Conditions, v1alpha1.ConditionReady) {
		return fault.Stalled(v1alpha1.ReasonPolicyNotReady, fmt.Errorf("%w: IAMPolicy %s is not in force itself; its conditions say why", errPolicy, policy.Name))
	}
	return nil
}
