package ssm

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/gateway"
	list "strongroom.dev/strongroom/internal/gateway/page"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

const (
	// pageSize is how many entries a list shows that names no number, and pathPageSize GetParametersByPath, which shows no more.
	pageSize     = 50
	pathPageSize = 10
)

// A token holds the place of the last entry that was shown, so that what is made or deleted between two pages moves nothing.

func afterToken(token *string, of string) (string, error) {
	if token == nil {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(*token)
	after, ok := strings.CutPrefix(string(b), of+"\x00")
	if err != nil || !ok {
		return "", invalidToken()
	}
	return after, nil
}

func invalidToken() error {
	return &types.InvalidNextToken{Message: ptr.To("The specified token isn't valid.")}
}

// page sorts a list and cuts the page behind a place out of it.
func page[T any](all []T, at func(*T) string, after, of string, most int) (out []T, next *string) {
	slices.SortFunc(all, func(a, b T) int { return cmp.Compare(at(&a), at(&b)) })
	for len(all) > 0 && after != "" && at(&all[0]) <= after {
		all = all[1:]
	}
	if len(all) <= most {
		return all, nil
	}
	return all[:most], ptr.To(base64.RawURLEncoding.EncodeToString([]byte(of + "\x00" + at(&all[most-1]))))
}

func padded(n int64) string { return fmt.Sprintf("%020d", n) }

// path is what GetParametersByPath is about.
type path string

func (a *api) resolvePath(_ context.Context, call *gateway.Call, in *sdk.GetParametersByPathInput) (gateway.Resource[path], error) {
	given := deref(in.Path)
	trimmed := strings.TrimSuffix(given, "/")
	id, err := parameterstore.ParseID(trimmed)
	if !strings.HasPrefix(given, "/") || trimmed != "" && (err != nil || id.Selector != "") {
		return gateway.Resource[path]{}, parameterstore.Invalid("The parameter doesn't meet the parameter name requirements. The parameter " +
			"name must begin with a forward slash \"/\". It can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). It must use only " +
			"letters, numbers, or the following symbols: . (period), - (hyphen), _ (underscore). Special characters are not allowed.")
	}
	recursive := deref(in.Recursive)
	return gateway.Resource[path]{
		// As AWS asks about it: with the slash at its end if the request has it, so that parameter/x/* is about x/ and what is below.
		ARN: arn.Parameter(call.Region, call.Account(), given), Context: &conditionKeys{recursive: &recursive}, Value: path(trimmed),
	}, nil
}

// denied refuses a path that the caller's policies deny in its other form, with a slash at its end or without: the two are read alike, so a Deny of one that let the other through would
// deny nothing. An Allow is of the form that the request has, as in AWS.
func (p path) denied(call *gateway.Call, in *sdk.GetParametersByPathInput) error {
	given := deref(in.Path)
	other := string(p)
	if given == other {
		other += "/"
	}
	if p == "" { // which has one form
		return nil
	}
	recursive := deref(in.Recursive)
	q := gateway.Question{
		Action: SigningName + ":GetParametersByPath", Resource: arn.Parameter(call.Region, call.Account(), other), Named: arn.Parameter(call.Region, call.Account(), given),
		Context: &conditionKeys{recursive: &recursive},
	}
	if d := call.Decision(q); d.Reason == iam.ExplicitDeny || d.Exhausted {
		return call.Authorize(q)
	}
	return nil
}

// under tells whether a name is below a path: on the next level, or on any.
func (p path) under(name string, recursive bool) bool {
	return parameterstore.Under(string(p), name, recursive)
}

func (a *api) getParametersByPath(ctx context.Context, call *gateway.Call, in *sdk.GetParametersByPathInput, at path) (
	*sdk.GetParametersByPathOutput, error,
) {
	if err := at.denied(call, in); err != nil {
		return nil, err
	}
	filters, err := a.filters(in.ParameterFilters, []string{"Type", "KeyId", "Label"})
	if err != nil {
		return nil, err
	}
	of := sync.OnceValue(func() string { return list.Of(call, in) })
	from, err := positionOf(in.NextToken, of)
	if err != nil {
		return nil, err
	}
	shown, next, err := a.listed(ctx, call, listing{
		of: of, path: string(at), filters: filters, from: from, most: int(ptr.Deref(in.MaxResults, pathPageSize)),
		has: func(p *v1alpha1.Parameter) bool { return at.under(p.AWSName(), deref(in.Recursive)) },
	})
	if err != nil {
		return nil, err
	}
	out := &sdk.GetParametersByPathOutput{Parameters: make([]types.Parameter, 0, len(shown)), NextToken: next}
	for _, p := range shown {
		one, err := a.read(ctx, call, p, labelled(filters, p), deref(in.WithDecryption))
		if err != nil {
			return nil, err
		}
		out.Parameters = append(out.Parameters, *one)
	}
	return out, nil
}

// labelled is the version that a filter by label chooses, or else the latest.
func labelled(filters []filter, p *v1alpha1.Parameter) versions.Version {
	for _, f := range filters {
		if f.key != "Label" {
			continue
		}
		ix := parameterstore.IndexOf(p)
		for _, label := range f.values {
			if v, ok := ix.ByStage(label); ok {
				return v
			}
		}
	}
	latest, _ := parameterstore.LatestOf(p) // a list has none without a version
	return latest
}

func (a *api) resolveDescribe(context.Context, *gateway.Call, *sdk.DescribeParametersInput) (gateway.Resource[struct{}], error) {
	return gateway.Resource[struct{}]{ARN: "*"}, nil
}

func (a *api) describeParameters(ctx context.Context, call *gateway.Call, in *sdk.DescribeParametersInput, _ struct{}) (
	*sdk.DescribeParametersOutput, error,
) {
	if len(in.Filters) > 0 && len(in.ParameterFilters) > 0 {
		return nil, parameterstore.Invalid("You can use either Filters or ParameterFilters in a single request.")
	}
	given := in.ParameterFilters
	for i := range in.Filters {
		given = append(given, types.ParameterStringFilter{Key: ptr.To(string(in.Filters[i].Key)), Values: in.Filters[i].Values})
	}
	filters, err := a.filters(given, []string{"Name", "Type", "KeyId", "Path", "Tier", "DataType", "tag:"})
	if err != nil {
		return nil, err
	}
	of := sync.OnceValue(func() string { return list.Of(call, in) })
	from, err := positionOf(in.NextToken, of)
	if err != nil {
		return nil, err
	}
	var shown []*v1alpha1.Parameter
	var next *string
	if !deref(in.Shared) { // as in AWS, those that a resource policy shares are not listed: what is, is a share of AWS RAM, which there is not
		shown, next, err = a.listed(ctx, call, listing{
			of: of, filters: filters, from: from, most: int(ptr.Deref(in.MaxResults, pageSize)),
			has: func(*v1alpha1.Parameter) bool { return true },
		})
		if err != nil {
			return nil, err
		}
	}
	out := &sdk.DescribeParametersOutput{Parameters: make([]types.ParameterMetadata, 0, len(shown)), NextToken: next}
	for _, p := range shown {
		latest, _ := parameterstore.LatestOf(p) // a list has none without a version
		out.Parameters = append(out.Parameters, types.ParameterMetadata{
			ARN: &p.Status.ARN, Name: ptr.To(p.AWSName()), Type: types.ParameterType(p.Spec.Type), KeyId: a.keyOf(ctx, p),
			LastModifiedDate: &latest.Created, Description: text1(p.Spec.Description), AllowedPattern: text1(p.Spec.AllowedPattern),
			Version: latest.Sequence, Tier: types.ParameterTier(p.Status.Tier), DataType: ptr.To(dataType),
			Policies: inlinePolicies(p),
		})
	}
	return out, nil
}

// keyOf names the key of a parameter's new versions.
func (a *api) keyOf(ctx context.Context, p *v1alpha1.Parameter) *string {
	switch name := parameterstore.KeyName(p); name {
	case "":
		return nil
	case parameterstore.DefaultKeyName:
		return ptr.To(parameterstore.DefaultKeyAlias)
	default:
		key, err := a.Parameters.KMS.ByName(ctx, p.Namespace, name)
		if err != nil || key.Status.ARN == "" {
			return &name // a key that is gone is told by the name that the parameter has for it
		}
		return &key.Status.ARN
	}
}
