package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// KeyOperation is an operation that counts as a use of a key.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_KeyLastUsageData.html
// +kubebuilder:validation:Enum=Decrypt;DeriveSharedSecret;Encrypt;GenerateDataKey;GenerateDataKeyPair;GenerateDataKeyPairWithoutPlaintext;GenerateDataKeyWithoutPlaintext;GenerateMac;ReEncrypt;Sign;Verify;VerifyMac;Encapsulate;Decapsulate
type KeyOperation string

// KeyLastUsage is a successful cryptographic use of a key.
type KeyLastUsage struct {
	// operation that the key was used in.
	// +required
	Operation KeyOperation `json:"operation"`
	// time of the use.
	// +required
	Time metav1.Time `json:"time"`
	// eventID of the request's audit record; empty for a use by the manager itself, for a Secret for example.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	EventID string `json:"eventID,omitempty"`
	// requestID of the request.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	RequestID string `json:"requestID,omitempty"`
}
