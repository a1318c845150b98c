package iam_test

import (
	"encoding/json/v2"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/iam"
)

// hostile are patterns that make a naive matcher try each place of a text: n bytes each.
var hostile = map[string]func(n int) string{
	"stars between single letters":    func(n int) string { return strings.Repeat("a*", n/2) + "b" },
	"stars between words":             func(n int) string { return strings.Repeat("*aaaaaaab", n/9) },
	"one long word that almost fits":  func(n int) string { return "*" + strings.Repeat("a", n/2) + "b*" },
	"a long word at the end":          func(n int) string { return "*" + strings.Repeat("a", n/2) },
	"question marks":                  func(n int) string { return "*" + strings.Repeat("?a", n/4) + "b*" },
	"question marks alone":            func(n int) string { return "*" + strings.Repeat("?", n/2) + "b" },
	"words that end in what is not":   func(n int) string { return strings.Repeat("*"+strings.Repeat("a", 62)+"b", n/64) },
	"variables between stars":         func(n int) string { return strings.Repeat("*${aws:username}b", n/17) },
	"variables side by side":          func(n int) string { return "*" + strings.Repeat("${aws:username}", n/15) + "b*" },
	"question marks beside variables": func(n int) string { return "*" + strings.Repeat("?${aws:username}", n/16) + "b*" },
}

func documentOf(t testing.TB, statement map[string]any) *iam.Policy {
	t.Helper()
	document, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statement})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := iam.Parse(document, iam.Identity)
	if err != nil {
		t.Fatalf("%.200s: %v", document, err)
	}
	return policy
}

const longARN = "arn:aws:secretsmanager:us-east-1:111122223333:secret:"

// worstQuestion is a request of the longest ARN that is taken, by a user of whose name all variables speak.
func worstQuestion() *iam.Request {
	return &iam.Request{
		Principal: user, Action: "secretsmanager:GetSecretValue", Resource: longARN + strings.Repeat("a", 2048-len(longARN)),
		Context: iam.Map{"aws:username": {strings.Repeat("a", 64)}, "test:key": {strings.Repeat("a", 2048)}},
	}
}

// TestTheLargestPoliciesOfWildcardsAreDecidedInMilliseconds: 25 managed policies of 6,144 characters, none of which applies, so that
// each pattern is tried.
func TestTheLargestPoliciesOfWildcardsAreDecidedInMilliseconds(t *testing.T) {
	for name, pattern := range hostile {
		var resources []string
		for _, size := range []int{3000, 1500, 700, 300} {
			resources = append(resources, longARN+pattern(size))
		}
		policies := &iam.Policies{ResourceAccount: account}
		for range 25 {
			policies.Identity = append(policies.Identity, documentOf(t, map[string]any{"Effect": "Allow", "Action": "*", "Resource": resources}))
		}
		request := worstQuestion()
		work := iam.WorkOf(policies, request.Context.(iam.Map)).Of(request.Action, request.Resource)
		var decision iam.Decision
		took := cpuOf(func() { decision = iam.Evaluate(request, policies) })
		t.Logf("%-32s %12d steps %12v %.2f ns a step", name, work, took, float64(took)/float64(work))
		if decision.Allowed() != strings.HasSuffix(name, "at the end") {
			t.Errorf("%s: %v", name, decision)
		}
		if limit := 250 * time.Millisecond * slower; took > limit {
			t.Errorf("%s: %v", name, took)
		}
		if most := time.Duration(work)*30 + 20*time.Millisecond; took > most {
			t.Errorf("%s: it took %v, more than %d steps can", name, took, work)
		}
	}
}

// cpuOf is the CPU time that a function takes: others use the machine too.
func cpuOf(do func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	used := func() time.Duration {
		const thread = 1 // RUSAGE_THREAD of Linux
		var u syscall.Rusage
		if err := syscall.Getrusage(thread, &u); err != nil {
			panic(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	do()
	return used() - before
}

// slower is for machines whose caches others use, and for the race detector.
const slower = 6

// TestAPatternWithoutQuestionMarksIsMatchedInTimeThatGrowsAsItDoes: eight times the length of pattern and text is eight times the
// time, and not 64 times.
func TestAPatternWithoutQuestionMarksIsMatchedInTimeThatGrowsAsItDoes(t *testing.T) {
	for name, pattern := range hostile {
		if strings.Contains(name, "question") {
			continue
		}
		least := func(n int) time.Duration {
			policies := &iam.Policies{Identity: []*iam.Policy{documentOf(t, map[string]any{
				"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": map[string]any{"StringLike": map[string]any{"test:key": pattern(n) + "c"}},
			})}}
			request := worstQuestion()
			request.Context = iam.Map{"aws:username": {"aaaa"}, "test:key": {strings.Repeat("a", 4*n)}}
			best := time.Hour
			for range 20 {
				began := time.Now()
				for range 10 {
					iam.Evaluate(request, policies)
				}
				best = min(best, time.Since(began))
			}
			return best
		}
		if short, long := least(1_000), least(8_000); long > 32*short {
			t.Errorf("%s: %v, and %v for eight times the length", name, short, long)
		}
	}
}

func TestTheWorkOfPoliciesIsTheSumOfTheirPatternsTimesWhatTheyAreComparedWith(t *testing.T) {
	work := func(statement map[string]any, in iam.Map) iam.Work {
		return iam.WorkOf(&iam.Policies{Identity: []*iam.Policy{documentOf(t, statement)}}, in)
	}
	with := func(condition map[string]any) map[string]any {
		return map[string]any{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition}
	}
	list := func(n int) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprintf("v%05d*", i))
		}
		return out
	}
	bare := work(with(nil), nil)
	// A condition whose key the context lacks costs a look.
	if absent := work(with(map[string]any{"StringLike": map[string]any{"a:b": list(100)}}), nil); absent.Fixed != bare.Fixed+1 {
		t.Errorf("%+v, and with a condition %+v", bare, absent)
	}
	// Values of a policy times values of the request.
	of := func(values, context int) int64 {
		in := iam.Map{"a:b": list(context)}
		return work(with(map[string]any{"ForAllValues:StringLike": map[string]any{"a:b": list(values)}}), in).Fixed - bare.Fixed - 1
	}
	if one, many := of(1, 1), of(30, 70); one == 0 || many != 30*70*one {
		t.Errorf("%d for one, %d for 30 times 70", one, many)
	}
	// Each policy of each kind counts.
	one := documentOf(t, with(nil))
	all := iam.WorkOf(&iam.Policies{Identity: []*iam.Policy{one, one}, Session: []*iam.Policy{one}, Boundary: one, Resource: one}, nil)
	if all.Fixed != 5*bare.Fixed || all.Action != 5*bare.Action {
		t.Errorf("%+v is not five times %+v", all, bare)
	}
	// Actions count by the action's length, resources by the resource's.
	w := work(map[string]any{"Effect": "Allow", "Action": []string{"a:b*", "a:c*"}, "Resource": "arn:aws:s3:::*"}, nil)
	if w.Action != 2 || w.Resource != 1 || w.Of("12345", "123")-w.Of("", "") != 2*5+3 {
		t.Errorf("%+v", w)
	}
}
