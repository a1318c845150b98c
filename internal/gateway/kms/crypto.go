package kms

import (
	"cmp"
	"context"

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

// symmetricCondition is kms:EncryptionAlgorithm of what symmetric keys alone do.
var symmetricCondition = iam.Map{"kms:encryptionalgorithm": {string(symmetric)}}

// encrypting are the condition keys of what is encrypted or decrypted by an algorithm. One that is left out is that of symmetric keys.
// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-encryption-algorithm
func encrypting(algorithm types.EncryptionAlgorithmSpec, ec map[string]string) kms.Conditions {
	return kms.Conditions{EncryptionContext: ec, More: iam.Map{"kms:encryptionalgorithm": {string(cmp.Or(algorithm, symmetric))}}}
}

func (o *operations) cryptographic() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("Encrypt", on(o, func(in *awskms.EncryptInput) asked {
			return using(in.KeyId, encrypting(in.EncryptionAlgorithm, in.EncryptionContext), in.GrantTokens)
		}), tracked(o, keys.Encrypt, o.encrypt), gateway.ReadOnly),
		gateway.Op("Decrypt", o.opening, tracked(o, keys.Decrypt, o.decrypt), gateway.ReadOnly),
		gateway.Op("GenerateDataKey", on(o, func(in *awskms.GenerateDataKeyInput) asked {
			return using(in.KeyId, kms.Conditions{EncryptionContext: in.EncryptionContext, More: symmetricCondition}, in.GrantTokens)
		}), tracked(o, keys.GenerateDataKey, o.generateDataKey), gateway.ReadOnly),
		gateway.Op("GenerateDataKeyWithoutPlaintext", on(o, func(in *awskms.GenerateDataKeyWithoutPlaintextInput) asked {
			return using(in.KeyId, kms.Conditions{EncryptionContext: in.EncryptionContext, More: symmetricCondition}, in.GrantTokens)
		}), tracked(o, keys.GenerateDataKeyWithoutPlaintext, o.generateDataKeyWithoutPlaintext), gateway.ReadOnly),
		gateway.Op("ReEncrypt", o.reopening, tracked(o, keys.ReEncrypt, o.reEncrypt), gateway.Action("ReEncryptFrom"), gateway.ReadOnly),
		gateway.Op("GenerateRandom", everything[awskms.GenerateRandomInput], o.generateRandom, gateway.ReadOnly),
	}
}

// using is what an operation asks of a key that takes any of its names, and grant tokens.
func using(keyID *string, conditions kms.Conditions, tokens []string) asked {
	return asked{keyID: keyID, how: anyName, conditions: conditions, tokens: tokens}
}

// common are the checks that cryptographic operations share, after the permission.
func common(key *v1alpha1.KMSKey, operation keys.Operation, recipient *types.RecipientInfo) error {
	if recipient != nil {
		return unsupported("Recipient is for AWS Nitro enclaves, which are not supported.")
	}
	if err := stateError(key, operation); err != nil {
		return err
	}
	if err := usageError(key, operation); err != nil {
		return err
	}
	if spec := kms.SpecOf(key); spec.CheckOperation(operation) != nil {
		return incompatible(string(symmetric), spec)
	}
	return nil
}

// algorithmOf is the algorithm by which a key is to encrypt or decrypt, whose keys take no encryption context if they are asymmetric.
func algorithmOf(key *v1alpha1.KMSKey, asked types.EncryptionAlgorithmSpec, ec map[string]string) (keys.EncryptionAlgorithm, error) {
	asked = cmp.Or(asked, symmetric)
	spec, algorithm := kms.SpecOf(key), keys.EncryptionAlgorithm(asked)
	if spec.CheckEncryption(algorithm) != nil {
		return "", incompatible(string(asked), spec)
	}
	if algorithm != keys.SymmetricEncryption && len(ec) > 0 {
		return "", validation("EncryptionContext is not supported for asymmetric keys.")
	}
	return algorithm, nil
}

func (o *operations) encrypt(ctx context.Context, _ *gateway.Call, in *awskms.EncryptInput, t target) (*awskms.EncryptOutput, error) {
	if err := common(t.key, keys.Encrypt, nil); err != nil {
		return nil, err
	}
	algorithm, err := algorithmOf(t.key, in.EncryptionAlgorithm, in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	if len(in.Plaintext) > kms.MaximumPlaintext {
		return nil, validation("1 validation error detected: Value at 'plaintext' failed to satisfy constraint: "+
			"Member must have length less than or equal to %d", kms.MaximumPlaintext)
	}
	// The bytes stay the input's: the server wipes them.
	blob, _, err := o.seal(ctx, t.key, keys.Encrypt, algorithm, in.EncryptionContext, secretbytes.Own(in.Plaintext))
	if err == nil {
		err = dryRun(in.DryRun)
	}
	if err != nil {
		return nil, answer(t.key, err)
	}
	return &awskms.EncryptOutput{CiphertextBlob: blob, EncryptionAlgorithm: types.EncryptionAlgorithmSpec(algorithm), KeyId: &t.key.Status.ARN}, nil
}

// seal encrypts by an algorithm of the permitted key. The material is that of a symmetric one, of which AWS tells it.
func (o *operations) seal(ctx context.Context, key *v1alpha1.KMSKey, operation keys.Operation, algorithm keys.EncryptionAlgorithm,
	ec map[string]string, plaintext secretbytes.Bytes,
) (blob []byte, material *string, err error) {
	if algorithm == keys.SymmetricEncryption {
		blob, used, err := o.Encrypt(ctx, key, operation, ec, plaintext)
		return blob, &used.ID, err
	}
	spec := kms.SpecOf(key)
	if most := spec.MaxEncrypted(algorithm); plaintext.Len() > most {
		return nil, nil, validation("Algorithm %s and key spec %s cannot encrypt data larger than %d bytes.", algorithm, spec, most)
	}
	blob, err = o.EncryptOAEP(ctx, key, operation, algorithm, plaintext)
	return blob, nil, err
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
		KeyId: in.KeyId, DryRun: in.DryRun, EncryptionContext: in.EncryptionContext,
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
		err = common(key, keys.GenerateDataKey, in.Recipient)
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
