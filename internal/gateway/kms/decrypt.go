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
	return o.source(ctx, call, in.KeyId, in.CiphertextBlob, encrypting(in.EncryptionAlgorithm, in.EncryptionContext), in.GrantTokens)
}

func (o *operations) reopening(ctx context.Context, call *gateway.Call, in *awskms.ReEncryptInput) (gateway.Resource[target], error) {
	conditions := encrypting(in.SourceEncryptionAlgorithm, in.SourceEncryptionContext)
	r, err := o.source(ctx, call, in.SourceKeyId, in.CiphertextBlob, conditions, in.GrantTokens)
	if err != nil {
		return r, err
	}
	same, err := o.isKey(ctx, call, in.DestinationKeyId, r.Value.key)
	conditions.More[onSameKey] = []string{boolean(same)}
	return r, err
}

// onSameKey is the condition key that tells whether a ciphertext stays under its key.
// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-reencrypt-on-same-key
const onSameKey = "kms:reencryptonsamekey"

// isKey tells whether a request names a key.
func (o *operations) isKey(ctx context.Context, call *gateway.Call, keyID *string, key *v1alpha1.KMSKey) (bool, error) {
	ref, err := parseRef(call, aws.ToString(keyID), anyName)
	if err != nil || key == nil {
		return false, err
	}
	named, err := o.Find(ctx, ref)
	return named != nil && named.UID == key.UID, answer(key, err)
}

func (o *operations) source(ctx context.Context, call *gateway.Call, keyID *string, blob []byte, conditions kms.Conditions, tokens []string) (
	gateway.Resource[target], error,
) {
	if keyID != nil {
		return o.resource(ctx, call, asked{keyID: keyID, how: anyName, conditions: conditions, tokens: tokens})
	}
	var none gateway.Resource[target]
	if err := checkContext(conditions.EncryptionContext); err != nil {
		return none, err
	}
	header, err := ciphertextHeader(blob)
	if err != nil {
		return none, err
	}
	shown, err := o.shown(ctx, tokens)
	if err != nil {
		return none, err
	}
	key, err := o.FindOpening(ctx, call.Region, header)
	if err != nil {
		return none, answer(nil, err)
	}
	ref := kms.Ref{Account: call.Account(), Region: call.Region, KeyID: keys.FormatKeyID(header.KeyID)}
	if key != nil {
		ref.Account, ref.KeyID = arn.Account(key.Status.ARN), key.Status.KeyID
	}
	r := o.about(call, ref, key, conditions)
	r.Grants = o.Granting(ctx, key, call.Identity.Principal, shown, kms.Wanted{Context: conditions.EncryptionContext})
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
	if err := common(t.key, keys.Decrypt, in.Recipient); err != nil {
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
	if id, err := keys.ParseKeyID(key.Status.KeyID); err != nil || header.KeyID != id {
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
	conditions := encrypting(in.DestinationEncryptionAlgorithm, in.DestinationEncryptionContext)
	same, err := o.isKey(ctx, call, in.DestinationKeyId, t.key)
	if err != nil {
		return nil, err
	}
	conditions.More[onSameKey] = []string{boolean(same)}
	to, err := o.permitted(ctx, call, using(in.DestinationKeyId, conditions, in.GrantTokens), "ReEncryptTo")
	if err != nil {
		return nil, err
	}
	if err := common(t.key, keys.Decrypt, nil); err != nil {
		return nil, err
	}
	if err := common(to, keys.ReEncrypt, nil); err != nil {
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
	o.Used(to, usageOfCall(call, keys.ReEncrypt))
	return &awskms.ReEncryptOutput{
		CiphertextBlob: blob, KeyId: &to.Status.ARN, SourceKeyId: &t.key.Status.ARN,
		SourceEncryptionAlgorithm: types.EncryptionAlgorithmSpec(source), DestinationEncryptionAlgorithm: types.EncryptionAlgorithmSpec(destination),
		SourceKeyMaterialId: from, DestinationKeyMaterialId: into,
	}, nil
}
