package hsmcluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

// blockedRecheck is how often a blocked deletion is looked at when no event asks for it.
const blockedRecheck = 10 * time.Minute

// delete stops the nodes when no KMSKey is in the cluster, and the keyring is not unsealed by it. The tokens and the PINs of one that had a domain key stay for the recovery window, so that the same
// HSMCluster, applied again, is as it was.
func (r *Reconciler) delete(ctx context.Context, p *pass) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(p.cluster, Finalizer) {
		return ctrl.Result{}, nil
	}
	name := client.ObjectKeyFromObject(p.cluster)
	holders, err := r.holders(ctx, p)
	if err != nil {
		return ctrl.Result{}, err
	}
	if holders != "" {
		return r.held(ctx, p, holders)
	}
	if r.Host != nil {
		if err := r.Host.Remove(ctx, wanted(p.cluster)); err != nil {
			return ctrl.Result{}, err
		}
	}
	r.Clusters.Close(name)
	if err := r.retire(ctx, p); err != nil {
		return outcome.Again(err)
	}
	before := p.cluster.DeepCopy()
	controllerutil.RemoveFinalizer(p.cluster, Finalizer)
	err = r.Client.Patch(ctx, p.cluster, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if client.IgnoreNotFound(err) != nil {
		return outcome.Again(fmt.Errorf("removing the finalizer: %w", err))
	}
	return ctrl.Result{}, nil
}

// retire lets go of what was made for the cluster: at once if it never had a domain key, and after the recovery window otherwise.
func (r *Reconciler) retire(ctx context.Context, p *pass) error {
	erase, err := r.Clusters.Retire(ctx, p.cluster)
	if err != nil || erase == nil || r.Host == nil && len(p.cluster.Status.Nodes) > 0 { // tokens that nobody can reach keep their PINs
		return err
	}
	return r.erase(ctx, erase)
}

// held lets a deleted cluster go on as it was: its keys are in use, so its nodes must run, and have certificates.
func (r *Reconciler) held(ctx context.Context, p *pass, holders string) (ctrl.Result, error) {
	defer p.wipe()
	failed := r.run(ctx, p)
	p.cluster.Status.Nodes = nodesOf(p)
	available(p.cluster)
	sayRoot(p)
	if err := r.blocked(ctx, p, holders+". "+howToKeep(p.cluster)); err != nil {
		return outcome.Again(errors.Join(failed, err))
	}
	if failed == nil {
		return ctrl.Result{RequeueAfter: min(p.requeue(), blockedRecheck)}, nil
	}
	if after := fault.Of(failed).RetryAfter; after != 0 {
		return ctrl.Result{RequeueAfter: after}, nil
	}
	return outcome.Again(failed)
}

// howToKeep tells who deleted a cluster by mistake how to have it on: Kubernetes takes no deletion back, but an HSMCluster of the same name finds its nodes, tokens and PINs, which nothing takes away while the
// finalizers are.
func howToKeep(hc *v1alpha1.HSMCluster) string {
	return fmt.Sprintf("To keep the cluster instead: save its manifest, remove its finalizers (kubectl patch hsmcluster %s -n %s --type=merge -p '{\"metadata\":{\"finalizers\":null}}'), "+
		"and apply it again at once; its nodes and tokens stay as they are", hc.Name, hc.Namespace)
}

// holders says what holds the cluster, and nothing if nobody does.
func (r *Reconciler) holders(ctx context.Context, p *pass) (string, error) {
	root, err := r.Clusters.IsRoot(ctx, p.cluster)
	if err != nil {
		return "", err
	}
	if root {
		return fmt.Sprintf("This cluster is the keyring's root of trust (finalizer %s): without it nothing of this installation opens", v1alpha1.RootFinalizer), nil
	}
	keys, err := cloudhsm.KeysIn(ctx, r.Client, p.cluster, r.Clusters.Namespace, "")
	if err != nil {
		return "", err
	}
	return holding(p.cluster.Namespace, keys), nil
}

// holding says which keys are in a cluster, and nothing if there are none. Those of other namespaces are counted, and not named: who may read the cluster
// may not know of them.
func holding(namespace string, keys []*v1alpha1.KMSKey) string {
	var own []string
	for _, key := range keys {
		if key.Namespace == namespace {
			own = append(own, key.Name)
		}
	}
	if len(keys) == 0 {
		return ""
	}
	said := fmt.Sprintf("KMSKeys in this cluster: %d", len(keys))
	if len(own) > 0 {
		slices.Sort(own)
		said += ", among them " + strings.Join(own[:min(len(own), 5)], ", ")
	}
	if others := len(keys) - len(own); others > 0 {
		said += fmt.Sprintf(", of other namespaces: %d", others)
	}
	return said + ": delete them first"
}

// blocked says what holds the cluster. Its nodes go on.
func (r *Reconciler) blocked(ctx context.Context, p *pass, message string) error {
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
	if err := r.reporter().Write(ctx, p.before, p.cluster); err != nil {
		return err
	}
	if !meta.IsStatusConditionTrue(p.before.Status.Conditions, v1alpha1.ConditionDeletionBlocked) {
		r.Events.Eventf(p.cluster, nil, corev1.EventTypeWarning, v1alpha1.ReasonInUse, "Delete", "%s", fault.Message(errors.New(message)))
	}
	return nil
}
