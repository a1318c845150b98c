// Package iamobject is what the controllers of IAM's kinds have in common: an object's identity in AWS IAM, whether its
// policies can be put in force, and its status.
package iamobject

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/claim"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/fault"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

// Object is an object of one of IAM's kinds.
type Object = serviceiam.Entity

// Kind is what tells IAM's kinds apart.
type Kind struct {
	// Name of the kind in Kubernetes.
	Name string
	// Prefix of unique ids.
	Prefix arn.IDPrefix
	// ARN makes the ARN of an account's object of a path and a name.
	ARN func(account, path, name string) string
	// NewList makes an empty list of the kind.
	NewList func() client.ObjectList
}

// IAM's kinds.
var (
	User   = Kind{"IAMUser", arn.UserID, arn.IAMUser, func() client.ObjectList { return &v1alpha1.IAMUserList{} }}
	Role   = Kind{"IAMRole", arn.RoleID, arn.IAMRole, func() client.ObjectList { return &v1alpha1.IAMRoleList{} }}
	Group  = Kind{"IAMGroup", arn.GroupID, arn.IAMGroup, func() client.ObjectList { return &v1alpha1.IAMGroupList{} }}
	Policy = Kind{"IAMPolicy", arn.PolicyID, arn.IAMPolicy, func() client.ObjectList { return &v1alpha1.IAMPolicyList{} }}
)

// Indexes are the functions of the cache indexes of each of the kinds.
func Indexes() map[string]client.IndexerFunc {
	return map[string]client.IndexerFunc{serviceiam.NameIndex: serviceiam.IndexName}
}

var errNameTaken = errors.New("the name is taken")

// Identify settles an object's account, ARN and unique id in its status, and returns the account. Both derive from what the API
// server keeps, so that a status that is lost comes back as it was. It fails with account.ErrInvalid and account.ErrConflict, and
// with a fault of NameConflict if an older object of the namespace has the name: then it has no ARN, under which another would
// be taken for it.
func Identify(ctx context.Context, reader client.Reader, k Kind, obj Object) (string, error) {
	id, err := account.Resolve(ctx, reader, obj.GetNamespace())
	if err != nil {
		return "", err
	}
	same, err := named(ctx, reader, k, obj.GetNamespace(), obj.AWSName())
	if err != nil {
		return "", err
	}
	metas := make([]metav1.ObjectMeta, 0, len(same))
	for _, o := range same {
		metas = append(metas, metav1.ObjectMeta{Name: o.GetName(), CreationTimestamp: o.GetCreationTimestamp()})
	}
	status := obj.GetIAMStatus()
	if first := claim.Elder(obj, metas); first != "" {
		status.ARN = ""
		return "", fault.Contested(v1alpha1.ReasonNameConflict, fmt.Errorf("%w: %s %s is %s in AWS IAM already; give this one another "+
			"spec.name, which takes making it again, or delete the other", errNameTaken, k.Name, first, obj.AWSName()))
	}
	status.ARN = k.ARN(id, obj.AWSPath(), obj.AWSName())
	status.UniqueID = arn.UniqueID(k.Prefix, string(obj.GetUID()))
	return id, nil
}

// named lists the objects of a kind that have a name in AWS IAM. They are the cache's own: read them only.
func named(ctx context.Context, reader client.Reader, k Kind, namespace, name string) ([]Object, error) {
	return listed(ctx, reader, k, client.InNamespace(namespace), client.MatchingFields{serviceiam.NameIndex: strings.ToLower(name)})
}

func listed(ctx context.Context, reader client.Reader, k Kind, options ...client.ListOption) ([]Object, error) {
	list := k.NewList()
	if err := reader.List(ctx, list, append(options, client.UnsafeDisableDeepCopy)...); err != nil {
		return nil, fmt.Errorf("listing %s objects: %w", k.Name, err)
	}
	var out []Object
	err := meta.EachListItem(list, func(item runtime.Object) error {
		if o, ok := item.(Object); ok {
			out = append(out, o)
		}
		return nil
	})
	return out, err
}
