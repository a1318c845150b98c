package main

// notes are what is other than in AWS: of a service by its name, and of an operation as service:Operation. Each is of code that
// is there; a note on an operation that is not served fails the generation.
var notes = map[string]string{
	"kms": "Keys are symmetric (`SYMMETRIC_DEFAULT`) or sign (`RSA_2048`, `RSA_3072`, `RSA_4096`, `ECC_NIST_P256`, `ECC_NIST_P384`, " +
		"`ECC_NIST_P521`), of one region, made here. There are no grants: a grant token is refused with " +
		"`InvalidGrantTokenException`. External key stores and Nitro enclaves (`Recipient`) are refused with `UnsupportedOperationException`. " +
		"A request body has at most 256 KiB.",
	"kms:CreateKey": "other `KeySpec`s, RSA keys that encrypt, curves that agree on keys, `Origin` other than `AWS_KMS` and `AWS_CLOUDHSM`, `MultiRegion` and `XksKeyId` " +
		"are refused with `UnsupportedOperationException`; in a custom key store keys that sign are made too, which AWS does not",
	"kms:ConnectCustomKeyStore": "at once, if a node of the cluster serves",
	"kms:CreateCustomKeyStore": "also needs `cloudhsm:DescribeClusters`; `TrustAnchorCertificate` is the `ClusterCertificate` of DescribeClusters, and any other is refused; " +
		"`KeyStorePassword` is taken and not used: nobody logs in by it",
	"kms:DescribeCustomKeyStores":  "also those of other accounts that let this one use them; `CreationDate` is not told",
	"kms:DisconnectCustomKeyStore": "keys are refused at once by the replica that was asked, and by others as soon as they have heard of it",
	"kms:UpdateCustomKeyStore":     "`NewCustomKeyStoreName`; another cluster is refused with `CloudHsmClusterNotRelatedException`",
	"kms:Decrypt":                  "an encryption context with keys that differ in case alone is refused, since policies could not tell them apart",
	"kms:Encrypt":                  "an encryption context with keys that differ in case alone is refused, since policies could not tell them apart",
	"kms:GenerateDataKey":          "an encryption context with keys that differ in case alone is refused, since policies could not tell them apart",
	"kms:GenerateRandom":           "`CustomKeyStoreId` and `Recipient` are refused with `UnsupportedOperationException`",
	"kms:Sign":                     "`MessageType` is `RAW` or `DIGEST`",
	"kms:Verify":                   "`MessageType` is `RAW` or `DIGEST`",
	"kms:ReEncrypt":                "also needs `kms:ReEncryptTo` on the destination key",
	"kms:RotateKeyOnDemand":        "the key of a service is rotated by that service, and refused",

	"secretsmanager": "Replicas are in [the regions that are served](secret.md#replication). [Rotation](rotation.md) is by functions that were written " +
		"for Lambda, or the [Secret](secret.md)'s own. A secret of another account is named by its ARN, and is to be had if its " +
		"[resource policy](secret.md#resource-policy) and the caller's own policies allow it. A request body has at most 1 MiB.",
	"secretsmanager:GetResourcePolicy": "as the object has it: members may be in another order than they were put",
	"secretsmanager:PutResourcePolicy": "users and roles of the secret's own account must be there; of other accounts nothing is told; a syntax error says where it is; " +
		"what is broad is worked out by the rules of [the Secret's page](secret.md#resource-policy)",
	"secretsmanager:ValidateResourcePolicy": "also needs `secretsmanager:PutResourcePolicy`; `CheckName` is `BlockPublicPolicyCheck` or `LockOutCheck`: AWS documents no names; " +
		"a syntax error is `MalformedPolicyDocumentException`",
	"secretsmanager:CancelRotateSecret": "`AWSPENDING` stays on a version that the rotation made",
	"secretsmanager:RotateSecret": "`RotationLambdaARN` names a Service of the secret's namespace and needs `lambda:InvokeFunction`; `RotateImmediately` false runs no `testSecret`; " +
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

	"ssm": "Of Systems Manager the Parameter Store alone, over [Parameter](parameter.md). There are no parameter policies, no `aws:ec2:image` " +
		"data type, and no sharing between accounts.",
	"ssm:PutParameter": "`Policies` and a `DataType` other than `text` are refused with `ValidationException`, and so is a value for a parameter " +
		"whose manifest has one",
	"ssm:GetParameterHistory": "`Description`, `AllowedPattern` and `Tier` are those of the latest version, and are left out of earlier ones; " +
		"`LastModifiedUser` is not told",
	"ssm:DescribeParameters": "`LastModifiedUser` is not told",

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
