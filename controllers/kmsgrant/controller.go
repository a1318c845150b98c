// Package kmsgrant reconciles KMSGrants: it says whether a grant can be of its key, and whom its ARNs mean. The grant counts without it.
package kmsgrant

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/principals"
)

// Reconciler reconciles KMSGrants.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// KMS finds keys.
	KMS *kms.Service
	// Events tells users what happened.
	Events events.EventRecorder
	// Now is the clock.
	Now func() time.Time
}

var errOtherKey = errors.New("the KMSKey is another than the grant's")

// +kubebuilder:rbac:groups=strongroom.dev,resources=kmsgrants,verbs=get;list;watch
// +kubebuilder:rbac:groups=strongroom.dev,resources=kmsgrants/status,verbs=update

// Reconcile makes one pass over a KMSGrant. All that it writes is the status, at the end.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	grant := &v1alpha1.KMSGrant{}
	if err := r.Client.Get(ctx, req.NamespacedName, grant); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !grant.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	before := grant.DeepCopy()
	err := passes.Run(ctx, grant, r.bind, r.key)
	return r.summarise(ctx, before, grant, err)
}

// bind settles whom the grant's ARNs mean: those who have them first.
func (r *Reconciler) bind(ctx context.Context, grant *v1alpha1.KMSGrant) error {
	named := principals.OfGrant(grant)
	now, err := principals.Find(ctx, r.Client, named)
	if err != nil {
		return err
	}
	after, replaced := principals.Bind(grant.Status.Binding, principals.GrantDigest(grant), named, now)
	grant.Status.Binding = after
	if len(replaced) == 0 {
		meta.RemoveStatusCondition(&grant.Status.Conditions, v1alpha1.ConditionPrincipalReplaced)
		return nil
	}
	conditions.Set(&grant.Status.Conditions, grant.Generation, v1alpha1.ConditionPrincipalReplaced, metav1.ConditionTrue, v1alpha1.ReasonAnotherPrincipal,
		"Deleted and made again since the grant was made, and so allowed nothing by it: "+strings.Join(replaced, ", ")+
			". To allow who is there now, create another KMSGrant, or annotate this one with "+principals.SavedAnnotation)
	return nil
}

// key finds the grant's key, and whether the grant can be of it.
func (r *Reconciler) key(ctx context.Context, grant *v1alpha1.KMSGrant) error {
	grant.Status.GrantID, grant.Status.KeyARN = kms.GrantID(grant), ""
	key, err := r.KMS.SharedByName(ctx, grant.Namespace, grant.Spec.KMSKeyRef.Name)
	switch {
	case err != nil:
		return err
	case key.Status.ARN == "":
		return fault.Waiting(v1alpha1.ReasonKeyUnusable, fmt.Errorf("KMSKey %s has no ARN yet: see its conditions", key.Name))
	case grant.Spec.KeyID != "" && grant.Spec.KeyID != key.Status.KeyID:
		return fault.Stalled(v1alpha1.ReasonKeyNotFound, fmt.Errorf("%w: KMSKey %s is %s, and the grant is of %s; delete it, or bring that key back",
			errOtherKey, key.Name, key.Status.KeyID, grant.Spec.KeyID))
	}
	grant.Status.KeyARN = key.Status.ARN
	allowed := kms.GrantOf(grant)
	if err := allowed.Check(kms.SpecOf(key), kms.UsageOf(key)); err != nil {
		return fault.Stalled(v1alpha1.ReasonUnsupportedOperation, err)
	}
	return nil
}

// summarise puts what this pass came to into status and ends it.
func (r *Reconciler) summarise(ctx context.Context, before, grant *v1alpha1.KMSGrant, err error) (ctrl.Result, error) {
	grant.Status.LastHandledReconcileAt = conditions.Echo(grant.Annotations[v1alpha1.ReconcileAnnotation])
	grant.Status.ObservedGeneration = grant.Generation
	reporter := outcome.Reporter{Client: r.Client, Events: r.Events, Now: r.Now}
	return reporter.End(ctx, &outcome.Pass{Before: before, Object: grant, Err: err, Message: "In force as " + grant.Status.GrantID})
}
