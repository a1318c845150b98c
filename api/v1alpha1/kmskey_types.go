package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// KeyMaterialFinalizer keeps a deleted KMSKey until nothing is encrypted under it.
const KeyMaterialFinalizer = Group + "/key-material"

// KeySpec is AWS KMS's type of key.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html#KMS-CreateKey-request-KeySpec
// +kubebuilder:validation:Enum=SYMMETRIC_DEFAULT;RSA_2048;RSA_3072;RSA_4096;ECC_NIST_P256;ECC_NIST_P384;ECC_NIST_P521;ECC_NIST_EDWARDS25519;ECC_SECG_P256K1;ML_DSA_44;ML_DSA_65;ML_DSA_87;ML_KEM_768;ML_KEM_1024;HMAC_224;HMAC_256;HMAC_384;HMAC_512
type KeySpec string

// The key specs.
const (
	// KeySpecSymmetricDefault is a 256-bit AES key.
	KeySpecSymmetricDefault KeySpec = "SYMMETRIC_DEFAULT"
	// RSA key pairs, of 2048, 3072 and 4096 bits.
	KeySpecRSA2048 KeySpec = "RSA_2048"
	KeySpecRSA3072 KeySpec = "RSA_3072"
	KeySpecRSA4096 KeySpec = "RSA_4096"
	// Key pairs on NIST's curves P-256, P-384 and P-521.
	KeySpecECCNISTP256 KeySpec = "ECC_NIST_P256"
	KeySpecECCNISTP384 KeySpec = "ECC_NIST_P384"
	KeySpecECCNISTP521 KeySpec = "ECC_NIST_P521"
	// KeySpecECCNISTEdwards25519 is a key of Ed25519.
	KeySpecECCNISTEdwards25519 KeySpec = "ECC_NIST_EDWARDS25519"
	// KeySpecECCSECGP256K1 is a key on secp256k1, the curve of cryptocurrencies.
	KeySpecECCSECGP256K1 KeySpec = "ECC_SECG_P256K1"
	// Keys of ML-DSA, whose signatures stand up to quantum computers (FIPS 204).
	KeySpecMLDSA44 KeySpec = "ML_DSA_44"
	KeySpecMLDSA65 KeySpec = "ML_DSA_65"
	KeySpecMLDSA87 KeySpec = "ML_DSA_87"
	// Keys of ML-KEM, which give secrets to their owner in a way that stands up to quantum computers (FIPS 203).
	KeySpecMLKEM768  KeySpec = "ML_KEM_768"
	KeySpecMLKEM1024 KeySpec = "ML_KEM_1024"
	// Keys of HMAC, as long as the digests of SHA-224, SHA-256, SHA-384 and SHA-512.
	KeySpecHMAC224 KeySpec = "HMAC_224"
	KeySpecHMAC256 KeySpec = "HMAC_256"
	KeySpecHMAC384 KeySpec = "HMAC_384"
	KeySpecHMAC512 KeySpec = "HMAC_512"
)

// KeyUsage is what a key may be used for.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html#KMS-CreateKey-request-KeyUsage
// +kubebuilder:validation:Enum=ENCRYPT_DECRYPT;SIGN_VERIFY;GENERATE_VERIFY_MAC;KEY_AGREEMENT;ENCAPSULATE_DECAPSULATE
type KeyUsage string

// The key usages.
const (
	// KeyUsageEncryptDecrypt lets a symmetric key encrypt, decrypt and make data keys, and one of RSA encrypt and decrypt.
	KeyUsageEncryptDecrypt KeyUsage = "ENCRYPT_DECRYPT"
	// KeyUsageSignVerify lets an asymmetric key sign and verify.
	KeyUsageSignVerify KeyUsage = "SIGN_VERIFY"
	// KeyUsageGenerateVerifyMac lets an HMAC key make and check message authentication codes.
	KeyUsageGenerateVerifyMac KeyUsage = "GENERATE_VERIFY_MAC"
	// KeyUsageKeyAgreement lets a key on a curve derive secrets that it shares with others.
	KeyUsageKeyAgreement KeyUsage = "KEY_AGREEMENT"
	// KeyUsageEncapsulateDecapsulate lets a key of ML-KEM take secrets from whoever has its public half.
	KeyUsageEncapsulateDecapsulate KeyUsage = "ENCAPSULATE_DECAPSULATE"
)

// KeyOrigin is where a key's material is generated and used.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html#KMS-CreateKey-request-Origin
// +kubebuilder:validation:Enum=AWS_KMS;AWS_CLOUDHSM;EXTERNAL
type KeyOrigin string

// The origins.
const (
	// KeyOriginKMS is Strongroom itself.
	KeyOriginKMS KeyOrigin = "AWS_KMS"
	// KeyOriginCloudHSM is an HSMCluster.
	KeyOriginCloudHSM KeyOrigin = "AWS_CLOUDHSM"
	// KeyOriginExternal is whoever imports the material.
	KeyOriginExternal KeyOrigin = "EXTERNAL"
)

// CustomKeyStoreReference names an HSMCluster.
type CustomKeyStoreReference struct {
	// name of the HSMCluster.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="name is a DNS name: lower-case letters, digits, dashes and dots, for example vault-floor"
	Name string `json:"name"`
	// namespace of the HSMCluster, which must allow the key's namespace. The key's own when it is left out.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="namespace is a DNS label: lower-case letters, digits and dashes, for example strongroom-system"
	Namespace string `json:"namespace,omitempty"`
}

// KeyState is AWS KMS's state of a key.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
// +kubebuilder:validation:Enum=Creating;Enabled;Disabled;PendingDeletion;PendingReplicaDeletion;PendingImport;Unavailable;Updating
type KeyState string

// The key states that are in use.
const (
	// KeyStateCreating: there is no key material yet.
	KeyStateCreating KeyState = "Creating"
	// KeyStateEnabled: all operations work.
	KeyStateEnabled KeyState = "Enabled"
	// KeyStateDisabled: cryptographic operations are refused until the key is enabled again.
	KeyStateDisabled KeyState = "Disabled"
	// KeyStatePendingDeletion: cryptographic operations are refused; the material goes when the window ends.
	KeyStatePendingDeletion KeyState = "PendingDeletion"
	// KeyStatePendingReplicaDeletion: a multi-Region primary key is as PendingDeletion, and its window begins when its last replica is gone.
	KeyStatePendingReplicaDeletion KeyState = "PendingReplicaDeletion"
	// KeyStatePendingImport: material is to be imported, or was deleted or has expired.
	KeyStatePendingImport KeyState = "PendingImport"
	// KeyStateUnavailable: the key material cannot be opened.
	KeyStateUnavailable KeyState = "Unavailable"
	// KeyStateUpdating: the key is about to become the primary of its multi-Region keys, or a replica; cryptographic operations work.
	KeyStateUpdating KeyState = "Updating"
)

// KeyMaterialState tells the material that encrypts from those that only decrypt.
// +kubebuilder:validation:Enum=CURRENT;NON_CURRENT;PENDING_ROTATION
type KeyMaterialState string

// The states of key material.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_RotationsListEntry.html
const (
	// KeyMaterialCurrent encrypts and decrypts.
	KeyMaterialCurrent KeyMaterialState = "CURRENT"
	// KeyMaterialNonCurrent decrypts what was encrypted before a rotation.
	KeyMaterialNonCurrent KeyMaterialState = "NON_CURRENT"
	// KeyMaterialPendingRotation was imported, and becomes current by a rotation on demand.
	KeyMaterialPendingRotation KeyMaterialState = "PENDING_ROTATION"
)

// RotationType tells why key material was made.
// +kubebuilder:validation:Enum=AUTOMATIC;ON_DEMAND
type RotationType string

// The types of rotation. The first material of a key has none.
const (
	// RotationAutomatic: the rotation period was over.
	RotationAutomatic RotationType = "AUTOMATIC"
	// RotationOnDemand: RotateAnnotation or RotateKeyOnDemand asked for it.
	RotationOnDemand RotationType = "ON_DEMAND"
)

// KMSKeySpec is the key that a user wants.
//
// +kubebuilder:validation:XValidation:rule="(has(self.keySpec) ? self.keySpec : 'SYMMETRIC_DEFAULT') == (has(oldSelf.keySpec) ? oldSelf.keySpec : 'SYMMETRIC_DEFAULT')",message="keySpec cannot be changed: the key material is of that type; create another KMSKey",fieldPath=".keySpec",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="(has(self.keyUsage) ? self.keyUsage : 'ENCRYPT_DECRYPT') == (has(oldSelf.keyUsage) ? oldSelf.keyUsage : 'ENCRYPT_DECRYPT')",message="keyUsage cannot be changed; create another KMSKey",fieldPath=".keyUsage",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="!has(self.keySpec) || !self.keySpec.startsWith('RSA_') || has(self.keyUsage) && self.keyUsage in ['ENCRYPT_DECRYPT', 'SIGN_VERIFY']",message="an RSA key encrypts or signs: set keyUsage to ENCRYPT_DECRYPT or SIGN_VERIFY",fieldPath=".keyUsage"
// +kubebuilder:validation:XValidation:rule="!has(self.keySpec) || !self.keySpec.startsWith('ECC_NIST_P') || has(self.keyUsage) && self.keyUsage in ['SIGN_VERIFY', 'KEY_AGREEMENT']",message="a key on a curve signs or agrees: set keyUsage to SIGN_VERIFY or KEY_AGREEMENT",fieldPath=".keyUsage"
// +kubebuilder:validation:XValidation:rule="!has(self.keySpec) || !(self.keySpec.startsWith('ML_DSA_') || self.keySpec in ['ECC_NIST_EDWARDS25519', 'ECC_SECG_P256K1']) || has(self.keyUsage) && self.keyUsage == 'SIGN_VERIFY'",message="a key of Ed25519, secp256k1 or ML-DSA signs: set keyUsage to SIGN_VERIFY",fieldPath=".keyUsage"
// +kubebuilder:validation:XValidation:rule="!has(self.keySpec) || !self.keySpec.startsWith('ML_KEM_') || has(self.keyUsage) && self.keyUsage == 'ENCAPSULATE_DECAPSULATE'",message="a key of ML-KEM encapsulates: set keyUsage to ENCAPSULATE_DECAPSULATE",fieldPath=".keyUsage"
// +kubebuilder:validation:XValidation:rule="!has(self.keySpec) || !self.keySpec.startsWith('HMAC_') || has(self.keyUsage) && self.keyUsage == 'GENERATE_VERIFY_MAC'",message="an HMAC key makes message authentication codes: set keyUsage to GENERATE_VERIFY_MAC",fieldPath=".keyUsage"
// +kubebuilder:validation:XValidation:rule="has(self.keySpec) && self.keySpec != 'SYMMETRIC_DEFAULT' || !has(self.keyUsage) || self.keyUsage == 'ENCRYPT_DECRYPT'",message="a symmetric key encrypts: leave keyUsage out, or set keySpec to that of a key of this usage, for example ECC_NIST_P256 for SIGN_VERIFY",fieldPath=".keyUsage"
// +kubebuilder:validation:XValidation:rule="!has(self.keySpec) || self.keySpec == 'SYMMETRIC_DEFAULT' || !has(self.rotation) || !self.rotation.enabled",message="the material of SYMMETRIC_DEFAULT keys alone is rotated, as in AWS KMS: leave rotation out, and create another KMSKey when it is time",fieldPath=".rotation"
// +kubebuilder:validation:XValidation:rule="!has(self.customKeyStoreRef) || !has(self.keySpec) || self.keySpec == 'SYMMETRIC_DEFAULT' || has(self.keyUsage) && self.keyUsage == 'SIGN_VERIFY'",message="keys in an HSMCluster are SYMMETRIC_DEFAULT, or sign: leave keySpec out, or set keyUsage to SIGN_VERIFY",fieldPath=".keyUsage"
// +kubebuilder:validation:XValidation:rule="!has(self.customKeyStoreRef) || !has(self.keySpec) || !(self.keySpec.startsWith('ML_') || self.keySpec in ['ECC_NIST_EDWARDS25519', 'ECC_SECG_P256K1'])",message="the modules of an HSMCluster have no such keys: leave keySpec out, or set it to that of an RSA key or of a key on P-256, P-384 or P-521",fieldPath=".keySpec"
// +kubebuilder:validation:XValidation:rule="has(self.customKeyStoreRef) == (has(self.origin) && self.origin == 'AWS_CLOUDHSM')",message="origin AWS_CLOUDHSM and customKeyStoreRef go together: give both, or neither",fieldPath=".customKeyStoreRef"
// +kubebuilder:validation:XValidation:rule="(has(self.origin) ? self.origin : 'AWS_KMS') == (has(oldSelf.origin) ? oldSelf.origin : 'AWS_KMS')",message="origin cannot be changed: the key material is there; create another KMSKey",fieldPath=".origin",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="has(self.customKeyStoreRef) == has(oldSelf.customKeyStoreRef) && (!has(self.customKeyStoreRef) || self.customKeyStoreRef == oldSelf.customKeyStoreRef)",message="customKeyStoreRef cannot be changed: the key material is of that HSMCluster; create another KMSKey",fieldPath=".customKeyStoreRef",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="!has(self.origin) || self.origin != 'AWS_CLOUDHSM' || !has(self.rotation) || !self.rotation.enabled",message="key material in a custom key store is not rotated, as in AWS KMS: leave rotation out, and create another KMSKey when it is time",fieldPath=".rotation"
// +kubebuilder:validation:XValidation:rule="!has(self.origin) || self.origin != 'EXTERNAL' || !has(self.rotation) || !self.rotation.enabled",message="imported key material is not rotated automatically, as in AWS KMS: leave rotation out, import new material and rotate on demand",fieldPath=".rotation"
// +kubebuilder:validation:XValidation:rule="!has(self.importedMaterial) || has(self.origin) && self.origin == 'EXTERNAL'",message="material is imported into keys of origin EXTERNAL alone: set origin to EXTERNAL, or leave importedMaterial out",fieldPath=".importedMaterial"
// +kubebuilder:validation:XValidation:rule="!has(self.certificateAuthorityRef) || has(self.keyUsage) && self.keyUsage == 'SIGN_VERIFY'",message="an authority's key signs: set keyUsage to SIGN_VERIFY, or leave certificateAuthorityRef out",fieldPath=".certificateAuthorityRef"
// +kubebuilder:validation:XValidation:rule="(has(self.multiRegion) && self.multiRegion) == (has(oldSelf.multiRegion) && oldSelf.multiRegion)",message="multiRegion cannot be changed: it is in the key's id; create another KMSKey",fieldPath=".multiRegion",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="!has(self.multiRegion) || !self.multiRegion || !has(self.origin) || self.origin != 'AWS_CLOUDHSM'",message="a multi-Region key is in no custom key store: leave origin and customKeyStoreRef out, or multiRegion",fieldPath=".multiRegion"
// +kubebuilder:validation:XValidation:rule="!has(self.multiRegion) || !self.multiRegion || !has(self.certificateAuthorityRef)",message="an authority's key is in one region: leave multiRegion out, or certificateAuthorityRef",fieldPath=".multiRegion"
// +kubebuilder:validation:XValidation:rule="!has(self.replicaOf) || has(self.multiRegion) && self.multiRegion",message="a replica is a multi-Region key, as its primary is: set multiRegion to true",fieldPath=".replicaOf"
// +kubebuilder:validation:XValidation:rule="!has(self.replicaRegions) || has(self.multiRegion) && self.multiRegion",message="multi-Region keys alone have replicas: set multiRegion to true, or leave replicaRegions out",fieldPath=".replicaRegions"
// +kubebuilder:validation:XValidation:rule="!has(self.replicaOf) || !(has(self.rotation) || has(self.replicaRegions))",message="a replica is rotated and replicated at its primary: remove rotation and replicaRegions",fieldPath=".replicaOf"
// +kubebuilder:validation:XValidation:rule="!has(self.replicaOf) || !has(self.region) || self.region != self.replicaOf.region",message="a replica is in another region than its primary",fieldPath=".replicaOf.region"
// +kubebuilder:validation:XValidation:rule="!has(self.replicaRegions) || !has(self.region) || !self.replicaRegions.exists(r, r.region == self.region)",message="a key is replicated to other regions than its own: take its region out",fieldPath=".replicaRegions"
type KMSKeySpec struct {
	// description of the key, for people.
	// +optional
	// +kubebuilder:validation:MaxLength=8192
	Description string `json:"description,omitempty"`

	// aliases of the key, each alias/NAME and unique in the namespace. alias/aws/SERVICE is kept for the keys
	// that Strongroom makes itself.
	// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MinLength=7
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.all(a, a.matches('^alias/[a-zA-Z0-9/_-]+$'))",message="an alias is alias/ and then letters, digits, slashes, underscores and dashes, for example alias/shop"
	Aliases []string `json:"aliases,omitempty"`

	// keySpec is the type of the key: SYMMETRIC_DEFAULT, which is also what is used when it is left out, that of an asymmetric
	// key, whose private half never leaves Strongroom, or that of an HMAC key. It cannot be changed.
	// +optional
	KeySpec KeySpec `json:"keySpec,omitempty"`

	// keyUsage is what the key is for: ENCRYPT_DECRYPT, which is also what is used when it is left out, for a symmetric key;
	// ENCRYPT_DECRYPT or SIGN_VERIFY for an RSA key, SIGN_VERIFY or KEY_AGREEMENT for one on P-256, P-384 or P-521, SIGN_VERIFY for one of
	// Ed25519, secp256k1 or ML-DSA, ENCAPSULATE_DECAPSULATE for one of ML-KEM, and GENERATE_VERIFY_MAC for an HMAC key. It cannot be changed.
	// +optional
	KeyUsage KeyUsage `json:"keyUsage,omitempty"`

	// origin of the key material: AWS_KMS, which is also what is used when it is left out; AWS_CLOUDHSM: it is generated and used in
	// the HSMCluster that customKeyStoreRef names, and leaves it only wrapped under the cluster's own keys; or EXTERNAL: it is imported, by
	// importedMaterial or ImportKeyMaterial, and the key is PendingImport until then. It cannot be changed.
	// +optional
	Origin KeyOrigin `json:"origin,omitempty"`

	// customKeyStoreRef is the HSMCluster that has the key. Required for origin AWS_CLOUDHSM, and for it alone. It cannot be changed.
	// +optional
	CustomKeyStoreRef *CustomKeyStoreReference `json:"customKeyStoreRef,omitempty"`

	// importedMaterial is material that is imported into the key, wrapped for Strongroom alone. It is imported once, whatever becomes of it
	// later and however often it is applied; other material, or the same with another validTo, needs another importToken. Of origin EXTERNAL alone.
	// +optional
	ImportedMaterial *ImportedMaterial `json:"importedMaterial,omitempty"`

	// enabled lets the key be used. True when it is left out.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`

	// rotation of the key material. Old material is kept, so everything that was encrypted stays readable. Symmetric keys alone
	// are rotated.
	// +optional
	Rotation *KeyRotation `json:"rotation,omitempty"`

	// deletion says how long deleted key material can be had back.
	// +optional
	Deletion *KeyDeletion `json:"deletion,omitempty"`

	// region of the key, such as eu-west-1: it is in the key's ARN, and the AWS APIs find the key in this region alone. The
	// operator's home region when it is left out. It cannot be changed.
	// +optional
	// +kubebuilder:validation:MinLength=6
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]{2,4}(-[a-z]+)+-[0-9]+$')",message="a region is written as AWS does, for example us-east-1"
	Region string `json:"region,omitempty"`

	// multiRegion makes a multi-Region key: keys of other regions can be its replicas, with its id, which begins with mrk-, and its key material, so
	// that what one of them encrypts or signs another decrypts or verifies. A replica has it too. It cannot be changed.
	// https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-overview.html
	// +optional
	MultiRegion bool `json:"multiRegion,omitempty"`

	// replicaRegions are the regions that have a replica, and which KMSKey that is, which gets this key's material. ReplicateKey adds to them. A replica in
	// a region that is taken out works on with what it has.
	// +optional
	// +listType=map
	// +listMapKey=region
	// +kubebuilder:validation:MaxItems=32
	ReplicaRegions []KeyReplicaRegion `json:"replicaRegions,omitempty"`

	// replicaOf is the primary that this key is a replica of. Its id and material are the primary's, and keySpec, keyUsage and origin have to be; all else
	// is its own. It gets them when the primary names it in replicaRegions; of origin EXTERNAL the id alone, and the same material is to be imported into it. Taking it out makes this the primary of these keys, which needs
	// that no other is.
	// +optional
	ReplicaOf *PrimaryKey `json:"replicaOf,omitempty"`

	// policy of the key, in AWS's JSON language: who may do what with it. Nobody can use or manage a key unless its policy lets
	// them, or lets their account, which leaves it to the account's IAM policies. That is what is in force when it is left out.
	// At most 32 KiB. A malformed one makes the key Stalled with the position of the mistake, and lets nobody in by the AWS APIs.
	// https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html
	// +optional
	Policy *PolicyDocument `json:"policy,omitempty"`

	// certificateAuthorityRef names the CertificateAuthority of the namespace that the key belongs to: no other has a certificate for it, or signs
	// with it. When it is left out, it is that of the authority that had the key made, or of the one NAME if the key is ca-NAME and that one's kmsKeyRef
	// names it, and no authority's otherwise. An authority without kmsKeyRef takes no key that was not made for one. Naming another takes the key from the former one, which then neither issues, nor revokes, nor makes revocation lists. Of keys
	// that sign alone.
	// +optional
	CertificateAuthorityRef *LocalReference `json:"certificateAuthorityRef,omitempty"`

	// tags of the key. Policies see them as aws:ResourceTag/KEY.
	// https://docs.aws.amazon.com/kms/latest/developerguide/tagging-keys.html
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=50
	Tags []Tag `json:"tags,omitempty"`
}

// KeyRotation is automatic rotation of key material.
// https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html
//
// +kubebuilder:validation:XValidation:rule="!has(self.periodInDays) || self.enabled",message="periodInDays has no effect while enabled is false: set enabled to true, or leave periodInDays out",fieldPath=".periodInDays"
type KeyRotation struct {
	// enabled turns automatic rotation on.
	// +required
	Enabled bool `json:"enabled"`

	// periodInDays between rotations, 90 to 2560. 365 when it is left out.
	// +optional
	// +kubebuilder:validation:Minimum=90
	// +kubebuilder:validation:Maximum=2560
	PeriodInDays int32 `json:"periodInDays,omitempty"`
}

// KeyDeletion is the waiting period of a deleted key.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html
type KeyDeletion struct {
	// pendingWindowInDays that a deleted key's material is kept, 7 to 30. 30 when it is left out. Applying the same
	// KMSKey again within them restores it.
	// +optional
	// +kubebuilder:validation:Minimum=7
	// +kubebuilder:validation:Maximum=30
	PendingWindowInDays int32 `json:"pendingWindowInDays,omitempty"`

	// scheduled begins the waiting period while the KMSKey stays: it is PendingDeletion and does nothing until this is false again, and
	// goes with its material when the period is over. It is what ScheduleKeyDeletion and CancelKeyDeletion set. Deleting the KMSKey begins
	// the period without it.
	// +optional
	Scheduled bool `json:"scheduled,omitempty"`
}

// KeyMaterial is one generation of a key's material. Its bytes are in an Envelope.
type KeyMaterial struct {
	// id of the material: 64 hexadecimal digits, as in AWS KMS.
	// +required
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	ID string `json:"id"`
	// sequence number: 1 for the first material, then one more each.
	// +required
	// +kubebuilder:validation:Minimum=1
	Sequence int64 `json:"sequence"`
	// state: CURRENT or NON_CURRENT, and PENDING_ROTATION of imported material that a rotation on demand makes current.
	// +required
	State KeyMaterialState `json:"state"`
	// rotationType that made it; empty for the first.
	// +optional
	RotationType RotationType `json:"rotationType,omitempty"`
	// createdTime of the material; of imported material, of its last import, deletion or rotation.
	// +required
	CreatedTime metav1.Time `json:"createdTime"`
	// import is what is known of material that was imported.
	// +optional
	Import *KeyMaterialImport `json:"import,omitempty"`
}

// KeyAuthority is the CertificateAuthority that a key belongs to.
type KeyAuthority struct {
	// arn of the authority. It stays when the authority is deleted and restored.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	ARN string `json:"arn"`
	// name of the authority.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// certified tells that the authority has had a certificate for the key: it is then the authority's for good, also when that is gone.
	// +optional
	Certified bool `json:"certified,omitempty"`
}

// KMSKeyStatus is what is known of the key.
type KMSKeyStatus struct {
	// observedGeneration is the generation that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready always; Reconciling, Stalled, DeletionBlocked, PrimaryUpdateFailed, PrincipalReplaced and UnknownConditionKey while true; RootProtected.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// keyId of AWS KMS: a UUID that stays when the key is deleted and restored. It is the object's name if that is a UUID, as it
	// is of keys made through the AWS API, and its UID otherwise. That of a multi-Region key is mrk- and 32 digits, made likewise; of a replica it is
	// the primary's.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	KeyID string `json:"keyId,omitempty"`

	// arn of the key.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	ARN string `json:"arn,omitempty"`

	// keyState of AWS KMS.
	// +optional
	KeyState KeyState `json:"keyState,omitempty"`

	// replicas are the KMSKeys that were the first of those that spec.replicaRegions names: each alone is the replica of its region. A KMSKey that is deleted and made
	// again is another one, and is the replica when its region was taken out of that list and out of this one, or by ReplicateKey.
	// +optional
	// +listType=map
	// +listMapKey=region
	// +kubebuilder:validation:MaxItems=32
	Replicas []KeyReplica `json:"replicas,omitempty"`

	// keyMaterials, oldest first. This list is the key's index: writing it is what commits a rotation.
	// +optional
	// +listType=map
	// +listMapKey=sequence
	// +kubebuilder:validation:MaxItems=1000
	KeyMaterials []KeyMaterial `json:"keyMaterials,omitempty"`

	// lastImportSequence is the sequence of the last change of imported material that keyMaterials have: an import, a deletion, an expiry or a
	// rotation. Later ones are taken in, and of earlier ones what keyMaterials do not name is erased.
	// +optional
	// +kubebuilder:validation:Minimum=1
	LastImportSequence int64 `json:"lastImportSequence,omitempty"`

	// lastDroppedImportSequence is the sequence of the last change that took imported material away while it was PENDING_ROTATION: up to it, what
	// waited to be rotated to waits no more, and is erased if a backup brings it back.
	// +optional
	// +kubebuilder:validation:Minimum=1
	LastDroppedImportSequence int64 `json:"lastDroppedImportSequence,omitempty"`

	// droppedImports are what was imported by spec.importedMaterial and taken away while it was PENDING_ROTATION, for as long as its token is of use: applied again, it does
	// not come back. Of more than 100 the last.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	DroppedImports []DroppedImport `json:"droppedImports,omitempty"`

	// expirationModel of imported material: KEY_MATERIAL_EXPIRES if any that the key needs does.
	// +optional
	ExpirationModel ExpirationModel `json:"expirationModel,omitempty"`

	// validTo is when the first of the imported materials expires that the key needs. It is then PendingImport, until the same material is
	// imported again.
	// +optional
	ValidTo *metav1.Time `json:"validTo,omitempty"`

	// sealingPublicKey is the line by which values are sealed for this key, offline (strongroom seal). It changes when the key rotates;
	// what was sealed before opens all the same. Keys in a custom key store and asymmetric keys have none.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	SealingPublicKey string `json:"sealingPublicKey,omitempty"`

	// policyBinding is whom the key's policy names.
	// +optional
	PolicyBinding *PolicyBinding `json:"policyBinding,omitempty"`

	// deletionTime of a key that is scheduled for deletion.
	// +optional
	DeletionTime *metav1.Time `json:"deletionTime,omitempty"`

	// deletionGeneration is the generation of spec that deletionTime is known to hold for.
	// +optional
	// +kubebuilder:validation:Minimum=1
	DeletionGeneration int64 `json:"deletionGeneration,omitempty"`

	// certificateAuthority that the key belongs to.
	// +optional
	CertificateAuthority *KeyAuthority `json:"certificateAuthority,omitempty"`

	// onDemandRotations so far. AWS KMS allows 25 a key.
	// +optional
	OnDemandRotations int32 `json:"onDemandRotations,omitempty"`

	// rotationEnabledTime is since when automatic rotation is on, from which its first period counts. A replica has its primary's.
	// +optional
	RotationEnabledTime *metav1.Time `json:"rotationEnabledTime,omitempty"`

	// nextRotationTime of automatic rotation, if it is on.
	// +optional
	NextRotationTime *metav1.Time `json:"nextRotationTime,omitempty"`

	// lastUsage is the last successful cryptographic use of the key that was noted: each replica of the manager notes its own about once an hour.
	// +optional
	LastUsage *KeyLastUsage `json:"lastUsage,omitempty"`

	// usageTrackedSince is since when uses of the key are noted.
	// +optional
	UsageTrackedSince *metav1.Time `json:"usageTrackedSince,omitempty"`

	// lastHandledImport is the digest of the spec.importedMaterial that was imported last, and after it that of its token and wrapped material alone.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	LastHandledImport string `json:"lastHandledImport,omitempty"`

	// lastHandledReconcileAt echoes the annotation strongroom.dev/reconcile.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`

	// lastHandledRotateAt echoes the annotation strongroom.dev/rotate.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LastHandledRotateAt string `json:"lastHandledRotateAt,omitempty"`
}

// KMSKey is a key as in AWS KMS, which encrypts or signs: a container of key material that rotates underneath a stable id.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=kmskeys,singular=kmskey,shortName=kmskey,categories=strongroom
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.keyState`
// +kubebuilder:printcolumn:name="Key ID",type=string,JSONPath=`.status.keyId`
// +kubebuilder:printcolumn:name="Next rotation",type=string,JSONPath=`.status.nextRotationTime`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="!has(self.spec) || !has(self.spec.aliases) || self.spec.aliases.all(a, !a.startsWith('alias/aws/') || self.metadata.name == 'aws-' + a.substring(10))",message="alias/aws/SERVICE is reserved for the key aws-SERVICE, which Strongroom makes itself; choose another alias",fieldPath=".spec.aliases"
// +kubebuilder:validation:XValidation:rule="(has(self.spec) && has(self.spec.region) ? self.spec.region : 'home') == (has(oldSelf.spec) && has(oldSelf.spec.region) ? oldSelf.spec.region : 'home')",message="region cannot be changed: it is in the key's ARN; create another KMSKey",fieldPath=".spec.region",reason=FieldValueForbidden
type KMSKey struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the key that the user wants.
	// +optional
	Spec KMSKeySpec `json:"spec,omitzero"`
	// status is what is known of the key.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1,"conditions":{{"type":"Ready","status":"Unknown","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"},{"type":"Reconciling","status":"True","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"}}}
	Status KMSKeyStatus `json:"status,omitzero"`
}

// KMSKeyList is a list of KMSKeys.
// +kubebuilder:object:root=true
type KMSKeyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []KMSKey `json:"items"`
}

// GetConditions returns the conditions.
func (k *KMSKey) GetConditions() []metav1.Condition { return k.Status.Conditions }

// SetConditions replaces the conditions.
func (k *KMSKey) SetConditions(conditions []metav1.Condition) { k.Status.Conditions = conditions }
