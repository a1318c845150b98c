package iam

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/iam"
)

// policyVersions are the operations on the versions of managed policies.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-versioning.html
func (a *api) policyVersions() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("CreatePolicyVersion", func(ctx context.Context, c *gateway.Call, in *sdk.CreatePolicyVersionInput) (policyResource, error) {
			return a.policy(ctx, c, in.PolicyArn)
		}, a.createVersion),
		gateway.Op("DeletePolicyVersion", func(ctx context.Context, c *gateway.Call, in *sdk.DeletePolicyVersionInput) (policyResource, error) {
			return a.policy(ctx, c, in.PolicyArn)
		}, a.deleteVersion),
		gateway.Op("GetPolicyVersion", func(ctx context.Context, c *gateway.Call, in *sdk.GetPolicyVersionInput) (gateway.Resource[readable], error) {
			return a.readable(ctx, c, in.PolicyArn)
		}, a.getVersion, gateway.ReadOnly),
		gateway.Op("ListPolicyVersions", func(ctx context.Context, c *gateway.Call, in *sdk.ListPolicyVersionsInput) (gateway.Resource[readable], error) {
			return a.readable(ctx, c, in.PolicyArn)
		}, a.listVersions, gateway.ReadOnly),
		gateway.Op("SetDefaultPolicyVersion", func(ctx context.Context, c *gateway.Call, in *sdk.SetDefaultPolicyVersionInput) (policyResource, error) {
			return a.policy(ctx, c, in.PolicyArn)
		}, a.setDefaultVersion),
	}
}

// versionTo is a version as it is answered, without its document.
func versionTo(v *v1alpha1.PolicyVersion, isDefault bool) types.PolicyVersion {
	out := types.PolicyVersion{VersionId: ptr.To(v.VersionID), IsDefaultVersion: isDefault}
	if !v.CreatedTime.IsZero() {
		out.CreateDate = ptr.To(v.CreatedTime.UTC())
	}
	return out
}

// versionAnswer is answer of an operation on a version.
func versionAnswer(err error, call *gateway.Call, p *v1alpha1.IAMPolicy, version *string) error {
	policyARN := iam.ARNOf(call.Account(), p)
	switch {
	case errors.Is(err, iam.ErrNoVersion):
		return noSuchVersion(policyARN, version)
	case errors.Is(err, iam.ErrGone):
		return noSuchPolicy(policyARN)
	}
	return answer(err, wordPolicy, p.AWSName())
}

func (a *api) createVersion(ctx context.Context, call *gateway.Call, in *sdk.CreatePolicyVersionInput, p *v1alpha1.IAMPolicy) (*sdk.CreatePolicyVersionOutput, error) {
	d, err := managedDocument(in.PolicyDocument)
	if err != nil {
		return nil, err
	}
	made, err := a.IAM.CreatePolicyVersion(ctx, p, d, in.SetAsDefault)
	if err != nil {
		return nil, versionAnswer(err, call, p, nil)
	}
	return &sdk.CreatePolicyVersionOutput{PolicyVersion: ptr.To(versionTo(made, in.SetAsDefault))}, nil
}

func (a *api) deleteVersion(ctx context.Context, call *gateway.Call, in *sdk.DeletePolicyVersionInput, p *v1alpha1.IAMPolicy) (*sdk.DeletePolicyVersionOutput, error) {
	err := a.IAM.DeletePolicyVersion(ctx, p, deref(in.VersionId))
	return &sdk.DeletePolicyVersionOutput{}, versionAnswer(err, call, p, in.VersionId)
}

func (a *api) setDefaultVersion(ctx context.Context, call *gateway.Call, in *sdk.SetDefaultPolicyVersionInput, p *v1alpha1.IAMPolicy) (*sdk.SetDefaultPolicyVersionOutput, error) {
	err := a.IAM.SetDefaultPolicyVersion(ctx, p, deref(in.VersionId))
	return &sdk.SetDefaultPolicyVersionOutput{}, versionAnswer(err, call, p, in.VersionId)
}

func (a *api) getVersion(_ context.Context, _ *gateway.Call, in *sdk.GetPolicyVersionInput, r readable) (*sdk.GetPolicyVersionOutput, error) {
	version := r.versions.Find(deref(in.VersionId))
	if version == nil {
		return nil, noSuchVersion(r.arn, in.VersionId)
	}
	out := versionTo(version, version.VersionID == r.versions.Default)
	out.Document = encoded(&version.Document)
	return &sdk.GetPolicyVersionOutput{PolicyVersion: &out}, nil
}

func (a *api) listVersions(_ context.Context, call *gateway.Call, in *sdk.ListPolicyVersionsInput, r readable) (*sdk.ListPolicyVersionsOutput, error) {
	out := make([]types.PolicyVersion, 0, len(r.versions.Kept))
	for i := range r.versions.Kept {
		v := &r.versions.Kept[i]
		out = append(out, versionTo(v, v.VersionID == r.versions.Default))
	}
	p, err := paged(out, newestFirst, ask(call, in, in.Marker, in.MaxItems))
	return &sdk.ListPolicyVersionsOutput{Versions: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

// newestFirst is a text that sorts versions as AWS lists them.
func newestFirst(v types.PolicyVersion) string {
	n, err := strconv.ParseInt((*v.VersionId)[1:], 10, 64)
	if err != nil {
		return *v.VersionId // Strongroom writes none
	}
	return fmt.Sprintf("%019d", math.MaxInt64-n)
}
