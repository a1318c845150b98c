package ssm

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/internal/service/sealed"
)

// The actions that a SecureString asks for on its key. A standard parameter is encrypted by the key itself in AWS, an advanced one by
// a data key.
// https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html
const (
	kmsDecrypt         = "kms:Decrypt"
	kmsEncrypt         = "kms:Encrypt"
	kmsGenerateDataKey = "kms:GenerateDataKey"
)

// useKey asks whether the caller may use a customer's key by way of Systems Manager: the caller's policies and the key's own, whose
// word is needed, and the key's grants. The account's own key needs no permission, and is for nobody of another account. A key that is not there is asked about as one with the policy of a key
// that names none.
func (a *api) useKey(ctx context.Context, call *gateway.Call, key *v1alpha1.KMSKey, keyARN, action, parameterARN string) error {
	owner := arn.Account(parameterARN) // a parameter's key is of its own account, which may be another than the caller's
	var policy *iam.Policy
	if key != nil {
		if parameterstore.OwnKey.Is(key) && owner == call.Account() {
			return nil
		}
		if parameterstore.OwnKey.Is(key) { // it is for nobody of another account
			return noKey()
		}
		policy, keyARN, owner = a.Parameters.KMS.Policy(key), key.Status.ARN, arn.Account(key.Status.ARN)
	} else {
		policy = a.Parameters.KMS.DefaultPolicy(owner)
	}
	ec := map[string]string{"PARAMETER_ARN": parameterARN}
	err := call.Authorize(gateway.Question{
		Action: action, Resource: keyARN, ResourceAccount: owner, Policy: policy, MustAllow: true,
		Grants: a.Parameters.KMS.Granting(ctx, key, call.Identity.Principal, nil, kms.Wanted{Context: ec}),
		Context: &kms.Conditions{
			Key: key, CallerAccount: call.Account(), ViaService: SigningName + "." + call.Region + ".amazonaws.com",
			EncryptionContext: ec,
		},
	})
	if err != nil {
		return noKey()
	}
	return nil
}

// keyGone tells that a version was found whose key was not, by the error of finding it.
func keyGone(found sealed.Version, err error) bool {
	return found.Envelope != nil && fault.Of(err).Reason == v1alpha1.ReasonKeyNotFound
}

// mayDecrypt asks for the key of a version. The account's own one, which is known by its name alone, needs no permission if it is gone either.
func (a *api) mayDecrypt(ctx context.Context, call *gateway.Call, p *v1alpha1.Parameter, found sealed.Version) error {
	own := p.Namespace == call.Namespace() && parameterstore.KeyName(p) == parameterstore.DefaultKeyName
	if found.Key == nil && own {
		return nil
	}
	return a.useKey(ctx, call, found.Key, found.Envelope.Spec.KeyARN, kmsDecrypt, a.Parameters.ARNOf(p))
}

func noKey() error {
	return &smithy.GenericAPIError{
		Code: "AccessDeniedException", Fault: smithy.FaultClient,
		Message: "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.",
	}
}

// keyError turns what the service says of the key of a parameter that cannot be used into AWS's error, by which the whole request fails, one for a page of many too, as in AWS. It names
// the parameter, where AWS's text has the key: of many nobody would know which it is. So it is for whoever may read or write the parameter. What is no fault of the key's stays an
// internal failure.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html#API_GetParametersByPath_Errors
func keyError(name string, err error) error {
	switch f := (*fault.Fault)(nil); {
	case errors.Is(err, keyring.ErrSealed):
		return &types.InternalServerError{Message: ptr.To("An error occurred on the server side.")}
	case errors.As(err, &f) && (f.Reason == v1alpha1.ReasonKeyNotFound || f.Reason == v1alpha1.ReasonKeyUnusable):
		return &types.InvalidKeyId{Message: ptr.To("The KMS key of the parameter " + name + " does not exist, is not enabled, or is not in a valid state.")}
	}
	return err
}
