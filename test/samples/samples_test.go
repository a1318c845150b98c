// Package samples_test applies the samples as a newcomer does: one file, in a namespace that has nothing else.
package samples_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

// elsewhere are the samples that need more than a cluster, and where they are tried.
var elsewhere = map[string]string{
	"hsmcluster.yaml":      "one of its clusters needs the library of an HSM; controllers/hsmcluster runs such",
	"sealed.yaml":          "its value is for another cluster; test/e2e seals one for this",
	"rotation.yaml":        "it needs a database server; test/rotation runs one",
	"kmskey-imported.yaml": "its keys wait for the user's own material; controllers/kmskey imports such",
	"hsmroot.yaml":         "it is the root of trust of another installation; test/hsmroot runs one",
}

const patience = 30 * time.Second

func TestEachSampleAloneGetsReadyInAFreshNamespace(t *testing.T) {
	ctx := context.Background()
	cp, err := environment.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cp.Stop() })
	op, err := environment.RunOperator(ctx, cp.Config, operator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = op.Stop() })
	files, err := filepath.Glob(filepath.Join(environment.Root(), "config", "samples", "*.yaml"))
	if err != nil || len(files) <= len(elsewhere) {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			if why, ok := elsewhere[filepath.Base(file)]; ok {
				t.Skip(why)
			}
			namespace, err := cp.NewNamespace(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range applied(ctx, t, cp.Client, file, namespace) {
				if o.GroupVersionKind().Group == v1alpha1.Group {
					waitReady(ctx, t, cp.Client, o)
				}
			}
		})
	}
}

// applied applies a file to a namespace, in the order in which it is written.
func applied(ctx context.Context, t *testing.T, c client.Client, file, namespace string) (out []*unstructured.Unstructured) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		o := &unstructured.Unstructured{Object: map[string]any{}}
		if err := decoder.Decode(&o.Object); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		if o.GetKind() == "Namespace" {
			continue
		}
		if o.GetKind() != "Keyring" { // which there is one of, in the operator's own namespace
			o.SetNamespace(namespace)
		}
		if err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("kubectl")); err != nil {
			t.Fatal(o.GetKind(), o.GetName(), err)
		}
		out = append(out, o)
	}
}

func waitReady(ctx context.Context, t *testing.T, c client.Client, o *unstructured.Unstructured) {
	t.Helper()
	said := "nothing"
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err := c.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			t.Fatal(err)
		}
		list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
		for _, entry := range list {
			condition, ok := entry.(map[string]any)
			if !ok || condition["type"] != v1alpha1.ConditionReady {
				continue
			}
			if condition["status"] == "True" {
				return
			}
			said = fmt.Sprint(condition["reason"], ": ", condition["message"])
		}
	}
	t.Errorf("%s %s is not ready: %s", o.GetKind(), o.GetName(), said)
}
