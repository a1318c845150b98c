package wire_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/fxamacker/cbor/v2"

	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/trail"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/acm"
	"strongroom.dev/strongroom/internal/gateway/acmpca"
	"strongroom.dev/strongroom/internal/gateway/cloudhsm"
	gatewayiam "strongroom.dev/strongroom/internal/gateway/iam"
	"strongroom.dev/strongroom/internal/gateway/kms"
	"strongroom.dev/strongroom/internal/gateway/limits"
	"strongroom.dev/strongroom/internal/gateway/limits/table"
	"strongroom.dev/strongroom/internal/gateway/secretsmanager"
	"strongroom.dev/strongroom/internal/gateway/server"
	"strongroom.dev/strongroom/internal/gateway/ssm"
	"strongroom.dev/strongroom/internal/gateway/sts"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

const (
	region    = "us-east-1"
	account   = "123456789012"
	accessKey = "AKIAADMIN00000000000"
	secretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

// services are all that are served. Nothing is behind them: a request that is refused for its limits never comes that far, and
// one that is not fails there, with an error that is no limit's.
func services() []gateway.Service {
	return []gateway.Service{
		gatewayiam.New(gatewayiam.Dependencies{}), kms.New(kms.Dependencies{}), secretsmanager.New(secretsmanager.Dependencies{}),
		sts.New(sts.Dependencies{}), ssm.New(ssm.Dependencies{}), acm.New(acm.Dependencies{}), acmpca.New(acmpca.Dependencies{}),
		cloudhsm.New(cloudhsm.Dependencies{}),
	}
}

// door is the gateway in memory.
type door struct {
	*server.Server
	sent int
	// as is the access key that asks, accessKey if empty.
	as string
}

func newDoor(t *testing.T) *door {
	t.Helper()
	s, err := server.New(server.Options{
		Services: services(), Regions: []string{region}, Credentials: administrator{}, Trail: trail.NewWriter(io.Discard), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &door{Server: s}
}

// administrator is the one access key there is, which may do everything.
type administrator struct{}

func (administrator) Credential(context.Context, string, string) (serviceiam.Credential, error) {
	all, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`), iam.Identity)
	return serviceiam.Credential{Secret: secretbytes.Copy([]byte(secretKey)), Identity: &serviceiam.Identity{
		Type: serviceiam.TypeIAMUser, Namespace: "default", Name: "admin", UserID: "AIDAEXAMPLE", AccessKeyID: accessKey,
		Principal: iam.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":user/admin"}, Identity: []*iam.Policy{all},
	}}, err
}

// answer is what came back, as an SDK's user sees it.
type answer struct {
	status        int
	code, message string
}

// send asks an operation, with the input as JSON has it, in one of the protocols of its service. Each request has another signature.
func (d *door) send(t *testing.T, op *limits.Operation, protocol string, unsigned bool, input any) answer {
	t.Helper()
	body := encode(t, op, protocol, input)
	path := "/"
	if protocol == rpc {
		path = "/service/" + op.Service.TargetPrefix + "/operation/" + op.Name
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://gateway.test"+path, bytes.NewReader(body))
	d.sent++
	r.Header.Set("X-Amz-Case", strconv.Itoa(d.sent)) // is signed: no two requests are taken for a replay
	switch protocol {
	case query:
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	case rpc:
		r.Header.Set("Content-Type", "application/cbor")
		r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
	default:
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", op.Service.TargetPrefix+"."+op.Name)
	}
	if !unsigned {
		sum := sha256.Sum256(body)
		credentials := aws.Credentials{AccessKeyID: cmp.Or(d.as, accessKey), SecretAccessKey: secretKey}
		err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, hex.EncodeToString(sum[:]), op.Service.SigningName, region, time.Now())
		if err != nil {
			t.Fatal(err)
		}
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return read(t, op, protocol, w)
}

// The protocols.
const (
	jsonRPC = "awsJson 1.1"
	rpc     = "RPC v2 in CBOR"
	query   = "awsQuery"
)

// protocols are those that a service speaks.
func protocols(s *limits.Service) []string {
	if s.Protocol == "query" {
		return []string{query}
	}
	return []string{jsonRPC, rpc}
}

func encode(t *testing.T, op *limits.Operation, protocol string, input any) []byte {
	t.Helper()
	var body []byte
	var err error
	switch protocol {
	case jsonRPC:
		body, err = json.Marshal(input)
	case rpc:
		body, err = cbor.Marshal(asCBOR(op.Input, input))
	}
	if err != nil {
		t.Fatal(err)
	}
	if protocol != query {
		return body
	}
	form := url.Values{"Action": {op.Name}, "Version": {op.Service.APIVersion}}
	flatten(form, "", input)
	return []byte(form.Encode())
}

// asCBOR is a value that JSON has, as CBOR has it: blobs are bytes, and times have a tag.
func asCBOR(s *limits.Shape, value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, held := range v {
			out[name] = asCBOR(heldBy(s, name), held)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, held := range v {
			out[i] = asCBOR(s.Element.Shape, held)
		}
		return out
	case string:
		if s.Type == table.Blob {
			raw, _ := base64.StdEncoding.DecodeString(v)
			return raw
		}
	}
	if s.Type == table.Timestamp {
		return cbor.Tag{Number: 1, Content: value}
	}
	return value
}

// heldBy is the shape of what a map or a structure has under a name.
func heldBy(s *limits.Shape, name string) *limits.Shape {
	if s.Type == table.Map {
		return s.Value.Shape
	}
	for _, m := range s.Members {
		if m.Wire == name {
			return m.Shape
		}
	}
	panic(s.Name + " has no member " + name)
}

// flatten writes a value as query services take it: Tags.member.1.Key.
// https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
func flatten(form url.Values, at string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, held := range v {
			flatten(form, strings.TrimPrefix(at+"."+name, "."), held)
		}
	case []any:
		for i, held := range v {
			flatten(form, fmt.Sprintf("%s.member.%d", at, i+1), held)
		}
	default:
		form.Set(at, fmt.Sprint(v))
	}
}

func read(t *testing.T, op *limits.Operation, protocol string, w *httptest.ResponseRecorder) answer {
	t.Helper()
	out := answer{status: w.Code}
	if w.Code == http.StatusOK {
		return out
	}
	var err error
	if protocol == query {
		var failure struct {
			Error struct{ Code, Message string }
		}
		err = xml.Unmarshal(w.Body.Bytes(), &failure)
		out.code, out.message = failure.Error.Code, failure.Error.Message
	} else {
		var failure map[string]any
		if protocol == rpc {
			err = cbor.Unmarshal(w.Body.Bytes(), &failure)
		} else {
			err = json.Unmarshal(w.Body.Bytes(), &failure)
		}
		out.code, _ = failure["__type"].(string)
		out.code = out.code[strings.IndexByte(out.code, '#')+1:]
		lower, _ := failure["message"].(string)
		upper, _ := failure["Message"].(string)
		out.message = lower + upper
	}
	if err != nil || out.code == "" {
		t.Errorf("%s answered %d with what is no error: %.300s (%v)", op.Name, w.Code, w.Body, err)
	}
	return out
}
