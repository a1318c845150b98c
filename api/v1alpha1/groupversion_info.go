// Package v1alpha1 holds the kinds of the API group strongroom.dev.
//
// Every rule that a manifest must obey is in the schema, as a bound or as CEL, so that the API server refuses what
// is wrong before anything acts on it; there is no webhook. No field of a spec has a schema default: what a user
// leaves out stays out of the stored object, GitOps sees no drift, and the value in force is reported in status.
//
// The group's stability is alpha: fields may change between releases, stored ciphertext may not
// (see docs/architecture.md).
//
// +kubebuilder:object:generate=true
// +kubebuilder:ac:generate=true
// +kubebuilder:ac:output:package=applyconfiguration
// +groupName=strongroom.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group of all of Strongroom's kinds.
const Group = "strongroom.dev"

var (
	// SchemeGroupVersion is the group and version of the types in this package.
	SchemeGroupVersion = schema.GroupVersion{Group: Group, Version: "v1alpha1"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the types of this package to a scheme.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(SchemeGroupVersion,
		&Certificate{}, &CertificateList{},
		&CertificateAuthority{}, &CertificateAuthorityList{},
		&Envelope{}, &EnvelopeList{},
		&HSMCluster{}, &HSMClusterList{},
		&IAMGroup{}, &IAMGroupList{},
		&IAMPolicy{}, &IAMPolicyList{},
		&IAMRole{}, &IAMRoleList{},
		&IAMUser{}, &IAMUserList{},
		&Keyring{}, &KeyringList{},
		&KMSGrant{}, &KMSGrantList{},
		&KMSKey{}, &KMSKeyList{},
		&Parameter{}, &ParameterList{},
		&ParameterTree{}, &ParameterTreeList{},
		&Secret{}, &SecretList{},
	)
	metav1.AddToGroupVersion(scheme, SchemeGroupVersion)
	return nil
}
