package kms

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/kms"
)

const symmetric = types.EncryptionAlgorithmSpecSymmetricDefault

// symmetricCondition is kms:EncryptionAlgorithm of what symmetric keys do.
var symmetricCondition = iam.Map{"kms:encryptionalgorithm": {string(symmetric)}}

func (o *operations) cryptographic() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("Encrypt", on(o, func(in *awskms.EncryptInput) asked {
			return asked{in.KeyId, anyName, kms.Conditions{EncryptionContext: in.EncryptionContext, More: symmetricCondition}}
		}), o.encrypt, gateway.ReadOnly),
		gateway.Op("Decrypt", o.opening, o.decrypt, gateway.ReadOnly),
		gateway.Op("GenerateDataKey", on(o, func(in *awskms.GenerateDataKeyInput) asked {
			return asked{in.KeyId, anyName, kms.Conditions{EncryptionContext: in.EncryptionContext, More: symmetricCondition}}
		}), o.generateDataKey, gateway.ReadOnly),
		gateway.Op("GenerateDataKeyWithoutPlaintext", on(o, func(in *awskms.GenerateDataKeyWithoutPlaintextInput) asked {
			return asked{in.KeyId, anyName, kms.Conditions{EncryptionContext: in.EncryptionContext, More: symmetricCondition}}
		}), o.generateDataKeyWithoutPlaintext, gateway.ReadOnly),
		gateway.Op("ReEncrypt", o.reopening, o.reEncrypt, gateway.Action("ReEncryptFrom"), gateway.ReadOnly),
		gateway.Op("GenerateRandom", everything[awskms.GenerateRandomInput], o.generateRandom, gateway.ReadOnly),
	}
}

// common are the checks that cryptographic operations share, after the permission. Grant tokens are refused, and not ignored:
// there are no grants yet, so none is valid, and who sends one counts on a permission that it does not give.
func common(key *v1alpha1.KMSKey, operation keys.Operation, algorithm types.EncryptionAlgorithmSpec, grantTokens []string,
	recipient *types.RecipientInfo,
) error {
	switch {
	case recipient != nil:
		return unsupported("Recipient is for AWS Nitro enclaves, which are not supported.")
	case len(grantTokens) > 0:
		return &types.InvalidGrantTokenException{Message: aws.String("The grant token is not valid: grants are not supported.")}
	}
	if err := stateError(key, operation); err != nil {
		return err
	}
	if err := usageError(key, operation); err != nil {
		return err
	}
	if algorithm != "" && algorithm != symmetric {
		return incompatible(string(algorithm), keys.SymmetricDefault)
	}
	return nil
}

func (o *operations) encrypt(ctx context.Context, _ *gateway.Call, in *awskms.EncryptInput, t target) (*awskms.EncryptOutput, error) {
	if err := common(t.key, keys.Encrypt, in.EncryptionAlgorithm, in.GrantTokens, nil); err != nil {
		return nil, err
	}
	if len(in.Plaintext) > kms.MaximumPlaintext {
		return nil, validation("1 validation error detected: Value at 'plaintext' failed to satisfy constraint: "+
			"Member must have length less than or equal to %d", kms.MaximumPlaintext)
	}
	// The bytes stay the input's: the server wipes them.
	blob, _, err := o.Encrypt(ctx, t.key, keys.Encrypt, in.EncryptionContext, secretbytes.Own(in.Plaintext))
	if err == nil {
		err = dryRun(in.DryRun)
	}
	if err != nil {
		return nil, answer(t.key, err)
	}
	return &awskms.EncryptOutput{CiphertextBlob: blob, EncryptionAlgorithm: symmetric, KeyId: &t.key.Status.ARN}, nil
}

func (o *operations) generateDataKey(ctx context.Context, _ *gateway.Call, in *awskms.GenerateDataKeyInput, t target) (
	*awskms.GenerateDataKeyOutput, error,
) {
	plaintext, blob, material, err := o.dataKey(ctx, t.key, in)
	if err != nil {
		return nil, err
	}
	return &awskms.GenerateDataKeyOutput{
		Plaintext: plaintext.Reveal(), CiphertextBlob: blob, KeyId: &t.key.Status.ARN, KeyMaterialId: &material.ID,
	}, nil
}

func (o *operations) generateDataKeyWithoutPlaintext(ctx context.Context, _ *gateway.Call,
	in *awskms.GenerateDataKeyWithoutPlaintextInput, t target,
) (*awskms.GenerateDataKeyWithoutPlaintextOutput, error) {
	plaintext, blob, material, err := o.dataKey(ctx, t.key, &awskms.GenerateDataKeyInput{
		KeyId: in.KeyId, DryRun: in.DryRun, EncryptionContext: in.EncryptionContext, GrantTokens: in.GrantTokens,
		KeySpec: in.KeySpec, NumberOfBytes: in.NumberOfBytes,
	})
	if err != nil {
		return nil, err
	}
	plaintext.Wipe()
	return &awskms.GenerateDataKeyWithoutPlaintextOutput{
		CiphertextBlob: blob, KeyId: &t.key.Status.ARN, KeyMaterialId: &material.ID,
	}, nil
}

func (o *operations) dataKey(ctx context.Context, key *v1alpha1.KMSKey, in *awskms.GenerateDataKeyInput) (
	plaintext secretbytes.Bytes, blob []byte, material v1alpha1.KeyMaterial, err error,
) {
	length, err := dataKeyLength(in.KeySpec, in.NumberOfBytes)
	if err == nil {
		err = common(key, keys.GenerateDataKey, "", in.GrantTokens, in.Recipient)
	}
	if err != nil {
		return plaintext, nil, material, err
	}
	plaintext, blob, material, err = o.GenerateDataKeyOf(ctx, key, in.EncryptionContext, length)
	if err == nil {
		if err = dryRun(in.DryRun); err != nil {
			plaintext.Wipe()
		}
	}
	return plaintext, blob, material, answer(key, err)
}

// dataKeyLength is the length of a data key in bytes.
func dataKeyLength(spec types.DataKeySpec, number *int32) (int, error) {
	if (spec == "") == (number == nil) {
		return 0, validation("Please specify either number of bytes or key spec.")
	}
	if number != nil {
		return randomLength(*number)
	}
	switch spec {
	case types.DataKeySpecAes128:
		return 16, nil
	case types.DataKeySpecAes256:
		return 32, nil
	}
	return 0, validation("1 validation error detected: Value '%s' at 'keySpec' failed to satisfy constraint: "+
		"Member must satisfy enum value set: [AES_256, AES_128]", spec)
}

func randomLength(number int32) (int, error) {
	const text = "1 validation error detected: Value '%d' at 'numberOfBytes' failed to satisfy constraint: Member must have value "
	switch {
	case number < 1:
		return 0, validation(text+"greater than or equal to 1", number)
	case number > kms.MaximumRandom:
		return 0, validation(text+"less than or equal to %d", number, kms.MaximumRandom)
	}
	return int(number), nil
}

func (o *operations) generateRandom(_ context.Context, _ *gateway.Call, in *awskms.GenerateRandomInput, _ target) (
	*awskms.GenerateRandomOutput, error,
) {
	switch {
	case in.CustomKeyStoreId != nil:
		return nil, unsupported("Custom key stores are not supported.")
	case in.Recipient != nil:
		return nil, unsupported("Recipient is for AWS Nitro enclaves, which are not supported.")
	case in.NumberOfBytes == nil:
		return nil, validation("Please specify either number of bytes or key spec.")
	}
	length, err := randomLength(*in.NumberOfBytes)
	if err != nil {
		return nil, err
	}
	random, err := secretbytes.Random(o.Random, length)
	if err != nil {
		return nil, err
	}
	return &awskms.GenerateRandomOutput{Plaintext: random.Reveal()}, nil
}
