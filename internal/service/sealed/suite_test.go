package sealed_test

import (
	"context"
	"errors"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

func TestSealed(t *testing.T) {
	environment.Specs(t, "Sealed versions")
}

var (
	ctx   = context.Background()
	world *environment.World
	// key is each spec's own.
	key *v1alpha1.KMSKey
	// kept are versions of Parameters, which are the plainest kind: a version's id is its number.
	kept *sealed.Versions
)

var _ = BeforeSuite(func() { world = environment.NewWorld(ctx) })

var _ = BeforeEach(func() {
	world.Fresh()
	key = world.ReadyKey("key")
	kept = world.Services.Parameters.Versions()
})

// subject is the object's that specs are about.
var subject = arn.Parameter("us-east-1", "111122223333", "/prod/db")

// of is that object; it need not be there.
func of() sealed.Subject {
	return sealed.Subject{Namespace: world.Namespace, Name: "db", ARN: subject, Reading: "db/1"}
}

// content is a version under the key. Under the keyring alone if a spec takes the key out.
func content(sequence int64, value string, labels ...string) sealed.Content {
	return sealed.Content{
		ID: versions.Number(sequence), Sequence: sequence, Stages: labels, Key: key, Value: secretbytes.Copy([]byte(value)),
	}
}

func keyless(sequence int64, value string) sealed.Content {
	c := content(sequence, value)
	c.Key = nil
	return c
}

func put(c sealed.Content) versions.Version {
	GinkgoHelper()
	v, made, err := kept.Put(ctx, of(), c)
	Expect(err).NotTo(HaveOccurred())
	Expect(made).To(BeTrue())
	return v
}

func read(v versions.Version) (string, error) {
	value, err := kept.Value(ctx, of(), v)
	return string(value.Reveal()), err
}

func stored() []v1alpha1.Envelope { return world.Envelopes(v1alpha1.EnvelopeParameterVersion) }

// numbered is the Envelope of a number.
func numbered(n int64) *v1alpha1.Envelope {
	GinkgoHelper()
	for _, e := range stored() {
		if e.Spec.Sequence == n {
			return &e
		}
	}
	Fail("there is no such Envelope")
	return nil
}

// tampered expects that an error says so, and tells nothing of any value here.
func tampered(err error) {
	GinkgoHelper()
	Expect(errors.Is(err, store.ErrTampered)).To(BeTrue(), "%v", err)
	Expect(err.Error()).NotTo(ContainSubstring("hush"))
}

func sequences(ix versions.Index) (out []int64) {
	for _, v := range ix {
		out = append(out, v.Sequence)
	}
	return out
}
