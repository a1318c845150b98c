package v1alpha1

// ReplicaRegion is a region that a secret is replicated to. Its replica there is a Secret of its own, with the same name in AWS, the same
// versions and stages, and an ARN that differs by the region alone.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ReplicaRegionType.html
type ReplicaRegion struct {
	// region to replicate to: one that the operator serves (--regions), and not the secret's own.
	// +required
	// +kubebuilder:validation:MinLength=6
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]{2,4}(-[a-z]+)+-[0-9]+$')",message="a region is written as AWS does, for example us-east-1"
	Region string `json:"region"`

	// kmsKeyRef names the KMSKey that encrypts the replica. When it is left out, the account's own key alias/aws/secretsmanager is used.
	// +optional
	KMSKeyRef *LocalReference `json:"kmsKeyRef,omitempty"`

	// forceOverwriteReplicaSecret lets the replica take the place of a secret that has the name in that region, which is then deleted
	// with its recovery window. Without it replication to that region fails. A secret that is replicated itself, or was promoted from a
	// replica of this one, is never overwritten.
	// +optional
	ForceOverwriteReplicaSecret bool `json:"forceOverwriteReplicaSecret,omitempty"`
}

// PrimarySecret names the Secret that a replica is of.
type PrimarySecret struct {
	// name of the primary's object, in the same namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="name is a DNS name: lower-case letters, digits, dashes and dots, for example shop-db"
	Name string `json:"name"`

	// region of the primary.
	// +required
	// +kubebuilder:validation:MinLength=6
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]{2,4}(-[a-z]+)+-[0-9]+$')",message="a region is written as AWS does, for example us-east-1"
	Region string `json:"region"`
}

// ReplicationState is how far a replica is.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ReplicationStatusType.html
// +kubebuilder:validation:Enum=InSync;InProgress;Failed
type ReplicationState string

// The states of replicas.
const (
	// ReplicationInSync: the replica has what its primary has; a new version reaches it within seconds.
	ReplicationInSync ReplicationState = "InSync"
	// ReplicationInProgress: the replica is being made.
	ReplicationInProgress ReplicationState = "InProgress"
	// ReplicationFailed: it could not be made, or a version could not be brought to it. It is tried again.
	ReplicationFailed ReplicationState = "Failed"
)

// ReplicationStatus is what became of one region of spec.replicaRegions.
type ReplicationStatus struct {
	// region of the replica.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	Region string `json:"region"`
	// secretName is the name of the replica's object, empty as long as there is none.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName,omitempty"`
	// state: InSync, InProgress or Failed.
	// +required
	State ReplicationState `json:"state"`
	// message says why it is Failed.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}
