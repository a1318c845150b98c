package ssm

import (
	"context"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// writing is what PutParameter is about: a name, be it taken or not, and the key that the request names. Its parameter may have no
// version yet: a manifest has declared it.
type writing struct {
	target
	key *kms.NamedKey
}

func (a *api) resolvePut(ctx context.Context, call *gateway.Call, in *sdk.PutParameterInput) (gateway.Resource[writing], error) {
	var out gateway.Resource[writing]
	// "The service removes any spaces specified for the beginning or end of the parameter name": of this operation's, and of no other's.
	// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html#systemsmanager-PutParameter-request-Name
	name := strings.Trim(deref(in.Name), " ")
	if err := parameterstore.CheckName(call.Region, call.Account(), name); err != nil {
		return out, err
	}
	// The object that a value is put into need have no version yet, and may have expired, so that for other operations there is none: its tags, policies and key are
	// asked for as those of any other, and a denial does not tell of it either.
	id := parameterstore.ID{Given: name, Name: name}
	p, err := a.Parameters.Declared(ctx, call.Namespace(), call.Region, id.Name)
	if err != nil {
		return out, err
	}
	overwrite, policies := deref(in.Overwrite), deref(in.Policies) != ""
	keys := conditionKeys{overwrite: &overwrite, policies: &policies, requestTags: in.Tags}
	if len(in.Tags) > 0 {
		keys.tags = tagsOf(in.Tags) // AWS asks for the tags that the parameter will have
	}
	found := a.resource(call, &id, p, keys)
	if p != nil && len(p.Spec.Policies) > 0 && !policies { // AWS counts a change of what has policies
		found.Context.(*conditionKeys).policies = ptr.To(true)
	}
	out = gateway.Resource[writing]{
		ARN: found.ARN, Named: found.Named, Account: found.Account, Policy: found.Policy, Unknown: found.Unknown, Context: found.Context, Value: writing{target: found.Value},
	}
	if in.KeyId != nil {
		key, err := a.Parameters.KMS.KeyByID(ctx, call.Namespace(), call.Region, call.Account(), *in.KeyId, parameterstore.OwnKey)
		if err != nil {
			return out, err
		}
		out.Value.key = &key
	}
	return out, nil
}

func (a *api) putParameter(ctx context.Context, call *gateway.Call, in *sdk.PutParameterInput, w writing) (*sdk.PutParameterOutput, error) {
	if err := a.checkPut(call, in, w); err != nil {
		return nil, err
	}
	policies, err := requestPolicies(in)
	if err != nil {
		return nil, err
	}
	input := parameterstore.PutInput{
		Namespace: call.Namespace(), Account: call.Account(), Region: call.Region, Name: w.id.Name, Overwrite: deref(in.Overwrite),
		Type: v1alpha1.ParameterType(in.Type), Value: secretbytes.Copy([]byte(deref(in.Value))),
		Description: in.Description, AllowedPattern: in.AllowedPattern, Policies: policies, Tags: tagsOf(in.Tags),
	}
	defer input.Value.Wipe()
	if input.Tier, err = a.tier(ctx, call, in, w.parameter); err != nil {
		return nil, err
	}
	if err := a.mayEncrypt(ctx, call, &input, w); err != nil {
		return nil, err
	}
	p, v, err := a.Parameters.Put(ctx, input)
	if err != nil {
		return nil, unreadable(w.parameter, input.Name, err)
	}
	return &sdk.PutParameterOutput{Version: v.Sequence, Tier: types.ParameterTier(p.Status.Tier)}, nil
}

// tier is the one that a parameter is put in: the request's, or else the account's default, unless the parameter has one. nil leaves it as it is.
func (a *api) tier(ctx context.Context, call *gateway.Call, in *sdk.PutParameterInput, p *v1alpha1.Parameter) (*v1alpha1.ParameterTier, error) {
	if in.Tier != "" {
		return ptr.To(v1alpha1.ParameterTier(in.Tier)), nil
	}
	if p != nil && p.Spec.Tier != "" {
		return nil, nil
	}
	tier, err := a.Parameters.DefaultTier(ctx, call.Namespace(), call.Region)
	if err != nil || tier == v1alpha1.TierStandard {
		return nil, err // Standard is what a parameter without a tier is
	}
	return &tier, nil
}

// checkPut says what is wrong with a request whatever there is.
func (a *api) checkPut(call *gateway.Call, in *sdk.PutParameterInput, w writing) error {
	if err := parameterstore.CheckPattern(deref(in.AllowedPattern)); err != nil {
		return err
	}
	switch {
	case deref(in.DataType) != "" && *in.DataType != "text":
		return parameterstore.Invalid("The data type " + *in.DataType + " is not supported: use text.")
	case len(in.Tags) > 0 && deref(in.Overwrite):
		return parameterstore.Invalid("Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please " +
			"remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.")
	}
	if err := checkTags(in.Tags); err != nil || len(in.Tags) == 0 {
		return err
	}
	q := gateway.Question{
		Action: SigningName + ":AddTagsToResource", Resource: w.arn, Named: w.id.Given,
		Context: &conditionKeys{requestTags: in.Tags, tags: tagsOf(in.Tags)},
	}
	if unknown := q; w.parameter != nil {
		q.Policy, q.Unknown = a.Parameters.Policy(w.parameter), func() gateway.Question { return unknown }
	}
	return call.Authorize(q)
}

// encryption is what is asked of the key: advanced parameters have data keys.
// https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html
func encryption(input *parameterstore.PutInput, before *v1alpha1.Parameter) string {
	if input.Value.Len() > parameterstore.MaximumStandard || input.Policies != nil && len(*input.Policies) > 0 || input.Tier != nil && *input.Tier == v1alpha1.TierAdvanced ||
		before != nil && before.Status.Tier == v1alpha1.TierAdvanced {
		return kmsGenerateDataKey
	}
	return kmsEncrypt
}

// mayEncrypt asks for the key of a SecureString: the one that the request names, or the parameter's.
func (a *api) mayEncrypt(ctx context.Context, call *gateway.Call, input *parameterstore.PutInput, w writing) error {
	of := input.Type
	if of == "" && w.parameter != nil {
		of = w.parameter.Spec.Type
	}
	if of != v1alpha1.ParameterSecureString {
		if w.key != nil {
			return parameterstore.Invalid("KeyId is only valid for parameters of type SecureString.")
		}
		return nil
	}
	action := encryption(input, w.parameter)
	switch {
	case w.key != nil && w.key.Default:
		input.KeyName = ptr.To("")
		return nil
	case w.key != nil:
		if err := a.useKey(ctx, call, w.key.Key, w.key.ARN, action, w.arn); err != nil {
			return err
		}
		if w.key.Key == nil { // only who may is told that there is none
			return &types.InvalidKeyId{Message: ptr.To("Invalid keyId " + w.key.ARN)}
		}
		input.KeyName = &w.key.Key.Name
		return nil
	case w.parameter == nil || w.parameter.Spec.KMSKeyRef == nil:
		return nil
	}
	key, err := a.Parameters.KMS.ByName(ctx, w.parameter.Namespace, w.parameter.Spec.KMSKeyRef.Name)
	if err != nil {
		return keyError(input.Name, err)
	}
	return a.useKey(ctx, call, key, key.Status.ARN, action, w.arn)
}
