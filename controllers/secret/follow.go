package secret

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// What ends a replica's waiting is in the text.
var (
	errNoPrimary = errors.New("is not there, has no ARN yet, or is another secret by now: the values stay as they are; remove spec.replicaOf " +
		"to make this a secret of its own")
	errNotListed = errors.New("does not list the region in spec.replicaRegions: list it there, or delete this Secret")
)

// primary finds the Secret that this one is a replica of, in the cache: read it only.
func (r *Reconciler) primary(ctx context.Context, p *pass) (*v1alpha1.Secret, error) {
	if p.primary != nil {
		return p.primary, nil
	}
	of, found := p.secret.Spec.ReplicaOf, &v1alpha1.Secret{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: p.secret.Namespace, Name: of.Name}, found,
		client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading the primary %s: %w", of.Name, err)
	}
	if err != nil || r.Secrets.ARNOf(found) == "" || !r.Secrets.IsReplicaOf(p.secret, found) {
		return nil, fault.Waiting(v1alpha1.ReasonPrimaryNotFound, fmt.Errorf("the primary, Secret %s in %s, %w", of.Name, of.Region, errNoPrimary))
	}
	listed := secretsmanager.ListedRegion(found, r.Secrets.RegionOf(p.secret))
	if listed == nil {
		return nil, fault.Waiting(v1alpha1.ReasonNotReplicated, fmt.Errorf("the primary, Secret %s, %w", of.Name, errNotListed))
	}
	if err := r.Secrets.CheckReplica(p.secret, found, r.Secrets.ARNOf(found), listed); err != nil { // nor is it given a value
		return nil, fault.Waiting(v1alpha1.ReasonNotReplicated, err)
	}
	p.primary = found
	return found, nil
}

// follow gives a replica the versions and stages of its primary, as they are committed there. What the replica has stays, whatever fails.
func (r *Reconciler) follow(ctx context.Context, p *pass) error {
	p.versioned = true // a rotation that is asked for here is nobody's to make
	p.secret.Status.NextRotationTime = nil
	primary, err := r.primary(ctx, p)
	if err != nil {
		return err
	}
	if !primary.Spec.Suspend {
		p.index, err = r.Secrets.Follow(ctx, secretsmanager.Following{Replica: p.secret, Primary: primary, Of: p.subject()}, p.index)
		if err != nil {
			return err
		}
	}
	if _, has := p.index.ByStage(versions.Current); !has {
		return fault.Waiting(v1alpha1.ReasonNoValue, errPrimaryNoValue)
	}
	return r.ready(ctx, p)
}

var errPrimaryNoValue = errors.New("the primary has no value yet, or is suspended")

// bindAsPrimary lets a replica's resource policy mean whom its primary's means. Of one whose primary is gone the binding stays.
func (r *Reconciler) bindAsPrimary(ctx context.Context, p *pass) {
	if primary, err := r.primary(ctx, p); err == nil {
		secretsmanager.BindAs(p.secret, primary)
	}
	meta.RemoveStatusCondition(&p.secret.Status.Conditions, v1alpha1.ConditionPrincipalReplaced) // the primary tells
}

// detach lets go of a primary whose replica this is no more: somebody has removed spec.replicaOf, and it would be deleted with it. Crash-safe: it is
// one write, on the condition that nobody has changed the object.
func (r *Reconciler) detach(ctx context.Context, p *pass) error {
	if secretsmanager.IsReplica(p.secret) || !secretsmanager.Detach(p.before.DeepCopy()) {
		return nil
	}
	free := p.before.DeepCopy()
	secretsmanager.Detach(free)
	delete(free.Annotations, v1alpha1.ForceDeleteAnnotation) // which was said of a replica
	if err := r.Client.Update(ctx, free); err != nil {
		return fmt.Errorf("detaching Secret %s from its primary: %w", free.Name, err)
	}
	p.secret, p.before = free, free.DeepCopy()
	p.former = &p.before.Status
	return nil
}
