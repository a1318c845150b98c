// Package envelope looks after Envelopes whose object is gone or no longer names them: it puts a tombstone over those of
// a deleted object, deletes them when the recovery window ends, and sweeps what an interrupted pass left behind.
//
// It works by owner: one reconciliation is of all Envelopes of one object.
package envelope

import (
	"context"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/store"
)

// Owner is a request: the object whose Envelopes are to be looked at.
type Owner struct{ Kind, Namespace, Name string }

func (o Owner) reference() v1alpha1.EnvelopeOwner {
	return v1alpha1.EnvelopeOwner{Kind: o.Kind, Name: o.Name}
}

// Reconciler reconciles the Envelopes of objects.
type Reconciler struct {
	// Client reads from the cache.
	Client client.Client
	// Store keeps Envelopes.
	Store *store.Store
	// Keyring seals tombstones.
	Keyring *keyring.Holder
	// Now is the clock.
	Now func() time.Time

	// deleted holds the last state of objects whose deletion was seen, until their tombstone is stored, or for lateWrites if they
	// have none. Losing it loses the spec in the tombstone and no more: the recovery window is then the longest.
	deleted sync.Map // Owner → object
}

// Reconcile looks after the Envelopes of one owner.
func (r *Reconciler) Reconcile(ctx context.Context, owner Owner) (reconcile.Result, error) {
	if err := r.Keyring.AwaitAttempt(ctx); err != nil {
		return reconcile.Result{}, err
	}
	r.expire(owner)
	seen, _ := r.deleted.Load(owner)
	object, err := r.object(ctx, r.Client, owner, client.UnsafeDisableDeepCopy)
	if err != nil {
		return reconcile.Result{}, err
	}
	envelopes, err := r.left(ctx, owner)
	if err != nil {
		return reconcile.Result{}, err
	}
	object.weigh(envelopes)
	var next time.Duration
	for subject, group := range bySubject(envelopes) {
		wait, err := r.subject(ctx, owner, object, subject, group)
		if err != nil {
			if f := fault.Of(err); f.RetryAfter > 0 {
				return reconcile.Result{RequeueAfter: f.RetryAfter}, nil
			}
			return reconcile.Result{}, err
		}
		if wait > 0 && (next == 0 || wait < next) {
			next = wait
		}
	}
	return reconcile.Result{RequeueAfter: shorter(next, r.forget(owner, seen))}, nil
}

// left are the Envelopes of an owner that are not being deleted: what holds one of those is not Strongroom's, and there is no way back for it.
func (r *Reconciler) left(ctx context.Context, owner Owner) ([]v1alpha1.Envelope, error) {
	envelopes, err := r.Store.OfOwner(ctx, owner.Namespace, owner.reference())
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(envelopes), func(e v1alpha1.Envelope) bool { return store.BeingDeleted(&e) }), nil
}

// forget lets go of a deleted object's last state, of which all that was wanted is done; one of a later deletion stays. That of an
// object deleted without a window is kept for the versions that come late: the result is for how long, 0 if it is not.
func (r *Reconciler) forget(owner Owner, seen any) time.Duration {
	last, ok := seen.(*object)
	switch {
	case !ok:
		return 0
	case !last.forced || last.arn == "":
		r.deleted.CompareAndDelete(owner, seen)
		return 0
	case last.late.IsZero():
		last.late = r.Now().Add(lateWrites) // passes over one owner come one after another
	}
	return last.late.Sub(r.Now())
}

// expire forgets an object deleted without a window when the time for its late versions is over.
func (r *Reconciler) expire(owner Owner) {
	seen, _ := r.deleted.Load(owner)
	if last, ok := seen.(*object); ok && !last.late.IsZero() && !r.Now().Before(last.late) {
		r.deleted.CompareAndDelete(owner, seen)
	}
}

// subject decides about the Envelopes of one subject and does it. Versions go before their tombstone, so that what a
// crash leaves is found again.
func (r *Reconciler) subject(ctx context.Context, owner Owner, object *object, subject string, group []v1alpha1.Envelope) (
	time.Duration, error,
) {
	used, err := r.keyInUse(ctx, owner, subject)
	if err != nil {
		return 0, err
	}
	in := input{now: r.Now(), object: object, subject: subject, envelopes: group, forged: r.forged(group), keyInUse: used}
	last := r.seen(owner, subject)
	if last != nil {
		in.born, in.forced, in.deleted = last.born, last.forced, last.deleted
	}
	if object.mayTake(subject) && slices.ContainsFunc(group, func(e v1alpha1.Envelope) bool { return store.Condemned(&e) }) {
		return 0, r.absolve(ctx, owner, subject, group) // each asks for the next look
	}
	d := decide(in)
	if err := r.erase(ctx, d.undone); err != nil { // a crash after this finds no tombstone, and stores one
		return 0, err
	}
	if d.entomb {
		if err := r.entomb(ctx, owner, subject, group); err != nil {
			return 0, err
		}
	}
	if len(d.delete) == 0 {
		return d.wait, nil
	}
	if object != nil && object.arn == subject {
		return d.wait, r.sweep(ctx, owner, in, d)
	}
	return d.wait, r.eraseGone(ctx, owner, subject, d.delete)
}

// eraseGone deletes Envelopes of an owner that the cache does not have, or has as another subject's, unless one that may take them over is there by now: its status then asks for the next look.
func (r *Reconciler) eraseGone(ctx context.Context, owner Owner, subject string, envelopes []v1alpha1.Envelope) error {
	_, err := r.Store.EraseUnless(ctx, envelopes, r.Now(), func(ctx context.Context) (bool, error) {
		live, err := r.now(ctx, owner)
		return live.mayTake(subject), err
	})
	return err
}

// sweep deletes what the index of an owner does not name, if it is so by the API server too. That is asked after the Envelopes were read, so none goes that the owner takes over meanwhile: store.Take.
func (r *Reconciler) sweep(ctx context.Context, owner Owner, in input, d decision) error {
	live, err := r.object(ctx, r.Store.Live, owner)
	if err != nil || live == nil || live.arn != in.subject { // which asks for the next look
		return err
	}
	in.object = live
	now := decide(in)
	for i := range d.delete {
		e := &d.delete[i]
		if !slices.ContainsFunc(now.delete, func(other v1alpha1.Envelope) bool { return other.UID == e.UID }) {
			continue
		}
		if err := r.Store.Delete(ctx, e); err != nil && !apierrors.IsConflict(err) { // who has written to it asks for the next look
			return err
		}
	}
	return nil
}

// absolve takes the marks from the Envelopes of an owner that is there: whoever made them has not looked yet, or died before. Until it is done, the
// owner takes none of them. Those of an erasure that has begun go. The API server is asked whether the owner is there: a cache that does not know of its deletion yet must not undo what that has marked.
func (r *Reconciler) absolve(ctx context.Context, owner Owner, subject string, group []v1alpha1.Envelope) error {
	if live, err := r.now(ctx, owner); err != nil || !live.mayTake(subject) { // which asks for the next look
		return err
	}
	for i := range group {
		if e := &group[i]; store.Condemned(e) {
			if err := r.Store.Absolve(ctx, e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Reconciler) erase(ctx context.Context, envelopes []v1alpha1.Envelope) error {
	for i := range envelopes {
		if err := r.Store.Delete(ctx, &envelopes[i]); err != nil {
			return err
		}
	}
	return nil
}

// forged are the tombstones that are none of Strongroom's.
func (r *Reconciler) forged(group []v1alpha1.Envelope) map[types.UID]bool {
	out := map[types.UID]bool{}
	for i := range group {
		if e := &group[i]; e.Spec.Class == v1alpha1.EnvelopeTombstone && store.Forged(r.Keyring, e) {
			out[e.UID] = true
		}
	}
	return out
}

// keyInUse tells whether a subject is a key under which something is encrypted.
func (r *Reconciler) keyInUse(ctx context.Context, owner Owner, subject string) (bool, error) {
	if owner.Kind != kindKMSKey {
		return false, nil
	}
	holders, err := r.Store.OfKey(ctx, owner.Namespace, subject)
	return len(holders) > 0, err
}

// entomb puts a tombstone over what a deleted object left. It asks the API server whether the object is gone: the cache learns of a new object's Envelope before it learns of the object at times, and a
// tombstone over what lives would be taken for the object's last words when it is deleted.
func (r *Reconciler) entomb(ctx context.Context, owner Owner, subject string, group []v1alpha1.Envelope) error {
	if live, err := r.now(ctx, owner); err != nil || live.mayTake(subject) { // which asks for the next look
		return err
	}
	ring, err := r.Keyring.Get()
	if err != nil {
		return err
	}
	last := r.lastState(owner, subject, group)
	now := r.Now()
	e, err := store.NewTombstone(ring, owner.Namespace, owner.reference(), subject, last.tombstone, now, now.Add(last.window))
	if err != nil {
		return err
	}
	if _, err := r.Store.Create(ctx, e); err != nil {
		if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			return nil // the namespace and all its Envelopes go with it
		}
		return err
	}
	return nil
}

// subjectOf is the ARN of the object that an Envelope is of: a record of what an authority issued goes with the authority.
func subjectOf(e *v1alpha1.Envelope) string {
	if isRecord(e) {
		return arn.Authority(e.Spec.Subject)
	}
	return e.Spec.Subject
}

// isRecord tells whether an Envelope is what an authority knows of a certificate that it issued to somebody else.
func isRecord(e *v1alpha1.Envelope) bool {
	return (e.Spec.Class == v1alpha1.EnvelopeIssuedCertificate || e.Spec.Class == v1alpha1.EnvelopeRevocation) && e.Spec.ExpireTime != nil
}

func bySubject(envelopes []v1alpha1.Envelope) map[string][]v1alpha1.Envelope {
	out := map[string][]v1alpha1.Envelope{}
	for i := range envelopes {
		subject := subjectOf(&envelopes[i])
		out[subject] = append(out[subject], envelopes[i])
	}
	return out
}
