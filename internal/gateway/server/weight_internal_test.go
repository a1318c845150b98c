package server

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/admission"
	"strongroom.dev/strongroom/internal/gateway/shapes"
	"strongroom.dev/strongroom/internal/gateway/sigv4"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

// weighed is a request of an account for an operation, authenticated or not.
func weighed[I, O any](t *testing.T, p protocol, service, operation, account, body string, signed bool) *exchange {
	t.Helper()
	op := gateway.Op(operation, func(context.Context, *gateway.Call, *I) (gateway.Resource[int], error) {
		return gateway.Resource[int]{}, nil
	},
		func(context.Context, *gateway.Call, *I, int) (*O, error) { return new(O), nil })
	compiled, err := compile(&gateway.Service{Name: service, Operations: []gateway.Operation{op}})
	if err != nil {
		t.Fatal(err)
	}
	e := &exchange{
		request: httptest.NewRequest("POST", "/", nil), protocol: p, service: compiled, operation: compiled.operations[operation],
		body: []byte(body), form: []byte(body), requestID: "id",
	}
	e.call.Identity = &serviceiam.Identity{Principal: iam.Principal{Account: account}}
	if signed {
		e.signed = &sigv4.Request{}
	}
	return e
}

func TestARequestThatTheBudgetHasNoRoomForIsThrottledAsAWSDoes(t *testing.T) {
	const a, b = "111122223333", "444455556666"
	text := strings.Repeat("x", 10_000)
	for name, tt := range map[string]struct {
		make func(account string) *exchange
		want []string
	}{
		"JSON": {func(account string) *exchange {
			return weighed[awskms.EncryptInput, awskms.EncryptOutput](t, jsonProtocol{}, "kms", "Encrypt", account, `{"KeyId":"`+text+`"}`, true)
		}, []string{`"ThrottlingException"`, `"Rate exceeded"`}},
		"CBOR": {func(account string) *exchange {
			return weighed[awskms.EncryptInput, awskms.EncryptOutput](t, rpcProtocol{}, "kms", "Encrypt", account, "\xa1\x65KeyId\x79\x27\x10"+text, true)
		}, []string{"ThrottlingException", "Rate exceeded"}},
		"query": {func(account string) *exchange {
			return weighed[awsiam.GetUserInput, awsiam.GetUserOutput](t, queryProtocol{}, "iam", "GetUser", account, "UserName="+text, true)
		}, []string{"<Code>Throttling</Code>", "<Message>Rate exceeded</Message>"}},
	} {
		first := tt.make(a)
		weight := first.operation.weight(10_012, 3)
		s := &Server{budget: admission.NewBudget(4*weight+weight/4, 34)}
		if err := s.weigh(first); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		second := tt.make(a)
		err := s.weigh(second)
		if !errors.Is(err, errRate) {
			t.Fatalf("%s: one account had more than its share: %v", name, err)
		}
		for answer, want := string(second.refuse(err)), tt.want; len(want) > 0; want = want[1:] {
			if !strings.Contains(answer, want[0]) {
				t.Errorf("%s: %q lacks %s", name, answer, want[0])
			}
		}
		other := tt.make(b)
		if err := s.weigh(other); err != nil {
			t.Errorf("%s: another account pays for it: %v", name, err)
		}
		first.wipe()
		if err := s.weigh(second); err != nil {
			t.Errorf("%s: what was taken is not given back: %v", name, err)
		}
	}
}

func TestARequestThatNobodySignedIsToBeSmall(t *testing.T) {
	s := &Server{budget: admission.NewBudget(1, 1)} // which it has nothing of
	for n, want := range map[int]error{maximumUnsignedValues: nil, maximumUnsignedValues + 1: shapes.ErrManyValues} {
		form := strings.TrimPrefix(strings.Repeat("&a=", n), "&")
		e := weighed[awsiam.GetUserInput, awsiam.GetUserOutput](t, queryProtocol{}, "iam", "GetUser", "", form, false)
		if err := s.weigh(e); !errors.Is(err, want) || (err != nil) != (want != nil) {
			t.Errorf("%d values: %v", n, err)
		}
	}
}

// TestTheLargestRequestOfAnyOperationHasRoom: what one operation can weigh at the most is less than an account's share, or else it
// would be carried out only when no other is.
func TestTheLargestRequestWeighsLessThanAnAccountsShare(t *testing.T) {
	op := weighed[awsiam.SimulateCustomPolicyInput, awsiam.SimulateCustomPolicyOutput](t, queryProtocol{}, "iam", "SimulateCustomPolicy", "", "", true).operation
	if w, share := op.weight(maximumBody, shapes.MaximumValues), int64(admission.MaximumDecoded*admission.AccountShare/100); w > share {
		t.Errorf("%d of %d", w, share)
	}
}
