package server

import (
	"mime"
	"net/http"

	"strongroom.dev/strongroom/internal/gateway/awsquery"
	"strongroom.dev/strongroom/internal/gateway/limits"
)

// queryProtocol is awsQuery, of STS and IAM.
type queryProtocol struct{}

const (
	formType = "application/x-www-form-urlencoded"
	xmlType  = "text/xml"
)

var xmlAnswers = []string{xmlType}

func (queryProtocol) answerTypes() []string { return xmlAnswers }

// formOf is the form of a query, unread: the body of a POST, or the URL's query of a GET, or of a POST without a body, as presigned requests
// are. The type of a body that is not there says nothing.
func formOf(e *exchange) ([]byte, error) {
	switch e.request.Method {
	case http.MethodGet:
		return []byte(e.request.URL.RawQuery), nil
	case http.MethodPost:
		if len(e.body) == 0 && e.request.URL.RawQuery != "" {
			return []byte(e.request.URL.RawQuery), nil
		}
		kind, _, err := mime.ParseMediaType(e.request.Header.Get("Content-Type"))
		if err != nil || kind != formType {
			return nil, refusal(unknownOperation, "The request has no X-Amz-Target, and its content type is not %s.", formType)
		}
		return e.body, nil
	}
	return nil, refusal(unknownOperation, "A request is a POST, or a GET of a query.")
}

func (queryProtocol) decode(e *exchange, into any) error { return awsquery.Decode(e.form, into) }

func (queryProtocol) measure(e *exchange) (int, error) { return awsquery.Measure(e.form) }

func (queryProtocol) answer(dst []byte, op *limits.Operation, output any, requestID string) []byte {
	return awsquery.Append(dst, op.Name, op.ResultWrapper, op.Service.XMLNamespace, output, requestID)
}

func (queryProtocol) failure(dst []byte, f *failure, s *service, requestID string) []byte {
	namespace := ""
	if s != nil {
		namespace = s.XMLNamespace
	}
	return awsquery.AppendError(dst, namespace, f.code, f.message, f.receiver, requestID)
}

func (queryProtocol) generic(code string, status int) (string, int) {
	switch code {
	case "AccessDeniedException", "AccessDenied":
		return "AccessDenied", http.StatusForbidden
	case "ValidationException":
		return "ValidationError", http.StatusBadRequest
	}
	return code, status
}

// common has the codes that AWS lists for its query services.
// https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
func (queryProtocol) common(k kind) (string, int) {
	c := queryCodes[k]
	return c.code, c.status
}

var queryCodes = map[kind]wireCode{
	internal:             {"InternalFailure", http.StatusInternalServerError},
	unavailable:          {"ServiceUnavailable", http.StatusServiceUnavailable},
	throttled:            {"Throttling", http.StatusBadRequest},
	missingSignature:     {"MissingAuthenticationToken", http.StatusForbidden},
	incompleteSignature:  {"IncompleteSignature", http.StatusForbidden},
	invalidSignature:     {"SignatureDoesNotMatch", http.StatusForbidden},
	unknownAccessKey:     {"InvalidClientTokenId", http.StatusForbidden},
	expiredToken:         {"ExpiredToken", http.StatusForbidden},
	serialization:        {"MalformedInput", http.StatusBadRequest},
	unknownOperation:     {"InvalidAction", http.StatusBadRequest},
	unsupportedOperation: {"UnsupportedOperation", http.StatusBadRequest},
	tooLarge:             {"RequestEntityTooLarge", http.StatusRequestEntityTooLarge},
	unmetExpectation:     {"ExpectationFailed", http.StatusExpectationFailed},
	invalidInput:         {"ValidationError", http.StatusBadRequest},
}
