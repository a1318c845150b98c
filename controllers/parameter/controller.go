// Package parameter reconciles Parameters: it makes their versions, keeps them as Envelopes, and projects them into ConfigMaps and
// native Kubernetes Secrets.
//
// A pass changes nothing but through its steps, in this order, each of which can be repeated: Envelope, projection, restarts, status.
// The status holds the index of versions, so writing it commits; a pass that ends before finds the Envelope and goes on with it.
package parameter

import (
	"context"
	"time"

	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/store"
)

// Reconciler reconciles Parameters.
type Reconciler struct {
	// Client reads from the cache and writes. Live reads from the API server.
	Client client.Client
	Live   client.Reader
	// Parameters stores and reads versions.
	Parameters *parameterstore.Service
	// Keyring makes digests.
	Keyring *keyring.Holder
	// Projector writes targets.
	Projector *projection.Projector
	// Events tells users what happened.
	Events events.EventRecorder
	// Now is the clock.
	Now func() time.Time
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=parameters,verbs=get;list;watch
// +kubebuilder:rbac:groups=strongroom.dev,resources=parameters/status,verbs=update

// pass is what one reconciliation knows. Steps read and change it; nothing else carries facts between them.
type pass struct {
	parameter *v1alpha1.Parameter
	// before is the object as it was read, and former its status.
	before *v1alpha1.Parameter
	former *v1alpha1.ParameterStatus
	now    time.Time

	arn   string
	index versions.Index
	// value is the latest version's, once a step has opened or made it. secure tells that it is a SecureString's, by its Envelope.
	value  secretbytes.Bytes
	secure bool
	// indexed tells that index is known, so that it may be committed; versioned that the step version is done; restored that the
	// versions of a deleted object came back, and found that versions were which status did not name.
	indexed, versioned, restored, found bool
	importedFrom                        string
	// foundFrom is where the value came from of a parameter that was restored.
	foundFrom string
	// requeue is when to look again, 0 for never; plan is when the policies ask for that, however the pass ends.
	requeue, plan time.Duration
	// deleted tells that the parameter has expired and is gone. again is when to make the pass anew that has ended with nothing to say: somebody changed or
	// deleted the parameter first, or the API server's clock is a little behind.
	deleted bool
	again   time.Duration
}

func (p *pass) subject() sealed.Subject {
	return parameterstore.SubjectUnder(p.parameter, p.arn)
}

// Reconcile makes one pass over a Parameter.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	parameter := &v1alpha1.Parameter{}
	if found, err := passes.Begin(ctx, r.Keyring, r.Client, req, parameter); !found {
		if err == nil {
			r.Projector.Forget(req.Namespace, projection.Owner{Kind: parameterstore.OwnerKind, Name: req.Name})
		}
		return ctrl.Result{}, err
	}
	if store.BeingDeleted(parameter) {
		return r.terminate(ctx, parameter)
	}
	if wait := passes.BeingMade(parameter, parameter.Status.ARN, r.Now()); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	before := parameter.DeepCopy()
	p := &pass{parameter: parameter, before: before, former: &before.Status, now: r.Now()}
	err := r.run(ctx, p)
	defer p.value.Wipe()
	switch {
	case p.deleted:
		return ctrl.Result{}, nil
	case p.again > 0:
		return ctrl.Result{RequeueAfter: p.again}, nil
	}
	return p.planned(r.summarise(ctx, p, err))
}

// run is the order of steps. What there is is shown and healed even if no new version can be made.
func (r *Reconciler) run(ctx context.Context, p *pass) error {
	if err := r.bind(ctx, p); err != nil {
		return err
	}
	if p.parameter.Spec.Suspend {
		return r.rest(ctx, p)
	}
	if err := passes.Run(ctx, p, r.identify, r.restore, r.resume); err != nil {
		return err
	}
	p.indexed = true
	if over, err := r.expire(ctx, p); over {
		return err
	}
	err := fault.Join(fault.Join(parameterstore.CheckPolicies(p.parameter), r.version(ctx, p)), passes.Understood(p.parameter.Spec.ResourcePolicy, parameterstore.ParsePolicy))
	if len(p.index) == 0 {
		return err
	}
	return fault.Join(err, r.project(ctx, p))
}
