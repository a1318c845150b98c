package parameterstore

import (
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	"k8s.io/utils/ptr"
)

// The errors of AWS Systems Manager, with its texts.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html#API_PutParameter_Errors

// NotFound says that there is no such parameter. AWS tells most requests no text.
func NotFound(name string) error {
	out := &types.ParameterNotFound{}
	if name != "" {
		out.Message = ptr.To("Parameter " + name + " not found.")
	}
	return out
}

func versionNotFound(name, selector string) error {
	return &types.ParameterVersionNotFound{
		Message: ptr.To(fmt.Sprintf("Systems Manager could not find version %s of %s. Verify the version and try again.", selector, name)),
	}
}

// Invalid is AWS's ValidationException.
func Invalid(message string) error {
	return &smithy.GenericAPIError{Code: "ValidationException", Message: message, Fault: smithy.FaultClient}
}

// InvalidPolicyParameter is AWS's ResourcePolicyInvalidParameterException about a member of a request.
func InvalidPolicyParameter(name, message string) error {
	return &types.ResourcePolicyInvalidParameterException{ParameterNames: []string{name}, Message: &message}
}

func alreadyExists() error {
	return &types.ParameterAlreadyExists{
		Message: ptr.To("The parameter already exists. To overwrite this value, set the overwrite option in the request to true."),
	}
}

// reserved says that a name is below a path of AWS's own, which nobody puts parameters at.
func reserved(name string) error {
	return &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "No access to reserved parameter name: " + name + ".", Fault: smithy.FaultClient}
}

// historyFull says which version has the label that keeps another one out.
func historyFull(name string, oldest int64) error {
	return &types.ParameterMaxVersionLimitExceeded{Message: ptr.To(fmt.Sprintf("You attempted to create a new version of %s by calling the PutParameter API "+
		"with the overwrite flag. Version %d, the oldest version, can't be deleted because it has a label associated with it. Move the label to another version "+
		"of the parameter, and try again.", name, oldest))}
}

func mismatch(pattern string) error {
	return &types.ParameterPatternMismatchException{
		Message: ptr.To("Parameter value, cannot be validated against allowedPattern: " + pattern),
	}
}

func contended() error {
	return &types.TooManyUpdates{Message: ptr.To("There are concurrent updates for a resource that supports one update at a time.")}
}

// IsNotFound tells whether an error is that there is no such parameter.
func IsNotFound(err error) bool {
	var missing *types.ParameterNotFound
	return errors.As(err, &missing)
}
