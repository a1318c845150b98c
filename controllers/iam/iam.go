// Package iam reconciles IAMPolicies, IAMRoles and IAMUsers: it says who they are to AWS's APIs, whether their policies can be
// read, and makes and revokes access keys. What the objects may do is not decided here: the gateway reads them itself.
package iam

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/fault"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

// Base is what the three reconcilers share.
type Base struct {
	// Client reads from the cache and writes. Live reads from the API server.
	Client client.Client
	Live   client.Reader
	// IAM makes and opens access keys.
	IAM *serviceiam.Service
	// Events tells users what happened.
	Events events.EventRecorder
	// Now is the clock.
	Now func() time.Time
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=iampolicies;iamroles;iamusers,verbs=get;list;watch
// +kubebuilder:rbac:groups=strongroom.dev,resources=iampolicies/status;iamroles/status;iamusers/status,verbs=update

// object is any of the three kinds.
type object interface {
	client.Object
	AWSName() string
	AWSPath() string
	GetIAMStatus() *v1alpha1.IAMStatus
}

// kind is what differs between the three.
type kind struct {
	// word is what messages call it.
	word   string
	prefix arn.IDPrefix
	arn    func(account, path, name string) string
	list   func() client.ObjectList
}

var (
	policyKind = kind{"policy", arn.PolicyID, arn.IAMPolicy, func() client.ObjectList { return &v1alpha1.IAMPolicyList{} }}
	roleKind   = kind{"role", arn.RoleID, arn.IAMRole, func() client.ObjectList { return &v1alpha1.IAMRoleList{} }}
	userKind   = kind{"user", arn.UserID, arn.IAMUser, func() client.ObjectList { return &v1alpha1.IAMUserList{} }}
)

var errNameTaken = errors.New("the name is taken in this account")

// identify settles the object's ARN and unique id. The ARN follows the namespace's account id; the unique id is the object's for
// good. Of two objects of one name the older has it: the other has no ARN, so that nothing finds it.
func (b *Base) identify(ctx context.Context, obj object, k kind) error {
	id, err := account.Resolve(ctx, b.Client, obj.GetNamespace())
	if err != nil {
		return err
	}
	status := obj.GetIAMStatus()
	name := k.arn(id, obj.AWSPath(), obj.AWSName())
	first, err := b.holder(ctx, obj, k)
	if err != nil {
		return err
	}
	if first != "" {
		status.ARN = ""
		return fault.Contested(v1alpha1.ReasonNameConflict, fmt.Errorf("%w: %s %s is called %s already; give one of the two another name",
			errNameTaken, k.word, first, obj.AWSName()))
	}
	status.ARN, status.UniqueID = name, arn.UniqueID(k.prefix, string(obj.GetUID()))
	return nil
}

// holder names the object that has this one's AWS name by an older right, whatever its path: AWS's names are unique without it.
func (b *Base) holder(ctx context.Context, obj object, k kind) (string, error) {
	list := k.list()
	err := b.Client.List(ctx, list, client.InNamespace(obj.GetNamespace()), client.MatchingFields{NameIndex: foldedName(obj)},
		client.UnsafeDisableDeepCopy)
	if err != nil {
		return "", fmt.Errorf("looking for a %s of the same name: %w", k.word, err)
	}
	first := object(nil)
	err = meta.EachListItem(list, func(item runtime.Object) error {
		other, ok := item.(object)
		if ok && other.GetName() != obj.GetName() && older(other, obj) && (first == nil || older(other, first)) {
			first = other
		}
		return nil
	})
	if first == nil || err != nil {
		return "", err
	}
	return first.GetName(), nil
}

func older(a, b object) bool {
	at, bt := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	if at.Equal(&bt) {
		return a.GetName() < b.GetName()
	}
	return at.Before(&bt)
}

// summarise is the one place that writes status, if it changed. For a user it is the commit point of access keys: the write
// carries the resource version that this pass read.
func (b *Base) summarise(ctx context.Context, obj object, k kind, former object, err error) (ctrl.Result, error) {
	status := obj.GetIAMStatus()
	status.LastHandledReconcileAt = conditions.Echo(obj.GetAnnotations()[v1alpha1.ReconcileAnnotation])
	conditions.Summarise(&status.Conditions, obj.GetGeneration(), err, v1alpha1.ReasonSucceeded, "The "+k.word+" is in force")
	status.ObservedGeneration = obj.GetGeneration()
	if !equality.Semantic.DeepEqual(former, obj) {
		if writeErr := b.Client.Status().Update(ctx, obj); writeErr != nil {
			return ctrl.Result{}, errors.Join(err, fmt.Errorf("writing status: %w", writeErr))
		}
	}
	if err == nil {
		return ctrl.Result{}, nil
	}
	f := fault.Of(err)
	before := meta.FindStatusCondition(former.GetIAMStatus().Conditions, v1alpha1.ConditionReady)
	news := before == nil || before.Reason != f.Reason || before.Status != metav1.ConditionFalse
	if news && f.Reason != v1alpha1.ReasonProgressing {
		b.Events.Eventf(obj, nil, corev1.EventTypeWarning, f.Reason, "Reconcile", "%s", fault.Message(f))
	}
	if f.RetryAfter == 0 {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: f.RetryAfter + rand.N(time.Second)}, nil
}
