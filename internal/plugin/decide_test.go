package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func TestWhatIsTypedNamesAKindOrPartOfANameInAWS(t *testing.T) {
	for typed, want := range map[string]string{
		"db":                  "Secret db",
		"prod/db":             "Secret prod/db", // no kind is called prod
		"secret/db":           "Secret db",
		"secret/prod/db":      "Secret prod/db",
		"secret/":             "Secret secret/", // a name in AWS may end in a slash
		"PARAMETER/x":         "Parameter x",
		"ssmp//shop/url":      "Parameter /shop/url",
		"parameter /shop/url": "Parameter /shop/url",
		"key alias/shop":      "KMSKey alias/shop",
		"secret secret/db":    "Secret secret/db",
	} {
		r, err := refer(strings.Split(typed, " "), anyKind)
		if got := r.kind.name + " " + r.name; err != nil || got != want {
			t.Errorf("%q is %q, and not %q: %v", typed, got, want, err)
		}
	}
}

func TestExitCodesTellScriptsWhatHappened(t *testing.T) {
	resource := schema.GroupResource{Group: "strongroom.dev", Resource: "secrets"}
	api := func(code string) error { return fmt.Errorf("operation error: %w", &smithy.GenericAPIError{Code: code}) }
	for name, tt := range map[string]struct {
		err  error
		code int
	}{
		"nothing":                      {nil, 0},
		"any error":                    {errors.New("x"), ExitFailed},
		"nothing of that name":         {missing("x"), ExitNotFound},
		"nothing there, by Kubernetes": {fmt.Errorf("x: %w", apierrors.NewNotFound(resource, "x")), ExitNotFound},
		"forbidden by Kubernetes":      {fmt.Errorf("x: %w", apierrors.NewForbidden(resource, "x", nil)), ExitDenied},
		"not known to Kubernetes":      {apierrors.NewUnauthorized("x"), ExitDenied},
		"nothing there, by AWS":        {api("ResourceNotFoundException"), ExitNotFound},
		"no parameter":                 {api("ParameterNotFound"), ExitNotFound},
		"denied by AWS":                {api("AccessDeniedException"), ExitDenied},
		"a bad signature":              {api("InvalidSignatureException"), ExitDenied},
		"refused by AWS":               {api("InvalidRequestException"), ExitFailed},
		"too late":                     {fmt.Errorf("%w: x", errTimeout), ExitTimeout},
		"too late for AWS":             {fmt.Errorf("x: %w", context.DeadlineExceeded), ExitTimeout},
	} {
		if got := ExitCode(tt.err); got != tt.code {
			t.Errorf("%s: %d, and not %d", name, got, tt.code)
		}
	}
}

func TestAMemberOfAValueIsPrintedAsItIs(t *testing.T) {
	text := `{"password":"a\"b\n","port":5432,"nothing":null,"nested":{"a":[1]},"empty":""}`
	for member, want := range map[string]string{"password": "a\"b\n", "port": "5432", "nothing": "null", "nested": `{"a":[1]}`, "empty": ""} {
		if got, err := memberOf(&value{SecretString: &text}, member); err != nil || got != want {
			t.Errorf("%s: %q, %v", member, got, err)
		}
	}
	for name, v := range map[string]*value{"text": {Name: "db", SecretString: new("CANARY")}, "bytes": {Name: "db", SecretBinary: []byte("CANARY")}, "a list": {Name: "db", SecretString: new(`["CANARY"]`)}} {
		if _, err := memberOf(v, "x"); err == nil || strings.Contains(err.Error(), "CANARY") || !strings.Contains(err.Error(), "not a JSON object") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := memberOf(&value{Name: "db", SecretString: &text}, "x"); ExitCode(err) != ExitNotFound || strings.Contains(err.Error(), "5432") {
		t.Error(err)
	}
}

func TestAValueIsWrittenAsItIsAndNothingAfterIt(t *testing.T) {
	for name, v := range map[string]*value{"text": {SecretString: new("a\x00b ")}, "bytes": {SecretBinary: []byte("a\x00b ")}} {
		var out bytes.Buffer
		if err := (&revealFlags{output: outputRaw}).print(&out, v); err != nil || out.String() != "a\x00b " {
			t.Errorf("%s: %q, %v", name, out.String(), err)
		}
	}
	var out bytes.Buffer
	text := `{"password":"p"}`
	if err := (&revealFlags{output: outputJSON, member: "password"}).print(&out, &value{ARN: "arn", SecretString: &text}); err != nil ||
		!strings.Contains(out.String(), `"SecretString": "p"`) || !strings.Contains(out.String(), `"ARN": "arn"`) {
		t.Errorf("%s, %v", out.String(), err)
	}
}

// A variable that was forgotten would send a secret's name, and a signature, to AWS itself.
func TestRevealAsksNobodyIfItIsNotToldWhereTheGatewayIs(t *testing.T) {
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		t.Setenv(name, "")
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(home, "config"))
	if err := os.WriteFile(filepath.Join(home, "config"), []byte("[profile ignoring]\nignore_configured_endpoint_urls = true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	for says, arguments := range map[string][]string{
		"AWS_ENDPOINT_URL":         {"db"},
		"--region or set":          {"db", "--endpoint-url", "https://localhost:1"},
		"--version-stage is for":   {"parameter", "db", "--version-stage", "AWSPREVIOUS"},
		"--ca-bundle":              {"db", "--ca-bundle", "/missing"},
		"unset it":                 {"db", "--endpoint-url", "https://localhost:1", "--region", "us-east-1", "--profile", "ignoring"},
		"service-account role-arn": {"db", "--role-arn", "arn:aws:iam::123456789012:role/x"},
	} {
		c := newReveal()
		c.SilenceUsage, c.SilenceErrors = true, true
		c.SetArgs(arguments)
		if err := c.Execute(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: %v", arguments, err)
		}
	}
}

func TestTheProgramIsWhatItIsCalledBy(t *testing.T) {
	for name, tt := range map[string]struct{ arguments, uses, completes string }{
		"itself":    {"strongroom", "strongroom get", ""},
		"a plugin":  {"/usr/bin/kubectl-strongroom", "kubectl strongroom get", ""},
		"completer": {"/usr/bin/kubectl_complete-strongroom g", "strongroom get", "get\t"},
	} {
		root := &cobra.Command{Use: "strongroom"}
		root.AddCommand(Commands()...)
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetErr(&bytes.Buffer{})
		As(root, strings.Split(tt.arguments, " "))
		get, _, err := root.Find([]string{"get"})
		if err != nil || get.CommandPath() != tt.uses {
			t.Errorf("%s: %s, %v", name, get.CommandPath(), err)
		}
		if tt.completes == "" {
			root.SetArgs(nil)
		}
		if err := root.Execute(); err != nil || !strings.Contains(out.String(), tt.completes) {
			t.Errorf("%s: %s, %v", name, out.String(), err)
		}
	}
}

func TestARotationIsDoneWhenTheObjectHeededItAndHasNoneUnderWay(t *testing.T) {
	const asked = "2026-01-02T03:04:05Z"
	k, _ := kindOf("Secret")
	with := func(handled string, rotating bool, set ...string) *v1alpha1.Secret {
		s := &v1alpha1.Secret{}
		s.Status.LastHandledRotateAt = handled
		if rotating {
			s.Status.Rotation = &v1alpha1.RotationStatus{}
		}
		for _, name := range set {
			s.Status.Conditions = append(s.Status.Conditions, metav1.Condition{Type: name, Status: metav1.ConditionTrue, Message: name})
		}
		return s
	}
	for name, tt := range map[string]struct {
		secret  *v1alpha1.Secret
		settled bool
		done    bool
		says    string
	}{
		"not heeded":                      {with("", false, v1alpha1.ConditionReady), true, false, ""},
		"another was heeded":              {with("before", false, v1alpha1.ConditionReady), true, false, ""},
		"under way":                       {with(asked, true, v1alpha1.ConditionReady), true, false, ""},
		"done":                            {with(asked, false, v1alpha1.ConditionReady), false, true, ""},
		"done, and what shows it not yet": {with(asked, false), false, false, ""},
		"failing":                         {with(asked, true, v1alpha1.ConditionRotationFailing), false, false, v1alpha1.ConditionRotationFailing},
		"one before was failing":          {with("before", true, v1alpha1.ConditionRotationFailing), true, false, ""},
		"stalled":                         {with(asked, false, v1alpha1.ConditionStalled), false, false, v1alpha1.ConditionStalled},
		"stalled before it was asked":     {with("", false, v1alpha1.ConditionStalled), false, false, ""},
		"stalled and does not heed what it is asked": {with("", false, v1alpha1.ConditionStalled), true, false, v1alpha1.ConditionStalled},
	} {
		done, err := progress(k, tt.secret, asked, tt.settled)
		if done != tt.done || (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %t, %v", name, done, err)
		}
	}
}

func TestARotationIsDoneWhenAnotherVersionIsInForceAndNotWhenOneIsMade(t *testing.T) {
	secret, _ := kindOf("secret")
	s := &v1alpha1.Secret{Status: v1alpha1.SecretStatus{CurrentVersionID: "one", Versions: []v1alpha1.SecretVersion{
		{VersionID: "one", Sequence: 1, Stages: []string{"AWSCURRENT"}}, {VersionID: "two", Sequence: 2, Stages: []string{"AWSPENDING"}},
	}}}
	before := secret.made(s) // a rotation that failed has left its version pending
	s.Status.CurrentVersionID = "two"
	if before != "one" || secret.made(s) != "two" {
		t.Error(before, secret.made(s))
	}
}
