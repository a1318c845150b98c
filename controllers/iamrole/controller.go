// Package iamrole reconciles IAMRoles: it says what they are in AWS IAM, and whether what they say can be put in force.
package iamrole

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
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/fault"
)

// Reconciler reconciles IAMRoles.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Events tells users what happened.
	Events events.EventRecorder
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=iamroles,verbs=get;list;watch
// +kubebuilder:rbac:groups=strongroom.dev,resources=iamusers,verbs=list;watch
// +kubebuilder:rbac:groups=strongroom.dev,resources=iamroles/status,verbs=update

// Reconcile makes one pass over an IAMRole. All that it writes is the status, at the end.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return iamobject.Pass(ctx, r.Client, r.Events, req, &v1alpha1.IAMRole{}, r.run)
}

func (r *Reconciler) run(ctx context.Context, role *v1alpha1.IAMRole) error {
	account, err := iamobject.Identify(ctx, r.Client, iamobject.Role, role)
	if err != nil {
		return err
	}
	if trust := role.Spec.AssumeRolePolicy; trust != nil {
		if err := iamobject.Document("spec.assumeRolePolicy", trust, iam.Trust, iam.MaximumTrustPolicy); err != nil {
			return err
		}
	}
	if err := r.bind(ctx, role); err != nil {
		return err
	}
	if err := iamobject.Inline(role.Spec.Policies, iam.MaximumRolePolicies); err != nil {
		return err
	}
	if err := iamobject.Attached(ctx, r.Client, role.Namespace, account, &role.Spec.IdentityPolicies); err != nil {
		return err
	}
	return fault.Join(iamobject.Tags(role.Spec.Tags), iamobject.Boundary(ctx, r.Client, role.Namespace, account, role.Spec.PermissionsBoundary))
}

// bind settles whom the trust policy names.
func (r *Reconciler) bind(ctx context.Context, role *v1alpha1.IAMRole) error {
	named := passes.PolicyPrincipals{
		Object: role, Policy: role.Spec.AssumeRolePolicy,
		Binding: &role.Status.Trust, Conditions: &role.Status.Conditions,
	}
	if named.Policy != nil {
		compiled, err := iam.Parse(named.Policy.Raw, iam.Trust)
		if err != nil {
			return err // which was said with its place before
		}
		named.Compiled = compiled
	}
	return passes.BindPrincipals(ctx, r.Client, named)
}

// SetupWithManager registers the controller. The cache must have iamobject.Indexes.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("iamrole").
		For(&v1alpha1.IAMRole{}).
		Watches(&v1alpha1.IAMPolicy{}, iamobject.OfPolicy(r.Client, iamobject.Role)).
		Watches(&v1alpha1.IAMUser{}, passes.OfPrincipal(r.Client, iamobject.Role.NewList), builder.WithPredicates(passes.PrincipalAppeared)).
		Watches(&v1alpha1.IAMRole{}, passes.OfPrincipal(r.Client, iamobject.Role.NewList), builder.WithPredicates(passes.PrincipalAppeared)).
		Watches(&corev1.Namespace{}, iamobject.OfNamespace(r.Client, iamobject.Role), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WithOptions(options).
		Complete(r)
}
