package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// IAMUserSpec is the user that somebody wants.
//
// +kubebuilder:validation:XValidation:rule="has(self.name) == has(oldSelf.name) && (!has(self.name) || self.name == oldSelf.name)",message="name cannot be changed: it is part of the ARN; create another IAMUser",fieldPath=".name",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="has(self.path) == has(oldSelf.path) && (!has(self.path) || self.path == oldSelf.path)",message="path cannot be changed: it is part of the ARN; create another IAMUser",fieldPath=".path",reason=FieldValueForbidden
type IAMUserSpec struct {
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

	// accessKeys of the user. Each is handed out in a core Secret, which is made again if it is deleted.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:XValidation:rule="self.all(a, !has(a.secretName) || self.exists_one(b, has(b.secretName) && b.secretName == a.secretName))",message="two access keys have one secretName: each is handed out in a core Secret of its own"
	AccessKeys []AccessKey `json:"accessKeys,omitempty"`

	// groups that the user is in, as metadata.name of IAMGroups of this namespace: what their policies say is said of the user
	// too. At most ten, as in AWS. A group that is not there takes all permissions away, since it may have denied something.
	//
	// The user holds the membership, and not the group: to join or leave is one write of one object, which two replicas cannot
	// half do; a user has ten groups at most, while a group may have as many users as there are; and what a user may do is
	// told by reading the user. A group is named by its object and not by its name in AWS IAM, which UpdateGroup changes: so
	// that too is one write, and nobody falls out of a group that is renamed.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_groups.html
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.all(g, g.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'))",message="a group is metadata.name of an IAMGroup: lower-case letters, digits, dashes and dots"
	Groups []string `json:"groups,omitempty"`

	Permissions `json:",inline"`
}

// AccessKey is a long-term access key of a user.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html
type AccessKey struct {
	// name of the access key within the user. A key that is removed from the list is revoked for good; to rotate, add a
	// second one, bring it into use, and remove the first.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="name is a DNS label: lower-case letters, digits and dashes"
	Name string `json:"name"`
	// inactive keys are kept and refused.
	// +optional
	Inactive bool `json:"inactive,omitempty"`
	// secretName of the core Secret that gets AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, once. USER-NAME when it is
	// left out. One that exists and is somebody else's is a Conflict, and not touched.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="secretName is a DNS name: lower-case letters, digits, dashes and dots"
	SecretName string `json:"secretName,omitempty"`
}

// AccessKeyStatus is one access key that exists.
type AccessKeyStatus struct {
	// name of the key in spec.accessKeys.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// sequence number: 1 for the user's first access key, then one more each.
	// +required
	// +kubebuilder:validation:Minimum=1
	Sequence int64 `json:"sequence"`
	// accessKeyId: AKIA and 16 characters.
	// +required
	// +kubebuilder:validation:MinLength=16
	// +kubebuilder:validation:MaxLength=128
	AccessKeyID string `json:"accessKeyId"`
	// secretName of the core Secret that the secret half was written to.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName,omitempty"`
	// createdTime of the key.
	// +required
	CreatedTime metav1.Time `json:"createdTime"`
}

// IAMUserStatus is what is known of the user.
type IAMUserStatus struct {
	IAMStatus `json:",inline"`

	// accessKeys that exist: the user's index of them. Writing it is what brings a key into force.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=2
	AccessKeys []AccessKeyStatus `json:"accessKeys,omitempty"`

	// lastAccessKeySequence that was given out, so that none comes again.
	// +optional
	LastAccessKeySequence int64 `json:"lastAccessKeySequence,omitempty"`
}

// IAMUser is a user as in AWS IAM: long-term access keys and what they may do.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 189",message="metadata.name is over 189 characters: the core Secrets of access keys are named USER-KEY"
// +kubebuilder:validation:XValidation:rule="has(self.spec.name) || size(self.metadata.name) <= 64",message="metadata.name is over the 64 characters that a name in AWS IAM has: set spec.name",fieldPath=".spec.name"
// +kubebuilder:resource:path=iamusers,singular=iamuser,shortName=iamuser,categories=strongroom
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="ARN",type=string,JSONPath=`.status.arn`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type IAMUser struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the user wants.
	// +required
	Spec IAMUserSpec `json:"spec"`
	// status is what is known of it.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1,"conditions":{{"type":"Ready","status":"Unknown","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"},{"type":"Reconciling","status":"True","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"}}}
	Status IAMUserStatus `json:"status,omitzero"`
}

// IAMUserList is a list of IAMUser objects.
// +kubebuilder:object:root=true
type IAMUserList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IAMUser `json:"items"`
}

// GetConditions returns the conditions.
func (u *IAMUser) GetConditions() []metav1.Condition { return u.Status.Conditions }

// SetConditions replaces the conditions.
func (u *IAMUser) SetConditions(conditions []metav1.Condition) { u.Status.Conditions = conditions }

// AWSName is the name in AWS IAM: spec.name, or else metadata.name.
func (u *IAMUser) AWSName() string {
	if u.Spec.Name != "" {
		return u.Spec.Name
	}
	return u.Name
}

// SecretNameOf is the core Secret that an access key is to be handed out in: spec.accessKeys[].secretName, or else USER-KEY.
func (u *IAMUser) SecretNameOf(key *AccessKey) string {
	if key.SecretName != "" {
		return key.SecretName
	}
	return u.Name + "-" + key.Name
}

// AccessKeyStatusOf is the access key of a name that status holds, nil if it holds none.
func (u *IAMUser) AccessKeyStatusOf(name string) *AccessKeyStatus {
	for i := range u.Status.AccessKeys {
		if u.Status.AccessKeys[i].Name == name {
			return &u.Status.AccessKeys[i]
		}
	}
	return nil
}

// AWSPath is the path in AWS IAM: spec.path, or else /.
func (u *IAMUser) AWSPath() string {
	if u.Spec.Path != "" {
		return u.Spec.Path
	}
	return "/"
}

// GetIAMStatus is the part of status that every IAM object has. It may be changed.
func (u *IAMUser) GetIAMStatus() *IAMStatus { return &u.Status.IAMStatus }
