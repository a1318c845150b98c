package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CertificateKeyAlgorithm is a type of key, by its name in AWS Certificate Manager.
// https://docs.aws.amazon.com/acm/latest/APIReference/API_RequestCertificate.html#ACM-RequestCertificate-request-KeyAlgorithm
// +kubebuilder:validation:Enum=RSA_2048;RSA_3072;RSA_4096;EC_prime256v1;EC_secp384r1;EC_secp521r1
type CertificateKeyAlgorithm string

// The key algorithms.
const (
	// KeyAlgorithmRSA2048 is RSA of 2,048 bits, AWS Certificate Manager's default.
	KeyAlgorithmRSA2048 CertificateKeyAlgorithm = "RSA_2048"
	// KeyAlgorithmRSA3072 is RSA of 3,072 bits.
	KeyAlgorithmRSA3072 CertificateKeyAlgorithm = "RSA_3072"
	// KeyAlgorithmRSA4096 is RSA of 4,096 bits.
	KeyAlgorithmRSA4096 CertificateKeyAlgorithm = "RSA_4096"
	// KeyAlgorithmECPrime256v1 is ECDSA on P-256.
	KeyAlgorithmECPrime256v1 CertificateKeyAlgorithm = "EC_prime256v1"
	// KeyAlgorithmECSecp384r1 is ECDSA on P-384.
	KeyAlgorithmECSecp384r1 CertificateKeyAlgorithm = "EC_secp384r1"
	// KeyAlgorithmECSecp521r1 is ECDSA on P-521.
	KeyAlgorithmECSecp521r1 CertificateKeyAlgorithm = "EC_secp521r1"
)

// CertificateAuthorityType is an authority's place in a hierarchy.
// https://docs.aws.amazon.com/privateca/latest/APIReference/API_CreateCertificateAuthority.html
// +kubebuilder:validation:Enum=Root;Subordinate
type CertificateAuthorityType string

// The types of authorities.
const (
	// CertificateAuthorityRoot is its own issuer.
	CertificateAuthorityRoot CertificateAuthorityType = "Root"
	// CertificateAuthoritySubordinate was issued by another authority.
	CertificateAuthoritySubordinate CertificateAuthorityType = "Subordinate"
)

// CertificateValidity is a time in days or hours, as 90d or 12h.
// +kubebuilder:validation:MinLength=2
// +kubebuilder:validation:MaxLength=6
// +kubebuilder:validation:XValidation:rule="self.matches('^[1-9][0-9]{0,4}[dh]$')",message="a time is a whole number of days or hours, for example 90d or 12h"
type CertificateValidity string

// CertificateAuthoritySpec is the authority that a user wants.
//
// +kubebuilder:validation:XValidation:rule="self.type == oldSelf.type",message="type cannot be changed: create another CertificateAuthority",fieldPath=".type",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="self.subject == oldSelf.subject",message="subject cannot be changed: what was issued names it; create another CertificateAuthority",fieldPath=".subject",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="(has(self.keyAlgorithm) ? self.keyAlgorithm : 'RSA_2048') == (has(oldSelf.keyAlgorithm) ? oldSelf.keyAlgorithm : 'RSA_2048')",message="keyAlgorithm cannot be changed: the key is of that type; create another CertificateAuthority",fieldPath=".keyAlgorithm",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="has(self.kmsKeyRef) == has(oldSelf.kmsKeyRef) && (!has(self.kmsKeyRef) || self.kmsKeyRef == oldSelf.kmsKeyRef)",message="kmsKeyRef cannot be changed: what was issued was signed with that key; create another CertificateAuthority",fieldPath=".kmsKeyRef",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="has(self.region) == has(oldSelf.region) && (!has(self.region) || self.region == oldSelf.region)",message="region cannot be changed: it is part of the ARN; create another CertificateAuthority",fieldPath=".region",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="has(self.authorityRef) == (self.type == 'Subordinate')",message="authorityRef names the issuer of a Subordinate authority, and a Root is its own: set it for the one, leave it out for the other",fieldPath=".authorityRef"
// +kubebuilder:validation:XValidation:rule="!has(self.renewBefore) || (self.renewBefore.endsWith('d') ? 24 : 1) * int(self.renewBefore.substring(0, self.renewBefore.size() - 1)) < (has(self.validity) ? (self.validity.endsWith('d') ? 24 : 1) * int(self.validity.substring(0, self.validity.size() - 1)) : 87600)",message="renewBefore is shorter than validity, which is 3650d when it is left out",fieldPath=".renewBefore"
type CertificateAuthoritySpec struct {
	// type: Root, or Subordinate with authorityRef.
	// +required
	Type CertificateAuthorityType `json:"type"`

	// authorityRef names the CertificateAuthority that issues the certificate of a Subordinate one.
	// +optional
	AuthorityRef *LocalReference `json:"authorityRef,omitempty"`

	// subject of the authority's certificate, and the issuer of all that it issues.
	// +required
	Subject CertificateSubject `json:"subject"`

	// keyAlgorithm of the authority's key. RSA_2048 when it is left out.
	// +optional
	KeyAlgorithm CertificateKeyAlgorithm `json:"keyAlgorithm,omitempty"`

	// kmsKeyRef names the KMSKey that signs, of usage SIGN_VERIFY. If there is none of that name, it is made with the key spec of
	// keyAlgorithm. When it is left out, the name is ca- and metadata.name.
	// +optional
	KMSKeyRef *LocalReference `json:"kmsKeyRef,omitempty"`

	// validity of the authority's certificate, as 3650d, which is also what is used when it is left out. A change counts at the next
	// renewal. A subordinate's certificate does not outlive its issuer's.
	// +optional
	Validity CertificateValidity `json:"validity,omitempty"`

	// renewBefore its end the certificate is renewed, with the same key, so that what it issued stays good. When two thirds of its
	// life are over, if it is left out.
	// +optional
	RenewBefore CertificateValidity `json:"renewBefore,omitempty"`

	// pathLength is how many authorities may be below this one, each below the other. Any number when it is left out.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=8
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="pathLength cannot be changed: create another CertificateAuthority",reason=FieldValueForbidden
	PathLength *int32 `json:"pathLength,omitempty"`

	// nameConstraints limit the names in what is issued below this authority.
	// https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.10
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="nameConstraints cannot be changed: create another CertificateAuthority",reason=FieldValueForbidden
	NameConstraints *NameConstraints `json:"nameConstraints,omitempty"`

	// revoked lists certificates that this authority issued and that are not to be trusted any more. Taking an entry out does not
	// undo it.
	// +optional
	// +listType=map
	// +listMapKey=serial
	// +kubebuilder:validation:MaxItems=1000
	Revoked []RevokedCertificate `json:"revoked,omitempty"`

	// crl says how the certificate revocation list is made.
	// +optional
	CRL *CertificateRevocationList `json:"crl,omitempty"`

	// target is a ConfigMap that shows the authority's chain (ca.crt) and its revocation list (ca.crl) to workloads. Without it none
	// is written.
	// +optional
	Target *AuthorityTarget `json:"target,omitempty"`

	// deletion says how long a deleted authority can be had back.
	// +optional
	Deletion *SecretDeletion `json:"deletion,omitempty"`

	// region of the authority, as it is in the ARN. The operator's home region when it is left out.
	// +optional
	// +kubebuilder:validation:MinLength=6
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]{2,4}(-[a-z]+)+-[0-9]+$')",message="a region is written as AWS does, for example us-east-1"
	Region string `json:"region,omitempty"`

	// tags of the authority, which policies can ask for (aws:ResourceTag/KEY).
	// https://docs.aws.amazon.com/privateca/latest/APIReference/API_Tag.html
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=50
	Tags []Tag `json:"tags,omitempty"`
}

// CertificateSubject is the distinguished name of an authority.
// https://docs.aws.amazon.com/privateca/latest/APIReference/API_ASN1Subject.html
type CertificateSubject struct {
	// commonName of the authority.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	CommonName string `json:"commonName"`
	// organization that it is of.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Organization string `json:"organization,omitempty"`
	// organizationalUnit of the organization.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	OrganizationalUnit string `json:"organizationalUnit,omitempty"`
	// country as two letters (ISO 3166).
	// +optional
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=2
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Z]{2}$')",message="country is two capital letters (ISO 3166), for example DE"
	Country string `json:"country,omitempty"`
	// state or province.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	State string `json:"state,omitempty"`
	// locality, such as a city.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Locality string `json:"locality,omitempty"`
}

// NameConstraints limit names. A type of name that is permitted in part is excluded otherwise.
//
// +kubebuilder:validation:MinProperties=1
type NameConstraints struct {
	// permitted names.
	// +optional
	Permitted *NameSubtrees `json:"permitted,omitempty"`
	// excluded names, whatever is permitted.
	// +optional
	Excluded *NameSubtrees `json:"excluded,omitempty"`
}

// NameSubtrees are parts of the spaces of names.
//
// +kubebuilder:validation:MinProperties=1
type NameSubtrees struct {
	// dnsDomains with all names below them; with a leading dot, those alone.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.all(d, d.matches('^[.]?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'))",message="a domain is a DNS name in lower case, perhaps with a leading dot, for example example.com"
	DNSDomains []string `json:"dnsDomains,omitempty"`
	// ipRanges in CIDR notation.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=4
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:XValidation:rule="self.all(r, isCIDR(r) && cidr(r).masked() == cidr(r))",message="a range is written in CIDR notation without bits of a host, for example 10.0.0.0/8"
	IPRanges []string `json:"ipRanges,omitempty"`
	// emailAddresses: a mailbox, a host, or with a leading dot the hosts below a domain.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=254
	// +kubebuilder:validation:XValidation:rule="self.all(e, e.matches(r'^([!#-\\x27*+/-9=?A-Z^-~-]+([.][!#-\\x27*+/-9=?A-Z^-~-]+)*@|[.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$') && !e.matches('(^|[.@])[0-9]+$'))",message="an email constraint is a mailbox, a host in lower case, or with a leading dot the hosts below a domain, for example ops@example.com, example.com or .example.com"
	EmailAddresses []string `json:"emailAddresses,omitempty"`
	// uriDomains: a host, or with a leading dot the hosts below a domain.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.all(d, d.matches('^[.]?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$') && !d.matches('(^|[.])[0-9]+$'))",message="a URI constraint is a host in lower case, or with a leading dot the hosts below a domain, without scheme, port or IP address, for example example.com or .example.com"
	URIDomains []string `json:"uriDomains,omitempty"`
}

// RevocationReason is why a certificate is revoked.
// https://docs.aws.amazon.com/privateca/latest/APIReference/API_RevokeCertificate.html
// +kubebuilder:validation:Enum=UNSPECIFIED;KEY_COMPROMISE;CERTIFICATE_AUTHORITY_COMPROMISE;AFFILIATION_CHANGED;SUPERSEDED;CESSATION_OF_OPERATION;PRIVILEGE_WITHDRAWN;A_A_COMPROMISE
type RevocationReason string

// RevokedCertificate is one certificate that is not to be trusted any more.
type RevokedCertificate struct {
	// serial number as status.serial of a Certificate has it: hexadecimal digits in lower case.
	// +required
	// +kubebuilder:validation:MinLength=32
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[0-9a-f]+$`
	Serial string `json:"serial"`
	// reason. UNSPECIFIED when it is left out.
	// +optional
	Reason RevocationReason `json:"reason,omitempty"`
}

// CertificateRevocationList says how a revocation list is made.
// https://docs.aws.amazon.com/privateca/latest/APIReference/API_CrlConfiguration.html
type CertificateRevocationList struct {
	// expirationInDays of a list, 1 to 5000; the next one is made when half of that is over, or something is revoked. 7 when it is
	// left out.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=5000
	ExpirationInDays int32 `json:"expirationInDays,omitempty"`
}

// AuthorityTarget is a ConfigMap to write.
type AuthorityTarget struct {
	// name of the ConfigMap.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="name is a DNS name: lower-case letters, digits, dashes and dots, for example shop-ca"
	// +kubebuilder:validation:XValidation:rule="self != 'kube-root-ca.crt'",message="the ConfigMap kube-root-ca.crt is what pods know the API server by: name another target"
	Name string `json:"name"`
}

// CertificateAuthorityStatus is what is known of the authority.
type CertificateAuthorityStatus struct {
	// observedGeneration is the generation that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready always; Reconciling and Stalled while true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// arn of the authority. It stays when the authority is deleted and restored.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	ARN string `json:"arn,omitempty"`

	// kmsKeyArn is the key that signs.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	KMSKeyARN string `json:"kmsKeyArn,omitempty"`

	// certificate of the authority, in PEM. It is for readers: Strongroom itself goes by its Envelope.
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	Certificate string `json:"certificate,omitempty"`

	// certificateChain are the certificates above it up to the root, in PEM; empty of a Root.
	// +optional
	// +kubebuilder:validation:MaxLength=163840
	CertificateChain string `json:"certificateChain,omitempty"`

	// serial number of the certificate: hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=40
	Serial string `json:"serial,omitempty"`

	// notBefore is the certificate's begin.
	// +optional
	NotBefore *metav1.Time `json:"notBefore,omitempty"`

	// notAfter is the certificate's end.
	// +optional
	NotAfter *metav1.Time `json:"notAfter,omitempty"`

	// renewalTime at which the certificate will be renewed.
	// +optional
	RenewalTime *metav1.Time `json:"renewalTime,omitempty"`

	// versions of the certificate, oldest first. This list is the index: writing it is what commits a renewal.
	// +optional
	// +listType=map
	// +listMapKey=versionId
	// +kubebuilder:validation:MaxItems=16
	Versions []SecretVersion `json:"versions,omitempty"`

	// projection is the ConfigMap that was written.
	// +optional
	Projection *ProjectionStatus `json:"projection,omitempty"`

	// revokedGeneration is the last generation of which all that spec.revoked lists was carried out.
	// +optional
	RevokedGeneration int64 `json:"revokedGeneration,omitempty"`

	// crl is the revocation list that was last made.
	// +optional
	CRL *CertificateRevocationListStatus `json:"crl,omitempty"`

	// lastHandledReconcileAt echoes the annotation strongroom.dev/reconcile.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`

	// lastHandledRotateAt echoes the annotation strongroom.dev/rotate, which renews the certificate.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LastHandledRotateAt string `json:"lastHandledRotateAt,omitempty"`
}

// CertificateRevocationListStatus is a revocation list that was made.
type CertificateRevocationListStatus struct {
	// number of the list. It grows with each one.
	// +required
	// +kubebuilder:validation:Minimum=1
	Number int64 `json:"number"`
	// thisUpdate is when it was made.
	// +required
	ThisUpdate metav1.Time `json:"thisUpdate"`
	// nextUpdate is when it expires.
	// +required
	NextUpdate metav1.Time `json:"nextUpdate"`
	// revoked is the number of certificates on it.
	// +optional
	Revoked int64 `json:"revoked,omitempty"`
	// digest of what is on it and of where it was written, by which a change is seen.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Digest string `json:"digest,omitempty"`
	// sha256 of the list as the target shows it, in hexadecimal: what sha256sum says of ca.crl. It is empty without a target.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	SHA256 string `json:"sha256,omitempty"`
}

// CertificateAuthority is a private certificate authority as in AWS Private CA: a certificate and a key in a KMSKey, which issue
// Certificates.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=certificateauthorities,singular=certificateauthority,shortName=acmpca,categories=strongroom
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.status.notAfter`
// +kubebuilder:printcolumn:name="Renewal",type=string,JSONPath=`.status.renewalTime`,priority=1
// +kubebuilder:printcolumn:name="Serial",type=string,JSONPath=`.status.serial`,priority=1
// +kubebuilder:printcolumn:name="CRL",type=integer,JSONPath=`.status.crl.number`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="!has(self.spec.authorityRef) || self.spec.authorityRef.name != self.metadata.name",message="an authority does not issue its own certificate: name another, or use type Root",fieldPath=".spec.authorityRef"
// +kubebuilder:validation:XValidation:rule="has(self.spec.pathLength) == has(oldSelf.spec.pathLength) && has(self.spec.nameConstraints) == has(oldSelf.spec.nameConstraints)",message="pathLength and nameConstraints cannot be changed: create another CertificateAuthority",fieldPath=".spec",reason=FieldValueForbidden
type CertificateAuthority struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the authority that the user wants.
	// +required
	Spec CertificateAuthoritySpec `json:"spec"`
	// status is what is known of the authority.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1,"conditions":{{"type":"Ready","status":"Unknown","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"},{"type":"Reconciling","status":"True","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"}}}
	Status CertificateAuthorityStatus `json:"status,omitzero"`
}

// CertificateAuthorityList is a list of CertificateAuthorities.
// +kubebuilder:object:root=true
type CertificateAuthorityList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []CertificateAuthority `json:"items"`
}

// GetConditions returns the conditions.
func (a *CertificateAuthority) GetConditions() []metav1.Condition { return a.Status.Conditions }

// SetConditions replaces the conditions.
func (a *CertificateAuthority) SetConditions(conditions []metav1.Condition) {
	a.Status.Conditions = conditions
}

// KMSKeyName is the name of the KMSKey that signs: spec.kmsKeyRef, or else ca- and the authority's own name.
func (a *CertificateAuthority) KMSKeyName() string {
	if a.Spec.KMSKeyRef != nil {
		return a.Spec.KMSKeyRef.Name
	}
	return "ca-" + a.Name
}
