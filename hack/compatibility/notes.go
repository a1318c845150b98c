package main

// notes are what is other than in AWS: of a service by its name, and of an operation as service:Operation. Each is of code that
// is there; a note on an operation that is not served fails the generation.
var notes = map[string]string{
	"kms": "Key specs are AWS's but `SM2`, which AWS has in China alone, and `ML_KEM_512`, which Go's FIPS 140-3 module has not; [multi-Region keys](kmskey.md#multi-region-keys) are in the regions that are served. External key stores and Nitro enclaves (`Recipient`) are refused with `UnsupportedOperationException`. " +
		"With `GODEBUG=fips140=only` [some algorithms are turned off](kmskey.md#ed25519-secp256k1-and-ml-dsa). A request body has at most 256 KiB. " +
		"Every error that AWS documents for an operation is tested by way of its SDK, but [those of a list](../internal/gateway/kms/exceptions_test.go), each with the reason.",
	"kms:CreateKey": "`SM2`, `ML_KEM_512`, `Origin` `EXTERNAL_KEY_STORE`, and `XksKeyId` are refused with `UnsupportedOperationException`; " +
		"in a custom key store keys of RSA and NIST's curves that sign are made too, which AWS does not",
	"kms:GetParametersForImport": "`RSAES_PKCS1_V1_5`, `SM2PKE` and `SM2` are refused with `UnsupportedOperationException`, and so is an algorithm that is not for the key's spec",
	"kms:ImportKeyMaterial": "leaves a key disabled that was; new material while other is `PENDING_ROTATION` is `KMSInvalidStateException`; the AES key of `RSA_AES_KEY_WRAP` has 256 bits; an RSA key of more than two primes is `IncorrectKeyMaterialException`; " +
		"`ImportType`, `KeyMaterialId` and `KeyMaterialDescription` of a key that is not symmetric are refused with `UnsupportedOperationException`; " +
		"so is `NEW_KEY_MATERIAL` at a replica that has material; new material while the primary is changing is `KMSInvalidStateException`",
	"kms:DeleteImportedKeyMaterial": "an id that is not the key's is `NotFoundException`",
	"kms:CreateGrant": "`GranteeServicePrincipal`, `RetiringServicePrincipal` and the constraint `SourceArn` are refused with `UnsupportedOperationException`; a grant with a " +
		"`Name` that is revoked and created again as it was has the id that it had",
	"kms:ListGrants":            "principals are ARNs, also of users and roles that are gone",
	"kms:ListRetirableGrants":   "principals are ARNs, also of users and roles that are gone",
	"kms:ConnectCustomKeyStore": "at once, if a node of the cluster serves",
	"kms:CreateCustomKeyStore": "also needs `cloudhsm:DescribeClusters`; `TrustAnchorCertificate` is the `ClusterCertificate` of DescribeClusters, and any other is refused; " +
		"`KeyStorePassword` is taken and not used: nobody logs in by it",
	"kms:GenerateDataKeyPair":      "`SM2` and `ML_KEM_512` are refused with `UnsupportedOperationException`",
	"kms:DescribeCustomKeyStores":  "also those of other accounts that let this one use them; `CreationDate` is not told",
	"kms:DisconnectCustomKeyStore": "keys are refused at once by the replica that was asked, and by others as soon as they have heard of it",
	"kms:UpdateCustomKeyStore":     "`NewCustomKeyStoreName`; another cluster is refused with `CloudHsmClusterNotRelatedException`",
	"kms:Decrypt":                  "an encryption context with keys that differ in case alone is refused, since policies could not tell them apart",
	"kms:Encrypt":                  "an encryption context with keys that differ in case alone is refused, since policies could not tell them apart",
	"kms:GenerateDataKey":          "an encryption context with keys that differ in case alone is refused, since policies could not tell them apart",
	"kms:GenerateRandom":           "`CustomKeyStoreId` and `Recipient` are refused with `UnsupportedOperationException`",
	"kms:Sign":                     "`ED25519_PH_SHA_512` hashes the digest once more, as in AWS; signatures of secp256k1 have the lower `s`",
	"kms:ReplicateKey": "also needs `kms:CreateKey` in the replica's region, and `kms:TagResource` with `Tags`; a region that is not served, and the primary's own, are `ValidationException`; CreateKey in the replica's " +
		"region has no record of its own",
	"kms:UpdatePrimaryRegion":  "also needs `kms:UpdatePrimaryRegion` on the replica; the primary's own region is `UnsupportedOperationException`; it is done when it is answered; a replica that lacks imported material, what waits for a rotation included, is `KMSInvalidStateException`",
	"kms:GetKeyLastUsage":      "[exact to about an hour](kmskey.md#when-a-key-was-used-last) for what other replicas have seen; uses by Strongroom itself have no `CloudTrailEventId`",
	"kms:ReEncrypt":            "also needs `kms:ReEncryptTo` on the destination key",
	"kms:GetKeyRotationStatus": "`OnDemandRotationStartDate` of a rotation by the annotation is told if its value is a time (RFC 3339)",
	"kms:RotateKeyOnDemand":    "two requests that come before the first is carried out are one rotation; the key of a service is rotated by that service, and refused; without material to rotate to, a key of imported material is `KMSInvalidStateException`; replicas that are being deleted are not waited for to have it",

	"secretsmanager": "Replicas are in [the regions that are served](secret.md#replication). [Rotation](rotation.md) is by functions that were written " +
		"for Lambda, or the [Secret](secret.md)'s own. A secret of another account is named by its ARN, and is to be had if its " +
		"[resource policy](secret.md#resource-policy) and the caller's own policies allow it. A request body has at most 1 MiB.",
	"secretsmanager:GetResourcePolicy": "as the object has it: members may be in another order than they were put",
	"secretsmanager:PutResourcePolicy": "users and roles of the secret's own account must be there; of other accounts nothing is told; a syntax error says where it is; " +
		"what is broad is worked out by the rules of [the Secret's page](secret.md#resource-policy)",
	"secretsmanager:ValidateResourcePolicy": "also needs `secretsmanager:PutResourcePolicy`; `CheckName` is `BlockPublicPolicyCheck` or `LockOutCheck`: AWS documents no names; " +
		"a syntax error is `MalformedPolicyDocumentException`",
	"secretsmanager:CancelRotateSecret": "`AWSPENDING` stays on a version that the rotation made",
	"secretsmanager:RotateSecret": "`RotationLambdaARN` names a Service of the secret's namespace and needs `lambda:InvokeFunction`; `RotateImmediately` false also has a built-in rotator tested, by logins; " +
		"at most 999 days; `ExternalSecretRotationMetadata` and `ExternalSecretRotationRoleArn` are refused with `InvalidParameterException`",
	"secretsmanager:CreateSecret": "`Type` is refused with `InvalidParameterException`; with `AddReplicaRegions` as ReplicateSecretToRegions",
	"secretsmanager:ReplicateSecretToRegions": "a key that is not there is refused, and not told in the status; at most 32 regions; a secret that is overwritten is deleted with its recovery window; " +
		"`LastAccessedDate` is not told",
	"secretsmanager:RemoveRegionsFromReplication": "replicas are gone when it is answered",
	"secretsmanager:StopReplicationToReplica":     "of a secret that never was a replica it is `InvalidRequestException`",
	"secretsmanager:UpdateSecret":                 "`Type` is refused with `InvalidParameterException`; a key is of the secret's own account",
	"secretsmanager:BatchGetSecretValue":          "each secret needs `secretsmanager:GetSecretValue` too",

	"acm": "Over [Certificate](certificate.md): certificates are issued by private authorities of the account, or imported. No public domain is validated, and there " +
		"are no ACME endpoints, no `SearchCertificates` and no account configuration. A request body has at most 1 MiB.",
	"acm:RequestCertificate": "`CertificateAuthorityArn` is required; also needs `acm-pca:IssueCertificate` on it, and `acm:AddTagsToCertificate` with tags; " +
		"`ValidationMethod`, `DomainValidationOptions`, `ManagedBy`, `RSA_1024` and `Export` `DISABLED` are refused with `InvalidParameterException`; a token counts " +
		"an hour for one domain name",
	"acm:DescribeCertificate": "`InUseBy` names the core Secret that shows the certificate",
	"acm:DeleteCertificate":   "a certificate with `spec.target` is in use; it can be had back until its recovery window ends, by applying the object again",
	"acm:ImportCertificate":   "a chain has at most ten certificates and 160 KiB; with tags it also needs `acm:AddTagsToCertificate`",
	"acm:ListCertificates":    "without `keyTypes` only RSA of 2,048 bits is shown, as in AWS",
	"acm:RenewCertificate":    "makes a fresh key",

	"acm-pca": "Over [CertificateAuthority](certificateauthority.md). There are no resource policies, permissions, audit reports and OCSP, and authorities are deleted as objects.",
	"acm-pca:CreateCertificateAuthority": "`ROOT` alone: the authority certifies itself, for ten years, and becomes `ACTIVE`; a subordinate one is made as an object; " +
		"`CsrExtensions`, `KeyStorageSecurityStandard`, short-lived mode, OCSP, buckets and parts of a subject that the object has not are refused with `InvalidArgsException`",
	"acm-pca:GetCertificateAuthorityCsr": "also when the authority has its certificate",
	"acm-pca:IssueCertificate": "templates `EndEntityCertificate/V1`, `EndEntityClientAuthCertificate/V1`, `EndEntityServerAuthCertificate/V1`, `CodeSigningCertificate/V1`; " +
		"others and `ApiPassthrough` are refused with `InvalidArgsException`",

	"cloudhsmv2": "Over [HSMCluster](hsmcluster.md), in the home region alone. Clusters initialise themselves with their first HSM. There are no backups, resource policies, VPCs, security groups and " +
		"network interfaces.",
	"cloudhsmv2:CreateCluster": "a cluster of SoftHSM without HSMs; `HsmType` and `SubnetIds` are told back and mean nothing else; `SourceBackupId`, `BackupRetentionPolicy` and `NetworkType` `DUALSTACK` are refused " +
		"with `CloudHsmInvalidRequestException`; with tags it also needs `cloudhsm:TagResource`",
	"cloudhsmv2:CreateHsm":        "at most 10 a cluster; `AvailabilityZone` is told back and means nothing else; `IpAddress` is refused",
	"cloudhsmv2:DeleteCluster":    "also refused while KMS keys are in the cluster; volumes and PINs stay",
	"cloudhsmv2:DeleteHsm":        "by `HsmId`, the last one first: another is refused, and which it must be is said",
	"cloudhsmv2:DescribeClusters": "`Certificates` has the `ClusterCertificate` alone; no cluster passes the filter `vpcIds`",

	"ssm": "Of Systems Manager the Parameter Store alone, over [Parameter](parameter.md). There is no `aws:ec2:image` data type. " +
		"[A resource policy](parameter.md#resource-policy) shares a parameter with other accounts.",
	"ssm:PutParameter": "a `DataType` other than `text` is refused with `ValidationException`, and so is a value for a parameter " +
		"whose manifest has one; of `Tags`, two whose keys differ in case alone are refused as duplicates, since " +
		"[policies ask for tags whatever their case](iam.md); an `Expiration` in the past is an `InvalidPolicyAttributeException`, and an `ExpirationNotification` without an " +
		"`Expiration` an `IncompatiblePolicyException`",
	"ssm:GetServiceSetting": "of the Parameter Store's settings: [what they are](parameter-store.md#service-settings); who changed it is told as `System` or not at all",
	"ssm:GetParameterHistory": "`Description`, `AllowedPattern`, `Policies` and `Tier` are those of the latest version, and are left out of earlier ones; " +
		"`LastModifiedUser` is not told",
	"ssm:AddTagsToResource": "two tags of one request whose keys differ in case alone are refused as duplicates, since [policies ask for tags whatever their case](iam.md)",
	"ssm:GetParametersByPath": "a Deny of the path is one of it with a slash at its end and without: [what is asked](iam.md#condition-keys); a parameter that cannot be read " +
		"is named by an `InternalServerError`",
	"ssm:DescribeParameters":   "`LastModifiedUser` is not told; `Shared` lists nothing, as in AWS while what `PutResourcePolicy` shares is no share of AWS RAM, which is not served",
	"ssm:PutResourcePolicy":    "of an advanced parameter, which has one, of at most 4,096 characters; users and roles of its own account must be there",
	"ssm:GetResourcePolicies":  "as the object has it: members may be in another order than they were put; there is one page",
	"ssm:DeleteResourcePolicy": "`DeletionMode` is of documents and means nothing",
	"ssm:GetParameter": "`/aws/reference/secretsmanager/NAME` reads a secret, of whatever name one can have, with `:STAGE` or `:VERSION-ID` behind it: with decryption alone, and " +
		"also needs `secretsmanager:GetSecretValue` on the secret, and `kms:Decrypt` on a key of one's own",
	"ssm:GetParameters": "secrets are read as by `GetParameter`; a parameter that cannot be read is named by an `InternalServerError`, and is not among `InvalidParameters`",

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
