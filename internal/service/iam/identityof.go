package iam

import (
	"context"

	"strongroom.dev/strongroom/internal/core/arn"
)

// IdentityOf is what a user or role of a namespace may do now, by its ARN; nil if there is none. It is no caller: there is no
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
	identity.Tags = tagMap(role.Spec.Tags)
	return identity, nil
}
