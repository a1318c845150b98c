package operator

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"strongroom.dev/strongroom/controllers"
	"strongroom.dev/strongroom/internal/hsmnodes"
)

func TestTheHomeRegionIsServedFirstAndEachRegionOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		home string
		more []string
		want []string
	}{
		"home alone":             {"us-east-1", nil, []string{"us-east-1"}},
		"others":                 {"us-east-1", []string{"eu-west-1", "ap-south-1"}, []string{"us-east-1", "eu-west-1", "ap-south-1"}},
		"home among the others":  {"us-east-1", []string{"eu-west-1", "us-east-1"}, []string{"us-east-1", "eu-west-1"}},
		"home twice among them":  {"us-east-1", []string{"us-east-1", "us-east-1"}, []string{"us-east-1"}},
		"another home, no other": {"eu-west-1", []string{}, []string{"eu-west-1"}},
	} {
		given := slices.Clone(tt.more)
		o := Options{Region: tt.home, Regions: tt.more}
		if got := o.regions(); !slices.Equal(got, tt.want) || !slices.Equal(tt.more, given) {
			t.Errorf("%s: %v, and the option is %v", name, got, tt.more)
		}
	}
}

// Pods are given the URL, and trust a certificate of that name.
func TestTheURLOfTheGatewayIsOneOfItsNamesAndEmptyWithoutAGateway(t *testing.T) {
	for bind, want := range map[string]string{"": "", "0": "", ":8444": "https://strongroom-gateway.vault.svc", "127.0.0.1:1": "https://strongroom-gateway.vault.svc"} {
		o := Options{Namespace: "vault", GatewayBindAddress: bind}
		if got := o.gatewayURL(); got != want || (got != "") != o.serves() {
			t.Errorf("at %q: %q", bind, got)
		}
	}
	names := Options{Namespace: "vault", GatewayNames: []string{"aws.example.com"}}.gatewayNames()
	for _, name := range []string{"strongroom-gateway", "strongroom-gateway.vault.svc", "localhost", "127.0.0.1", "::1", "aws.example.com"} {
		if !slices.Contains(names, name) {
			t.Errorf("%v lacks %s", names, name)
		}
	}
}

func TestHSMNodesRunWhereTheOptionsSayAndNowhereIfTheyDoNot(t *testing.T) {
	op := &Operator{}
	if host, err := op.hsmNodes(Options{}); host != nil || err != nil {
		t.Errorf("nodes run though nobody said where: %v, %v", host, err)
	}
	host, err := op.hsmNodes(Options{HSMLocalDirectory: "/d", Namespace: "own"}.withDefaults())
	local, ok := host.(*hsmnodes.Local)
	if err != nil || !ok || local.Directory != "/d" || local.Command("hsm").Args[0] != os.Args[0] {
		t.Errorf("%+v, %v", local, err)
	}
	for _, l := range local.Libraries {
		if l.Namespace != "own" {
			t.Errorf("a tenant may load %v though nobody said so", l)
		}
	}
	if _, err := op.hsmNodes(Options{HSMLocalDirectory: "/d", HSMLibraries: []string{"/opt/a.so=x"}}); err == nil {
		t.Error("a binding to no namespace is taken")
	}
}

// The registry is what the table of operations is generated from, before there is anything behind it.
func TestEachServiceHasItsNameAndEachOperationIsThereOnceWithoutAnythingBehindIt(t *testing.T) {
	services := map[string]bool{}
	for _, service := range GatewayServices(controllers.Services{}) {
		if service.Name == "" || services[service.Name] || len(service.Operations) == 0 {
			t.Errorf("%q is there twice, or serves nothing", service.Name)
		}
		services[service.Name] = true
		operations := map[string]bool{}
		for _, o := range service.Operations {
			if operations[o.Name] || o.Name == "" || strings.ToUpper(o.Name[:1]) != o.Name[:1] {
				t.Errorf("%s: %q", service.Name, o.Name)
			}
			operations[o.Name] = true
		}
	}
	for _, name := range []string{"kms", "secretsmanager", "ssm", "iam", "sts", "acm", "acm-pca"} {
		if !services[name] {
			t.Errorf("%s is not served", name)
		}
	}
}

func TestAuditRecordsAreAppendedToTheirFileAndGoToStandardOutputWithoutOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(path, []byte("earlier\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := openTrail(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "earlier\n" {
		t.Errorf("what was there is %q: %v", b, err)
	}
	for _, out := range []string{"", "-"} {
		if w, err := openTrail(out); err != nil || w == nil {
			t.Errorf("%q: %v", out, err)
		}
	}
	if _, err := openTrail(t.TempDir()); err == nil {
		t.Error("a folder is taken for a file")
	}
}

// What every object has is kept once for all of them, and what is no such text is left as it is.
func TestTextsThatEveryObjectHasAreSharedAndOthersAreKept(t *testing.T) {
	for known := range texts {
		if got := common1(strings.Clone(known)); got != known {
			t.Errorf("%q became %q", known, got)
		}
	}
	for _, other := range []string{"", "true", "AWSCURRENT ", "The secret is in force.", "a reason of one object"} {
		if got := common1(other); got != other {
			t.Errorf("%q became %q", other, got)
		}
	}
}
