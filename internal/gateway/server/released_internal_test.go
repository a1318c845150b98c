package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/admission"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

const releasedAccount = "111122223333"

// somebody has one credential, of whoever asks.
type somebody struct{ secret string }

func (s somebody) Credential(context.Context, string, string) (serviceiam.Credential, error) {
	return serviceiam.Credential{Secret: secretbytes.Copy([]byte(s.secret)), Identity: &serviceiam.Identity{
		Principal: iam.Principal{Account: releasedAccount, ARN: "arn:aws:iam::" + releasedAccount + ":user/a"},
	}}, nil
}

// taking is a client that takes its answer when it likes: what is asked when the first byte of it is to be sent.
type taking struct {
	*httptest.ResponseRecorder
	first func()
}

func (w *taking) WriteHeader(code int) {
	w.first()
	w.ResponseRecorder.WriteHeader(code)
}

// TestWhatARequestHeldIsGivenBackBeforeItsAnswerIsSent: a client that does not take its answer keeps nothing of its account's budget, nor of
// its source's memory, whether the answer is a result, a refusal, or a failure.
func TestWhatARequestHeldIsGivenBackBeforeItsAnswerIsSent(t *testing.T) {
	const secret = "not much of a secret"
	share := int64(admission.MaximumDecoded * admission.AccountShare / 100)
	var s *Server
	during := false
	handle := func(_ context.Context, _ *gateway.Call, in *awskms.ListKeysInput, _ int) (*awskms.ListKeysOutput, error) {
		during = true
		if spent, ok := s.budget.Spend(releasedAccount, share); ok {
			spent.Return()
			t.Error("a request that is carried out holds nothing")
		}
		if aws.ToInt32(in.Limit) == 2 {
			panic("within the operation")
		}
		return &awskms.ListKeysOutput{}, nil
	}
	op := gateway.Op("ListKeys", func(context.Context, *gateway.Call, *awskms.ListKeysInput) (gateway.Resource[int], error) {
		return gateway.Resource[int]{ARN: "*"}, nil
	}, handle, gateway.ReadOnly, gateway.Unauthorized)
	for body, want := range map[string]struct {
		status  int
		carried bool
	}{
		`{"Limit":1}`:      {http.StatusOK, true},
		`{"Limit":2}`:      {http.StatusInternalServerError, true},
		`{"Limit":100000}`: {http.StatusBadRequest, false},
		`{"Limit":` + strings.Repeat("[", 40) + `}`: {http.StatusBadRequest, false},
	} {
		s = newServer(t)
		s.Credentials = somebody{secret}
		kms, err := compile(&gateway.Service{Name: "kms", Operations: []gateway.Operation{op}})
		if err != nil {
			t.Fatal(err)
		}
		s.services["kms"], s.targets["TrentService"] = kms, kms
		r := httptest.NewRequest(http.MethodPost, "https://strongroom/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", "TrentService.ListKeys")
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		sum := sha256.Sum256([]byte(body))
		credentials := aws.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: secret}
		if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, hex.EncodeToString(sum[:]), "kms", "us-east-1", time.Now()); err != nil {
			t.Fatal(err)
		}
		sent := false
		w := &taking{ResponseRecorder: httptest.NewRecorder(), first: func() {
			sent = true
			spent, ok := s.budget.Spend(releasedAccount, share)
			if !ok {
				t.Errorf("%.20s: the account's budget is held while the answer is sent", body)
			}
			spent.Return()
			held, err := s.memory.Acquire(t.Context(), admission.SourceOf(remote(r)), admission.MaximumMemory*admission.DefaultShare/100)
			if err != nil {
				t.Errorf("%.20s: the source's memory is held while the answer is sent", body)
			}
			held.Release()
		}}
		during = false
		s.ServeHTTP(w, r)
		if !sent || w.Code != want.status || during != want.carried {
			t.Errorf("%.20s: %d %s, carried out: %t", body, w.Code, w.Body, during)
		}
	}
}
