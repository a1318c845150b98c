package secret

import (
	"context"
	"fmt"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// bind settles whom the resource policy's ARNs mean. It comes first, of a secret that is suspended too, so that nothing leaves a changed
// policy to whoever is made under a name. Of a secret that may yet be restored it comes with restore: it may have been bound before.
func (r *Reconciler) bind(ctx context.Context, p *pass) error {
	if len(p.secret.Status.Versions) == 0 && !p.secret.Spec.Suspend {
		return nil
	}
	return r.bindNow(ctx, p)
}

func (r *Reconciler) bindNow(ctx context.Context, p *pass) error {
	if secretsmanager.IsReplica(p.secret) {
		r.bindAsPrimary(ctx, p)
		return nil
	}
	named := passes.PolicyPrincipals{
		Object: p.secret, Policy: p.secret.Spec.ResourcePolicy,
		Binding: &p.secret.Status.PolicyBinding, Conditions: &p.secret.Status.Conditions,
	}
	if named.Policy != nil {
		named.Compiled, _ = secretsmanager.ParsePolicy(named.Policy.Raw) // the step policy tells
	}
	return passes.BindPrincipals(ctx, r.Client, named)
}

// policy says whether the resource policy can be understood. The secret does all else; by the AWS API, one that cannot lets nobody in.
func (r *Reconciler) policy(p *pass) error {
	if p.secret.Spec.ResourcePolicy == nil {
		return nil
	}
	if _, err := secretsmanager.ParsePolicy(p.secret.Spec.ResourcePolicy.Raw); err != nil {
		return fault.Stalled(v1alpha1.ReasonMalformedPolicyDocument, fmt.Errorf("spec.resourcePolicy: %w", err))
	}
	return nil
}
