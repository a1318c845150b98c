package parameter

import (
	"context"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// bind settles whom the resource policy's ARNs mean: see passes.BindFirst.
func (r *Reconciler) bind(ctx context.Context, p *pass) error {
	return passes.BindFirst(ctx, r.Client, passes.Binding{
		PolicyPrincipals: p.named(), Known: len(p.parameter.Status.Versions) > 0, Suspended: p.parameter.Spec.Suspend,
		Buried: func(ctx context.Context) (*v1alpha1.PolicyBinding, error) {
			if err := r.identify(ctx, p); err != nil {
				return nil, err
			}
			return r.Parameters.Versions().Buried(ctx, p.lost())
		},
	})
}

func (r *Reconciler) bindNow(ctx context.Context, p *pass) error {
	return passes.BindPrincipals(ctx, r.Client, p.named())
}

// named is whom the resource policy names.
func (p *pass) named() passes.PolicyPrincipals {
	named := passes.PolicyPrincipals{
		Object: p.parameter, Policy: p.parameter.Spec.ResourcePolicy,
		Binding: &p.parameter.Status.PolicyBinding, Conditions: &p.parameter.Status.Conditions,
	}
	if named.Policy != nil {
		named.Compiled, _ = parameterstore.ParsePolicy(named.Policy.Raw) // Understood tells
	}
	return named
}
