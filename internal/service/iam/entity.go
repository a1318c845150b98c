package iam

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/claim"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/principals"
)

// FieldOwner is who writes what is asked through the API.
const FieldOwner = "strongroom-iam-api"

var (
	// ErrExists says that the account has an object of the kind and name.
	ErrExists = errors.New("the name is taken")
	// ErrGone says that the object went while it was worked on.
	ErrGone = errors.New("the object is gone")
)

// Entity is a user, a role, a group or a managed policy.
type Entity interface {
	client.Object
	AWSName() string
	AWSPath() string
	GetIAMStatus() *v1alpha1.IAMStatus
	GetConditions() []metav1.Condition
	SetConditions(conditions []metav1.Condition)
}

// NameIndex is the cache index of IAM's kinds by their names in AWS IAM, in lower case: names that differ by case alone are one
// name.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html#reference_iam-quotas-names
const NameIndex = principals.NameIndex

// IndexName lists the values of NameIndex.
func IndexName(obj client.Object) []string {
	e, ok := obj.(Entity)
	if !ok {
		return nil
	}
	return []string{strings.ToLower(e.AWSName())}
}

// ARNOf is the ARN that an entity of an account has or will have when its controller has seen it.
func ARNOf(account string, e Entity) string {
	switch e.(type) {
	case *v1alpha1.IAMUser:
		return arn.IAMUser(account, e.AWSPath(), e.AWSName())
	case *v1alpha1.IAMRole:
		return arn.IAMRole(account, e.AWSPath(), e.AWSName())
	case *v1alpha1.IAMGroup:
		return arn.IAMGroup(account, e.AWSPath(), e.AWSName())
	}
	return arn.IAMPolicy(account, e.AWSPath(), e.AWSName())
}

// UniqueIDOf is the unique id that an entity has: it derives from the object's UID.
func UniqueIDOf(e Entity) string {
	prefix := arn.PolicyID
	switch e.(type) {
	case *v1alpha1.IAMUser:
		prefix = arn.UserID
	case *v1alpha1.IAMRole:
		prefix = arn.RoleID
	case *v1alpha1.IAMGroup:
		prefix = arn.GroupID
	}
	return arn.UniqueID(prefix, string(e.GetUID()))
}

// PoliciesOf are the policies of a user, a role or a group, nil for a managed policy.
func PoliciesOf(e Entity) *v1alpha1.IdentityPolicies {
	if group, ok := e.(*v1alpha1.IAMGroup); ok {
		return &group.Spec.IdentityPolicies
	}
	if p := PermissionsOf(e); p != nil {
		return &p.IdentityPolicies
	}
	return nil
}

// PermissionsOf is what says what a user or role may do, nil for what is no principal: a group or a managed policy.
func PermissionsOf(e Entity) *v1alpha1.Permissions {
	switch o := e.(type) {
	case *v1alpha1.IAMUser:
		return &o.Spec.Permissions
	case *v1alpha1.IAMRole:
		return &o.Spec.Permissions
	}
	return nil
}

func listOf[T Entity]() client.ObjectList {
	var e T
	switch any(e).(type) {
	case *v1alpha1.IAMUser:
		return &v1alpha1.IAMUserList{}
	case *v1alpha1.IAMRole:
		return &v1alpha1.IAMRoleList{}
	case *v1alpha1.IAMGroup:
		return &v1alpha1.IAMGroupList{}
	}
	return &v1alpha1.IAMPolicyList{}
}

// List is the entities of a kind in a namespace, without those that are being deleted. They are the cache's own: read them only.
func List[T Entity](ctx context.Context, s *Service, namespace string, options ...client.ListOption) ([]T, error) {
	list := listOf[T]()
	if err := s.Client.List(ctx, list, append(options, client.InNamespace(namespace), client.UnsafeDisableDeepCopy)...); err != nil {
		return nil, fmt.Errorf("listing %T: %w", list, err)
	}
	var out []T
	err := meta.EachListItem(list, func(item runtime.Object) error {
		if e, ok := item.(T); ok && e.GetDeletionTimestamp().IsZero() {
			out = append(out, e)
		}
		return nil
	})
	return out, err
}

// ByName finds the entity of a name; ok is false if there is none. Of several it is the oldest, which has the name.
func ByName[T Entity](ctx context.Context, s *Service, namespace, name string) (found T, ok bool, err error) {
	same, err := List[T](ctx, s, namespace, client.MatchingFields{NameIndex: strings.ToLower(name)})
	for _, e := range same {
		if !ok || claim.Before(e, found) {
			found, ok = e, true
		}
	}
	return found, ok, err
}

var dnsName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// derivedName is metadata.name of an entity whose AWS name cannot be it. It derives from the name and the number of the attempt alone:
// of two replicas that make one at once, the API server lets one. There is a second attempt if the first name is that of a
// group which was renamed.
func derivedName(name string, attempt int) string {
	folded := strings.ToLower(name)
	sum := sha256.Sum256([]byte(folded + strings.Repeat("\x00", attempt)))
	slug := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, folded)
	suffix := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:10]))
	return strings.TrimLeft(slug[:min(len(slug), 40)]+"-", "-") + suffix
}

// derivedNames is how many names are tried for one entity.
const derivedNames = 8

// +kubebuilder:rbac:groups=strongroom.dev,resources=iamgroups;iampolicies;iamroles;iamusers,verbs=create;update;delete

// Create makes an entity whose spec has its AWS name; unnamed takes that out of spec where metadata.name says it. It fails with
// ErrExists. Atomic: the API server makes all of it or nothing.
func Create[T Entity](ctx context.Context, s *Service, e T, name string, unnamed func(T)) (made T, err error) {
	if _, taken, err := ByName[T](ctx, s, e.GetNamespace(), name); taken || err != nil {
		return made, cmp.Or(err, ErrExists)
	}
	var attempts []T
	if dnsName.MatchString(name) {
		plain := e.DeepCopyObject().(T)
		plain.SetName(name)
		unnamed(plain)
		attempts = append(attempts, plain)
	}
	for i := range derivedNames {
		derived := e.DeepCopyObject().(T)
		derived.SetName(derivedName(name, i))
		attempts = append(attempts, derived)
	}
	for _, attempt := range attempts {
		err := s.Client.Create(ctx, attempt, client.FieldOwner(FieldOwner))
		if err == nil {
			return attempt, nil
		}
		if same, check := s.hasName(ctx, attempt, err, name); same || check != nil {
			return made, cmp.Or(check, ErrExists)
		}
	}
	return made, ErrExists
}

// hasName tells whether what is in the place of an entity that could not be created is of its AWS name, and not just of its
// object's. An error other than that there is something is returned.
func (s *Service) hasName(ctx context.Context, e Entity, err error, name string) (bool, error) {
	if !apierrors.IsAlreadyExists(err) {
		return false, fmt.Errorf("creating %T %s: %w", e, e.GetName(), err)
	}
	there := e.DeepCopyObject().(Entity)
	if err := s.Live.Get(ctx, client.ObjectKeyFromObject(e), there); err != nil {
		return false, fmt.Errorf("reading %T %s: %w", e, e.GetName(), err)
	}
	return strings.EqualFold(there.AWSName(), name), nil
}

// Change reads an entity anew, changes it, and writes it if it is still as it was read; otherwise it begins again. A change that
// returns an error writes nothing. It fails with ErrGone.
func Change[T Entity](ctx context.Context, s *Service, e T, change func(T) error) error {
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		live, ok := e.DeepCopyObject().(T)
		if !ok {
			return fmt.Errorf("%T is no entity", e)
		}
		if err := s.Live.Get(ctx, client.ObjectKeyFromObject(e), live); err != nil {
			return err
		}
		if live.GetUID() != e.GetUID() || !live.GetDeletionTimestamp().IsZero() {
			return ErrGone
		}
		if err := change(live); err != nil {
			return err
		}
		return s.Client.Update(ctx, live, client.FieldOwner(FieldOwner))
	})
	if apierrors.IsNotFound(err) {
		return ErrGone
	}
	return err
}

// Delete deletes an entity, and not another that was made under its name. One that is gone is no error.
func Delete(ctx context.Context, s *Service, e Entity) error {
	uid := e.GetUID()
	if err := s.Client.Delete(ctx, e, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting %T %s: %w", e, e.GetName(), err)
	}
	return nil
}
