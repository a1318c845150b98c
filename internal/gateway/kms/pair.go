package kms

import (
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
		gateway.Op("GenerateDataKeyPair", on(o, func(in *awskms.GenerateDataKeyPairInput) asked {
			return asked{in.KeyId, anyName, pairConditions(in.KeyPairSpec, in.EncryptionContext)}
		}), o.generateDataKeyPair, gateway.ReadOnly),
		gateway.Op("GenerateDataKeyPairWithoutPlaintext", on(o, func(in *awskms.GenerateDataKeyPairWithoutPlaintextInput) asked {
			return asked{in.KeyId, anyName, pairConditions(in.KeyPairSpec, in.EncryptionContext)}
		}), o.generateDataKeyPairWithoutPlaintext, gateway.ReadOnly),
		gateway.Op("DeriveSharedSecret", on(o, func(in *awskms.DeriveSharedSecretInput) asked {
			return asked{in.KeyId, anyName, kms.Conditions{More: iam.Map{"kms:keyagreementalgorithm": {string(in.KeyAgreementAlgorithm)}}}}
		}), o.deriveSharedSecret, gateway.ReadOnly),
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
		KeyPairSpec: in.KeyPairSpec, EncryptionContext: in.EncryptionContext, GrantTokens: in.GrantTokens, DryRun: in.DryRun,
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
	if err := common(key, operation, in.GrantTokens, in.Recipient); err != nil {
		return pair, err
	}
	spec := keys.Spec(in.KeyPairSpec)
	switch {
	case kms.InModule(key):
		return pair, unsupported("%s is in a custom key store, which makes no data key pairs.", key.Status.ARN)
	case !spec.Known() || spec.Symmetric():
		return pair, unsupported("KeyPairSpec %s is not supported.", in.KeyPairSpec)
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
	if err := common(t.key, keys.DeriveSharedSecret, in.GrantTokens, in.Recipient); err != nil {
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
		KeyId: &t.key.Status.ARN, SharedSecret: secret.Reveal(), KeyAgreementAlgorithm: in.KeyAgreementAlgorithm, KeyOrigin: types.OriginTypeAwsKms,
	}, nil
}
