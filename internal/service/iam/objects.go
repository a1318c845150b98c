package iam

import (
	"context"
	"errors"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/core/arn"
)

// kind is one of the kinds of objects that credentials are made of. Session tokens hold them: the numbers stay as they are.
type kind uint8

const (
	userKind kind = iota
	roleKind
	policyKind
	envelopeKind
	groupKind
)

// scratch are objects to read into while a credential is checked: each is some kilobytes otherwise, for every request.
var scratch = [...]sync.Pool{
	userKind:     {New: func() any { return &v1alpha1.IAMUser{} }},
	roleKind:     {New: func() any { return &v1alpha1.IAMRole{} }},
	policyKind:   {New: func() any { return &v1alpha1.IAMPolicy{} }},
	envelopeKind: {New: func() any { return &v1alpha1.Envelope{} }},
	groupKind:    {New: func() any { return &v1alpha1.IAMGroup{} }},
}

// shared reads without a copy: what is read is the cache's own and must not be changed. Frozen is for Envelopes, which never
// change: to see one, nothing need be waited for. An access key that this process has revoked is gone from its user, which is.
var (
	shared = []client.GetOption{client.UnsafeDisableDeepCopy}
	frozen = []client.GetOption{client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency}
)

// unchanged tells whether an object is there still, as it was. A deletion that has begun is a change.
func (s *Service) unchanged(ctx context.Context, was *source) (bool, error) {
	obj := scratch[was.kind].Get().(client.Object)
	defer scratch[was.kind].Put(obj)
	options := shared
	if was.kind == envelopeKind {
		options = frozen
	}
	err := s.Client.Get(ctx, was.key, obj, options...)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", was.key, err)
	}
	return obj.GetUID() == was.uid && obj.GetResourceVersion() == was.version, nil
}

// account is the id of a namespace's account, empty if it has none: its label is malformed, or an older namespace has the id.
// It is at most accountAge old.
func (s *Service) account(ctx context.Context, namespace string) (string, error) {
	if known, ok := s.Cache.accounts.Get(namespace); ok {
		return known.(string), nil
	}
	id, err := account.Resolve(ctx, s.Client, namespace)
	if errors.Is(err, account.ErrConflict) || errors.Is(err, account.ErrInvalid) || apierrors.IsNotFound(err) {
		id, err = "", nil
	}
	if err != nil {
		return "", err
	}
	s.Cache.accounts.Add(namespace, id, accountAge)
	return id, nil
}

// owns tells whether an ARN is of the account that a namespace has now: one whose account id was changed, or lost to an older
// namespace, has no identities.
func (s *Service) owns(ctx context.Context, namespace, of string) (bool, error) {
	id, err := s.account(ctx, namespace)
	return err == nil && id != "" && id == arn.Account(of), err
}

// RoleByARN finds the role of an ARN, in whatever account, from the cache; nil if there is none, or it is being deleted. It is
// the cache's own: read it only.
func (s *Service) RoleByARN(ctx context.Context, roleARN string) (*v1alpha1.IAMRole, error) {
	var found v1alpha1.IAMRoleList
	err := s.Client.List(ctx, &found, client.MatchingFields{ARNIndex: roleARN}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("looking for the role %s: %w", roleARN, err)
	}
	for i := range found.Items {
		role := &found.Items[i]
		owned, err := s.owns(ctx, role.Namespace, roleARN)
		if err != nil {
			return nil, err
		}
		if owned && role.DeletionTimestamp.IsZero() {
			return role, nil
		}
	}
	return nil, nil
}

// userByARN finds a user of a namespace, as RoleByARN does.
func (s *Service) userByARN(ctx context.Context, namespace, userARN string) (*v1alpha1.IAMUser, error) {
	var found v1alpha1.IAMUserList
	err := s.Client.List(ctx, &found, client.InNamespace(namespace), client.MatchingFields{ARNIndex: userARN}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("looking for the user %s: %w", userARN, err)
	}
	for i := range found.Items {
		if found.Items[i].DeletionTimestamp.IsZero() {
			return &found.Items[i], nil
		}
	}
	return nil, nil
}
