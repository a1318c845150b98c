package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ServiceAccountReference names a Kubernetes service account, as NAME of the role's own namespace or as NAMESPACE/NAME.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=317
// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?/)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="a service account is NAME, of the role's namespace, or NAMESPACE/NAME"
type ServiceAccountReference string

// IAMRoleSpec is the role that a user wants.
//
// +kubebuilder:validation:XValidation:rule="has(self.name) == has(oldSelf.name) && (!has(self.name) || self.name == oldSelf.name)",message="name cannot be changed: it is part of the ARN; create another IAMRole",fieldPath=".name",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="has(self.path) == has(oldSelf.path) && (!has(self.path) || self.path == oldSelf.path)",message="path cannot be changed: it is part of the ARN; create another IAMRole",fieldPath=".path",reason=FieldValueForbidden
type IAMRoleSpec struct {
	// name in AWS IAM. metadata.name when it is left out.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[\w+=,.@-]+$`
	Name string `json:"name,omitempty"`

	// path before the name in the ARN, beginning and ending with a slash. / when it is left out.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-friendly-names
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^/([!-.0-~]+/)*$`
	Path string `json:"path,omitempty"`

	// description of the role, for people.
	// +optional
	// +kubebuilder:validation:MaxLength=1000
	Description string `json:"description,omitempty"`

	// serviceAccounts whose pods may assume the role through STS AssumeRoleWithWebIdentity, by the token that the API
	// server makes for them with the audience sts.amazonaws.com.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	ServiceAccounts []ServiceAccountReference `json:"serviceAccounts,omitempty"`

	// assumeRolePolicy is the role's trust policy: who else may assume it, through STS AssumeRole.
	// +optional
	AssumeRolePolicy *PolicyDocument `json:"assumeRolePolicy,omitempty"`

	// maxSessionDuration of credentials for the role, in seconds: 3600 to 43200. 3600 when it is left out.
	// +optional
	// +kubebuilder:validation:Minimum=3600
	// +kubebuilder:validation:Maximum=43200
	MaxSessionDuration int32 `json:"maxSessionDuration,omitempty"`

	Permissions `json:",inline"`
}

// IAMRole is a role as in AWS IAM: permissions that pods and users take on for a while.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:validation:XValidation:rule="has(self.spec.name) || size(self.metadata.name) <= 64",message="metadata.name is over the 64 characters that a name in AWS IAM has: set spec.name",fieldPath=".spec.name"
// +kubebuilder:resource:path=iamroles,singular=iamrole,shortName=iamrole,categories=strongroom
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="ARN",type=string,JSONPath=`.status.arn`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type IAMRole struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the user wants.
	// +required
	Spec IAMRoleSpec `json:"spec"`
	// status is what is known of it.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1,"conditions":{{"type":"Ready","status":"Unknown","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"},{"type":"Reconciling","status":"True","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"}}}
	Status IAMRoleStatus `json:"status,omitzero"`
}

// IAMRoleStatus is what is known of a role.
type IAMRoleStatus struct {
	IAMStatus `json:",inline"`

	// trust is whom assumeRolePolicy names.
	// +optional
	Trust *PolicyBinding `json:"trust,omitempty"`
}

// IAMRoleList is a list of IAMRole objects.
// +kubebuilder:object:root=true
type IAMRoleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IAMRole `json:"items"`
}

// GetConditions returns the conditions.
func (r *IAMRole) GetConditions() []metav1.Condition { return r.Status.Conditions }

// SetConditions replaces the conditions.
func (r *IAMRole) SetConditions(conditions []metav1.Condition) { r.Status.Conditions = conditions }

// AWSName is the name in AWS IAM: spec.name, or else metadata.name.
func (r *IAMRole) AWSName() string {
	if r.Spec.Name != "" {
		return r.Spec.Name
	}
	return r.Name
}

// AWSPath is the path in AWS IAM: spec.path, or else /.
func (r *IAMRole) AWSPath() string {
	if r.Spec.Path != "" {
		return r.Spec.Path
	}
	return "/"
}

// GetIAMStatus is the part of status that every IAM object has. It may be changed.
func (r *IAMRole) GetIAMStatus() *IAMStatus { return &r.Status.IAMStatus }
