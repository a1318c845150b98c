package kmskey

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/store"
)

// What ends a replica's waiting is in the text.
var (
	errNoPrimary = errors.New("is not there, has no id yet, or is no multi-Region primary key of this keySpec, keyUsage and id: the key works on with what it has; " +
		"remove spec.replicaOf to make this the primary, if no other key is")
	errNotListed = errors.New("does not name this KMSKey as the region's replica in spec.replicaRegions: list the region there, with the name if that is not the " +
		"primary's with the region, or delete this KMSKey")
	errNotTheFirst = errors.New("had another KMSKey of this name as the region's replica, and gives its key material to no other: take the region out of its spec.replicaRegions, " +
		"and list it again when its status.replicas does not have it any more, or delete this KMSKey and use aws kms replicate-key")
	errPrimaryLeaving = errors.New("is scheduled for deletion or being deleted, and gets no new replica: keep it, or delete this KMSKey")
	errRotatesThere   = errors.New("a replica has the key material of its primary")
	errTwoPrimaries   = errors.New("the id has two primaries, of which neither is rotated")
	errAhead          = errors.New("lacks key material that this key has, so that what is encrypted under that does not open there: make this key the primary again " +
		"(aws kms update-primary-region does it in an order that loses nothing)")
)

// mayComeBack refuses a multi-Region key the material that its name had, as long as there is a primary of that id which does not name it: the material is that one's
// too, and whoever may make KMSKeys is not thereby asked for it.
func (r *Reconciler) mayComeBack(ctx context.Context, key *v1alpha1.KMSKey) error {
	if !key.Spec.MultiRegion {
		return nil
	}
	primary, err := r.KMS.OtherPrimary(ctx, key)
	if primary == nil || err != nil {
		return err
	}
	if r.KMS.IsReplicaOf(key, primary) {
		if consents, err := r.KMS.Consents(ctx, primary, key); consents || err != nil {
			return err
		}
	}
	return fault.Waiting(v1alpha1.ReasonNotReplicated, fmt.Errorf("the primary of the id %s, KMSKey %s, %w", key.Status.KeyID, primary.Name, r.unmeant(primary, key)))
}

// unmeant says why a KMSKey is not the replica that a primary means.
func (r *Reconciler) unmeant(primary, key *v1alpha1.KMSKey) error {
	if kms.Lists(primary, kms.RegionOf(key, r.Region), key.Name) {
		return errNotTheFirst
	}
	return errNotListed
}

// consents forgets which replicas the key had in regions that it does not list any more.
func (r *Reconciler) consents(_ context.Context, p *pass) error {
	kms.EndConsents(p.key)
	return nil
}

// updatePrimary goes on with a change of the primary that this key was the primary before, and tells whether it has written: the pass then ends, since the key
// is another by now.
func (r *Reconciler) updatePrimary(ctx context.Context, p *pass) (written bool, err error) {
	if p.key.Annotations[v1alpha1.PrimaryUpdateAnnotation] == "" {
		return false, nil
	}
	if u, ok := kms.UpdateOf(p.key); ok && u.From == p.key.Name {
		err := r.KMS.AdvancePrimary(ctx, p.key)
		if errors.Is(err, kms.ErrPrimaryStays) { // the change is over, and the key's conditions tell
			r.Events.Eventf(p.key, nil, corev1.EventTypeWarning, v1alpha1.ConditionPrimaryUpdateFailed, "UpdatePrimary", "%s", fault.Message(err))
			err = nil
		}
		return true, err
	}
	return r.KMS.EndStaleUpdate(ctx, p.key)
}

// identifyReplica gives a replica its primary's id. Without a primary it goes on: a replica that is had back knows its id by its Envelopes.
func (r *Reconciler) identifyReplica(ctx context.Context, p *pass, account string) error {
	primary, err := r.KMS.Primary(ctx, p.key)
	if primary == nil || err != nil || arn.Account(primary.Status.ARN) != account {
		return err
	}
	if consents, err := r.KMS.Consents(ctx, primary, p.key); !consents || err != nil {
		return err
	}
	settled := p.key.DeepCopy()
	kms.IdentifyReplica(settled, primary, r.Region)
	if err := r.idIsFree(ctx, settled); err != nil {
		return err
	}
	p.key.Status.KeyID, p.key.Status.ARN = settled.Status.KeyID, settled.Status.ARN
	return nil
}

// follow gives a replica the materials of its primary, as they are committed there. What the replica has stays, whatever fails: that is told at the end, and
// fails the pass of a replica that has nothing. One whose material is imported has none of its primary's, and follows what is said of it there.
func (r *Reconciler) follow(ctx context.Context, p *pass) error {
	status := &p.key.Status
	status.NextRotationTime = nil
	p.refused = unrotated(p.key)
	if kms.Updating(p.key) {
		return nil
	}
	err := r.followPrimary(ctx, p)
	_, waits := errors.AsType[*fault.Fault](err)
	goesOn := len(status.KeyMaterials) > 0 || kms.External(p.key) && status.KeyID != ""
	if goesOn && (waits || errors.Is(err, store.ErrMissing) || errors.Is(err, store.ErrTampered)) {
		p.refused = errors.Join(p.refused, err)
		return nil
	}
	return err
}

func (r *Reconciler) followPrimary(ctx context.Context, p *pass) error {
	of := p.key.Spec.ReplicaOf
	primary, err := r.KMS.Primary(ctx, p.key)
	switch {
	case err != nil:
		return err
	case primary == nil:
		return fault.Waiting(v1alpha1.ReasonPrimaryNotFound, fmt.Errorf("the primary, KMSKey %s in %s, %w", of.Name, of.Region, errNoPrimary))
	}
	consents, err := r.KMS.Consents(ctx, primary, p.key)
	switch {
	case err != nil:
		return err
	case !consents:
		return fault.Waiting(v1alpha1.ReasonNotReplicated, fmt.Errorf("the primary, KMSKey %s, %w", of.Name, r.unmeant(primary, p.key)))
	case p.key.Status.KeyID == "":
		return fault.Waiting(v1alpha1.ReasonPrimaryNotFound, fmt.Errorf("the primary, KMSKey %s in %s, %w", of.Name, of.Region, errNoPrimary))
	case kms.Ahead(p.key, primary):
		return fault.Stalled(v1alpha1.ReasonConflict, fmt.Errorf("the primary, KMSKey %s, %w", of.Name, errAhead))
	case len(p.key.Status.KeyMaterials) == 0 && leaving(primary):
		return fault.Waiting(v1alpha1.ReasonNotReplicated, fmt.Errorf("the primary, KMSKey %s, %w", of.Name, errPrimaryLeaving))
	}
	p.key.Status.RotationEnabledTime = primary.Status.RotationEnabledTime.DeepCopy() // it goes on from there if this becomes the primary
	if kms.External(p.key) {
		return r.KMS.FollowImports(ctx, p.key, primary)
	}
	return r.KMS.Follow(ctx, p.key, primary)
}

// unrotated says that a rotation that is asked for at a replica is its primary's, nil if none is. It is handled when it is asked for there.
func unrotated(key *v1alpha1.KMSKey) error {
	asked := conditions.Echo(key.Annotations[v1alpha1.RotateAnnotation])
	if asked == "" || asked == key.Status.LastHandledRotateAt { // the latter is of the time when it was the primary
		return nil
	}
	return fault.Stalled(v1alpha1.ReasonUnsupportedOperation, fmt.Errorf("%w: remove the annotation %s, and annotate KMSKey %s",
		errRotatesThere, v1alpha1.RotateAnnotation, key.Spec.ReplicaOf.Name))
}

// mayRotate tells whether a key is rotated at all: a multi-Region one is if no other claims to be the primary of that id, and no change of the primary is under
// way. Otherwise the fault says why it is not, nil if it will be by itself.
func (r *Reconciler) mayRotate(ctx context.Context, p *pass) (bool, error, error) {
	if !p.key.Spec.MultiRegion {
		return true, nil, nil
	}
	other, err := r.KMS.OtherPrimary(ctx, p.key)
	if err != nil {
		return false, nil, err
	}
	if other != nil {
		return false, fault.Contested(v1alpha1.ReasonNameConflict, fmt.Errorf("%w: KMSKey %s is one too; give one of the two a spec.replicaOf that names the other",
			errTwoPrimaries, other.Name)), nil
	}
	return !kms.Updating(p.key), nil, nil
}

// relatives asks for passes over the replicas of a key that has changed in what they have of it, and over the primary of a replica that is gone, which the primary's
// deletion may wait for.
func (r *Reconciler) relatives() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			if key, ok := e.Object.(*v1alpha1.KMSKey); ok && key.Spec.MultiRegion && !e.IsInInitialList {
				r.askReplicas(ctx, key, q.Add)
			}
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			before, ok1 := e.ObjectOld.(*v1alpha1.KMSKey)
			after, ok2 := e.ObjectNew.(*v1alpha1.KMSKey)
			if ok1 && ok2 && after.Spec.MultiRegion {
				r.askRelatives(ctx, before, after, q.Add)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			if key, ok := e.Object.(*v1alpha1.KMSKey); ok && key.Spec.MultiRegion {
				askPrimary(key, q.Add)
				r.askReplicas(ctx, key, q.Add)
			}
		},
	}
}

// askRelatives asks for passes over those that a change of a key means something to.
func (r *Reconciler) askRelatives(ctx context.Context, before, after *v1alpha1.KMSKey, add func(ctrl.Request)) {
	goes := kms.Gone(after) && !kms.Gone(before) // though its object stays
	if goes || news(before, after) {
		r.askReplicas(ctx, after, add)
	}
	if goes || !equality.Semantic.DeepEqual(before.Spec.ReplicaOf, after.Spec.ReplicaOf) || imported(before, after) {
		askPrimary(before, add)
		askPrimary(after, add)
	}
}

// news tells that a primary has changed in what replicas have of it, or need of it.
func news(before, after *v1alpha1.KMSKey) bool {
	return before.Generation != after.Generation || before.Status.KeyID != after.Status.KeyID || kms.Lacks(before, after) || imported(before, after) ||
		before.Annotations[v1alpha1.PrimaryUpdateAnnotation] != after.Annotations[v1alpha1.PrimaryUpdateAnnotation]
}

// imported tells that a key's imported material has changed, for which its primary may wait, or its replicas may.
func imported(before, after *v1alpha1.KMSKey) bool {
	return kms.External(after) && !equality.Semantic.DeepEqual(before.Status.KeyMaterials, after.Status.KeyMaterials)
}

func askPrimary(key *v1alpha1.KMSKey, add func(ctrl.Request)) {
	if of := key.Spec.ReplicaOf; of != nil {
		add(passes.Request(key.Namespace, of.Name))
	}
}

func (r *Reconciler) askReplicas(ctx context.Context, primary *v1alpha1.KMSKey, add func(ctrl.Request)) {
	for _, request := range own.Find(ctx, r.Client, client.InNamespace(primary.Namespace), client.MatchingFields{kms.ReplicaIndex: primary.Name}) {
		add(request)
	}
}

// replicasOf says what holds a primary of what has its material, empty for nothing.
func (r *Reconciler) replicasOf(ctx context.Context, key *v1alpha1.KMSKey) (string, error) {
	others, err := r.KMS.Outlived(ctx, key)
	if err != nil {
		return "", err
	}
	var replicas, left, says []string
	for _, o := range others {
		if o.Deleted {
			left = append(left, o.String())
		} else {
			replicas = append(replicas, o.String())
		}
	}
	if len(replicas) > 0 {
		says = append(says, fmt.Sprintf("%d KMSKeys are replicas of this key: %s. Delete them first, or make one of them the primary (aws kms update-primary-region).",
			len(replicas), upToFive(replicas)))
	}
	if len(left) > 0 {
		says = append(says, fmt.Sprintf("%d replicas were deleted and can be had back with this key's material: %s. It goes when their windows have ended.",
			len(left), upToFive(left)))
	}
	return strings.Join(says, " "), nil
}
