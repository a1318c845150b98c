package parameter

import (
	"context"

	"strongroom.dev/strongroom/controllers/imports"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/sealing"
)

// openSealed makes a version of the sealed value when spec has another one than before. What opened once is not opened again, so that the
// parameter outlives the key that it was sealed for, and what the API put since stays.
func (r *Reconciler) openSealed(ctx context.Context, p *pass) error {
	if len(p.index) > 0 && p.importedFrom == sourceOf(p.parameter) {
		return r.ready(ctx, p)
	}
	text := p.parameter.Spec.Sealed
	key, err := r.Parameters.KMS.SealedFor(ctx, p.parameter.Namespace, text)
	if err != nil {
		return imports.SealedFault(err, "parameter")
	}
	value, err := r.Parameters.KMS.OpenSealed(ctx, key, p.sealingScope(), text)
	if err != nil {
		return imports.SealedFault(err, "parameter")
	}
	if err := r.putIfOther(ctx, p, value); err != nil {
		return err
	}
	p.importedFrom = sourceOf(p.parameter)
	return nil
}

// sealingScope is what a value must have been sealed for. x and /x are one parameter.
func (p *pass) sealingScope() sealing.Scope {
	return sealing.Scope{Kind: "Parameter", Account: arn.Account(p.arn), Region: arn.Region(p.arn), Name: p.parameter.CanonicalName()}
}
