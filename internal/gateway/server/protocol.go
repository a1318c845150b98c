package server

import (
	"net/http"
	"slices"

	"strongroom.dev/strongroom/internal/gateway/awsjson"
	"strongroom.dev/strongroom/internal/gateway/limits"
)

// protocolOf is the protocol that a request is in by its headers: they are all that is needed to tell. A request that is in none
// that is spoken here is answered as a query.
func protocolOf(r *http.Request) protocol {
	switch {
	case slices.Contains(r.Header["Smithy-Protocol"], rpcName):
		return rpcProtocol{}
	case r.Header.Get("X-Amz-Target") != "":
		return jsonProtocol{}
	}
	return queryProtocol{}
}

// protocol is how requests and answers are on the wire.
type protocol interface {
	// answerTypes is the media type of answers, as a header has it.
	answerTypes() []string
	// measure is how many values a request has, before anything is made of it.
	measure(e *exchange) (values int, err error)
	// decode reads the input of an operation, after measure.
	decode(e *exchange, into any) error
	// answer appends the answer of success.
	answer(dst []byte, op *limits.Operation, output any, requestID string) []byte
	// failure appends the answer of a failure. The service is nil if the request named none.
	failure(dst []byte, f *failure, s *service, requestID string) []byte
	// common is the code and the HTTP status of a failure of the gateway's own.
	common(k kind) (code string, status int)
	// generic is the code and status of an error that is in no model.
	generic(code string, status int) (string, int)
}

// jsonProtocol is awsJson 1.1.
type jsonProtocol struct{}

const jsonType = "application/x-amz-json-1.1"

var jsonAnswers = []string{jsonType}

func (jsonProtocol) answerTypes() []string { return jsonAnswers }

func (jsonProtocol) decode(e *exchange, into any) error {
	return awsjson.DecodeMeasured(e.body, into)
}

func (jsonProtocol) measure(e *exchange) (int, error) { return awsjson.Measure(e.body) }

func (jsonProtocol) answer(dst []byte, _ *limits.Operation, output any, _ string) []byte {
	return awsjson.Append(dst, output)
}

func (jsonProtocol) failure(dst []byte, f *failure, _ *service, _ string) []byte {
	return awsjson.AppendError(dst, f.code, f.messageKey, f.message, f.shape)
}

func (jsonProtocol) generic(code string, status int) (string, int) { return code, status }

// common has the codes that AWS lists for all its JSON services. Client faults are HTTP 400.
// https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html
func (jsonProtocol) common(k kind) (string, int) {
	c := jsonCodes[k]
	return c.code, c.status
}

type wireCode struct {
	code   string
	status int
}

var jsonCodes = map[kind]wireCode{
	internal:             {"InternalFailure", http.StatusInternalServerError},
	unavailable:          {"ServiceUnavailable", http.StatusServiceUnavailable},
	throttled:            {"ThrottlingException", http.StatusBadRequest},
	missingSignature:     {"MissingAuthenticationTokenException", http.StatusBadRequest},
	incompleteSignature:  {"IncompleteSignatureException", http.StatusBadRequest},
	invalidSignature:     {"InvalidSignatureException", http.StatusBadRequest},
	unknownAccessKey:     {"UnrecognizedClientException", http.StatusBadRequest},
	expiredToken:         {"ExpiredTokenException", http.StatusBadRequest},
	serialization:        {"SerializationException", http.StatusBadRequest},
	unknownOperation:     {"UnknownOperationException", http.StatusBadRequest},
	unsupportedOperation: {"UnsupportedOperationException", http.StatusBadRequest},
	tooLarge:             {"RequestEntityTooLargeException", http.StatusRequestEntityTooLarge},
	unmetExpectation:     {"ExpectationFailedException", http.StatusExpectationFailed},
	invalidInput:         {"ValidationException", http.StatusBadRequest},
}

// decode reads and checks the input. Of a request that cannot be read there is none: what was read of it before it broke off is no
// request, and no record tells it.
func (e *exchange) decode() error {
	input := e.operation.NewInput()
	if err := e.protocol.decode(e, input); err != nil {
		e.operation.wipeInput.wipe(input)
		return err
	}
	e.input = input
	return e.operation.limits.Check(e.input).Err()
}
