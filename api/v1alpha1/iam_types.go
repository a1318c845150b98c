package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// PolicyDocument is a policy in AWS's JSON language, written as YAML or JSON. The controller parses it: what is malformed
// is Stalled with the position of the mistake.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
//
// +kubebuilder:validation:Type=object
// +kubebuilder:pruning:PreserveUnknownFields
type PolicyDocument struct {
	apiextensionsv1.JSON `json:",inline"`
}

// Tag is a key and a value that describe an object, and that policies can ask for.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html
type Tag struct {
	// key of the tag.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Key string `json:"key"`
	// value of the tag.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Value string `json:"value,omitempty"`
}
