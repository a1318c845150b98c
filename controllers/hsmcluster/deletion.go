package hsmcluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/service/kms"
)

// blockedRecheck is how often a blocked deletion is looked at when no event asks for it.
const blockedRecheck = 10 * time.Minute

// delete stops the nodes when no KMSKey is in the cluster. The tokens and the PINs stay, so that the same HSMCluster, applied again, is as it was.
func (r *Reconciler) delete(ctx context.Context, p *pass) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(p.cluster, Finalizer) {
		return ctrl.Result{}, nil
	}
	var keys v1alpha1.KMSKeyList
	name := client.ObjectKeyFromObject(p.cluster)
	if err := r.Client.List(ctx, &keys, client.MatchingFields{kms.KeyStoreIndex: name.String()}); err != nil {
		return ctrl.Result{}, fmt.Errorf("looking for KMSKeys in the cluster: %w", err)
	}
	if len(keys.Items) > 0 {
		if err := r.blocked(ctx, p, keys.Items); err != nil {
			return outcome.Again(err)
		}
		return ctrl.Result{RequeueAfter: blockedRecheck}, nil
	}
	if r.Host != nil {
		if err := r.Host.Remove(ctx, wanted(p.cluster)); err != nil {
			return ctrl.Result{}, err
		}
	}
	r.Clusters.Close(name)
	before := p.cluster.DeepCopy()
	controllerutil.RemoveFinalizer(p.cluster, Finalizer)
	err := r.Client.Patch(ctx, p.cluster, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if client.IgnoreNotFound(err) != nil {
		return outcome.Again(fmt.Errorf("removing the finalizer: %w", err))
	}
	return ctrl.Result{}, nil
}

// blocked says what holds the cluster. Its nodes go on.
func (r *Reconciler) blocked(ctx context.Context, p *pass, keys []v1alpha1.KMSKey) error {
	var names []string
	for i := range keys[:min(len(keys), 5)] {
		names = append(names, keys[i].Namespace+"/"+keys[i].Name)
	}
	message := fmt.Sprintf("%d KMSKeys are in this cluster, among them %s: delete them first", len(keys), strings.Join(names, ", "))
	status := &p.cluster.Status
	status.ObservedGeneration, status.State = p.cluster.Generation, v1alpha1.HSMClusterDeleteInProgress
	for _, c := range []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		meta.RemoveStatusCondition(&status.Conditions, c)
	}
	for _, c := range []struct {
		kind   string
		status metav1.ConditionStatus
	}{{v1alpha1.ConditionDeletionBlocked, metav1.ConditionTrue}, {v1alpha1.ConditionReady, metav1.ConditionFalse}} {
		conditions.Set(&status.Conditions, p.cluster.Generation, c.kind, c.status, v1alpha1.ReasonInUse, message)
	}
	return r.reporter().Write(ctx, p.before, p.cluster)
}
