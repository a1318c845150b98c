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
// +kubebuilder:validation:AtMostOneOf=value;generate;valueFrom;sealed
// +kubebuilder:validation:XValidation:rule="has(self.name) == has(oldSelf.name) && (!has(self.name) || self.name == oldSelf.name)",message="name cannot be changed: it is part of the ARN; create another Parameter",fieldPath=".name",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="has(self.region) == has(oldSelf.region) && (!has(self.region) || self.region == oldSelf.region)",message="region cannot be changed: it is part of the ARN; create another Parameter",fieldPath=".region",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="self.type != 'SecureString' || !has(self.value)",message="a SecureString has no value in the clear: use generate, valueFrom or sealed, put it through the API, or make the type String",fieldPath=".value"
// +kubebuilder:validation:XValidation:rule="self.type == 'SecureString' || !has(self.generate)",message="only a SecureString is generated: make the type SecureString, or write value",fieldPath=".generate"
// +kubebuilder:validation:XValidation:rule="self.type == 'SecureString' || !has(self.valueFrom)",message="only a SecureString is imported from a core Secret: make the type SecureString, or write value",fieldPath=".valueFrom"
// +kubebuilder:validation:XValidation:rule="self.type == 'SecureString' || !has(self.sealed)",message="only a SecureString is sealed: make the type SecureString, or write value",fieldPath=".sealed"
// +kubebuilder:validation:XValidation:rule="self.type == 'SecureString' || !has(self.kmsKeyRef)",message="only a SecureString is encrypted under a KMSKey: make the type SecureString, or remove kmsKeyRef",fieldPath=".kmsKeyRef"
// +kubebuilder:validation:XValidation:rule="self.type != 'SecureString' || !has(self.target) || !has(self.target.configMap)",message="a SecureString is not shown in a ConfigMap, which anybody may read: use target.secret",fieldPath=".target.configMap"
// +kubebuilder:validation:XValidation:rule="!has(self.value) || bytes(self.value).size() <= (has(self.tier) && self.tier != 'Standard' ? 8192 : 4096)",message="the value is over its tier's size, 4096 bytes for Standard and 8192 for Advanced: shorten it, or set tier to Advanced or Intelligent-Tiering",fieldPath=".value"
// +kubebuilder:validation:XValidation:rule="!has(self.value) || !has(self.allowedPattern) || self.allowedPattern.contains('{') || self.value.matches(self.allowedPattern)",message="the value does not match allowedPattern: change one of them",fieldPath=".value"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.tier) || oldSelf.tier != 'Advanced' || (has(self.tier) && self.tier != 'Standard')",message="an Advanced parameter cannot become Standard: create another Parameter",fieldPath=".tier",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="!has(self.policies) || self.policies.size() == 0 || has(self.tier) && self.tier != 'Standard'",message="only an advanced parameter has policies: set tier to Advanced or Intelligent-Tiering",fieldPath=".policies"
// +kubebuilder:validation:XValidation:rule="!has(self.resourcePolicy) || has(self.tier) && self.tier != 'Standard'",message="only an advanced parameter has a resource policy: set tier to Advanced or Intelligent-Tiering",fieldPath=".resourcePolicy"
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

	// sealed is the value of a SecureString, encrypted by strongroom seal --kind Parameter for this parameter's account, region and name: it can be
	// kept in Git. Another sealed value is a new version.
	// +optional
	// +kubebuilder:validation:MaxLength=98304
	// +kubebuilder:validation:Pattern=`^srs1[.][-_a-zA-Z0-9]+$`
	Sealed string `json:"sealed,omitempty"`

	// tier: Standard (4 KiB), Advanced (8 KiB), or Intelligent-Tiering, which is Advanced if the value needs it. Standard when it is
	// left out.
	// +optional
	Tier ParameterTier `json:"tier,omitempty"`

	// allowedPattern is a regular expression (RE2) that each new value must match. Where it counts repetitions, as in a{1,9}, the controller says
	// so of a value in this manifest, and not the API server, which could be made to work for long; and they count as often as they may be:
	// some 2,500 characters and classes in all.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	AllowedPattern string `json:"allowedPattern,omitempty"`

	// policies say when the parameter is deleted, and when an event tells that it will be, or that nobody has changed it: at most 10. They are
	// of an advanced parameter. A parameter that has expired is not served and not shown; it is deleted if it was seen to wait for that time,
	// and one that an expiry in the past was given to is kept until its policy is another.
	// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-policies.html
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:XValidation:rule="self.filter(p, p.type == 'Expiration').size() <= 1",message="a parameter expires once: leave one policy of type Expiration"
	// +kubebuilder:validation:XValidation:rule="!self.exists(p, p.type == 'ExpirationNotification') || self.exists(p, p.type == 'Expiration')",message="an ExpirationNotification is about an Expiration: add a policy of that type"
	Policies []ParameterPolicy `json:"policies,omitempty"`

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

	// resourcePolicy says who may do what with the parameter by the AWS API, in AWS's JSON language: users and roles of other accounts too, whose
	// own policies must allow it as well, and who read it by its ARN. It has at most 4,096 characters, and is of an advanced parameter. Without it
	// the account's IAM policies alone decide. By one that cannot be understood nobody may do anything, since it may hold a Deny.
	// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-shared-parameters.html
	// +optional
	ResourcePolicy *PolicyDocument `json:"resourcePolicy,omitempty"`

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

// ParameterPolicyType is AWS's type of a parameter policy.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-policies.html
// +kubebuilder:validation:Enum=Expiration;ExpirationNotification;NoChangeNotification
type ParameterPolicyType string

// ParameterPolicyUnit is what a notification counts in.
// +kubebuilder:validation:Enum=Days;Hours
type ParameterPolicyUnit string

// ParameterPolicy is one policy of a parameter.
// +kubebuilder:validation:XValidation:rule="(self.type == 'Expiration') == has(self.timestamp)",message="an Expiration has a timestamp, and no other policy has one",fieldPath=".timestamp"
// +kubebuilder:validation:XValidation:rule="(self.type == 'ExpirationNotification') == has(self.before)",message="an ExpirationNotification says how long before, and no other policy does",fieldPath=".before"
// +kubebuilder:validation:XValidation:rule="(self.type == 'NoChangeNotification') == has(self.after)",message="a NoChangeNotification says how long after the last change, and no other policy does",fieldPath=".after"
// +kubebuilder:validation:XValidation:rule="(self.type != 'Expiration') == has(self.unit)",message="a notification has a unit, Days or Hours, and an Expiration has none",fieldPath=".unit"
type ParameterPolicy struct {
	// type: Expiration deletes the parameter at timestamp; ExpirationNotification tells of it some time before; NoChangeNotification tells that
	// the parameter has had no new version for some time.
	// +required
	Type ParameterPolicyType `json:"type"`
	// timestamp of an Expiration, as in RFC 3339, for example 2027-03-31T22:00:00Z.
	// +optional
	// +kubebuilder:validation:MinLength=20
	// +kubebuilder:validation:MaxLength=35
	// +kubebuilder:validation:Pattern=`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[-+][0-9]{2}:[0-9]{2})$`
	// +kubebuilder:validation:Format=date-time
	Timestamp string `json:"timestamp,omitempty"`
	// before is how many days or hours ahead of the expiry an ExpirationNotification comes.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=99999
	Before int32 `json:"before,omitempty"`
	// after is how many days or hours after the latest version a NoChangeNotification comes.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=99999
	After int32 `json:"after,omitempty"`
	// unit of before and after: Days or Hours.
	// +optional
	Unit ParameterPolicyUnit `json:"unit,omitempty"`
}

// ParameterPolicyState is what has become of a policy.
type ParameterPolicyState struct {
	// type of the policy.
	// +required
	Type ParameterPolicyType `json:"type"`
	// dueTime is when it acts; left out as long as that is not known, since there is no version. It tells one policy from another that
	// took its place.
	// +optional
	DueTime *metav1.Time `json:"dueTime,omitempty"`
	// status: Pending until it is due; InProgress while the parameter is being deleted; Finished when its event was made; Failed of an expiry
	// that had passed when it was set, which deletes nothing.
	// +required
	// +kubebuilder:validation:Enum=Pending;InProgress;Finished;Failed
	Status string `json:"status"`
}

// ParameterTarget is where a parameter's value is shown.
// +kubebuilder:validation:ExactlyOneOf=configMap;secret
// +kubebuilder:validation:XValidation:rule="!has(self.configMap) || !has(self.configMap.name) || self.configMap.name != 'kube-root-ca.crt'",message="the ConfigMap kube-root-ca.crt is what pods know the API server by: name another target",fieldPath=".configMap.name"
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
	// key of its data that this object wrote; absent if it is merged into a target where somebody else has the key with the same value: it is theirs.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
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

	// conditions: Ready always; Reconciling, Stalled, Expiring and Unchanged while true.
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

	// policies are those of spec, in their order, and what has become of them.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	Policies []ParameterPolicyState `json:"policies,omitempty"`

	// lastModifiedTime of the parameter: when its latest version was made.
	// +optional
	LastModifiedTime *metav1.Time `json:"lastModifiedTime,omitempty"`

	// importedFrom is the source of the latest version's value, as NAME/KEY of a core Secret, or sealed/DIGEST of a sealed value; empty if it was not
	// imported.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	ImportedFrom string `json:"importedFrom,omitempty"`

	// projection that was last written.
	// +optional
	Projection *ParameterProjection `json:"projection,omitempty"`

	// policyBinding is whom the parameter's resource policy names.
	// +optional
	PolicyBinding *PolicyBinding `json:"policyBinding,omitempty"`

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
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.spec.policies[?(@.type=="Expiration")].timestamp`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="has(self.spec.name) || !self.metadata.name.matches('^(aws|ssm)')",message="names that begin with aws or ssm are AWS's own: set spec.name to another name",fieldPath=".spec.name"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.valueFrom) || !has(self.spec.target) || !has(self.spec.target.secret) || (has(self.spec.target.secret.name) ? self.spec.target.secret.name : self.metadata.name) != self.spec.valueFrom.secretKeyRef.name",message="the target is the core Secret that is imported, so it would write over its own source: name another target",fieldPath=".spec.target.secret.name"
// +kubebuilder:validation:XValidation:rule="self.metadata.name != 'kube-root-ca.crt' || !has(self.spec.target) || !has(self.spec.target.configMap) || has(self.spec.target.configMap.name)",message="the ConfigMap kube-root-ca.crt is what pods know the API server by: name another target",fieldPath=".spec.target.configMap"
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
