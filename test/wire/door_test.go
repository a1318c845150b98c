package wire_test

import (
	"bytes"
	"context"
	"crypto/sha256"
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

// send asks an operation, with the input as JSON has it. Each request has another signature.
func (d *door) send(t *testing.T, op *limits.Operation, unsigned bool, input any) answer {
	t.Helper()
	body := encode(t, op, input)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://gateway.test/", bytes.NewReader(body))
	d.sent++
	r.Header.Set("X-Amz-Case", strconv.Itoa(d.sent)) // is signed: no two requests are taken for a replay
	if op.Service.Protocol == "query" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else {
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", op.Service.TargetPrefix+"."+op.Name)
	}
	if !unsigned {
		sum := sha256.Sum256(body)
		credentials := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}
		err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, hex.EncodeToString(sum[:]), op.Service.SigningName, region, time.Now())
		if err != nil {
			t.Fatal(err)
		}
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return read(t, op, w)
}

func encode(t *testing.T, op *limits.Operation, input any) []byte {
	t.Helper()
	if op.Service.Protocol != "query" {
		body, err := json.Marshal(input)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	form := url.Values{"Action": {op.Name}, "Version": {op.Service.APIVersion}}
	flatten(form, "", input)
	return []byte(form.Encode())
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

func read(t *testing.T, op *limits.Operation, w *httptest.ResponseRecorder) answer {
	t.Helper()
	out := answer{status: w.Code}
	if w.Code == http.StatusOK {
		return out
	}
	var err error
	if op.Service.Protocol == "query" {
		var failure struct {
			Error struct{ Code, Message string }
		}
		err = xml.Unmarshal(w.Body.Bytes(), &failure)
		out.code, out.message = failure.Error.Code, failure.Error.Message
	} else {
		var failure map[string]any
		err = json.Unmarshal(w.Body.Bytes(), &failure)
		out.code, _ = failure["__type"].(string)
		lower, _ := failure["message"].(string)
		upper, _ := failure["Message"].(string)
		out.message = lower + upper
	}
	if err != nil || out.code == "" {
		t.Errorf("%s answered %d with what is no error: %.300s (%v)", op.Name, w.Code, w.Body, err)
	}
	return out
}
