package plugin

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/smithy-go"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// The exit codes of the program, for scripts.
const (
	// ExitFailed: something else than what the others say, also a command line that is wrong.
	ExitFailed = 1
	// ExitNotFound: there is no such object, version or value.
	ExitNotFound = 3
	// ExitDenied: permission is missing, or who asks is not known.
	ExitDenied = 4
	// ExitTimeout: it was asked for, and did not happen within --timeout.
	ExitTimeout = 5
)

var (
	errNotFound = errors.New("not found")
	errTimeout  = errors.New("it did not happen in time")
)

// ExitCode is the exit code for an error, 0 for none.
func ExitCode(err error) int {
	var api smithy.APIError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errTimeout), errors.Is(err, context.DeadlineExceeded):
		return ExitTimeout
	case errors.Is(err, errNotFound), apierrors.IsNotFound(err):
		return ExitNotFound
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return ExitDenied
	case errors.As(err, &api):
		return exitCodeOf(api.ErrorCode())
	}
	return ExitFailed
}

// exitCodeOf is the exit code for an error of AWS's API.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html
func exitCodeOf(code string) int {
	switch code {
	case "ResourceNotFoundException", "ParameterNotFound", "ParameterVersionNotFound":
		return ExitNotFound
	case "AccessDeniedException", "AccessDenied", "UnrecognizedClientException", "InvalidClientTokenId", "ExpiredTokenException", "ExpiredToken",
		"InvalidSignatureException", "IncompleteSignature", "InvalidIdentityToken":
		return ExitDenied
	}
	return ExitFailed
}

// missing says that there is no such thing.
func missing(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errNotFound, fmt.Sprintf(format, args...))
}
