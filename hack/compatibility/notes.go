package main

// notes are what is other than in AWS: of a service by its name, and of an operation as service:Operation. Each is of code that
// is there; a note on an operation that is not served fails the generation.
var notes = map[string]string{
	"kms": "Keys are symmetric (`SYMMETRIC_DEFAULT`), of one region, made here. There are no grants: a grant token is refused with " +
		"`InvalidGrantTokenException`. Custom key stores and Nitro enclaves (`Recipient`) are refused with `UnsupportedOperationException`. " +
		"A request body has at most 256 KiB.",
	"kms:CreateKey": "`KeySpec` other than `SYMMETRIC_DEFAULT`, `Origin` other than `AWS_KMS`, `MultiRegion`, `CustomKeyStoreId` and `XksKeyId` " +
		"are refused with `UnsupportedOperationException`",
	"kms:Decrypt":           "an encryption context with keys that differ in case alone is refused, since policies could not tell them apart",
	"kms:Encrypt":           "an encryption context with keys that differ in case alone is refused, since policies could not tell them apart",
	"kms:GenerateDataKey":   "an encryption context with keys that differ in case alone is refused, since policies could not tell them apart",
	"kms:GenerateRandom":    "`CustomKeyStoreId` and `Recipient` are refused with `UnsupportedOperationException`",
	"kms:ReEncrypt":         "also needs `kms:ReEncryptTo` on the destination key",
	"kms:RotateKeyOnDemand": "the key of a service is rotated by that service, and refused",

	"secretsmanager": "A secret has no resource policy, no replica and no rotation function: those operations are not served. Rotation on a schedule " +
		"is the [Secret](secret.md)'s own. A request body has at most 1 MiB.",
	"secretsmanager:CreateSecret":        "`AddReplicaRegions` and `Type` are refused with `InvalidParameterException`",
	"secretsmanager:UpdateSecret":        "`Type` is refused with `InvalidParameterException`",
	"secretsmanager:BatchGetSecretValue": "each secret needs `secretsmanager:GetSecretValue` too",

	"iam": "Over [IAMUser](iamuser.md), [IAMRole](iamrole.md), [IAMGroup](iamgroup.md) and [IAMPolicy](iampolicy.md): what is made here is there for `kubectl`, and the reverse. " +
		"Passwords, MFA devices, identity providers and service-linked roles are not served.",

	"iam:AddUserToGroup":          "the user's `groups` are changed, and not the group",
	"iam:CreatePolicyVersion":     "a change of `spec.document` by `kubectl` is a version too",
	"iam:SimulateCustomPolicy":    "`OrderedOrganizationPolicyInputList` is refused with `InvalidInput`",
	"iam:SimulatePrincipalPolicy": "of a user with its groups, a role, or a group; `PolicyExclusionList` is refused",

	"sts": "Nothing is stored: a session is in its token. There are no MFA devices: `SerialNumber` and `TokenCode` are refused.",
	"sts:AssumeRole": "root accounts may assume no role, as in AWS; `ProvidedContexts` is refused; with tags or a source identity it also needs " +
		"`sts:TagSession` or `sts:SetSourceIdentity`",
	"sts:AssumeRoleWithWebIdentity": "the identity provider is the cluster: the token is a service account's, and its audience is " +
		"`sts.amazonaws.com`; `ProviderId` is refused",
	"sts:GetSessionToken": "the session ends with the access key that it was made with; in AWS it outlives the key",
}
