package kmskey

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/schedule"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/store"
)

var (
	errTooManyRotations = errors.New("too many rotations on demand")
	errManagedPolicy    = errors.New("spec.policy is not in force: the key of a service has a policy that nobody can change, as in AWS KMS; remove it, or create another KMSKey")
	errNotRotated       = errors.New("the material of an asymmetric key, whose public key is known elsewhere, and of one in a custom key store is not rotated")
)

// rotationInput is all that the decision to rotate a key depends on.
type rotationInput struct {
	hasMaterial bool
	enabled     bool
	// fixed tells that keys of this spec are not rotated.
	fixed bool
	// requested is the rotate annotation; handled is its value that was handled last.
	requested, handled string
	onDemand           int32
	// periodInDays is 0 where automatic rotation is off.
	periodInDays int
	// last is from when the period counts.
	last, now time.Time
	seed      string
}

type rotationDecision struct {
	// make tells that new material is to be made, rotation why; it is empty for the first.
	make     bool
	rotation v1alpha1.RotationType
	// next is the time of the next automatic rotation, zero for none.
	next time.Time
}

// decideRotation is the decision whether to make key material. A disabled key is not rotated, as in AWS KMS.
func decideRotation(in rotationInput) (rotationDecision, error) {
	var out rotationDecision
	var refused error // does not keep automatic rotation
	if in.fixed {
		out.make = !in.hasMaterial
		if in.hasMaterial && in.requested != "" {
			refused = fmt.Errorf("%w: remove the annotation %s and create another KMSKey", errNotRotated, v1alpha1.RotateAnnotation)
		}
		return out, refused
	}
	if !in.hasMaterial {
		out.make = true
	} else if in.enabled && in.requested != "" && in.requested != in.handled {
		if in.onDemand < kms.MaximumOnDemandRotations {
			out.make, out.rotation = true, v1alpha1.RotationOnDemand
		} else {
			refused = fmt.Errorf("%w: AWS KMS allows %d a key; remove the annotation %s and create another KMSKey",
				errTooManyRotations, kms.MaximumOnDemandRotations, v1alpha1.RotateAnnotation)
		}
	}
	if in.periodInDays == 0 || !in.enabled {
		return out, refused
	}
	if in.hasMaterial {
		decision := schedule.DecidePeriod(in.last, in.now, in.periodInDays, in.seed)
		if !decision.Due { // one on demand does not change when the automatic one is
			out.next = decision.At
			return out, refused
		}
		out.make, out.rotation = true, v1alpha1.RotationAutomatic // which answers a request too
	}
	out.next = schedule.DecidePeriod(in.now, in.now, in.periodInDays, in.seed).At
	return out, refused
}

// material makes the first key material, and the next when it is time. New material is stored first; that status lists
// it as current commits the rotation. Material that an earlier pass stored is what CreateMaterial returns.
func (r *Reconciler) material(ctx context.Context, p *pass) error {
	status := &p.key.Status
	may, contested, err := r.mayRotate(ctx, p)
	if err != nil || contested != nil && len(status.KeyMaterials) == 0 { // which would get material that the other has not
		return cmp.Or(err, contested)
	}
	rotationEnabled(p)
	in := rotationOf(p, may)
	var sequence int64 = 1
	if in.hasMaterial {
		sequence = status.KeyMaterials[len(status.KeyMaterials)-1].Sequence + 1
	}
	for slices.Contains(p.leftOut, store.Name(v1alpha1.EnvelopeKeyMaterial, status.ARN, sequence)) {
		sequence++ // its name is taken
	}
	decision, refused := decideRotation(in)
	if decision.make {
		made, err := r.KMS.CreateMaterial(ctx, p.key, status.KeyID, status.ARN, sequence, decision.rotation,
			keys.TryTurn(p.key.Namespace, string(p.key.UID)))
		if err != nil {
			return err
		}
		status.KeyMaterials = append(status.KeyMaterials, made)
		kms.SortMaterials(status)
	}
	if in.enabled && refused == nil {
		status.LastHandledRotateAt = in.requested
	}
	status.NextRotationTime = nil
	if !decision.next.IsZero() {
		next := metav1.NewTime(decision.next).Rfc3339Copy()
		status.NextRotationTime = &next
		p.requeue = max(decision.next.Sub(p.now), time.Second)
	}
	if refused != nil {
		reason := v1alpha1.ReasonTooManyRotations
		if errors.Is(refused, errNotRotated) {
			reason = v1alpha1.ReasonUnsupportedOperation
		}
		p.refused = fault.Stalled(reason, refused)
	}
	p.refused = cmp.Or(contested, p.refused)
	return nil
}

// rotationEnabled notes since when automatic rotation is on. A key whose status was lost is rotated rather too early than too late: the period counts from its material.
func rotationEnabled(p *pass) {
	status := &p.key.Status
	since := kms.RotationEnabledSince(p.key, p.now)
	switch {
	case since.IsZero():
		status.RotationEnabledTime = nil
	case status.RotationEnabledTime == nil && len(p.former.KeyMaterials) == 0 && len(status.KeyMaterials) > 0: // the index was rebuilt
		status.RotationEnabledTime = new(metav1.NewTime(kms.LastAutomaticRotation(status.KeyMaterials).Truncate(time.Second)))
	default:
		status.RotationEnabledTime = new(metav1.NewTime(since))
	}
}

// rotationOf is what the decision to rotate depends on; may tells that the key is rotated at all.
func rotationOf(p *pass, may bool) rotationInput {
	status := &p.key.Status
	in := rotationInput{
		hasMaterial:  len(status.KeyMaterials) > 0,
		enabled:      kms.Enabled(p.key) && !kms.Scheduled(p.key) && may,
		fixed:        !kms.Rotates(p.key),
		requested:    conditions.Echo(p.key.Annotations[v1alpha1.RotateAnnotation]),
		handled:      status.LastHandledRotateAt,
		onDemand:     status.OnDemandRotations,
		periodInDays: kms.RotationPeriod(kms.RotationOf(p.key)),
		now:          p.now,
		seed:         string(p.key.UID),
	}
	if p.restored || p.resumed {
		in.handled = in.requested // the material that was found may be the answer to it
	}
	if since := status.RotationEnabledTime; in.hasMaterial && since != nil {
		in.last = kms.RotationCountsFrom(status.KeyMaterials, since.UTC())
	}
	return in
}

// verify opens every material, so that a lost or exchanged Envelope is known before it is needed. Its error is the first one's.
func (r *Reconciler) verify(ctx context.Context, p *pass) error {
	var first error
	for _, m := range p.key.Status.KeyMaterials {
		err := r.KMS.VerifyMaterial(ctx, p.key, m)
		lost := errors.Is(err, store.ErrMissing) || errors.Is(err, store.ErrTampered) || errors.Is(err, cloudhsm.ErrUnavailable)
		if err != nil && !lost {
			return cmp.Or(first, err) // sealed says nothing about the key
		}
		p.unavailable = p.unavailable || lost && m.State == v1alpha1.KeyMaterialCurrent
		first = cmp.Or(first, err)
	}
	p.verified = true
	return cmp.Or(first, leftOut(p.leftOut))
}

// sealing publishes the line by which values are sealed for the key. It is derived again at each pass: somebody may have put a key of
// their own there, to read what is sealed next.
func (r *Reconciler) sealing(ctx context.Context, p *pass) error {
	p.key.Status.SealingPublicKey = ""
	if state := kms.State(p.key, p.unavailable); !kms.Seals(p.key) || state != v1alpha1.KeyStateEnabled && state != v1alpha1.KeyStateUpdating {
		return nil
	}
	line, err := r.KMS.SealingPublicKey(ctx, p.key)
	p.key.Status.SealingPublicKey = line
	return err
}

// bind settles whom the policy's ARNs mean. It comes early, so that no failure of a later step leaves a changed policy to whoever is made
// under a name.
func (r *Reconciler) bind(ctx context.Context, p *pass) error {
	named := passes.PolicyPrincipals{Object: p.key, Binding: &p.key.Status.PolicyBinding, Conditions: &p.key.Status.Conditions}
	if !kms.Managed(p.key) {
		named.Policy = p.key.Spec.Policy
	}
	if named.Policy != nil {
		named.Compiled, _ = kms.ParsePolicy(named.Policy.Raw) // the step policy tells
	}
	passes.TellStrangeKeys(named.Conditions, p.key.Generation, named.Compiled)
	return passes.BindPrincipals(ctx, r.Client, named)
}

// policy says whether the key's policy can be understood. The key does all else; by the AWS APIs, one that cannot lets nobody in. That of a service's own key is not in force.
func (r *Reconciler) policy(_ context.Context, p *pass) error {
	if err := kms.CheckManaged(p.key); err != nil {
		return err
	}
	if p.key.Spec.Policy == nil {
		return nil
	}
	if kms.Managed(p.key) {
		return fault.Stalled(v1alpha1.ReasonUnsupportedOperation, errManagedPolicy)
	}
	if _, err := kms.ParsePolicy(p.key.Spec.Policy.Raw); err != nil {
		return fault.Stalled(v1alpha1.ReasonMalformedPolicyDocument, fmt.Errorf("spec.policy: %w", err))
	}
	return nil
}
