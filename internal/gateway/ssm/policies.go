package ssm

import (
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/parameterpolicy"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// requestPolicies are the policies of a request, nil if it says nothing of them.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html#systemsmanager-PutParameter-request-Policies
func requestPolicies(in *sdk.PutParameterInput) (*[]v1alpha1.ParameterPolicy, error) {
	if deref(in.Policies) == "" {
		return nil, nil
	}
	policies, err := parameterpolicy.Parse(*in.Policies)
	if err != nil {
		return nil, parameterstore.PolicyError(err)
	}
	return ptr.To(parameterstore.SpecPolicies(policies)), nil
}

// inlinePolicies are the policies of a parameter and what has become of them. One that status does not know yet is pending.
func inlinePolicies(p *v1alpha1.Parameter) []types.ParameterInlinePolicy {
	policies := parameterstore.PoliciesOf(p)
	out := make([]types.ParameterInlinePolicy, 0, len(policies))
	for i := range policies {
		status := string(parameterpolicy.Pending)
		if s := p.Status.Policies; i < len(s) && len(s) == len(policies) && string(s[i].Type) == string(policies[i].Type) {
			status = s[i].Status
		}
		out = append(out, types.ParameterInlinePolicy{
			PolicyText: ptr.To(policies[i].Text()), PolicyType: ptr.To(string(policies[i].Type)), PolicyStatus: &status,
		})
	}
	return out
}
