package secret

import (
	"context"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// bind settles whom the resource policy's ARNs mean: see passes.BindFirst. A replica's means whom its primary's means.
func (r *Reconciler) bind(ctx context.Context, p *pass) error {
	known, suspended := len(p.secret.Status.Versions) > 0, p.secret.Spec.Suspend
	if secretsmanager.IsReplica(p.secret) {
		if known || suspended {
			r.bindAsPrimary(ctx, p)
		}
		return nil
	}
	return passes.BindFirst(ctx, r.Client, passes.Binding{
		PolicyPrincipals: p.named(), Known: known, Suspended: suspended,
		Buried: func(ctx context.Context) (*v1alpha1.PolicyBinding, error) {
			if err := r.identify(ctx, p); err != nil {
				return nil, err
			}
			return r.Secrets.Versions().Buried(ctx, r.lost(p))
		},
	})
}

func (r *Reconciler) bindNow(ctx context.Context, p *pass) error {
	if secretsmanager.IsReplica(p.secret) {
		r.bindAsPrimary(ctx, p)
		return nil
	}
	return passes.BindPrincipals(ctx, r.Client, p.named())
}

// named is whom the resource policy names.
func (p *pass) named() passes.PolicyPrincipals {
	named := passes.PolicyPrincipals{
		Object: p.secret, Policy: p.secret.Spec.ResourcePolicy,
		Binding: &p.secret.Status.PolicyBinding, Conditions: &p.secret.Status.Conditions,
	}
	if named.Policy != nil {
		named.Compiled, _ = secretsmanager.ParsePolicy(named.Policy.Raw) // Understood tells
	}
	return named
}
