package v1alpha1

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ParameterType is AWS's type of a parameter.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-creating.html
// +kubebuilder:validation:Enum=String;StringList;SecureString
type ParameterType string

// The types of parameters.
const (
	// ParameterString is plain text.
	ParameterString ParameterType = "String"
	// ParameterStringList is plain text: items with commas between them.
	ParameterStringList ParameterType = "StringList"
	// ParameterSecureString is a secret, encrypted under a KMSKey.
	ParameterSecureString ParameterType = "SecureString"
)

// ParameterTier is AWS's tier of a parameter, which bounds its size.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
// +kubebuilder:validation:Enum=Standard;Advanced;Intelligent-Tiering
type ParameterTier string

// The tiers of parameters.
const (
	// TierStandard has values of at most 4 KiB.
	TierStandard ParameterTier = "Standard"
	// TierAdvanced has values of at most 8 KiB.
	TierAdvanced ParameterTier = "Advanced"
	// TierIntelligent is Standard while the value fits, and else Advanced.
	TierIntelligent ParameterTier = "Intelligent-Tiering"
)

// ParameterSpec is the parameter that a user wants. A value that is configuration is written here in plain text; a secret one is
// generated, imported, or put through the API of AWS Systems Manager, as is any value that spec does not name. What spec says of
// the value wins: one that differs becomes the next version, and the API refuses to put another while value is set.
//
// +kubebuilder:validation:AtMostOneOf=value;generate;valueFrom
// +kubebuilder:validation:XValidation:rule="has(self.name) == has(oldSelf.name) && (!has(self.name) || self.name == oldSelf.name)",message="name cannot be changed: it is part of the ARN; create another Parameter",fieldPath=".name",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="has(self.region) == has(oldSelf.region) && (!has(self.region) || self.region == oldSelf.region)",message="region cannot be changed: it is part of the ARN; create another Parameter",fieldPath=".region",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="self.type != 'SecureString' || !has(self.value)",message="a SecureString has no value in the clear: use generate or valueFrom, put it through the API, or make the type String",fieldPath=".value"
// +kubebuilder:validation:XValidation:rule="self.type == 'SecureString' || !has(self.generate)",message="only a SecureString is generated: make the type SecureString, or write value",fieldPath=".generate"
// +kubebuilder:validation:XValidation:rule="self.type == 'SecureString' || !has(self.valueFrom)",message="only a SecureString is imported from a core Secret: make the type SecureString, or write value",fieldPath=".valueFrom"
// +kubebuilder:validation:XValidation:rule="self.type == 'SecureString' || !has(self.kmsKeyRef)",message="only a SecureString is encrypted under a KMSKey: make the type SecureString, or remove kmsKeyRef",fieldPath=".kmsKeyRef"
// +kubebuilder:validation:XValidation:rule="self.type != 'SecureString' || !has(self.target) || !has(self.target.configMap)",message="a SecureString is not shown in a ConfigMap, which anybody may read: use target.secret",fieldPath=".target.configMap"
// +kubebuilder:validation:XValidation:rule="!has(self.value) || bytes(self.value).size() <= (has(self.tier) && self.tier != 'Standard' ? 8192 : 4096)",message="the value is over its tier's size, 4096 bytes for Standard and 8192 for Advanced: shorten it, or set tier to Advanced or Intelligent-Tiering",fieldPath=".value"
// +kubebuilder:validation:XValidation:rule="!has(self.value) || !has(self.allowedPattern) || self.value.matches(self.allowedPattern)",message="the value does not match allowedPattern: change one of them",fieldPath=".value"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.tier) || oldSelf.tier != 'Advanced' || (has(self.tier) && self.tier != 'Standard')",message="an Advanced parameter cannot become Standard: create another Parameter",fieldPath=".tier",reason=FieldValueForbidden
type ParameterSpec struct {
	// name of the parameter in AWS Systems Manager: one name, or a path such as /prod/shop/log-level of at most 15 levels. x and /x
	// are one parameter. metadata.name when it is left out.
	// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-parameter-name-constraints.html
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=967
	// +kubebuilder:validation:XValidation:rule="self.matches('^(/?[a-zA-Z0-9_.-]+|(/[a-zA-Z0-9_.-]+)+)$')",message="a name has letters, digits and . _ -, or is a path that begins with a slash, for example /prod/shop/log-level"
	// +kubebuilder:validation:XValidation:rule="self.split('/').size() <= 16",message="a path has at most 15 levels: shorten it"
	// +kubebuilder:validation:XValidation:rule="!self.lowerAscii().matches('^/?(aws|ssm)')",message="names that begin with aws or ssm are AWS's own: choose another name"
	Name string `json:"name,omitempty"`

	// type: String, StringList or SecureString.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="type cannot be changed: create another Parameter",reason=FieldValueForbidden
	Type ParameterType `json:"type"`

	// value in plain text, of a String or StringList. Whoever can read this object can read it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8192
	// +kubebuilder:validation:XValidation:rule="!self.contains('{{')",message="a value cannot refer to another parameter: take {{ out of it"
	Value string `json:"value,omitempty"`

	// generate makes the value of a SecureString: once, and again when strongroom.dev/rotate asks for it.
	// +optional
	Generate *SecretGenerator `json:"generate,omitempty"`

	// valueFrom imports the value of a SecureString.
	// +optional
	ValueFrom *SecretValueSource `json:"valueFrom,omitempty"`

	// tier: Standard (4 KiB), Advanced (8 KiB), or Intelligent-Tiering, which is Advanced if the value needs it. Standard when it is
	// left out.
	// +optional
	Tier ParameterTier `json:"tier,omitempty"`

	// allowedPattern is a regular expression (RE2) that each new value must match.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	AllowedPattern string `json:"allowedPattern,omitempty"`

	// dataType of the value: text, which is also what it is when it is left out.
	// +optional
	// +kubebuilder:validation:Enum=text
	DataType string `json:"dataType,omitempty"`

	// description of the parameter, for people.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Description string `json:"description,omitempty"`

	// kmsKeyRef names the KMSKey that encrypts a SecureString. When it is left out, the account's own key alias/aws/ssm is used, and
	// made when it does not exist.
	// +optional
	KMSKeyRef *LocalReference `json:"kmsKeyRef,omitempty"`

	// tags of the parameter, which policies can ask for (aws:ResourceTag/KEY).
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=50
	Tags []Tag `json:"tags,omitempty"`

	// region of the parameter, as it is in the ARN: the AWS API shows it to requests for this region alone. The operator's own
	// region when it is left out.
	// +optional
	// +kubebuilder:validation:MinLength=6
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]{2,4}(-[a-z]+)+-[0-9]+$')",message="a region is written as AWS does, for example us-east-1"
	Region string `json:"region,omitempty"`

	// target is the ConfigMap or core Secret that shows the value to workloads. Without it none is written.
	// +optional
	Target *ParameterTarget `json:"target,omitempty"`

	// deletion says how long a deleted parameter can be had back.
	// +optional
	Deletion *SecretDeletion `json:"deletion,omitempty"`

	// suspend holds everything: no new version, no projection, no healing.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// ParameterTarget is where a parameter's value is shown.
// +kubebuilder:validation:ExactlyOneOf=configMap;secret
type ParameterTarget struct {
	// configMap shows a String or StringList.
	// +optional
	ConfigMap *ParameterTargetKey `json:"configMap,omitempty"`
	// secret, a core Secret, shows a parameter of any type.
	// +optional
	Secret *ParameterTargetKey `json:"secret,omitempty"`
	// restart lists the workloads to restart when the value changes.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Restart []RestartTarget `json:"restart,omitempty"`
}

// ParameterTargetKey is one key of a ConfigMap or core Secret.
type ParameterTargetKey struct {
	// name of the ConfigMap or core Secret. metadata.name when it is left out.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="name is a DNS name: lower-case letters, digits, dashes and dots, for example shop-db"
	Name string `json:"name,omitempty"`
	// key of its data. "value" when it is left out.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key,omitempty"`
	// creationPolicy: Owner, Merge or Adopt. Owner when it is left out. With Merge, several parameters share one target.
	// +optional
	CreationPolicy CreationPolicy `json:"creationPolicy,omitempty"`
}

// ParameterVersion is one version of a parameter. Its value is in an Envelope.
type ParameterVersion struct {
	// version number: 1 for the first version, then one more each.
	// +required
	// +kubebuilder:validation:Minimum=1
	Version int64 `json:"version"`
	// labels of the version. A label is on one version.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=100
	Labels []string `json:"labels,omitempty"`
	// createdTime of the version.
	// +required
	CreatedTime metav1.Time `json:"createdTime"`
}

// ParameterProjection is what was last written for workloads.
type ParameterProjection struct {
	// kind of the target: ConfigMap or Secret.
	// +required
	// +kubebuilder:validation:Enum=ConfigMap;Secret
	Kind string `json:"kind"`
	// name of the target.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// key of its data that this object wrote.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`
	// digest of the value under a key of the installation's own.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Digest string `json:"digest"`
}

// ParameterStatus is what is known of the parameter.
type ParameterStatus struct {
	// observedGeneration is the generation that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready always; Reconciling and Stalled while true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// arn of the parameter.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	ARN string `json:"arn,omitempty"`

	// version that is the latest.
	// +optional
	Version int64 `json:"version,omitempty"`

	// tier that the latest version is in: Standard or Advanced.
	// +optional
	Tier ParameterTier `json:"tier,omitempty"`

	// versions, oldest first, at most 100. This list is the parameter's index: writing it is what commits a version. It can be a
	// little longer for as long as old versions cannot go because each has a label.
	// +optional
	// +listType=map
	// +listMapKey=version
	// +kubebuilder:validation:MaxItems=128
	Versions []ParameterVersion `json:"versions,omitempty"`

	// lastModifiedTime of the parameter: when its latest version was made.
	// +optional
	LastModifiedTime *metav1.Time `json:"lastModifiedTime,omitempty"`

	// importedFrom is the source of the latest version's value, as NAME/KEY of a core Secret; empty if it was not imported.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	ImportedFrom string `json:"importedFrom,omitempty"`

	// projection that was last written.
	// +optional
	Projection *ParameterProjection `json:"projection,omitempty"`

	// lastHandledReconcileAt echoes the annotation strongroom.dev/reconcile.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`

	// lastHandledRotateAt echoes the annotation strongroom.dev/rotate.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LastHandledRotateAt string `json:"lastHandledRotateAt,omitempty"`
}

// Parameter is a parameter as in AWS Systems Manager's Parameter Store: configuration or a secret under a hierarchical name, with
// versions and labels, shown to workloads as a key of a ConfigMap or core Secret.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=parameters,singular=parameter,shortName=ssmp,categories=strongroom
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Version",type=integer,JSONPath=`.status.version`
// +kubebuilder:printcolumn:name="Tier",type=string,JSONPath=`.status.tier`,priority=1
// +kubebuilder:printcolumn:name="Key",type=string,JSONPath=`.spec.kmsKeyRef.name`,priority=1
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.status.projection.name`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="has(self.spec.name) || !self.metadata.name.matches('^(aws|ssm)')",message="names that begin with aws or ssm are AWS's own: set spec.name to another name",fieldPath=".spec.name"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.valueFrom) || !has(self.spec.target) || !has(self.spec.target.secret) || (has(self.spec.target.secret.name) ? self.spec.target.secret.name : self.metadata.name) != self.spec.valueFrom.secretKeyRef.name",message="the target is the core Secret that is imported, so it would write over its own source: name another target",fieldPath=".spec.target.secret.name"
type Parameter struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the parameter that the user wants.
	// +required
	Spec ParameterSpec `json:"spec"`
	// status is what is known of the parameter.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1,"conditions":{{"type":"Ready","status":"Unknown","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"},{"type":"Reconciling","status":"True","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"}}}
	Status ParameterStatus `json:"status,omitzero"`
}

// ParameterList is a list of Parameters.
// +kubebuilder:object:root=true
type ParameterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Parameter `json:"items"`
}

// GetConditions returns the conditions.
func (p *Parameter) GetConditions() []metav1.Condition { return p.Status.Conditions }

// SetConditions replaces the conditions.
func (p *Parameter) SetConditions(conditions []metav1.Condition) { p.Status.Conditions = conditions }

// TargetName is the name of the core Secret to write, empty if there is none: the target may be a ConfigMap.
func (p *Parameter) TargetName() string {
	switch t := p.Spec.Target; {
	case t == nil || t.Secret == nil || t.ConfigMap != nil:
		return ""
	case t.Secret.Name != "":
		return t.Secret.Name
	}
	return p.Name
}

// FollowedSource is the name of the core Secret that is followed, empty if none is.
func (p *Parameter) FollowedSource() string { return p.Spec.ValueFrom.followed() }

// AWSName is the parameter's name in AWS Systems Manager: spec.name, or else metadata.name.
func (p *Parameter) AWSName() string {
	if p.Spec.Name != "" {
		return p.Spec.Name
	}
	return p.Name
}

// CanonicalName is AWSName without the slash at its beginning, since x and /x are one parameter.
func (p *Parameter) CanonicalName() string { return strings.TrimPrefix(p.AWSName(), "/") }
