package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/gateway/limits"
)

func TestAPathIsCutAtItsLastFourSegments(t *testing.T) {
	for path, want := range map[string][2]string{
		"/service/TrentService/operation/Encrypt":                          {"TrentService", "Encrypt"},
		"/v1/service/TrentService/operation/Encrypt":                       {"TrentService", "Encrypt"},
		"/service/A/operation/B/service/TrentService/operation/Encrypt":    {"TrentService", "Encrypt"},
		"//service/TrentService/operation/Encrypt":                         {"TrentService", "Encrypt"},
		"/service/com.amazonaws.kms.TrentService/operation/Encrypt":        {"com.amazonaws.kms.TrentService", "Encrypt"},
		"/service//operation/":                                             {"", ""},
		"/service/Trent%53ervice/operation/Encrypt":                        {"Trent%53ervice", "Encrypt"},
		"/service/a/operation/" + strings.Repeat("x", 10_000):              {"a", strings.Repeat("x", 10_000)},
		"/x/../service/TrentService/operation/Encrypt":                     {"TrentService", "Encrypt"},
		strings.Repeat("/x", 5_000) + "/service/KMS/operation/ListAliases": {"KMS", "ListAliases"},
	} {
		if service, operation, ok := rpcPath(path); !ok || service != want[0] || operation != want[1] {
			t.Errorf("%.80s: %.40q, %.40q, %v", path, service, operation, ok)
		}
	}
	for _, path := range []string{
		"", "/", "/service", "/service/TrentService/operation", "service/TrentService/operation/Encrypt", "/service/TrentService/operation/Encrypt/", "/Service/TrentService/operation/Encrypt",
		"/service/TrentService/Operation/Encrypt", "/service/TrentService/operation/Encrypt/x", "/service/TrentService%2Foperation/Encrypt", "/service/operation/TrentService/Encrypt",
	} {
		if service, operation, ok := rpcPath(path); ok {
			t.Errorf("%s names %q, %q", path, service, operation)
		}
	}
}

func TestAProtocolIsKnownByHeadersAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		headers http.Header
		want    protocol
	}{
		"none":                        {http.Header{}, queryProtocol{}},
		"a target":                    {http.Header{"X-Amz-Target": {"TrentService.Encrypt"}}, jsonProtocol{}},
		"an empty target":             {http.Header{"X-Amz-Target": {""}}, queryProtocol{}},
		"RPC v2":                      {http.Header{"Smithy-Protocol": {"rpc-v2-cbor"}}, rpcProtocol{}},
		"RPC v2 and a target":         {http.Header{"Smithy-Protocol": {"rpc-v2-cbor"}, "X-Amz-Target": {"a.b"}}, rpcProtocol{}},
		"RPC v2 besides another":      {http.Header{"Smithy-Protocol": {"x", "rpc-v2-cbor"}}, rpcProtocol{}},
		"another":                     {http.Header{"Smithy-Protocol": {"rpc-v2-json"}}, queryProtocol{}},
		"another and a target":        {http.Header{"Smithy-Protocol": {"x"}, "X-Amz-Target": {"a.b"}}, jsonProtocol{}},
		"in capitals":                 {http.Header{"Smithy-Protocol": {"RPC-V2-CBOR"}}, queryProtocol{}},
		"several in one":              {http.Header{"Smithy-Protocol": {"rpc-v2-cbor, x"}}, queryProtocol{}},
		"a content type tells nobody": {http.Header{"Content-Type": {"application/cbor"}}, queryProtocol{}},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header = tt.headers
		if got := protocolOf(r); got != tt.want {
			t.Errorf("%s: %T, not %T", name, got, tt.want)
		}
	}
}

func modelled(t *testing.T, name string) *service {
	t.Helper()
	model, err := limits.For(name)
	if err != nil {
		t.Fatal(err)
	}
	return &service{Service: model, messageKey: "message"}
}

func TestAServiceIsFoundByItsNameOrItsAbsoluteID(t *testing.T) {
	s := &Server{targets: map[string]*service{"TrentService": modelled(t, "kms"), "ACMPrivateCA": modelled(t, "acm-pca"), "secretsmanager": modelled(t, "secretsmanager")}}
	for name, want := range map[string]string{
		"TrentService": "kms", "com.amazonaws.kms.TrentService": "kms", "ACMPrivateCA": "acm-pca", "com.amazonaws.acmpca.ACMPrivateCA": "acm-pca",
		"com.amazonaws.secretsmanager.secretsmanager": "secretsmanager", "secretsmanager": "secretsmanager",

		"": "", ".": "", "trentservice": "", "com.amazonaws.acm-pca.ACMPrivateCA": "", "com.amazonaws.secretsmanager.TrentService": "", ".TrentService": "TrentService's own, without a namespace",
		"com.amazonaws.kms#TrentService": "", "TrentService ": "", "COM.AMAZONAWS.KMS.TrentService": "", "kms": "",
	} {
		got := ""
		if found := s.rpcService(name); found != nil {
			got = found.Header.Service
		}
		if name == ".TrentService" { // an empty namespace is none
			want = "kms"
		}
		if got != want {
			t.Errorf("%q is %q, not %q", name, got, want)
		}
	}
}

func TestAFailureIsNamedByAnAbsoluteID(t *testing.T) {
	kms, pca := modelled(t, "kms"), modelled(t, "acm-pca")
	for want, tt := range map[string]struct {
		f *failure
		s *service
	}{
		"com.amazonaws.kms#NotFoundException":                {&failure{code: "NotFoundException", modelled: true}, kms},
		"com.amazonaws.acmpca#InvalidArgsException":          {&failure{code: "InvalidArgsException", modelled: true}, pca},
		"com.amazon.coral.service#AccessDeniedException":     {&failure{code: "AccessDeniedException"}, kms},
		"com.amazon.coral.service#UnknownOperationException": {&failure{code: "UnknownOperationException"}, nil},
	} {
		if got := shapeID(tt.f, tt.s); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}

// TestEveryFailureIsOneDocumentInEveryProtocol: whatever its text is.
func TestEveryFailureOfRPCIsOneDocument(t *testing.T) {
	kms := modelled(t, "kms")
	rapid.Check(t, func(t *rapid.T) {
		f := &failure{code: "E", messageKey: "message", message: string(rapid.SliceOf(rapid.Byte()).Draw(t, "message"))}
		body := rpcProtocol{}.failure([]byte{}, f, kms, "id")
		var read map[string]string
		if err := cbor.Unmarshal(body, &read); err != nil {
			t.Fatal(err)
		}
		if read["__type"] != commonNamespace+"#E" || read["message"] != strings.ToValidUTF8(f.message, "\uFFFD") {
			t.Fatalf("%q", read)
		}
	})
}

func TestEveryKindOfFailureIsTheSameInBothProtocolsOfAService(t *testing.T) {
	for k := internal; k <= invalidInput; k++ {
		code, status := jsonProtocol{}.common(k)
		if other, also := (rpcProtocol{}).common(k); other != code || also != status {
			t.Errorf("kind %d is %s %d, and %s %d", k, code, status, other, also)
		}
	}
}

func TestABodyNeedsItsTypeAndNoBodyNeedsNone(t *testing.T) {
	for name, tt := range map[string]struct {
		kind, body string
		want       bool
	}{
		"both": {"application/cbor", "\xa0", true}, "with parameters": {"application/cbor;charset=x", "\xa0", true}, "in capitals": {"Application/CBOR", "\xa0", true},
		"neither": {"", "", true}, "a type alone": {"application/cbor", "", true},
		"a body alone": {"", "\xa0", false}, "another type": {"application/json", "", false}, "two types": {"application/cbor, application/json", "\xa0", false},
		"half a type": {"application/", "\xa0", false}, "a longer type": {"application/cbor-seq", "\xa0", false},
	} {
		e := &exchange{request: httptest.NewRequest(http.MethodPost, "/", nil), body: []byte(tt.body)}
		if tt.kind != "" {
			e.request.Header.Set("Content-Type", tt.kind)
		}
		if got := isCBOR(e); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
