package iam

import (
	"context"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	coreiam "strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/iam/managed"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/iam"
)

type policyResource = gateway.Resource[*v1alpha1.IAMPolicy]

func (a *api) policies() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("CreatePolicy", a.resolveCreatePolicy, a.createPolicy),
		gateway.Op("DeletePolicy", func(ctx context.Context, c *gateway.Call, in *sdk.DeletePolicyInput) (policyResource, error) {
			return a.policy(ctx, c, in.PolicyArn)
		}, a.deletePolicy),
		gateway.Op("GetPolicy", func(ctx context.Context, c *gateway.Call, in *sdk.GetPolicyInput) (gateway.Resource[readable], error) {
			return a.readable(ctx, c, in.PolicyArn)
		}, a.getPolicy, gateway.ReadOnly),
		gateway.Op("ListEntitiesForPolicy", func(ctx context.Context, c *gateway.Call, in *sdk.ListEntitiesForPolicyInput) (gateway.Resource[readable], error) {
			return a.readable(ctx, c, in.PolicyArn)
		}, a.listEntities, gateway.ReadOnly),
		gateway.Op("ListPolicies", none[sdk.ListPoliciesInput], a.listPolicies, gateway.ReadOnly),
	}
}

// readable is a managed policy of the account, or one that every account has.
type readable struct {
	arn     string
	own     *v1alpha1.IAMPolicy // nil for one that every account has
	builtin managed.Policy
	// versions of it. That of one that every account has is v1.
	versions iam.PolicyVersions
}

func (a *api) readable(ctx context.Context, call *gateway.Call, policyARN *string) (gateway.Resource[readable], error) {
	if builtin, ok := managed.ByARN(deref(policyARN)); ok {
		return gateway.Resource[readable]{ARN: builtin.ARN, Value: everybodys(builtin)}, nil
	}
	own, err := a.policy(ctx, call, policyARN)
	out := gateway.Resource[readable]{ARN: own.ARN, Missing: own.Missing}
	if own.Value != nil {
		out.Value = ownOf(call, own.Value)
	}
	return out, err
}

func ownOf(call *gateway.Call, p *v1alpha1.IAMPolicy) readable {
	return readable{arn: iam.ARNOf(call.Account(), p), own: p, versions: iam.VersionsOf(p, call.Time)}
}

func everybodys(p managed.Policy) readable {
	version := v1alpha1.PolicyVersion{VersionID: "v1"}
	version.Document.Raw = p.Document
	return readable{arn: p.ARN, builtin: p, versions: iam.PolicyVersions{Default: "v1", Kept: []v1alpha1.PolicyVersion{version}}}
}

// policyTo is a policy as it is answered. The attachments are those of all policies.
func policyTo(r *readable, attachments map[string]int32) *types.Policy {
	out := &types.Policy{
		Arn: ptr.To(r.arn), DefaultVersionId: ptr.To(r.versions.Default), IsAttachable: true, AttachmentCount: ptr.To(attachments[r.arn]),
	}
	if r.own == nil {
		out.PolicyName, out.Path = ptr.To(r.arn[strings.LastIndexByte(r.arn, '/')+1:]), ptr.To("/")
		out.PolicyId = ptr.To(arn.UniqueID(arn.PolicyID, r.arn))
		return out
	}
	out.PolicyName, out.Path, out.PolicyId = ptr.To(r.own.AWSName()), ptr.To(r.own.AWSPath()), ptr.To(iam.UniqueIDOf(r.own))
	newest := r.versions.Kept[len(r.versions.Kept)-1]
	out.CreateDate, out.UpdateDate, out.Description = created(r.own), ptr.To(newest.CreatedTime.UTC()), text(r.own.Spec.Description)
	return out
}

func (a *api) resolveCreatePolicy(_ context.Context, call *gateway.Call, in *sdk.CreatePolicyInput) (gateway.Resource[struct{}], error) {
	policy := &v1alpha1.IAMPolicy{Spec: v1alpha1.IAMPolicySpec{Name: deref(in.PolicyName), Path: deref(in.Path)}}
	return gateway.Resource[struct{}]{ARN: iam.ARNOf(call.Account(), policy), Context: requestTags(in.Tags)}, nil
}

func managedDocument(text *string) (v1alpha1.PolicyDocument, error) {
	d, err := document(text, coreiam.Identity)
	if err == nil && coreiam.Size(d.Raw) > coreiam.MaximumManagedPolicy {
		err = limit("Cannot exceed quota for PolicySize: " + itoa(coreiam.MaximumManagedPolicy))
	}
	return d, err
}

func (a *api) createPolicy(ctx context.Context, call *gateway.Call, in *sdk.CreatePolicyInput, _ struct{}) (*sdk.CreatePolicyOutput, error) {
	if len(in.Tags) > 0 {
		return nil, invalidInput("Strongroom keeps no tags of managed policies: leave Tags out.")
	}
	d, err := managedDocument(in.PolicyDocument)
	if err != nil {
		return nil, err
	}
	name := deref(in.PolicyName)
	policy := &v1alpha1.IAMPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: call.Namespace()},
		Spec:       v1alpha1.IAMPolicySpec{Name: name, Path: pathOf(in.Path), Description: deref(in.Description), Document: d},
	}
	made, err := iam.Create(ctx, a.IAM, policy, name, func(p *v1alpha1.IAMPolicy) { p.Spec.Name = "" })
	if err != nil {
		return nil, answer(err, wordPolicy, name)
	}
	r := ownOf(call, made)
	return &sdk.CreatePolicyOutput{Policy: policyTo(&r, nil)}, nil
}

func (a *api) deletePolicy(ctx context.Context, call *gateway.Call, _ *sdk.DeletePolicyInput, p *v1alpha1.IAMPolicy) (*sdk.DeletePolicyOutput, error) {
	h, err := a.attachedTo(ctx, call, iam.ARNOf(call.Account(), p))
	if err != nil {
		return nil, err
	}
	if len(h.users)+len(h.roles)+len(h.groups) > 0 {
		return nil, conflict("Cannot delete a policy attached to entities.")
	}
	if versions := iam.VersionsOf(p, call.Time); len(versions.Kept) > 1 {
		return nil, conflict("This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
	}
	return &sdk.DeletePolicyOutput{}, iam.Delete(ctx, a.IAM, p)
}

func (a *api) getPolicy(ctx context.Context, call *gateway.Call, _ *sdk.GetPolicyInput, r readable) (*sdk.GetPolicyOutput, error) {
	attachments, err := a.attachments(ctx, call)
	return &sdk.GetPolicyOutput{Policy: policyTo(&r, attachments)}, err
}

func (a *api) listPolicies(ctx context.Context, call *gateway.Call, in *sdk.ListPoliciesInput, _ struct{}) (*sdk.ListPoliciesOutput, error) {
	var all []readable
	if in.Scope != types.PolicyScopeTypeLocal {
		for _, policyARN := range managed.ARNs() {
			builtin, _ := managed.ByARN(policyARN)
			all = append(all, everybodys(builtin))
		}
	}
	if in.Scope != types.PolicyScopeTypeAws {
		own, err := iam.List[*v1alpha1.IAMPolicy](ctx, a.IAM, call.Namespace())
		if err != nil {
			return nil, err
		}
		for _, p := range own {
			all = append(all, ownOf(call, p))
		}
	}
	attachments, err := a.attachments(ctx, call)
	if err != nil {
		return nil, err
	}
	var listed []types.Policy
	for i := range all {
		policy := policyTo(&all[i], attachments)
		policy.Description = nil // AWS leaves it out of lists
		if strings.HasPrefix(*policy.Path, deref(in.PathPrefix)) && (!in.OnlyAttached || *policy.AttachmentCount > 0) {
			listed = append(listed, *policy)
		}
	}
	p, err := paged(listed, func(p types.Policy) string { return *p.Arn }, ask(call, in, in.Marker, in.MaxItems))
	if p.items == nil {
		p.items = []types.Policy{}
	}
	return &sdk.ListPoliciesOutput{Policies: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}
