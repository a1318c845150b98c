package plugin

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/sealing"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

const sealingKeyARN = "arn:aws:kms:eu-west-1:123456789012:key/0f0e0d0c-0b0a-4908-8706-050403020100"

// sealWith runs strongroom seal with a public key's file.
func sealWith(t *testing.T, value string, args ...string) (out string, private *sealing.PrivateKey, err error) {
	t.Helper()
	private, err = sealing.Derive(secretbytes.Own(make([]byte, keys.KeySize)), keys.Header{})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "shop.pub")
	if err := os.WriteFile(file, []byte(private.Public(sealingKeyARN).String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	command := newSeal()
	var stdout bytes.Buffer
	command.SetIn(strings.NewReader(value))
	command.SetOut(&stdout)
	command.SetErr(&stdout)
	command.SetArgs(append([]string{"--public-key", file}, args...))
	err = command.Execute()
	return stdout.String(), private, err
}

func TestSealPrintsAManifestThatOpensForItsNameInTheKeysAccountAndRegion(t *testing.T) {
	out, private, err := sealWith(t, "hunter2\n", "--name", "prod/Shop_db", "-n", "shop")
	if err != nil {
		t.Fatal(err)
	}
	var s v1alpha1.Secret
	if err := yaml.UnmarshalStrict([]byte(out), &s); err != nil {
		t.Fatal(err)
	}
	if s.Kind != "Secret" || s.APIVersion != "strongroom.dev/v1alpha1" || s.Namespace != "shop" || s.Name != "prod-shop-db" || s.Spec.Name != "prod/Shop_db" {
		t.Errorf("%s", out)
	}
	value, err := private.Open(sealing.Scope{Kind: "Secret", Account: "123456789012", Region: "eu-west-1", Name: "prod/Shop_db"}, s.Spec.Sealed)
	if err != nil || string(value.Reveal()) != "hunter2\n" || s.Spec.Region != "eu-west-1" {
		t.Errorf("%v: %s", err, out)
	}
}

func TestSealPrintsAParameterThatOpensForItsNameWithOrWithoutASlash(t *testing.T) {
	for name, tier := range map[string]v1alpha1.ParameterTier{"/prod/shop/key": "", "key": "", "/key": v1alpha1.TierAdvanced} {
		value := "hunter2"
		if tier != "" {
			value = strings.Repeat("x", parameterstore.MaximumStandard+1)
		}
		out, private, err := sealWith(t, value, "--kind", "Parameter", "--name", name, "-n", "shop")
		if err != nil {
			t.Fatal(err)
		}
		var p v1alpha1.Parameter
		if err := yaml.UnmarshalStrict([]byte(out), &p); err != nil {
			t.Fatal(err)
		}
		if p.Kind != "Parameter" || p.AWSName() != name || p.Spec.Type != v1alpha1.ParameterSecureString || p.Spec.Tier != tier || p.Spec.Target.Secret == nil {
			t.Errorf("%s", out)
		}
		opened, err := private.Open(sealing.Scope{Kind: "Parameter", Account: "123456789012", Region: "eu-west-1", Name: p.CanonicalName()}, p.Spec.Sealed)
		if err != nil || string(opened.Reveal()) != value {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSealPrintsTheValueAloneForAnyNameIfItIsAskedTo(t *testing.T) {
	out, private, err := sealWith(t, "hunter2", "--scope", "account", "--region", "us-east-1", "-o", "raw")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := private.OpenFor(sealing.Scope{Kind: "Secret", Account: "123456789012", Region: "us-east-1", Name: "any"}, out); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestSealSaysWhatIsWrongAndNeverTheValue(t *testing.T) {
	for what, tt := range map[string]struct {
		value string
		args  []string
		says  string
	}{
		"no name":           {"canary", nil, "--name is missing"},
		"another scope":     {"canary", []string{"--name", "a", "--scope", "wide"}, "strict or account"},
		"another output":    {"canary", []string{"--name", "a", "-o", "json"}, "yaml or raw"},
		"a name of nothing": {"canary", []string{"--name", "___"}, "--object-name is missing"},
		"a bad name":        {"canary", []string{"--name", "bad name!"}, "1 to 512 letters"},
		"another kind":      {"canary", []string{"--name", "a", "--kind", "KMSKey"}, "Secret or Parameter"},
		"a secret's name":   {"canary", []string{"--name", "a@b", "--kind", "Parameter"}, "a path that begins with a slash"},
		"a name of AWS's":   {"canary", []string{"--name", "/aws/a", "--kind", "Parameter"}, "aws and ssm are not at its beginning"},
		"a long parameter":  {strings.Repeat("canary", 1400), []string{"--name", "a", "--kind", "Parameter"}, "at most 8192"},
		"no value":          {"", []string{"--name", "a"}, "1 to 65536 bytes"},
		"too much":          {strings.Repeat("canary", 11000), []string{"--name", "a"}, "1 to 65536 bytes"},
		"a key as well":     {"canary", []string{"--name", "a", "--key", "k"}, "none of the others can be"},
	} {
		out, _, err := sealWith(t, tt.value, tt.args...)
		if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error()+out, "canary") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
