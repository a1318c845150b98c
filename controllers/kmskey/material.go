package kmskey

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/schedule"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/store"
)

var errTooManyRotations = errors.New("too many rotations on demand")

// rotationInput is all that the decision to rotate a key depends on.
type rotationInput struct {
	hasMaterial bool
	enabled     bool
	// requested is the rotate annotation; handled is its value that was handled last.
	requested, handled string
	onDemand           int32
	// periodInDays is 0 where automatic rotation is off.
	periodInDays int
	last, now    time.Time
	seed         string
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
	if !in.hasMaterial {
		out.make = true
	} else if in.enabled && in.requested != "" && in.requested != in.handled {
		if in.onDemand >= kms.MaximumOnDemandRotations {
			return out, fmt.Errorf("%w: AWS KMS allows %d a key; remove the annotation %s and create another KMSKey",
				errTooManyRotations, kms.MaximumOnDemandRotations, v1alpha1.RotateAnnotation)
		}
		out.make, out.rotation = true, v1alpha1.RotationOnDemand
	}
	if in.periodInDays == 0 || !in.enabled {
		return out, nil
	}
	if !out.make {
		decision := schedule.DecidePeriod(in.last, in.now, in.periodInDays, in.seed)
		if !decision.Due {
			out.next = decision.At
			return out, nil
		}
		out.make, out.rotation = true, v1alpha1.RotationAutomatic
	}
	out.next = schedule.DecidePeriod(in.now, in.now, in.periodInDays, in.seed).At
	return out, nil
}

func period(spec *v1alpha1.KeyRotation) int {
	switch {
	case spec == nil || !spec.Enabled:
		return 0
	case spec.PeriodInDays == 0:
		return kms.DefaultRotationDays
	}
	return int(spec.PeriodInDays)
}

// material makes the first key material, and the next when it is time. New material is stored first; that status lists
// it as current commits the rotation. Material that an earlier pass stored is what CreateMaterial returns.
func (r *Reconciler) material(ctx context.Context, p *pass) error {
	status := &p.key.Status
	in := rotationInput{
		hasMaterial:  len(status.KeyMaterials) > 0,
		enabled:      enabled(p.key),
		requested:    p.key.Annotations[v1alpha1.RotateAnnotation],
		handled:      status.LastHandledRotateAt,
		onDemand:     status.OnDemandRotations,
		periodInDays: period(p.key.Spec.Rotation),
		now:          p.now,
		seed:         string(p.key.UID),
	}
	if p.restored {
		in.handled = in.requested
	}
	var sequence int64 = 1
	if in.hasMaterial {
		last := status.KeyMaterials[len(status.KeyMaterials)-1]
		in.last, sequence = last.CreatedTime.UTC(), last.Sequence+1
	}
	decision, err := decideRotation(in)
	if err != nil {
		return fault.Stalled(v1alpha1.ReasonInvalidSchedule, err)
	}
	if decision.make {
		made, err := r.KMS.CreateMaterial(ctx, p.key, status.KeyID, status.ARN, sequence, decision.rotation)
		if err != nil {
			return err
		}
		status.KeyMaterials = append(status.KeyMaterials, made)
		normalise(status)
	}
	if in.enabled {
		status.LastHandledRotateAt = in.requested
	}
	status.NextRotationTime = nil
	if !decision.next.IsZero() {
		next := metav1.NewTime(decision.next).Rfc3339Copy()
		status.NextRotationTime = &next
		p.requeue = max(decision.next.Sub(p.now), time.Second)
	}
	return nil
}

// verify opens every material, so that a lost or exchanged Envelope is known before it is needed.
func (r *Reconciler) verify(ctx context.Context, p *pass) error {
	for _, m := range p.key.Status.KeyMaterials {
		if err := r.KMS.VerifyMaterial(ctx, p.key, m); err != nil {
			lost := errors.Is(err, store.ErrMissing) || errors.Is(err, store.ErrTampered)
			p.unavailable = lost && m.State == v1alpha1.KeyMaterialCurrent // sealed says nothing about the key
			return err
		}
	}
	return nil
}

func enabled(key *v1alpha1.KMSKey) bool { return key.Spec.Enabled == nil || *key.Spec.Enabled }
