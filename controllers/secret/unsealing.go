package secret

import (
	"context"

	"strongroom.dev/strongroom/controllers/imports"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/sealing"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// openSealed makes a version of the sealed value when spec has another one than before. What opened once is not opened again, so that the
// secret outlives the key that it was sealed for. Where a rotator makes the values it is the first one and no more: the server has accepted
// others since.
func (r *Reconciler) openSealed(ctx context.Context, p *pass) error {
	_, hasValue := p.index.ByStage(versions.Current)
	if p.isResealed() && hasValue {
		p.importedFrom = sourceOf(p.secret)
		return nil
	}
	if !p.wantsImport() || hasValue && p.secret.Spec.Rotation.Rotator() {
		return nil
	}
	text := p.secret.Spec.Sealed
	key, err := r.KMS.SealedFor(ctx, p.secret.Namespace, text)
	if err != nil {
		return imports.SealedFault(err, sealedKind)
	}
	value, err := r.KMS.OpenSealed(ctx, key, p.sealingScope(), text)
	if err != nil {
		return imports.SealedFault(err, sealedKind)
	}
	defer value.Wipe()
	if err := secretsmanager.CheckValue(value); err != nil {
		return err
	}
	return r.importIfOther(ctx, p, value)
}

// sealingScope is what a value must have been sealed for.
func (p *pass) sealingScope() sealing.Scope {
	return sealing.Scope{Kind: "Secret", Account: arn.Account(p.arn), Region: arn.Region(p.arn), Name: p.secret.AWSName()}
}

// sealedKind is what messages call the object that a value was not sealed for.
const sealedKind = "secret"
