// Package outcome is how a pass over an object ends, whatever its kind: the conditions, the one write of status, the events, and
// when to look again.
package outcome

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/fault"
)

// Object is an object of any kind of Strongroom's.
type Object interface {
	client.Object
	GetConditions() []metav1.Condition
	SetConditions(conditions []metav1.Condition)
}

// Reporter ends passes.
type Reporter struct {
	// Client writes status.
	Client client.Client
	// Events tells users what happened.
	Events events.EventRecorder
	// Now is the clock.
	Now func() time.Time
}

// Pass is what a pass came to.
type Pass struct {
	// Before is the object as it was read, and Object as it is to be: its status has all facts but the conditions.
	Before, Object Object
	// Err is why the pass ended early, nil if it did not.
	Err error
	// Message says of an object that is Ready what is true.
	Message string
	// Requeue is when to look again if all went well, 0 for never.
	Requeue time.Duration
	// Committed is what follows once status is written. It may be nil.
	Committed func(ctx context.Context) error
	// Quiet are the reasons that no event is worth: they are told elsewhere.
	Quiet []string
	// Expected are the reasons that are nothing to be warned of in the first seconds of an object: what it waits for is often applied with it. Their event is Normal then.
	Expected []string
	// Patient are the reasons that cost a request to look into, and for what is waited in vain is looked for less and less often.
	Patient []string
}

// End sets the conditions, writes status if anything is other than before, and decides when to look again.
//
// Crash-safe: it is the only write of status in a pass and carries the resource version that the pass read, so of two passes one
// commits, and the other starts over.
func (r Reporter) End(ctx context.Context, p *Pass) (ctrl.Result, error) {
	set := p.Object.GetConditions()
	conditions.Summarise(&set, p.Object.GetGeneration(), p.Err, v1alpha1.ReasonSucceeded, p.Message)
	p.Object.SetConditions(set)
	err := r.Write(ctx, p.Before, p.Object)
	if LostRace(err) && p.Err != nil && fault.Of(p.Err).RetryAfter > 0 {
		return Again(err) // the fault is no error to the queue, and the pass that is made again tells it
	}
	if err != nil {
		return Again(errors.Join(p.Err, err))
	}
	if p.Committed != nil {
		if err := p.Committed(ctx); err != nil {
			return Again(errors.Join(p.Err, err))
		}
	}
	if p.Err != nil {
		return r.failed(p)
	}
	return ctrl.Result{RequeueAfter: p.Requeue}, nil
}

// Write writes an object's status, unless it is as before.
func (r Reporter) Write(ctx context.Context, before, obj Object) error {
	if equality.Semantic.DeepEqual(before, obj) {
		return nil
	}
	if err := r.Client.Status().Update(ctx, obj); err != nil {
		return fmt.Errorf("writing status: %w", err)
	}
	return nil
}

// failed tells of a fault that is news and decides when to look again. One that only somebody's change mends is no error to the
// queue.
func (r Reporter) failed(p *Pass) (ctrl.Result, error) {
	f := fault.Of(p.Err)
	before := meta.FindStatusCondition(p.Before.GetConditions(), v1alpha1.ConditionReady)
	news := before == nil || before.Reason != f.Reason || before.Status != metav1.ConditionFalse
	if news && f.Reason != v1alpha1.ReasonProgressing && !slices.Contains(p.Quiet, f.Reason) {
		r.Events.Eventf(p.Object, nil, r.severity(p, f.Reason), f.Reason, "Reconcile", "%s", fault.Message(p.Err))
	}
	if f.RetryAfter == 0 {
		return Again(p.Err)
	}
	after := f.RetryAfter
	if slices.Contains(p.Patient, f.Reason) && !f.Stalled && !news {
		after = min(max(after, r.Now().Sub(before.LastTransitionTime.Time)/4), longestWait)
	}
	return ctrl.Result{RequeueAfter: jittered(after)}, nil
}

// settling is how long what an object waits for may be on its way with it: kubectl apply and GitOps tools apply the objects of a file or a directory one by one.
const settling = 10 * time.Second

// severity is the type of the event that tells a reason.
func (r Reporter) severity(p *Pass, reason string) string {
	if slices.Contains(p.Expected, reason) && r.Now().Sub(p.Object.GetCreationTimestamp().Time) < settling {
		return corev1.EventTypeNormal
	}
	return corev1.EventTypeWarning
}

// longestWait is how often something that does not come is looked for in the end.
const longestWait = 5 * time.Minute

// jittered spreads retries by up to a tenth.
func jittered(d time.Duration) time.Duration { return d + rand.N(d/10+1) }

// lostRace is how soon a pass is made again that another writer came before. The watch mostly asks for it sooner.
const lostRace = 200 * time.Millisecond

// Again leaves an error to the queue, which logs it and backs off. That another writer came first is no error: a request of the
// gateway and a pass of a controller may write one object, and one of them looks again.
func Again(err error) (ctrl.Result, error) {
	if LostRace(err) {
		return ctrl.Result{RequeueAfter: jittered(lostRace)}, nil
	}
	return ctrl.Result{}, err
}

// LostRace tells whether an error is nothing but another writer's having come first. A fault is more than that: a target that
// somebody else keeps changing is told.
func LostRace(err error) bool {
	return apierrors.IsConflict(err) && fault.Of(err).Reason == v1alpha1.ReasonProgressing
}
