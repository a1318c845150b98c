package secretsmanager

import (
	"context"
	"errors"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// AWS's texts on resource policies.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_resource-policies.html
const (
	textSyntax    = "This resource policy contains a syntax error."
	textPrincipal = "This resource policy contains an unsupported principal."
	textService   = "This resource policy contains an unsupported service principal."
	textPublic    = "You can't attach a resource-based policy that allows broad access to the secret."
	textBroad     = "This resource policy grants broad access to your secret."
	textLockOut   = "Your requested changes will not allow you to manage this secret in the future."
)

// The checks of ValidateResourcePolicy. AWS documents that there are these two besides syntax, and no names for them.
const (
	checkPublic  = "BlockPublicPolicyCheck"
	checkLockOut = "LockOutCheck"
)

const putPolicy = SigningName + ":PutResourcePolicy"

func (a *api) resolvePutPolicy(ctx context.Context, call *gateway.Call, in *sdk.PutResourcePolicyInput) (gateway.Resource[target], error) {
	return a.find(ctx, call, named{given: in.SecretId, keys: conditionKeys{blockPublic: in.BlockPublicPolicy}})
}

func (a *api) putResourcePolicy(ctx context.Context, call *gateway.Call, in *sdk.PutResourcePolicyInput, t target) (*sdk.PutResourcePolicyOutput, error) {
	document, policy, err := a.checkedPolicy(ctx, deref(in.ResourcePolicy), arn.Account(t.arn))
	if err != nil {
		return nil, err
	}
	if deref(in.BlockPublicPolicy) && len(policy.Broad()) > 0 {
		return nil, &types.PublicPolicyException{Message: ptr.To(textPublic)}
	}
	if err := a.Secrets.PutPolicy(ctx, t.secret, document, call.RequestID); err != nil {
		return nil, err
	}
	return &sdk.PutResourcePolicyOutput{ARN: &t.arn, Name: ptr.To(t.secret.AWSName())}, nil
}

// checkedPolicy reads a resource policy of a request.
func (a *api) checkedPolicy(ctx context.Context, document, account string) (*v1alpha1.PolicyDocument, *iam.Policy, error) {
	kept, policy, err := a.Secrets.CheckPolicy(ctx, document, account)
	switch {
	case errors.Is(err, secretsmanager.ErrPrincipal):
		return nil, nil, malformed(textPrincipal)
	case errors.Is(err, secretsmanager.ErrServicePrincipal):
		return nil, nil, malformed(textService)
	case errors.Is(err, iam.ErrMalformed):
		return nil, nil, malformed(textSyntax + " " + strings.ToUpper(err.Error()[:1]) + err.Error()[1:])
	}
	return kept, policy, err
}

func malformed(message string) error {
	return &types.MalformedPolicyDocumentException{Message: &message}
}

func (a *api) resolveGetPolicy(ctx context.Context, call *gateway.Call, in *sdk.GetResourcePolicyInput) (gateway.Resource[target], error) {
	return a.find(ctx, call, named{given: in.SecretId, allowReplica: true})
}

func (a *api) getResourcePolicy(_ context.Context, _ *gateway.Call, _ *sdk.GetResourcePolicyInput, t target) (*sdk.GetResourcePolicyOutput, error) {
	document := secretsmanager.PolicyDocument(t.secret)
	return &sdk.GetResourcePolicyOutput{ARN: &t.arn, Name: ptr.To(t.secret.AWSName()), ResourcePolicy: given(&document)}, nil
}

func (a *api) resolveDeletePolicy(ctx context.Context, call *gateway.Call, in *sdk.DeleteResourcePolicyInput) (gateway.Resource[target], error) {
	return a.find(ctx, call, named{given: in.SecretId})
}

// deleteResourcePolicy does nothing to a secret that has no policy.
func (a *api) deleteResourcePolicy(ctx context.Context, _ *gateway.Call, _ *sdk.DeleteResourcePolicyInput, t target) (*sdk.DeleteResourcePolicyOutput, error) {
	if err := a.Secrets.PutPolicy(ctx, t.secret, nil, ""); err != nil {
		return nil, err
	}
	return &sdk.DeleteResourcePolicyOutput{ARN: &t.arn, Name: ptr.To(t.secret.AWSName())}, nil
}

// resolveValidate is about a secret if the request names one, and about none otherwise.
func (a *api) resolveValidate(ctx context.Context, call *gateway.Call, in *sdk.ValidateResourcePolicyInput) (gateway.Resource[proposal], error) {
	if in.SecretId == nil {
		return gateway.Resource[proposal]{ARN: "*", Value: proposal{question: gateway.Question{Action: putPolicy, Resource: "*"}, account: call.Account()}}, nil
	}
	found, err := a.find(ctx, call, named{given: in.SecretId, allowReplica: true})
	return gateway.Resource[proposal]{
		ARN: found.ARN, Named: found.Named, Account: found.Account, Policy: found.Policy, Context: found.Context, Unknown: found.Unknown,
		Missing: found.Missing, Value: proposal{account: arn.Account(found.ARN), question: gateway.Question{
			Action: putPolicy, Resource: found.ARN, Named: found.Named, ResourceAccount: found.Account, Policy: found.Policy,
			Context: found.Context, Unknown: found.Unknown,
		}},
	}, err
}

// proposal is what ValidateResourcePolicy is about: whether the caller may put a policy, which it needs as well, in which account.
type proposal struct {
	question gateway.Question
	account  string
}

// validateResourcePolicy says what is wrong with a policy that is one. Its checks are that not everybody is let in, and that the caller
// could still change it.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ValidateResourcePolicy.html
func (a *api) validateResourcePolicy(ctx context.Context, call *gateway.Call, in *sdk.ValidateResourcePolicyInput, p proposal) (
	*sdk.ValidateResourcePolicyOutput, error,
) {
	if err := call.Authorize(p.question); err != nil {
		return nil, err
	}
	_, policy, err := a.checkedPolicy(ctx, deref(in.ResourcePolicy), p.account)
	if err != nil {
		return nil, err
	}
	out := &sdk.ValidateResourcePolicyOutput{ValidationErrors: []types.ValidationErrorsEntry{}}
	found := func(check, text string) {
		out.ValidationErrors = append(out.ValidationErrors, types.ValidationErrorsEntry{CheckName: &check, ErrorMessage: &text})
	}
	for _, b := range policy.Broad() {
		text := b.String()
		found(checkPublic, textBroad+" "+strings.ToUpper(text[:1])+text[1:]+", and no condition limits it to fixed values.")
	}
	then := p.question
	if then.Policy = policy; !call.Decision(then).Allowed() {
		found(checkLockOut, textLockOut)
	}
	out.PolicyValidationPassed = len(out.ValidationErrors) == 0
	return out, nil
}
