package kms

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/gateway"
	list "strongroom.dev/strongroom/internal/gateway/page"
	"strongroom.dev/strongroom/internal/service/kms"
)

func (o *operations) rotations() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("EnableKeyRotation", on(o, func(in *awskms.EnableKeyRotationInput) asked {
			days := fmt.Sprint(*periodOr(in.RotationPeriodInDays, kms.DefaultRotationDays))
			return asked{keyID: in.KeyId, conditions: kms.Conditions{More: iam.Map{"kms:rotationperiodindays": {days}}}}
		}), o.enableKeyRotation),
		gateway.Op("DisableKeyRotation", on(o, func(in *awskms.DisableKeyRotationInput) asked { return asked{keyID: in.KeyId} }),
			o.disableKeyRotation),
		gateway.Op("GetKeyRotationStatus", on(o, func(in *awskms.GetKeyRotationStatusInput) asked {
			return asked{keyID: in.KeyId, how: idAnywhere}
		}), o.getKeyRotationStatus, gateway.ReadOnly),
		gateway.Op("RotateKeyOnDemand", on(o, func(in *awskms.RotateKeyOnDemandInput) asked { return asked{keyID: in.KeyId} }),
			o.rotateKeyOnDemand),
		gateway.Op("ListKeyRotations", on(o, func(in *awskms.ListKeyRotationsInput) asked { return asked{keyID: in.KeyId} }),
			o.listKeyRotations, gateway.ReadOnly),
	}
}

// automatic refuses what would have a key rotated by the calendar, for which imported material cannot be made.
func automatic(key *v1alpha1.KMSKey) error {
	if kms.External(key) {
		return unsupported("%s has the origin EXTERNAL, whose key material is not rotated automatically.", key.Status.ARN)
	}
	return rotatable(key)
}

// rotatable refuses what would rotate a key that has one key material for ever, or a replica by itself. Its rotation status can be asked for, and is off.
// https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html
func rotatable(key *v1alpha1.KMSKey) error {
	if kms.IsReplica(key) && kms.SpecOf(key).Rotates() {
		return unsupported("%s is a replica key, which is rotated at its primary key.", key.Status.ARN)
	}
	return rotated(key)
}

// rotated refuses a key that never has a second key material: an asymmetric or HMAC key, and one in a custom key store.
func rotated(key *v1alpha1.KMSKey) error {
	if spec := kms.SpecOf(key); !spec.Rotates() {
		return unsupported("%s has the key spec %s, whose key material is not rotated.", key.Status.ARN, spec)
	}
	if kms.InModule(key) {
		return unsupported("%s is in a custom key store, where key material is not rotated.", key.Status.ARN)
	}
	return nil
}

func periodOr(value *int32, usual int32) *int32 {
	if value == nil {
		return &usual
	}
	return value
}

func (o *operations) enableKeyRotation(ctx context.Context, _ *gateway.Call, in *awskms.EnableKeyRotationInput, t target) (
	*awskms.EnableKeyRotationOutput, error,
) {
	days := *periodOr(in.RotationPeriodInDays, kms.DefaultRotationDays)
	if days < 90 || days > 2560 {
		return nil, validation("1 validation error detected: Value '%d' at 'rotationPeriodInDays' failed to satisfy constraint: "+
			"Member must have value between 90 and 2560", days)
	}
	if err := automatic(t.key); err != nil {
		return nil, err
	}
	return &awskms.EnableKeyRotationOutput{}, o.change(ctx, t.key, keys.EnableKeyRotation, func(k *v1alpha1.KMSKey) {
		k.Spec.Rotation = &v1alpha1.KeyRotation{Enabled: true, PeriodInDays: days}
	})
}

func (o *operations) disableKeyRotation(ctx context.Context, _ *gateway.Call, _ *awskms.DisableKeyRotationInput, t target) (
	*awskms.DisableKeyRotationOutput, error,
) {
	if err := automatic(t.key); err != nil {
		return nil, err
	}
	return &awskms.DisableKeyRotationOutput{}, o.change(ctx, t.key, keys.DisableKeyRotation, func(k *v1alpha1.KMSKey) {
		k.Spec.Rotation = nil
	})
}

// getKeyRotationStatus answers for a replica what its primary has.
// https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-overview.html#mrk-sync-properties
func (o *operations) getKeyRotationStatus(ctx context.Context, _ *gateway.Call, _ *awskms.GetKeyRotationStatusInput, t target) (
	*awskms.GetKeyRotationStatusOutput, error,
) {
	if err := stateError(t.key, keys.GetKeyRotationStatus); err != nil {
		return nil, err
	}
	out, of := &awskms.GetKeyRotationStatusOutput{KeyId: &t.key.Status.ARN}, t.key
	if kms.IsReplica(t.key) {
		primary, err := o.Primary(ctx, t.key)
		if primary == nil || err != nil {
			return out, answer(t.key, err)
		}
		of = primary
	}
	if start := kms.OnDemandRotationStart(of); !start.IsZero() {
		out.OnDemandRotationStartDate = aws.Time(start)
	}
	rotation := kms.RotationOf(of)
	if rotation == nil || !rotation.Enabled {
		return out, nil
	}
	out.KeyRotationEnabled = true
	out.RotationPeriodInDays = aws.Int32(int32(kms.RotationPeriod(rotation)))
	if next := kms.NextRotation(of, o.Now()); !next.IsZero() {
		out.NextRotationDate = aws.Time(next)
	}
	return out, nil
}

// rotateKeyOnDemand asks the controller, as the annotation does: AWS's rotation is made after the answer, too. What is asked for twice before the controller
// has looked is rotated once; an automatic rotation that is about to come is not joined.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_RotateKeyOnDemand.html
func (o *operations) rotateKeyOnDemand(ctx context.Context, call *gateway.Call, _ *awskms.RotateKeyOnDemandInput, t target) (
	*awskms.RotateKeyOnDemandOutput, error,
) {
	if err := rotatable(t.key); err != nil {
		return nil, err
	}
	if kms.Managed(t.key) {
		return nil, unsupported("%s is rotated by its service.", t.key.Status.ARN)
	}
	if t.key.Status.OnDemandRotations >= kms.MaximumOnDemandRotations {
		return nil, &types.LimitExceededException{Message: aws.String("The key was rotated on demand as often as it can be.")}
	}
	if err := o.promotable(ctx, t.key); err != nil {
		return nil, err
	}
	_, err := o.Change(ctx, t.key, func(k *v1alpha1.KMSKey) error {
		if err := stateError(k, keys.RotateKeyOnDemand); err != nil {
			return err
		}
		if kms.RotatesSoon(k, o.Now()) {
			return &types.ConflictException{Message: aws.String(k.Status.ARN + " is being rotated automatically, or is within the next 20 minutes.")}
		}
		metav1.SetMetaDataAnnotation(&k.ObjectMeta, v1alpha1.RotateAnnotation, kms.RequestedRotation(k, o.Now(), call.RequestID))
		return nil
	})
	return &awskms.RotateKeyOnDemandOutput{KeyId: &t.key.Status.ARN}, answer(t.key, err)
}

// listKeyRotations is for keys that can be rotated, automatically or on demand. A replica has its primary's rotations.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ListKeyRotations.html
func (o *operations) listKeyRotations(ctx context.Context, call *gateway.Call, in *awskms.ListKeyRotationsInput, t target) (
	*awskms.ListKeyRotationsOutput, error,
) {
	if err := rotated(t.key); err != nil {
		return nil, err
	}
	waiting, err := o.waitingState(ctx, t.key)
	if err != nil {
		return nil, err
	}
	entries := []types.RotationsListEntry{} // none is an empty list
	for i := range t.key.Status.KeyMaterials {
		m := &t.key.Status.KeyMaterials[i]
		if m.RotationType == "" && in.IncludeKeyMaterial != types.IncludeKeyMaterialAllKeyMaterial {
			continue // the first material is not a rotation
		}
		e := types.RotationsListEntry{
			KeyId: &t.key.Status.ARN, KeyMaterialId: &m.ID, KeyMaterialState: types.KeyMaterialState(m.State),
			RotationType: types.RotationType(m.RotationType),
		}
		if m.State == v1alpha1.KeyMaterialPendingRotation {
			e.KeyMaterialState = waiting
		}
		if m.RotationType != "" {
			e.RotationDate = aws.Time(m.CreatedTime.UTC())
		}
		o.listImport(&e, m)
		entries = append(entries, e)
	}
	at := map[string]string{} // markers are in the order of the index
	for i := range t.key.Status.KeyMaterials {
		at[t.key.Status.KeyMaterials[i].ID] = fmt.Sprintf("%s/%08d", t.key.Status.KeyID, i+1)
	}
	p, err := paged(o, list.Of(call, in), entries, func(e *types.RotationsListEntry) string { return at[*e.KeyMaterialId] }, in.Marker, in.Limit, 100, 1000)
	if err != nil {
		return nil, err
	}
	return &awskms.ListKeyRotationsOutput{Rotations: p.items, Truncated: p.truncated, NextMarker: p.next}, nil
}
