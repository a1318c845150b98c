package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CertificateSpec is the certificate that a user wants. With neither authorityRef nor importFrom it is imported through the API of AWS
// Certificate Manager.
//
// +kubebuilder:validation:AtMostOneOf=authorityRef;importFrom
// +kubebuilder:validation:XValidation:rule="has(self.domainName) == has(self.authorityRef)",message="domainName is what the authority of authorityRef issues for, and an imported certificate has its own names: set both, or neither",fieldPath=".domainName"
// +kubebuilder:validation:XValidation:rule="has(self.authorityRef) || !(has(self.subjectAlternativeNames) || has(self.keyAlgorithm) || has(self.validity) || has(self.renewBefore))",message="subjectAlternativeNames, keyAlgorithm, validity and renewBefore are of a certificate that an authority issues: set authorityRef, or leave them out",fieldPath=".authorityRef"
// +kubebuilder:validation:XValidation:rule="!has(self.renewBefore) || (self.renewBefore.endsWith('d') ? 24 : 1) * int(self.renewBefore.substring(0, self.renewBefore.size() - 1)) < (has(self.validity) ? (self.validity.endsWith('d') ? 24 : 1) * int(self.validity.substring(0, self.validity.size() - 1)) : 9480)",message="renewBefore is shorter than validity, which is 395d when it is left out",fieldPath=".renewBefore"
// +kubebuilder:validation:XValidation:rule="has(self.region) == has(oldSelf.region) && (!has(self.region) || self.region == oldSelf.region)",message="region cannot be changed: it is part of the ARN; create another Certificate",fieldPath=".region",reason=FieldValueForbidden
type CertificateSpec struct {
	// domainName is the first name of the certificate, and its common name if it has at most 64 characters: a DNS name, whose first
	// label may be a wildcard, an IP address, a URI or an email address.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	DomainName string `json:"domainName,omitempty"`

	// subjectAlternativeNames are further names, of the same forms.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=99
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	SubjectAlternativeNames []string `json:"subjectAlternativeNames,omitempty"`

	// keyAlgorithm of the certificate's key, which is fresh at each renewal. RSA_2048 when it is left out.
	// +optional
	KeyAlgorithm CertificateKeyAlgorithm `json:"keyAlgorithm,omitempty"`

	// authorityRef names the CertificateAuthority that issues.
	// +optional
	AuthorityRef *LocalReference `json:"authorityRef,omitempty"`

	// importFrom takes key and certificate from elsewhere.
	// +optional
	ImportFrom *CertificateSource `json:"importFrom,omitempty"`

	// validity of the certificate, as 90d. 395d when it is left out, as in AWS Certificate Manager. A change counts at the next
	// renewal. A certificate does not outlive its authority's.
	// +optional
	Validity CertificateValidity `json:"validity,omitempty"`

	// renewBefore its end the certificate is renewed. When two thirds of its life are over, if it is left out.
	// +optional
	RenewBefore CertificateValidity `json:"renewBefore,omitempty"`

	// kmsKeyRef names the KMSKey that encrypts the private key. When it is left out, the account's own key alias/aws/acm is used, and
	// made when it does not exist.
	// +optional
	KMSKeyRef *LocalReference `json:"kmsKeyRef,omitempty"`

	// target is the core Secret of type kubernetes.io/tls that shows key and certificate to workloads. Without it none is written.
	// +optional
	Target *CertificateTarget `json:"target,omitempty"`

	// deletion says how long a deleted certificate can be had back.
	// +optional
	Deletion *SecretDeletion `json:"deletion,omitempty"`

	// region of the certificate, as it is in the ARN. The operator's home region when it is left out.
	// +optional
	// +kubebuilder:validation:MinLength=6
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]{2,4}(-[a-z]+)+-[0-9]+$')",message="a region is written as AWS does, for example us-east-1"
	Region string `json:"region,omitempty"`

	// tags of the certificate, which policies can ask for (aws:ResourceTag/KEY).
	// https://docs.aws.amazon.com/acm/latest/APIReference/API_Tag.html
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=50
	Tags []Tag `json:"tags,omitempty"`

	// suspend holds everything: no renewal, no import, no projection, no healing.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// CertificateSource is where key and certificate are imported from.
type CertificateSource struct {
	// secretRef names a core Secret of the same namespace with the keys of type kubernetes.io/tls: tls.crt, the certificate and then
	// its issuers, tls.key, and perhaps ca.crt, the root.
	// +required
	SecretRef LocalReference `json:"secretRef"`
	// policy: Once or Follow. Once when it is left out. With Follow, label the source strongroom.dev/managed=source to have its
	// changes imported at once; without it they are seen within five minutes.
	// +optional
	Policy ImportPolicy `json:"policy,omitempty"`
}

// CertificateTarget is a core Secret of type kubernetes.io/tls to write: tls.crt has the certificate and those between it and the root,
// tls.key the private key, and ca.crt the root.
type CertificateTarget struct {
	// name of the core Secret. metadata.name when it is left out.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="name is a DNS name: lower-case letters, digits, dashes and dots, for example shop-tls"
	Name string `json:"name,omitempty"`

	// creationPolicy: Owner or Adopt. Owner when it is left out.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self != 'Merge'",message="a key and its certificate are not merged into what is somebody else's: use Owner or Adopt"
	CreationPolicy CreationPolicy `json:"creationPolicy,omitempty"`

	// restart lists the workloads to restart when the certificate changes.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Restart []RestartTarget `json:"restart,omitempty"`
}

// CertificateType is where a certificate comes from.
// https://docs.aws.amazon.com/acm/latest/APIReference/API_CertificateDetail.html#ACM-Type-CertificateDetail-Type
// +kubebuilder:validation:Enum=PRIVATE;IMPORTED
type CertificateType string

// The types of certificates.
const (
	// CertificatePrivate was issued by a CertificateAuthority.
	CertificatePrivate CertificateType = "PRIVATE"
	// CertificateImported came from elsewhere, and is not renewed here.
	CertificateImported CertificateType = "IMPORTED"
)

// CertificateStatus is what is known of the certificate.
type CertificateStatus struct {
	// observedGeneration is the generation that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready always; Reconciling and Stalled while true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// arn of the certificate. It stays when the certificate is renewed, and when it is deleted and restored.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	ARN string `json:"arn,omitempty"`

	// type: PRIVATE or IMPORTED.
	// +optional
	Type CertificateType `json:"type,omitempty"`

	// serial number of the current certificate: hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=40
	Serial string `json:"serial,omitempty"`

	// fingerprint of the current certificate: SHA-256 in hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Fingerprint string `json:"fingerprint,omitempty"`

	// names of the current certificate.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=1024
	Names []string `json:"names,omitempty"`

	// keyAlgorithm of the current certificate's key.
	// +optional
	KeyAlgorithm CertificateKeyAlgorithm `json:"keyAlgorithm,omitempty"`

	// notBefore is the current certificate's begin.
	// +optional
	NotBefore *metav1.Time `json:"notBefore,omitempty"`

	// notAfter is the current certificate's end.
	// +optional
	NotAfter *metav1.Time `json:"notAfter,omitempty"`

	// renewalTime at which the certificate will be renewed; none of an imported one.
	// +optional
	RenewalTime *metav1.Time `json:"renewalTime,omitempty"`

	// issuer is the name of what issued the current certificate.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Issuer string `json:"issuer,omitempty"`

	// chain are the names of the certificates above the current one, the nearest first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:items:MaxLength=1024
	Chain []string `json:"chain,omitempty"`

	// authorityArn is the authority that issued the current certificate; none of an imported one.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	AuthorityARN string `json:"authorityArn,omitempty"`

	// versions of key and certificate, oldest first: the current and the previous one. This list is the index: writing it is what
	// commits a renewal.
	// +optional
	// +listType=map
	// +listMapKey=versionId
	// +kubebuilder:validation:MaxItems=16
	Versions []SecretVersion `json:"versions,omitempty"`

	// importedFrom is the core Secret that the current certificate was imported from; empty if it was issued, or imported by the API.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ImportedFrom string `json:"importedFrom,omitempty"`

	// projection that was last written.
	// +optional
	Projection *ProjectionStatus `json:"projection,omitempty"`

	// lastHandledReconcileAt echoes the annotation strongroom.dev/reconcile.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`

	// lastHandledRotateAt echoes the annotation strongroom.dev/rotate, which renews the certificate.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LastHandledRotateAt string `json:"lastHandledRotateAt,omitempty"`
}

// Certificate is a certificate as in AWS Certificate Manager: issued by a CertificateAuthority or imported, renewed with a fresh key,
// and shown to workloads as a native Secret of type kubernetes.io/tls.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=certificates,singular=certificate,shortName=acmcert,categories=strongroom
// +kubebuilder:selectablefield:JSONPath=`.spec.authorityRef.name`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Domain",type=string,JSONPath=`.spec.domainName`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.status.notAfter`
// +kubebuilder:printcolumn:name="Renewal",type=string,JSONPath=`.status.renewalTime`
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.status.projection.name`,priority=1
// +kubebuilder:printcolumn:name="Serial",type=string,JSONPath=`.status.serial`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="!has(self.spec.importFrom) || !has(self.spec.target) || (has(self.spec.target.name) ? self.spec.target.name : self.metadata.name) != self.spec.importFrom.secretRef.name",message="the target is the core Secret that is imported from: name another target",fieldPath=".spec.target.name"
type Certificate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the certificate that the user wants.
	// +required
	Spec CertificateSpec `json:"spec"`
	// status is what is known of the certificate.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1,"conditions":{{"type":"Ready","status":"Unknown","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"},{"type":"Reconciling","status":"True","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"}}}
	Status CertificateStatus `json:"status,omitzero"`
}

// CertificateList is a list of Certificates.
// +kubebuilder:object:root=true
type CertificateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Certificate `json:"items"`
}

// GetConditions returns the conditions.
func (c *Certificate) GetConditions() []metav1.Condition { return c.Status.Conditions }

// SetConditions replaces the conditions.
func (c *Certificate) SetConditions(conditions []metav1.Condition) { c.Status.Conditions = conditions }

// FollowedSource is the name of the core Secret that is followed, empty if none is.
func (c *Certificate) FollowedSource() string {
	if c.Spec.ImportFrom == nil || c.Spec.ImportFrom.Policy != ImportFollow {
		return ""
	}
	return c.Spec.ImportFrom.SecretRef.Name
}

// TargetName is the name of the core Secret to write, empty if there is none.
func (c *Certificate) TargetName() string {
	switch {
	case c.Spec.Target == nil:
		return ""
	case c.Spec.Target.Name != "":
		return c.Spec.Target.Name
	}
	return c.Name
}
