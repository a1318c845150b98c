package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// IAMPolicySpec is the managed policy that a user wants.
//
// +kubebuilder:validation:XValidation:rule="has(self.name) == has(oldSelf.name) && (!has(self.name) || self.name == oldSelf.name)",message="name cannot be changed: it is part of the ARN; create another IAMPolicy",fieldPath=".name",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="has(self.path) == has(oldSelf.path) && (!has(self.path) || self.path == oldSelf.path)",message="path cannot be changed: it is part of the ARN; create another IAMPolicy",fieldPath=".path",reason=FieldValueForbidden
type IAMPolicySpec struct {
	// name in AWS IAM. metadata.name when it is left out.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[\w+=,.@-]+$`
	Name string `json:"name,omitempty"`

	// path before the name in the ARN, beginning and ending with a slash. / when it is left out.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-friendly-names
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^/([!-.0-~]+/)*$`
	Path string `json:"path,omitempty"`

	// description of the policy, for people.
	// +optional
	// +kubebuilder:validation:MaxLength=1000
	Description string `json:"description,omitempty"`

	// document says what is allowed and denied: the default version. Another document is another version, and the one before is
	// kept in status.versions.
	// +required
	Document PolicyDocument `json:"document"`
}

// PolicyVersion is one version of a managed policy. It does not change.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-versioning.html
type PolicyVersion struct {
	// versionId: v and a number. One that is gone does not come back.
	// +required
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=20
	VersionID string `json:"versionId"`
	// createdTime of the version.
	// +required
	CreatedTime metav1.Time `json:"createdTime"`
	// document of the version.
	// +required
	Document PolicyDocument `json:"document"`
}

// IAMPolicyStatus is what is known of the policy.
//
// The versions are in status and not in spec: a version that AWS's API makes is nothing that a manifest says, so whoever applies
// manifests neither sees nor removes it, and a change of spec.document by whatever way is a version like any other.
type IAMPolicyStatus struct {
	IAMStatus `json:",inline"`

	// defaultVersionId is the version that spec.document is.
	// +optional
	// +kubebuilder:validation:MaxLength=20
	DefaultVersionID string `json:"defaultVersionId,omitempty"`

	// versions of the policy that are kept, the eldest first: the default one, and at most four others.
	// +optional
	// +listType=map
	// +listMapKey=versionId
	// +kubebuilder:validation:MaxItems=5
	Versions []PolicyVersion `json:"versions,omitempty"`

	// lastVersion is the number of the newest version that there ever was, so that none comes again.
	// +optional
	// +kubebuilder:validation:Minimum=0
	LastVersion int64 `json:"lastVersion,omitempty"`
}

// IAMPolicy is a managed policy as in AWS IAM: roles and users name it by its ARN.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:validation:XValidation:rule="has(self.spec.name) || size(self.metadata.name) <= 128",message="metadata.name is over the 128 characters that a name in AWS IAM has: set spec.name",fieldPath=".spec.name"
// +kubebuilder:resource:path=iampolicies,singular=iampolicy,shortName=iampolicy,categories=strongroom
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="ARN",type=string,JSONPath=`.status.arn`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type IAMPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the user wants.
	// +required
	Spec IAMPolicySpec `json:"spec"`
	// status is what is known of it.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1,"conditions":{{"type":"Ready","status":"Unknown","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"},{"type":"Reconciling","status":"True","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"}}}
	Status IAMPolicyStatus `json:"status,omitzero"`
}

// IAMPolicyList is a list of IAMPolicy objects.
// +kubebuilder:object:root=true
type IAMPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IAMPolicy `json:"items"`
}

// GetConditions returns the conditions.
func (p *IAMPolicy) GetConditions() []metav1.Condition { return p.Status.Conditions }

// SetConditions replaces the conditions.
func (p *IAMPolicy) SetConditions(conditions []metav1.Condition) { p.Status.Conditions = conditions }

// AWSName is the name in AWS IAM: spec.name, or else metadata.name.
func (p *IAMPolicy) AWSName() string {
	if p.Spec.Name != "" {
		return p.Spec.Name
	}
	return p.Name
}

// AWSPath is the path in AWS IAM: spec.path, or else /.
func (p *IAMPolicy) AWSPath() string {
	if p.Spec.Path != "" {
		return p.Spec.Path
	}
	return "/"
}

// GetIAMStatus is the part of status that every IAM object has. It may be changed.
func (p *IAMPolicy) GetIAMStatus() *IAMStatus { return &p.Status.IAMStatus }
