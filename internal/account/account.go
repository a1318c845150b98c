// Package account finds the AWS account of a namespace: the id in the ARNs of its objects.
package account

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/claim"
	"strongroom.dev/strongroom/internal/core/arn"
)

// IDIndex is the cache index of Namespaces by account id.
const IDIndex = "account-id"

// ErrConflict says that an older namespace has the account id.
var ErrConflict = errors.New("account id is taken")

// ErrInvalid says that the namespace's label is not an account id.
var ErrInvalid = errors.New("account id is invalid")

// ID is the account id of a namespace: its label strongroom.dev/account-id, or else derived from its name.
func ID(namespace *corev1.Namespace) string {
	if id, ok := namespace.Labels[v1alpha1.AccountIDLabel]; ok {
		return id
	}
	return arn.DeriveAccount(namespace.Name)
}

// Index lists the values of IDIndex.
func Index(obj client.Object) []string {
	namespace, ok := obj.(*corev1.Namespace)
	if !ok {
		return nil
	}
	return []string{ID(namespace)}
}

// Resolve returns the account id of a namespace, from a cache that is indexed by IDIndex. It wraps ErrInvalid for a
// label that is no account id, and ErrConflict when another namespace had the id first.
func Resolve(ctx context.Context, reader client.Reader, name string) (string, error) {
	var namespace corev1.Namespace
	if err := reader.Get(ctx, client.ObjectKey{Name: name}, &namespace, client.UnsafeDisableDeepCopy); err != nil {
		return "", fmt.Errorf("reading namespace %s: %w", name, err)
	}
	id := ID(&namespace)
	if err := arn.ValidateAccount(id); err != nil {
		return "", fmt.Errorf("%w: label %s of namespace %s: %w", ErrInvalid, v1alpha1.AccountIDLabel, name, err)
	}
	var same corev1.NamespaceList
	if err := reader.List(ctx, &same, client.MatchingFields{IDIndex: id}, client.UnsafeDisableDeepCopy); err != nil {
		return "", fmt.Errorf("listing the namespaces of account %s: %w", id, err)
	}
	if first := claim.Elder(&namespace, same.Items); first != "" {
		return "", fmt.Errorf("%w: account %s belongs to namespace %s, which is older; "+
			"give namespace %s another label %s", ErrConflict, id, first, name, v1alpha1.AccountIDLabel)
	}
	return id, nil
}

// Namespace finds the namespace of an account id, from a cache that is indexed by IDIndex: the oldest that has the id. It is
// empty if there is none.
func Namespace(ctx context.Context, reader client.Reader, id string) (string, error) {
	var found corev1.NamespaceList
	err := reader.List(ctx, &found, client.MatchingFields{IDIndex: id}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return "", fmt.Errorf("listing the namespaces of account %s: %w", id, err)
	}
	if len(found.Items) == 0 || arn.ValidateAccount(id) != nil {
		return "", nil
	}
	return cmp.Or(claim.Elder(&found.Items[0], found.Items), found.Items[0].Name), nil
}
