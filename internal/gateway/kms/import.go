package kms

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/keyimport"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/kms"
)

// imports are the operations on keys of origin EXTERNAL.
// https://docs.aws.amazon.com/kms/latest/developerguide/importing-keys.html
func (o *operations) imports() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("GetParametersForImport", on(o, func(in *awskms.GetParametersForImportInput) asked {
			return asked{keyID: in.KeyId, conditions: kms.Conditions{More: iam.Map{
				"kms:wrappingalgorithm": {string(in.WrappingAlgorithm)}, "kms:wrappingkeyspec": {string(in.WrappingKeySpec)},
			}}}
		}), o.getParametersForImport, gateway.ReadOnly),
		gateway.Op("ImportKeyMaterial", on(o, func(in *awskms.ImportKeyMaterialInput) asked {
			return asked{keyID: in.KeyId, conditions: kms.Conditions{More: importConditions(in)}}
		}), o.importKeyMaterial),
		gateway.Op("DeleteImportedKeyMaterial", on(o, func(in *awskms.DeleteImportedKeyMaterialInput) asked {
			return asked{keyID: in.KeyId}
		}), o.deleteImportedKeyMaterial),
	}
}

// importConditions are the condition keys of ImportKeyMaterial.
// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-expiration-model
func importConditions(in *awskms.ImportKeyMaterialInput) iam.Map {
	more := iam.Map{"kms:expirationmodel": {string(expirationModel(in))}}
	if in.ValidTo != nil {
		more["kms:validto"] = []string{in.ValidTo.UTC().Format(time.RFC3339Nano)}
	}
	return more
}

// expirationModel is what is asked for: material expires unless it is said that it does not.
func expirationModel(in *awskms.ImportKeyMaterialInput) types.ExpirationModelType {
	return cmp.Or(in.ExpirationModel, types.ExpirationModelTypeKeyMaterialExpires)
}

// importable refuses what is about imported material of a key that has none, and what the key's state does not let through.
func importable(key *v1alpha1.KMSKey, operation keys.Operation) error {
	if !kms.External(key) {
		return unsupported("%s origin is %s which is not valid for this operation.", key.Status.ARN, cmp.Or(key.Spec.Origin, v1alpha1.KeyOriginKMS))
	}
	if !key.DeletionTimestamp.IsZero() {
		return &types.KMSInvalidStateException{Message: aws.String(key.Status.ARN + " is pending deletion.")}
	}
	if kms.StateNow(key) == v1alpha1.KeyStateUnavailable && operation != keys.DeleteImportedKeyMaterial {
		return nil // its Envelope is lost or damaged, which importing the same material mends; in AWS such keys are never so
	}
	return stateError(key, operation)
}

func (o *operations) getParametersForImport(ctx context.Context, _ *gateway.Call, in *awskms.GetParametersForImportInput, t target) (
	*awskms.GetParametersForImportOutput, error,
) {
	if err := importable(t.key, keys.GetParametersForImport); err != nil {
		return nil, err
	}
	made, err := o.ParametersForImport(ctx, t.key, keyimport.Algorithm(in.WrappingAlgorithm), keys.Spec(in.WrappingKeySpec))
	if err != nil {
		return nil, importAnswer(t.key, err)
	}
	return &awskms.GetParametersForImportOutput{
		KeyId: &t.key.Status.ARN, PublicKey: made.PublicKey, ImportToken: made.Token, ParametersValidTo: aws.Time(made.ValidTo.UTC()),
	}, nil
}

// importKeyMaterial leaves a key that spec.enabled disables so; AWS enables it.
func (o *operations) importKeyMaterial(ctx context.Context, _ *gateway.Call, in *awskms.ImportKeyMaterialInput, t target) (
	*awskms.ImportKeyMaterialOutput, error,
) {
	if err := importable(t.key, keys.ImportKeyMaterial); err != nil {
		return nil, err
	}
	if expires := expirationModel(in) == types.ExpirationModelTypeKeyMaterialExpires; expires != (in.ValidTo != nil) {
		return nil, validation("A validTo date must be set if the expirationModel is KEY_MATERIAL_EXPIRES, and must not be if it is KEY_MATERIAL_DOES_NOT_EXPIRE.")
	}
	asked := kms.Import{
		Type: v1alpha1.ImportType(in.ImportType), MaterialID: aws.ToString(in.KeyMaterialId), ValidTo: in.ValidTo, Description: in.KeyMaterialDescription,
	}
	id, err := o.ImportMaterial(ctx, t.key, kms.Wrapped{Token: in.ImportToken, Material: in.EncryptedKeyMaterial}, asked, func(k *v1alpha1.KMSKey) error {
		return importable(k, keys.ImportKeyMaterial)
	})
	if err != nil {
		return nil, importAnswer(t.key, err)
	}
	return &awskms.ImportKeyMaterialOutput{KeyId: &t.key.Status.ARN, KeyMaterialId: shownMaterial(t.key, id)}, nil
}

func (o *operations) deleteImportedKeyMaterial(ctx context.Context, _ *gateway.Call, in *awskms.DeleteImportedKeyMaterialInput, t target) (
	*awskms.DeleteImportedKeyMaterialOutput, error,
) {
	if err := importable(t.key, keys.DeleteImportedKeyMaterial); err != nil {
		return nil, err
	}
	id, err := o.DeleteImportedMaterial(ctx, t.key, aws.ToString(in.KeyMaterialId), func(k *v1alpha1.KMSKey) error {
		return importable(k, keys.DeleteImportedKeyMaterial)
	})
	if err != nil {
		return nil, importAnswer(t.key, err)
	}
	return &awskms.DeleteImportedKeyMaterialOutput{KeyId: &t.key.Status.ARN, KeyMaterialId: shownMaterial(t.key, id)}, nil
}

// shownMaterial is the id of material as AWS tells it: of symmetric keys alone, which may have several.
func shownMaterial(key *v1alpha1.KMSKey, id string) *string {
	if id == "" || !kms.SpecOf(key).Rotates() {
		return nil
	}
	return &id
}

// promotable refuses to rotate a key of imported material that has none to rotate to, or whose replicas lack it.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_RotateKeyOnDemand.html
func (o *operations) promotable(ctx context.Context, key *v1alpha1.KMSKey) error {
	if !kms.External(key) {
		return nil
	}
	if err := stateError(key, keys.RotateKeyOnDemand); err != nil {
		return err
	}
	waits := slices.ContainsFunc(key.Status.KeyMaterials, func(m v1alpha1.KeyMaterial) bool {
		return m.State == v1alpha1.KeyMaterialPendingRotation && kms.Present(m.Import, o.Now())
	})
	if !waits {
		return &types.KMSInvalidStateException{Message: aws.String(key.Status.ARN + ": " + kms.ErrNothingPending.Error() + ".")}
	}
	awaited, err := o.AwaitedReplicas(ctx, key)
	if err != nil || len(awaited) == 0 {
		return err
	}
	return &types.KMSInvalidStateException{Message: aws.String(key.Status.ARN + ": the key material to rotate to is not imported into the replicas in " + strings.Join(awaited, ", ") + " yet.")}
}

// waitingState is the state of key material that waits to be rotated to. It is one for all related keys, and the primary's replicas decide it.
func (o *operations) waitingState(ctx context.Context, key *v1alpha1.KMSKey) (types.KeyMaterialState, error) {
	primary := key
	if kms.IsReplica(key) {
		var err error
		if primary, err = o.Primary(ctx, key); primary == nil || err != nil {
			return types.KeyMaterialStatePendingRotation, err
		}
	}
	awaited, err := o.AwaitedReplicas(ctx, primary)
	if len(awaited) > 0 {
		return types.KeyMaterialStatePendingMultiRegionImportAndRotation, err
	}
	return types.KeyMaterialStatePendingRotation, err
}

// describeImport is what DescribeKey tells of imported material: ValidTo is the earliest of those that the key needs.
func (o *operations) describeImport(m *types.KeyMetadata, key *v1alpha1.KMSKey) {
	if m.KeyState == types.KeyStatePendingImport {
		return
	}
	m.ExpirationModel = types.ExpirationModelType(key.Status.ExpirationModel)
	if to := key.Status.ValidTo; to != nil {
		m.ValidTo = aws.Time(to.UTC())
	}
}

// listImport is what ListKeyRotations tells of imported material.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_RotationsListEntry.html
func (o *operations) listImport(e *types.RotationsListEntry, m *v1alpha1.KeyMaterial) {
	if m.Import == nil {
		return
	}
	if e.RotationDate = nil; m.Import.RotationTime != nil {
		e.RotationDate = aws.Time(m.Import.RotationTime.UTC())
	}
	if m.Import.Description != "" {
		e.KeyMaterialDescription = &m.Import.Description
	}
	if e.ImportState = types.ImportStatePendingImport; !kms.Present(m.Import, o.Now()) {
		return
	}
	e.ImportState, e.ExpirationModel = types.ImportStateImported, types.ExpirationModelTypeKeyMaterialDoesNotExpire
	if to := m.Import.ValidTo; to != nil {
		e.ExpirationModel, e.ValidTo = types.ExpirationModelTypeKeyMaterialExpires, aws.Time(to.UTC())
	}
}

// importErrors are AWS's errors for the use cases'.
var importErrors = []struct {
	err  error
	made func(message *string) error
}{
	{keyimport.ErrInvalidToken, func(m *string) error { return &types.InvalidImportTokenException{Message: m} }},
	{kms.ErrImportTokenExpired, func(m *string) error { return &types.ExpiredImportTokenException{Message: m} }},
	{keyimport.ErrIncorrectMaterial, func(m *string) error { return &types.IncorrectKeyMaterialException{Message: m} }},
	{kms.ErrIncorrectMaterial, func(m *string) error { return &types.IncorrectKeyMaterialException{Message: m} }},
	{kms.ErrRotationPending, func(m *string) error { return &types.KMSInvalidStateException{Message: m} }},
	{kms.ErrPrimaryChanging, func(m *string) error { return &types.KMSInvalidStateException{Message: m} }},
	{kms.ErrNewAtPrimary, func(m *string) error { return &types.UnsupportedOperationException{Message: m} }},
	{kms.ErrMaterialNotFound, func(m *string) error { return &types.NotFoundException{Message: m} }},
	{kms.ErrSymmetricOnly, func(m *string) error { return &types.UnsupportedOperationException{Message: m} }},
	{keyimport.ErrUnsupported, func(m *string) error { return &types.UnsupportedOperationException{Message: m} }},
	{kms.ErrImportParameters, func(m *string) error { return validation("%s", *m) }},
}

// importAnswer turns a use case's error into AWS's, as answer does.
func importAnswer(key *v1alpha1.KMSKey, err error) error {
	var known smithy.APIError
	if errors.As(err, &known) {
		return err
	}
	for _, e := range importErrors {
		if errors.Is(err, e.err) {
			return e.made(aws.String(err.Error()))
		}
	}
	return answer(key, err)
}
