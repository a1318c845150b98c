package kms

import (
	"cmp"
	"context"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/kms"
)

func (o *operations) pairs() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("Encapsulate", on(o, func(in *awskms.EncapsulateInput) asked {
			return using(in.KeyId, encapsulation(in.EncapsulationAlgorithm), in.GrantTokens)
		}), tracked(o, keys.Encapsulate, o.encapsulate), gateway.ReadOnly),
		gateway.Op("Decapsulate", on(o, func(in *awskms.DecapsulateInput) asked {
			return using(in.KeyId, encapsulation(in.EncapsulationAlgorithm), in.GrantTokens)
		}), tracked(o, keys.Decapsulate, o.decapsulate), gateway.ReadOnly),
		gateway.Op("GenerateDataKeyPair", on(o, func(in *awskms.GenerateDataKeyPairInput) asked {
			return using(in.KeyId, pairConditions(in.KeyPairSpec, in.EncryptionContext), in.GrantTokens)
		}), tracked(o, keys.GenerateDataKeyPair, o.generateDataKeyPair), gateway.ReadOnly),
		gateway.Op("GenerateDataKeyPairWithoutPlaintext", on(o, func(in *awskms.GenerateDataKeyPairWithoutPlaintextInput) asked {
			return using(in.KeyId, pairConditions(in.KeyPairSpec, in.EncryptionContext), in.GrantTokens)
		}), tracked(o, keys.GenerateDataKeyPairWithoutPlaintext, o.generateDataKeyPairWithoutPlaintext), gateway.ReadOnly),
		gateway.Op("DeriveSharedSecret", on(o, func(in *awskms.DeriveSharedSecretInput) asked {
			return using(in.KeyId, kms.Conditions{More: iam.Map{"kms:keyagreementalgorithm": {string(in.KeyAgreementAlgorithm)}}}, in.GrantTokens)
		}), tracked(o, keys.DeriveSharedSecret, o.deriveSharedSecret), gateway.ReadOnly),
	}
}

// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-data-key-spec
func pairConditions(spec types.DataKeyPairSpec, ec map[string]string) kms.Conditions {
	return kms.Conditions{EncryptionContext: ec, More: iam.Map{
		"kms:encryptionalgorithm": {string(symmetric)}, "kms:datakeypairspec": {string(spec)},
	}}
}

func (o *operations) generateDataKeyPair(ctx context.Context, _ *gateway.Call, in *awskms.GenerateDataKeyPairInput, t target) (
	*awskms.GenerateDataKeyPairOutput, error,
) {
	pair, err := o.dataKeyPair(ctx, t.key, keys.GenerateDataKeyPair, in)
	if err != nil {
		return nil, err
	}
	return &awskms.GenerateDataKeyPairOutput{
		KeyId: &t.key.Status.ARN, KeyMaterialId: &pair.Material.ID, KeyPairSpec: in.KeyPairSpec, PublicKey: pair.PublicKey,
		PrivateKeyPlaintext: pair.PrivateKey.Reveal(), PrivateKeyCiphertextBlob: pair.Encrypted,
	}, nil
}

func (o *operations) generateDataKeyPairWithoutPlaintext(ctx context.Context, _ *gateway.Call,
	in *awskms.GenerateDataKeyPairWithoutPlaintextInput, t target,
) (*awskms.GenerateDataKeyPairWithoutPlaintextOutput, error) {
	pair, err := o.dataKeyPair(ctx, t.key, keys.GenerateDataKeyPairWithoutPlaintext, &awskms.GenerateDataKeyPairInput{
		KeyPairSpec: in.KeyPairSpec, EncryptionContext: in.EncryptionContext, DryRun: in.DryRun,
	})
	if err != nil {
		return nil, err
	}
	pair.PrivateKey.Wipe()
	return &awskms.GenerateDataKeyPairWithoutPlaintextOutput{
		KeyId: &t.key.Status.ARN, KeyMaterialId: &pair.Material.ID, KeyPairSpec: in.KeyPairSpec, PublicKey: pair.PublicKey,
		PrivateKeyCiphertextBlob: pair.Encrypted,
	}, nil
}

// dataKeyPair makes nothing in a dry run: an RSA key takes long, and would only be thrown away.
func (o *operations) dataKeyPair(ctx context.Context, key *v1alpha1.KMSKey, operation keys.Operation, in *awskms.GenerateDataKeyPairInput) (
	pair kms.DataKeyPair, err error,
) {
	if err := common(key, operation, in.Recipient); err != nil {
		return pair, err
	}
	spec := keys.Spec(in.KeyPairSpec)
	switch {
	case kms.InModule(key):
		return pair, unsupported("%s is in a custom key store, which makes no data key pairs.", key.Status.ARN)
	case !spec.Known() || spec.Symmetric():
		return pair, unknownSpec("KeyPairSpec", string(in.KeyPairSpec))
	}
	if err := spec.CheckApproved(); err != nil {
		return pair, notApproved(err)
	}
	if err := dryRun(in.DryRun); err != nil {
		return pair, err
	}
	pair, err = o.GenerateDataKeyPair(ctx, key, in.EncryptionContext, spec)
	return pair, answer(key, err)
}

func (o *operations) deriveSharedSecret(ctx context.Context, _ *gateway.Call, in *awskms.DeriveSharedSecretInput, t target) (
	*awskms.DeriveSharedSecretOutput, error,
) {
	if err := common(t.key, keys.DeriveSharedSecret, in.Recipient); err != nil {
		return nil, err
	}
	if in.KeyAgreementAlgorithm != keys.ECDH {
		return nil, incompatible(string(in.KeyAgreementAlgorithm), kms.SpecOf(t.key))
	}
	secret, err := o.DeriveSharedSecret(ctx, t.key, in.PublicKey)
	if err != nil {
		return nil, answer(t.key, err)
	}
	if err := dryRun(in.DryRun); err != nil {
		secret.Wipe()
		return nil, err
	}
	return &awskms.DeriveSharedSecretOutput{
		KeyId: &t.key.Status.ARN, SharedSecret: secret.Reveal(), KeyAgreementAlgorithm: in.KeyAgreementAlgorithm,
		KeyOrigin: types.OriginType(cmp.Or(t.key.Spec.Origin, v1alpha1.KeyOriginKMS)),
	}, nil
}

// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-encapsulation-algorithm
func encapsulation(algorithm types.EncapsulationAlgorithmSpec) kms.Conditions {
	return kms.Conditions{More: iam.Map{"kms:encapsulationalgorithm": {string(algorithm)}}}
}

// encapsulating are the checks that Encapsulate and Decapsulate share.
func encapsulating(key *v1alpha1.KMSKey, operation keys.Operation, asked types.EncapsulationAlgorithmSpec) (keys.EncapsulationAlgorithm, error) {
	algorithm := keys.EncapsulationAlgorithm(asked)
	if err := common(key, operation, nil); err != nil {
		return algorithm, err
	}
	if spec := kms.SpecOf(key); spec.CheckEncapsulation(algorithm) != nil {
		return algorithm, incompatible(string(asked), spec)
	}
	return algorithm, nil
}

func (o *operations) encapsulate(ctx context.Context, _ *gateway.Call, in *awskms.EncapsulateInput, t target) (*awskms.EncapsulateOutput, error) {
	algorithm, err := encapsulating(t.key, keys.Encapsulate, in.EncapsulationAlgorithm)
	if err != nil {
		return nil, err
	}
	secret, ciphertext, err := o.Encapsulate(ctx, t.key, algorithm)
	if err != nil {
		return nil, answer(t.key, err)
	}
	if err := dryRun(in.DryRun); err != nil {
		secret.Wipe()
		return nil, err
	}
	return &awskms.EncapsulateOutput{
		KeyId: &t.key.Status.ARN, SharedSecret: secret.Reveal(), SharedSecretCiphertextBlob: ciphertext, EncapsulationAlgorithm: in.EncapsulationAlgorithm,
	}, nil
}

func (o *operations) decapsulate(ctx context.Context, _ *gateway.Call, in *awskms.DecapsulateInput, t target) (*awskms.DecapsulateOutput, error) {
	algorithm, err := encapsulating(t.key, keys.Decapsulate, in.EncapsulationAlgorithm)
	if err != nil {
		return nil, err
	}
	secret, err := o.Decapsulate(ctx, t.key, algorithm, in.SharedSecretCiphertextBlob)
	if err != nil {
		return nil, answer(t.key, err)
	}
	if err := dryRun(in.DryRun); err != nil {
		secret.Wipe()
		return nil, err
	}
	return &awskms.DecapsulateOutput{KeyId: &t.key.Status.ARN, SharedSecret: secret.Reveal(), EncapsulationAlgorithm: in.EncapsulationAlgorithm}, nil
}
