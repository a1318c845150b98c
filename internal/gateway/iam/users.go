package iam

import (
	"context"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/iam"
)

type userResource = gateway.Resource[*v1alpha1.IAMUser]

func (a *api) users() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("CreateUser", a.resolveCreateUser, a.createUser),
		gateway.Op("DeleteUser", func(ctx context.Context, c *gateway.Call, in *sdk.DeleteUserInput) (userResource, error) {
			return a.user(ctx, c, ptr.To(deref(in.UserName)), contextKeys{})
		}, a.deleteUser),
		gateway.Op("GetUser", func(ctx context.Context, c *gateway.Call, in *sdk.GetUserInput) (userResource, error) {
			return a.user(ctx, c, in.UserName, contextKeys{})
		}, a.getUser, gateway.ReadOnly),
		gateway.Op("ListUserTags", func(ctx context.Context, c *gateway.Call, in *sdk.ListUserTagsInput) (userResource, error) {
			return a.user(ctx, c, in.UserName, contextKeys{})
		}, a.listUserTags, gateway.ReadOnly),
		gateway.Op("ListUsers", none[sdk.ListUsersInput], a.listUsers, gateway.ReadOnly),
		gateway.Op("TagUser", func(ctx context.Context, c *gateway.Call, in *sdk.TagUserInput) (userResource, error) {
			return a.user(ctx, c, in.UserName, requestTags(in.Tags))
		}, a.tagUser),
		gateway.Op("UntagUser", func(ctx context.Context, c *gateway.Call, in *sdk.UntagUserInput) (userResource, error) {
			return a.user(ctx, c, in.UserName, contextKeys{"aws:tagkeys": in.TagKeys})
		}, a.untagUser),
	}
}

// requestTags are the condition keys of tags in a request.
func requestTags(tags []types.Tag) contextKeys {
	keys := contextKeys{}
	for _, t := range tags {
		of := "aws:requesttag/" + strings.ToLower(deref(t.Key))
		keys[of] = append(keys[of], deref(t.Value)) // two are refused, and after the question
		keys["aws:tagkeys"] = append(keys["aws:tagkeys"], deref(t.Key))
	}
	return keys
}

func (a *api) resolveCreateUser(_ context.Context, call *gateway.Call, in *sdk.CreateUserInput) (gateway.Resource[struct{}], error) {
	keys := requestTags(in.Tags)
	if in.PermissionsBoundary != nil {
		keys["iam:permissionsboundary"] = []string{*in.PermissionsBoundary}
	}
	user := &v1alpha1.IAMUser{Spec: v1alpha1.IAMUserSpec{Name: deref(in.UserName), Path: deref(in.Path)}}
	return gateway.Resource[struct{}]{ARN: iam.ARNOf(call.Account(), user), Context: keys}, nil
}

// mayTag asks for the right to tag what is made with tags.
func mayTag(call *gateway.Call, action string, e iam.Entity, tags []types.Tag) error {
	if len(tags) == 0 {
		return nil
	}
	return call.Authorize(gateway.Question{Action: action, Resource: iam.ARNOf(call.Account(), e), Context: requestTags(tags)})
}

func (a *api) createUser(ctx context.Context, call *gateway.Call, in *sdk.CreateUserInput, _ struct{}) (*sdk.CreateUserOutput, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if err := mayTag(call, "iam:TagUser", &v1alpha1.IAMUser{Spec: v1alpha1.IAMUserSpec{Name: deref(in.UserName), Path: deref(in.Path)}}, in.Tags); err != nil {
		return nil, err
	}
	if err := a.attachable(ctx, call, in.PermissionsBoundary); err != nil {
		return nil, err
	}
	name := deref(in.UserName)
	user := &v1alpha1.IAMUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: call.Namespace()},
		Spec: v1alpha1.IAMUserSpec{
			Name: name, Path: pathOf(in.Path),
			Permissions: v1alpha1.Permissions{PermissionsBoundary: deref(in.PermissionsBoundary), Tags: tagsOf(in.Tags)},
		},
	}
	made, err := iam.Create(ctx, a.IAM, user, name, func(u *v1alpha1.IAMUser) { u.Spec.Name = "" })
	if err != nil {
		return nil, answer(err, wordUser, name)
	}
	return &sdk.CreateUserOutput{User: userTo(call.Account(), made)}, nil
}

// deleteUser deletes a user who has nothing any more, as AWS does.
func (a *api) deleteUser(ctx context.Context, _ *gateway.Call, _ *sdk.DeleteUserInput, u *v1alpha1.IAMUser) (*sdk.DeleteUserOutput, error) {
	if len(u.Spec.AccessKeys) > 0 {
		return nil, conflict("Cannot delete entity, must delete access keys first.")
	}
	if err := bare(&u.Spec.IdentityPolicies); err != nil {
		return nil, err
	}
	if len(u.Spec.Groups) > 0 {
		return nil, conflict("Cannot delete entity, must remove users from group first.")
	}
	return &sdk.DeleteUserOutput{}, iam.Delete(ctx, a.IAM, u)
}

// bare refuses to delete what still has policies.
func bare(p *v1alpha1.IdentityPolicies) error {
	switch {
	case len(p.Policies) > 0:
		return conflict("Cannot delete entity, must delete policies first.")
	case len(p.ManagedPolicyARNs) > 0:
		return conflict("Cannot delete entity, must detach all policies first.")
	}
	return nil
}

func (a *api) getUser(_ context.Context, call *gateway.Call, _ *sdk.GetUserInput, u *v1alpha1.IAMUser) (*sdk.GetUserOutput, error) {
	return &sdk.GetUserOutput{User: userTo(call.Account(), u)}, nil
}

func (a *api) listUsers(ctx context.Context, call *gateway.Call, in *sdk.ListUsersInput, _ struct{}) (*sdk.ListUsersOutput, error) {
	p, err := listed[*v1alpha1.IAMUser](ctx, a, call, in.PathPrefix, ask(call, in, in.Marker, in.MaxItems))
	if err != nil {
		return nil, err
	}
	out := &sdk.ListUsersOutput{Users: []types.User{}, IsTruncated: p.truncated, Marker: p.marker}
	for _, u := range p.items {
		user := userTo(call.Account(), u)
		user.Tags, user.PermissionsBoundary = nil, nil // AWS leaves them out of lists
		out.Users = append(out.Users, *user)
	}
	return out, nil
}

// listed is a page of a kind, of the paths that begin so.
func listed[T iam.Entity](ctx context.Context, a *api, call *gateway.Call, prefix *string, want asked) (page[T], error) {
	all, err := iam.List[T](ctx, a.IAM, call.Namespace())
	if err != nil {
		return page[T]{}, err
	}
	var kept []T
	for _, e := range all {
		if strings.HasPrefix(e.AWSPath(), deref(prefix)) {
			kept = append(kept, e)
		}
	}
	return paged(kept, func(e T) string { return e.AWSName() }, want)
}

func (a *api) listUserTags(_ context.Context, call *gateway.Call, in *sdk.ListUserTagsInput, u *v1alpha1.IAMUser) (*sdk.ListUserTagsOutput, error) {
	p, err := paged(tagsTo(u.Spec.Tags), tagKey, ask(call, in, in.Marker, in.MaxItems))
	return &sdk.ListUserTagsOutput{Tags: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

func tagKey(t types.Tag) string { return deref(t.Key) }

func (a *api) tagUser(ctx context.Context, _ *gateway.Call, in *sdk.TagUserInput, u *v1alpha1.IAMUser) (*sdk.TagUserOutput, error) {
	return &sdk.TagUserOutput{}, retag(ctx, a, u, in.Tags, nil)
}

func (a *api) untagUser(ctx context.Context, _ *gateway.Call, in *sdk.UntagUserInput, u *v1alpha1.IAMUser) (*sdk.UntagUserOutput, error) {
	return &sdk.UntagUserOutput{}, retag(ctx, a, u, nil, in.TagKeys)
}

// retag adds tags and takes others away.
func retag[T iam.Entity](ctx context.Context, a *api, e T, add []types.Tag, remove []string) error {
	if err := checkTags(add); err != nil {
		return err
	}
	return changed(ctx, a, e, func(p *v1alpha1.Permissions) error {
		tags, err := tagged(untagged(p.Tags, remove), add)
		p.Tags = tags
		return err
	})
}

// changed changes the permissions of a user or role.
func changed[T iam.Entity](ctx context.Context, a *api, e T, change func(*v1alpha1.Permissions) error) error {
	err := iam.Change(ctx, a.IAM, e, func(live T) error { return change(iam.PermissionsOf(live)) })
	return answer(err, wordOf(e), e.AWSName())
}

// repoliced changes the policies of a user, role or group.
func repoliced[T iam.Entity](ctx context.Context, a *api, e T, change func(*v1alpha1.IdentityPolicies) error) error {
	err := iam.Change(ctx, a.IAM, e, func(live T) error { return change(iam.PoliciesOf(live)) })
	return answer(err, wordOf(e), e.AWSName())
}

func wordOf(e iam.Entity) string {
	switch e.(type) {
	case *v1alpha1.IAMUser:
		return wordUser
	case *v1alpha1.IAMRole:
		return wordRole
	case *v1alpha1.IAMGroup:
		return wordGroup
	}
	return wordPolicy
}
