package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// CreationPolicy says how a target that may already exist is treated.
// +kubebuilder:validation:Enum=Owner;Merge;Adopt
type CreationPolicy string

// The creation policies.
const (
	// CreationPolicyOwner makes the target and deletes it with this object. A target that somebody else made is a
	// Conflict.
	CreationPolicyOwner CreationPolicy = "Owner"
	// CreationPolicyMerge writes its keys into a target that somebody else made and keeps.
	CreationPolicyMerge CreationPolicy = "Merge"
	// CreationPolicyAdopt takes over a target that exists and has no controller, and makes it when there is none.
	CreationPolicyAdopt CreationPolicy = "Adopt"
)

// SecretTarget is a native Kubernetes Secret to write.
//
// +kubebuilder:validation:XValidation:rule="!has(self.type) || !has(self.creationPolicy) || self.creationPolicy != 'Merge'",message="the type of a target that is merged into is its owner's: remove type, or use creationPolicy Owner or Adopt",fieldPath=".type"
// +kubebuilder:validation:XValidation:rule="!has(self.metadata) || !has(self.creationPolicy) || self.creationPolicy != 'Merge'",message="labels and annotations of a target that is merged into are its owner's: remove metadata, or use creationPolicy Owner or Adopt",fieldPath=".metadata"
// +kubebuilder:validation:XValidation:rule="!has(self.sources) || has(self.template)",message="sources are seen by a template alone, as .sources.ALIAS: set template, or remove sources",fieldPath=".sources"
// +kubebuilder:validation:XValidation:rule="!has(self.immutable) || !self.immutable || !has(self.creationPolicy) || self.creationPolicy == 'Owner'",message="an immutable core Secret is made anew for each content, and none that is there can be taken: remove immutable, or use creationPolicy Owner",fieldPath=".immutable"
type SecretTarget struct {
	// name of the core Secret. metadata.name when it is left out.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="name is a DNS name: lower-case letters, digits, dashes and dots, for example shop-db"
	Name string `json:"name,omitempty"`

	// type of the core Secret. Opaque when it is left out. Kubernetes does not let it change. Types by which the control plane, or Helm, takes a core Secret for its own are
	// refused.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('bootstrap.kubernetes.io/') && !self.startsWith('helm.sh/') && self != 'kubernetes.io/service-account-token'",message="tokens of the control plane and releases of Helm are not made from secrets: use another type"
	Type string `json:"type,omitempty"`

	// metadata to set on the core Secret.
	// +optional
	Metadata *TargetMetadata `json:"metadata,omitempty"`

	// template of the data. When it is left out, the keys are those that the type has (kubernetes.io/basic-auth,
	// dockerconfigjson, ssh-auth and tls); of another type, a value that is a JSON object becomes one key a member, and
	// any other value the key "value".
	// +optional
	Template *TargetTemplate `json:"template,omitempty"`

	// sources are other Secrets and Parameters of this namespace whose values the template sees as well. When one of them changes the
	// target is written anew; while one is missing the target stays as it is.
	// +optional
	// +listType=map
	// +listMapKey=alias
	// +kubebuilder:validation:MaxItems=16
	Sources []TargetSource `json:"sources,omitempty"`

	// creationPolicy: Owner, Merge or Adopt. Owner when it is left out.
	// +optional
	CreationPolicy CreationPolicy `json:"creationPolicy,omitempty"`

	// immutable has each content written into an immutable core Secret of its own, of the name that is wanted and a suffix:
	// status.projection.name. The workloads of restart are switched to it, from the name that is wanted or a former one, which restarts
	// them. Former ones go when no pod names them any more. Kubernetes lets nobody change the data of an immutable core Secret.
	// https://kubernetes.io/docs/concepts/configuration/secret/#secret-immutable
	// +optional
	Immutable bool `json:"immutable,omitempty"`

	// restart lists the workloads to restart when the data changes.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Restart []RestartTarget `json:"restart,omitempty"`
}

// TargetMetadata are labels and annotations of a target. Those that others set stay. Keys of kubernetes.io (but for app.kubernetes.io), k8s.io and strongroom.dev
// are refused: they mean something to the control plane.
// +kubebuilder:validation:MinProperties=1
type TargetMetadata struct {
	// labels of the core Secret.
	// +optional
	// +mapType=granular
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.size() <= 317 && k.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$'))",message="a label's key is a name of at most 63 letters, digits, dashes, underscores and dots, after a DNS name and a slash if it has one"
	// +kubebuilder:validation:XValidation:rule="self.all(k, (!k.contains('/') || k.startsWith('app.kubernetes.io/') || !k.matches('^([^/]+[.])?(kubernetes[.]io|k8s[.]io|strongroom[.]dev)/')))",message="labels of kubernetes.io, k8s.io and strongroom.dev are not for targets; those of app.kubernetes.io are"
	Labels map[string]LabelValue `json:"labels,omitempty"`
	// annotations of the core Secret.
	// +optional
	// +mapType=granular
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.size() <= 317 && k.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$'))",message="an annotation's key is a name of at most 63 letters, digits, dashes, underscores and dots, after a DNS name and a slash if it has one"
	// +kubebuilder:validation:XValidation:rule="self.all(k, (!k.contains('/') || k.startsWith('app.kubernetes.io/') || !k.matches('^([^/]+[.])?(kubernetes[.]io|k8s[.]io|strongroom[.]dev)/')))",message="annotations of kubernetes.io, k8s.io and strongroom.dev are not for targets; those of app.kubernetes.io are"
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`
}

// LabelValue is the value of a label.
// https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^([A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?)?$`
type LabelValue string

// AnnotationValue is the value of an annotation.
// +kubebuilder:validation:MaxLength=1024
type AnnotationValue string

// TargetTemplate shapes the data of a target.
type TargetTemplate struct {
	// data maps each key of the core Secret to a Go text/template. A template sees .current and .previous, the two
	// newest values as text, the members of a JSON object by their names, and in .sources what target.sources names.
	// +required
	// +mapType=granular
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.size() <= 253 && k.matches('^[-._a-zA-Z0-9]+$'))",message="a key of data has letters, digits, dashes, underscores and dots, at most 253"
	// +kubebuilder:validation:XValidation:rule="self.all(k, self[k].size() <= 16384)",message="a template has at most 16384 characters"
	Data map[string]string `json:"data"`
}

// TargetSource is another Secret or Parameter of the same namespace whose value a template sees.
// +kubebuilder:validation:ExactlyOneOf=secretRef;parameterRef
type TargetSource struct {
	// alias by which the template sees it: .sources.ALIAS.current and .sources.ALIAS.previous are its two newest values as text, and
	// the members of a JSON object are seen by their names.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-zA-Z_][a-zA-Z0-9_]*$`
	Alias string `json:"alias"`
	// secretRef names a Secret of this API group.
	// +optional
	SecretRef *LocalReference `json:"secretRef,omitempty"`
	// parameterRef names a Parameter.
	// +optional
	ParameterRef *LocalReference `json:"parameterRef,omitempty"`
}

// RestartKind is a kind of workload that can be restarted.
// +kubebuilder:validation:Enum=Deployment;StatefulSet;DaemonSet;Rollout
type RestartKind string

// The kinds of workloads.
const (
	// RestartDeployment is apps/v1 Deployment.
	RestartDeployment RestartKind = "Deployment"
	// RestartStatefulSet is apps/v1 StatefulSet.
	RestartStatefulSet RestartKind = "StatefulSet"
	// RestartDaemonSet is apps/v1 DaemonSet.
	RestartDaemonSet RestartKind = "DaemonSet"
	// RestartRollout is argoproj.io/v1alpha1 Rollout, of Argo Rollouts.
	RestartRollout RestartKind = "Rollout"
)

// RestartTarget names workloads of the same namespace, by name or by labels.
// +kubebuilder:validation:ExactlyOneOf=name;selector
type RestartTarget struct {
	// kind of the workload: Deployment, StatefulSet, DaemonSet, or Rollout of Argo Rollouts.
	// +required
	Kind RestartKind `json:"kind"`
	// name of the workload.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="name is a DNS name: lower-case letters, digits, dashes and dots, for example shop"
	Name string `json:"name,omitempty"`
	// selector of the workloads' own labels. It must select by something: an empty one would be all of the namespace.
	// +optional
	// +kubebuilder:validation:XValidation:rule="(has(self.matchLabels) && self.matchLabels.size() > 0) || (has(self.matchExpressions) && self.matchExpressions.size() > 0)",message="an empty selector would restart every workload of the namespace: select by labels, or use name"
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// ProjectionStatus is what was last written for workloads.
type ProjectionStatus struct {
	// name of the core Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// keys of its data that this object wrote.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Keys []string `json:"keys,omitempty"`
	// digest of the data under a key of the installation's own. Without that key it tells nothing about the data.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Digest string `json:"digest"`
}

// SecretProjectionStatus is what was last written for workloads of a Secret.
type SecretProjectionStatus struct {
	ProjectionStatus `json:",inline"`

	// immutable tells that it is an immutable core Secret.
	// +optional
	Immutable bool `json:"immutable,omitempty"`
	// retained are the core Secrets that it took the place of and that are still there: each goes ten minutes after that at the soonest,
	// and not while a pod of the namespace, or what makes pods, names it.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Retained []RetainedSecret `json:"retained,omitempty"`
}

// TargetParameter is what a target shows of a Parameter that is one of its sources.
type TargetParameter struct {
	// alias of the source.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Alias string `json:"alias"`
	// name of the Parameter.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// expireTime of it, if it has one.
	// +optional
	ExpireTime *metav1.Time `json:"expireTime,omitempty"`
	// keys of the target's data that show something of it.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Keys []string `json:"keys,omitempty"`
}

// RetainedSecret is a core Secret that another has taken the place of.
type RetainedSecret struct {
	// name of the core Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// since is when the other took its place.
	// +required
	Since metav1.Time `json:"since"`
}
