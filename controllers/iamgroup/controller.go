// Package iamgroup reconciles IAMGroups: it says what they are in AWS IAM, and whether what they say can be put in force.
package iamgroup

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/iamobject"
	"strongroom.dev/strongroom/internal/core/iam"
)

// Reconciler reconciles IAMGroups.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Events tells users what happened.
	Events events.EventRecorder
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=iamgroups,verbs=get;list;watch
// +kubebuilder:rbac:groups=strongroom.dev,resources=iamgroups/status,verbs=update

// Reconcile makes one pass over an IAMGroup. All that it writes is the status, at the end.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return iamobject.Pass(ctx, r.Client, r.Events, req, &v1alpha1.IAMGroup{}, r.run)
}

func (r *Reconciler) run(ctx context.Context, group *v1alpha1.IAMGroup) error {
	account, err := iamobject.Identify(ctx, r.Client, iamobject.Group, group)
	if err != nil {
		return err
	}
	if err := iamobject.Inline(group.Spec.Policies, iam.MaximumGroupPolicies); err != nil {
		return err
	}
	return iamobject.Attached(ctx, r.Client, group.Namespace, account, &group.Spec.IdentityPolicies)
}

// SetupWithManager registers the controller. The cache must have iamobject.Indexes.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("iamgroup").
		For(&v1alpha1.IAMGroup{}).
		Watches(&v1alpha1.IAMPolicy{}, iamobject.OfPolicy(r.Client, iamobject.Group)).
		Watches(&corev1.Namespace{}, iamobject.OfNamespace(r.Client, iamobject.Group), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WithOptions(options).
		Complete(r)
}
