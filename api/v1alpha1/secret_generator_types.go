package v1alpha1

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
