package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// GrantKeyIDLabel is on the KMSGrants that the AWS API made, with the id of their key: they go with the key.
const GrantKeyIDLabel = Group + "/key-id"

// GrantOperation is what a grant allows.
// https://docs.aws.amazon.com/kms/latest/developerguide/grants.html#terms-grant-operations
// +kubebuilder:validation:Enum=Decrypt;Encrypt;GenerateDataKey;GenerateDataKeyWithoutPlaintext;ReEncryptFrom;ReEncryptTo;Sign;Verify;GetPublicKey;CreateGrant;RetireGrant;DescribeKey;GenerateDataKeyPair;GenerateDataKeyPairWithoutPlaintext;GenerateMac;VerifyMac;DeriveSharedSecret;Encapsulate;Decapsulate
type GrantOperation string

// GrantConstraints narrow what a grant allows. At least one is given; a request must meet all that are. The keys have no case, unlike those of an
// encryption context itself, and the values have one.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GrantConstraints.html
//
// +kubebuilder:validation:XValidation:rule="has(self.encryptionContextEquals) || has(self.encryptionContextSubset)",message="constraints have encryptionContextEquals, encryptionContextSubset, or both: leave constraints out for none"
type GrantConstraints struct {
	// encryptionContextEquals is the encryption context that a request must have: up to 8 pairs, and 384 characters together.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=8
	// +kubebuilder:validation:XValidation:rule="self.map(k, size(k) + size(self[k])).sum() <= 384",message="a constraint has at most 384 characters"
	EncryptionContextEquals map[string]string `json:"encryptionContextEquals,omitempty"`

	// encryptionContextSubset are pairs that must be in the encryption context of a request: up to 8, and 384 characters together.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=8
	// +kubebuilder:validation:XValidation:rule="self.map(k, size(k) + size(self[k])).sum() <= 384",message="a constraint has at most 384 characters"
	EncryptionContextSubset map[string]string `json:"encryptionContextSubset,omitempty"`
}

// KMSGrantSpec is a grant of AWS KMS. It cannot be changed: make another, and delete this one.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateGrant.html
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a grant cannot be changed, as in AWS KMS: create another KMSGrant, and delete this one",reason=FieldValueForbidden
type KMSGrantSpec struct {
	// kmsKeyRef names the KMSKey of the namespace.
	// +required
	KMSKeyRef LocalReference `json:"kmsKeyRef"`

	// keyId is the id of the key in AWS KMS. With it the grant is of that key alone, and not of another that has the name after it. The AWS API
	// sets it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	KeyID string `json:"keyId,omitempty"`

	// name of the grant in AWS KMS, which tells what it is for.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9:/_-]+$')",message="name has letters, digits, colons, slashes, underscores and dashes"
	Name string `json:"name,omitempty"`

	// granteePrincipal is who may use the key: the ARN of a user, a role, a session, or an account (arn:aws:iam::ACCOUNT:root), which leaves it to
	// the account's IAM policies. It may be of another account.
	// +required
	// +kubebuilder:validation:MinLength=30
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^arn:aws:(iam::[0-9]{12}:(root|(user|role)/[^*?]+)|sts::[0-9]{12}:(federated-user/[^*?]+|assumed-role/[^*?/]+/[^*?]+))$')",message="granteePrincipal is the ARN of a user, a role, a session or an account, for example arn:aws:iam::111122223333:role/app"
	GranteePrincipal string `json:"granteePrincipal"`

	// retiringPrincipal is who may retire the grant, in the form of granteePrincipal.
	// +optional
	// +kubebuilder:validation:MinLength=30
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^arn:aws:(iam::[0-9]{12}:(root|(user|role)/[^*?]+)|sts::[0-9]{12}:(federated-user/[^*?]+|assumed-role/[^*?/]+/[^*?]+))$')",message="retiringPrincipal is the ARN of a user, a role, a session or an account, for example arn:aws:iam::111122223333:role/app"
	RetiringPrincipal string `json:"retiringPrincipal,omitempty"`

	// operations that the grant allows, with AWS's names. The key must support each.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=19
	Operations []GrantOperation `json:"operations"`

	// constraints on the encryption context, of symmetric keys alone. Not met by a request, the grant does not allow it. They do not speak of
	// DescribeKey and RetireGrant; grants that are created by this one must be at least as strict.
	// +optional
	Constraints *GrantConstraints `json:"constraints,omitempty"`

	// issuingAccount is the account that the grant was made by, which may retire it. The key's own when it is left out.
	// +optional
	// +kubebuilder:validation:MinLength=12
	// +kubebuilder:validation:MaxLength=12
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{12}$')",message="an account id is 12 digits"
	IssuingAccount string `json:"issuingAccount,omitempty"`
}

// KMSGrantStatus is what is known of a grant. The grant counts without it.
type KMSGrantStatus struct {
	// observedGeneration is the generation that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready always; Reconciling, Stalled and PrincipalReplaced while true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// grantId of AWS KMS: the object's name if that is 64 hexadecimal digits, as it is of grants that the AWS API made, and made of its UID
	// otherwise.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	GrantID string `json:"grantId,omitempty"`

	// keyArn is the key's.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	KeyARN string `json:"keyArn,omitempty"`

	// binding is whom granteePrincipal and retiringPrincipal mean.
	// +optional
	Binding *PolicyBinding `json:"binding,omitempty"`

	// lastHandledReconcileAt echoes the annotation strongroom.dev/reconcile.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
}

// KMSGrant lets a principal use a KMSKey, as a grant of AWS KMS does: it allows, beside the key's policy and IAM's, and cannot deny.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=kmsgrants,singular=kmsgrant,shortName=kmsgrant,categories=strongroom
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Key",type=string,JSONPath=`.spec.kmsKeyRef.name`
// +kubebuilder:printcolumn:name="Grantee",type=string,JSONPath=`.spec.granteePrincipal`
// +kubebuilder:printcolumn:name="Operations",type=string,JSONPath=`.spec.operations`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type KMSGrant struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the grant.
	// +required
	Spec KMSGrantSpec `json:"spec"`
	// status is what is known of it.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1,"conditions":{{"type":"Ready","status":"Unknown","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"},{"type":"Reconciling","status":"True","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"}}}
	Status KMSGrantStatus `json:"status,omitzero"`
}

// KMSGrantList is a list of KMSGrants.
// +kubebuilder:object:root=true
type KMSGrantList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []KMSGrant `json:"items"`
}

// GetConditions returns the conditions.
func (g *KMSGrant) GetConditions() []metav1.Condition { return g.Status.Conditions }

// SetConditions replaces the conditions.
func (g *KMSGrant) SetConditions(conditions []metav1.Condition) { g.Status.Conditions = conditions }
