package ssm

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/gateway"
	list "strongroom.dev/strongroom/internal/gateway/page"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/internal/service/sealed"
)

// dataType of every parameter.
const dataType = "text"

func (a *api) resolveGet(ctx context.Context, call *gateway.Call, in *sdk.GetParameterInput) (gateway.Resource[target], error) {
	r, err := a.sharedByName(ctx, call, in.Name)
	if _, is := reference(&r.Value.id); is {
		r.Missing = nil // Secrets Manager tells
	}
	return r, err
}

func (a *api) getParameter(ctx context.Context, call *gateway.Call, in *sdk.GetParameterInput, t target) (*sdk.GetParameterOutput, error) {
	out, err := a.selected(ctx, call, t, deref(in.WithDecryption))
	if err != nil {
		return nil, err
	}
	return &sdk.GetParameterOutput{Parameter: out}, nil
}

// selected reads the version of a parameter that its id selects, or the secret that it refers to.
func (a *api) selected(ctx context.Context, call *gateway.Call, t target, decrypt bool) (*types.Parameter, error) {
	if _, is := reference(&t.id); is {
		return a.referenced(ctx, call, &t.id, decrypt)
	}
	v, err := parameterstore.Select(t.parameter, t.id.Selector)
	if err != nil {
		return nil, err
	}
	out, err := a.read(ctx, call, t.parameter, v, decrypt)
	if err == nil && t.id.Selector != "" {
		out.Selector = ptr.To(":" + t.id.Selector)
	}
	return out, err
}

// read reads one version. A SecureString that is not to be decrypted is answered as its ciphertext.
func (a *api) read(ctx context.Context, call *gateway.Call, p *v1alpha1.Parameter, v versions.Version, decrypt bool) (*types.Parameter, error) {
	found, text, err := a.value(ctx, call, p, v, decrypt)
	if err != nil {
		return nil, err
	}
	out := &answered{arn: a.Parameters.ARNOf(p), name: p.AWSName(), dataType: dataType, value: text, modified: v.Created}
	out.Parameter = types.Parameter{
		ARN: &out.arn, Name: &out.name, Type: typeOf(p, found), DataType: &out.dataType, Version: v.Sequence, LastModifiedDate: &out.modified, Value: &out.value,
	}
	return &out.Parameter, nil
}

// answered is a parameter with what its pointers are of, as one object: a page has ten.
type answered struct {
	types.Parameter
	arn, name, dataType, value string
	modified                   time.Time
}

// value is a version and its text. Whether that is a SecureString's, for which the key is asked, is the Envelope's to say and not the object's alone. A key that is not there any more
// is asked about, too, so that nobody is told of it who might not use it; and a ciphertext needs none.
func (a *api) value(ctx context.Context, call *gateway.Call, p *v1alpha1.Parameter, v versions.Version, decrypt bool) (
	found sealed.Version, text string, err error,
) {
	found, err = a.Parameters.Versions().Fetch(ctx, a.Parameters.SubjectOf(p), v)
	if err != nil && !keyGone(found, err) {
		return found, "", unreadable(p, "", err)
	}
	if parameterstore.TypeOf(p, found) == v1alpha1.ParameterSecureString {
		if !decrypt {
			return found, base64.StdEncoding.EncodeToString(found.Envelope.Spec.Ciphertext), nil
		}
		if err := a.mayDecrypt(ctx, call, p, found); err != nil {
			return found, "", err
		}
	}
	if err != nil {
		return found, "", unreadable(p, "", err)
	}
	value, err := a.Parameters.Versions().Open(ctx, found)
	if err != nil {
		return found, "", unreadable(p, "", err)
	}
	defer value.Wipe()
	return found, string(value.Reveal()), nil
}

func typeOf(p *v1alpha1.Parameter, found sealed.Version) types.ParameterType {
	return types.ParameterType(parameterstore.TypeOf(p, found))
}

func (a *api) resolveGetAll(ctx context.Context, call *gateway.Call, in *sdk.GetParametersInput) (gateway.Resource[target], error) {
	return a.findFirst(ctx, call, in.Names, a.shared)
}

func (a *api) getParameters(ctx context.Context, call *gateway.Call, in *sdk.GetParametersInput, first target) (*sdk.GetParametersOutput, error) {
	all, err := a.findMore(ctx, call, in.Names, first, "GetParameters", a.shared)
	if err != nil {
		return nil, err
	}
	out := &sdk.GetParametersOutput{Parameters: []types.Parameter{}, InvalidParameters: []string{}}
	for _, t := range all {
		if err := a.noteDeclared(ctx, call, in.Names, &t); err != nil {
			return nil, err
		}
		if _, is := reference(&t.id); t.parameter == nil && !is {
			out.InvalidParameters = append(out.InvalidParameters, t.id.Given)
			continue
		}
		one, err := a.selected(ctx, call, t, deref(in.WithDecryption))
		var none *types.ParameterVersionNotFound
		var missing *types.ParameterNotFound
		if errors.As(err, &none) || errors.As(err, &missing) {
			out.InvalidParameters = append(out.InvalidParameters, t.id.Given)
			continue
		}
		if err != nil {
			return nil, err
		}
		out.Parameters = append(out.Parameters, *one)
	}
	return out, nil
}

// noteDeclared notes of a name that the caller may read whether a manifest declares its value, be there a version or not: who puts many is told before the first. Another
// account's cannot be put.
func (a *api) noteDeclared(ctx context.Context, call *gateway.Call, names []string, t *target) error {
	p := t.parameter
	if _, is := reference(&t.id); is || t.id.Selector != "" {
		return nil
	}
	if p == nil && t.id.Given == t.id.Name {
		var err error
		if p, err = a.Parameters.Declared(ctx, call.Namespace(), call.Region, t.id.Name); err != nil {
			return err
		}
	}
	if p != nil && p.Namespace == call.Namespace() && parameterstore.DeclaresValue(p) {
		call.Declared = append(call.Declared, slices.Index(names, t.id.Given))
	}
	return nil
}

func (a *api) resolveHistory(ctx context.Context, call *gateway.Call, in *sdk.GetParameterHistoryInput) (gateway.Resource[target], error) {
	r, err := a.sharedByName(ctx, call, in.Name)
	if err == nil && r.Value.id.Selector != "" {
		r.Missing = parameterstore.NotFound("")
	}
	return r, err
}

// getParameterHistory tells description, pattern, tier and policies of the latest version alone: of earlier ones they are not kept.
func (a *api) getParameterHistory(ctx context.Context, call *gateway.Call, in *sdk.GetParameterHistoryInput, t target) (
	*sdk.GetParameterHistoryOutput, error,
) {
	of := list.Of(call, in)
	after, err := afterToken(in.NextToken, of)
	if err != nil {
		return nil, err
	}
	p := t.parameter
	shown, next := page(parameterstore.IndexOf(p), func(v *versions.Version) string { return padded(v.Sequence) },
		after, of, int(ptr.Deref(in.MaxResults, pageSize)))
	out := &sdk.GetParameterHistoryOutput{Parameters: make([]types.ParameterHistory, 0, len(shown)), NextToken: next}
	for i := range shown {
		v := &shown[i]
		found, text, err := a.value(ctx, call, p, *v, deref(in.WithDecryption))
		if err != nil {
			return nil, err
		}
		h := types.ParameterHistory{
			Name: ptr.To(p.AWSName()), Type: typeOf(p, found), Value: &text, Version: v.Sequence,
			Labels: append([]string{}, v.Stages...), LastModifiedDate: &v.Created, DataType: ptr.To(dataType), KeyId: keyID(found.Key),
			Policies: []types.ParameterInlinePolicy{},
		}
		if v.Sequence == p.Status.Version {
			h.Tier, h.Description, h.AllowedPattern = types.ParameterTier(p.Status.Tier), text1(p.Spec.Description), text1(p.Spec.AllowedPattern)
			h.Policies = inlinePolicies(p)
		}
		out.Parameters = append(out.Parameters, h)
	}
	return out, nil
}

// keyID names a key as AWS does.
func keyID(key *v1alpha1.KMSKey) *string {
	switch {
	case key == nil:
		return nil
	case parameterstore.OwnKey.Is(key):
		return ptr.To(parameterstore.DefaultKeyAlias)
	}
	return &key.Status.ARN
}

// text1 is nil for an empty text.
func text1(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
