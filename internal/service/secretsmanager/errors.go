package secretsmanager

import (
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
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

// OnReplica says that a secret is written at its primary alone.
func OnReplica() error {
	return invalidParameter("Operation not permitted on a replica secret. Call must be made in primary secret's region.")
}

// InvalidReplicaRegion says that a secret cannot be replicated to a region: its own, or one that is not served.
func InvalidReplicaRegion() error { return invalidParameter("Invalid replica region.") }

// heldByFinalizers says that an object of Kubernetes that was deleted is still there, where another is to be made.
func heldByFinalizers(secret *v1alpha1.Secret) error {
	return invalidRequest("You can't restore this secret yet: Secret " + secret.Name + " of Kubernetes was deleted, and finalizers hold it. Remove them, and try again.")
}

func hasReplicas(arn string, regions []string) error {
	return invalidParameter("You can't delete secret " + arn + " that still has replica regions [" + strings.Join(regions, ", ") + "].")
}

func notReplica() error {
	return invalidRequest("You can't stop replication to this secret because it is not a replica.")
}

// errPromoted says that what was to be deleted as a replica is one no more.
var errPromoted = errors.New("the replica was promoted")

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
