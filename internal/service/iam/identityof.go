package iam

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
)

// IdentityOf is what a user, role or group of a namespace may do now, by its ARN; nil if there is none. It is no caller: there is no
// credential of it.
func (s *Service) IdentityOf(ctx context.Context, namespace, of string) (*Identity, error) {
	user, err := s.userByARN(ctx, namespace, of)
	if err != nil {
		return nil, err
	}
	if user != nil {
		p, err := s.permissions(ctx, userKind, user, &user.Spec.Permissions)
		if err != nil {
			return nil, err
		}
		return userIdentity(user, p), nil
	}
	group, err := s.groupByARN(ctx, namespace, of)
	if err != nil {
		return nil, err
	}
	if group != nil {
		return s.groupIdentity(ctx, group)
	}
	role, err := s.RoleByARN(ctx, of)
	if err != nil || role == nil || role.Namespace != namespace {
		return nil, err
	}
	p, err := s.permissions(ctx, roleKind, role, &role.Spec.Permissions)
	if err != nil {
		return nil, err
	}
	identity := p.identity()
	identity.Type, identity.Namespace, identity.Name = TypeAssumedRole, role.Namespace, role.AWSName()
	identity.Principal.Account, identity.Principal.ARN, identity.Principal.RoleARN = arn.Account(of), of, of
	identity.Principal.UniqueID = UniqueIDOf(role)
	identity.Tags = tagMap(role.Spec.Tags)
	return identity, nil
}

// groupIdentity is what the policies of a group alone come to.
func (s *Service) groupIdentity(ctx context.Context, group *v1alpha1.IAMGroup) (*Identity, error) {
	p := &permissions{}
	if err := s.identityPolicies(ctx, groupKind, group, &group.Spec.IdentityPolicies, p); err != nil {
		return nil, err
	}
	p.close()
	identity := p.identity()
	identity.Type, identity.Namespace, identity.Name = TypeUnknown, group.Namespace, group.AWSName()
	identity.Principal.Account, identity.Principal.ARN = arn.Account(group.Status.ARN), group.Status.ARN
	return identity, nil
}

// groupByARN finds a group of a namespace from the cache; nil if there is none.
func (s *Service) groupByARN(ctx context.Context, namespace, groupARN string) (*v1alpha1.IAMGroup, error) {
	found, err := List[*v1alpha1.IAMGroup](ctx, s, namespace, client.MatchingFields{ARNIndex: groupARN})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}
