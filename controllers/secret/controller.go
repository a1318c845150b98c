// Package secret reconciles Secrets: it makes and rotates their versions, keeps them as Envelopes, and projects them
// into native Kubernetes Secrets.
//
// A pass changes nothing but through its steps, in this order, each of which can be repeated: Envelope, projection,
// restarts, status. The status holds the index of versions, so writing it commits; a pass that ends before finds the
// Envelope and goes on with it.
package secret

import (
	"context"
	"time"

	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/core/fairshare"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/internal/service/rotation"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/internal/store"
)

// Reconciler reconciles Secrets.
type Reconciler struct {
	// Client reads from the cache and writes. Live reads from the API server.
	Client client.Client
	Live   client.Reader
	// Region is the one that ARNs name.
	Region string
	// Secrets stores and reads versions; KMS finds keys.
	Secrets *secretsmanager.Service
	KMS     *kms.Service
	// Parameters reads versions of Parameters that targets are made of.
	Parameters *parameterstore.Service
	// Store finds the Envelopes of a secret whose index is lost.
	Store *store.Store
	// Rotations carries out what a rotation does beside making a value, and Slots are how many at once, shared by namespaces, so that
	// servers which do not answer hold up no other Secret, and those of one namespace no other's.
	Rotations *rotation.Service
	Slots     *fairshare.Slots
	// Keyring opens tombstones and makes digests.
	Keyring *keyring.Holder
	// Projector writes targets.
	Projector *projection.Projector
	// Events tells users what happened.
	Events events.EventRecorder
	// Now is the clock.
	Now func() time.Time
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=secrets,verbs=get;list;watch
// +kubebuilder:rbac:groups=strongroom.dev,resources=secrets/status,verbs=update
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// pass is what one reconciliation knows. Steps read and change it; nothing else carries facts between them.
type pass struct {
	secret *v1alpha1.Secret
	// before is the object as it was read, and former its status.
	before *v1alpha1.Secret
	former *v1alpha1.SecretStatus
	now    time.Time

	// primary is the Secret that this one is a replica of, once it was looked for.
	primary *v1alpha1.Secret
	arn     string
	index   versions.Index
	trigger trigger
	// indexed tells that index is known, so that it may be committed; versioned that the step version is done.
	indexed, versioned bool
	// waits tells that a rotation has found no slot: what asks for it goes on asking.
	waits bool
	// anew tells that the pending version was derived anew in this pass, which is done once.
	anew bool
	// fresh is the current version's value if this pass made it, so that it need not be read back.
	fresh secretbytes.Bytes
	// importedFrom is the source of the current version; foundFrom that of one which was found, not made.
	importedFrom, foundFrom string
	// requeue is when to look again, 0 for never.
	requeue time.Duration
}

// subject is whose versions this pass is about.
func (p *pass) subject() sealed.Subject {
	return sealed.Subject{Namespace: p.secret.Namespace, Name: p.secret.Name, ARN: p.arn, Reading: store.Reading(p.secret)}
}

// Reconcile makes one pass over a Secret.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	secret := &v1alpha1.Secret{}
	if found, err := passes.Begin(ctx, r.Keyring, r.Client, req, secret); !found {
		if err == nil {
			r.Projector.Forget(req.Namespace, projection.Owner{Name: req.Name})
		}
		return ctrl.Result{}, err
	}
	if store.BeingDeleted(secret) {
		return r.terminate(ctx, secret)
	}
	if secret.Annotations[v1alpha1.RequestTokenAnnotation] != "" { // a replica's object is made by this controller, and has all that it needs
		if wait := passes.BeingMade(secret, secret.Status.ARN, r.Now()); wait > 0 {
			return ctrl.Result{RequeueAfter: wait}, nil
		}
	}
	before := secret.DeepCopy()
	p := &pass{secret: secret, before: before, former: &before.Status, now: r.Now()}
	err := r.run(ctx, p)
	p.fresh.Wipe()
	return r.summarise(ctx, p, err)
}

// run is the order of steps. What there is is shown and healed even if no new version can be made.
func (r *Reconciler) run(ctx context.Context, p *pass) error {
	if err := passes.Run(ctx, p, r.detach, r.bind); err != nil {
		return err
	}
	if p.secret.Spec.Suspend {
		return passes.ErrSuspended
	}
	err := r.steps(ctx, p)
	if err != nil && !outcome.LostRace(err) {
		err = fault.Join(err, r.letGo(ctx, p))
	}
	return err
}

// steps are those of a Secret that is not suspended.
func (r *Reconciler) steps(ctx context.Context, p *pass) error {
	if err := passes.Run(ctx, p, r.identify, r.restore, r.resume); err != nil {
		return err
	}
	p.indexed = true
	err := fault.Join(r.version(ctx, p), passes.Understood(p.secret.Spec.ResourcePolicy, secretsmanager.ParsePolicy))
	if _, shown := p.index.ByStage(versions.Current); err == nil || shown {
		err = fault.Join(err, r.project(ctx, p))
	}
	r.replicate(ctx, p)
	r.reseal(ctx, p)
	return err
}
