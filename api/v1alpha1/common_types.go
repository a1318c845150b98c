package v1alpha1

// Labels and annotations that users and other controllers may rely on.
const (
	// ManagedLabel marks the core Secrets and ConfigMaps that Strongroom watches: its projections (value ManagedProjection) and the
	// import sources whose owner asks for them to be followed (value ManagedSource). Those without it are
	// never listed or watched.
	ManagedLabel = Group + "/managed"
	// ManagedProjection is ManagedLabel's value on a projection.
	ManagedProjection = "projection"
	// ManagedSource is ManagedLabel's value that a user sets on a core Secret named by valueFrom with
	// policy Follow, so that its changes are imported at once.
	ManagedSource = "source"
	// ManagedAccessKey is ManagedLabel's value on the core Secrets that access keys of IAMUsers are handed out in.
	ManagedAccessKey = "access-key"
	// ManagedRotation is ManagedLabel's value on the Jobs that carry out steps of a rotation.
	ManagedRotation = "rotation"
	// ManagedGateway is ManagedLabel's value on the ConfigMap that pods find the gateway by, GatewayConfigMap.
	ManagedGateway = "gateway"

	// RotationJobAnnotation, on a suspended CronJob, lets Secrets of its namespace run its template to rotate: with the value "true".
	RotationJobAnnotation = Group + "/rotation-job"

	// SubjectAnnotation holds, on a projection, the ARN of the secret that it shows; on a Secret that was made through the
	// API, its own, so that neither a lost status nor an earlier secret of the name changes it.
	SubjectAnnotation = Group + "/arn"

	// AccessKeyIDLabel, on the core Secret that an IAMUser's access key was handed out in, is the key's id. No target of
	// any object is ever written into such a core Secret.
	AccessKeyIDLabel = Group + "/access-key-id"

	// RequestTokenAnnotation holds, on a Secret that was made through the API, the ClientRequestToken that made it: the same
	// request made again finds its own work and goes on with it.
	RequestTokenAnnotation = Group + "/client-request-token"
	// ForceDeleteAnnotation, on a Secret that is deleted, lets its versions go at once instead of keeping them for the
	// recovery window: with the value "true". On an object with owners other than Strongroom's it does not count, since the garbage collector deletes
	// that on nobody's request; and what is written once the deletion has begun does not either.
	ForceDeleteAnnotation = Group + "/force-delete-without-recovery"

	// CondemnedAnnotation, on an Envelope, says since when it is about to be erased. Nothing takes it over meanwhile. Strongroom takes the
	// annotation off again if the object of the Envelope is back.
	CondemnedAnnotation = Group + "/condemned"
	// ErasureAnnotation, beside CondemnedAnnotation, says which erasure that is, and which Envelope goes first in it: once that is gone, all the others go.
	ErasureAnnotation = Group + "/erasure"
	// TakenAnnotation, on an Envelope, says which object took it over last, as after a loss of its status, by the UID and the resource version that it had. Who is about to
	// erase the Envelope as it was before then does not.
	TakenAnnotation = Group + "/taken-by"

	// AccountIDLabel, on a Namespace, is the 12-digit AWS account id in the ARNs of its objects.
	AccountIDLabel = Group + "/account-id"

	// InjectLabel, on a Pod, asks for what an AWS SDK needs to reach the gateway as an IAMRole: with the value "true".
	InjectLabel = Group + "/inject"
	// RoleAnnotation, on a Pod with InjectLabel, is the path and name of its role in the account of its namespace: SHOP, or
	// TEAM/SHOP. The name of the pod's service account when it is left out.
	RoleAnnotation = Group + "/role"
	// RoleARNAnnotation, on a Pod with InjectLabel, is the ARN of its role, of whatever account. It wins over RoleAnnotation.
	RoleARNAnnotation = Group + "/role-arn"

	// TargetMetadataAnnotation, on a projection, lists the labels and annotations that spec.target.metadata gave it.
	TargetMetadataAnnotation = Group + "/target-metadata"

	// ReconcileAnnotation asks for one reconciliation. Each new value is handled once and echoed in
	// status.lastHandledReconcileAt.
	ReconcileAnnotation = Group + "/reconcile"
	// AuthorityAnnotation of a KMSKey is the ARN of the CertificateAuthority that the key was made for, by its controller.
	AuthorityAnnotation = Group + "/certificate-authority"
	// AuthorityMACAnnotation of a KMSKey proves what AuthorityAnnotation says: a message authentication code over it and the KMSKey's namespace and
	// name, under a key that Strongroom alone has, in 32 hexadecimal digits. Who may make KMSKeys can write any AuthorityAnnotation, and no other proof
	// than one that was made for a KMSKey of that name.
	AuthorityMACAnnotation = Group + "/certificate-authority-mac"
	// RotateAnnotation asks for one rotation. Each new value is handled once and echoed in
	// status.lastHandledRotateAt. On the Envelope of a domain key, it is the value that the domain key was made for.
	RotateAnnotation = Group + "/rotate"
	// PrimaryUpdateAnnotation, on a multi-Region KMSKey, says what is being done to make another one the primary. Strongroom takes it away when that
	// is done.
	PrimaryUpdateAnnotation = Group + "/primary-update"
	// ResealAnnotation, on a Secret with spec.sealed, asks for that value sealed anew, in status.resealed, for as long as it is there. Its
	// value is the name of the KMSKey to seal for; empty is the one that the value is sealed for now.
	ResealAnnotation = Group + "/reseal"
)

// The ConfigMap that pods read which take on an IAMRole. Strongroom keeps it in each namespace of such pods.
const (
	// GatewayConfigMap is its name.
	GatewayConfigMap = "strongroom-gateway-ca"
	// GatewayAuthorityKey holds the certificates, in PEM, that the gateway's is to be verified by.
	GatewayAuthorityKey = "ca.crt"
	// GatewayAccountKey holds the namespace's account id. It is missing while the namespace has none of its own.
	GatewayAccountKey = "account-id"
	// GatewayEndpointKey holds the gateway's URL for pods.
	GatewayEndpointKey = "endpoint-url"
	// GatewayRegionKey holds the home region.
	GatewayRegionKey = "region"
)

// Condition types. Ready is always present. Reconciling and Stalled follow kstatus: they are present only while true.
const (
	// ConditionReady is True when the object's spec is in force in full.
	ConditionReady = "Ready"
	// ConditionReconciling is True while work is going on or will be retried.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when no retry helps: somebody must change the object or what it names.
	ConditionStalled = "Stalled"
	// ConditionRotationFailing is True on a Secret while a rotation is in progress whose last attempt failed. What is in force stays so.
	ConditionRotationFailing = "RotationFailing"
	// ConditionReplicationFailing is True on a Secret while a region of spec.replicaRegions has no replica, or one that a version cannot be
	// brought to. The secret itself stays as it is.
	ConditionReplicationFailing = "ReplicationFailing"
	// ConditionDeletionBlocked is True on a KMSKey whose deletion waits for what is still encrypted under it.
	ConditionDeletionBlocked = "DeletionBlocked"
	// ConditionPrimaryUpdateFailed is True on a multi-Region KMSKey that stayed the primary, since a change of it could not be made, until its key
	// material is whole or another change begins.
	ConditionPrimaryUpdateFailed = "PrimaryUpdateFailed"
	// ConditionAvailable is True on an HSMCluster while at least one node serves.
	ConditionAvailable = "Available"
	// ConditionRootOfTrust is True on an HSMCluster whose domain key wraps the keyring's domain keys.
	ConditionRootOfTrust = "RootOfTrust"
	// ConditionRootProtected says whether the root of trust is kept outside the Kubernetes API, where a
	// reader of its Secrets cannot get at it.
	ConditionRootProtected = "RootProtected"
	// ConditionPrincipalReplaced is True while a policy names a user or role that was deleted and made again since: who is there now
	// is not trusted.
	ConditionPrincipalReplaced = "PrincipalReplaced"
	// ConditionUnknownConditionKey is True while a policy has a condition key by the name of kms: that AWS KMS does not have. The policy is in force as it is.
	ConditionUnknownConditionKey = "UnknownConditionKey"
	// ConditionRewrapped is True on the Keyring while no Envelope is under a former domain key.
	ConditionRewrapped = "Rewrapped"
	// ConditionExpiring is True on a Parameter from the time of an ExpirationNotification on, until it expires or its policy is another.
	ConditionExpiring = "Expiring"
	// ConditionUnchanged is True on a Parameter from the time of a NoChangeNotification on, until it has a new version.
	ConditionUnchanged = "Unchanged"
)

// Reasons of conditions, and of the events that go with them.
const (
	// ReasonAnotherPrincipal: what an ARN of a policy names is another object than when the policy was put in force.
	ReasonAnotherPrincipal = "AnotherPrincipal"
	// ReasonUnknownConditionKey: no request has a condition key of a policy, which may be misspelt.
	ReasonUnknownConditionKey = "UnknownConditionKey"
	// ReasonPending: no controller has looked at the object yet. Also the schema's default.
	ReasonPending = "Pending"
	// ReasonSucceeded: the spec is in force.
	ReasonSucceeded = "Succeeded"
	// ReasonProgressing: the controller is at work or will try again after a passing failure.
	ReasonProgressing = "Progressing"
	// ReasonSuspended: spec.suspend holds all changes; what was projected stays.
	ReasonSuspended = "Suspended"
	// ReasonTerminating: the object was deleted, and finalizers hold it: it is neither served nor shown.
	ReasonTerminating = "Terminating"
	// ReasonKeyNotFound: the KMSKey that spec.kmsKeyRef names does not exist.
	ReasonKeyNotFound = "KeyNotFound"
	// ReasonKeyUnusable: the KMSKey exists and is not Enabled, is not ready yet, or is of another kind than is needed.
	ReasonKeyUnusable = "KeyUnusable"
	// ReasonSourceNotFound: the core Secret, or its key, that spec.valueFrom names does not exist; or a Secret or Parameter that
	// spec.target.sources names does not, or has no value yet; or a ParameterTree has no parameter, or one without a value.
	ReasonSourceNotFound = "SourceNotFound"
	// ReasonInvalidValue: the value from its source is empty or over 65,536 bytes.
	ReasonInvalidValue = "InvalidValue"
	// ReasonNoValue: the secret has no value yet, and spec says not where it comes from: it is put through the API.
	ReasonNoValue = "NoValue"
	// ReasonReplicationFailed: replication to a region fails. The message says where and why.
	ReasonReplicationFailed = "ReplicationFailed"
	// ReasonPrimaryNotFound: the Secret or KMSKey that spec.replicaOf names does not exist, has no ARN yet, or is another one by now.
	ReasonPrimaryNotFound = "PrimaryNotFound"
	// ReasonNotReplicated: the primary does not list the replica's region in spec.replicaRegions.
	ReasonNotReplicated = "NotReplicated"
	// ReasonDuplicateKey: two parameters of a ParameterTree would have one key of data.
	ReasonDuplicateKey = "DuplicateKey"
	// ReasonInvalidKey: the name of a parameter makes no key that a ConfigMap or core Secret can have.
	ReasonInvalidKey = "InvalidKey"
	// ReasonSecureStringInConfigMap: the target is a ConfigMap, and a SecureString is among the parameters of the ParameterTree, or the Parameter's
	// latest version.
	ReasonSecureStringInConfigMap = "SecureStringInConfigMap"
	// ReasonTypeMismatch: the versions that are kept of a deleted Parameter are of another type than the one that is applied under its name.
	ReasonTypeMismatch = "TypeMismatch"
	// ReasonTargetTooLarge: the parameters of a ParameterTree are more, or larger, than fit into its target.
	ReasonTargetTooLarge = "TargetTooLarge"
	// ReasonInvalidTemplate: a template does not parse, names what the value lacks, or goes over its limits.
	ReasonInvalidTemplate = "InvalidTemplate"
	// ReasonSealedInvalid: the sealed value is damaged, or was sealed for another name, account, region or key.
	ReasonSealedInvalid = "SealedInvalid"
	// ReasonInvalidGenerator: spec.generate asks for what cannot be made, such as a password of no characters.
	ReasonInvalidGenerator = "InvalidGenerator"
	// ReasonInvalidSchedule: the rotation schedule does not parse or never fires.
	ReasonInvalidSchedule = "InvalidSchedule"
	// ReasonRotating: the first version is being set at the server that it is for.
	ReasonRotating = "Rotating"
	// ReasonInvalidCredential: the value, or the admin's, is not one that the rotator can use, or names another server.
	ReasonInvalidCredential = "InvalidCredential"
	// ReasonAdminSecretNotFound: the Secret that adminSecretRef names is not there or has no value.
	ReasonAdminSecretNotFound = "AdminSecretNotFound"
	// ReasonDatabaseUnreachable: no connection was made, or it broke.
	ReasonDatabaseUnreachable = "DatabaseUnreachable"
	// ReasonTLSFailed: the server's certificate is not trusted, or it has no TLS.
	ReasonTLSFailed = "TLSFailed"
	// ReasonLoginRefused: the server refuses the login of the user that acts.
	ReasonLoginRefused = "LoginRefused"
	// ReasonPermissionDenied: the user that acts may not change the password.
	ReasonPermissionDenied = "PermissionDenied"
	// ReasonPasswordRefused: the server's rules refuse the new password.
	ReasonPasswordRefused = "PasswordRefused"
	// ReasonCredentialDrift: no stored version logs in, as after a restore from a backup.
	ReasonCredentialDrift = "CredentialDrift"
	// ReasonCredentialHealed: the event of a password that no stored version had and that the admin has set.
	ReasonCredentialHealed = "CredentialHealed"
	// ReasonPasswordVolatile: the event of a password that the server has in memory alone, for it has no file to write its users to.
	ReasonPasswordVolatile = "PasswordVolatile"
	// ReasonRotatorFailed: the server failed in another way.
	ReasonRotatorFailed = "RotatorFailed"
	// ReasonFunctionNotFound: the Service of the rotation function does not exist, or is none that may be called.
	ReasonFunctionNotFound = "FunctionNotFound"
	// ReasonFunctionUnreachable: no connection to the rotation function was made, it broke, or no answer came in time.
	ReasonFunctionUnreachable = "FunctionUnreachable"
	// ReasonFunctionFailed: the rotation function raised an error, or did not do what a step is for.
	ReasonFunctionFailed = "FunctionFailed"
	// ReasonJobTemplateNotFound: the CronJob that spec.rotation.job names does not exist, is not suspended, or does not let Secrets run it.
	ReasonJobTemplateNotFound = "JobTemplateNotFound"
	// ReasonJobFailed: the Job of a step failed, could not be made, or did not do what the step is for.
	ReasonJobFailed = "JobFailed"
	// ReasonTooManyRotations: a key was rotated on demand as often as AWS KMS allows.
	ReasonTooManyRotations = "TooManyRotations"
	// ReasonUnsupportedOperation: keys of this spec do not have what was asked for.
	ReasonUnsupportedOperation = "UnsupportedOperation"
	// ReasonConflict: the target belongs to somebody else.
	ReasonConflict = "Conflict"
	// ReasonCycle: the source that is followed is itself made of this secret, so that each change would make another.
	ReasonCycle = "Cycle"
	// ReasonInvalidSelector: a selector of spec.target.restart, or spec.allowedNamespaces, is not a label selector.
	ReasonInvalidSelector = "InvalidSelector"
	// ReasonInvalidName: the name can be no parameter's in AWS, or is none that a certificate can have.
	ReasonInvalidName = "InvalidName"
	// ReasonTooManyRetained: so many former core Secrets of an immutable target are still used that another content of it is not shown.
	ReasonTooManyRetained = "TooManyRetained"
	// ReasonTooManyVersions: the oldest of a parameter's 100 versions has a label, so that it cannot make room for another.
	ReasonTooManyVersions = "TooManyVersions"
	// ReasonNameConflict: an older object of the namespace has the same AWS name, or a key has the same alias.
	ReasonNameConflict = "NameConflict"
	// ReasonDuplicateTagKeys: two tags of a user or role differ in case alone.
	ReasonDuplicateTagKeys = "DuplicateTagKeys"
	// ReasonAccountConflict: an older namespace has the same account id.
	ReasonAccountConflict = "AccountConflict"
	// ReasonInvalidAccount: the label strongroom.dev/account-id of the namespace is not 12 digits.
	ReasonInvalidAccount = "InvalidAccount"
	// ReasonAccountChanged: the namespace has another account id than the IAMUser's access keys were made for.
	ReasonAccountChanged = "AccountChanged"
	// ReasonMalformedPolicyDocument: a policy does not parse, or is over AWS's size. The message names it and the place.
	ReasonMalformedPolicyDocument = "MalformedPolicyDocument"
	// ReasonPolicyNotFound: no managed policy has the ARN that is attached, or that is the permissions boundary.
	ReasonPolicyNotFound = "PolicyNotFound"
	// ReasonPolicyNotReady: the IAMPolicy that is attached, or that is the permissions boundary, is not in force itself.
	ReasonPolicyNotReady = "PolicyNotReady"
	// ReasonGroupNotFound: no IAMGroup has the name that an IAMUser has in spec.groups.
	ReasonGroupNotFound = "GroupNotFound"
	// ReasonGroupNotReady: an IAMGroup that an IAMUser is in is not in force itself.
	ReasonGroupNotReady = "GroupNotReady"
	// ReasonForeignPolicy: a managed policy of another account is attached, or is the permissions boundary.
	ReasonForeignPolicy = "ForeignPolicy"
	// ReasonEnvelopeMissing: the index names a version whose Envelope is gone.
	ReasonEnvelopeMissing = "EnvelopeMissing"
	// ReasonEnvelopeTampered: an Envelope does not open, or is not the one that the index names.
	ReasonEnvelopeTampered = "EnvelopeTampered"
	// ReasonSealed: the root of trust is not available, so nothing can be encrypted or decrypted.
	ReasonSealed = "Sealed"
	// ReasonPendingDeletion: the key is scheduled for deletion.
	ReasonPendingDeletion = "PendingDeletion"
	// ReasonPendingImport: the key waits for its material to be imported.
	ReasonPendingImport = "PendingImport"
	// ReasonImportFailed: spec.importedMaterial cannot be imported: its token has expired or is another key's, or the material is not what it must be.
	ReasonImportFailed = "ImportFailed"
	// ReasonInUse: Envelopes are still encrypted under the key, or the keyring under the HSMCluster.
	ReasonInUse = "InUse"
	// ReasonDisabled: spec.enabled is false.
	ReasonDisabled = "Disabled"
	// ReasonNodesUnavailable: an HSM node, or all of them, does not serve. The message says which and why.
	ReasonNodesUnavailable = "NodesUnavailable"
	// ReasonDomainKeyLost: no HSM node holds the domain key that the cluster had, so what was made under it opens nowhere.
	ReasonDomainKeyLost = "DomainKeyLost"
	// ReasonDomainKeyMismatch: an HSM node holds another domain key than the cluster's.
	ReasonDomainKeyMismatch = "DomainKeyMismatch"
	// ReasonNoHSMNodes: the manager was not told how to run HSM nodes, by --hsm-image or --hsm-local-directory.
	ReasonNoHSMNodes = "NoHSMNodes"
	// ReasonLibraryNotAllowed: the HSMCluster names a PKCS#11 library that the operator does not let nodes load, or a token of it that its namespace
	// may not use, by --hsm-libraries.
	ReasonLibraryNotAllowed = "LibraryNotAllowed"
	// ReasonStorageClassKept is of an event: the volumes of an HSMCluster keep their storage class, though the manager was given another.
	ReasonStorageClassKept = "StorageClassKept"
	// ReasonCustomKeyStoreNotFound: the HSMCluster that spec.customKeyStoreRef names does not exist, or is not for this namespace.
	ReasonCustomKeyStoreNotFound = "CustomKeyStoreNotFound"
	// ReasonCustomKeyStoreUnavailable: no node of the HSMCluster that holds the key serves.
	ReasonCustomKeyStoreUnavailable = "CustomKeyStoreUnavailable"
	// ReasonCoreSecretRoot: the root of trust is a core Secret.
	ReasonCoreSecretRoot = "CoreSecretRoot"
	// ReasonAuthorityNotFound: the CertificateAuthority that spec.authorityRef names does not exist.
	ReasonAuthorityNotFound = "AuthorityNotFound"
	// ReasonAuthorityNotReady: the CertificateAuthority has no certificate yet, or no time left to issue for.
	ReasonAuthorityNotReady = "AuthorityNotReady"
	// ReasonNotPermitted: a name is outside the constraints of the authority, or an authority may not be below it.
	ReasonNotPermitted = "NotPermitted"
	// ReasonInvalidCertificate: a certificate, its chain or its key is malformed, weak, expired, or they do not belong together.
	ReasonInvalidCertificate = "InvalidCertificate"
	// ReasonKeyMismatch: the KMSKey is not the one that the authority's certificate was made for.
	ReasonKeyMismatch = "KeyMismatch"
	// ReasonKeyInUse: the KMSKey belongs to another CertificateAuthority, or is for something else.
	ReasonKeyInUse = "KeyInUse"
	// ReasonExpired: the certificate has expired, and nothing renews it here since it was imported; or the expiry of a Parameter had passed when
	// it was set, so that its value is neither served nor shown.
	ReasonExpired = "Expired"
	// ReasonClockSkewed: a Parameter has expired by the manager's clock and not by the API server's, so that it is not deleted.
	ReasonClockSkewed = "ClockSkewed"
	// ReasonExpiration is the event of a Parameter that was deleted since it expired.
	ReasonExpiration = "Expiration"
	// ReasonExpirationNotification: a Parameter is about to expire. It is also an event.
	ReasonExpirationNotification = "ExpirationNotification"
	// ReasonNoChangeNotification: a Parameter has had no new version for the time of its policy. It is also an event.
	ReasonNoChangeNotification = "NoChangeNotification"
	// ReasonInvalidPolicy: a policy of a Parameter cannot be read: its timestamp is none.
	ReasonInvalidPolicy = "InvalidPolicy"
	// ReasonNoCertificate: there is no certificate yet, and spec says not where it comes from: it is imported through the API.
	ReasonNoCertificate = "NoCertificate"
	// ReasonNotIssued: a serial number in spec.revoked is of no certificate that the authority issued and that has not expired.
	ReasonNotIssued = "NotIssued"
	// ReasonRewrapping: Envelopes under former domain keys are being wrapped under the current one, or will be in a moment.
	ReasonRewrapping = "Rewrapping"
	// ReasonRootUnavailable: nothing is rewrapped, since the root of trust does not open the domain key that Envelopes would be under: managers that do not have
	// it open could not use them.
	ReasonRootUnavailable = "RootUnavailable"
	// ReasonOtherKeyring: the Keyring is not the one of the installation, which is named strongroom and in Strongroom's own namespace.
	ReasonOtherKeyring = "OtherKeyring"
	// ReasonTooManyDomainKeys: there are as many domain keys as are opened, so no other can be made.
	ReasonTooManyDomainKeys = "TooManyDomainKeys"
	// ReasonRotated is the event of a rotation.
	ReasonRotated = "Rotated"
	// ReasonRevocationListTooLarge: the revocation list of a CertificateAuthority does not fit into its target any more.
	ReasonRevocationListTooLarge = "RevocationListTooLarge"
	// ReasonRevocationListShortened is an event: entries of certificates that have expired left a revocation list sooner than they should.
	ReasonRevocationListShortened = "RevocationListShortened"
	// ReasonRevoked: the certificate of the CertificateAuthority, or of one above it, is revoked. It is also the event of an access key that
	// was taken out of force.
	ReasonRevoked = "Revoked"
	// ReasonCreated is the event of a first version, of a first key material or of an access key.
	ReasonCreated = "Created"
	// ReasonDeletionScheduled is the event of a KMSKey whose waiting period has begun.
	ReasonDeletionScheduled = "DeletionScheduled"
	// ReasonRestored: the object was applied again within its recovery window, or its lost status was rebuilt.
	ReasonRestored = "Restored"
	// ReasonHealed: a projection that somebody had changed or deleted was written again.
	ReasonHealed = "Healed"
	// ReasonRestarted: a workload was restarted because its projection changed.
	ReasonRestarted = "Restarted"
)

// LocalReference names an object of a known kind in the same namespace.
type LocalReference struct {
	// name of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="name is a DNS name: lower-case letters, digits, dashes and dots, for example shop-db"
	Name string `json:"name"`
}

// SecretKeyReference names one key of a core Secret in the same namespace.
type SecretKeyReference struct {
	// name of the core Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="name is a DNS name: lower-case letters, digits, dashes and dots, for example shop-db"
	Name string `json:"name"`
	// key of its data.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key"`
}
