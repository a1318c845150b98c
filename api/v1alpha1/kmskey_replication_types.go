package v1alpha1

// KeyReplicaRegion is a region that a multi-Region key may be replicated to. Its replica there is a KMSKey of its own, with the same id and key
// material, and a policy, aliases, tags and state of its own.
// https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-replicate.html
type KeyReplicaRegion struct {
	// region that may have a replica, other than the key's own.
	// +required
	// +kubebuilder:validation:MinLength=6
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]{2,4}(-[a-z]+)+-[0-9]+$')",message="a region is written as AWS does, for example us-east-1"
	Region string `json:"region"`

	// name of the KMSKey, in the same namespace, that is the replica there: it alone gets the key material, and no other that has its name later. When it is left
	// out, it is the key's own name with the region, for example shop-eu-west-1 of the key shop, as ReplicateKey names it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="name is a DNS name: lower-case letters, digits, dashes and dots, for example shop-eu-west-1"
	Name string `json:"name,omitempty"`
}

// PrimaryKey names the KMSKey that a replica is of.
type PrimaryKey struct {
	// name of the primary's object, in the same namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="name is a DNS name: lower-case letters, digits, dashes and dots, for example shop"
	Name string `json:"name"`

	// region of the primary.
	// +required
	// +kubebuilder:validation:MinLength=6
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]{2,4}(-[a-z]+)+-[0-9]+$')",message="a region is written as AWS does, for example us-east-1"
	Region string `json:"region"`
}

// KeyReplica is the KMSKey that a primary's consent to a replica was used by.
type KeyReplica struct {
	// region of the replica.
	// +required
	// +kubebuilder:validation:MinLength=6
	// +kubebuilder:validation:MaxLength=32
	Region string `json:"region"`

	// name of the KMSKey.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// uid of the KMSKey: another one of its name is not the replica.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid"`
}
