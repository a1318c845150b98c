package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// EnvelopeClass says what an Envelope's payload is.
// +kubebuilder:validation:Enum=SecretVersion;KeyMaterial;DomainKey;Tombstone;AccessKey;ParameterVersion;PrivateKey;IssuedCertificate;Revocation
type EnvelopeClass string

// The classes of Envelopes.
const (
	// EnvelopeSecretVersion holds one version of a Secret's value.
	EnvelopeSecretVersion EnvelopeClass = "SecretVersion"
	// EnvelopeKeyMaterial holds one generation of a KMSKey's material.
	EnvelopeKeyMaterial EnvelopeClass = "KeyMaterial"
	// EnvelopeDomainKey holds one epoch of the installation's domain key, wrapped by the root of trust.
	EnvelopeDomainKey EnvelopeClass = "DomainKey"
	// EnvelopeTombstone holds the last spec and index of a deleted object until its recovery window ends.
	EnvelopeTombstone EnvelopeClass = "Tombstone"
	// EnvelopeParameterVersion holds one version of a Parameter's value.
	EnvelopeParameterVersion EnvelopeClass = "ParameterVersion"
	// EnvelopeAccessKey holds the secret half of an IAMUser's access key.
	EnvelopeAccessKey EnvelopeClass = "AccessKey"
	// EnvelopePrivateKey holds a Certificate's private key together with its certificate's chain.
	EnvelopePrivateKey EnvelopeClass = "PrivateKey"
	// EnvelopeIssuedCertificate holds a certificate that a CertificateAuthority issued, or its own.
	EnvelopeIssuedCertificate EnvelopeClass = "IssuedCertificate"
	// EnvelopeRevocation says that a certificate which a CertificateAuthority issued is revoked, since when and why.
	EnvelopeRevocation EnvelopeClass = "Revocation"
)

// EnvelopeOwner names the object that an Envelope belongs to, by kind and name, so that an object that was deleted, or
// that a backup brought back under another UID, finds its Envelopes again.
type EnvelopeOwner struct {
	// kind of the object, in this API group.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`
	// name of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// EnvelopeSpec is one encrypted payload. All of it but the mere ciphertext is bound into the encryption, so an Envelope
// that was moved, renamed or exchanged does not open.
//
// Ciphertexts have no format "byte" in the schema: CEL would decode them by the alphabet of URLs, and the rule that nothing changes would fail for
// most of them, so that their annotations could not be changed either.
type EnvelopeSpec struct {
	// class of the payload.
	// +required
	Class EnvelopeClass `json:"class"`

	// owner is the object that this belongs to.
	// +required
	Owner EnvelopeOwner `json:"owner"`

	// subject is the ARN of what the payload is of.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Subject string `json:"subject"`

	// version of the subject: a secret's VersionId, a key material's id.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Version string `json:"version"`

	// sequence of the version: 1 for the subject's first, then one more each. The Envelope's name derives from it,
	// so that only one writer can make the next.
	// +required
	// +kubebuilder:validation:Minimum=0
	Sequence int64 `json:"sequence"`

	// stages that the version was made with, from which a lost index is rebuilt.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Stages []string `json:"stages,omitempty"`

	// binary, of a SecretVersion: the value is bytes (SecretBinary) and not text (SecretString).
	// +optional
	Binary bool `json:"binary,omitempty"`

	// import, of KeyMaterial that was imported: what is known of it.
	// +optional
	Import *KeyMaterialImport `json:"import,omitempty"`

	// createdTime of the version. It stays when a backup tool makes the object again.
	// +required
	CreatedTime metav1.Time `json:"createdTime"`

	// expireTime, of a Tombstone: when the recovery window ends; of an IssuedCertificate and its Revocation: when the certificate
	// does.
	// +optional
	ExpireTime *metav1.Time `json:"expireTime,omitempty"`

	// keyArn of the key that encrypts: a KMS key, or the domain key by its epoch.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	KeyARN string `json:"keyArn"`

	// encryptedDataKey of a SecretVersion: the data key that encrypts the payload, encrypted under the KMS key.
	// +optional
	// +kubebuilder:validation:MaxLength=8192
	// +kubebuilder:validation:Format=""
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9+/]*={0,2}$`
	EncryptedDataKey []byte `json:"encryptedDataKey,omitempty"`

	// ciphertext of the payload, in blob format v1 (docs/architecture.md).
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=262144
	// +kubebuilder:validation:Format=""
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9+/]*={0,2}$`
	Ciphertext []byte `json:"ciphertext"`
}

// Envelope is one encrypted payload at rest. Only the operator reads and writes Envelopes; give nobody else RBAC on
// them. Their specs are immutable, but that one under a domain key is rewrapped under a later one in its place: keyArn and ciphertext change then, and
// what it holds does not.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=envelopes,singular=envelope,shortName=envelope
// +kubebuilder:printcolumn:name="Class",type=string,JSONPath=`.spec.class`
// +kubebuilder:printcolumn:name="Owner",type=string,JSONPath=`.spec.owner.name`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.spec.version`
// +kubebuilder:printcolumn:name="Sequence",type=integer,JSONPath=`.spec.sequence`
// +kubebuilder:printcolumn:name="Expires",type=date,JSONPath=`.spec.expireTime`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
type Envelope struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the payload and what it is bound to.
	// +required
	// +kubebuilder:validation:XValidation:rule="self.class == oldSelf.class && self.owner == oldSelf.owner && self.subject == oldSelf.subject && self.version == oldSelf.version && self.sequence == oldSelf.sequence && self.createdTime == oldSelf.createdTime && has(self.stages) == has(oldSelf.stages) && (!has(self.stages) || self.stages == oldSelf.stages) && has(self.binary) == has(oldSelf.binary) && (!has(self.binary) || self.binary == oldSelf.binary) && has(self.__import__) == has(oldSelf.__import__) && (!has(self.__import__) || self.__import__ == oldSelf.__import__) && has(self.expireTime) == has(oldSelf.expireTime) && (!has(self.expireTime) || self.expireTime == oldSelf.expireTime) && has(self.encryptedDataKey) == has(oldSelf.encryptedDataKey) && (!has(self.encryptedDataKey) || self.encryptedDataKey == oldSelf.encryptedDataKey)",message="an Envelope is immutable: a changed value is a new version in an Envelope of its own"
	// +kubebuilder:validation:XValidation:rule="self.keyArn == oldSelf.keyArn ? self.ciphertext == oldSelf.ciphertext : oldSelf.keyArn.matches('^strongroom:domain-key/[1-9][0-9]{0,9}$') && self.keyArn.matches('^strongroom:domain-key/[1-9][0-9]{0,9}$') && int(self.keyArn.substring(22)) > int(oldSelf.keyArn.substring(22))",message="an Envelope is immutable, but that what is under a domain key is rewrapped under a later one"
	Spec EnvelopeSpec `json:"spec"`
}

// EnvelopeList is a list of Envelopes.
// +kubebuilder:object:root=true
type EnvelopeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Envelope `json:"items"`
}
