package secretsmanager

import (
	"strings"

	"github.com/aws/smithy-go"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

const (
	kmsDecrypt         = "kms:Decrypt"
	kmsGenerateDataKey = "kms:GenerateDataKey"
)

// useKey asks whether the caller may use a customer's key by way of Secrets Manager. The account's own key needs no permission.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
func useKey(call *gateway.Call, key *v1alpha1.KMSKey, action, secretARN, versionID string) error {
	if secretsmanager.IsDefaultKey(key) {
		return nil
	}
	return askKey(call, key.Status.ARN, action, secretARN, versionID)
}

// mayUse asks whether the caller may encrypt under the key that the request names. Only who may is told that there is none.
func mayUse(call *gateway.Call, key secretsmanager.NamedKey, secretARN, versionID string) error {
	if err := askKey(call, key.ARN, kmsGenerateDataKey, secretARN, versionID); err != nil {
		return err
	}
	if key.Key == nil {
		return invalidParameter("There is no KMS key " + key.ARN + " in this account and region. " +
			"A secret is encrypted under a key of its own account.")
	}
	return nil
}

func askKey(call *gateway.Call, keyARN, action, secretARN, versionID string) error {
	question := gateway.Question{
		Action: action, Resource: keyARN,
		Context: &keyUse{call: call, secretARN: secretARN, versionID: versionID},
		// Seam for key policies: Policy is the KMSKey's compiled one, and MustAllow true, when KMSKeys have policies.
	}
	if call.Authorize(question) != nil {
		return &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "Access to KMS is not allowed", Fault: smithy.FaultClient}
	}
	return nil
}

// keyUse is the condition keys of a key's use for a secret.
// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html
type keyUse struct {
	call                 *gateway.Call
	secretARN, versionID string
}

// Values implements iam.Context.
func (k *keyUse) Values(key string) ([]string, bool) {
	switch strings.TrimPrefix(key, "kms:") {
	case key: // not of KMS
	case "viaservice":
		return []string{SigningName + "." + k.call.Region + ".amazonaws.com"}, true
	case "calleraccount":
		return []string{k.call.Account()}, true
	case "encryptioncontext:secretarn":
		return []string{k.secretARN}, true
	case "encryptioncontext:secretversionid":
		return []string{k.versionID}, true
	case "encryptioncontextkeys":
		return []string{"SecretARN", "SecretVersionId"}, true
	}
	return nil, false
}
