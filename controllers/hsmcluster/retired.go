package hsmcluster

import (
	"context"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/internal/hsmnodes"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

// sweepInterval is how often deleted clusters are looked at whose recovery window may be over.
const sweepInterval = time.Hour

// Sweep erases what is left of deleted clusters whose recovery window is over, until ctx ends. It answers nil. A manager.Runnable that the leader alone runs.
func (r *Reconciler) Sweep(ctx context.Context) error {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		if err := r.SweepOnce(ctx); err != nil && ctx.Err() == nil {
			ctrl.LoggerFrom(ctx).Error(err, "erasing what is left of deleted HSMClusters; it is tried again in an hour")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// SweepOnce looks once.
func (r *Reconciler) SweepOnce(ctx context.Context) error {
	if r.Host == nil {
		return nil
	}
	all, err := r.Clusters.Retirees(ctx)
	if err != nil {
		return err
	}
	for i := range all {
		if err := r.erase(ctx, &all[i]); err != nil {
			return err
		}
	}
	return nil
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
