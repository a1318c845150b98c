// Package iamdifferential holds internal/core/iam against an independent simulator of AWS IAM, @cloud-copilot/iam-simulate: the same
// generated questions go to both, and every answer that is not the same has to be one that a document of AWS's decides.
package iamdifferential_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/iam"
)

var (
	cases = flag.Int("cases", 100_000, "how many cases to compare")
	seed  = flag.Uint64("seed", 20261125, "where the cases begin")
)

func lower(s string) string { return strings.ToLower(s) }

// install puts the simulator into node_modules, in the versions of package-lock.json.
func install(t *testing.T) {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is missing, which runs the simulator that IAM's decisions are compared with: apt-get install nodejs npm (%v)", program, err)
		}
	}
	lock, err := os.ReadFile("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if done, err := os.ReadFile("node_modules/.installed"); err == nil && bytes.Equal(done, lock) {
		return
	}
	out, err := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund").CombinedOutput()
	if err != nil {
		t.Fatalf("npm ci in test/iamdifferential failed: %v: is the npm registry within reach?\n%s", err, out)
	}
	if err := os.WriteFile("node_modules/.installed", lock, 0o600); err != nil { // after npm ci: a torn installation is made anew
		t.Fatal(err)
	}
}

// simulate asks the simulator all cases in one process.
func simulate(t *testing.T, all []testCase) []string {
	t.Helper()
	var in, errs bytes.Buffer
	encoder := json.NewEncoder(&in)
	for i := range all {
		if err := encoder.Encode(&all[i]); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), "node", "simulate.js")
	command.Stdin, command.Stderr = &in, &errs
	out, err := command.Output()
	if err != nil {
		t.Fatalf("the simulator failed: %v\n%s", err, errs.String())
	}
	var answers []string
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		answers = append(answers, lines.Text())
	}
	if len(answers) != len(all) {
		t.Fatalf("the simulator answered %d of %d cases", len(answers), len(all))
	}
	return answers
}

// results are the simulator's words.
var results = map[iam.Reason]string{iam.Allowed: "Allowed", iam.ExplicitDeny: "ExplicitlyDenied", iam.ImplicitDeny: "ImplicitlyDenied"}

// decide asks internal/core/iam.
func decide(c *testCase) (iam.Decision, error) {
	policies := iam.Policies{ResourceAccount: c.Account, ResourceMustAllow: strings.HasPrefix(c.Action, "kms:")}
	var errs error
	parse := func(document object, as iam.Type) *iam.Policy {
		if document == nil {
			return nil
		}
		text, err := json.Marshal(document)
		errs = errors.Join(errs, err)
		p, err := iam.Parse(text, as)
		errs = errors.Join(errs, err)
		return p
	}
	for _, document := range c.Identity {
		policies.Identity = append(policies.Identity, parse(document, iam.Identity))
	}
	policies.Boundary = parse(c.Boundary, iam.Identity)
	if c.Session != nil {
		policies.Session = []*iam.Policy{parse(c.Session, iam.Identity)}
	}
	policies.Resource = parse(c.Policy, iam.Resource)
	if errs != nil {
		return iam.Decision{}, errs
	}
	return iam.Evaluate(&iam.Request{Principal: principalOf(c), Action: c.Action, Resource: c.Resource, Context: contextOf(c)}, &policies), nil
}

func principalOf(c *testCase) iam.Principal {
	switch c.Principal {
	case service:
		return iam.Principal{Service: service}
	case session:
		return iam.Principal{Account: here, ARN: session, RoleARN: role}
	}
	return iam.Principal{Account: here, ARN: c.Principal}
}

func contextOf(c *testCase) iam.Map {
	out := iam.Map{}
	for key, value := range c.Context {
		switch v := value.(type) {
		case string:
			out[lower(key)] = []string{v}
		case []string:
			out[lower(key)] = v
		}
	}
	return out
}

func TestDecisionsAreThoseOfAnIndependentSimulator(t *testing.T) {
	install(t)
	g := newGenerator(*seed)
	all := make([]testCase, *cases)
	for i := range all {
		all[i] = g.testCase()
	}
	answers := simulate(t, all)
	counts, settled := map[string]int{}, map[string]int{}
	failures := 0
	for i := range all {
		decision, err := decide(&all[i])
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		got := results[decision.Reason]
		counts[got]++
		if got == answers[i] {
			continue
		}
		if why := settle(&all[i], got, answers[i]); why != "" {
			settled[why]++
			continue
		}
		if failures++; failures <= 5 {
			text, _ := json.Marshal(&all[i])
			t.Errorf("case %d: we say %s (%s), the simulator %s:\n%s", i, got, decision.Kind, answers[i], text)
		}
	}
	t.Logf("%d cases: %v; settled by AWS's documents: %v; not settled: %d", len(all), counts, settled, failures)
	for _, result := range results {
		if counts[result] < len(all)/50 {
			t.Errorf("%d of %d cases are %s: the cases tell too little", counts[result], len(all), result)
		}
	}
}
