package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/yaml"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func TestTheRootOfTrustIsACoreSecretAndNothingIsMadeForIt(t *testing.T) {
	got, err := rootOfTrust(context.Background(), &kubectl{path: "/does/not/exist"}, options{})
	if err != nil || got != "core-secret" {
		t.Errorf("%s, %v", got, err)
	}
}

// kubectl is a program that writes down what it is told.
func TestAnHSMClusterThatIsTheRootIsAppliedBeforeTheManagerIsToldOfIt(t *testing.T) {
	dir := t.TempDir()
	said, script := filepath.Join(dir, "said"), filepath.Join(dir, "kubectl")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho \"$@\" > "+said+"\ncat >> "+said+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := rootOfTrust(t.Context(), &kubectl{path: script}, options{root: "hsm"})
	if err != nil || got != "hsm:strongroom-system/root" {
		t.Fatalf("%s, %v", got, err)
	}
	text, err := os.ReadFile(said)
	if err != nil {
		t.Fatal(err)
	}
	command, manifest, _ := strings.Cut(string(text), "\n")
	hc := &v1alpha1.HSMCluster{}
	if err := yaml.UnmarshalStrict([]byte(manifest), hc); err != nil || !strings.HasPrefix(command, "apply ") {
		t.Fatalf("%v: %s", err, text)
	}
	if hc.Namespace+"/"+hc.Name != strings.TrimPrefix(got, "hsm:") || hc.Spec.Size < 2 || hc.Spec.SoftHSM == nil {
		t.Errorf("%+v", hc)
	}
}

func TestARootThatMakeRunDoesNotHaveIsRefused(t *testing.T) {
	o := options{bin: t.TempDir(), root: "kms"}
	if err := o.prepare(); err == nil || !strings.Contains(err.Error(), `--root is "kms"`) {
		t.Errorf("%v", err)
	}
}
