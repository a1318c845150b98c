package sts

import (
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/internal/core/keyring"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

// denied is AWS's AccessDenied, which the query protocol answers with HTTP 403.
func denied(message string) error {
	return &smithy.GenericAPIError{Code: "AccessDenied", Message: message, Fault: smithy.FaultClient}
}

func invalid(message string) error {
	return &smithy.GenericAPIError{Code: "ValidationError", Message: message, Fault: smithy.FaultClient}
}

func unavailable() error {
	return &smithy.GenericAPIError{Code: "ServiceUnavailable", Message: "The request has failed due to a temporary failure of the server.",
		Fault: smithy.FaultServer}
}

// notAuthorized is the message of a denial. AWS's STS tells no more of it, whatever policy denies.
func notAuthorized(who, action, resource string) string {
	return "User: " + who + " is not authorized to perform: " + action + " on resource: " + resource
}

// failure turns what the service says of a session that cannot be made into AWS's error.
func failure(err error) error {
	switch {
	case errors.Is(err, keyring.ErrSealed):
		return unavailable()
	case errors.Is(err, serviceiam.ErrPackedPolicyTooLarge):
		return &types.PackedPolicyTooLargeException{Message: ptr.To("Packed size of session tags and policies consumes more than 100% of the allotted space.")}
	case errors.Is(err, serviceiam.ErrSessionPolicy):
		problem := strings.TrimPrefix(err.Error(), serviceiam.ErrSessionPolicy.Error()+": ")
		return &types.MalformedPolicyDocumentException{Message: &problem}
	}
	return err
}

// tokenFailure is the same of a web identity token.
func tokenFailure(err error) error {
	identity := func(message string) error { return &types.InvalidIdentityTokenException{Message: &message} }
	switch {
	case errors.Is(err, serviceiam.ErrTokenMalformed):
		return identity("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	case errors.Is(err, serviceiam.ErrTokenAudience):
		return identity("Incorrect token audience")
	case errors.Is(err, serviceiam.ErrTokenExpired):
		return &types.ExpiredTokenException{Message: ptr.To("Token expired: request a new one from the cluster and try again")}
	case errors.Is(err, serviceiam.ErrTokenSubject):
		return &types.IDPRejectedClaimException{Message: ptr.To("The token is not a service account's.")}
	case errors.Is(err, serviceiam.ErrTokenRejected):
		return identity("The cluster's API server does not accept the token: it was made by another, or its service account or pod is gone.")
	}
	return &types.IDPCommunicationErrorException{Message: ptr.To("The cluster's API server could not be asked for the token. Try again.")}
}
