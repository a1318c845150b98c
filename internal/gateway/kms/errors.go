package kms

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/store"
)

// The texts are AWS's.

func validation(format string, args ...any) error {
	return &smithy.GenericAPIError{Code: "ValidationException", Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}

func unsupported(format string, args ...any) error {
	return &types.UnsupportedOperationException{Message: aws.String(fmt.Sprintf(format, args...))}
}

// unknownSpec is the answer about a key spec that AWS has and Strongroom has not. The one of ML-KEM that is missing is told apart: its security category is 1, and
// Go's FIPS 140-3 module has 3 and 5 alone.
func unknownSpec(member, spec string) error {
	if spec == "ML_KEM_512" {
		return unsupported("%s %s is not supported: ML_KEM_768 and ML_KEM_1024 are.", member, spec)
	}
	return unsupported("%s %s is not supported.", member, spec)
}

// notApproved is the answer about what is not in the FIPS 140-3 module, in a process that is to use nothing else. AWS has no such answer: its regions' FIPS
// endpoints serve all algorithms.
func notApproved(err error) error { return unsupported("This Strongroom cannot do that: %v.", err) }

func notFound(format string, args ...any) error {
	return &types.NotFoundException{Message: aws.String(fmt.Sprintf(format, args...))}
}

// missing is the answer about a key that is not there.
func missing(ref kms.Ref) error {
	if ref.Alias != "" {
		return notFound("Alias %s is not found.", ref.ARN())
	}
	return notFound("Key '%s' does not exist", ref.ARN())
}

// stateError is the answer of an operation that the key's state refuses, nil if it does not.
func stateError(key *v1alpha1.KMSKey, operation keys.Operation) error {
	state := kms.StateFor(key, operation)
	err := keys.State(state).Permits(operation)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, keys.ErrDisabled):
		return &types.DisabledException{Message: aws.String(key.Status.ARN + " is disabled.")}
	case errors.Is(err, keys.ErrUnsupported):
		return unsupported("%s does not support %s.", key.Status.ARN, operation)
	}
	return &types.KMSInvalidStateException{Message: aws.String(key.Status.ARN + " is " + stateWord(state) + ".")}
}

func stateWord(state v1alpha1.KeyState) string {
	switch state {
	case v1alpha1.KeyStatePendingReplicaDeletion:
		return "pending replica deletion"
	case v1alpha1.KeyStateUpdating:
		return "updating"
	case v1alpha1.KeyStatePendingDeletion:
		return "pending deletion"
	case v1alpha1.KeyStateCreating:
		return "creating"
	case v1alpha1.KeyStatePendingImport:
		return "pending import"
	case v1alpha1.KeyStateUnavailable:
		return "unavailable"
	case v1alpha1.KeyStateDisabled:
		return "disabled"
	}
	return "enabled" // CancelKeyDeletion alone is refused for it
}

// answer turns a use case's error into AWS's. What has no meaning to a caller stays as it is: the server answers it as an
// internal failure, without a word of it.
func answer(key *v1alpha1.KMSKey, err error) error {
	var known smithy.APIError
	if err == nil || errors.As(err, &known) {
		return err
	}
	for _, answered := range []error{unchanged(key, err), refusedInput(key, err), unavailable(key, err)} {
		if answered != nil {
			return answered
		}
	}
	return err
}

// unchanged is the answer about a change of the primary that was ended, nil if the error is not about that.
func unchanged(key *v1alpha1.KMSKey, err error) error {
	if key == nil || !errors.Is(err, kms.ErrPrimaryStays) {
		return nil
	}
	if errors.Is(err, kms.ErrPendingImport) {
		return &types.KMSInvalidStateException{
			Message: aws.String(key.Status.ARN + " stays the primary key: the replica does not have all of its imported key material; import it there first."),
		}
	}
	return &types.KMSInvalidStateException{
		Message: aws.String(key.Status.ARN + " stays the primary key: its key material is damaged, or the change was ended; its conditions tell."),
	}
}

// refusedInput is the answer about what was sent, nil if the error is not about that.
func refusedInput(key *v1alpha1.KMSKey, err error) error {
	switch {
	case errors.Is(err, keys.ErrInvalidCiphertext):
		return &types.InvalidCiphertextException{}
	case errors.Is(err, keys.ErrInvalidSignature):
		return &types.KMSInvalidSignatureException{} // AWS says no more
	case errors.Is(err, keys.ErrInvalidMac):
		return &types.KMSInvalidMacException{} // nor here
	case errors.Is(err, keys.ErrInvalidPublicKey) && key != nil:
		return validation("The public key is not one of the key spec %s in DER (SubjectPublicKeyInfo).", kms.SpecOf(key))
	case errors.Is(err, keys.ErrNotApproved):
		return notApproved(err)
	case errors.Is(err, keys.ErrTooLarge):
		return validation("The encryption context is longer than %d bytes", keys.MaxContext)
	}
	return nil
}

// unavailable is the answer about a key that is not there for now, or no more, nil if the error is not about that.
func unavailable(key *v1alpha1.KMSKey, err error) error {
	switch {
	case errors.Is(err, kms.ErrPendingImport) && key != nil: // its material has expired since its state was read
		return &types.KMSInvalidStateException{Message: aws.String(key.Status.ARN + " is pending import.")}
	case errors.Is(err, keyring.ErrSealed), errors.Is(err, keyring.ErrUnknownEpoch), errors.Is(err, store.ErrMissing), errors.Is(err, store.ErrTampered):
		return &types.KeyUnavailableException{Message: aws.String("The key material is not available; try again later.")}
	case errors.Is(err, cloudhsm.ErrDisconnected) && key == nil:
		return &types.CustomKeyStoreInvalidStateException{Message: aws.String("The custom key store is not connected.")}
	case errors.Is(err, cloudhsm.ErrDisconnected): // before the key's state says so
		return &types.KMSInvalidStateException{Message: aws.String(key.Status.ARN + " is unavailable.")}
	case errors.Is(err, cloudhsm.ErrUnavailable):
		return &types.KeyUnavailableException{Message: aws.String("No HSM of the key's custom key store is available; try again later.")}
	case errors.Is(err, context.DeadlineExceeded):
		return &types.DependencyTimeoutException{Message: aws.String("The system timed out while trying to fulfill the request; try again.")}
	case errors.Is(err, kms.ErrGrantGone):
		return notFound("The grant does not exist.")
	case errors.Is(err, kms.ErrGone) && key != nil:
		return notFound("Key '%s' does not exist", key.Status.ARN)
	}
	return nil
}

func dryRun(asked *bool) error {
	if aws.ToBool(asked) {
		return &types.DryRunOperationException{Message: aws.String("The request would have succeeded, but the DryRun option is set.")}
	}
	return nil
}
