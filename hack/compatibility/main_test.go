package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"strongroom.dev/strongroom/controllers"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/limits"
	"strongroom.dev/strongroom/internal/operator"
)

func registry() []gateway.Service { return operator.GatewayServices(controllers.Services{}) }

// rows are the table of a service in a page: what is said of an operation, by its name.
func rows(t *testing.T, page, service string) map[string]string {
	t.Helper()
	_, after, found := strings.Cut(page, "\n## "+service+"\n")
	if !found {
		t.Fatalf("there is no section %s", service)
	}
	section, _, _ := strings.Cut(after, "\n## ")
	out := map[string]string{}
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if name, ok := strings.CutPrefix(cells[0], "| "); ok && name != "operation" && name != "---" {
			if _, twice := out[name]; twice {
				t.Errorf("%s: %s is listed twice", service, name)
			}
			out[name] = cells[1]
		}
	}
	return out
}

func TestThePageHasEveryOperationOfEveryServedServiceAndSaysWhetherItIsServed(t *testing.T) {
	page, err := page(registry())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range registry() {
		model, err := limits.For(s.Name)
		if err != nil {
			t.Fatal(err)
		}
		got := rows(t, page, model.ServiceID)
		if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, model.Operations()) {
			t.Errorf("%s: the page lists %q, and AWS's model has %q", s.Name, names, model.Operations())
		}
		for name, said := range got {
			want := "no"
			if slices.ContainsFunc(s.Operations, func(op gateway.Operation) bool { return op.Name == name }) {
				want = "yes"
			}
			if said != want {
				t.Errorf("%s: %s is said to be served: %s; want %s", s.Name, name, said, want)
			}
		}
		count := fmt.Sprintf("| %d | %d |\n", len(s.Operations), len(model.Operations()))
		if !strings.Contains(page, "| ["+model.ServiceID+"](") || !strings.Contains(page, count) {
			t.Errorf("%s: the counts at the top lack %q", s.Name, count)
		}
	}
}

func TestThePageInTheTreeIsTheOneThatIsGenerated(t *testing.T) {
	want, err := page(registry())
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../docs/aws-compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/aws-compatibility.md is stale: run `make generate`")
	}
}

func TestAnOperationThatAWSLacksIsRefused(t *testing.T) {
	services := []gateway.Service{{Name: "kms", Operations: []gateway.Operation{{Name: "Explode"}}}}
	if _, err := page(services); err == nil || !strings.Contains(err.Error(), "Explode") {
		t.Errorf("the error is %v; want one that names Explode", err)
	}
}

func TestAServiceWithoutAModelIsRefused(t *testing.T) {
	if _, err := page([]gateway.Service{{Name: "nothing"}}); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("the error is %v; want one that names the service", err)
	}
}

func TestANoteOnAnOperationThatIsNotServedIsRefused(t *testing.T) {
	services := registry()
	for i := range services {
		services[i].Operations = nil
	}
	if _, err := page(services); err == nil || !strings.Contains(err.Error(), "there is a note on") {
		t.Errorf("the error is %v; want one about a note", err)
	}
}
