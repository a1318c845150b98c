package gateway_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/audit"
)

func deny(action string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"` + action + `","Resource":"*"}]}`
}

func keyPolicy(t *testing.T, effect, principal string) *iam.Policy {
	t.Helper()
	p, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"`+effect+`","Principal":{"AWS":"`+principal+`"},"Action":"kms:*","Resource":"*"}]}`), iam.Key)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func identityPolicy(t *testing.T, document string) *iam.Policy {
	t.Helper()
	p, err := iam.Parse([]byte(document), iam.Identity)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// told is the message of a denial, empty if it is none.
func told(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var refused smithy.APIError
	if !errors.As(err, &refused) || refused.ErrorCode() != "AccessDeniedException" || refused.ErrorFault() != smithy.FaultClient {
		t.Fatalf("%v is no denial", err)
	}
	return refused.ErrorMessage()
}

func TestADenialSaysWhichKindOfPolicyAndNothingOfWhatItSays(t *testing.T) {
	const head = "User: " + user + " is not authorized to perform: kms:Encrypt on resource: " + key
	all := allow("*", "*", "")
	other := "arn:aws:iam::" + account + ":user/other"
	for name, tt := range map[string]struct {
		documents []string
		change    func(*gateway.Call)
		question  gateway.Question
		want      string
	}{
		"permitted": {[]string{all}, nil, gateway.Question{}, ""},
		"no policy": {nil, nil, gateway.Question{}, head + " because no identity-based policy allows the kms:Encrypt action"},
		"a denial":  {[]string{all, deny("kms:Encrypt")}, nil, gateway.Question{}, head + " with an explicit deny in an identity-based policy"},
		"a boundary that is silent": {[]string{all}, func(c *gateway.Call) { c.Identity.Boundary = identityPolicy(t, allow("sqs:*", "*", "")) }, gateway.Question{},
			head + " because no permissions boundary allows the kms:Encrypt action"},
		"a boundary that denies": {[]string{all}, func(c *gateway.Call) { c.Identity.Boundary = identityPolicy(t, deny("*")) }, gateway.Question{},
			head + " with an explicit deny in a permissions boundary"},
		"a session policy that is silent": {[]string{all}, func(c *gateway.Call) { c.Identity.Session = []*iam.Policy{identityPolicy(t, allow("sqs:*", "*", ""))} }, gateway.Question{},
			head + " because no session policy allows the kms:Encrypt action"},
		"the resource's policy denies": {[]string{all}, nil, gateway.Question{Policy: keyPolicy(t, "Deny", user), MustAllow: true},
			head + " with an explicit deny in a resource-based policy"},
		"the resource's policy lets another in": {[]string{all}, nil, gateway.Question{Policy: keyPolicy(t, "Allow", other), MustAllow: true},
			head + " because no resource-based policy allows the kms:Encrypt action"},
		"the resource's policy lets this one in": {nil, nil, gateway.Question{Policy: keyPolicy(t, "Allow", user), MustAllow: true}, ""},
		"nothing in particular": {nil, nil, gateway.Question{Resource: "*"},
			"User: " + user + " is not authorized to perform: kms:Encrypt because no identity-based policy allows the kms:Encrypt action"},
		"a resource that is named in part": {nil, nil, gateway.Question{Named: "alias/shop"},
			"User: " + user + " is not authorized to perform: kms:Encrypt on resource: alias/shop because no identity-based policy allows the kms:Encrypt action"},
		"words of AWS's own": {nil, nil, gateway.Question{Denial: "The ciphertext refers to a key that you may not use."}, "The ciphertext refers to a key that you may not use."},
	} {
		call := caller(t, tt.documents...)
		if tt.change != nil {
			tt.change(call)
		}
		q := tt.question
		q.Action = "kms:Encrypt"
		if q.Resource == "" {
			q.Resource = key
		}
		got := told(t, call.Authorize(q))
		// Which kinds there are is package iam's to name: the sentence around them is this package's.
		if got != tt.want && strings.ReplaceAll(got, "permission boundary", "permissions boundary") != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tt.want)
		}
		if strings.Contains(got, "other") || strings.Contains(got, "sqs") {
			t.Errorf("%s: %q tells what a policy says", name, got)
		}
	}
}

// TestADenialIsTheSameWhetherOrNotTheResourceIsThere: whoever may do nothing with a resource is told the same if it has a policy that
// denies, one that is silent, or is not there at all.
func TestADenialIsTheSameWhetherOrNotTheResourceIsThere(t *testing.T) {
	unknown := func() gateway.Question { return gateway.Question{Resource: key, Action: "kms:Other"} }
	answers := map[string]string{}
	for name, policy := range map[string]*iam.Policy{
		"denies": keyPolicy(t, "Deny", user), "is silent": keyPolicy(t, "Allow", "arn:aws:iam::"+account+":user/other"), "is not there": nil,
	} {
		answers[name] = told(t, caller(t).Authorize(gateway.Question{Action: "kms:Encrypt", Resource: key, Policy: policy, MustAllow: policy != nil, Unknown: unknown}))
	}
	if answers["denies"] != answers["is not there"] || answers["is silent"] != answers["is not there"] || !strings.Contains(answers["denies"], "perform: kms:Encrypt") {
		t.Errorf("%q", answers)
	}
	// Whoever would be let in but for the resource's own policy is told of that: to them the resource is no secret.
	with := told(t, caller(t, allow("kms:*", "*", "")).Authorize(gateway.Question{Action: "kms:Encrypt", Resource: key, Policy: keyPolicy(t, "Deny", user), MustAllow: true, Unknown: unknown}))
	if !strings.Contains(with, "with an explicit deny in a resource-based policy") {
		t.Error(with)
	}
}

// exhausting is a condition that takes more than a request may, against a value that a service gave.
func exhausting(effect, principal string) (document string, context iam.Map) {
	values := strings.Repeat(`"*a?b*",`, 3000)
	return `{"Version":"2012-10-17","Statement":{"Effect":"` + effect + `",` + principal + `"Action":"*","Resource":"*","Condition":{"StringLike":{"t:k":[` +
		strings.TrimSuffix(values, ",") + `]}}}}`, iam.Map{"t:k": {strings.Repeat("a", 8192)}}
}

// TestPoliciesThatTakeTooLongDenyTheRequestAndAllThatItAsksAfterwards, and the message says so.
func TestPoliciesThatTakeTooLongDenyTheRequestAndAllThatItAsksAfterwards(t *testing.T) {
	document, context := exhausting("Deny", "")
	call := caller(t, allow("*", "*", ""), document)
	asked := gateway.Question{Action: "kms:Encrypt", Resource: key, Context: context}
	want := "User: " + user + " is not authorized to perform: kms:Encrypt on resource: " + key + " because the policies that apply to this request take too long to evaluate"
	if got := told(t, call.Authorize(asked)); got != want {
		t.Errorf("%q", got)
	}
	asked.Context = nil
	if got := told(t, call.Authorize(asked)); got != want {
		t.Errorf("another question of the request: %q", got)
	}
	if got := told(t, caller(t, allow("*", "*", ""), document).Authorize(asked)); got != "" {
		t.Errorf("another request, which lacks the key: %q", got)
	}
}

// TestAPolicyThatTakesTooLongDoesNotTellThatItsResourceIsThere: a stranger is told what he would be of one that is not.
func TestAPolicyThatTakesTooLongDoesNotTellThatItsResourceIsThere(t *testing.T) {
	document, context := exhausting("Allow", `"Principal":"*",`)
	policy, err := iam.Parse([]byte(document), iam.Key)
	if err != nil {
		t.Fatal(err)
	}
	unknown := func() gateway.Question { return gateway.Question{Resource: key, MustAllow: true} }
	there := gateway.Question{Action: "kms:Encrypt", Resource: key, Policy: policy, MustAllow: true, Context: context, Unknown: unknown}
	missing := gateway.Question{Action: "kms:Encrypt", Resource: key, MustAllow: true, Context: context, Unknown: unknown}
	if a, b := told(t, caller(t).Authorize(there)), told(t, caller(t).Authorize(missing)); a != b || a == "" {
		t.Errorf("%q, and of one that is not there %q", a, b)
	}
	there.Denial = "The ciphertext refers to a key that you may not use."
	if got := told(t, caller(t).Authorize(there)); got != there.Denial {
		t.Errorf("%q", got)
	}
}

func TestAnOperationsRecordNamesWhatItMadeOrWhatWasAskedFor(t *testing.T) {
	const made = key + "-made"
	for name, tt := range map[string]struct {
		resource gateway.Resource[int]
		allowed  bool
		want     []audit.Resource
	}{
		"what was asked for":           {gateway.Resource[int]{ARN: key}, true, []audit.Resource{{ARN: key, Account: account}}},
		"of another account":           {gateway.Resource[int]{ARN: key, Account: "444455556666"}, true, []audit.Resource{{ARN: key, Account: "444455556666"}}},
		"though it is refused":         {gateway.Resource[int]{ARN: key}, false, []audit.Resource{{ARN: key, Account: account}}},
		"though it is missing":         {gateway.Resource[int]{ARN: key, Missing: errMissing}, true, []audit.Resource{{ARN: key, Account: account}}},
		"nothing in particular":        {gateway.Resource[int]{ARN: "*"}, true, nil},
		"what was made":                {gateway.Resource[int]{ARN: key, Made: func(any) string { return made }}, true, []audit.Resource{{ARN: made, Account: account}}},
		"what was made, if it is said": {gateway.Resource[int]{ARN: key, Made: func(any) string { return "" }}, true, []audit.Resource{{ARN: key, Account: account}}},
		"what failed to be made":       {gateway.Resource[int]{ARN: key, Value: -1, Made: func(any) string { return made }}, true, []audit.Resource{{ARN: key, Account: account}}},
	} {
		call := caller(t)
		if tt.allowed {
			call = caller(t, allow("kms:*", "*", ""))
			call.Identity.Identity[0] = identityPolicy(t, allow("*", "*", ""))
		}
		// A resource of another account needs its own policy's word, which is not this test's.
		options := []gateway.Option{}
		if tt.resource.Account != "" {
			options = append(options, gateway.Unauthorized)
		}
		_, _ = invoke(&steps{resource: tt.resource}, call, options...)
		if !reflect.DeepEqual(call.Resources, tt.want) {
			t.Errorf("%s: %v", name, call.Resources)
		}
	}
}

// TestEveryGlobalKeyIsTheGatewaysAlone: whatever context a service brings, it cannot answer for a global key.
func TestEveryGlobalKeyIsTheGatewaysAlone(t *testing.T) {
	call := caller(t)
	forged := iam.Map{}
	keys := []string{"aws:principalarn", "aws:principalaccount", "aws:principaltype", "aws:userid", "aws:username", "aws:sourceidentity", "aws:tokenissuetime",
		"aws:multifactorauthpresent", "aws:sourceip", "aws:securetransport", "aws:requestedregion", "aws:currenttime", "aws:epochtime", "aws:principalisawsservice", "aws:viaawsservice",
		"aws:principaltag/team", "aws:principaltag/none"}
	for _, name := range keys {
		forged[name] = []string{"forged"}
	}
	forged["kms:keyspec"] = []string{"its own"}
	for _, with := range []iam.Context{forged, nil} {
		context := call.Context(with)
		for _, name := range keys {
			if values, _ := context.Values(name); len(values) > 0 && values[0] == "forged" {
				t.Errorf("%s is the service's", name)
			}
		}
	}
	if values, ok := call.Context(forged).Values("kms:keyspec"); !ok || values[0] != "its own" {
		t.Errorf("the service's own key: %v", values)
	}
	if _, ok := call.Context(nil).Values("kms:keyspec"); ok {
		t.Error("a key that nobody has is there")
	}
}

func TestADecisionIsTheAnswerWithoutItsWords(t *testing.T) {
	call := caller(t, allow("kms:Encrypt", "*", ""), deny("kms:Decrypt"))
	for action, want := range map[string]bool{"kms:Encrypt": true, "kms:Decrypt": false, "kms:Sign": false} {
		d := call.Decision(gateway.Question{Action: action, Resource: key})
		if d.Allowed() != want || (d.Reason == iam.ExplicitDeny) != (action == "kms:Decrypt") {
			t.Errorf("%s: %+v", action, d)
		}
		if err := call.Authorize(gateway.Question{Action: action, Resource: key}); (err == nil) != want {
			t.Errorf("%s: %v", action, err)
		}
	}
}

func TestAnOperationMakesAnInputAndAnOutputOfItsOwnEachTime(t *testing.T) {
	op := (&steps{}).op(gateway.Issues)
	if !op.Issues {
		t.Error("the option is lost")
	}
	in, out := op.NewInput().(*input), op.NewOutput().(*output)
	in.Key, out.Text = "a", "b"
	if *op.NewInput().(*input) != (input{}) || *op.NewOutput().(*output) != (output{}) {
		t.Error("two requests share one")
	}
	defer func() {
		if recover() == nil {
			t.Error("another operation's input was taken")
		}
	}()
	_, _ = op.Invoke(context.Background(), caller(t), &output{})
}
