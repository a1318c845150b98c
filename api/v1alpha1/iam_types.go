package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PolicyDocument is a policy in AWS's JSON language, written as YAML or JSON. The controller parses it: what is malformed
// is Stalled with the position of the mistake.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
//
// +kubebuilder:validation:Type=object
// +kubebuilder:pruning:PreserveUnknownFields
type PolicyDocument struct {
	apiextensionsv1.JSON `json:",inline"`
}

// InlinePolicy is a policy that is part of one role, user or group.
type InlinePolicy struct {
	// name of the policy, unique within the role, user or group.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[\w+=,.@-]+$`
	Name string `json:"name"`
	// document says what is allowed and denied.
	// +required
	Document PolicyDocument `json:"document"`
}

// Tag is a key and a value that describe an object, and that policies can ask for.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html
type Tag struct {
	// key of the tag.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="!self.lowerAscii().startsWith('aws:')",message="tag keys that begin with aws: are AWS's own: choose another key"
	Key string `json:"key"`
	// value of the tag.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Value string `json:"value,omitempty"`
}

// IdentityPolicies are the policies that an identity has: a role, a user or a group.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_identity-vs-resource.html
type IdentityPolicies struct {
	// policies that are part of this object. Together with managedPolicyArns they say what it may do: by default nothing.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=50
	Policies []InlinePolicy `json:"policies,omitempty"`

	// managedPolicyArns of IAMPolicies of this account (arn:aws:iam::ACCOUNT:policy/NAME) and of the policies that every
	// account has (arn:aws:iam::aws:policy/AdministratorAccess and others; docs/iam.md lists them).
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=25
	// +kubebuilder:validation:items:MinLength=25
	// +kubebuilder:validation:items:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.all(a, a.matches('^arn:aws:iam::([0-9]{12}|aws):policy/.+$'))",message="a managed policy is arn:aws:iam::ACCOUNT:policy/NAME, or arn:aws:iam::aws:policy/NAME for one that every account has"
	ManagedPolicyARNs []string `json:"managedPolicyArns,omitempty"`
}

// Permissions are what says what a role or user may do.
type Permissions struct {
	IdentityPolicies `json:",inline"`

	// permissionsBoundary is the ARN of the managed policy that limits what the others can allow.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
	// +optional
	// +kubebuilder:validation:MinLength=25
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^arn:aws:iam::([0-9]{12}|aws):policy/.+$')",message="a managed policy is arn:aws:iam::ACCOUNT:policy/NAME, or arn:aws:iam::aws:policy/NAME for one that every account has"
	PermissionsBoundary string `json:"permissionsBoundary,omitempty"`

	// tags of this object. Policies see them as aws:PrincipalTag/KEY.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:XValidation:rule="self.all(a, self.exists_one(b, b.key.lowerAscii() == a.key.lowerAscii()))",message="two tags have one key: tag keys differ by more than case"
	Tags []Tag `json:"tags,omitempty"`
}

// IAMIdentity is what AWS IAM knows an object by.
type IAMIdentity struct {
	// arn of the object.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	ARN string `json:"arn,omitempty"`
	// uniqueId of the object, as AWS writes it: AIDA for a user, AROA for a role, AGPA for a group, ANPA for a policy, and 17 characters. A
	// deleted object's never comes back, so that whoever is made under its name later gets nothing that was its.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
	// +optional
	// +kubebuilder:validation:MaxLength=128
	UniqueID string `json:"uniqueId,omitempty"`
}

// IAMStatus is what every IAM object's status has.
type IAMStatus struct {
	// observedGeneration is the generation that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready always; Reconciling, Stalled and UnknownConditionKey while true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	IAMIdentity `json:",inline"`

	// lastHandledReconcileAt echoes the annotation strongroom.dev/reconcile.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
}

// BoundPrincipal is a user or role that a policy named when it was there.
type BoundPrincipal struct {
	// arn that the policy has.
	// +required
	// +kubebuilder:validation:MaxLength=2048
	ARN string `json:"arn"`
	// uniqueId of who had the ARN.
	// +required
	// +kubebuilder:validation:MaxLength=128
	UniqueID string `json:"uniqueId"`
}

// PolicyBinding is whom the ARNs of users and roles in one policy mean. AWS keeps a principal's unique id in place of the ARN, so that
// whoever is made under the name of one that was deleted gets nothing; a manifest is its owner's text, so the ids are kept here.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
type PolicyBinding struct {
	// policyDigest is of the policy that is bound: another policy is bound anew.
	// +required
	// +kubebuilder:validation:MaxLength=64
	PolicyDigest string `json:"policyDigest"`
	// principals that were there since the policy is as it is, each as it was first.
	// +optional
	// +listType=map
	// +listMapKey=arn
	// +kubebuilder:validation:MaxItems=1024
	Principals []BoundPrincipal `json:"principals,omitempty"`
}
