package secretsmanager

import (
	"context"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// lambdaInvoke is the permission on a rotation function that whoever configures it needs.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
const lambdaInvoke = "lambda:InvokeFunction"

// maximumDays is the longest rate of a schedule.
const maximumDays = 999

func (a *api) resolveRotate(ctx context.Context, call *gateway.Call, in *sdk.RotateSecretInput) (gateway.Resource[target], error) {
	return a.find(ctx, call, named{given: in.SecretId, keys: conditionKeys{
		functionARN: given(in.RotationLambdaARN), modifyRules: ptr.To(in.RotationRules != nil), immediately: ptr.To(ptr.Deref(in.RotateImmediately, true)),
	}})
}

// given is a text that is not empty, or nil.
func given(text *string) *string {
	if deref(text) == "" {
		return nil
	}
	return text
}

func (a *api) rotateSecret(ctx context.Context, call *gateway.Call, in *sdk.RotateSecretInput, t target) (*sdk.RotateSecretOutput, error) {
	if err := checkToken(in.ClientRequestToken); err != nil {
		return nil, err
	}
	if len(in.ExternalSecretRotationMetadata) > 0 || deref(in.ExternalSecretRotationRoleArn) != "" {
		return nil, invalidParameter("Managed external secrets (ExternalSecretRotationMetadata, ExternalSecretRotationRoleArn) are not supported.")
	}
	input := secretsmanager.RotateInput{Secret: t.secret, Token: *in.ClientRequestToken, Later: !ptr.Deref(in.RotateImmediately, true)}
	var err error
	if input.Function, err = functionName(call, deref(in.RotationLambdaARN), t.arn); err != nil {
		return nil, err
	}
	if input.Rules, err = rules(in.RotationRules); err != nil {
		return nil, err
	}
	if err := a.Secrets.Rotate(ctx, input); err != nil {
		return nil, err
	}
	out := &sdk.RotateSecretOutput{ARN: &t.arn, Name: ptr.To(t.secret.AWSName())}
	if !input.Later {
		out.VersionId = in.ClientRequestToken
	}
	return out, nil
}

// functionName is the Service that an ARN of a function names, empty if the request names none. The caller needs permission to invoke it.
func functionName(call *gateway.Call, functionARN, secretARN string) (string, error) {
	if functionARN == "" {
		return "", nil
	}
	region, account := arn.Region(secretARN), arn.Account(secretARN)
	name, own := arn.FunctionName(functionARN, region, account)
	if !own || len(validation.IsDNS1035Label(name)) > 0 {
		return "", invalidParameter("Invalid RotationLambdaARN: a rotation function is a Service of the secret's namespace, and its ARN " +
			strings.Replace(arn.Function(region, account, ""), "function:", "function:NAME", 1) + ", without a version or an alias.")
	}
	return name, call.Authorize(gateway.Question{Action: lambdaInvoke, Resource: functionARN, ResourceAccount: account})
}

// rules are the rotation rules of a request, nil if it has none.
func rules(in *types.RotationRulesType) (*secretsmanager.Rules, error) {
	if in == nil {
		return nil, nil //nolint:nilnil // nothing is asked for
	}
	days := in.AutomaticallyAfterDays
	switch {
	case days != nil && in.ScheduleExpression != nil:
		return nil, invalidParameter("You can't specify both AutomaticallyAfterDays and ScheduleExpression in RotationRules.")
	case days != nil && *days > maximumDays:
		return nil, invalidParameter("AutomaticallyAfterDays can be at most 999.")
	}
	out := &secretsmanager.Rules{Schedule: deref(in.ScheduleExpression), Duration: deref(in.Duration)}
	if days != nil {
		out.Schedule = secretsmanager.Days(*days)
	}
	return out, nil
}

func (a *api) resolveCancelRotate(ctx context.Context, call *gateway.Call, in *sdk.CancelRotateSecretInput) (gateway.Resource[target], error) {
	return a.find(ctx, call, named{given: in.SecretId})
}

func (a *api) cancelRotateSecret(ctx context.Context, _ *gateway.Call, _ *sdk.CancelRotateSecretInput, t target) (*sdk.CancelRotateSecretOutput, error) {
	id, err := a.Secrets.CancelRotation(ctx, t.secret)
	if err != nil {
		return nil, err
	}
	return &sdk.CancelRotateSecretOutput{ARN: &t.arn, Name: ptr.To(t.secret.AWSName()), VersionId: given(&id)}, nil
}
