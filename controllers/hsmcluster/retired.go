package hsmcluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/internal/hsmnodes"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

const (
	// sweepInterval is how often deleted clusters are looked at whose recovery window may be over.
	sweepInterval = time.Hour
	// eraseTimeout is how long one may take, so that it does not keep the others waiting.
	eraseTimeout = time.Minute
	// firstErasure is how long one that could not be erased waits for the next try, twice as long each time up to sweepInterval.
	firstErasure = time.Minute
)

// erasures are the deleted clusters that could not be erased: how often in a row, and until when each is left alone.
type erasures map[types.NamespacedName]erasure

type erasure struct {
	failures int
	next     time.Time
}

// failed puts a failure on record.
func (e erasures) failed(name types.NamespacedName, now time.Time) {
	failures := e[name].failures
	e[name] = erasure{failures + 1, now.Add(min(firstErasure<<min(failures, 10), sweepInterval))}
}

// due tells whether a cluster is to be tried now.
func (e erasures) due(name types.NamespacedName, now time.Time) bool {
	return !now.Before(e[name].next)
}

// wait is how long nothing is to be done.
func (e erasures) wait(now time.Time) time.Duration {
	wait := sweepInterval
	for _, one := range e {
		wait = min(wait, one.next.Sub(now))
	}
	return max(wait, time.Second)
}

// Sweep erases what is left of deleted clusters whose recovery window is over, until ctx ends. It answers nil. A manager.Runnable that the leader alone runs.
func (r *Reconciler) Sweep(ctx context.Context) error {
	for {
		if err := r.SweepOnce(ctx); err != nil && ctx.Err() == nil {
			ctrl.LoggerFrom(ctx).Error(err, "erasing what is left of deleted HSMClusters; each is tried again, ever more slowly, up to once an hour")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(r.erasures.wait(r.Now())):
		}
	}
}

// SweepOnce looks once. One that cannot be erased keeps no other from it: the error says which, and why.
func (r *Reconciler) SweepOnce(ctx context.Context) error {
	if r.Host == nil {
		return nil
	}
	if r.erasures == nil {
		r.erasures = erasures{}
	}
	all, err := r.Clusters.Retirees(ctx)
	now, former := r.Now(), r.erasures
	r.erasures = erasures{} // of those that are still to be erased
	for i := range all {
		name := all[i].Name
		if one, ok := former[name]; ok {
			r.erasures[name] = one
		}
		if !r.erasures.due(name, now) {
			continue
		}
		if failed := r.eraseInTime(ctx, &all[i]); failed != nil {
			err = errors.Join(err, fmt.Errorf("HSMCluster %s: %w", name, failed))
			r.erasures.failed(name, now)
			continue
		}
		delete(r.erasures, name)
	}
	return err
}

func (r *Reconciler) eraseInTime(ctx context.Context, retired *cloudhsm.Retired) error {
	ctx, cancel := context.WithTimeout(ctx, eraseTimeout)
	defer cancel()
	return r.erase(ctx, retired)
}

// erase takes the tokens of a cluster away, and then its credentials. Without a host there are no tokens that could be reached.
func (r *Reconciler) erase(ctx context.Context, retired *cloudhsm.Retired) error {
	return r.Clusters.Erase(ctx, retired, func(ctx context.Context) error {
		if r.Host == nil {
			return nil
		}
		return r.Host.Erase(ctx, hsmnodes.Cluster{ID: cloudhsm.ClusterID(retired.Name.Namespace, retired.Name.Name)})
	})
}
