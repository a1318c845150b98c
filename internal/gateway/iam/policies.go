package iam

import (
	"context"
	"strconv"
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

// A policy has one version, which is called after its object's generation: v1, and another after each change. What a version was
// before is in the history of whoever keeps the manifests, and not here.

type policyResource = gateway.Resource[*v1alpha1.IAMPolicy]

func (a *api) policies() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("CreatePolicy", a.resolveCreatePolicy, a.createPolicy),
		gateway.Op("CreatePolicyVersion", func(ctx context.Context, c *gateway.Call, in *sdk.CreatePolicyVersionInput) (policyResource, error) {
			return a.policy(ctx, c, in.PolicyArn)
		}, a.createVersion),
		gateway.Op("DeletePolicy", func(ctx context.Context, c *gateway.Call, in *sdk.DeletePolicyInput) (policyResource, error) {
			return a.policy(ctx, c, in.PolicyArn)
		}, a.deletePolicy),
		gateway.Op("GetPolicy", func(ctx context.Context, c *gateway.Call, in *sdk.GetPolicyInput) (gateway.Resource[readable], error) {
			return a.readable(ctx, c, in.PolicyArn)
		}, a.getPolicy, gateway.ReadOnly),
		gateway.Op("GetPolicyVersion", func(ctx context.Context, c *gateway.Call, in *sdk.GetPolicyVersionInput) (gateway.Resource[readable], error) {
			return a.readable(ctx, c, in.PolicyArn)
		}, a.getVersion, gateway.ReadOnly),
		gateway.Op("ListEntitiesForPolicy", func(ctx context.Context, c *gateway.Call, in *sdk.ListEntitiesForPolicyInput) (gateway.Resource[readable], error) {
			return a.readable(ctx, c, in.PolicyArn)
		}, a.listEntities, gateway.ReadOnly),
		gateway.Op("ListPolicies", none[sdk.ListPoliciesInput], a.listPolicies, gateway.ReadOnly),
		gateway.Op("ListPolicyVersions", func(ctx context.Context, c *gateway.Call, in *sdk.ListPolicyVersionsInput) (gateway.Resource[readable], error) {
			return a.readable(ctx, c, in.PolicyArn)
		}, a.listVersions, gateway.ReadOnly),
	}
}

// readable is a managed policy of the account, or one that every account has.
type readable struct {
	arn     string
	own     *v1alpha1.IAMPolicy // nil for one that every account has
	builtin managed.Policy
}

func (a *api) readable(ctx context.Context, call *gateway.Call, policyARN *string) (gateway.Resource[readable], error) {
	if builtin, ok := managed.ByARN(deref(policyARN)); ok {
		return gateway.Resource[readable]{ARN: builtin.ARN, Value: readable{arn: builtin.ARN, builtin: builtin}}, nil
	}
	own, err := a.policy(ctx, call, policyARN)
	return gateway.Resource[readable]{ARN: own.ARN, Missing: own.Missing, Value: readable{arn: own.ARN, own: own.Value}}, err
}

func (r *readable) version() string {
	if r.own == nil {
		return "v1"
	}
	return "v" + strconv.FormatInt(r.own.Generation, 10)
}

func (r *readable) document() *string {
	if r.own == nil {
		d := &v1alpha1.PolicyDocument{}
		d.Raw = r.builtin.Document
		return encoded(d)
	}
	return encoded(&r.own.Spec.Document)
}

// policyTo is a policy as it is answered. The attachments are those of all policies.
func policyTo(r *readable, attachments map[string]int32) *types.Policy {
	out := &types.Policy{
		Arn: ptr.To(r.arn), DefaultVersionId: ptr.To(r.version()), IsAttachable: true, AttachmentCount: ptr.To(attachments[r.arn]),
	}
	if r.own == nil {
		out.PolicyName, out.Path = ptr.To(r.arn[strings.LastIndexByte(r.arn, '/')+1:]), ptr.To("/")
		out.PolicyId = ptr.To(arn.UniqueID(arn.PolicyID, r.arn))
		return out
	}
	out.PolicyName, out.Path, out.PolicyId = ptr.To(r.own.AWSName()), ptr.To(r.own.AWSPath()), ptr.To(iam.UniqueIDOf(r.own))
	out.CreateDate, out.UpdateDate, out.Description = created(r.own), created(r.own), text(r.own.Spec.Description)
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
	return &sdk.CreatePolicyOutput{Policy: policyTo(&readable{arn: iam.ARNOf(call.Account(), made), own: made}, nil)}, nil
}

func (a *api) createVersion(ctx context.Context, _ *gateway.Call, in *sdk.CreatePolicyVersionInput, p *v1alpha1.IAMPolicy) (*sdk.CreatePolicyVersionOutput, error) {
	if !in.SetAsDefault {
		return nil, invalidInput("A policy has one version here: SetAsDefault is to be true.")
	}
	d, err := managedDocument(in.PolicyDocument)
	if err != nil {
		return nil, err
	}
	after := p
	err = iam.Change(ctx, a.IAM, p, func(live *v1alpha1.IAMPolicy) error {
		live.Spec.Document, after = d, live
		return nil
	})
	if err != nil {
		return nil, answer(err, wordPolicy, p.AWSName())
	}
	r := readable{own: after}
	return &sdk.CreatePolicyVersionOutput{PolicyVersion: &types.PolicyVersion{
		VersionId: ptr.To(r.version()), IsDefaultVersion: true, CreateDate: created(after),
	}}, nil
}

func (a *api) deletePolicy(ctx context.Context, call *gateway.Call, _ *sdk.DeletePolicyInput, p *v1alpha1.IAMPolicy) (*sdk.DeletePolicyOutput, error) {
	users, roles, err := a.attachedTo(ctx, call, iam.ARNOf(call.Account(), p))
	if err != nil {
		return nil, err
	}
	if len(users)+len(roles) > 0 {
		return nil, conflict("Cannot delete a policy attached to entities.")
	}
	return &sdk.DeletePolicyOutput{}, iam.Delete(ctx, a.IAM, p)
}

func (a *api) getPolicy(ctx context.Context, call *gateway.Call, _ *sdk.GetPolicyInput, r readable) (*sdk.GetPolicyOutput, error) {
	attachments, err := a.attachments(ctx, call)
	return &sdk.GetPolicyOutput{Policy: policyTo(&r, attachments)}, err
}

func (a *api) getVersion(_ context.Context, _ *gateway.Call, in *sdk.GetPolicyVersionInput, r readable) (*sdk.GetPolicyVersionOutput, error) {
	if deref(in.VersionId) != r.version() {
		message := "Policy " + r.arn + " version " + deref(in.VersionId) + " does not exist or is not attachable."
		return nil, &types.NoSuchEntityException{Message: &message}
	}
	v := &types.PolicyVersion{VersionId: ptr.To(r.version()), IsDefaultVersion: true, Document: r.document()}
	if r.own != nil {
		v.CreateDate = created(r.own)
	}
	return &sdk.GetPolicyVersionOutput{PolicyVersion: v}, nil
}

func (a *api) listVersions(_ context.Context, _ *gateway.Call, _ *sdk.ListPolicyVersionsInput, r readable) (*sdk.ListPolicyVersionsOutput, error) {
	v := types.PolicyVersion{VersionId: ptr.To(r.version()), IsDefaultVersion: true}
	if r.own != nil {
		v.CreateDate = created(r.own)
	}
	return &sdk.ListPolicyVersionsOutput{Versions: []types.PolicyVersion{v}}, nil
}

func (a *api) listPolicies(ctx context.Context, call *gateway.Call, in *sdk.ListPoliciesInput, _ struct{}) (*sdk.ListPoliciesOutput, error) {
	var all []readable
	if in.Scope != types.PolicyScopeTypeLocal {
		for _, policyARN := range managed.ARNs() {
			builtin, _ := managed.ByARN(policyARN)
			all = append(all, readable{arn: policyARN, builtin: builtin})
		}
	}
	if in.Scope != types.PolicyScopeTypeAws {
		own, err := iam.List[*v1alpha1.IAMPolicy](ctx, a.IAM, call.Namespace())
		if err != nil {
			return nil, err
		}
		for _, p := range own {
			all = append(all, readable{arn: iam.ARNOf(call.Account(), p), own: p})
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
	p, err := paged(listed, func(p types.Policy) string { return *p.Arn }, in.Marker, in.MaxItems)
	if p.items == nil {
		p.items = []types.Policy{}
	}
	return &sdk.ListPoliciesOutput{Policies: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}
