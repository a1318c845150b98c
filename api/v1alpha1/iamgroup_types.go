package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// IAMGroupSpec is the group that somebody wants. Its members are not here: each IAMUser says in spec.groups what it is in, and why
// is told there.
//
// name and path can be changed, as by AWS's UpdateGroup, unlike those of other kinds: nobody but policies names a group by its ARN.
//
// +kubebuilder:validation:XValidation:rule="!has(self.managedPolicyArns) || size(self.managedPolicyArns) <= 10",message="a group has at most 10 managed policies",fieldPath=".managedPolicyArns"
type IAMGroupSpec struct {
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

	IdentityPolicies `json:",inline"`
}

// IAMGroup is a group as in AWS IAM: what it may do, each IAMUser that names it in spec.groups may do. It is no principal: no
// resource policy can name it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:validation:XValidation:rule="has(self.spec.name) || size(self.metadata.name) <= 128",message="metadata.name is over the 128 characters that a name in AWS IAM has: set spec.name",fieldPath=".spec.name"
// +kubebuilder:resource:path=iamgroups,singular=iamgroup,shortName=iamgroup,categories=strongroom
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="ARN",type=string,JSONPath=`.status.arn`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type IAMGroup struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the user wants.
	// +required
	Spec IAMGroupSpec `json:"spec"`
	// status is what is known of it.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1,"conditions":{{"type":"Ready","status":"Unknown","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"},{"type":"Reconciling","status":"True","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"}}}
	Status IAMStatus `json:"status,omitzero"`
}

// IAMGroupList is a list of IAMGroup objects.
// +kubebuilder:object:root=true
type IAMGroupList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IAMGroup `json:"items"`
}

// GetConditions returns the conditions.
func (g *IAMGroup) GetConditions() []metav1.Condition { return g.Status.Conditions }

// SetConditions replaces the conditions.
func (g *IAMGroup) SetConditions(conditions []metav1.Condition) { g.Status.Conditions = conditions }

// AWSName is the name in AWS IAM: spec.name, or else metadata.name.
func (g *IAMGroup) AWSName() string {
	if g.Spec.Name != "" {
		return g.Spec.Name
	}
	return g.Name
}

// AWSPath is the path in AWS IAM: spec.path, or else /.
func (g *IAMGroup) AWSPath() string {
	if g.Spec.Path != "" {
		return g.Spec.Path
	}
	return "/"
}

// GetIAMStatus is the part of status that every IAM object has. It may be changed.
func (g *IAMGroup) GetIAMStatus() *IAMStatus { return &g.Status }
