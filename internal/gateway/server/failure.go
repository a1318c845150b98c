package server

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/aws/smithy-go"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"strongroom.dev/strongroom/internal/gateway/awsquery"
	"strongroom.dev/strongroom/internal/gateway/limits"
	"strongroom.dev/strongroom/internal/gateway/shapes"
	"strongroom.dev/strongroom/internal/gateway/sigv4"
)

// failure is an error as it is answered.
type failure struct {
	code, message string
	status        int
	// receiver says that it is the service's own, not the sender's: SDKs try those again.
	receiver bool
	// messageKey is the JSON member of the message.
	messageKey string
	// shape is the SDK's struct with more members, nil if there is none.
	shape any
	// modelled says that the code is the name of a shape of the service's model.
	modelled bool
}

// kind is a failure of the gateway's own. Each protocol has its names for them.
type kind int

const (
	internal kind = iota
	unavailable
	throttled
	missingSignature
	incompleteSignature
	invalidSignature
	unknownAccessKey
	expiredToken
	serialization
	unknownOperation
	unsupportedOperation
	tooLarge
	unmetExpectation
	invalidInput
)

// common is a failure with its text.
type common struct {
	kind    kind
	message string
}

// Error is the message.
func (c *common) Error() string { return c.message }

// refusal makes a failure of the gateway's own. What it quotes of a request is a name, and shortened.
func refusal(k kind, format string, args ...any) error {
	if len(args) == 0 {
		return &common{k, format}
	}
	return &common{k, fmt.Sprintf(format, args...)}
}

var (
	errInternal  = refusal(internal, "An internal failure has occurred. Strongroom's log says more under the request's id.")
	errUntrailed = refusal(internal, "The audit trail cannot be written, so nothing is changed.")
	errTooLarge  = refusal(tooLarge, "The request's body is too large.")
	errNoMemory  = refusal(unavailable, "Too many requests are being received. Try again.")
	errExpected  = refusal(unmetExpectation, "The only expectation that is met is 100-continue.")
	errTruncated = refusal(serialization, "The request's body ended early.")
)

// inner is an error of an operation: AWS's own errors are answered, all others are logged and answered without a word of them. One of AWS's own that is a failure inside
// and wraps its cause is both: answered in its own words, and logged with the cause.
func (s *Server) inner(e *exchange, err error) error {
	var known smithy.APIError
	var mine *common
	if errors.As(err, &known) || errors.As(err, &mine) {
		if known != nil && known.ErrorFault() == smithy.FaultServer && err.Error() != known.Error() { // it wraps a cause
			s.Log.Error(err, "A request failed", "operation", e.call.Service+":"+e.call.Operation, "requestID", e.requestID)
		}
		return err
	}
	if ctx := e.request.Context().Err(); ctx != nil {
		return errInternal // the client went away: nobody is there to be told, and nothing is wrong here
	}
	if limited := e.overQuota(err); limited != nil {
		s.Log.Info("A request exceeds a quota of its namespace", "operation", e.call.Service+":"+e.call.Operation, "requestID", e.requestID, "quota", err.Error())
		return limited
	}
	s.Log.Error(err, "A request failed", "operation", e.call.Service+":"+e.call.Operation, "requestID", e.requestID)
	return e.inside()
}

// inside is what has gone wrong behind an operation, of which nobody outside is told more, as the service has it.
type inside struct {
	model   *limits.Error
	message string
}

// Error is the message.
func (i *inside) Error() string { return i.message }

// ownInternal are the errors that services document for a failure inside. What has none answers InternalFailure, which AWS has for all services.
// https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html
var ownInternal = map[string]bool{
	"KMSInternalException": true, "InternalServiceError": true, "InternalServerError": true, "InternalServerException": true,
	"CloudHsmInternalFailureException": true, "ServiceFailureException": true,
}

// inside is the answer about what went wrong in the operation, or before it was known.
func (e *exchange) inside() error {
	if e.operation == nil {
		return errInternal
	}
	if own := e.documented(ownInternal); own != nil {
		return &inside{own, errInternal.Error()}
	}
	return errInternal
}

// documented is the first of the operation's errors that is one of these, nil if none is.
func (e *exchange) documented(these map[string]bool) *limits.Error {
	for _, own := range e.operation.limits.Errors {
		if these[own.Shape] {
			return own
		}
	}
	return nil
}

// ownLimits are the errors that services document for more than an account may have.
var ownLimits = map[string]bool{"LimitExceededException": true, "ParameterLimitExceeded": true}

// overQuota is the answer about an object that a ResourceQuota of the namespace does not let in: more tries would not, so it is no failure inside. It is nil for other
// errors, and where the operation documents none for that.
// https://kubernetes.io/docs/concepts/policy/resource-quotas/
func (e *exchange) overQuota(err error) error {
	if e.operation == nil || !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "exceeded quota: ") { // Kubernetes has no reason of its own for it
		return nil
	}
	own := e.documented(ownLimits)
	if own == nil {
		return nil
	}
	return &inside{own, "A quota of the account's namespace is exceeded."}
}

// refuse notes the failure and writes its answer.
func (e *exchange) refuse(err error) []byte {
	e.failure = e.failureOf(err)
	return e.protocol.failure(nil, e.failure, e.service, e.requestID)
}

func (e *exchange) failureOf(err error) *failure {
	f := &failure{messageKey: "message"}
	if e.service != nil {
		f.messageKey = e.service.messageKey
	}
	var own *common
	var within *inside
	var signature *sigv4.Error
	var violations limits.Violations
	var known smithy.APIError
	switch {
	case errors.As(err, &own):
		e.fill(f, own.kind, own.message)
	case errors.As(err, &within):
		f.message = within.message
		f.as(within.model)
	case errors.As(err, &signature):
		e.fill(f, signatureKinds[signature.Code], signature.Message)
	case errors.As(err, &violations):
		e.fill(f, invalidInput, violations.Error())
	case errors.Is(err, shapes.ErrSerialization):
		e.fill(f, serialization, without(err, shapes.ErrSerialization))
	case errors.Is(err, awsquery.ErrSerialization):
		e.fill(f, serialization, without(err, awsquery.ErrSerialization))
	case errors.As(err, &known):
		e.modelled(f, known)
	default:
		e.fill(f, internal, errInternal.Error())
	}
	return f
}

// without is an error's text without the sentinel that it begins with.
func without(err, sentinel error) string {
	return strings.TrimPrefix(err.Error(), sentinel.Error()+": ")
}

func (e *exchange) fill(f *failure, k kind, message string) {
	f.code, f.status = e.protocol.common(k)
	f.message, f.receiver = message, f.status >= http.StatusInternalServerError
}

var signatureKinds = map[sigv4.Code]kind{
	sigv4.Missing: missingSignature, sigv4.Incomplete: incompleteSignature, sigv4.Invalid: invalidSignature,
}

// modelled is one of AWS's own errors: as the model has it on the wire, or as its kind is answered if it is in no model.
func (e *exchange) modelled(f *failure, known smithy.APIError) {
	f.code, f.message = known.ErrorCode(), known.ErrorMessage()
	f.receiver = known.ErrorFault() == smithy.FaultServer
	f.status = http.StatusBadRequest
	if f.receiver {
		f.status = http.StatusInternalServerError
	}
	if generic := (*smithy.GenericAPIError)(nil); errors.As(known, &generic) {
		f.code, f.status = e.protocol.generic(f.code, f.status)
		return
	}
	f.shape = known
	shape := reflect.TypeOf(known)
	for shape.Kind() == reflect.Pointer {
		shape = shape.Elem()
	}
	if model, ok := e.service.Error(shape.Name()); ok {
		f.as(model)
	}
}

// as answers a failure as the service's model has it on the wire.
func (f *failure) as(model *limits.Error) {
	f.code, f.status, f.receiver, f.modelled = model.Code, model.Status, model.Fault, true
	if model.Message != "" {
		f.messageKey = model.Message
	}
}
