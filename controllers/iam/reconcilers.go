package iam

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/iam"
)

// PolicyReconciler reconciles IAMPolicies.
type PolicyReconciler struct{ Base }

// Reconcile makes one pass over an IAMPolicy.
func (r *PolicyReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	policy := &v1alpha1.IAMPolicy{}
	if err := r.Client.Get(ctx, req.NamespacedName, policy); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	former := policy.DeepCopy()
	return r.summarise(ctx, policy, policyKind, former, r.run(ctx, policy))
}

func (r *PolicyReconciler) run(ctx context.Context, policy *v1alpha1.IAMPolicy) error {
	if err := r.identify(ctx, policy, policyKind); err != nil {
		return err
	}
	if err := checkDocument("document", policy.Spec.Document.Raw, iam.Identity); err != nil {
		return err
	}
	return checkSize("document", iam.Size(policy.Spec.Document.Raw), iam.MaximumManagedPolicy)
}

// RoleReconciler reconciles IAMRoles.
type RoleReconciler struct{ Base }

// Reconcile makes one pass over an IAMRole.
func (r *RoleReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	role := &v1alpha1.IAMRole{}
	if err := r.Client.Get(ctx, req.NamespacedName, role); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	former := role.DeepCopy()
	return r.summarise(ctx, role, roleKind, former, r.run(ctx, role))
}

func (r *RoleReconciler) run(ctx context.Context, role *v1alpha1.IAMRole) error {
	if err := r.identify(ctx, role, roleKind); err != nil {
		return err
	}
	if trust := role.Spec.AssumeRolePolicy; trust != nil {
		if err := checkDocument("assumeRolePolicy", trust.Raw, iam.Trust); err != nil {
			return err
		}
		if err := checkSize("assumeRolePolicy", iam.Size(trust.Raw), iam.MaximumTrustPolicy); err != nil {
			return err
		}
	}
	if err := checkInline(role.Spec.Policies, iam.MaximumRolePolicies); err != nil {
		return err
	}
	return r.checkAttached(ctx, role, &role.Spec.Permissions)
}

// UserReconciler reconciles IAMUsers.
type UserReconciler struct{ Base }

// Reconcile makes one pass over an IAMUser. The access keys of one that is gone go too.
func (r *UserReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	if err := r.IAM.Keyring.AwaitAttempt(ctx); err != nil {
		return ctrl.Result{}, err
	}
	user := &v1alpha1.IAMUser{}
	if err := r.Client.Get(ctx, req.NamespacedName, user); err != nil {
		if client.IgnoreNotFound(err) != nil {
			return ctrl.Result{}, err
		}
		return ctrl.Result{}, r.forget(ctx, req.NamespacedName)
	}
	if !user.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil // nobody authenticates as it any more; what it leaves goes when it has gone
	}
	former := user.DeepCopy()
	return r.summarise(ctx, user, userKind, former, r.run(ctx, user))
}

// run is the order of steps. Keys come before policies: one that is to be revoked does not wait for a policy to be mended.
func (r *UserReconciler) run(ctx context.Context, user *v1alpha1.IAMUser) error {
	account := user.Status.ARN
	if err := r.identify(ctx, user, userKind); err != nil {
		return err
	}
	if err := r.revoke(ctx, user); err != nil {
		return err
	}
	if err := keepsAccount(user, account); err != nil {
		return err
	}
	if err := r.accessKeys(ctx, user); err != nil {
		return err
	}
	if err := checkInline(user.Spec.Policies, iam.MaximumUserPolicies); err != nil {
		return err
	}
	return r.checkAttached(ctx, user, &user.Spec.Permissions)
}
