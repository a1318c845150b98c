package iam

import (
	"cmp"
	"context"

	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/iam"
)

type groupResource = gateway.Resource[*v1alpha1.IAMGroup]

func (a *api) groups() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("CreateGroup", a.resolveCreateGroup, a.createGroup),
		gateway.Op("DeleteGroup", func(ctx context.Context, c *gateway.Call, in *sdk.DeleteGroupInput) (groupResource, error) {
			return a.group(ctx, c, in.GroupName, contextKeys{})
		}, a.deleteGroup),
		gateway.Op("GetGroup", func(ctx context.Context, c *gateway.Call, in *sdk.GetGroupInput) (groupResource, error) {
			return a.group(ctx, c, in.GroupName, contextKeys{})
		}, a.getGroup, gateway.ReadOnly),
		gateway.Op("ListGroups", none[sdk.ListGroupsInput], a.listGroups, gateway.ReadOnly),
		gateway.Op("UpdateGroup", func(ctx context.Context, c *gateway.Call, in *sdk.UpdateGroupInput) (groupResource, error) {
			return a.group(ctx, c, in.GroupName, contextKeys{})
		}, a.updateGroup),
	}
}

func (a *api) resolveCreateGroup(_ context.Context, call *gateway.Call, in *sdk.CreateGroupInput) (gateway.Resource[struct{}], error) {
	group := &v1alpha1.IAMGroup{Spec: v1alpha1.IAMGroupSpec{Name: deref(in.GroupName), Path: deref(in.Path)}}
	return gateway.Resource[struct{}]{ARN: iam.ARNOf(call.Account(), group)}, nil
}

func (a *api) createGroup(ctx context.Context, call *gateway.Call, in *sdk.CreateGroupInput, _ struct{}) (*sdk.CreateGroupOutput, error) {
	name := deref(in.GroupName)
	group := &v1alpha1.IAMGroup{
		ObjectMeta: metav1.ObjectMeta{Namespace: call.Namespace()}, Spec: v1alpha1.IAMGroupSpec{Name: name, Path: pathOf(in.Path)},
	}
	made, err := iam.Create(ctx, a.IAM, group, name, func(g *v1alpha1.IAMGroup) { g.Spec.Name = "" })
	if err != nil {
		return nil, answer(err, wordGroup, name)
	}
	return &sdk.CreateGroupOutput{Group: groupTo(call.Account(), made)}, nil
}

func (a *api) deleteGroup(ctx context.Context, _ *gateway.Call, _ *sdk.DeleteGroupInput, g *v1alpha1.IAMGroup) (*sdk.DeleteGroupOutput, error) {
	if err := bare(&g.Spec.IdentityPolicies); err != nil {
		return nil, err
	}
	return &sdk.DeleteGroupOutput{}, answer(a.IAM.DeleteGroup(ctx, g), wordGroup, g.AWSName())
}

func (a *api) getGroup(ctx context.Context, call *gateway.Call, in *sdk.GetGroupInput, g *v1alpha1.IAMGroup) (*sdk.GetGroupOutput, error) {
	members, err := a.IAM.Members(ctx, g)
	if err != nil {
		return nil, err
	}
	p, err := paged(members, func(u *v1alpha1.IAMUser) string { return u.AWSName() }, ask(call, in, in.Marker, in.MaxItems))
	if err != nil {
		return nil, err
	}
	out := &sdk.GetGroupOutput{Group: groupTo(call.Account(), g), Users: []types.User{}, IsTruncated: p.truncated, Marker: p.marker}
	for _, u := range p.items {
		user := userTo(call.Account(), u)
		user.Tags, user.PermissionsBoundary = nil, nil // AWS leaves them out of lists
		out.Users = append(out.Users, *user)
	}
	return out, nil
}

func (a *api) listGroups(ctx context.Context, call *gateway.Call, in *sdk.ListGroupsInput, _ struct{}) (*sdk.ListGroupsOutput, error) {
	p, err := listed[*v1alpha1.IAMGroup](ctx, a, call, in.PathPrefix, ask(call, in, in.Marker, in.MaxItems))
	if err != nil {
		return nil, err
	}
	return &sdk.ListGroupsOutput{Groups: groupsTo(call.Account(), p.items), IsTruncated: p.truncated, Marker: p.marker}, nil
}

func groupsTo(account string, groups []*v1alpha1.IAMGroup) []types.Group {
	out := make([]types.Group, 0, len(groups))
	for _, g := range groups {
		out = append(out, *groupTo(account, g))
	}
	return out
}

// updateGroup gives a group another name or path, which takes the right to the group that it becomes too. Its members and its id
// stay.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_groups_manage_rename.html
func (a *api) updateGroup(ctx context.Context, call *gateway.Call, in *sdk.UpdateGroupInput, g *v1alpha1.IAMGroup) (*sdk.UpdateGroupOutput, error) {
	spec := v1alpha1.IAMGroupSpec{Name: cmp.Or(deref(in.NewGroupName), g.AWSName()), Path: cmp.Or(deref(in.NewPath), g.AWSPath())}
	becomes := iam.ARNOf(call.Account(), &v1alpha1.IAMGroup{Spec: spec})
	if err := call.Authorize(gateway.Question{Action: "iam:UpdateGroup", Resource: becomes}); err != nil {
		return nil, err
	}
	taken, ok, err := iam.ByName[*v1alpha1.IAMGroup](ctx, a.IAM, call.Namespace(), spec.Name)
	if err != nil {
		return nil, err
	}
	if ok && taken.UID != g.UID {
		return nil, exists(wordGroup, spec.Name)
	}
	err = iam.Change(ctx, a.IAM, g, func(live *v1alpha1.IAMGroup) error {
		live.Spec.Name, live.Spec.Path = spec.Name, pathOf(&spec.Path)
		if live.Spec.Name == live.Name {
			live.Spec.Name = "" // what metadata.name says
		}
		return nil
	})
	return &sdk.UpdateGroupOutput{}, answer(err, wordGroup, g.AWSName())
}
