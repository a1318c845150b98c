package secret

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/internal/claim"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// The waits between attempts to replicate to a region that fails: a quarter of the time that it has failed.
const (
	firstReplicationWait   = 15 * time.Second
	longestReplicationWait = 5 * time.Minute
)

// replicate sees that each region that spec lists has its replica, shaped as this secret is, and that those of regions which it lists no more are
// gone. A region that fails holds up neither the others nor this secret. Versions are each replica's own to fetch, see follow.
//
// Crash-safe: each write can be repeated, and what was not done is seen by the next pass, which looks at the objects and not at status.
func (r *Reconciler) replicate(ctx context.Context, p *pass) {
	if secretsmanager.IsReplica(p.secret) {
		return
	}
	view := p.secret.DeepCopy() // as it will be committed
	secretsmanager.Record(&view.Status, p.arn, p.index, p.now)
	r.withdraw(ctx, p, view)
	p.secret.Status.Replication = nil
	if len(view.Spec.ReplicaRegions) == 0 {
		meta.RemoveStatusCondition(&p.secret.Status.Conditions, v1alpha1.ConditionReplicationFailing)
		return
	}
	same, err := r.Secrets.Named(ctx, view.Namespace, view.AWSName(), client.DisableReadYourWritesConsistency)
	for i := range view.Spec.ReplicaRegions {
		listed := &view.Spec.ReplicaRegions[i]
		replica, failed := (*v1alpha1.Secret)(nil), err
		if err == nil {
			replica, failed = r.region(ctx, view, listed, same)
		}
		p.secret.Status.Replication = append(p.secret.Status.Replication, noteRegion(view, replica, listed.Region, failed))
	}
	r.tellReplication(p)
}

// replicaAction is what to do about a region that is listed.
type replicaAction int

const (
	// replicaCreate makes the replica.
	replicaCreate replicaAction = iota
	// replicaKeep: there is one.
	replicaKeep
	// replicaOverwrite deletes what has the name, and makes the replica.
	replicaOverwrite
)

// replicaInput is all that the decision about a region depends on.
type replicaInput struct {
	region, name string
	// served tells that the operator serves the region; own that it is the secret's.
	served, own bool
	// taken tells that a Secret has the name there: mine, that it is a replica of this secret; sibling, that it has the ARN of one;
	// replicated, that it has replicas, or is one of another secret; stale, that it is one of an earlier secret of this object's name.
	taken, mine, sibling, replicated, stale bool
	// force allows to overwrite.
	force bool
}

// decideReplica is the decision about a region, or why it cannot be replicated to, in AWS's words where those are known.
func decideReplica(in replicaInput) (action replicaAction, why string) {
	switch {
	case in.own:
		return 0, in.region + " is the secret's own region; take it out of spec.replicaRegions."
	case !in.served:
		return 0, "Region " + in.region + " is not served; name it to the manager by --regions."
	case !in.taken:
		return replicaCreate, ""
	case in.mine:
		return replicaKeep, ""
	case in.sibling:
		return 0, "The replica in " + in.region + " was promoted to a secret of its own; take the region out of spec.replicaRegions."
	case in.replicated || in.stale && !in.force:
		return 0, "Secret name " + in.name + " is currently replicated to " + in.region + " with a different arn."
	case !in.force:
		return 0, "Secret name " + in.name + " already exists in region " + in.region + "."
	}
	return replicaOverwrite, ""
}

// withdraw deletes the replicas that were taken up and are listed no more.
func (r *Reconciler) withdraw(ctx context.Context, p *pass, view *v1alpha1.Secret) {
	replicas, err := r.Secrets.Replicas(ctx, view, client.DisableReadYourWritesConsistency)
	for i := range replicas {
		replica := &replicas[i]
		if secretsmanager.ListedRegion(view, r.Secrets.RegionOf(replica)) == nil && secretsmanager.OwnedBy(replica, view) {
			if err = r.Secrets.DeleteReplica(ctx, replica); err != nil {
				break
			}
		}
	}
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "withdrawing replicas")
		p.lookAgain(firstReplicationWait)
	}
}

// region brings the replica of one region about, and returns it.
func (r *Reconciler) region(ctx context.Context, view *v1alpha1.Secret, listed *v1alpha1.ReplicaRegion, same []v1alpha1.Secret) (*v1alpha1.Secret, error) {
	in := replicaInput{
		region: listed.Region, name: view.AWSName(), served: r.Secrets.Serves(listed.Region), own: listed.Region == r.Secrets.RegionOf(view),
		force: listed.ForceOverwriteReplicaSecret,
	}
	existing := r.holder(same, listed.Region)
	if existing != nil {
		in.taken, in.mine = true, r.Secrets.IsReplicaOf(existing, view)
		in.sibling = r.Secrets.ARNOf(existing) == secretsmanager.ReplicaARN(view.Status.ARN, view.AWSName(), listed.Region)
		of := secretsmanager.PrimaryName(existing)
		in.replicated, in.stale = len(existing.Spec.ReplicaRegions) > 0 || of != "" && of != view.Name, of == view.Name && !in.mine
	}
	action, why := decideReplica(in)
	switch {
	case why != "":
		return nil, errors.New(why)
	case action == replicaKeep:
		if err := r.Secrets.CheckReplica(existing, view, view.Status.ARN, listed); err != nil {
			return nil, err
		}
		return r.shape(ctx, view, existing, listed)
	case action == replicaOverwrite: // crash-safe: with its recovery window; if this ends here, the next pass finds the name free
		if _, err := r.Secrets.Delete(ctx, existing, 0); err != nil {
			return nil, err
		}
	}
	if err := r.Secrets.CheckNotBuried(ctx, view, listed.Region); err != nil {
		return nil, err
	}
	return r.Secrets.CreateReplica(ctx, r.Secrets.NewReplica(view, view.Status.ARN, listed), listed.Region)
}

// holder is the Secret that has the name in a region: the eldest, if several claim it.
func (r *Reconciler) holder(same []v1alpha1.Secret, region string) *v1alpha1.Secret {
	var eldest *v1alpha1.Secret
	for i := range same {
		s := &same[i]
		if r.Secrets.RegionOf(s) == region && s.DeletionTimestamp.IsZero() && (eldest == nil || claim.Before(s, eldest)) {
			eldest = s
		}
	}
	return eldest
}

// shape gives a replica what it has of this secret, if it has something else.
func (r *Reconciler) shape(ctx context.Context, view, replica *v1alpha1.Secret, listed *v1alpha1.ReplicaRegion) (*v1alpha1.Secret, error) {
	wanted := replica.DeepCopy()
	secretsmanager.Shape(wanted, view, listed)
	if equality.Semantic.DeepEqual(replica, wanted) {
		return replica, nil
	}
	if err := r.Client.Update(ctx, wanted, client.FieldOwner(secretsmanager.FieldOwner)); err != nil {
		return replica, fmt.Errorf("changing the replica %s: %w", replica.Name, err)
	}
	return wanted, nil
}

// noteRegion is what status says of a region. A replica that was in sync and lags a version behind stays so: it has it in seconds, and status is not
// written for that.
func noteRegion(view, replica *v1alpha1.Secret, region string, failed error) v1alpha1.ReplicationStatus {
	before := secretsmanager.Noted(view, region)
	out := v1alpha1.ReplicationStatus{Region: region}
	if replica != nil {
		out.SecretName = replica.Name
	}
	switch {
	case outcome.LostRace(failed) && before != nil:
		return *before
	case outcome.LostRace(failed):
		out.State = v1alpha1.ReplicationInProgress
		return out
	case failed != nil:
		out.State, out.Message = v1alpha1.ReplicationFailed, bounded(secretsmanager.ReplicationFailed(fault.Message(failed)))
		return out
	}
	out.State, out.Message = secretsmanager.StateOf(view, replica, nil)
	out.Message = bounded(out.Message)
	if out.State == v1alpha1.ReplicationInProgress && before != nil && before.State == v1alpha1.ReplicationInSync && before.SecretName == out.SecretName {
		out.State = v1alpha1.ReplicationInSync
	}
	return out
}

// bounded is a message that fits into status.
func bounded(message string) string {
	const most = 1000
	if len(message) > most {
		return strings.ToValidUTF8(message[:most], "") + "..."
	}
	return message
}

// tellReplication says in a condition, and once by an event, that a region fails, and looks again in time.
func (r *Reconciler) tellReplication(p *pass) {
	status := &p.secret.Status
	var failing []string
	for i := range status.Replication {
		if one := &status.Replication[i]; one.State == v1alpha1.ReplicationFailed {
			failing = append(failing, one.Region+": "+one.Message)
		} else if one.State == v1alpha1.ReplicationInProgress {
			p.lookAgain(firstReplicationWait)
		}
	}
	if len(failing) == 0 {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionReplicationFailing)
		return
	}
	before := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReplicationFailing)
	message := bounded(strings.Join(failing, "; "))
	wait := firstReplicationWait
	if before == nil {
		r.reporter().Tell(p.secret, outcome.Happening{
			Type: corev1.EventTypeWarning, Reason: v1alpha1.ReasonReplicationFailed, Action: "Replicate", Note: message,
		})
	} else {
		wait = min(max(p.now.Sub(before.LastTransitionTime.Time)/4, firstReplicationWait), longestReplicationWait)
	}
	conditions.Set(&status.Conditions, p.secret.Generation, v1alpha1.ConditionReplicationFailing, metav1.ConditionTrue, v1alpha1.ReasonReplicationFailed, message)
	p.lookAgain(wait)
}
