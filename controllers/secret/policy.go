package secret

import (
	"context"

	"strongroom.dev/strongroom/controllers/passes"
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
		named.Compiled, _ = secretsmanager.ParsePolicy(named.Policy.Raw) // Understood tells
	}
	return passes.BindPrincipals(ctx, r.Client, named)
}
