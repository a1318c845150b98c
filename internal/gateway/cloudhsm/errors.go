package cloudhsm

import (
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/cloudhsmv2/types"
	"github.com/aws/smithy-go"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/gateway/tags"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

func invalid(message string) error {
	return &types.CloudHsmInvalidRequestException{Message: ptr.To(message)}
}

func notFound(id string) error {
	return &types.CloudHsmResourceNotFoundException{Message: ptr.To("Could not find " + id + ".")}
}

// answer turns a use case's error into AWS's. What has no meaning to a caller stays as it is: the server answers it as an internal failure,
// without a word of it.
func answer(id string, err error) error {
	var known smithy.APIError
	if err == nil || errors.As(err, &known) {
		return err
	}
	switch {
	case errors.Is(err, cloudhsm.ErrGone):
		return notFound(id)
	case errors.Is(err, cloudhsm.ErrHSMNotFound):
		return &types.CloudHsmResourceNotFoundException{Message: ptr.To(sentence(id, err))}
	case errors.Is(err, tags.ErrTooMany):
		return &types.CloudHsmResourceLimitExceededException{Message: ptr.To("A cluster can have at most 50 tags.")}
	case errors.Is(err, cloudhsm.ErrClusterQuota), errors.Is(err, cloudhsm.ErrHSMQuota): // these operations do not declare CloudHsmResourceLimitExceededException
		return &types.CloudHsmServiceException{Message: ptr.To("The request was rejected because it exceeds an AWS CloudHSM limit: " + sentence("", err))}
	case errors.Is(err, tags.ErrReserved), errors.Is(err, tags.ErrDuplicate):
		return &types.CloudHsmTagException{Message: ptr.To(err.Error())}
	case apierrors.IsForbidden(err) || apierrors.IsInvalid(err): // by a ResourceQuota, or by the schema
		return invalid(fault.Message(err))
	}
	for _, refused := range []error{
		cloudhsm.ErrRegion, cloudhsm.ErrDeleting, cloudhsm.ErrTooManyHSMs, cloudhsm.ErrNotLast, cloudhsm.ErrRoot, cloudhsm.ErrHasHSMs, cloudhsm.ErrHasKeys,
	} {
		if errors.Is(err, refused) {
			return invalid(sentence(id, err))
		}
	}
	return err
}

func sentence(id string, err error) string {
	if id == "" {
		return err.Error() + "."
	}
	return id + ": " + err.Error() + "."
}
