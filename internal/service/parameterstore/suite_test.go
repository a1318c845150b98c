package parameterstore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/smithy-go"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/test/environment"
)

func TestParameterStore(t *testing.T) {
	environment.Specs(t, "Parameter Store service")
}

const home = "us-east-1"

var (
	ctx   = context.Background()
	world *environment.World
	// service is what specs ask, and account that of their namespace.
	service *parameterstore.Service
	account string
)

var _ = BeforeSuite(func() { world = environment.NewWorld(ctx) })

var _ = BeforeEach(func() {
	world.Fresh()
	service, account = world.Services.Parameters, arn.DeriveAccount(world.Namespace)
})

type change = func(*parameterstore.PutInput)

// input puts a String. Change what a spec is about.
func input(name, value string, changes ...change) parameterstore.PutInput {
	in := parameterstore.PutInput{
		Namespace: world.Namespace, Account: account, Region: home, Name: name,
		Type: v1alpha1.ParameterString, Value: secretbytes.Copy([]byte(value)),
	}
	for _, c := range changes {
		c(&in)
	}
	return in
}

func overwrite(in *parameterstore.PutInput) { in.Overwrite = true }

func secure(in *parameterstore.PutInput) { in.Type = v1alpha1.ParameterSecureString }

func under(key string) change {
	return func(in *parameterstore.PutInput) { in.Type, in.KeyName = v1alpha1.ParameterSecureString, &key }
}

func tier(t v1alpha1.ParameterTier) change {
	return func(in *parameterstore.PutInput) { in.Tier = &t }
}

func pattern(p string) change {
	return func(in *parameterstore.PutInput) { in.AllowedPattern = &p }
}

func described(d string) change {
	return func(in *parameterstore.PutInput) { in.Description = &d }
}

func put(name, value string, changes ...change) (*v1alpha1.Parameter, versions.Version, error) {
	GinkgoHelper()
	return service.Put(ctx, input(name, value, changes...))
}

func mustPut(name, value string, changes ...change) *v1alpha1.Parameter {
	GinkgoHelper()
	p, _, err := put(name, value, changes...)
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(p)
	world.Seen(p)
	return p
}

// find finds a parameter as a request of the gateway does: in the cache.
func find(name string) *v1alpha1.Parameter {
	GinkgoHelper()
	id, err := parameterstore.ParseID(name)
	Expect(err).NotTo(HaveOccurred())
	p, err := service.Find(ctx, world.Namespace, home, account, &id)
	Expect(err).NotTo(HaveOccurred())
	return p
}

func mustFind(name string) *v1alpha1.Parameter {
	GinkgoHelper()
	p := find(name)
	Expect(p).NotTo(BeNil(), "there is no parameter %s", name)
	return p.DeepCopy()
}

// read opens the version that a selector names.
func read(p *v1alpha1.Parameter, selector string) string {
	GinkgoHelper()
	v, err := parameterstore.Select(p, selector)
	Expect(err).NotTo(HaveOccurred())
	value, err := world.Services.Parameters.Versions().Value(ctx, world.Services.Parameters.SubjectOf(p), v)
	Expect(err).NotTo(HaveOccurred())
	return string(value.Reveal())
}

// numbers are those of a parameter's versions.
func numbers(p *v1alpha1.Parameter) (out []int64) {
	for i := range p.Status.Versions {
		out = append(out, p.Status.Versions[i].Version)
	}
	return out
}

func labels(p *v1alpha1.Parameter, number int64) []string {
	for i := range p.Status.Versions {
		if p.Status.Versions[i].Version == number {
			return p.Status.Versions[i].Labels
		}
	}
	return nil
}

// objects are all Parameters of the spec's namespace, past the cache.
func objects() []v1alpha1.Parameter {
	GinkgoHelper()
	var list v1alpha1.ParameterList
	Expect(world.ControlPlane.Client.List(ctx, &list, client.InNamespace(world.Namespace))).To(Succeed())
	return list.Items
}

func envelopes() []v1alpha1.Envelope {
	GinkgoHelper()
	return world.Envelopes(v1alpha1.EnvelopeParameterVersion)
}

// pass makes one pass of the controller and reads the object again.
func pass(p *v1alpha1.Parameter) {
	GinkgoHelper()
	_, err := world.Parameter.Reconcile(ctx, environment.Request(p))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(p)
	world.Seen(p)
}

func requestOf(p *v1alpha1.Parameter) ctrl.Request { return environment.Request(p) }

// code is that of AWS's error, and empty if it is none of AWS's.
func code(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	return api.ErrorCode()
}

// be expects AWS's error of a code, and of a text if there is one.
func be(err error, want string, texts ...string) {
	GinkgoHelper()
	Expect(code(err)).To(Equal(want), "%v", err)
	for _, text := range texts {
		Expect(err).To(MatchError(ContainSubstring(text)))
	}
}
