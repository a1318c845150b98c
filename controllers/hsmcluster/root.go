package hsmcluster

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

var (
	errCircle = errors.New("the root of trust needs what it unseals")
	errGone   = errors.New("what the root of trust was is gone")
)

// rootOfTrust finds out whether the cluster is the keyring's root of trust. That of a former life that is gone is not made anew: nothing that is
// wrapped would open, and what a backup brings back would find another in its place.
func (r *Reconciler) rootOfTrust(ctx context.Context, p *pass) (err error) {
	name := client.ObjectKeyFromObject(p.cluster)
	p.root = meta.IsStatusConditionTrue(p.before.Status.Conditions, v1alpha1.ConditionRootOfTrust)
	if p.wraps, err = r.Clusters.Wraps(ctx, name); err != nil {
		return err
	}
	if p.root = p.wraps || cloudhsm.Claimed(p.cluster); !p.wraps {
		return nil
	}
	credentials, err := r.Clusters.ReadCredentials(ctx, name)
	if apierrors.IsNotFound(err) {
		return fault.Waiting(v1alpha1.ReasonDomainKeyLost, fmt.Errorf("%w: core Secret %s/%s, with the PINs of the tokens that wrap the keyring's domain keys, is missing; restore it from a backup, with the volumes",
			errGone, r.Clusters.Namespace, cloudhsm.CredentialsName(cloudhsm.ClusterID(name.Namespace, name.Name))))
	}
	if err != nil {
		return err
	}
	credentials.Wipe()
	return nil
}

// onlyFormer lets no domain key be made in the place of one that wraps the keyring's.
func onlyFormer(wraps bool, todo action) action {
	if wraps && todo.create {
		return action{err: fault.Stalled(v1alpha1.ReasonDomainKeyLost, fmt.Errorf("%w: the keyring's domain keys are wrapped by this cluster, and no node has a domain key: bring back the volume of a node that had it; "+
			"without it, nothing of this installation opens", errGone))}
	}
	return todo
}

// sayRoot puts into status that the cluster is the root of trust.
func sayRoot(p *pass) {
	hc := p.cluster
	if !p.root {
		meta.RemoveStatusCondition(&hc.Status.Conditions, v1alpha1.ConditionRootOfTrust)
		return
	}
	message := "This cluster's domain key wraps the keyring's domain keys: without it and core Secret " + cloudhsm.CredentialsName(hc.Status.ClusterID) + ", nothing of this installation opens"
	if hc.Spec.Size == 0 {
		message += ". It keeps one node although spec.size is 0"
	}
	conditions.Set(&hc.Status.Conditions, hc.Generation, v1alpha1.ConditionRootOfTrust, metav1.ConditionTrue, v1alpha1.ReasonInUse, message)
}

// became tells that this pass is the first that says so.
func (p *pass) becameRoot() bool {
	return p.root && !meta.IsStatusConditionTrue(p.before.Status.Conditions, v1alpha1.ConditionRootOfTrust)
}

// checkPIN refuses a PIN that Strongroom itself writes, for a cluster that must be there before Strongroom can.
func checkPIN(root bool, secret *corev1.Secret) error {
	if _, written := secret.Labels[v1alpha1.ManagedLabel]; root && written {
		return fault.Stalled(v1alpha1.ReasonCycle, fmt.Errorf("%w: core Secret %s/%s, with the PIN, is written by Strongroom (label %s); give the PIN in one that is not, and name it in spec.pkcs11.pinSecretRef",
			errCircle, secret.Namespace, secret.Name, v1alpha1.ManagedLabel))
	}
	return nil
}

// finalizersChanged lets a pass see that the cluster was claimed as the root of trust.
var finalizersChanged = predicate.Funcs{
	CreateFunc: func(event.CreateEvent) bool { return false }, DeleteFunc: func(event.DeleteEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
	UpdateFunc: func(e event.UpdateEvent) bool {
		return !slices.Equal(e.ObjectOld.GetFinalizers(), e.ObjectNew.GetFinalizers())
	},
}
