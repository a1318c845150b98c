package secret

import (
	"context"
	"errors"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/generation"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// version makes sure that there is a current version, and makes the next one when it is time. A replica takes its primary's.
func (r *Reconciler) version(ctx context.Context, p *pass) error {
	if secretsmanager.IsReplica(p.secret) {
		return r.follow(ctx, p)
	}
	current, hasCurrent := p.index.ByStage(versions.Current)
	in := rotationInput{
		hasCurrent: hasCurrent,
		generated:  p.secret.Spec.Generate != nil,
		rotated:    p.secret.Spec.Rotation.Rotator(),
		begun:      p.begun() != "",
		resting:    p.resting(),
		requested:  p.requested(),
		handled:    p.secret.Status.LastHandledRotateAt,
		rotation:   p.secret.Spec.Rotation,
		last:       p.lastRotated(current),
		now:        p.now,
		seed:       string(p.secret.UID),
	}
	p.importedFrom = p.secret.Status.ImportedFrom
	if p.trigger == triggerResumed || p.trigger == triggerRestored {
		in.handled = in.requested // it was handled by the version in flight, or before status was lost
		p.importedFrom = p.foundFrom
	}
	if in.rotation == nil {
		p.secret.Status.NextRotationTime = nil
	}
	decision, err := decideRotation(in)
	if err != nil {
		return fault.Stalled(v1alpha1.ReasonInvalidSchedule, err)
	}
	p.settleTest(decision.trigger)
	if err := r.next(ctx, p, decision.trigger); err != nil {
		return err
	}
	if p.waits {
		return nil
	}
	p.scheduled(decision)
	p.versioned = true
	return r.testRotation(ctx, p)
}

// lastRotated is when the version in force came into force. That may be long after it was made: a rotation counts from its end, or a window in
// which one ended that was begun before would be used for another at once.
func (p *pass) lastRotated(current versions.Version) time.Time {
	last := p.secret.Status.LastRotatedTime
	if last == nil || last.Time.Before(current.Created) {
		return current.Created
	}
	return last.UTC()
}

// next makes the version that is wanted by whatever makes this secret's, or sees that the one after could be made.
func (r *Reconciler) next(ctx context.Context, p *pass, why trigger) error {
	_, hasCurrent := p.index.ByStage(versions.Current)
	switch {
	case p.secret.Spec.Rotation.Rotator() && (p.goesOn() || why != triggerNone):
		return r.rotateBy(ctx, p, why)
	case p.secret.Spec.ValueFrom != nil:
		if err := r.importValue(ctx, p); err != nil {
			return err
		}
	case p.secret.Spec.Sealed != "":
		if err := r.openSealed(ctx, p); err != nil {
			return err
		}
	case why != triggerNone:
		return r.generate(ctx, p, why)
	case p.secret.Spec.Generate == nil && !hasCurrent:
		return fault.Waiting(v1alpha1.ReasonNoValue, errNoValue)
	}
	return r.ready(ctx, p)
}

// ready says whether the next version could be made, long before it is due: the key for it exists and is usable, and the
// generator makes something. The account's own key may be missing, since it is made when it is wanted.
func (r *Reconciler) ready(ctx context.Context, p *pass) error {
	if p.secret.Spec.Generate != nil {
		if err := generation.Validate(p.secret.Spec.Generate); err != nil {
			return err
		}
	}
	key, err := r.KMS.ByName(ctx, p.secret.Namespace, keyName(p.secret))
	switch {
	case err == nil:
		return kms.CheckUsable(key, keys.GenerateDataKey)
	case p.secret.Spec.KMSKeyRef == nil && fault.Of(err).Reason == v1alpha1.ReasonKeyNotFound:
		return nil
	}
	return err
}

// resume commits, in this pass, the versions whose Envelopes earlier passes made before they ended, or requests that have not
// committed them yet.
func (r *Reconciler) resume(ctx context.Context, p *pass) error {
	ix, err := r.Secrets.Versions().Resume(ctx, p.subject(), p.index)
	if found := ix[min(len(p.index), len(ix)):]; len(found) > 1 || len(found) == 1 && found[0].ID != secretsmanager.TestVersion(p.secret) {
		p.foundFrom = sourceOf(p.secret)
		if p.trigger != triggerRestored {
			p.trigger = triggerResumed
		}
	}
	p.index = ix
	return err
}

func (r *Reconciler) generate(ctx context.Context, p *pass, why trigger) error {
	if err := generation.Validate(p.secret.Spec.Generate); err != nil {
		return err
	}
	value, err := generation.Of(p.secret.Spec.Generate).Generate(nil)
	if err != nil {
		return err
	}
	defer value.Wipe()
	p.importedFrom = ""
	return r.put(ctx, p, value, why)
}

// put stores a value as the next version and makes it current in this pass's index.
func (r *Reconciler) put(ctx context.Context, p *pass, value secretbytes.Bytes, why trigger) error {
	made, err := r.add(ctx, p, value, versions.Current)
	if err != nil {
		return err
	}
	if made { // not an earlier attempt's, whose value is another
		p.fresh = secretbytes.Copy(value.Reveal())
	}
	p.trigger = why
	return nil
}

// add stores a value as the next version, under the id that a rotation was begun with if there is one, and puts it under a stage in this pass's
// index. made is false if an earlier attempt stored that version, with another value.
func (r *Reconciler) add(ctx context.Context, p *pass, value secretbytes.Bytes, stage string) (made bool, err error) {
	key, err := r.key(ctx, p)
	if err != nil {
		return false, err
	}
	version, made, err := r.Secrets.Put(ctx, p.subject(), sealed.Content{
		ID: p.begun(), Sequence: p.index.Last() + 1, Stages: []string{stage}, Key: key, Value: value,
	})
	if err != nil {
		return false, err
	}
	p.index = p.index.Add(version)
	return made, nil
}

var errNoValue = errors.New("the secret has no value yet: put one with PutSecretValue, or set spec.generate, spec.valueFrom or spec.sealed")
