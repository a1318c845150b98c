package cmd

import (
	"bytes"
	"strings"
	"testing"
)

func TestVersionNamesTheCryptographicModule(t *testing.T) {
	c := newVersion()
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetArgs([]string{})
	if err := c.Execute(); err != nil || !strings.Contains(out.String(), "fips140 module") || !strings.Contains(out.String(), "go1.") {
		t.Errorf("%v: %s", err, out.String())
	}
}

func TestBadFlagsAreRefusedWithTheRemedy(t *testing.T) {
	tests := map[string]string{
		"--log-level=loud":              "debug, info, warn or error",
		"--log-format=xml":              "json or text",
		"--concurrency=0":               "1 to 1024",
		"--concurrency=5000":            "1 to 1024",
		"--gateway-authority=gateways":  "NAMESPACE/NAME",
		"--gateway-authority=a/b/c":     "NAMESPACE/NAME",
		"--gateway-authority=/gateways": "NAMESPACE/NAME",
		"--gateway-authority=A/b":       "NAMESPACE/NAME",
		"--gateway-source-share=4":      "5 to 100",
		"--gateway-source-share=101":    "5 to 100",
		"--namespace=":                  "--namespace",
		"--kubeconfig=/missing":         "--kubeconfig",
		"--unknown":                     "unknown flag",
	}
	for flag, says := range tests {
		c := newManager()
		c.SilenceUsage, c.SilenceErrors = true, true
		c.SetArgs([]string{flag})
		if err := c.Execute(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

func TestTheNamespaceComesFromThePod(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "vault")
	if got := ownNamespace(); got != "vault" {
		t.Error(got)
	}
	t.Setenv("POD_NAMESPACE", "")
	if got := ownNamespace(); got != "strongroom-system" {
		t.Error(got)
	}
}
