package parameterstore

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/service/principals"
)

// MaximumPolicy is the length of a parameter's resource policy in characters. AWS documents one for OpsItemGroups, of 1,024 bytes, and none for
// parameters.
const MaximumPolicy = 4096

// ParsePolicy compiles a resource policy. Its error is an *iam.SyntaxError, which tells where the mistake is.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-shared-parameters.html
func ParsePolicy(document []byte) (*iam.Policy, error) {
	return principals.ParseResourcePolicy(document, MaximumPolicy)
}

// Policy is a parameter's resource policy, compiled once for each generation of the object; nil if it has none.
func (s *Service) Policy(p *v1alpha1.Parameter) *iam.Policy {
	document, binding := p.Spec.ResourcePolicy, p.Status.PolicyBinding
	if document == nil {
		return nil
	}
	return s.Policies.Use(string(p.UID), p.Generation, binding, func() *iam.Policy {
		return principals.Bound(principals.Compiled(document, ParsePolicy), binding, principals.Digest(p, document.Raw))
	})
}

// CheckPolicy compiles a resource policy of a request, as it will be kept. Its error is an *iam.SyntaxError, principals.ErrPrincipal or
// principals.ErrServicePrincipal.
func (s *Service) CheckPolicy(ctx context.Context, document, owner string) (*v1alpha1.PolicyDocument, error) {
	kept, _, err := principals.CheckResourcePolicy(ctx, s.Client, document, owner, ParsePolicy)
	return kept, err
}

// FindShared is Find that finds a parameter of another account, too, by its ARN. Whether the caller may have it is not asked here.
func (s *Service) FindShared(ctx context.Context, namespace, region, owner string, id *ID) (*v1alpha1.Parameter, error) {
	if id.Account == "" || id.Account == owner {
		return s.Find(ctx, namespace, region, owner, id)
	}
	of, err := account.Namespace(ctx, s.Client, id.Account)
	if err != nil || of == "" {
		return nil, err
	}
	p, err := s.Find(ctx, of, region, id.Account, id)
	if p == nil || arn.Account(s.ARNOf(p)) != id.Account { // the namespace is another account by now than the parameter's
		return nil, err
	}
	return p, nil
}

// PolicyID is the id of a parameter's resource policy, of which it has one.
func PolicyID(p *v1alpha1.Parameter) string {
	sum := sha256.Sum256([]byte("resource policy of parameter " + string(p.UID)))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// PolicyHash tells one state of a parameter's resource policy from another, also of the same text that was saved again. It is empty if it has none.
func PolicyHash(p *v1alpha1.Parameter) string {
	if p.Spec.ResourcePolicy == nil {
		return ""
	}
	return principals.Digest(p, p.Spec.ResourcePolicy.Raw)
}

// PutPolicy attaches a resource policy to an advanced parameter by the request of this id, and returns the parameter as it is then. One that
// is there is replaced if id and hash are its own; without them there must be none.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutResourcePolicy.html
//
// Crash-safe: it is one write, as in changeObject, and id and hash are compared with what it is on the condition of.
func (s *Service) PutPolicy(ctx context.Context, p *v1alpha1.Parameter, document *v1alpha1.PolicyDocument, id, hash, requestID string) (*v1alpha1.Parameter, error) {
	return s.changeObject(ctx, p, func(live *v1alpha1.Parameter) error {
		switch {
		case live.Status.Tier != v1alpha1.TierAdvanced:
			return InvalidPolicyParameter("ResourceArn", "Only a parameter of the advanced tier has a resource policy.")
		case id != "" || hash != "":
			if err := checkState(live, id, hash); err != nil {
				return err
			}
		case live.Spec.ResourcePolicy != nil:
			return &types.ResourcePolicyLimitExceededException{
				Limit: 1, LimitType: ptr.To("PoliciesPerResource"),
				Message: ptr.To("The parameter has a resource policy: to replace it, give its PolicyId and PolicyHash."),
			}
		}
		live.Spec.ResourcePolicy = document
		advance(&live.Spec)
		principals.Save(live, requestID)
		return nil
	})
}

// DeletePolicy takes a parameter's resource policy away, if id and hash are its own. Crash-safe as PutPolicy.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DeleteResourcePolicy.html
func (s *Service) DeletePolicy(ctx context.Context, p *v1alpha1.Parameter, id, hash string) error {
	_, err := s.changeObject(ctx, p, func(live *v1alpha1.Parameter) error {
		if err := checkState(live, id, hash); err != nil {
			return err
		}
		live.Spec.ResourcePolicy = nil
		return nil
	})
	return err
}

// checkState compares what a request knows of a resource policy with what there is.
func checkState(p *v1alpha1.Parameter, id, hash string) error {
	switch {
	case p.Spec.ResourcePolicy == nil, id != PolicyID(p):
		return &types.ResourcePolicyNotFoundException{Message: ptr.To("No policies with the specified policy ID and hash could be found.")}
	case hash != PolicyHash(p):
		return &types.ResourcePolicyConflictException{Message: ptr.To("The hash provided in the call doesn't match the stored hash. This exception is " +
			"thrown when trying to update an obsolete policy version or when multiple requests to update a policy are sent.")}
	}
	return nil
}

// advance gives the spec of a parameter that is Advanced the tier that says so, which what only those have needs.
func advance(spec *v1alpha1.ParameterSpec) {
	if spec.Tier == "" || spec.Tier == v1alpha1.TierStandard {
		spec.Tier = v1alpha1.TierAdvanced
	}
}
