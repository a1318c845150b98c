package kms

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/kms"
)

func (o *operations) signatures() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("Sign", on(o, func(in *awskms.SignInput) asked {
			return using(in.KeyId, signingConditions(in.SigningAlgorithm, in.MessageType), in.GrantTokens)
		}), tracked(o, keys.Sign, o.sign), gateway.ReadOnly),
		gateway.Op("Verify", on(o, func(in *awskms.VerifyInput) asked {
			return using(in.KeyId, signingConditions(in.SigningAlgorithm, in.MessageType), in.GrantTokens)
		}), tracked(o, keys.Verify, o.verify), gateway.ReadOnly),
		gateway.Op("GetPublicKey", on(o, func(in *awskms.GetPublicKeyInput) asked { return using(in.KeyId, kms.Conditions{}, in.GrantTokens) }),
			o.getPublicKey, gateway.ReadOnly),
	}
}

// signingConditions are the condition keys of Sign and Verify. A message type that is left out is RAW.
// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-message-type
func signingConditions(algorithm types.SigningAlgorithmSpec, message types.MessageType) kms.Conditions {
	return kms.Conditions{More: iam.Map{
		"kms:signingalgorithm": {string(algorithm)}, "kms:messagetype": {string(cmp.Or(message, types.MessageTypeRaw))},
	}}
}

func (o *operations) sign(ctx context.Context, call *gateway.Call, in *awskms.SignInput, t target) (*awskms.SignOutput, error) {
	message, err := signable(t.key, keys.Sign, in.SigningAlgorithm, in.MessageType, in.Message)
	if err != nil {
		return nil, err
	}
	if err := o.unheld(ctx, call, t.key); err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	signature, err := o.Sign(ctx, t.key, keys.SigningAlgorithm(in.SigningAlgorithm), message)
	if err != nil {
		return nil, answer(t.key, err)
	}
	return &awskms.SignOutput{KeyId: &t.key.Status.ARN, Signature: signature, SigningAlgorithm: in.SigningAlgorithm}, nil
}

// unheld refuses to sign with the key of a certificate authority, whatever its policy says: what is signed past the authority is in no record, and
// could not be revoked. An authority that was deleted and can be had back holds its key, too. The key's own account is told which authority it is, since kmsKeyRef of one may name a key that somebody
// signs with. Other kinds encrypt with keys and cannot keep one from signing.
func (o *operations) unheld(ctx context.Context, call *gateway.Call, key *v1alpha1.KMSKey) error {
	holders, err := o.authorities.CertifiedFor(ctx, key)
	if err != nil {
		return answer(key, err)
	}
	if len(holders) == 0 {
		return nil
	}
	which := ""
	if call.Namespace() == key.Namespace {
		which = " (CertificateAuthority " + strings.Join(holders, ", ") + ", which is there or can be had back)"
	}
	return &smithy.GenericAPIError{Code: "AccessDeniedException", Fault: smithy.FaultClient, Message: key.Status.ARN +
		" is the key of a private certificate authority" + which + " and signs by way of ACM PCA alone: use acm-pca:IssueCertificate"}
}

// verify never answers false: a signature that is not valid is an error, as AWS has it.
func (o *operations) verify(ctx context.Context, _ *gateway.Call, in *awskms.VerifyInput, t target) (*awskms.VerifyOutput, error) {
	message, err := signable(t.key, keys.Verify, in.SigningAlgorithm, in.MessageType, in.Message)
	if err == nil {
		err = o.Verify(ctx, t.key, keys.SigningAlgorithm(in.SigningAlgorithm), message, in.Signature)
	}
	if err == nil {
		err = dryRun(in.DryRun)
	}
	if err != nil {
		return nil, answer(t.key, err)
	}
	return &awskms.VerifyOutput{KeyId: &t.key.Status.ARN, SignatureValid: true, SigningAlgorithm: in.SigningAlgorithm}, nil
}

// signable checks what Sign and Verify have in common, after the permission.
func signable(key *v1alpha1.KMSKey, operation keys.Operation, algorithm types.SigningAlgorithmSpec, as types.MessageType,
	message []byte,
) (keys.Message, error) {
	if err := common(key, operation, nil); err != nil {
		return keys.Message{}, err
	}
	spec, by := kms.SpecOf(key), keys.SigningAlgorithm(algorithm)
	if spec.CheckAlgorithm(by) != nil {
		return keys.Message{}, incompatible(string(algorithm), spec)
	}
	if err := spec.CheckApproved(); err != nil {
		return keys.Message{}, notApproved(err)
	}
	m := keys.Message{Bytes: message, Type: keys.MessageType(cmp.Or(as, types.MessageTypeRaw))}
	switch err := m.Check(by); {
	case err == nil:
		return m, nil
	case errors.Is(err, keys.ErrMessageType) && spec == keys.EDWARDS25519:
		return m, validation("Message type %s is incompatible with signing algorithm %s.", m.Type, algorithm)
	case errors.Is(err, keys.ErrMessageType):
		return m, validation("Message type %s is incompatible with key spec %s.", m.Type, spec)
	case errors.Is(err, keys.ErrDigestLength) && m.Type == keys.ExternalMu:
		return m, validation("External mu is invalid length for algorithm %s.", algorithm)
	case errors.Is(err, keys.ErrDigestLength):
		return m, validation("Digest is invalid length for algorithm %s.", algorithm)
	}
	return m, validation("1 validation error detected: Value at 'message' failed to satisfy constraint: "+
		"Member must have length less than or equal to %d", keys.MaxMessage)
}

func (o *operations) getPublicKey(ctx context.Context, _ *gateway.Call, in *awskms.GetPublicKeyInput, t target) (
	*awskms.GetPublicKeyOutput, error,
) {
	if err := common(t.key, keys.GetPublicKey, nil); err != nil {
		return nil, err
	}
	spec, does := kms.SpecOf(t.key), algorithmsOf(t.key)
	if spec.Symmetric() {
		return nil, unsupported("%s is a symmetric key, which has no public key.", t.key.Status.ARN)
	}
	public, err := o.PublicKey(ctx, t.key)
	if err != nil {
		return nil, answer(t.key, err)
	}
	return &awskms.GetPublicKeyOutput{
		KeyId: &t.key.Status.ARN, PublicKey: public.DER(), KeySpec: types.KeySpec(spec), KeyUsage: types.KeyUsageType(kms.UsageOf(t.key)),
		CustomerMasterKeySpec: types.CustomerMasterKeySpec(spec), //nolint:staticcheck // AWS answers it too
		SigningAlgorithms:     does.signing, EncryptionAlgorithms: does.encryption, KeyAgreementAlgorithms: does.agreement,
		EncapsulationAlgorithms: does.kem,
	}, nil
}

// usageError is the answer of an operation that the key's usage does not allow, nil if it does.
func usageError(key *v1alpha1.KMSKey, operation keys.Operation) error {
	usage := kms.UsageOf(key)
	if usage.CheckUsage(operation) == nil {
		return nil
	}
	what := string(operation)
	if operation == keys.Sign {
		what = "signing"
	}
	return &types.InvalidKeyUsageException{Message: aws.String(key.Status.ARN + " key usage is " + string(usage) +
		" which is not valid for " + what + ".")}
}

func incompatible(algorithm string, spec keys.Spec) error {
	return &types.InvalidKeyUsageException{Message: aws.String("Algorithm " + algorithm + " is incompatible with key spec " +
		string(spec) + ".")}
}
