// Package parametertree reconciles ParameterTrees: it shows the parameters below a path as one ConfigMap or core Secret, and keeps that
// current.
//
// A tree keeps nothing of its own: its parameters' versions are theirs. A pass reads them, writes the projection, restarts, and writes
// status, in this order; each can be repeated.
package parametertree

import (
	"cmp"
	"context"
	"errors"
	"time"

	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/fairshare"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/internal/store"
)

// Reconciler reconciles ParameterTrees.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Parameters finds parameters and reads their versions.
	Parameters *parameterstore.Service
	// Keyring is looked at before anything is read.
	Keyring *keyring.Holder
	// Projector writes targets.
	Projector *projection.Projector
	// Slots are how many passes are made at once, shared by namespaces; nil sets no limit. A pass reads all parameters of its namespace, so one that has
	// many trees of many parameters would otherwise keep others' waiting with each change.
	Slots *fairshare.Slots
	// Pace is how much the trees of a namespace write; nil sets no limit.
	Pace *Pace
	// Events tells users what happened.
	Events events.EventRecorder
	// Now is the clock.
	Now func() time.Time
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=parametertrees,verbs=get;list;watch
// +kubebuilder:rbac:groups=strongroom.dev,resources=parametertrees/status,verbs=update

// pass is what one reconciliation knows. Steps read and change it; nothing else carries facts between them.
type pass struct {
	tree *v1alpha1.ParameterTree
	// before is the object as it was read, and former its status.
	before *v1alpha1.ParameterTree
	former *v1alpha1.ParameterTreeStatus
	now    time.Time

	arn, region string
	// members are the parameters that are to be shown, by their keys of data.
	members map[string]parameterstore.Member
	// turn is how the pass was let in.
	turn turn
	// shown tells that the target is as it is to be. size is what it costs to write it once, 0 if that is not known, and spent what this pass has written.
	shown       bool
	size, spent int64
	// rests tells that values were taken out of the target, and that the rest waits for the tree's turn.
	rests bool
	// requeue is when to look again, 0 for never.
	requeue time.Duration
}

// Reconcile makes one pass over a ParameterTree.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	tree := &v1alpha1.ParameterTree{}
	if found, err := passes.Begin(ctx, r.Keyring, r.Client, req, tree); !found {
		if err == nil {
			r.Pace.forget(req.NamespacedName)
		}
		return ctrl.Result{}, err
	}
	if store.BeingDeleted(tree) {
		return r.terminate(ctx, tree)
	}
	before := tree.DeepCopy()
	p := &pass{tree: tree, before: before, former: &before.Status, region: r.regionOf(tree), now: r.Now()}
	var err error
	if p.turn, err = r.hold(ctx, p); p.turn.held() || err != nil {
		return ctrl.Result{RequeueAfter: p.turn.wait}, err
	}
	if r.Slots != nil {
		release, wait := r.Slots.Acquire(req.Namespace, req.String())
		if release == nil {
			return ctrl.Result{RequeueAfter: wait}, nil
		}
		defer release()
	}
	defer func() { r.Pace.settle(p) }()
	return r.summarise(ctx, p, r.run(ctx, p))
}

// terminate takes a tree out of force that was deleted, while finalizers of others hold its object: nobody would take the values of parameters that are gone out of its target.
func (r *Reconciler) terminate(ctx context.Context, tree *v1alpha1.ParameterTree) (ctrl.Result, error) {
	r.Pace.forget(client.ObjectKeyFromObject(tree))
	before := tree.DeepCopy()
	p := &pass{tree: tree, before: before, former: &before.Status, now: r.Now()}
	wanted := &projection.Former{Name: tree.TargetName()} // a status that was lost does not know what is shown
	if tree.Spec.Target.ConfigMap != nil {
		wanted = &projection.Former{ConfigMap: true, Name: tree.ConfigMapName()}
	}
	if err := r.Projector.Collect(ctx, tree, p.owner(), p.formerTarget(), wanted); err != nil {
		return outcome.Again(err)
	}
	tree.Status.Projection, tree.Status.Parameters = nil, 0
	return r.reporter().Terminating(ctx, before, tree)
}

// run is the order of steps. What cannot be shown whole is not shown: what was there before stays, but for the values of parameters that are gone.
func (r *Reconciler) run(ctx context.Context, p *pass) error {
	if p.tree.Spec.Suspend {
		return passes.ErrSuspended
	}
	err := passes.Run(ctx, p, r.identify, r.gather, r.project)
	if errors.Is(err, projection.ErrMore) {
		p.rests = true
		return r.withdraw(ctx, p)
	}
	if err != nil && !p.shown && !outcome.LostRace(err) {
		err = fault.Join(err, r.withdraw(ctx, p))
	}
	return err
}

// regionOf is the region of a tree's parameters.
func (r *Reconciler) regionOf(t *v1alpha1.ParameterTree) string {
	return cmp.Or(t.Spec.Region, r.Parameters.Region)
}

// identify settles the account of the tree's parameters, and the ARN of all that is below the path. No parameter has that ARN, since no
// name has a star.
func (r *Reconciler) identify(ctx context.Context, p *pass) error {
	id, err := account.Resolve(ctx, r.Client, p.tree.Namespace)
	if err != nil {
		return err
	}
	path := p.tree.Spec.Path
	if path == "/" {
		path = ""
	}
	p.arn = arn.Parameter(p.region, id, path+"/*")
	return nil
}
