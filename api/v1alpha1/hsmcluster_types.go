package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RootFinalizer is on an HSMCluster that is the keyring's root of trust, and on the core Secret with its PINs, from before the first domain key is wrapped by it:
// neither can go as long as a domain key may be wrapped by it. Strongroom does not take it away.
const RootFinalizer = Group + "/root"

// HSMMode is AWS CloudHSM's mode of a cluster.
// https://docs.aws.amazon.com/cloudhsm/latest/APIReference/API_CreateCluster.html#CloudHSMV2-CreateCluster-request-Mode
// +kubebuilder:validation:Enum=FIPS;NON_FIPS
type HSMMode string

// The modes.
const (
	// HSMModeFIPS lets nodes run with Go's FIPS 140-3 module. Whether the PKCS#11 module is validated is its vendor's word;
	// SoftHSM is not.
	HSMModeFIPS HSMMode = "FIPS"
	// HSMModeNonFIPS lets nodes run without it.
	HSMModeNonFIPS HSMMode = "NON_FIPS"
)

// HSMClusterState is AWS CloudHSM's state of a cluster.
// https://docs.aws.amazon.com/cloudhsm/latest/APIReference/API_Cluster.html#CloudHSMV2-Type-Cluster-State
// +kubebuilder:validation:Enum=CREATE_IN_PROGRESS;UNINITIALIZED;INITIALIZE_IN_PROGRESS;INITIALIZED;ACTIVE;UPDATE_IN_PROGRESS;DEGRADED;DELETE_IN_PROGRESS
type HSMClusterState string

// The states of a cluster that are in use.
const (
	// HSMClusterCreateInProgress: no node answers yet.
	HSMClusterCreateInProgress HSMClusterState = "CREATE_IN_PROGRESS"
	// HSMClusterUninitialized: there are no nodes, and there never was a domain key.
	HSMClusterUninitialized HSMClusterState = "UNINITIALIZED"
	// HSMClusterInitializeInProgress: tokens are initialised, and the domain key is being made and cloned.
	HSMClusterInitializeInProgress HSMClusterState = "INITIALIZE_IN_PROGRESS"
	// HSMClusterInitialized: the cluster has its domain key, in the tokens that it had, and no nodes at the moment.
	HSMClusterInitialized HSMClusterState = "INITIALIZED"
	// HSMClusterActive: all nodes serve.
	HSMClusterActive HSMClusterState = "ACTIVE"
	// HSMClusterUpdateInProgress: the cluster serves, and a node is being added.
	HSMClusterUpdateInProgress HSMClusterState = "UPDATE_IN_PROGRESS"
	// HSMClusterDegraded: a node, or all of them, that served does not.
	HSMClusterDegraded HSMClusterState = "DEGRADED"
	// HSMClusterDeleteInProgress: the HSMCluster is deleted and waits for what uses it.
	HSMClusterDeleteInProgress HSMClusterState = "DELETE_IN_PROGRESS"
)

// HSMState is AWS CloudHSM's state of one HSM.
// https://docs.aws.amazon.com/cloudhsm/latest/APIReference/API_Hsm.html#CloudHSMV2-Type-Hsm-State
// +kubebuilder:validation:Enum=CREATE_IN_PROGRESS;ACTIVE;DEGRADED
type HSMState string

// The states of a node that are in use.
const (
	// HSMCreateInProgress: it does not serve yet.
	HSMCreateInProgress HSMState = "CREATE_IN_PROGRESS"
	// HSMActive: it serves.
	HSMActive HSMState = "ACTIVE"
	// HSMDegraded: it is not asked at the moment; its message says why.
	HSMDegraded HSMState = "DEGRADED"
)

// HSMClusterSpec is the cluster of HSMs that a user wants.
//
// +kubebuilder:validation:XValidation:rule="has(self.softHSM) != has(self.pkcs11)",message="give exactly one of softHSM and pkcs11"
// +kubebuilder:validation:XValidation:rule="has(self.softHSM) == has(oldSelf.softHSM)",message="softHSM and pkcs11 cannot take each other's place: the keys are in the tokens; create another HSMCluster",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="(has(self.mode) ? self.mode : 'FIPS') == (has(oldSelf.mode) ? oldSelf.mode : 'FIPS')",message="mode cannot be changed, as in AWS CloudHSM; create another HSMCluster",fieldPath=".mode",reason=FieldValueForbidden
type HSMClusterSpec struct {
	// size is the number of nodes, 0 to 10. Every node holds the same domain keys and can do everything, so two bear the loss of one,
	// and more of them give more operations a second. More than ten gain nothing: AWS's own quota is six HSMs. With none the cluster
	// waits, as one of AWS CloudHSM does before its first HSM; tokens stay.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	Size int32 `json:"size"`

	// mode: FIPS, which is also what is used when it is left out, lets nodes run with Go's FIPS 140-3 module; NON_FIPS without it. It
	// cannot be changed. It does not make the PKCS#11 module a validated one.
	// +optional
	Mode HSMMode `json:"mode,omitempty"`

	// softHSM gives each node a token of SoftHSM, made and initialised by Strongroom, with PINs that it generates. Its keys are files,
	// encrypted under the PIN: a module to develop with, and not hardware.
	// +optional
	SoftHSM *SoftHSM `json:"softHSM,omitempty"`

	// pkcs11 uses the library of another HSM.
	// +optional
	PKCS11 *PKCS11 `json:"pkcs11,omitempty"`

	// allowedNamespaces are those, by their labels, whose KMSKeys may be in this cluster, besides its own; an empty selector is all. When it is left
	// out, a cluster in Strongroom's own namespace is for all namespaces, since who may write there owns the installation, and
	// any other is for its own namespace alone.
	// +optional
	AllowedNamespaces *metav1.LabelSelector `json:"allowedNamespaces,omitempty"`

	// customKeyStore is the custom key store of AWS KMS that the cluster is: its name, and whether it is connected. A cluster without it that KMSKeys
	// are in is one that is named like the HSMCluster, and connected.
	// +optional
	CustomKeyStore *CustomKeyStore `json:"customKeyStore,omitempty"`

	// tags of the cluster. Policies see them as aws:ResourceTag/KEY.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=50
	Tags []Tag `json:"tags,omitempty"`
}

// CustomKeyStore is the custom key store of AWS KMS that a cluster is.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_CustomKeyStoresListEntry.html
type CustomKeyStore struct {
	// name that AWS KMS shows, 1 to 256 characters. The AWS API gives no two stores of an account the same.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name"`

	// connected: false keeps all KMSKeys in the cluster from being made and used, until it is true again; true when it is left out. The keys are
	// Unavailable meanwhile, and nothing of them is lost.
	// https://docs.aws.amazon.com/kms/latest/developerguide/disconnect-keystore.html
	// +optional
	Connected *bool `json:"connected,omitempty"`
}

// SoftHSM has no settings.
type SoftHSM struct{}

// PKCS11 is a PKCS#11 library and the token to use.
type PKCS11 struct {
	// library is the absolute path of the library in the image of the nodes (--hsm-image), or on the manager's machine (--hsm-local-directory): one that the operator
	// lets nodes load, with the token and from the namespace of the HSMCluster, by --hsm-libraries.
	// +required
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^/[a-zA-Z0-9._/+-]+$') && !self.contains('..')",message="library is an absolute path, for example /opt/vendor/lib/libpkcs11.so"
	Library string `json:"library"`

	// tokenLabel of the token, the same at all nodes, at most 32 bytes. The token is Strongroom's alone. It cannot be changed.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9._-]+$')",message="tokenLabel is of letters, digits, dots, dashes and underscores, for example strongroom"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="tokenLabel cannot be changed: the keys are in that token; create another HSMCluster",reason=FieldValueForbidden
	TokenLabel string `json:"tokenLabel"`

	// pinSecretRef is the core Secret's key, in the namespace of the HSMCluster, that holds the user's PIN. One that the token refuses is not tried again before it is another.
	// +required
	PINSecretRef SecretKeyReference `json:"pinSecretRef"`
}

// HSMNode is one HSM.
type HSMNode struct {
	// name of the node: that of its pod or of its directory.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// state of AWS CloudHSM.
	// +required
	State HSMState `json:"state"`
	// endpoint that serves the node's API, HOST:PORT.
	// +optional
	// +kubebuilder:validation:MaxLength=300
	Endpoint string `json:"endpoint,omitempty"`
	// module is the PKCS#11 library and its version.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Module string `json:"module,omitempty"`
	// firmware is the token's firmware version.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Firmware string `json:"firmware,omitempty"`
	// message says why the node does not serve.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// HSMDomainKey is what is known of the keys that all nodes hold.
type HSMDomainKey struct {
	// epoch counts from 1.
	// +required
	// +kubebuilder:validation:Minimum=1
	Epoch int64 `json:"epoch"`
	// keyCheckValue of the domain key, in hexadecimal: AES-CMAC of a block of zeros, cut to 5 bytes (ANSI X9.24-1).
	// +required
	// +kubebuilder:validation:MaxLength=10
	KeyCheckValue string `json:"keyCheckValue"`
	// wrappingKeyCheckValue is that of the key that wraps keys of users.
	// +required
	// +kubebuilder:validation:MaxLength=10
	WrappingKeyCheckValue string `json:"wrappingKeyCheckValue"`
}

// HSMClusterStatus is what is known of the cluster.
type HSMClusterStatus struct {
	// observedGeneration is the generation that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready always; Available, which is True while at least one node serves; Reconciling, Stalled, DeletionBlocked and
	// RootOfTrust while true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// clusterId of AWS CloudHSM, made of the namespace and the name, so that it stays in a cluster that is built anew.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ClusterID string `json:"clusterId,omitempty"`

	// state of AWS CloudHSM.
	// +optional
	State HSMClusterState `json:"state,omitempty"`

	// nodes, in the order of their numbers.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Nodes []HSMNode `json:"nodes,omitempty"`

	// domainKeys that the nodes hold, oldest first. While there are any, no other is made in their place.
	// +optional
	// +listType=map
	// +listMapKey=epoch
	// +kubebuilder:validation:MaxItems=256
	DomainKeys []HSMDomainKey `json:"domainKeys,omitempty"`

	// trustAnchorCertificate is the certificate of the cluster's own authority in PEM, which all its nodes have theirs of: the cluster's
	// certificate of DescribeClusters, and the trust anchor that CreateCustomKeyStore wants.
	// +optional
	// +kubebuilder:validation:MaxLength=5000
	TrustAnchorCertificate string `json:"trustAnchorCertificate,omitempty"`

	// lastHandledReconcileAt echoes the annotation strongroom.dev/reconcile.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
}

// HSMCluster is a cluster of HSMs as in AWS CloudHSM: nodes that each have a token of a PKCS#11 module, and that hold the same domain keys. KMSKeys with
// origin AWS_CLOUDHSM are generated and used in it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=hsmclusters,singular=hsmcluster,shortName=hsm,categories=strongroom
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Size",type=integer,JSONPath=`.spec.size`
// +kubebuilder:printcolumn:name="Cluster ID",type=string,JSONPath=`.status.clusterId`
// +kubebuilder:printcolumn:name="Root",type=string,JSONPath=`.status.conditions[?(@.type=="RootOfTrust")].status`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type HSMCluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the cluster that the user wants.
	// +required
	Spec HSMClusterSpec `json:"spec"`
	// status is what is known of the cluster.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1,"conditions":{{"type":"Ready","status":"Unknown","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"},{"type":"Reconciling","status":"True","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"}}}
	Status HSMClusterStatus `json:"status,omitzero"`
}

// HSMClusterList is a list of HSMClusters.
// +kubebuilder:object:root=true
type HSMClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []HSMCluster `json:"items"`
}

// GetConditions returns the conditions.
func (h *HSMCluster) GetConditions() []metav1.Condition { return h.Status.Conditions }

// SetConditions replaces the conditions.
func (h *HSMCluster) SetConditions(conditions []metav1.Condition) { h.Status.Conditions = conditions }
