package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SecretSpec is the secret that a user wants. It never holds a plaintext. With none of generate, valueFrom and sealed the value is
// put through the API of AWS Secrets Manager.
//
// +kubebuilder:validation:AtMostOneOf=generate;valueFrom;sealed;replicaOf
// +kubebuilder:validation:XValidation:rule="has(self.name) == has(oldSelf.name) && (!has(self.name) || self.name == oldSelf.name)",message="name cannot be changed: it is part of the ARN; create another Secret",fieldPath=".name",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="has(self.region) == has(oldSelf.region) && (!has(self.region) || self.region == oldSelf.region)",message="region cannot be changed: it is part of the ARN; create another Secret",fieldPath=".region",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="!has(self.rotation) || has(self.generate) || (!has(self.valueFrom) && (has(self.rotation.postgres) || has(self.rotation.mysql) || has(self.rotation.redis) || has(self.rotation.function) || has(self.rotation.job)))",message="only a value that Strongroom makes can be rotated: remove rotation, use generate, or name a rotator such as rotation.postgres",fieldPath=".rotation"
// +kubebuilder:validation:XValidation:rule="!has(self.rotation) || !(has(self.rotation.postgres) || has(self.rotation.mysql) || has(self.rotation.redis)) || !has(self.generate) || has(self.generate.json)",message="a database's credential is a JSON object: use generate.json",fieldPath=".generate"
// +kubebuilder:validation:XValidation:rule="!has(self.rotation) || !has(self.rotation.function) || !has(self.generate)",message="a rotation function makes the values itself: remove generate, and put the first one with PutSecretValue",fieldPath=".generate"
// +kubebuilder:validation:XValidation:rule="!has(self.rotation) || !has(self.rotation.job) || !has(self.generate)",message="a rotation job makes the values itself: remove generate, and put the first one with PutSecretValue",fieldPath=".generate"
// +kubebuilder:validation:XValidation:rule="!has(self.replicaOf) || (has(oldSelf.replicaOf) && self.replicaOf == oldSelf.replicaOf)",message="a secret does not become a replica later, and has one primary for good: create another Secret, or remove replicaOf to promote this one to a secret of its own",fieldPath=".replicaOf",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="!has(self.replicaOf) || !(has(self.rotation) || has(self.replicaRegions))",message="a replica is rotated and replicated at its primary: remove rotation and replicaRegions",fieldPath=".replicaOf"
// +kubebuilder:validation:XValidation:rule="!has(self.replicaOf) || !has(self.region) || self.region != self.replicaOf.region",message="a replica is in another region than its primary",fieldPath=".replicaOf.region"
// +kubebuilder:validation:XValidation:rule="!has(self.replicaRegions) || !has(self.region) || !self.replicaRegions.exists(r, r.region == self.region)",message="a secret is replicated to other regions than its own: take its region out",fieldPath=".replicaRegions"
type SecretSpec struct {
	// name of the secret in AWS Secrets Manager. metadata.name when it is left out.
	// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9/_+=.@-]+$`
	Name string `json:"name,omitempty"`

	// region of the secret, as it is in the ARN: the AWS API shows it to requests for this region alone. The operator's own
	// region when it is left out.
	// +optional
	// +kubebuilder:validation:MinLength=6
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]{2,4}(-[a-z]+)+-[0-9]+$')",message="a region is written as AWS does, for example us-east-1"
	Region string `json:"region,omitempty"`

	// description of the secret, for people.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Description string `json:"description,omitempty"`

	// kmsKeyRef names the KMSKey that encrypts the secret. When it is left out, the account's own key
	// alias/aws/secretsmanager is used, and made when it does not exist.
	// +optional
	KMSKeyRef *LocalReference `json:"kmsKeyRef,omitempty"`

	// generate makes the value: once, and again at each rotation.
	// +optional
	Generate *SecretGenerator `json:"generate,omitempty"`

	// valueFrom imports the value from elsewhere.
	// +optional
	ValueFrom *SecretValueSource `json:"valueFrom,omitempty"`

	// sealed is the value, encrypted by strongroom seal for this secret's account, region and name: it can be kept in Git. Another sealed
	// value is a new version.
	// +optional
	// +kubebuilder:validation:MaxLength=98304
	// +kubebuilder:validation:Pattern=`^srs1[.][-_a-zA-Z0-9]+$`
	Sealed string `json:"sealed,omitempty"`

	// rotation on a schedule.
	// +optional
	Rotation *SecretRotation `json:"rotation,omitempty"`

	// replicaRegions are the regions that the secret is replicated to.
	// https://docs.aws.amazon.com/secretsmanager/latest/userguide/replicate-secrets.html
	// +optional
	// +listType=map
	// +listMapKey=region
	// +kubebuilder:validation:MaxItems=32
	ReplicaRegions []ReplicaRegion `json:"replicaRegions,omitempty"`

	// replicaOf is the Secret that this one is a replica of. Strongroom makes replicas; one that is applied as well, for a target of its own for
	// example, is taken up as soon as its primary lists the region. Its versions, description, tags and resource policy are its primary's.
	// Removing replicaOf promotes it to a secret of its own, which keeps its versions.
	// +optional
	ReplicaOf *PrimarySecret `json:"replicaOf,omitempty"`

	// target is the core Secret that shows the value to workloads. Without it none is written.
	// +optional
	Target *SecretTarget `json:"target,omitempty"`

	// deletion says how long a deleted secret can be had back.
	// +optional
	Deletion *SecretDeletion `json:"deletion,omitempty"`

	// tags of the secret, which policies can ask for (aws:ResourceTag/KEY).
	// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Tag.html
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=50
	Tags []Tag `json:"tags,omitempty"`

	// resourcePolicy says who may do what with the secret by the AWS API, in AWS's JSON language: users and roles of other accounts
	// too, whose own policies must allow it as well. It has at most 20,480 characters. Without it the account's IAM policies alone
	// decide. By one that cannot be understood nobody may do anything, since it may hold a Deny.
	// https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_resource-policies.html
	// +optional
	ResourcePolicy *PolicyDocument `json:"resourcePolicy,omitempty"`

	// suspend holds everything: no rotation, no import, no projection, no healing.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// SecretGenerator makes a value. Exactly one member is set.
// +kubebuilder:validation:ExactlyOneOf=password;json;bytes;uuid
type SecretGenerator struct {
	// password, as AWS Secrets Manager's GetRandomPassword makes it. Write {} for its defaults.
	// +optional
	Password *PasswordGenerator `json:"password,omitempty"`
	// json document with one generated member.
	// +optional
	JSON *JSONGenerator `json:"json,omitempty"`
	// bytes at random, as text.
	// +optional
	Bytes *BytesGenerator `json:"bytes,omitempty"`
	// uuid of version 4 (RFC 9562). Write {}.
	// +optional
	UUID *UUIDGenerator `json:"uuid,omitempty"`
}

// PasswordGenerator has the options of AWS Secrets Manager's GetRandomPassword.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetRandomPassword.html
//
// +kubebuilder:validation:XValidation:rule="!(has(self.excludeLowercase) && self.excludeLowercase && has(self.excludeUppercase) && self.excludeUppercase && has(self.excludeNumbers) && self.excludeNumbers && has(self.excludePunctuation) && self.excludePunctuation && !(has(self.includeSpace) && self.includeSpace))",message="every type of character is excluded: leave at least one in",fieldPath=".excludePunctuation"
// +kubebuilder:validation:XValidation:rule="!has(self.length) || (has(self.requireEachIncludedType) && !self.requireEachIncludedType) || self.length >= (has(self.excludeLowercase) && self.excludeLowercase ? 0 : 1) + (has(self.excludeUppercase) && self.excludeUppercase ? 0 : 1) + (has(self.excludeNumbers) && self.excludeNumbers ? 0 : 1) + (has(self.excludePunctuation) && self.excludePunctuation ? 0 : 1) + (has(self.includeSpace) && self.includeSpace ? 1 : 0)",message="a password that holds each type of character is at least as long as there are types: make it longer, exclude a type, or set requireEachIncludedType to false",fieldPath=".length"
type PasswordGenerator struct {
	// length in characters, 1 to 4096. 32 when it is left out.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4096
	Length int64 `json:"length,omitempty"`
	// excludeCharacters are characters that the password must not hold.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	ExcludeCharacters string `json:"excludeCharacters,omitempty"`
	// excludeNumbers leaves out 0 to 9.
	// +optional
	ExcludeNumbers bool `json:"excludeNumbers,omitempty"`
	// excludePunctuation leaves out the 32 punctuation characters of ASCII.
	// +optional
	ExcludePunctuation bool `json:"excludePunctuation,omitempty"`
	// excludeUppercase leaves out A to Z.
	// +optional
	ExcludeUppercase bool `json:"excludeUppercase,omitempty"`
	// excludeLowercase leaves out a to z.
	// +optional
	ExcludeLowercase bool `json:"excludeLowercase,omitempty"`
	// includeSpace lets the password hold the space.
	// +optional
	IncludeSpace bool `json:"includeSpace,omitempty"`
	// requireEachIncludedType puts at least one character of each type that is not excluded into the password.
	// True when it is left out.
	// +optional
	RequireEachIncludedType *bool `json:"requireEachIncludedType,omitempty"`
}

// JSONGenerator makes a JSON document as AWS's rotation functions expect it: fixed members and one generated one.
type JSONGenerator struct {
	// template is a JSON object with the members that stay. It is stored in the clear in this object: no
	// member of it may be secret.
	// +required
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=16384
	// +kubebuilder:validation:XValidation:rule="self.matches('^[[:space:]]*[{]') && self.matches('[}][[:space:]]*$')",message="template is a JSON object: write {} or one with the members that stay"
	Template string `json:"template"`
	// key is the member that is generated.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Key string `json:"key"`
	// password says how that member is made. The defaults of GetRandomPassword when it is left out.
	// +optional
	Password *PasswordGenerator `json:"password,omitempty"`
}

// BytesEncoding is how random bytes are written as text.
// +kubebuilder:validation:Enum=Hex;Base64;Base64URL
type BytesEncoding string

// The encodings of random bytes (RFC 4648).
const (
	// BytesHex is lower-case hexadecimal.
	BytesHex BytesEncoding = "Hex"
	// BytesBase64 is standard base64 with padding.
	BytesBase64 BytesEncoding = "Base64"
	// BytesBase64URL is URL-safe base64 without padding.
	BytesBase64URL BytesEncoding = "Base64URL"
)

// BytesGenerator makes random bytes.
type BytesGenerator struct {
	// length in bytes before they are encoded, 1 to 4096. 32 when it is left out.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4096
	Length int32 `json:"length,omitempty"`
	// encoding as text: Hex, Base64 or Base64URL. Base64 when it is left out.
	// +optional
	Encoding BytesEncoding `json:"encoding,omitempty"`
}

// UUIDGenerator makes a random UUID. It has no options.
type UUIDGenerator struct{}

// ImportPolicy says how often a value is imported.
// +kubebuilder:validation:Enum=Once;Follow
type ImportPolicy string

// The import policies.
const (
	// ImportOnce takes the value once; the source may then be deleted.
	ImportOnce ImportPolicy = "Once"
	// ImportFollow makes a new version whenever the source's value changes.
	ImportFollow ImportPolicy = "Follow"
)

// SecretValueSource is where a value is imported from.
type SecretValueSource struct {
	// secretKeyRef names a key of a core Secret in the same namespace.
	// +required
	SecretKeyRef SecretKeyReference `json:"secretKeyRef"`
	// policy: Once or Follow. Once when it is left out. With Follow, label the source
	// strongroom.dev/managed=source to have its changes imported at once; without it they are seen within five minutes.
	// Naming another source imports its value, whatever the policy.
	// +optional
	Policy ImportPolicy `json:"policy,omitempty"`
}

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

// SecretDeletion is the recovery window of a deleted secret.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html
type SecretDeletion struct {
	// recoveryWindowInDays that a deleted secret's versions are kept, 7 to 30. 30 when it is left out. Applying
	// the same Secret again within them restores it.
	// +optional
	// +kubebuilder:validation:Minimum=7
	// +kubebuilder:validation:Maximum=30
	RecoveryWindowInDays int32 `json:"recoveryWindowInDays,omitempty"`
}

// The staging labels of AWS Secrets Manager.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html#term_version
const (
	// StageCurrent is on the version that is in use.
	StageCurrent = "AWSCURRENT"
	// StagePrevious is on the version that was in use before.
	StagePrevious = "AWSPREVIOUS"
	// StagePending is on the version that a rotation is bringing in.
	StagePending = "AWSPENDING"
)

// SecretVersion is one version of a secret. Its value is in an Envelope.
type SecretVersion struct {
	// versionId of AWS Secrets Manager: a UUID.
	// +required
	// +kubebuilder:validation:MinLength=32
	// +kubebuilder:validation:MaxLength=64
	VersionID string `json:"versionId"`
	// sequence number: 1 for the first version, then one more each.
	// +required
	// +kubebuilder:validation:Minimum=1
	Sequence int64 `json:"sequence"`
	// stages of the version. A version without one is deprecated and goes in time.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Stages []string `json:"stages,omitempty"`
	// createdTime of the version.
	// +required
	CreatedTime metav1.Time `json:"createdTime"`
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

// SecretStatus is what is known of the secret.
type SecretStatus struct {
	// observedGeneration is the generation that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready always; Reconciling and Stalled while true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// arn of the secret. Its last six characters stay when the secret is deleted and restored.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	ARN string `json:"arn,omitempty"`

	// versions, oldest first. This list is the secret's index: writing it is what commits a version.
	// +optional
	// +listType=map
	// +listMapKey=versionId
	// +kubebuilder:validation:MaxItems=200
	Versions []SecretVersion `json:"versions,omitempty"`

	// currentVersionId is the version with the stage AWSCURRENT.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	CurrentVersionID string `json:"currentVersionId,omitempty"`

	// lastChangedTime of the secret in any way: its spec, its value, its stages.
	// +optional
	LastChangedTime *metav1.Time `json:"lastChangedTime,omitempty"`

	// lastRotatedTime of the value. Making the first one counts.
	// +optional
	LastRotatedTime *metav1.Time `json:"lastRotatedTime,omitempty"`

	// nextRotationTime at which the secret will be rotated, if a schedule is set.
	// +optional
	NextRotationTime *metav1.Time `json:"nextRotationTime,omitempty"`

	// rotation that is in progress, or asked for by RotateSecret.
	// +optional
	Rotation *RotationStatus `json:"rotation,omitempty"`

	// importedFrom is the source of the current version's value: NAME/KEY of a core Secret, or a digest of the sealed value; empty if it
	// was generated.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	ImportedFrom string `json:"importedFrom,omitempty"`

	// replication is what became of the regions of spec.replicaRegions.
	// +optional
	// +listType=map
	// +listMapKey=region
	// +kubebuilder:validation:MaxItems=32
	Replication []ReplicationStatus `json:"replication,omitempty"`

	// projection that was last written.
	// +optional
	Projection *SecretProjectionStatus `json:"projection,omitempty"`

	// policyBinding is whom the secret's resource policy names.
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

// Secret is a secret as in AWS Secrets Manager: encrypted versions under staging labels, rotated on a schedule and
// shown to workloads as a native Kubernetes Secret.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=secrets,singular=secret,shortName=sms,categories=strongroom
// +kubebuilder:selectablefield:JSONPath=`.spec.kmsKeyRef.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.target.name`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.currentVersionId`
// +kubebuilder:printcolumn:name="Next rotation",type=string,JSONPath=`.status.nextRotationTime`
// +kubebuilder:printcolumn:name="Key",type=string,JSONPath=`.spec.kmsKeyRef.name`,priority=1
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.status.projection.name`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="!has(self.spec.valueFrom) || !has(self.spec.target) || !has(self.spec.valueFrom.policy) || self.spec.valueFrom.policy != 'Follow' || (has(self.spec.target.name) ? self.spec.target.name : self.metadata.name) != self.spec.valueFrom.secretKeyRef.name",message="the target is the core Secret that is followed, so each would change the other for ever: name another target, or use policy Once",fieldPath=".spec.target.name"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.target) || !has(self.spec.target.sources) || !self.spec.target.sources.exists(s, has(s.secretRef) && s.secretRef.name == self.metadata.name)",message="a template sees the secret's own values as .current and .previous: remove it from sources",fieldPath=".spec.target.sources"
type Secret struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the secret that the user wants.
	// +required
	Spec SecretSpec `json:"spec"`
	// status is what is known of the secret.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1,"conditions":{{"type":"Ready","status":"Unknown","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"},{"type":"Reconciling","status":"True","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"}}}
	Status SecretStatus `json:"status,omitzero"`
}

// SecretList is a list of Secrets.
// +kubebuilder:object:root=true
type SecretList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Secret `json:"items"`
}

// GetConditions returns the conditions.
func (s *Secret) GetConditions() []metav1.Condition { return s.Status.Conditions }

// SetConditions replaces the conditions.
func (s *Secret) SetConditions(conditions []metav1.Condition) { s.Status.Conditions = conditions }

// TargetName is the name of the core Secret to write, empty if there is none.
func (s *Secret) TargetName() string {
	switch {
	case s.Spec.Target == nil:
		return ""
	case s.Spec.Target.Name != "":
		return s.Spec.Target.Name
	}
	return s.Name
}

// TargetSources are the objects that the target is made of besides the Secret's own value.
func (s *Secret) TargetSources() []TargetSource {
	if s.Spec.Target == nil {
		return nil
	}
	return s.Spec.Target.Sources
}

// FollowedSource is the name of the core Secret that is followed, empty if none is.
func (s *Secret) FollowedSource() string { return s.Spec.ValueFrom.followed() }

// followed is the name of the core Secret if it is followed and not imported once.
func (v *SecretValueSource) followed() string {
	if v == nil || v.Policy != ImportFollow {
		return ""
	}
	return v.SecretKeyRef.Name
}

// AWSName is the secret's name in AWS Secrets Manager: spec.name, or else metadata.name.
func (s *Secret) AWSName() string {
	if s.Spec.Name != "" {
		return s.Spec.Name
	}
	return s.Name
}
