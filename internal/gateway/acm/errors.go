package acm

import (
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/smithy-go"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/gateway/tags"
	"strongroom.dev/strongroom/internal/service/acm"
	"strongroom.dev/strongroom/internal/service/idempotent"
)

func invalidARN(message string) error { return &types.InvalidArnException{Message: ptr.To(message)} }

func invalidParameter(message string) error {
	return &types.InvalidParameterException{Message: ptr.To(message)}
}

func validation(message string) error { return &types.ValidationException{Message: ptr.To(message)} }

func inProgress(arn string) error {
	return &types.RequestInProgressException{Message: ptr.To("The certificate " + arn + " is not issued yet. Try again in a moment.")}
}

func notFound(arn string) error {
	return &types.ResourceNotFoundException{Message: ptr.To("Could not find certificate " + arn + ".")}
}

// answer turns a use case's error into AWS's. What has no meaning to a caller stays as it is: the server answers it as an internal failure,
// without a word of it.
func answer(arn string, err error) error {
	var known smithy.APIError
	if err == nil || errors.As(err, &known) {
		return err
	}
	switch {
	case errors.Is(err, acm.ErrGone):
		return notFound(arn)
	case errors.Is(err, idempotent.ErrTokenReused):
		return invalidParameter("The IdempotencyToken was used for this domain name with other parameters within the last hour: use another token.")
	case errors.Is(err, keyring.ErrSealed):
		return &types.InternalServerException{Message: ptr.To("The keyring is sealed; try again later.")}
	case errors.Is(err, tags.ErrTooMany):
		return &types.TooManyTagsException{Message: ptr.To("A certificate can have at most 50 tags.")}
	case errors.Is(err, tags.ErrReserved), errors.Is(err, tags.ErrDuplicate):
		return &types.InvalidTagException{Message: ptr.To(err.Error())}
	case apierrors.IsInvalid(err):
		return invalidParameter(fault.Message(err))
	}
	f := (*fault.Fault)(nil)
	if !errors.As(err, &f) {
		return err
	}
	switch f.Reason {
	case v1alpha1.ReasonNoCertificate:
		return inProgress(arn)
	case v1alpha1.ReasonInvalidCertificate, v1alpha1.ReasonInvalidName, v1alpha1.ReasonNotPermitted:
		return validation(fault.Message(err))
	case v1alpha1.ReasonKeyNotFound, v1alpha1.ReasonKeyUnusable:
		return &types.ConflictException{Message: ptr.To("The KMS key of the certificate cannot be used: " + fault.Message(err))}
	}
	return err
}
