package server

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
	"github.com/go-logr/logr"

	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/limits"
)

// TestAFailureInsideIsAnsweredByTheErrorThatTheServiceDocumentsForIt: SDKs have a type for it, and callers may wait for that.
func TestAFailureInsideIsAnsweredByTheErrorThatTheServiceDocumentsForIt(t *testing.T) {
	for _, tt := range []struct{ service, operation, code, key string }{
		{"kms", "Encrypt", "KMSInternalException", "message"},
		{"kms", "Encapsulate", "KMSInternalException", "message"},
		{"secretsmanager", "GetSecretValue", "InternalServiceError", "Message"},
		{"ssm", "GetParameter", "InternalServerError", "Message"},
		{"cloudhsmv2", "DescribeClusters", "CloudHsmInternalFailureException", "Message"},
		{"iam", "CreateUser", "ServiceFailure", "message"},
		{"acm", "ListCertificates", "InternalFailure", "message"},
		{"acm-pca", "IssueCertificate", "InternalFailure", "message"},
		{"sts", "GetCallerIdentity", "InternalFailure", "message"},
	} {
		model := modelled(t, tt.service)
		known, ok := model.Operation(tt.operation)
		if !ok {
			t.Fatal(tt.operation)
		}
		e := &exchange{
			protocol: jsonProtocol{}, service: model, operation: &operation{Operation: &gateway.Operation{Name: tt.operation}, limits: known},
			request: httptest.NewRequest(http.MethodPost, "/", nil),
		}
		s := &Server{Options: Options{Log: logr.Discard()}}
		f := e.failureOf(s.inner(e, errors.New("disk /dev/sda is on fire")))
		if f.code != tt.code || f.status != http.StatusInternalServerError || !f.receiver || f.messageKey != tt.key {
			t.Errorf("%s: %+v", tt.service, f)
		}
		if f.message != errInternal.Error() || strings.Contains(f.message, "fire") {
			t.Errorf("%s tells %q", tt.service, f.message)
		}
		if got := s.inner(e, &smithy.GenericAPIError{Code: "ValidationException"}); e.failureOf(got).code != "ValidationException" {
			t.Errorf("%s: an error of AWS's own became %v", tt.service, got)
		}
	}
	if err := (&exchange{}).inside(); !errors.Is(err, errInternal) {
		t.Errorf("before the operation is known: %v", err)
	}
}

// TestEveryErrorForAFailureInsideIsAServersFault: a caller is to try again.
func TestEveryErrorForAFailureInsideIsAServersFault(t *testing.T) {
	found := map[string]bool{}
	for _, name := range limits.Services() {
		model := modelled(t, name)
		for shape := range ownInternal {
			if e, ok := model.Error(shape); ok {
				found[shape] = true
				if !e.Fault || e.Status != http.StatusInternalServerError {
					t.Errorf("%s of %s: %+v", shape, name, e)
				}
			}
		}
	}
	if len(found) != len(ownInternal) {
		t.Errorf("only %v are in models", found)
	}
}
