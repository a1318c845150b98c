package iam

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

const (
	// GroupIndex is the cache index of IAMUsers by the groups that they are in, as metadata.name of those.
	GroupIndex = "group"
	// MaximumGroups that a user is in.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
	MaximumGroups = 10
)

var (
	// ErrTooManyGroups says that a user is in MaximumGroups.
	ErrTooManyGroups = errors.New("the user is in as many groups as can be")
	// ErrGroupNotEmpty says that users are in a group that is to be deleted.
	ErrGroupNotEmpty = errors.New("the group has users")
	// ErrNoGroup says that a group went while a user was put into it.
	ErrNoGroup = errors.New("the group is gone")
)

// IndexGroup lists the values of GroupIndex.
func IndexGroup(obj client.Object) []string {
	user, ok := obj.(*v1alpha1.IAMUser)
	if !ok {
		return nil
	}
	return user.Spec.Groups
}

// Members are the users in a group. They are the cache's own: read them only.
func (s *Service) Members(ctx context.Context, group *v1alpha1.IAMGroup) ([]*v1alpha1.IAMUser, error) {
	return List[*v1alpha1.IAMUser](ctx, s, group.Namespace, client.MatchingFields{GroupIndex: group.Name})
}

// GroupsOf are the groups that a user is in, without those that are not there. They are the cache's own: read them only.
func (s *Service) GroupsOf(ctx context.Context, user *v1alpha1.IAMUser) ([]*v1alpha1.IAMGroup, error) {
	var out []*v1alpha1.IAMGroup
	for _, name := range user.Spec.Groups {
		group, err := s.group(ctx, client.ObjectKey{Namespace: user.Namespace, Name: name})
		if err != nil {
			return nil, err
		}
		if group != nil {
			out = append(out, group)
		}
	}
	return out, nil
}

// group reads a group from the cache; nil if there is none, or it is being deleted.
func (s *Service) group(ctx context.Context, key client.ObjectKey) (*v1alpha1.IAMGroup, error) {
	group := &v1alpha1.IAMGroup{}
	err := s.Client.Get(ctx, key, group, shared...)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading IAMGroup %s: %w", key, err)
	}
	if err != nil || !group.DeletionTimestamp.IsZero() {
		return nil, nil
	}
	return group, nil
}

// AddUserToGroup puts a user into a group. One who is in it already is no error. It fails with ErrTooManyGroups, ErrNoGroup and ErrGone.
// Atomic: one write of the user.
func (s *Service) AddUserToGroup(ctx context.Context, user *v1alpha1.IAMUser, group *v1alpha1.IAMGroup) error {
	return Change(ctx, s, user, func(u *v1alpha1.IAMUser) error {
		live := &v1alpha1.IAMGroup{}
		err := s.Live.Get(ctx, client.ObjectKeyFromObject(group), live)
		if apierrors.IsNotFound(err) || err == nil && (live.UID != group.UID || !live.DeletionTimestamp.IsZero()) {
			return ErrNoGroup // and not a name that takes all permissions away
		}
		if err != nil {
			return fmt.Errorf("reading IAMGroup %s: %w", group.Name, err)
		}
		if slices.Contains(u.Spec.Groups, group.Name) {
			return nil
		}
		if len(u.Spec.Groups) >= MaximumGroups {
			return ErrTooManyGroups
		}
		u.Spec.Groups = append(u.Spec.Groups, group.Name)
		return nil
	})
}

// RemoveUserFromGroup takes a user out of a group. One who is not in it is no error. It fails with ErrGone. Atomic: one write of the user.
func (s *Service) RemoveUserFromGroup(ctx context.Context, user *v1alpha1.IAMUser, group *v1alpha1.IAMGroup) error {
	return Change(ctx, s, user, func(u *v1alpha1.IAMUser) error {
		u.Spec.Groups = slices.DeleteFunc(u.Spec.Groups, func(name string) bool { return name == group.Name })
		return nil
	})
}

// DeleteGroup deletes a group that nobody is in. It fails with ErrGroupNotEmpty. Who is in it is asked of the API server: a
// user who was put into it by another replica a moment ago would be left in a group that is not there, and so without permissions.
func (s *Service) DeleteGroup(ctx context.Context, group *v1alpha1.IAMGroup) error {
	var users v1alpha1.IAMUserList
	if err := s.Live.List(ctx, &users, client.InNamespace(group.Namespace)); err != nil {
		return fmt.Errorf("listing the users in IAMGroup %s: %w", group.Name, err)
	}
	for i := range users.Items {
		if users.Items[i].DeletionTimestamp.IsZero() && slices.Contains(users.Items[i].Spec.Groups, group.Name) {
			return ErrGroupNotEmpty
		}
	}
	return Delete(ctx, s, group)
}

// groupPolicies adds the policies of the groups that a user is in. One that is not there, or whose name an older one has, counts
// as a policy that cannot be read.
func (s *Service) groupPolicies(ctx context.Context, user *v1alpha1.IAMUser, p *permissions) error {
	for _, name := range user.Spec.Groups {
		group, err := s.group(ctx, client.ObjectKey{Namespace: user.Namespace, Name: name})
		if err != nil {
			return err
		}
		if group == nil {
			p.broken, p.incomplete = true, true
			continue
		}
		p.sources = append(p.sources, sourceOf(groupKind, group))
		named, _, err := ByName[*v1alpha1.IAMGroup](ctx, s, user.Namespace, group.AWSName())
		if err != nil {
			return err
		}
		if named == nil || named.UID != group.UID {
			p.broken, p.incomplete = true, true // the other's end is not seen from here
			continue
		}
		if err := s.identityPolicies(ctx, groupKind, group, &group.Spec.IdentityPolicies, p); err != nil {
			return err
		}
	}
	return nil
}
