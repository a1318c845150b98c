package kms

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/kms"
)

// inaccessible is AWS's one answer about a ciphertext whose key is not there or not for the caller.
const inaccessible = "The ciphertext refers to a customer master key that does not exist, does not exist in this region, " +
	"or you are not allowed to access."

// opening is Decrypt's Resolve: the key that the request names, or else the one that the ciphertext's header names. The header is
// not authenticated yet: it decides who is asked for permission, and only opening tells whether it is true. What an RSA key encrypted has no
// header, so that its key has to be named.
func (o *operations) opening(ctx context.Context, call *gateway.Call, in *awskms.DecryptInput) (gateway.Resource[target], error) {
	return o.source(ctx, call, in.KeyId, in.CiphertextBlob, encrypting(in.EncryptionAlgorithm, in.EncryptionContext))
}

func (o *operations) reopening(ctx context.Context, call *gateway.Call, in *awskms.ReEncryptInput) (gateway.Resource[target], error) {
	return o.source(ctx, call, in.SourceKeyId, in.CiphertextBlob, encrypting(in.SourceEncryptionAlgorithm, in.SourceEncryptionContext))
}

func (o *operations) source(ctx context.Context, call *gateway.Call, keyID *string, blob []byte, conditions kms.Conditions) (
	gateway.Resource[target], error,
) {
	if keyID != nil {
		return o.resource(ctx, call, asked{keyID, anyName, conditions})
	}
	var none gateway.Resource[target]
	if err := checkContext(conditions.EncryptionContext); err != nil {
		return none, err
	}
	header, err := ciphertextHeader(blob)
	if err != nil {
		return none, err
	}
	key, err := o.FindOpening(ctx, call.Region, header)
	if err != nil {
		return none, err
	}
	ref := kms.Ref{Account: call.Account(), Region: call.Region, KeyID: keys.FormatKeyID(header.KeyID)}
	if key != nil {
		ref.Account = arn.Account(key.Status.ARN)
	}
	r := o.about(call, ref, key, conditions)
	r.Denial, r.Unknown = inaccessible, nil
	if key == nil {
		r.Missing = &smithy.GenericAPIError{Code: "AccessDeniedException", Message: inaccessible, Fault: smithy.FaultClient}
	}
	return r, nil
}

func ciphertextHeader(blob []byte) (keys.Header, error) {
	header, err := keys.ParseHeader(blob)
	if err != nil || header.Kind != keys.KindCiphertext {
		return header, &types.InvalidCiphertextException{}
	}
	return header, nil
}

func (o *operations) decrypt(ctx context.Context, _ *gateway.Call, in *awskms.DecryptInput, t target) (*awskms.DecryptOutput, error) {
	if err := common(t.key, keys.Decrypt, in.GrantTokens, in.Recipient); err != nil {
		return nil, err
	}
	algorithm, err := algorithmOf(t.key, in.EncryptionAlgorithm, in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	if len(in.DryRunModifiers) > 0 {
		return nil, unsupported("DryRunModifiers are not supported.")
	}
	plaintext, material, err := o.open(ctx, t.key, algorithm, in.EncryptionContext, in.CiphertextBlob)
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		plaintext.Wipe()
		return nil, err
	}
	return &awskms.DecryptOutput{
		Plaintext: plaintext.Reveal(), KeyId: &t.key.Status.ARN, EncryptionAlgorithm: types.EncryptionAlgorithmSpec(algorithm), KeyMaterialId: material,
	}, nil
}

// open decrypts under the permitted key. A ciphertext of another key is told from one that does not open: the caller may see
// the key it named, and learns nothing of the other.
func (o *operations) open(ctx context.Context, key *v1alpha1.KMSKey, algorithm keys.EncryptionAlgorithm, ec map[string]string, blob []byte) (
	plaintext secretbytes.Bytes, material *string, err error,
) {
	if algorithm != keys.SymmetricEncryption {
		plaintext, err = o.DecryptOAEP(ctx, key, algorithm, blob)
		return plaintext, nil, answer(key, err)
	}
	header, err := ciphertextHeader(blob)
	if err != nil {
		return plaintext, material, err
	}
	if keys.FormatKeyID(header.KeyID) != key.Status.KeyID {
		return plaintext, material, &types.IncorrectKeyException{
			Message: aws.String("The key ID in the request does not identify a CMK that can perform this operation."),
		}
	}
	plaintext, used, err := o.DecryptTelling(ctx, key, ec, blob)
	return plaintext, &used.ID, answer(key, err)
}

// reEncrypt needs kms:ReEncryptFrom of the source, which the operation has asked for, and kms:ReEncryptTo of the destination.
func (o *operations) reEncrypt(ctx context.Context, call *gateway.Call, in *awskms.ReEncryptInput, t target) (
	*awskms.ReEncryptOutput, error,
) {
	to, err := o.permitted(ctx, call, asked{
		in.DestinationKeyId, anyName, encrypting(in.DestinationEncryptionAlgorithm, in.DestinationEncryptionContext),
	}, "ReEncryptTo")
	if err != nil {
		return nil, err
	}
	if err := common(t.key, keys.Decrypt, in.GrantTokens, nil); err != nil {
		return nil, err
	}
	if err := common(to, keys.ReEncrypt, nil, nil); err != nil {
		return nil, err
	}
	source, err := algorithmOf(t.key, in.SourceEncryptionAlgorithm, in.SourceEncryptionContext)
	if err != nil {
		return nil, err
	}
	destination, err := algorithmOf(to, in.DestinationEncryptionAlgorithm, in.DestinationEncryptionContext)
	if err != nil {
		return nil, err
	}
	if len(in.DryRunModifiers) > 0 {
		return nil, unsupported("DryRunModifiers are not supported.")
	}
	plaintext, from, err := o.open(ctx, t.key, source, in.SourceEncryptionContext, in.CiphertextBlob)
	if err != nil {
		return nil, err
	}
	defer plaintext.Wipe()
	blob, into, err := o.seal(ctx, to, keys.ReEncrypt, destination, in.DestinationEncryptionContext, plaintext)
	if err == nil {
		err = dryRun(in.DryRun)
	}
	if err != nil {
		return nil, answer(to, err)
	}
	return &awskms.ReEncryptOutput{
		CiphertextBlob: blob, KeyId: &to.Status.ARN, SourceKeyId: &t.key.Status.ARN,
		SourceEncryptionAlgorithm: types.EncryptionAlgorithmSpec(source), DestinationEncryptionAlgorithm: types.EncryptionAlgorithmSpec(destination),
		SourceKeyMaterialId: from, DestinationKeyMaterialId: into,
	}, nil
}
