package acmpca

import (
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/acmpca/types"
	"github.com/aws/smithy-go"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/gateway/tags"
	"strongroom.dev/strongroom/internal/service/acmpca"
	"strongroom.dev/strongroom/internal/service/idempotent"
)

func invalidARN(message string) error { return &types.InvalidArnException{Message: ptr.To(message)} }

func invalidArgs(message string) error { return &types.InvalidArgsException{Message: ptr.To(message)} }

func invalidState(message string) error {
	return &types.InvalidStateException{Message: ptr.To(message)}
}

func notFound(arn string) error {
	return &types.ResourceNotFoundException{Message: ptr.To("Could not find " + arn + ".")}
}

// answer turns a use case's error into AWS's. What has no meaning to a caller stays as it is: the server answers it as an internal failure,
// without a word of it.
func answer(arn string, err error) error {
	var known smithy.APIError
	if err == nil || errors.As(err, &known) {
		return err
	}
	switch {
	case errors.Is(err, acmpca.ErrGone):
		return notFound(arn)
	case errors.Is(err, acmpca.ErrNotIssued):
		return &types.ResourceNotFoundException{Message: ptr.To("The certificate authority " + arn +
			" has issued no certificate of that serial number, or it has expired.")}
	case errors.Is(err, acmpca.ErrRevoked):
		return &types.RequestAlreadyProcessedException{Message: ptr.To("The certificate is already revoked.")}
	case errors.Is(err, idempotent.ErrTokenReused):
		return invalidArgs("The IdempotencyToken was used with other parameters within the last five minutes: use another token.")
	case errors.Is(err, tags.ErrTooMany):
		return &types.TooManyTagsException{Message: ptr.To("A certificate authority can have at most 50 tags.")}
	case errors.Is(err, tags.ErrReserved), errors.Is(err, tags.ErrDuplicate):
		return &types.InvalidTagException{Message: ptr.To(err.Error())}
	case apierrors.IsInvalid(err):
		return invalidArgs(fault.Message(err))
	}
	f := (*fault.Fault)(nil)
	if !errors.As(err, &f) {
		return err
	}
	switch f.Reason {
	case v1alpha1.ReasonAuthorityNotReady, v1alpha1.ReasonKeyNotFound, v1alpha1.ReasonKeyUnusable, v1alpha1.ReasonKeyMismatch,
		v1alpha1.ReasonKeyInUse, v1alpha1.ReasonRevoked:
		return invalidState(fault.Message(err))
	case v1alpha1.ReasonInvalidCertificate, v1alpha1.ReasonInvalidName, v1alpha1.ReasonNotPermitted:
		return invalidArgs(fault.Message(err))
	}
	return err
}
