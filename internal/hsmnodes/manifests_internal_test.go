package hsmnodes

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

var update = flag.Bool("update", false, "write testdata anew")

var floor = Cluster{ID: "cluster-aaaaaaaaaaa", Owner: "bank/vault", Size: 3, FIPS: true, SoftHSM: true}

// Every field of what runs, as it is applied: whoever changes one changes this file too, and so sees all of what they changed.
func TestWhatNodesRunAsIsThisAndNothingMore(t *testing.T) {
	k := &Kubernetes{Namespace: "strongroom-system", Image: "registry.example/strongroom-hsm:1", StorageClass: "fast"}
	vendor := Cluster{ID: "cluster-bbbbbbbbbbb", Owner: "bank/vendor", Size: 1, Library: "/opt/vendor/lib.so", TokenLabel: "theirs"}
	for name, objects := range map[string][]any{
		"softhsm.yaml": {k.service(floor), k.disruptionBudget(floor), k.networkPolicy(floor), k.statefulSet(floor, true)},
		"vendor.yaml":  {k.networkPolicy(vendor), k.statefulSet(vendor, false)},
	} {
		var got strings.Builder
		for _, obj := range objects {
			ac, err := unstructuredOf(obj)
			if err != nil {
				t.Fatal(err)
			}
			text, err := yaml.Marshal(ac)
			if err != nil {
				t.Fatal(err)
			}
			got.WriteString("---\n" + string(text))
		}
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, []byte(got.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != string(want) {
			t.Errorf("%s is otherwise; look at what it is, and write it by: go test ./internal/hsmnodes -run AndNothingMore -update\n%s", name, got.String())
		}
	}
}

func podOf(k *Kubernetes, c Cluster, officer bool) *appsv1.StatefulSet {
	return k.statefulSet(c, officer)
}

func TestEachSettingOfAClusterIsItsArgumentOrItsVariable(t *testing.T) {
	k := &Kubernetes{Namespace: "strongroom-system", Image: "i"}
	for name, tt := range map[string]struct {
		cluster  Cluster
		officer  bool
		has, not []string
		goDebug  string
	}{
		"SoftHSM": {floor, true, []string{"--library=/usr/lib/softhsm/libsofthsm2.so", "--token-label=strongroom", "--so-pin-file=/run/strongroom-hsm/so-pin"}, nil, "fips140=on"},
		"SoftHSM, which a library does not change": {
			Cluster{ID: "c", SoftHSM: true, Library: "/evil.so", TokenLabel: "x"}, true, []string{"--library=/usr/lib/softhsm/libsofthsm2.so"}, []string{"--library=/evil.so"}, "fips140=off",
		},
		"another library": {Cluster{ID: "c", Library: "/opt/lib.so", TokenLabel: "theirs", FIPS: true}, false, []string{"--library=/opt/lib.so", "--token-label=theirs"}, []string{"--so-pin-file=/run/strongroom-hsm/so-pin"}, "fips140=on"},
	} {
		container := podOf(k, tt.cluster, tt.officer).Spec.Template.Spec.Containers[0]
		for _, argument := range tt.has {
			if !slices.Contains(container.Args, argument) {
				t.Errorf("%s: %v lacks %s", name, container.Args, argument)
			}
		}
		for _, argument := range tt.not {
			if slices.Contains(container.Args, argument) {
				t.Errorf("%s: %v has %s", name, container.Args, argument)
			}
		}
		if container.Env[0].Name != "GODEBUG" || container.Env[0].Value != tt.goDebug {
			t.Errorf("%s: %v", name, container.Env)
		}
	}
}

// A StatefulSet's selector and the templates of its volumes cannot be changed: whatever a cluster's spec may change must leave them as they are.
func TestNothingThatMayChangeInAClusterChangesWhatAStatefulSetCannot(t *testing.T) {
	k := &Kubernetes{Namespace: "strongroom-system", Image: "one"}
	was := podOf(k, floor, true)
	k.Image = "two"
	for name, change := range map[string]func(*Cluster){
		"its size": func(c *Cluster) { c.Size = 10 }, "its library": func(c *Cluster) { c.SoftHSM, c.Library = false, "/opt/lib.so" },
		"its mode": func(c *Cluster) { c.FIPS = false }, "its owner": func(c *Cluster) { c.Owner = "x/y" }, "its token": func(c *Cluster) { c.TokenLabel = "x" },
	} {
		c := floor
		change(&c)
		is := podOf(k, c, false)
		if !reflect.DeepEqual(was.Spec.Selector, is.Spec.Selector) || !reflect.DeepEqual(was.Spec.VolumeClaimTemplates, is.Spec.VolumeClaimTemplates) ||
			was.Spec.ServiceName != is.Spec.ServiceName || was.Spec.PodManagementPolicy != is.Spec.PodManagementPolicy || was.Name != is.Name {
			t.Errorf("%s changes what cannot be", name)
		}
	}
}

// Two clusters in one namespace must not meet: a selector of one that takes in pods of the other would send requests, or let traffic, to the wrong tokens.
func TestTheSelectorsOfOneClusterAreNoOthers(t *testing.T) {
	k := &Kubernetes{Namespace: "strongroom-system"}
	other := floor
	other.ID = "cluster-aaaaaaaaaab"
	pods := podOf(k, other, true).Spec.Template.Labels
	for name, selects := range map[string]map[string]string{
		"the Service's": k.service(floor).Spec.Selector, "the StatefulSet's": podOf(k, floor, true).Spec.Selector.MatchLabels,
		"the budget's": k.disruptionBudget(floor).Spec.Selector.MatchLabels, "the policy's": k.networkPolicy(floor).Spec.PodSelector.MatchLabels,
	} {
		own := podOf(k, floor, true).Spec.Template.Labels
		takes := func(labels map[string]string) bool {
			for key, value := range selects {
				if labels[key] != value {
					return false
				}
			}
			return len(selects) > 0
		}
		if !takes(own) || takes(pods) {
			t.Errorf("%s selects %v: its own=%t, another's=%t", name, selects, takes(own), takes(pods))
		}
	}
}

func TestFilesAreWipedAndClustersWithoutALibrarySayNone(t *testing.T) {
	f := &Files{Certificate: []byte("c"), Key: []byte("CANARY"), Authority: []byte("a"), PIN: secretbytes.Copy([]byte("CANARY")), SOPIN: secretbytes.Copy([]byte("CANARY"))}
	key := f.Key
	f.Wipe()
	if strings.Contains(string(key), "CANARY") || f.PIN.Len() != 0 && strings.Contains(string(f.PIN.Reveal()), "CANARY") || f.SOPIN.Len() != 0 && strings.Contains(string(f.SOPIN.Reveal()), "CANARY") {
		t.Error("a secret is left")
	}
	if string(f.Certificate) != "c" || string(f.Authority) != "a" {
		t.Error("what is no secret is gone too")
	}
}

// What the manager logs of a Host's arguments must be no secret, whoever formats it and however.
func TestFilesDoNotPrintTheirPINs(t *testing.T) {
	f := Files{PIN: secretbytes.Copy([]byte("CANARY")), SOPIN: secretbytes.Copy([]byte("CANARY"))}
	text, err := json.Marshal(f)
	if err == nil && strings.Contains(string(text), "CANARY") {
		t.Errorf("%s", text)
	}
}
