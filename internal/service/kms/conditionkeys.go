package kms

import "strings"

// conditionKeys are those of AWS KMS, in lower case. Here no request has those that are of Nitro enclaves, or of AWS's own services as principals.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_kms.html#list_kms-policy-keys
var conditionKeys = map[string]bool{
	"kms:bypasspolicylockoutsafetycheck": true, "kms:calleraccount": true, "kms:customermasterkeyspec": true, "kms:customermasterkeyusage": true, "kms:datakeypairspec": true,
	"kms:encapsulationalgorithm": true, "kms:encryptionalgorithm": true, "kms:encryptioncontextkeys": true, "kms:expirationmodel": true, "kms:grantconstrainttype": true,
	"kms:granteeprincipal": true, "kms:granteeserviceprincipal": true, "kms:grantisforawsresource": true, "kms:grantoperations": true, "kms:keyagreementalgorithm": true, "kms:keyorigin": true,
	"kms:keyspec": true, "kms:keyusage": true, "kms:macalgorithm": true, "kms:messagetype": true, "kms:multiregion": true, "kms:multiregionkeytype": true, "kms:primaryregion": true,
	"kms:reencryptonsamekey": true, "kms:replicaregion": true, "kms:requestalias": true, "kms:resourcealiases": true, "kms:retiringprincipal": true, "kms:retiringserviceprincipal": true,
	"kms:rotationperiodindays": true, "kms:schedulekeydeletionpendingwindowindays": true, "kms:signingalgorithm": true, "kms:trailingdayswithoutkeyusage": true, "kms:validto": true,
	"kms:viaservice": true, "kms:wrappingalgorithm": true, "kms:wrappingkeyspec": true,
}

// recipientAttestation is the beginning of the keys of enclaves.
const recipientAttestation = "kms:recipientattestation:"

// HasConditionKey tells whether AWS KMS has a condition key, in lower case: one of the list, or one of an encryption context or an enclave, which end in a name.
func HasConditionKey(key string) bool {
	for _, prefix := range []string{contextKey, recipientAttestation} {
		if name, is := strings.CutPrefix(key, prefix); is {
			return name != ""
		}
	}
	return conditionKeys[key]
}
