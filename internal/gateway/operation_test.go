package gateway_test

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/aws/smithy-go"

	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/gateway"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

const (
	account = "123456789012"
	user    = "arn:aws:iam::" + account + ":user/dev"
	key     = "arn:aws:kms:us-east-1:" + account + ":key/1"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

type input struct{ Key string }
type output struct{ Text string }

// caller may do what the documents say.
func caller(t *testing.T, documents ...string) *gateway.Call {
	t.Helper()
	id := &serviceiam.Identity{
		Type: serviceiam.TypeIAMUser, Principal: iam.Principal{Account: account, ARN: user}, Namespace: "shop",
		UserID: "AIDAEXAMPLE", Name: "dev", Tags: map[string][]string{"team": {"shop"}},
	}
	for _, document := range documents {
		policy, err := iam.Parse([]byte(document), iam.Identity)
		if err != nil {
			t.Fatal(err)
		}
		id.Identity = append(id.Identity, policy)
	}
	return &gateway.Call{
		Identity: id, Region: "us-east-1", Time: now, SourceIP: netip.MustParseAddr("::ffff:10.0.0.7"), Service: "kms", Operation: "Encrypt",
	}
}

func allow(action, resource, more string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"` + action + `","Resource":"` + resource + `"` + more + `}]}`
}

// steps is an operation that notes what was done.
type steps struct {
	done     []string
	resource gateway.Resource[int]
	fails    error
}

func (s *steps) op(options ...gateway.Option) gateway.Operation {
	return gateway.Op("Encrypt",
		func(_ context.Context, _ *gateway.Call, in *input) (gateway.Resource[int], error) {
			s.done = append(s.done, "resolve "+in.Key)
			return s.resource, s.fails
		},
		func(_ context.Context, _ *gateway.Call, _ *input, value int) (*output, error) {
			s.done = append(s.done, "handle")
			if value < 0 {
				return nil, errRefused
			}
			return &output{Text: "done"}, nil
		}, options...)
}

var (
	errRefused = errors.New("refused")
	errMissing = errors.New("missing")
)

func invoke(s *steps, call *gateway.Call, options ...gateway.Option) (any, error) {
	op := s.op(options...)
	return op.Invoke(context.Background(), call, &input{Key: "1"})
}

func TestAPermittedOperationIsResolvedAndThenCarriedOut(t *testing.T) {
	s := &steps{resource: gateway.Resource[int]{ARN: key, Value: 1}}
	out, err := invoke(s, caller(t, allow("kms:Encrypt", key, "")))
	if err != nil || out.(*output).Text != "done" {
		t.Fatalf("%v, %v", out, err)
	}
	if !reflect.DeepEqual(s.done, []string{"resolve 1", "handle"}) {
		t.Error(s.done)
	}
}

func TestNothingIsCarriedOutWithoutPermission(t *testing.T) {
	for name, tt := range map[string]struct {
		documents []string
		want      string
	}{
		"nothing allows": {nil, "User: " + user + " is not authorized to perform: kms:Encrypt on resource: " + key +
			" because no identity-based policy allows the kms:Encrypt action"},
		"another action is allowed": {[]string{allow("kms:Decrypt", "*", "")}, "User: " + user + " is not authorized to perform: kms:Encrypt on resource: " + key +
			" because no identity-based policy allows the kms:Encrypt action"},
		"a policy denies": {[]string{allow("kms:*", "*", ""), `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`},
			"User: " + user + " is not authorized to perform: kms:Encrypt on resource: " + key + " with an explicit deny in an identity-based policy"},
	} {
		// What is missing is told to nobody who may not ask: both get one and the same answer.
		for _, missing := range []error{nil, errMissing} {
			s := &steps{resource: gateway.Resource[int]{ARN: key, Missing: missing}}
			out, err := invoke(s, caller(t, tt.documents...))
			var refused smithy.APIError
			if out != nil || !errors.As(err, &refused) || refused.ErrorCode() != "AccessDeniedException" || refused.ErrorMessage() != tt.want {
				t.Errorf("%s: %v, %v", name, out, err)
			}
			if len(s.done) != 1 {
				t.Errorf("%s: %v was done", name, s.done)
			}
		}
	}
}

func TestWhatIsMissingIsToldToWhoMayAsk(t *testing.T) {
	s := &steps{resource: gateway.Resource[int]{ARN: key, Missing: errMissing}}
	out, err := invoke(s, caller(t, allow("kms:*", "*", "")))
	if out != nil || !errors.Is(err, errMissing) || len(s.done) != 1 {
		t.Errorf("%v, %v, %v", out, err, s.done)
	}
}

func TestFailuresHaveNoOutput(t *testing.T) {
	s := &steps{fails: errRefused}
	if out, err := invoke(s, caller(t, allow("kms:*", "*", ""))); out != nil || !errors.Is(err, errRefused) || len(s.done) != 1 {
		t.Errorf("resolving: %v, %v, %v", out, err, s.done)
	}
	s = &steps{resource: gateway.Resource[int]{ARN: key, Value: -1}}
	if out, err := invoke(s, caller(t, allow("kms:*", "*", ""))); out != nil || !errors.Is(err, errRefused) {
		t.Errorf("carrying out: %v, %v", out, err)
	}
}

func TestOptionsAreTheRegistrys(t *testing.T) {
	s := &steps{resource: gateway.Resource[int]{ARN: key}}
	if _, err := invoke(s, caller(t), gateway.Unauthorized); err != nil {
		t.Errorf("an operation that needs no permission: %v", err)
	}
	if _, err := invoke(s, caller(t, allow("kms:GenerateDataKey", key, "")), gateway.Action("GenerateDataKey")); err != nil {
		t.Errorf("an operation under another action: %v", err)
	}
	op := s.op(gateway.ReadOnly, gateway.Unsigned)
	if !op.ReadOnly || !op.Unsigned || op.Unauthorized || op.Action != "Encrypt" || op.Name != "Encrypt" {
		t.Errorf("%+v", op)
	}
}

func TestAPolicySeesTheGlobalConditionKeys(t *testing.T) {
	for condition, permitted := range map[string]bool{
		`"StringEquals":{"aws:PrincipalArn":"` + user + `"}`:        true,
		`"StringEquals":{"aws:PrincipalAccount":"` + account + `"}`: true,
		`"StringEquals":{"aws:PrincipalType":"User"}`:               true,
		`"StringEquals":{"aws:username":"dev"}`:                     true,
		`"StringEquals":{"aws:userid":"AIDAEXAMPLE"}`:               true,
		`"StringEquals":{"aws:PrincipalTag/Team":"shop"}`:           true,
		`"StringEquals":{"aws:PrincipalTag/other":""}`:              false,
		`"StringEquals":{"aws:RequestedRegion":"us-east-1"}`:        true,
		`"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}`:                 true,
		`"IpAddress":{"aws:SourceIp":"192.168.0.0/16"}`:             false,
		`"Bool":{"aws:SecureTransport":"true"}`:                     true,
		`"Bool":{"aws:ViaAWSService":"true"}`:                       false,
		`"DateLessThan":{"aws:CurrentTime":"2026-11-25T12:00:01Z"}`: true,
		`"DateLessThan":{"aws:CurrentTime":"2026-11-25T12:00:00Z"}`: false,
		`"NumericEquals":{"aws:EpochTime":"1795608000"}`:            true,
		`"Null":{"aws:TokenIssueTime":"true"}`:                      true,
		`"Null":{"aws:SourceIdentity":"true"}`:                      true,
		`"StringEquals":{"kms:KeySpec":"SYMMETRIC_DEFAULT"}`:        true,
		`"Null":{"kms:Unheard":"false"}`:                            false,
	} {
		// A service cannot set what the gateway knows.
		s := &steps{resource: gateway.Resource[int]{ARN: key, Context: iam.Map{
			"kms:keyspec": {"SYMMETRIC_DEFAULT"}, "aws:sourceip": {"192.168.0.1"}, "aws:principaltag/other": {""}, "aws:tokenissuetime": {"x"},
		}}}
		_, err := invoke(s, caller(t, allow("kms:Encrypt", "*", `,"Condition":{`+condition+`}`)))
		if (err == nil) != permitted {
			t.Errorf("%s: %v", condition, err)
		}
	}
}

func TestASessionIsKnownByItsRole(t *testing.T) {
	role := "arn:aws:iam::" + account + ":role/shop"
	for condition, permitted := range map[string]bool{
		`"StringEquals":{"aws:PrincipalArn":"` + role + `"}`:         true,
		`"StringEquals":{"aws:PrincipalType":"AssumedRole"}`:         true,
		`"Null":{"aws:username":"true"}`:                             true,
		`"DateEquals":{"aws:TokenIssueTime":"2026-11-25T11:00:00Z"}`: true,
		`"StringEquals":{"aws:SourceIdentity":"alice"}`:              true,
		`"StringEquals":{"aws:userid":"AROAEXAMPLE:pod"}`:            true,
	} {
		call := caller(t, allow("kms:Encrypt", "*", `,"Condition":{`+condition+`}`))
		call.Identity.Principal.ARN, call.Identity.Principal.RoleARN = "arn:aws:sts::"+account+":assumed-role/shop/pod", role
		call.Identity.UserID, call.Identity.Issued, call.Identity.SourceIdentity = "AROAEXAMPLE:pod", now.Add(-time.Hour), "alice"
		if _, err := invoke(&steps{resource: gateway.Resource[int]{ARN: key}}, call); (err == nil) != permitted {
			t.Errorf("%s: %v", condition, err)
		}
	}
}

func TestAKeyWhoseOwnPolicyIsSilentLetsNobodyIn(t *testing.T) {
	policy, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"`+account+`"},"Action":"kms:Decrypt","Resource":"*"}]}`), iam.Key)
	if err != nil {
		t.Fatal(err)
	}
	s := &steps{resource: gateway.Resource[int]{ARN: key, Account: account, Policy: policy, MustAllow: true}}
	call := caller(t, allow("kms:*", "*", ""))
	if _, err := invoke(s, call); err == nil || !errors.As(err, new(smithy.APIError)) {
		t.Errorf("an action that the key's policy leaves out: %v", err)
	}
	if _, err := invoke(s, call, gateway.Action("Decrypt")); err != nil {
		t.Errorf("an action that it leaves to the account: %v", err)
	}
	if call.Account() != account || call.Namespace() != "shop" {
		t.Errorf("%s, %s", call.Account(), call.Namespace())
	}
}

func TestAnAnswerSaysWhichMembersAreDeclaredIfAnyAre(t *testing.T) {
	for want, declared := range map[string][]int{"": nil, "0": {0}, "0,2,9": {0, 2, 9}} {
		call := &gateway.Call{Declared: declared}
		headers := call.AnswerHeaders()
		if headers[gateway.DeclaredHeader] != want || len(headers) > 0 != (want != "") {
			t.Errorf("%v: %v", declared, headers)
		}
	}
}
