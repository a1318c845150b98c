package kmskey

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/service/kms"
)

// deletionInput is all that the decision depends on when a scheduled key goes.
type deletionInput struct {
	scheduled bool
	// replicas tells that there are some, or what can be had back of them: the window begins when that is gone.
	replicas bool
	window   time.Duration
	// at is the time that was settled before, zero for none.
	at time.Time
	// generation of the spec that says so, and the one that the settled time is known to hold for.
	generation, settled int64
	now                 time.Time
}

// decideDeletion settles when a key goes, zero for never, and whether it is time. The time that was settled before holds as long as no change
// of spec was missed: of several, one may have cancelled the deletion and the next begun another, whose waiting period is whole.
func decideDeletion(in deletionInput) (at time.Time, due bool) {
	switch {
	case !in.scheduled, in.replicas:
		return time.Time{}, false
	case in.at.IsZero(), in.generation-in.settled > 1, in.generation < in.settled: // the last is of a status that was restored
		return in.now.Add(in.window), false
	}
	return in.at, !in.now.Before(in.at)
}

// schedule settles when a key goes whose spec has it deleted. It comes first: no pass looks at a spec and
// misses what that says.
func (r *Reconciler) schedule(ctx context.Context, p *pass) error {
	status := &p.key.Status
	in := deletionInput{
		scheduled: kms.Scheduled(p.key), window: kms.PendingWindow(p.key), now: p.now,
		generation: p.key.Generation, settled: status.DeletionGeneration,
	}
	if in.scheduled {
		others, err := r.KMS.Outlived(ctx, p.key)
		if err != nil {
			return err
		}
		in.replicas = len(others) > 0
		for _, o := range others {
			if !o.Until.IsZero() {
				p.lookAgain(o.Until)
			}
		}
	}
	if status.DeletionTime != nil {
		in.at = status.DeletionTime.Time
	}
	at, due := decideDeletion(in)
	p.due = due
	if at.IsZero() {
		status.DeletionTime, status.DeletionGeneration = nil, 0
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionDeletionBlocked)
		return nil
	}
	when := metav1.NewTime(at).Rfc3339Copy()
	status.DeletionTime, status.DeletionGeneration = &when, p.key.Generation
	p.requeue = max(when.Sub(p.now), time.Second)
	return nil
}

// expire deletes a key whose waiting period is over, unless it is still needed: what was lost with it could not be had back.
//
// Crash-safe: the object that was looked at goes, or none: a deletion that was cancelled meanwhile is another resource version.
func (r *Reconciler) expire(ctx context.Context, p *pass, err error) (ctrl.Result, error) {
	users, failed := r.users(ctx, p)
	if failed != nil {
		return ctrl.Result{}, failed
	}
	if users != "" {
		text := users + " To keep the key instead, set spec.deletion.scheduled to false"
		news := !meta.IsStatusConditionTrue(p.former.Conditions, v1alpha1.ConditionDeletionBlocked)
		conditions.Set(&p.key.Status.Conditions, p.key.Generation, v1alpha1.ConditionDeletionBlocked, metav1.ConditionTrue, v1alpha1.ReasonInUse, text)
		p.requeue = blockedRecheck
		result, err := r.summarise(ctx, p, err)
		if err == nil && news {
			r.Events.Eventf(p.key, nil, corev1.EventTypeWarning, v1alpha1.ConditionDeletionBlocked, "Delete", "%s", text)
		}
		return result, err
	}
	if failed = r.KMS.EndReplication(ctx, p.key); failed != nil {
		return outcome.Again(failed)
	}
	failed = r.Client.Delete(ctx, p.key, client.Preconditions{UID: &p.key.UID, ResourceVersion: &p.key.ResourceVersion})
	if client.IgnoreNotFound(failed) != nil {
		return outcome.Again(fmt.Errorf("deleting the key at the end of its waiting period: %w", failed))
	}
	return ctrl.Result{}, nil
}
