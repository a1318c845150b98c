package secretsmanager_test

import (
	"context"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/test/environment"
)

func TestSecretsManager(t *testing.T) {
	environment.Specs(t, "Secrets Manager service")
}

var (
	ctx   = context.Background()
	world *environment.World
	// key is each spec's own.
	key *v1alpha1.KMSKey
)

var _ = BeforeSuite(func() { world = environment.NewWorld(ctx) })

var _ = BeforeEach(func() {
	world.Fresh()
	key = world.ReadyKey("key")
})

// subject is the secret that specs put versions of.
var subject = arn.Secret("us-east-1", "111122223333", "prod/db", "AbCdEf")

// service is the World's, with changes of it and of its KMS service.
func service(changes ...func(*secretsmanager.Service, *kms.Service)) *secretsmanager.Service {
	s, k := *world.Services.Secrets, *world.Services.KMS
	s.KMS = &k
	for _, change := range changes {
		change(&s, &k)
	}
	return &s
}

// of is the secret in the World's namespace.
func of() sealed.Subject { return sealed.Subject{Namespace: world.Namespace, Name: "db", ARN: subject} }

// input is a version to put.
func input(sequence int64, value string, stages ...string) sealed.Content {
	return sealed.Content{Sequence: sequence, Stages: stages, Key: key, Value: secretbytes.Copy([]byte(value))}
}

func put(sequence int64, value string) versions.Version {
	GinkgoHelper()
	v, _, err := service().Put(ctx, of(), input(sequence, value, versions.Current))
	Expect(err).NotTo(HaveOccurred())
	return v
}

func read(v versions.Version) (string, error) {
	value, err := service().Versions().Value(ctx, of(), v)
	return string(value.Reveal()), err
}

// envelopeOf reads the Envelope of a version.
func envelopeOf(v versions.Version) *v1alpha1.Envelope {
	GinkgoHelper()
	for _, e := range world.Envelopes(v1alpha1.EnvelopeSecretVersion) {
		if e.Spec.Subject == subject && e.Spec.Sequence == v.Sequence {
			return &e
		}
	}
	Fail("there is no Envelope of " + v.ID)
	return nil
}

func faultOf(err error, reason string, stalled bool) {
	GinkgoHelper()
	Expect(err).To(HaveOccurred())
	f := fault.Of(err)
	Expect(f.Reason).To(Equal(reason), "of %v", err)
	Expect(f.Stalled).To(Equal(stalled))
}
