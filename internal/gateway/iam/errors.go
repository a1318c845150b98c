package iam

import (
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"strongroom.dev/strongroom/api/v1alpha1"
	coreiam "strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/service/iam"
)

// The texts are AWS's.

func title(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

func noSuch(word, name string) error {
	message := "The " + word + " with name " + name + " cannot be found."
	return &types.NoSuchEntityException{Message: &message}
}

func noSuchPolicy(arn string) error {
	message := "Policy " + arn + " does not exist or is not attachable."
	return &types.NoSuchEntityException{Message: &message}
}

func noSuchVersion(arn string, version *string) error {
	message := "Policy " + arn + " version " + deref(version) + " does not exist or is not attachable."
	return &types.NoSuchEntityException{Message: &message}
}

func noSuchInline(word, name string) error {
	message := "The " + word + " policy with name " + name + " cannot be found."
	return &types.NoSuchEntityException{Message: &message}
}

func exists(word, name string) error {
	message := title(word) + " with name " + name + " already exists."
	if word == wordPolicy {
		message = "A policy called " + name + " already exists. Duplicate names are not allowed."
	}
	return &types.EntityAlreadyExistsException{Message: &message}
}

func conflict(message string) error { return &types.DeleteConflictException{Message: &message} }

func limit(message string) error { return &types.LimitExceededException{Message: &message} }

func invalidInput(message string) error { return &types.InvalidInputException{Message: &message} }

func invalid(message string) error {
	return &smithy.GenericAPIError{Code: "ValidationError", Message: message, Fault: smithy.FaultClient}
}

func malformed(err error) error {
	message := "Syntax errors in policy."
	var syntax *coreiam.SyntaxError
	if errors.As(err, &syntax) {
		message = "Syntax errors in policy: " + syntax.Error()
	}
	return &types.MalformedPolicyDocumentException{Message: &message}
}

// answer turns what the service says into AWS's error. The word and name are the object's.
func answer(err error, word, name string) error {
	var known smithy.APIError
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.Is(err, iam.ErrExists):
		return exists(word, name)
	case errors.Is(err, iam.ErrGone):
		return noSuch(word, name)
	case errors.Is(err, iam.ErrTooManyGroups):
		return limit("Cannot exceed quota for GroupsPerUser: " + itoa(iam.MaximumGroups))
	case errors.Is(err, iam.ErrGroupNotEmpty):
		return conflict("Cannot delete entity, must remove users from group first.")
	case errors.Is(err, iam.ErrTooManyVersions):
		return limit("A managed policy can have up to " + itoa(iam.MaximumPolicyVersions) +
			" versions. Before you create a new version, you must delete an existing version.")
	case errors.Is(err, iam.ErrDefaultVersion):
		return conflict("Cannot delete the default version of a policy.")
	case errors.Is(err, iam.ErrTooManyAccessKeys):
		return limit("Cannot exceed quota for AccessKeysPerUser: 2")
	case apierrors.IsConflict(err):
		message := "The request was rejected because multiple requests to change this object were submitted simultaneously. Wait a few minutes and submit your request again."
		return &types.ConcurrentModificationException{Message: &message}
	case apierrors.IsInvalid(err): // a rule of the kind's that AWS does not have, or has elsewhere
		return invalidInput("The object cannot be stored: " + causes(err))
	}
	return err
}

// causes says which fields the API server found wrong, without the values.
func causes(err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return "its API server refused it"
	}
	var out []string
	for _, c := range status.Status().Details.Causes {
		problem := c.Message
		if _, after, found := strings.Cut(problem, ": "); found && strings.HasPrefix(problem, "Invalid value") {
			problem = after
		}
		out = append(out, c.Field+": "+problem)
	}
	return strings.Join(out, "; ")
}

// keyAnswer is answer of an operation on an access key.
func keyAnswer(err error, u *v1alpha1.IAMUser, id *string) error {
	if errors.Is(err, iam.ErrNoAccessKey) {
		message := "The Access Key with id " + deref(id) + " cannot be found."
		return &types.NoSuchEntityException{Message: &message}
	}
	return answer(err, wordUser, u.AWSName())
}

func noSuchPolicySource(arn string) error {
	message := "The policy source " + arn + " cannot be found."
	return &types.NoSuchEntityException{Message: &message}
}
