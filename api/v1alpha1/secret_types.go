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
// +kubebuilder:validation:XValidation:rule="!has(self.rotation) || has(self.generate) || (!has(self.valueFrom) && (has(self.rotation.postgres) || has(self.rotation.mysql) || has(self.rotation.redis) || has(self.rotation.mongodb) || has(self.rotation.sqlserver) || has(self.rotation.function) || has(self.rotation.job)))",message="only a value that Strongroom makes can be rotated: remove rotation, use generate, or name a rotator such as rotation.postgres",fieldPath=".rotation"
// +kubebuilder:validation:XValidation:rule="!has(self.rotation) || !(has(self.rotation.postgres) || has(self.rotation.mysql) || has(self.rotation.redis) || has(self.rotation.mongodb) || has(self.rotation.sqlserver)) || !has(self.generate) || has(self.generate.json)",message="a database's credential is a JSON object: use generate.json",fieldPath=".generate"
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

	// rotationTest is the last test of the rotator that spec.rotation names.
	// +optional
	RotationTest *RotationTestStatus `json:"rotationTest,omitempty"`

	// importedFrom is the source of the current version's value: NAME/KEY of a core Secret, or a digest of the sealed value; empty if it
	// was generated.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	ImportedFrom string `json:"importedFrom,omitempty"`

	// resealed is spec.sealed anew, for the newest material of a key, while the annotation strongroom.dev/reseal asks for it.
	// +optional
	Resealed *ResealedStatus `json:"resealed,omitempty"`

	// replication is what became of the regions of spec.replicaRegions.
	// +optional
	// +listType=map
	// +listMapKey=region
	// +kubebuilder:validation:MaxItems=32
	Replication []ReplicationStatus `json:"replication,omitempty"`

	// projection that was last written.
	// +optional
	Projection *SecretProjectionStatus `json:"projection,omitempty"`

	// targetParameters are the Parameters among target.sources, and what the projection shows of each: when one has expired these keys are taken out of it.
	// +optional
	// +listType=map
	// +listMapKey=alias
	// +kubebuilder:validation:MaxItems=16
	TargetParameters []TargetParameter `json:"targetParameters,omitempty"`

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

// SealedSource is what importedFrom begins with if the value was sealed. A digest of the text follows.
const SealedSource = "sealed/"

// ResealedStatus is a sealed value that was sealed anew: for the same account, region and name, so that it is as public as the former one.
type ResealedStatus struct {
	// source is the sealed value that it was made of, by its digest, as in importedFrom.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Source string `json:"source,omitempty"`
	// key is the KMSKey that it is sealed for, or was to be.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Key string `json:"key,omitempty"`
	// sealed is the text for spec.sealed. It is left out if it could not be made.
	// +optional
	// +kubebuilder:validation:MaxLength=98304
	Sealed string `json:"sealed,omitempty"`
	// digest of sealed. It outlives sealed and the annotation, so that the text is known when it comes in spec: it is the value that was
	// imported from source already.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Digest string `json:"digest,omitempty"`
	// message says why it could not be made.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
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
