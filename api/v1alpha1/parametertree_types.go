package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ParameterKeyFormat is how the rest of a parameter's name becomes a key of data.
// +kubebuilder:validation:Enum=Dotted;UpperSnake
type ParameterKeyFormat string

// The formats of keys.
const (
	// KeyDotted has dots for slashes: /prod/shop/db/host is db.host below /prod/shop.
	KeyDotted ParameterKeyFormat = "Dotted"
	// KeyUpperSnake is the form of environment variables: capital letters, and an underscore for whatever is no letter or digit:
	// /prod/shop/db/max-size is DB_MAX_SIZE below /prod/shop.
	KeyUpperSnake ParameterKeyFormat = "UpperSnake"
)

// ParameterTreeSpec is a path of the Parameter Store that is shown to workloads as one ConfigMap or core Secret, a key a parameter. It
// reads the Parameters of its own namespace.
//
// +kubebuilder:validation:XValidation:rule="!has(self.keys) || !has(self.keys.stripPrefix) || self.keys.stripPrefix == '/' || (self.path + '/').startsWith(self.keys.stripPrefix + '/')",message="stripPrefix is the path or a beginning of it, since all names begin with the path: for example /prod for the path /prod/shop",fieldPath=".keys.stripPrefix"
// +kubebuilder:validation:XValidation:rule="!has(self.target.configMap) || !has(self.filter) || !has(self.filter.types) || !self.filter.types.exists(t, t == 'SecureString')",message="a SecureString is not shown in a ConfigMap, which anybody may read: use target.secret, or take SecureString out of the types",fieldPath=".filter.types"
type ParameterTreeSpec struct {
	// path below which the parameters are: /prod/shop has /prod/shop/log-level. / has all.
	// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=967
	// +kubebuilder:validation:XValidation:rule="self.matches('^(/|(/[a-zA-Z0-9_.-]+)+)$')",message="a path begins with a slash, ends with none, and has letters, digits and . _ - between slashes, for example /prod/shop"
	// +kubebuilder:validation:XValidation:rule="self.split('/').size() <= 15",message="a path has at most 14 levels, and what is below it one more: shorten it"
	Path string `json:"path"`

	// recursive has the parameters of all levels below the path shown. Those of the next level alone when it is left out.
	// +optional
	Recursive bool `json:"recursive,omitempty"`

	// region of the parameters, as in their ARNs. The operator's own when it is left out.
	// +optional
	// +kubebuilder:validation:MinLength=6
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]{2,4}(-[a-z]+)+-[0-9]+$')",message="a region is written as AWS does, for example us-east-1"
	Region string `json:"region,omitempty"`

	// filter says which parameters below the path are shown. All when it is left out.
	// +optional
	Filter *ParameterTreeFilter `json:"filter,omitempty"`

	// keys says how names become keys of data. Without it a key is what comes after the path, with dots for slashes.
	// +optional
	Keys *ParameterTreeKeys `json:"keys,omitempty"`

	// target is the ConfigMap or core Secret that shows the parameters. A ConfigMap shows no SecureString: one that is below the path
	// and not taken out by the filter is an error, and nothing of it is shown.
	// +required
	Target ParameterTreeTarget `json:"target"`

	// suspend holds everything: nothing is shown, and nothing is healed.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// ParameterTreeFilter chooses among the parameters below a path: those that all of its fields let through.
// +kubebuilder:validation:MinProperties=1
type ParameterTreeFilter struct {
	// types of the parameters: String, StringList, SecureString.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=3
	Types []ParameterType `json:"types,omitempty"`

	// tags that a parameter has, each with one of the values.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=10
	Tags []ParameterTagFilter `json:"tags,omitempty"`

	// label of the version that is shown, in the place of the latest one. Parameters without a version of that label are left out.
	// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-labels.html
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	Label string `json:"label,omitempty"`

	// include are patterns of which the rest of a name, after the path and a slash, matches one. * is any characters of one level, and
	// ** is any characters.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	Include []ParameterNamePattern `json:"include,omitempty"`

	// exclude are patterns of which it matches none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	Exclude []ParameterNamePattern `json:"exclude,omitempty"`
}

// ParameterNamePattern is a pattern of names below a path. It has at most 8 wildcards.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=256
// +kubebuilder:validation:Pattern=`^([a-zA-Z0-9_./-]*[*]{1,2}){0,8}[a-zA-Z0-9_./-]*$`
type ParameterNamePattern string

// ParameterTagFilter asks for a tag.
type ParameterTagFilter struct {
	// key of the tag.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Key string `json:"key"`
	// values of which the tag has one. Any when it is left out.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MaxLength=256
	Values []string `json:"values,omitempty"`
}

// ParameterTreeKeys says how names become keys of data.
type ParameterTreeKeys struct {
	// stripPrefix is the beginning of the names that is left out. The path when it is left out; / has whole names.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=967
	// +kubebuilder:validation:Pattern=`^(/|(/[a-zA-Z0-9_.-]+)+)$`
	StripPrefix string `json:"stripPrefix,omitempty"`
	// format of the rest: Dotted or UpperSnake. Dotted when it is left out.
	// +optional
	Format ParameterKeyFormat `json:"format,omitempty"`
}

// ParameterTreeTarget is the ConfigMap or core Secret to write.
// +kubebuilder:validation:ExactlyOneOf=configMap;secret
type ParameterTreeTarget struct {
	// configMap shows parameters that are no secrets.
	// +optional
	ConfigMap *ParameterTreeConfigMap `json:"configMap,omitempty"`
	// secret is a core Secret, which shows parameters of all types.
	// +optional
	Secret *ParameterTreeSecret `json:"secret,omitempty"`
	// restart lists the workloads to restart when the data changes.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Restart []RestartTarget `json:"restart,omitempty"`
}

// ParameterTreeConfigMap is a ConfigMap to write.
type ParameterTreeConfigMap struct {
	// name of the ConfigMap. metadata.name when it is left out.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="name is a DNS name: lower-case letters, digits, dashes and dots, for example shop-config"
	// +kubebuilder:validation:XValidation:rule="self != 'kube-root-ca.crt'",message="the ConfigMap kube-root-ca.crt is what pods know the API server by: name another target"
	Name string `json:"name,omitempty"`
	// creationPolicy: Owner, Merge or Adopt. Owner when it is left out.
	// +optional
	CreationPolicy CreationPolicy `json:"creationPolicy,omitempty"`
}

// ParameterTreeSecret is a core Secret to write.
//
// +kubebuilder:validation:XValidation:rule="!has(self.metadata) || !has(self.creationPolicy) || self.creationPolicy != 'Merge'",message="labels and annotations of a target that is merged into are its owner's: remove metadata, or use creationPolicy Owner or Adopt",fieldPath=".metadata"
// +kubebuilder:validation:XValidation:rule="!has(self.immutable) || !self.immutable || !has(self.creationPolicy) || self.creationPolicy == 'Owner'",message="an immutable core Secret is made anew for each content, and none that is there can be taken: remove immutable, or use creationPolicy Owner",fieldPath=".immutable"
type ParameterTreeSecret struct {
	// name of the core Secret. metadata.name when it is left out.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="name is a DNS name: lower-case letters, digits, dashes and dots, for example shop-db"
	Name string `json:"name,omitempty"`
	// metadata to set on the core Secret.
	// +optional
	Metadata *TargetMetadata `json:"metadata,omitempty"`
	// creationPolicy: Owner, Merge or Adopt. Owner when it is left out.
	// +optional
	CreationPolicy CreationPolicy `json:"creationPolicy,omitempty"`
	// immutable has each content written into an immutable core Secret of its own, of the name that is wanted and a suffix:
	// status.projection.name. The workloads of restart are switched to it. Former ones go when no pod names them any more.
	// +optional
	Immutable bool `json:"immutable,omitempty"`
}

// ParameterTreeProjection is what was last written for workloads.
type ParameterTreeProjection struct {
	SecretProjectionStatus `json:",inline"`

	// kind of the target: ConfigMap or Secret.
	// +required
	// +kubebuilder:validation:Enum=ConfigMap;Secret
	Kind string `json:"kind"`

	// generation of the tree that the keys are of. 0 when it is not known.
	// +optional
	Generation int64 `json:"generation,omitempty"`

	// shows tells of each of keys, in their order, which parameter it shows: a digest of region and name. When it is left out the keys tell alone.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MaxLength=16
	Shows []string `json:"shows,omitempty"`
}

// ParameterTreeStatus is what is known of the tree.
type ParameterTreeStatus struct {
	// observedGeneration is the generation that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready always; Reconciling and Stalled while true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// arn of all that is below the path, as policies name it.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	ARN string `json:"arn,omitempty"`

	// parameters that are shown.
	// +optional
	Parameters int32 `json:"parameters,omitempty"`

	// projection that was last written.
	// +optional
	Projection *ParameterTreeProjection `json:"projection,omitempty"`

	// lastHandledReconcileAt echoes the annotation strongroom.dev/reconcile.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
}

// ParameterTree shows the parameters below a path of the Parameter Store to workloads, as one ConfigMap or core Secret, and keeps that
// current.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=parametertrees,singular=parametertree,shortName=ssmtree,categories=strongroom
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Path",type=string,JSONPath=`.spec.path`
// +kubebuilder:printcolumn:name="Parameters",type=integer,JSONPath=`.status.parameters`
// +kubebuilder:printcolumn:name="Kind",type=string,JSONPath=`.status.projection.kind`,priority=1
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.status.projection.name`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name != 'kube-root-ca.crt' || !has(self.spec.target.configMap) || has(self.spec.target.configMap.name)",message="the ConfigMap kube-root-ca.crt is what pods know the API server by: name another target",fieldPath=".spec.target.configMap"
type ParameterTree struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the path that the user wants shown, and where.
	// +required
	Spec ParameterTreeSpec `json:"spec"`
	// status is what is known of the tree.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1,"conditions":{{"type":"Ready","status":"Unknown","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"},{"type":"Reconciling","status":"True","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"}}}
	Status ParameterTreeStatus `json:"status,omitzero"`
}

// ParameterTreeList is a list of ParameterTrees.
// +kubebuilder:object:root=true
type ParameterTreeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ParameterTree `json:"items"`
}

// GetConditions returns the conditions.
func (t *ParameterTree) GetConditions() []metav1.Condition { return t.Status.Conditions }

// SetConditions replaces the conditions.
func (t *ParameterTree) SetConditions(conditions []metav1.Condition) {
	t.Status.Conditions = conditions
}

// TargetName is the name of the core Secret to write, empty if the target is a ConfigMap.
func (t *ParameterTree) TargetName() string {
	switch s := t.Spec.Target.Secret; {
	case s == nil:
		return ""
	case s.Name != "":
		return s.Name
	}
	return t.Name
}

// ConfigMapName is the name of the ConfigMap to write, empty if the target is a core Secret.
func (t *ParameterTree) ConfigMapName() string {
	switch c := t.Spec.Target.ConfigMap; {
	case c == nil:
		return ""
	case c.Name != "":
		return c.Name
	}
	return t.Name
}

// FollowedSource is empty: a tree has no value of its own.
func (t *ParameterTree) FollowedSource() string { return "" }
