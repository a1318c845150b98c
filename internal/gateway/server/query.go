package server

import (
	"encoding/xml"
	"mime"
	"net/http"
	"net/url"

	"strongroom.dev/strongroom/internal/gateway/limits"
)

// queryProtocol is awsQuery, of STS and IAM.
type queryProtocol struct{}

func (queryProtocol) contentType() string { return "text/xml" }

const formType = "application/x-www-form-urlencoded"

// formOf is the form of a query: the body of a POST, or the URL's query of a GET, as presigned requests are.
func formOf(e *exchange) (url.Values, error) {
	switch e.request.Method {
	case http.MethodGet:
		form, err := url.ParseQuery(e.request.URL.RawQuery)
		if err != nil {
			return nil, refusal(serialization, "The query cannot be read.")
		}
		return form, nil
	case http.MethodPost:
		kind, _, err := mime.ParseMediaType(e.request.Header.Get("Content-Type"))
		if err != nil || kind != formType {
			return nil, refusal(unknownOperation, "The request has no X-Amz-Target, and its content type is not %s.", formType)
		}
		form, err := url.ParseQuery(string(e.body))
		if err != nil {
			return nil, refusal(serialization, "The form cannot be read.")
		}
		return form, nil
	}
	return nil, refusal(unknownOperation, "A request is a POST, or a GET of a query.")
}

func (queryProtocol) decode(*exchange, any) error {
	return refusal(unsupportedOperation, "not yet")
}

func (queryProtocol) answer(dst []byte, _ *limits.Operation, _ any, _ string) []byte { return dst }

func (queryProtocol) failure(dst []byte, f *failure, s *service, requestID string) []byte {
	body := struct {
		XMLName   xml.Name `xml:"ErrorResponse"`
		Namespace string   `xml:"xmlns,attr,omitempty"`
		Type      string   `xml:"Error>Type"`
		Code      string   `xml:"Error>Code"`
		Message   string   `xml:"Error>Message"`
		RequestID string   `xml:"RequestId"`
	}{Type: "Sender", Code: f.code, Message: f.message, RequestID: requestID}
	if f.receiver {
		body.Type = "Receiver"
	}
	if s != nil {
		body.Namespace = s.XMLNamespace
	}
	text, _ := xml.Marshal(body) // of strings alone
	return append(dst, text...)
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
	invalidInput:         {"ValidationError", http.StatusBadRequest},
}
