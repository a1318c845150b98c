package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ImportState tells whether material that a key has by import is there.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_RotationsListEntry.html
// +kubebuilder:validation:Enum=IMPORTED;PENDING_IMPORT
type ImportState string

// The import states.
const (
	// ImportStateImported: the material is there.
	ImportStateImported ImportState = "IMPORTED"
	// ImportStatePendingImport: it was deleted or has expired, and can be imported again.
	ImportStatePendingImport ImportState = "PENDING_IMPORT"
)

// ExpirationModel tells whether imported material expires.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ImportKeyMaterial.html
// +kubebuilder:validation:Enum=KEY_MATERIAL_EXPIRES;KEY_MATERIAL_DOES_NOT_EXPIRE
type ExpirationModel string

// The expiration models.
const (
	// ExpirationModelExpires: it is deleted at validTo.
	ExpirationModelExpires ExpirationModel = "KEY_MATERIAL_EXPIRES"
	// ExpirationModelDoesNotExpire: it stays until it is deleted.
	ExpirationModelDoesNotExpire ExpirationModel = "KEY_MATERIAL_DOES_NOT_EXPIRE"
)

// ImportType tells new material from such as the key has, or had.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ImportKeyMaterial.html#KMS-ImportKeyMaterial-request-ImportType
// +kubebuilder:validation:Enum=NEW_KEY_MATERIAL;EXISTING_KEY_MATERIAL
type ImportType string

// The import types.
const (
	// ImportTypeNew is material that the key never had: its first, or one to rotate to.
	ImportTypeNew ImportType = "NEW_KEY_MATERIAL"
	// ImportTypeExisting is material that the key has, or had until it was deleted or expired.
	ImportTypeExisting ImportType = "EXISTING_KEY_MATERIAL"
)

// ImportedMaterial is key material on its way into a key. It is wrapped under a public key of which Strongroom alone has the other half, so that it
// may be kept in Git. GetParametersForImport (aws kms get-parameters-for-import) makes that public key together with the token.
type ImportedMaterial struct {
	// importToken of GetParametersForImport, in base64. It is of use for this key alone, and for 24 hours.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8192
	// +kubebuilder:validation:Format=""
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9+/]*={0,2}$`
	ImportToken []byte `json:"importToken"`
	// encryptedKeyMaterial is the material, wrapped by the public key and the algorithm that the token was asked for with, in base64.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8192
	// +kubebuilder:validation:Format=""
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9+/]*={0,2}$`
	EncryptedKeyMaterial []byte `json:"encryptedKeyMaterial"`
	// validTo is when the material expires: at most 365 days after the import. It does not expire when it is left out.
	// +optional
	ValidTo *metav1.Time `json:"validTo,omitempty"`
	// importType: NEW_KEY_MATERIAL of material that the annotation strongroom.dev/rotate makes current, EXISTING_KEY_MATERIAL of such as the key has
	// or had. When it is left out, it is the first of the two until the key has had any, and the second afterwards. Of symmetric keys alone.
	// +optional
	ImportType ImportType `json:"importType,omitempty"`
	// description of the material, for people. Of symmetric keys alone.
	// https://docs.aws.amazon.com/kms/latest/APIReference/API_ImportKeyMaterial.html#KMS-ImportKeyMaterial-request-KeyMaterialDescription
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9:/_\s.-]*$`
	Description string `json:"description,omitempty"`
}

// KeyMaterialImport is what is known of imported material besides its bytes. The whole of it is bound into the Envelope's encryption as JSON, by
// the order of its fields: what is added goes to the end, and is left out when it is empty.
type KeyMaterialImport struct {
	// state: IMPORTED, or PENDING_IMPORT if it was deleted or has expired.
	// +required
	State ImportState `json:"state"`
	// rank in the order in which the key's materials became current, from 1.
	// +required
	// +kubebuilder:validation:Minimum=1
	Rank int64 `json:"rank"`
	// pendingRotation tells that it has not become current.
	// +optional
	PendingRotation bool `json:"pendingRotation,omitempty"`
	// rotationTime is when it became current; of the first material there is none.
	// +optional
	RotationTime *metav1.Time `json:"rotationTime,omitempty"`
	// validTo is when it expires. It does not when there is none.
	// +optional
	ValidTo *metav1.Time `json:"validTo,omitempty"`
	// description that its importer gave.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Description string `json:"description,omitempty"`
	// request is the digest of the spec.importedMaterial that it was imported by, so that this is not imported again, and after it that of the token
	// and the wrapped material alone; empty if it was imported by the AWS API.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Request string `json:"request,omitempty"`
}

// DroppedImport is what was imported from a manifest and taken away while it was PENDING_ROTATION.
type DroppedImport struct {
	// request is the digest of the token and the wrapped material that it was imported by, which bring it no more.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Request string `json:"request"`
	// time when it was taken away.
	// +required
	Time metav1.Time `json:"time"`
}
