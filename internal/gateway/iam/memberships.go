package iam

import (
	"context"
	"errors"

	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/iam"
)

// memberships are the operations on who is in which group. AWS asks for the right to the group, and not to the user.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
func (a *api) memberships() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("AddUserToGroup", func(ctx context.Context, c *gateway.Call, in *sdk.AddUserToGroupInput) (groupResource, error) {
			return a.group(ctx, c, in.GroupName, contextKeys{})
		}, a.addUser),
		gateway.Op("ListGroupsForUser", func(ctx context.Context, c *gateway.Call, in *sdk.ListGroupsForUserInput) (userResource, error) {
			return a.user(ctx, c, ptr.To(deref(in.UserName)), contextKeys{})
		}, a.listGroupsForUser, gateway.ReadOnly),
		gateway.Op("RemoveUserFromGroup", func(ctx context.Context, c *gateway.Call, in *sdk.RemoveUserFromGroupInput) (groupResource, error) {
			return a.group(ctx, c, in.GroupName, contextKeys{})
		}, a.removeUser),
	}
}

// member finds the user that is to join or leave a group.
func (a *api) member(ctx context.Context, call *gateway.Call, name *string) (*v1alpha1.IAMUser, error) {
	user, ok, err := iam.ByName[*v1alpha1.IAMUser](ctx, a.IAM, call.Namespace(), deref(name))
	if err == nil && !ok {
		err = noSuch(wordUser, deref(name))
	}
	return user, err
}

func (a *api) addUser(ctx context.Context, call *gateway.Call, in *sdk.AddUserToGroupInput, g *v1alpha1.IAMGroup) (*sdk.AddUserToGroupOutput, error) {
	user, err := a.member(ctx, call, in.UserName)
	if err != nil {
		return nil, err
	}
	err = a.IAM.AddUserToGroup(ctx, user, g)
	if errors.Is(err, iam.ErrNoGroup) {
		return nil, noSuch(wordGroup, g.AWSName())
	}
	return &sdk.AddUserToGroupOutput{}, answer(err, wordUser, user.AWSName())
}

func (a *api) removeUser(ctx context.Context, call *gateway.Call, in *sdk.RemoveUserFromGroupInput, g *v1alpha1.IAMGroup) (*sdk.RemoveUserFromGroupOutput, error) {
	user, err := a.member(ctx, call, in.UserName)
	if err != nil {
		return nil, err
	}
	return &sdk.RemoveUserFromGroupOutput{}, answer(a.IAM.RemoveUserFromGroup(ctx, user, g), wordUser, user.AWSName())
}

func (a *api) listGroupsForUser(ctx context.Context, call *gateway.Call, in *sdk.ListGroupsForUserInput, u *v1alpha1.IAMUser) (*sdk.ListGroupsForUserOutput, error) {
	groups, err := a.IAM.GroupsOf(ctx, u)
	if err != nil {
		return nil, err
	}
	p, err := paged(groups, func(g *v1alpha1.IAMGroup) string { return g.AWSName() }, ask(call, in, in.Marker, in.MaxItems))
	return &sdk.ListGroupsForUserOutput{Groups: groupsTo(call.Account(), p.items), IsTruncated: p.truncated, Marker: p.marker}, err
}
