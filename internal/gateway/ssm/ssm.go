// Package ssm is the Parameter Store part of AWS Systems Manager's API over the service parameterstore. It finds what a request is
// about, says what policies are asked, and translates; what is done is the service's.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/Welcome.html
package ssm

import (
	"cmp"
	"context"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/audit"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// SigningName is the service's name in signatures and in the actions of policies.
const SigningName = "ssm"

// Dependencies are what the operations stand on.
type Dependencies struct {
	// Parameters carries out what is permitted.
	Parameters *parameterstore.Service
	// SecretValue is Secrets Manager's GetSecretValue, which references to secrets are read by.
	SecretValue gateway.Operation
}

// api is the operations' receiver.
type api struct{ Dependencies }

// New makes the service. Of Systems Manager it has the Parameter Store alone.
func New(d Dependencies) gateway.Service {
	a := &api{d}
	return gateway.Service{Name: SigningName, Operations: []gateway.Operation{
		gateway.Op("AddTagsToResource", a.resolveAddTags, a.addTagsToResource),
		gateway.Op("DeleteParameter", a.resolveDelete, a.deleteParameter),
		gateway.Op("DeleteParameters", a.resolveDeleteAll, a.deleteParameters),
		gateway.Op("DeleteResourcePolicy", a.resolveDeletePolicy, a.deleteResourcePolicy),
		gateway.Op("DescribeParameters", a.resolveDescribe, a.describeParameters, gateway.ReadOnly),
		gateway.Op("GetParameter", a.resolveGet, a.getParameter, gateway.ReadOnly),
		gateway.Op("GetParameterHistory", a.resolveHistory, a.getParameterHistory, gateway.ReadOnly),
		gateway.Op("GetParameters", a.resolveGetAll, a.getParameters, gateway.ReadOnly),
		gateway.Op("GetParametersByPath", a.resolvePath, a.getParametersByPath, gateway.ReadOnly),
		gateway.Op("GetResourcePolicies", a.resolveGetPolicies, a.getResourcePolicies, gateway.ReadOnly),
		gateway.Op("GetServiceSetting", a.resolveGetSetting, a.getServiceSetting, gateway.ReadOnly),
		gateway.Op("LabelParameterVersion", a.resolveLabel, a.labelParameterVersion),
		gateway.Op("ListTagsForResource", a.resolveListTags, a.listTagsForResource, gateway.ReadOnly),
		gateway.Op("PutParameter", a.resolvePut, a.putParameter),
		gateway.Op("PutResourcePolicy", a.resolvePutPolicy, a.putResourcePolicy),
		gateway.Op("RemoveTagsFromResource", a.resolveRemoveTags, a.removeTagsFromResource),
		gateway.Op("ResetServiceSetting", a.resolveResetSetting, a.resetServiceSetting),
		gateway.Op("UnlabelParameterVersion", a.resolveUnlabel, a.unlabelParameterVersion),
		gateway.Op("UpdateServiceSetting", a.resolveUpdateSetting, a.updateServiceSetting),
	}}
}

// target is what a request is about: a parameter, nil if there is none of the name.
type target struct {
	id        parameterstore.ID
	parameter *v1alpha1.Parameter
	arn       string
}

// find makes the resource of a request. What is there and what is not differ in Missing alone, and in what policies see of a
// parameter: its tags.
func (a *api) find(ctx context.Context, call *gateway.Call, name *string, keys conditionKeys) (gateway.Resource[target], error) {
	id, err := parameterstore.ParseID(deref(name))
	if err != nil {
		return gateway.Resource[target]{}, err
	}
	return a.named(ctx, call, &id, keys)
}

// named is find for a name that was read. Another account's parameter is none.
func (a *api) named(ctx context.Context, call *gateway.Call, id *parameterstore.ID, keys conditionKeys) (gateway.Resource[target], error) {
	p, err := a.Parameters.Find(ctx, call.Namespace(), call.Region, call.Account(), id)
	return a.resource(call, id, p, keys), err
}

// shared is named for the operations that read another account's parameter, by its ARN, if that account and the caller's policies allow it.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-shared-parameters.html
func (a *api) shared(ctx context.Context, call *gateway.Call, id *parameterstore.ID, keys conditionKeys) (gateway.Resource[target], error) {
	p, err := a.Parameters.FindShared(ctx, call.Namespace(), call.Region, call.Account(), id)
	return a.resource(call, id, p, keys), err
}

// resource is what policies are asked about. A denial is told in the words of what is not there, if that would be denied too.
func (a *api) resource(call *gateway.Call, id *parameterstore.ID, p *v1alpha1.Parameter, keys conditionKeys) gateway.Resource[target] {
	out := gateway.Resource[target]{
		Named: id.Given, Account: id.Account, ARN: id.ARN(call.Region, call.Account()), Context: &keys, Missing: parameterstore.NotFound(""),
	}
	out.Value = target{id: *id, arn: out.ARN, parameter: p}
	if p == nil {
		return out
	}
	absent := keys
	out.Missing, out.Policy = nil, a.Parameters.Policy(p)
	out.Unknown = func() gateway.Question {
		return gateway.Question{Resource: out.ARN, Named: out.Named, ResourceAccount: out.Account, Context: &absent}
	}
	keys.tags = p.Spec.Tags
	return out
}

// sharedByName is shared for a request's name.
func (a *api) sharedByName(ctx context.Context, call *gateway.Call, name *string) (gateway.Resource[target], error) {
	id, err := parameterstore.ParseID(deref(name))
	if err != nil {
		return gateway.Resource[target]{}, err
	}
	return a.shared(ctx, call, &id, conditionKeys{})
}

// finding is named or shared.
type finding func(ctx context.Context, call *gateway.Call, id *parameterstore.ID, keys conditionKeys) (gateway.Resource[target], error)

// whole is find for what is done to a parameter and not to one of its versions: a name with a selector is no parameter's.
func (a *api) whole(ctx context.Context, call *gateway.Call, name *string) (gateway.Resource[target], error) {
	r, err := a.find(ctx, call, name, conditionKeys{})
	if err == nil && r.Value.id.Selector != "" {
		r.Missing = parameterstore.NotFound("")
	}
	return r, err
}

// findMore is find for all names of a request that has several, of which first is found, with the permission that is asked for each.
func (a *api) findMore(ctx context.Context, call *gateway.Call, names []string, first target, action string, find finding) ([]target, error) {
	out := make([]target, 0, len(names))
	for i := range names {
		if names[i] == first.id.Given {
			out = append(out, first)
			continue
		}
		id, err := parameterstore.ParseID(names[i])
		if err != nil { // AWS tells a bad name with those that are not there
			out = append(out, target{id: parameterstore.ID{Given: names[i]}})
			continue
		}
		r, err := find(ctx, call, &id, conditionKeys{})
		if err != nil {
			return nil, err
		}
		call.Resources = append(call.Resources, audit.Resource{ARN: r.ARN, Account: cmp.Or(r.Account, call.Account())})
		err = call.Authorize(gateway.Question{
			Action: SigningName + ":" + action, Resource: r.ARN, Named: r.Named, ResourceAccount: r.Account, Policy: r.Policy, Context: r.Context, Unknown: r.Unknown,
		})
		if err != nil {
			return nil, err
		}
		out = append(out, r.Value)
	}
	return out, nil
}

// findFirst is the resource of a request with several names: the first that is one.
func (a *api) findFirst(ctx context.Context, call *gateway.Call, names []string, find finding) (gateway.Resource[target], error) {
	bad := parameterstore.Invalid("Names must have at least one name.")
	for i := range names {
		id, err := parameterstore.ParseID(names[i])
		if err != nil {
			bad = err
			continue
		}
		r, err := find(ctx, call, &id, conditionKeys{})
		r.Missing = nil
		return r, err
	}
	return gateway.Resource[target]{}, bad
}

func (a *api) resolveDelete(ctx context.Context, call *gateway.Call, in *sdk.DeleteParameterInput) (gateway.Resource[target], error) {
	return a.whole(ctx, call, in.Name)
}

func (a *api) deleteParameter(ctx context.Context, _ *gateway.Call, _ *sdk.DeleteParameterInput, t target) (*sdk.DeleteParameterOutput, error) {
	return &sdk.DeleteParameterOutput{}, a.Parameters.Delete(ctx, t.parameter)
}

func (a *api) resolveDeleteAll(ctx context.Context, call *gateway.Call, in *sdk.DeleteParametersInput) (gateway.Resource[target], error) {
	return a.findFirst(ctx, call, in.Names, a.named)
}

// deleteParameters asks for all permissions before it deletes anything.
func (a *api) deleteParameters(ctx context.Context, call *gateway.Call, in *sdk.DeleteParametersInput, first target) (
	*sdk.DeleteParametersOutput, error,
) {
	all, err := a.findMore(ctx, call, in.Names, first, "DeleteParameters", a.named)
	if err != nil {
		return nil, err
	}
	out := &sdk.DeleteParametersOutput{DeletedParameters: []string{}, InvalidParameters: []string{}}
	for _, t := range all {
		if t.parameter == nil || t.id.Selector != "" {
			out.InvalidParameters = append(out.InvalidParameters, t.id.Given)
			continue
		}
		if err := a.Parameters.Delete(ctx, t.parameter); err != nil && !parameterstore.IsNotFound(err) {
			return nil, err
		}
		out.DeletedParameters = append(out.DeletedParameters, t.id.Given)
	}
	return out, nil
}

func (a *api) resolveLabel(ctx context.Context, call *gateway.Call, in *sdk.LabelParameterVersionInput) (gateway.Resource[target], error) {
	return a.whole(ctx, call, in.Name)
}

func (a *api) labelParameterVersion(ctx context.Context, _ *gateway.Call, in *sdk.LabelParameterVersionInput, t target) (
	*sdk.LabelParameterVersionOutput, error,
) {
	number, invalid, err := a.Parameters.Label(ctx, t.parameter, deref(in.ParameterVersion), in.Labels)
	if err != nil {
		return nil, unreadable(t.parameter, "", err)
	}
	return &sdk.LabelParameterVersionOutput{InvalidLabels: append([]string{}, invalid...), ParameterVersion: number}, nil
}

func (a *api) resolveUnlabel(ctx context.Context, call *gateway.Call, in *sdk.UnlabelParameterVersionInput) (gateway.Resource[target], error) {
	return a.whole(ctx, call, in.Name)
}

func (a *api) unlabelParameterVersion(ctx context.Context, _ *gateway.Call, in *sdk.UnlabelParameterVersionInput, t target) (
	*sdk.UnlabelParameterVersionOutput, error,
) {
	removed, invalid, err := a.Parameters.Unlabel(ctx, t.parameter, deref(in.ParameterVersion), in.Labels)
	if err != nil {
		return nil, unreadable(t.parameter, "", err)
	}
	return &sdk.UnlabelParameterVersionOutput{RemovedLabels: append([]string{}, removed...), InvalidLabels: append([]string{}, invalid...)}, nil
}

// tagged is the resource of an operation on tags. AWS has errors of its own for what is there not.
func (a *api) tagged(ctx context.Context, call *gateway.Call, of types.ResourceTypeForTagging, id *string, keys conditionKeys) (
	gateway.Resource[target], error,
) {
	if of != types.ResourceTypeForTaggingParameter {
		return gateway.Resource[target]{}, &types.InvalidResourceType{}
	}
	named, err := parameterstore.ParseID(deref(id))
	if err != nil || named.Selector != "" {
		return gateway.Resource[target]{}, &types.InvalidResourceId{}
	}
	r, err := a.named(ctx, call, &named, keys)
	if err != nil {
		return r, err
	}
	if r.Missing != nil {
		r.Missing = &types.InvalidResourceId{}
	}
	return r, nil
}

func (a *api) resolveAddTags(ctx context.Context, call *gateway.Call, in *sdk.AddTagsToResourceInput) (gateway.Resource[target], error) {
	return a.tagged(ctx, call, in.ResourceType, in.ResourceId, conditionKeys{requestTags: in.Tags})
}

func (a *api) addTagsToResource(ctx context.Context, _ *gateway.Call, in *sdk.AddTagsToResourceInput, t target) (*sdk.AddTagsToResourceOutput, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	return &sdk.AddTagsToResourceOutput{}, a.Parameters.Tag(ctx, t.parameter, tagsOf(in.Tags))
}

func (a *api) resolveRemoveTags(ctx context.Context, call *gateway.Call, in *sdk.RemoveTagsFromResourceInput) (gateway.Resource[target], error) {
	return a.tagged(ctx, call, in.ResourceType, in.ResourceId, conditionKeys{tagKeys: in.TagKeys})
}

func (a *api) removeTagsFromResource(ctx context.Context, _ *gateway.Call, in *sdk.RemoveTagsFromResourceInput, t target) (
	*sdk.RemoveTagsFromResourceOutput, error,
) {
	return &sdk.RemoveTagsFromResourceOutput{}, a.Parameters.Untag(ctx, t.parameter, in.TagKeys)
}

func (a *api) resolveListTags(ctx context.Context, call *gateway.Call, in *sdk.ListTagsForResourceInput) (gateway.Resource[target], error) {
	return a.tagged(ctx, call, in.ResourceType, in.ResourceId, conditionKeys{})
}

func (a *api) listTagsForResource(_ context.Context, _ *gateway.Call, _ *sdk.ListTagsForResourceInput, t target) (
	*sdk.ListTagsForResourceOutput, error,
) {
	out := &sdk.ListTagsForResourceOutput{TagList: []types.Tag{}}
	for i := range t.parameter.Spec.Tags {
		tag := &t.parameter.Spec.Tags[i]
		out.TagList = append(out.TagList, types.Tag{Key: &tag.Key, Value: &tag.Value})
	}
	return out, nil
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
