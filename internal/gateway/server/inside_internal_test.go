package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

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

// TestAFailureInsideInAServicesOwnWordsIsAnsweredInTheseAndLoggedWithItsCause: who reads the log is to know what is wrong, and who asked which of many it was.
func TestAFailureInsideInAServicesOwnWordsIsAnsweredInTheseAndLoggedWithItsCause(t *testing.T) {
	model := modelled(t, "ssm")
	known, _ := model.Operation("GetParameters")
	e := &exchange{
		protocol: jsonProtocol{}, service: model, operation: &operation{Operation: &gateway.Operation{Name: "GetParameters"}, limits: known},
		request: httptest.NewRequest(http.MethodPost, "/", nil),
	}
	own := &types.InternalServerError{Message: ptr.To("the parameter /a cannot be read")}
	cause := errors.New("disk /dev/sda is on fire")
	for _, tt := range []struct {
		err    error
		logged int
	}{
		{fmt.Errorf("%w: %w", own, cause), 1},
		{own, 0}, // it has no cause to log, as while the keyring is sealed
		{fmt.Errorf("asking: %w", &smithy.GenericAPIError{Code: "ValidationException", Fault: smithy.FaultClient}), 0},
	} {
		var lines []string
		s := &Server{Options: Options{Log: funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{})}}
		f := e.failureOf(s.inner(e, tt.err))
		if len(lines) != tt.logged || tt.logged == 1 && !strings.Contains(lines[0], "on fire") {
			t.Errorf("%v: logged %q", tt.err, lines)
		}
		if strings.Contains(f.message, "fire") || tt.logged == 1 && (f.code != "InternalServerError" || f.status != http.StatusInternalServerError || f.message != *own.Message) {
			t.Errorf("%v: %+v", tt.err, f)
		}
	}
}

// overQuota is what the API server says of an object that a ResourceQuota does not let in, by way of a use case.
func overQuota() error {
	return fmt.Errorf("creating: %w", apierrors.NewForbidden(schema.GroupResource{Group: "strongroom.dev", Resource: "kmskeys"}, "secret-name",
		errors.New("exceeded quota: few, requested: count/kmskeys.strongroom.dev=1, used: count/kmskeys.strongroom.dev=2, limited: count/kmskeys.strongroom.dev=2")))
}

// TestAQuotaOfKubernetesIsAnsweredAsTheServicesOwnLimit: SDKs would try a failure inside again, and again.
func TestAQuotaOfKubernetesIsAnsweredAsTheServicesOwnLimit(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "kmskeys"}, "x", errors.New("no right"))
	for _, tt := range []struct{ service, operation, code string }{
		{"kms", "CreateKey", "LimitExceededException"},
		{"kms", "CreateGrant", "LimitExceededException"},
		{"kms", "ReplicateKey", "LimitExceededException"},
		{"secretsmanager", "CreateSecret", "LimitExceededException"},
		{"secretsmanager", "PutSecretValue", "LimitExceededException"},
		{"ssm", "PutParameter", "ParameterLimitExceeded"},
		{"acm", "RequestCertificate", "LimitExceededException"},
		{"acm-pca", "CreateCertificateAuthority", "LimitExceededException"},
		{"iam", "CreateUser", "LimitExceeded"},
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
		f := e.failureOf(s.inner(e, overQuota()))
		if f.code != tt.code || f.status >= http.StatusInternalServerError || f.receiver || f.message != "A quota of the account's namespace is exceeded." {
			t.Errorf("%s of %s: %+v", tt.operation, tt.service, f)
		}
		for _, other := range []error{forbidden, errors.New("exceeded quota: few")} {
			if f := e.failureOf(s.inner(e, other)); f.status < http.StatusInternalServerError {
				t.Errorf("%s of %s: %v became %+v", tt.operation, tt.service, other, f)
			}
		}
	}
	none, _ := modelled(t, "kms").Operation("Encrypt")
	e := &exchange{operation: &operation{limits: none}}
	if err := e.overQuota(overQuota()); err != nil {
		t.Errorf("an operation that documents no limit answers %v", err)
	}
	if err := (&exchange{}).overQuota(overQuota()); err != nil {
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
