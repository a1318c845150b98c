package secretsmanager

import (
	"context"
	"errors"

	"github.com/aws/smithy-go"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

const (
	kmsDecrypt         = "kms:Decrypt"
	kmsEncrypt         = "kms:Encrypt"
	kmsGenerateDataKey = "kms:GenerateDataKey"
)

// useKey asks whether the caller may use a customer's key by way of Secrets Manager. The account's own key needs no permission, and is
// for nobody of another account.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_examples_cross.html
func (a *api) useKey(ctx context.Context, call *gateway.Call, key *v1alpha1.KMSKey, action, secretARN, versionID string) error {
	if secretsmanager.IsDefaultKey(key) {
		return ownKeyOnly(call, key.Namespace)
	}
	return a.askKey(ctx, call, key, key.Status.ARN, action, secretARN, versionID)
}

// ownKeyOnly refuses an account's own key to callers of other accounts.
func ownKeyOnly(call *gateway.Call, namespace string) error {
	if namespace != call.Namespace() {
		return invalidRequest("You can't access a secret from a different AWS account if you encrypt the secret with the default KMS service key.")
	}
	return nil
}

// mayUse asks whether the caller may encrypt under the key that the request names. Only who may is told that there is none.
func (a *api) mayUse(ctx context.Context, call *gateway.Call, key secretsmanager.NamedKey, secretARN, versionID string) error {
	if err := a.askKey(ctx, call, key.Key, key.ARN, kmsGenerateDataKey, secretARN, versionID); err != nil {
		return err
	}
	if key.Key == nil {
		return invalidParameter("There is no KMS key " + key.ARN + " in this account and region. " +
			"A secret is encrypted under a key of its own account.")
	}
	// A key that signs will never do, so nothing is made or changed for it. One that is disabled may be enabled again.
	if err := kms.CheckUsable(key.Key, keys.GenerateDataKey); errors.Is(err, keys.ErrKeyUsage) {
		return encryption(err)
	}
	return nil
}

// askKey asks the caller's policies and the key's own, whose word is needed: as KMS does, when it is asked by Secrets Manager on
// the caller's behalf, and the key's grants. A key that is not there is asked about as one with the policy of a key that names none.
func (a *api) askKey(ctx context.Context, call *gateway.Call, key *v1alpha1.KMSKey, keyARN, action, secretARN, versionID string) error {
	owner := arn.Account(secretARN) // a secret's key is of its own account, which may be another than the caller's
	var policy *iam.Policy
	if key != nil {
		owner, policy = arn.Account(keyARN), a.Secrets.KMS.Policy(key)
	} else {
		policy = a.Secrets.KMS.DefaultPolicy(owner)
	}
	ec := map[string]string{"SecretARN": secretARN, "SecretVersionId": versionID}
	err := call.Authorize(gateway.Question{
		Action: action, Resource: keyARN, ResourceAccount: owner, Policy: policy, MustAllow: true,
		Grants: a.Secrets.KMS.Granting(ctx, key, call.Identity.Principal, nil, kms.Wanted{Context: ec}),
		Context: &kms.Conditions{
			Key: key, CallerAccount: call.Account(), ViaService: SigningName + "." + arn.Region(secretARN) + ".amazonaws.com", // a replica's is another region
			EncryptionContext: ec,
		},
	})
	if err != nil {
		return &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "Access to KMS is not allowed", Fault: smithy.FaultClient}
	}
	return nil
}
