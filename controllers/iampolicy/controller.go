// Package iampolicy reconciles IAMPolicies: it says what they are in AWS IAM, and whether what they say can be put in force, and
// it keeps their versions.
package iampolicy

import (
	"context"
	"time"

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
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

// Reconciler reconciles IAMPolicies.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Events tells users what happened.
	Events events.EventRecorder
	// Now is the clock.
	Now func() time.Time
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=iampolicies,verbs=get;list;watch
// +kubebuilder:rbac:groups=strongroom.dev,resources=iampolicies/status,verbs=update

// Reconcile makes one pass over an IAMPolicy. All that it writes is the status, at the end.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return iamobject.Pass(ctx, r.Client, r.Events, req, &v1alpha1.IAMPolicy{}, r.run)
}

func (r *Reconciler) run(ctx context.Context, policy *v1alpha1.IAMPolicy) error {
	if _, err := iamobject.Identify(ctx, r.Client, iamobject.Policy, policy); err != nil {
		return err
	}
	if err := iamobject.Document("spec.document", &policy.Spec.Document, iam.Identity, iam.MaximumManagedPolicy); err != nil {
		return err
	}
	serviceiam.RecordVersion(policy, r.Now())
	return nil
}

// SetupWithManager registers the controller. The cache must have iamobject.Indexes.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("iampolicy").
		For(&v1alpha1.IAMPolicy{}).
		Watches(&corev1.Namespace{}, iamobject.OfNamespace(r.Client, iamobject.Policy), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WithOptions(options).
		Complete(r)
}
