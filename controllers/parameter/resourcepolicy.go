package parameter

import (
	"context"

	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// bind settles whom the resource policy's ARNs mean. It comes first, of a parameter that is suspended too, so that nothing leaves a changed
// policy to whoever is made under a name. Of a parameter that may yet be restored it comes with restore: it may have been bound before.
func (r *Reconciler) bind(ctx context.Context, p *pass) error {
	if len(p.parameter.Status.Versions) == 0 && !p.parameter.Spec.Suspend {
		return nil
	}
	return r.bindNow(ctx, p)
}

func (r *Reconciler) bindNow(ctx context.Context, p *pass) error {
	named := passes.PolicyPrincipals{
		Object: p.parameter, Policy: p.parameter.Spec.ResourcePolicy,
		Binding: &p.parameter.Status.PolicyBinding, Conditions: &p.parameter.Status.Conditions,
	}
	if named.Policy != nil {
		named.Compiled, _ = parameterstore.ParsePolicy(named.Policy.Raw) // Understood tells
	}
	return passes.BindPrincipals(ctx, r.Client, named)
}
