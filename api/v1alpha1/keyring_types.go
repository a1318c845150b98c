package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// KeyringName is the name of the one Keyring, in Strongroom's own namespace.
const KeyringName = "strongroom"

// KeyringSpec says how often the domain key is rotated.
type KeyringSpec struct {
	// rotation of the domain key. It is not rotated by itself when this is left out.
	// +optional
	Rotation *DomainKeyRotation `json:"rotation,omitempty"`
}

// DomainKeyRotation is automatic rotation of the domain key. A period begins when a domain key is made, for whatever reason.
//
// +kubebuilder:validation:XValidation:rule="!has(self.periodInDays) || self.enabled",message="periodInDays has no effect while enabled is false: set enabled to true, or leave periodInDays out",fieldPath=".periodInDays"
type DomainKeyRotation struct {
	// enabled turns automatic rotation on.
	// +required
	Enabled bool `json:"enabled"`

	// periodInDays between rotations, 1 to 2560. 365 when it is left out.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2560
	PeriodInDays int32 `json:"periodInDays,omitempty"`
}

// KeyringEpoch is one domain key, and how much hangs on it.
type KeyringEpoch struct {
	// epoch of the domain key.
	// +required
	Epoch int64 `json:"epoch"`

	// createdTime of the domain key.
	// +optional
	CreatedTime *metav1.Time `json:"createdTime,omitempty"`

	// envelopes that are wrapped by it.
	// +required
	Envelopes int64 `json:"envelopes"`
}

// KeyringRewrap is how far the rewrap has come that follows a rotation.
type KeyringRewrap struct {
	// epoch that Envelopes are wrapped under anew.
	// +required
	Epoch int64 `json:"epoch"`

	// total is how many Envelopes were under former domain keys when it began, and have come since.
	// +required
	Total int64 `json:"total"`

	// done is how many of them are under the current one, or gone.
	// +required
	Done int64 `json:"done"`

	// startedTime is when the rotation was noted that it follows.
	// +required
	StartedTime metav1.Time `json:"startedTime"`

	// completedTime is when none was left, while that is so.
	// +optional
	CompletedTime *metav1.Time `json:"completedTime,omitempty"`
}

// KeyringStatus is what is known of the domain keys. All of it can be had from the Envelopes again.
type KeyringStatus struct {
	// observedGeneration is the generation that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready always; Rewrapped once a pass has looked; Reconciling and Stalled while true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// currentEpoch is that of the domain key that wraps.
	// +optional
	CurrentEpoch int64 `json:"currentEpoch,omitempty"`

	// lastRotatedTime is when the current domain key was made.
	// +optional
	LastRotatedTime *metav1.Time `json:"lastRotatedTime,omitempty"`

	// nextRotationTime is when the next one will be made. Empty when automatic rotation is off.
	// +optional
	NextRotationTime *metav1.Time `json:"nextRotationTime,omitempty"`

	// domainKeys is how many domain keys there are. Former ones stay.
	// +optional
	DomainKeys int32 `json:"domainKeys,omitempty"`

	// epochs lists the current domain key and former ones that Envelopes still hang on, the newest first, 16 of them at most.
	// +optional
	// +listType=map
	// +listMapKey=epoch
	// +kubebuilder:validation:MaxItems=16
	Epochs []KeyringEpoch `json:"epochs,omitempty"`

	// rewrap is the one that followed the last rotation. Empty before the first one.
	// +optional
	Rewrap *KeyringRewrap `json:"rewrap,omitempty"`

	// lastHandledReconcileAt echoes the annotation strongroom.dev/reconcile.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`

	// lastHandledRotateAt echoes the annotation strongroom.dev/rotate.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LastHandledRotateAt string `json:"lastHandledRotateAt,omitempty"`
}

// Keyring is the installation's domain keys, which wrap all key material: when they are rotated, and how far the rewrap has come that follows. There is one, named
// strongroom, in Strongroom's own namespace; the operator makes it if it is missing, and heeds no other. It holds no key: domain keys are Envelopes, wrapped by the root of trust.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=keyrings,singular=keyring,shortName=keyring,categories=strongroom
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Epoch",type=integer,JSONPath=`.status.currentEpoch`
// +kubebuilder:printcolumn:name="Rewrapped",type=string,JSONPath=`.status.conditions[?(@.type=="Rewrapped")].status`
// +kubebuilder:printcolumn:name="Done",type=integer,JSONPath=`.status.rewrap.done`
// +kubebuilder:printcolumn:name="Total",type=integer,JSONPath=`.status.rewrap.total`
// +kubebuilder:printcolumn:name="Next Rotation",type=string,JSONPath=`.status.nextRotationTime`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Keyring struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says how often the domain key is rotated.
	// +optional
	Spec KeyringSpec `json:"spec,omitzero"`
	// status is what is known of the domain keys.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1,"conditions":{{"type":"Ready","status":"Unknown","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"},{"type":"Reconciling","status":"True","reason":"Pending","message":"Waiting for the controller","lastTransitionTime":"1970-01-01T00:00:00Z"}}}
	Status KeyringStatus `json:"status,omitzero"`
}

// KeyringList is a list of Keyrings.
// +kubebuilder:object:root=true
type KeyringList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Keyring `json:"items"`
}

// GetConditions returns the conditions.
func (k *Keyring) GetConditions() []metav1.Condition { return k.Status.Conditions }

// SetConditions replaces the conditions.
func (k *Keyring) SetConditions(conditions []metav1.Condition) { k.Status.Conditions = conditions }
