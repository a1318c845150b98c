package iam_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/iam"
)

// heavy are conditions of which as many as fit into 25 managed policies take seconds or more against a context of 8 KiB: all of them together
// have the quota's size, and none holds.
func heavy() map[string]struct {
	operator, key string
	values        func(room int) []string
	context       iam.Map
} {
	fill := func(value func(i int) string) func(int) []string {
		return func(room int) (out []string) {
			for i := 0; ; i++ {
				v := value(i)
				if room -= len(v) + 3; room < 0 {
					return out
				}
				out = append(out, v)
			}
		}
	}
	long := strings.Repeat("a", 8192)
	var short []string
	for i := range 2700 {
		short = append(short, fmt.Sprintf("%03x", i))
	}
	variable := iam.Map{"t:k": {long}, "t:v": {strings.Repeat("a", 4000)}}
	return map[string]struct {
		operator, key string
		values        func(room int) []string
		context       iam.Map
	}{
		"question marks between letters":    {"ForAnyValue:StringLike", "t:k", fill(func(int) string { return "*" + strings.Repeat("?a", 500) + "?b*" }), iam.Map{"t:k": {long}}},
		"many short ones":                   {"ForAnyValue:StringLike", "t:k", fill(func(int) string { return "*a?b*" }), iam.Map{"t:k": {long}}},
		"a long variable beside a mark":     {"ForAnyValue:StringLike", "t:k", fill(func(int) string { return "*${t:v}?b*" }), variable},
		"long variables":                    {"ForAnyValue:StringLike", "t:k", fill(func(int) string { return "${t:v}${t:v}${t:v}${t:v}" }), variable},
		"words for each of many values":     {"ForAnyValue:StringLike", "t:k", fill(func(i int) string { return fmt.Sprintf("*%d?x*", i) }), iam.Map{"t:k": short}},
		"equality for each of many values":  {"ForAnyValue:StringEquals", "t:k", fill(func(i int) string { return fmt.Sprintf("x%02x", i) }), iam.Map{"t:k": short}},
		"dates for each of many values":     {"ForAnyValue:DateEquals", "t:k", fill(func(int) string { return "2026-01-02" }), iam.Map{"t:k": short}},
		"addresses for each of many values": {"ForAnyValue:IpAddress", "t:k", fill(func(int) string { return "::1" }), iam.Map{"t:k": short}},
		"another case":                      {"ForAnyValue:StringEqualsIgnoreCase", "t:k", fill(func(int) string { return "b" }), iam.Map{"t:k": {long}}},
		"a negation":                        {"ForAllValues:StringNotLike", "t:k", fill(func(int) string { return "*${t:v}?b*" }), variable},
	}
}

// TestNoPoliciesTakeLongerThanARequestMayTake: what is not decided by then is denied, be it an Allow that might have held, or a Deny that
// might not have.
func TestNoPoliciesTakeLongerThanARequestMayTake(t *testing.T) {
	for name, c := range heavy() {
		policies := &iam.Policies{ResourceAccount: account}
		for range 25 {
			policies.Identity = append(policies.Identity, documentOf(t, map[string]any{
				"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": map[string]any{c.operator: map[string]any{c.key: c.values(6000)}},
			}))
		}
		everything := documentOf(t, map[string]any{"Effect": "Allow", "Action": "*", "Resource": "*"})
		policies.Identity = append(policies.Identity, everything)
		request := &iam.Request{Principal: user, Action: "kms:Encrypt", Resource: "*", Context: c.context}
		work := iam.WorkOf(policies, c.context).Of(request.Action, request.Resource)
		took, decision := time.Hour, iam.Decision{}
		for range 3 { // the least of them: others use the machine too
			took = min(took, cpuOf(func() { decision = iam.Evaluate(request, policies) }))
		}
		t.Logf("%-34s %14d steps %12v %+v", name, work, took, decision)
		if limit := 250 * time.Millisecond * slower; took > limit {
			t.Errorf("%s: %v", name, took)
		}
		switch {
		case decision.Exhausted && (decision.Reason != iam.ExplicitDeny || decision.Allowed() || decision.Kind != iam.KindNone):
			t.Errorf("%s: %+v", name, decision)
		case decision.Exhausted && work <= iam.MaximumWork:
			t.Errorf("%s: %d steps were counted before, and more made", name, work)
		case !decision.Exhausted && decision.Allowed() == (name == "a negation"):
			t.Errorf("%s: %+v", name, decision)
		}
	}
}

// TestTheQuestionsOfARequestShareItsWork: when it is used up, everything is denied, also what takes nothing.
func TestTheQuestionsOfARequestShareItsWork(t *testing.T) {
	everything := documentOf(t, map[string]any{"Effect": "Allow", "Action": "*", "Resource": "*"})
	cheap := &iam.Policies{ResourceAccount: account, Identity: []*iam.Policy{everything}}
	c := heavy()["many short ones"]
	dear := &iam.Policies{ResourceAccount: account, Identity: []*iam.Policy{everything, documentOf(t, map[string]any{
		"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": map[string]any{c.operator: map[string]any{c.key: c.values(6000)}},
	})}}
	request := iam.Request{Principal: user, Action: "kms:Encrypt", Resource: "*", Context: c.context, Work: iam.NewMeter()}
	asked := 0
	for iam.Evaluate(&request, dear).Allowed() {
		if asked++; asked > 1000 {
			t.Fatal("there is no end to it")
		}
	}
	if asked == 0 {
		t.Error("not even one question is answered")
	}
	for _, p := range []*iam.Policies{dear, cheap, {ResourceAccount: account}} {
		if d := iam.Evaluate(&request, p); d.Allowed() || !d.Exhausted || d.Reason != iam.ExplicitDeny {
			t.Errorf("after it: %+v", d)
		}
	}
	request.Work = nil // a question that is asked alone
	if d := iam.Evaluate(&request, cheap); !d.Allowed() || d.Exhausted {
		t.Errorf("alone: %+v", d)
	}
	if d := iam.Evaluate(&iam.Request{Principal: user, Action: "kms:Encrypt", Resource: "*", Context: c.context, Work: new(iam.Meter)}, cheap); d.Allowed() {
		t.Errorf("with no work at all: %+v", d)
	}
}
