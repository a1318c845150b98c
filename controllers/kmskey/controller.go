// Package kmskey reconciles KMSKeys: it makes and rotates their key material, keeps it wrapped in Envelopes, and lets a
// deleted key go only when nothing needs it.
package kmskey

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/acmpca"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/store"
)

// Finalizer keeps a deleted KMSKey until nothing is encrypted under it.
const Finalizer = kms.Finalizer

// Reconciler reconciles KMSKeys.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Region is the one that ARNs name.
	Region string
	// KMS makes and opens key material; Store finds Envelopes.
	KMS   *kms.Service
	Store *store.Store
	// Authorities tells which of them sign with a key.
	Authorities *acmpca.Service
	// Keyring seals tombstones.
	Keyring *keyring.Holder
	// RootProtection says whether the root of trust is kept outside the Kubernetes API; an empty message says that it is
	// not known.
	RootProtection func() (protected bool, message string)
	// Events tells users what happened.
	Events events.EventRecorder
	// Now is the clock.
	Now func() time.Time
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=kmskeys,verbs=get;list;watch;patch;delete
// +kubebuilder:rbac:groups=strongroom.dev,resources=iamusers;iamroles,verbs=list;watch
// +kubebuilder:rbac:groups=strongroom.dev,resources=kmskeys/status,verbs=update

// pass is what one reconciliation knows.
type pass struct {
	key *v1alpha1.KMSKey
	// before is the object as it was read, and former its status.
	before *v1alpha1.KMSKey
	former *v1alpha1.KMSKeyStatus
	now    time.Time
	// restored tells that the index was rebuilt or brought back.
	restored bool
	// resumed tells that the index took in a material that an earlier pass had stored.
	resumed bool
	// unavailable tells that the current material does not open.
	unavailable bool
	// verified tells that all materials were looked at, so that unavailable means what it says.
	verified bool
	// leftOut are the Envelopes of key material that do not open and are in no index.
	leftOut []string
	// due tells that the waiting period of a scheduled deletion is over.
	due bool
	// refused says that a rotation on demand or an import was not made; all else goes on.
	refused error
	// spent tells that the key no longer has the material that the token of spec.importedMaterial brought.
	spent bool
	// requeue is when to look again, 0 for never.
	requeue time.Duration
}

// read keeps the object as it is in the API server.
func (p *pass) read() {
	p.before = p.key.DeepCopy()
	p.former = &p.before.Status
}

// Reconcile makes one pass over a KMSKey.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	key := &v1alpha1.KMSKey{}
	if found, err := passes.Begin(ctx, r.Keyring, r.Client, req, key); !found {
		return ctrl.Result{}, err
	}
	p := &pass{key: key, now: r.Now()}
	p.read()
	if kms.Gone(key) {
		return r.terminate(ctx, p)
	}
	if written, err := r.updatePrimary(ctx, p); written || err != nil { // also one that is being deleted: it is then a replica, or the primary that it was
		return outcome.Again(err) // what was written asks for the next pass
	}
	if !key.DeletionTimestamp.IsZero() {
		return r.delete(ctx, p)
	}
	if err := r.finalizer(ctx, p); err != nil {
		return outcome.Again(err)
	}
	err := r.run(ctx, p)
	if p.due && p.key.Status.ARN != "" {
		return r.expire(ctx, p, err)
	}
	return r.summarise(ctx, p, err)
}

// finalizer puts the finalizer on before there is key material that it could protect.
func (r *Reconciler) finalizer(ctx context.Context, p *pass) error {
	if controllerutil.ContainsFinalizer(p.key, Finalizer) {
		return nil
	}
	before := p.key.DeepCopy()
	controllerutil.AddFinalizer(p.key, Finalizer)
	if err := r.Client.Patch(ctx, p.key, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("adding the finalizer: %w", err)
	}
	p.read()
	return nil
}

// run is the order of steps. What was refused on the way is told with whatever ends them, and first of all if that is a key without material: it is why.
func (r *Reconciler) run(ctx context.Context, p *pass) error {
	err := passes.Run(ctx, p, r.schedule, r.identify, r.consents, r.bind, r.restore, r.resume, r.expireImports, r.rotate, r.importMaterial, r.verify, r.sealing, r.policy)
	if err != nil {
		return fault.Join(err, p.refused)
	}
	return fault.Join(p.refused, awaitImport(p))
}
