// Package iamuser reconciles IAMUsers: it says what they are in AWS IAM and whether what they say can be put in force, and it
// makes, hands out and revokes their access keys.
package iamuser

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/iamobject"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
	"strongroom.dev/strongroom/internal/store"
)

// Finalizer keeps a deleted IAMUser until its access keys are revoked.
const Finalizer = v1alpha1.Group + "/access-keys"

// Reconciler reconciles IAMUsers.
type Reconciler struct {
	// Client reads from the cache and writes, and of core Secrets has digests for values. Live reads core Secrets from the API server.
	Client client.Client
	Live   client.Reader
	// Store keeps access keys, and IAM seals and opens them.
	Store *store.Store
	IAM   *serviceiam.Service
	// Digester is the one that the cache's transform of core Secrets uses.
	Digester *projection.Digester
	// Events tells users what happened.
	Events events.EventRecorder
	// Now is the clock.
	Now func() time.Time
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=iamusers,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=strongroom.dev,resources=iamusers/status,verbs=update
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;patch;delete

// Reconcile makes one pass over an IAMUser.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	if err := r.IAM.Keyring.AwaitAttempt(ctx); err != nil {
		return ctrl.Result{}, err
	}
	user := &v1alpha1.IAMUser{}
	if err := r.Client.Get(ctx, req.NamespacedName, user); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !user.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, r.delete(ctx, user)
	}
	if err := r.finalizer(ctx, user); err != nil {
		return ctrl.Result{}, err
	}
	before := user.DeepCopy()
	err := r.run(ctx, user)
	return iamobject.Summarise(ctx, r.Client, r.Events, before, user, err)
}

// run revokes first, so that nothing that is wrong with the rest keeps a key in force that is to go.
func (r *Reconciler) run(ctx context.Context, user *v1alpha1.IAMUser) error {
	if err := r.revokeRemoved(ctx, user); err != nil {
		return err
	}
	account, err := iamobject.Identify(ctx, r.Client, iamobject.User, user)
	if err != nil {
		return err
	}
	err = r.accessKeys(ctx, user, account)
	return fault.Join(fault.Join(err, iamobject.Tags(user.Spec.Tags)), r.policies(ctx, user, account))
}

func (r *Reconciler) policies(ctx context.Context, user *v1alpha1.IAMUser, account string) error {
	if err := iamobject.Inline(user.Spec.Policies, iam.MaximumUserPolicies); err != nil {
		return err
	}
	err := iamobject.Attached(ctx, r.Client, user.Namespace, account, &user.Spec.IdentityPolicies)
	if err == nil {
		err = iamobject.Boundary(ctx, r.Client, user.Namespace, account, user.Spec.PermissionsBoundary)
	}
	return fault.Join(err, iamobject.Groups(ctx, r.Client, user))
}

// finalizer puts the finalizer on before there is an access key that must be revoked.
func (r *Reconciler) finalizer(ctx context.Context, user *v1alpha1.IAMUser) error {
	if controllerutil.ContainsFinalizer(user, Finalizer) || len(user.Spec.AccessKeys) == 0 {
		return nil
	}
	before := user.DeepCopy()
	controllerutil.AddFinalizer(user, Finalizer)
	if err := r.Client.Patch(ctx, user, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("adding the finalizer: %w", err)
	}
	return nil
}

// delete revokes all access keys first and removes the finalizer second, so that a crash between the two repeats both.
func (r *Reconciler) delete(ctx context.Context, user *v1alpha1.IAMUser) error {
	if !controllerutil.ContainsFinalizer(user, Finalizer) {
		return nil
	}
	if err := r.revokeAll(ctx, user); err != nil {
		return err
	}
	before := user.DeepCopy()
	controllerutil.RemoveFinalizer(user, Finalizer)
	err := r.Client.Patch(ctx, user, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the finalizer: %w", err)
	}
	return nil
}

// SetupWithManager registers the controller. The cache must have iamobject.Indexes.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("iamuser").
		For(&v1alpha1.IAMUser{}).
		Owns(&corev1.Secret{}).
		Watches(&v1alpha1.IAMPolicy{}, iamobject.OfPolicy(r.Client, iamobject.User)).
		Watches(&v1alpha1.IAMGroup{}, iamobject.OfGroup(r.Client)).
		Watches(&corev1.Namespace{}, iamobject.OfNamespace(r.Client, iamobject.User), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WithOptions(options).
		Complete(r)
}
