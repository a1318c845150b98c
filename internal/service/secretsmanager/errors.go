package secretsmanager

import (
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"k8s.io/utils/ptr"
)

// The errors of AWS Secrets Manager, with its texts.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html

// NotFound says that there is no such secret.
func NotFound() error {
	return &types.ResourceNotFoundException{Message: ptr.To("Secrets Manager can't find the specified secret.")}
}

// MarkedForDeletion says that a secret is within its recovery window.
func MarkedForDeletion() error {
	return invalidRequest("You can't perform this operation on the secret because it was marked for deletion.")
}

func noValueOfStage(stage string) error {
	return &types.ResourceNotFoundException{
		Message: ptr.To("Secrets Manager can't find the specified secret value for staging label: " + stage),
	}
}

func noValueOfVersion(id string) error {
	return &types.ResourceNotFoundException{
		Message: ptr.To("Secrets Manager can't find the specified secret value for VersionId: " + id),
	}
}

func tokenInUse(token, arn string) error {
	return &types.ResourceExistsException{Message: ptr.To("You can't use ClientRequestToken " + token +
		" because that value is already in use for a version of secret " + arn + ".")}
}

func nameExists(name string) error {
	return &types.ResourceExistsException{Message: ptr.To("The operation failed because the secret " + name + " already exists.")}
}

func invalidRequest(message string) error {
	return &types.InvalidRequestException{Message: ptr.To(message)}
}

func invalidParameter(message string) error {
	return &types.InvalidParameterException{Message: ptr.To(message)}
}

// inUse tells that an error is tokenInUse.
func inUse(err error) bool {
	var exists *types.ResourceExistsException
	return errors.As(err, &exists)
}

func limitExceeded(message string) error {
	return &types.LimitExceededException{Message: ptr.To(message)}
}

// isNotFound tells that an error is NotFound.
func isNotFound(err error) bool {
	var missing *types.ResourceNotFoundException
	return errors.As(err, &missing)
}
