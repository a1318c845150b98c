package parameter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/imports"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/claim"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/internal/service/principals"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/store"
)

var (
	errNameTaken = errors.New("the name is taken")
	errName      = errors.New("spec.name, or metadata.name if it is left out, can be no parameter's name")
)

// identify settles the parameter's account and ARN. An ARN that status holds stays, since ciphertexts are bound to it.
func (r *Reconciler) identify(ctx context.Context, p *pass) error {
	id, err := account.Resolve(ctx, r.Client, p.parameter.Namespace)
	if err != nil {
		return err
	}
	same, err := r.Parameters.Claimants(ctx, p.parameter.Namespace, p.parameter.CanonicalName(), client.DisableReadYourWritesConsistency)
	if err != nil {
		return err
	}
	region := r.Parameters.RegionOf(p.parameter)
	same = slices.DeleteFunc(slices.Clone(same), func(s v1alpha1.Parameter) bool { return r.Parameters.RegionOf(&s) != region || store.BeingDeleted(&s) })
	if first := claim.Elder(p.parameter, same); first != "" {
		return fault.Contested(v1alpha1.ReasonNameConflict, fmt.Errorf("%w: Parameter %s has the AWS name %s already; "+
			"set another spec.name in a new Parameter", errNameTaken, first, p.parameter.AWSName()))
	}
	own := p.parameter.Status.ARN
	if own != "" && !parameterstore.IsOwn(p.parameter, own) {
		return fmt.Errorf("%w: status.arn is another parameter's; remove it there (--subresource=status) to have it rebuilt", store.ErrTampered)
	}
	if p.arn = own; own == "" {
		if err := parameterstore.CheckName(region, id, p.parameter.AWSName()); err != nil {
			return fault.Stalled(v1alpha1.ReasonInvalidName, fmt.Errorf("%w: %w", errName, err))
		}
		p.arn = arn.Parameter(region, id, p.parameter.AWSName())
		return r.unheld(ctx, p)
	}
	p.index = parameterstore.IndexOf(p.parameter)
	return nil
}

// unheld waits for the end of a deleted object's recovery window that had the name: the Envelopes of its versions have the names of
// this one's.
func (r *Reconciler) unheld(ctx context.Context, p *pass) error {
	holder, until, err := r.Parameters.HeldBy(ctx, p.parameter.Namespace, p.arn, p.parameter.Name)
	if err != nil || holder == "" {
		return err
	}
	return fault.Waiting(v1alpha1.ReasonNameConflict, fmt.Errorf("%w: the versions of the deleted Parameter %s, which had the AWS name %s, "+
		"are kept until %s; apply that one again, or wait", errNameTaken, holder, p.parameter.AWSName(), until.Format(time.RFC3339)))
}

// restore brings back the index of a parameter that has none: it was deleted and is applied again within its recovery window, or its
// status was lost.
func (r *Reconciler) restore(ctx context.Context, p *pass) error {
	if len(p.index) > 0 {
		return nil
	}
	if err := r.recover(ctx, p); err != nil {
		return err
	}
	return r.bindNow(ctx, p)
}

// lost is the parameter as one whose versions are looked for.
func (p *pass) lost() sealed.Lost {
	return parameterstore.LostOf(p.parameter, p.arn)
}

// recover finds what is left of the parameter.
func (r *Reconciler) recover(ctx context.Context, p *pass) error {
	restored, err := r.Parameters.Versions().Restore(ctx, p.lost())
	if err != nil || restored.ARN == "" {
		return err
	}
	p.index, p.found, p.restored = restored.Index, true, restored.Deleted
	p.parameter.Status.PolicyBinding = principals.Rebound(p.parameter, p.parameter.Spec.ResourcePolicy, p.parameter.Status.PolicyBinding, restored.PolicyBinding)
	p.foundFrom = imports.Former(restored.Spec, sourceOf(p.parameter))
	if len(restored.Damaged) > 0 {
		r.reporter().Tell(p.parameter, outcome.Dropped(restored.Damaged))
	}
	return nil
}

// resume commits, in this pass, the versions whose Envelopes earlier passes made before they ended, or requests that have not
// committed them yet.
func (r *Reconciler) resume(ctx context.Context, p *pass) error {
	ix, err := r.Parameters.Versions().Resume(ctx, p.subject(), p.index)
	p.found = p.found || len(ix) > len(p.index)
	p.index = ix
	return err
}
