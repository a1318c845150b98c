package kmskey

import (
	"context"
	"errors"
	"fmt"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keyimport"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/kms"
)

var (
	errNoMaterial     = errors.New("the key has no key material")
	errAwaitsReplicas = errors.New("all related keys are rotated at once")
)

// resumeImports is resume for a key whose material is imported: its Envelopes are a log, of which the index may lack the last ones, or others if it was set back.
// What the index of the API server has no use for any more is erased: an earlier pass, or a request, died before it was.
func (r *Reconciler) resumeImports(ctx context.Context, p *pass) error {
	if err := r.KMS.SweepImports(ctx, p.key, p.former); err != nil {
		return err
	}
	envelopes, err := r.Store.OfOwner(ctx, p.key.Namespace, kms.Owner(p.key.Name))
	if err != nil {
		return err
	}
	missing, _ := kms.UnnamedImports(envelopes, &p.key.Status)
	opened, closed, err := r.open(ctx, p, missing)
	if err != nil {
		return err
	}
	p.leftOut = closed
	if len(opened) > 0 {
		rotations := p.key.Status.OnDemandRotations
		kms.RebuildImports(&p.key.Status, opened...)
		p.resumed = p.key.Status.OnDemandRotations > rotations // an import or a deletion is no answer to a rotation that was asked for
	}
	return nil
}

// expireImports records that material has expired, which its uses know by the clock, so that it is erased.
func (r *Reconciler) expireImports(ctx context.Context, p *pass) error {
	if !kms.External(p.key) {
		return nil
	}
	if err := r.KMS.RecordExpiry(ctx, p.key); err != nil {
		return err
	}
	if next := kms.NextExpiry(p.key); !next.IsZero() {
		p.lookAgain(next)
	}
	return nil
}

// lookAgain has the next pass made at a time at the latest.
func (p *pass) lookAgain(at time.Time) {
	if after := max(at.Sub(p.now), time.Second); p.requeue == 0 || after < p.requeue {
		p.requeue = after
	}
}

// rotate makes the key's material, and has it rotated when it is time; of a key whose material is imported it is what there is to rotate to, and of a
// replica it is what its primary has.
func (r *Reconciler) rotate(ctx context.Context, p *pass) error {
	switch {
	case kms.IsReplica(p.key):
		return r.follow(ctx, p)
	case kms.External(p.key):
		return r.promote(ctx, p)
	}
	return r.material(ctx, p)
}

// promote makes the imported material current that waits for it, if the annotation asks for a rotation and each replica has the material, too.
func (r *Reconciler) promote(ctx context.Context, p *pass) error {
	status := &p.key.Status
	requested := conditions.Echo(p.key.Annotations[v1alpha1.RotateAnnotation])
	if p.restored || p.resumed {
		status.LastHandledRotateAt = requested // the material that was found may be the answer to it
	}
	may, contested, err := r.mayRotate(ctx, p)
	if err != nil || !may {
		p.refused = contested
		return err
	}
	if requested == "" || requested == status.LastHandledRotateAt || !promotes(p) {
		return nil
	}
	if p.refused, err = r.unpromoted(ctx, p.key); err != nil || p.refused != nil {
		return err
	}
	made, err := r.KMS.RecordPromotion(ctx, p.key)
	if errors.Is(err, kms.ErrNothingPending) {
		p.refused = fault.Stalled(v1alpha1.ReasonPendingImport, fmt.Errorf("rotating: %w, or remove the annotation %s", err, v1alpha1.RotateAnnotation))
		return nil
	}
	if err != nil {
		return err
	}
	kms.TakeImports(status, *made)
	status.LastHandledRotateAt = requested
	return nil
}

// promotes tells whether a key's state lets it be rotated.
func promotes(p *pass) bool {
	return kms.Enabled(p.key) && !kms.Scheduled(p.key) && !kms.AwaitsImport(p.key, p.now)
}

// unpromoted says why a rotation that is asked for is not made, nil if nothing is in its way.
func (r *Reconciler) unpromoted(ctx context.Context, key *v1alpha1.KMSKey) (refused, err error) {
	if key.Status.OnDemandRotations >= kms.MaximumOnDemandRotations {
		return fault.Stalled(v1alpha1.ReasonTooManyRotations, fmt.Errorf("%w: AWS KMS allows %d a key; remove the annotation %s and create another KMSKey",
			errTooManyRotations, kms.MaximumOnDemandRotations, v1alpha1.RotateAnnotation)), nil
	}
	awaited, err := r.KMS.AwaitedReplicas(ctx, key)
	if err != nil || len(awaited) == 0 {
		return nil, err
	}
	return fault.Stalled(v1alpha1.ReasonPendingImport, fmt.Errorf("rotating: %w: the replicas in %s lack the key material that is PENDING_ROTATION: import it there, too, or remove the annotation %s",
		errAwaitsReplicas, upToFive(awaited), v1alpha1.RotateAnnotation)), nil
}

// importMaterial imports what the spec has, once: what was imported by it is in the index, or was, and is known by its digests. What was deleted or has
// expired is not brought back by the same token and material, whatever else the spec says of it now. A token that has ended is no error as long as the
// key has what the spec says.
func (r *Reconciler) importMaterial(ctx context.Context, p *pass) error {
	from := p.key.Spec.ImportedMaterial
	if from == nil || !importable(p.key) {
		return nil
	}
	request, err := r.KMS.ImportRequest(from)
	if err != nil {
		return err
	}
	status := &p.key.Status
	handled, spent := kms.Handled(status, request, p.now)
	if p.spent = spent; handled {
		status.LastHandledImport = request.String()
		return nil
	}
	asked := kms.Import{Type: from.ImportType, Request: request.String()}
	if from.ValidTo != nil {
		asked.ValidTo = &from.ValidTo.Time
	}
	if from.Description != "" {
		asked.Description = &from.Description
	}
	made, err := r.KMS.RecordImport(ctx, p.key, kms.Wrapped{Token: from.ImportToken, Material: from.EncryptedKeyMaterial, Again: true}, asked)
	if refused := importRefusal(err); refused != nil {
		p.refused = fault.Join(p.refused, refused)
		return nil
	}
	if err != nil {
		return err
	}
	if made != nil {
		kms.TakeImports(status, *made)
		if to := made.Import.ValidTo; to != nil {
			p.lookAgain(to.Time)
		}
	}
	status.LastHandledImport = request.String()
	return nil
}

// importable tells whether material is imported into a key now.
func importable(key *v1alpha1.KMSKey) bool {
	return kms.External(key) && key.Status.KeyID != "" && !kms.Scheduled(key) && !kms.Updating(key)
}

// importRefusal is the fault of an import that only another spec.importedMaterial mends, nil for any other error.
func importRefusal(err error) error {
	for _, of := range []error{
		keyimport.ErrInvalidToken, kms.ErrImportTokenExpired, keys.ErrInvalidCiphertext, keyimport.ErrIncorrectMaterial,
		kms.ErrIncorrectMaterial, kms.ErrRotationPending, kms.ErrSymmetricOnly, kms.ErrImportParameters, kms.ErrNewAtPrimary,
	} {
		if errors.Is(err, of) {
			return fault.Stalled(v1alpha1.ReasonImportFailed, fmt.Errorf("spec.importedMaterial: %w", err))
		}
	}
	return nil
}

// awaitImport says that a key has nothing to work with, and how it gets it. It comes last: all else is done by then.
func awaitImport(p *pass) error {
	if kms.State(p.key, false) != v1alpha1.KeyStatePendingImport {
		return nil
	}
	because, id := "", p.key.Status.KeyID
	if p.key.Spec.MultiRegion {
		id += " --region " + arn.Region(p.key.Status.ARN)
	}
	if kms.IsReplica(p.key) {
		because = ": a replica gets none from its primary, and takes the same as was imported there"
	}
	if p.spent {
		because += ": what spec.importedMaterial brought was deleted or has expired, and comes back by another token"
	}
	return fault.Stalled(v1alpha1.ReasonPendingImport, fmt.Errorf("%w%s: get a public key and a token by aws kms get-parameters-for-import "+
		"--key-id %s, and import what you wrap by them, as spec.importedMaterial or by aws kms import-key-material", errNoMaterial, because, id))
}
