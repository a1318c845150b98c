package secretsmanager

import (
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/fault"
)

// decryption turns what the service says of a version that cannot be read into AWS's error. What is no fault of the key's stays
// an internal failure.
func decryption(err error) error {
	switch f := (*fault.Fault)(nil); {
	case errors.Is(err, keyring.ErrSealed):
		return unavailable()
	case errors.As(err, &f) && (f.Reason == v1alpha1.ReasonKeyNotFound || f.Reason == v1alpha1.ReasonKeyUnusable):
		return &types.DecryptionFailure{
			Message: ptr.To("Secrets Manager can't decrypt the protected secret text using the provided KMS key."),
		}
	}
	return err
}

// encryption is the same of one that cannot be written.
func encryption(err error) error {
	switch f := (*fault.Fault)(nil); {
	case errors.Is(err, keyring.ErrSealed):
		return unavailable()
	case errors.As(err, &f) && (f.Reason == v1alpha1.ReasonKeyNotFound || f.Reason == v1alpha1.ReasonKeyUnusable):
		return &types.EncryptionFailure{Message: ptr.To("Secrets Manager can't encrypt the protected secret text using the provided " +
			"KMS key. Check that the KMS key is available, enabled, and not in an invalid state.")}
	case errors.As(err, &f) && f.Reason == v1alpha1.ReasonInvalidValue:
		return invalidParameter(fault.Message(err))
	}
	return err
}

func unavailable() error {
	return &types.InternalServiceError{Message: ptr.To("An error occurred on the server side.")}
}

func invalidParameter(message string) error {
	return &types.InvalidParameterException{Message: ptr.To(message)}
}

func invalidRequest(message string) error {
	return &types.InvalidRequestException{Message: ptr.To(message)}
}
