package kms_test

import (
	"context"
	"errors"
	"io"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

func TestKMS(t *testing.T) {
	environment.Specs(t, "KMS service")
}

var (
	ctx   = context.Background()
	world *environment.World
)

var _ = BeforeSuite(func() { world = environment.NewWorld(ctx) })

var _ = BeforeEach(func() { world.Fresh() })

// The ids of AWS's own examples.
const (
	keyID      = "1234abcd-12ab-34cd-56ef-1234567890ab"
	otherKeyID = "0987dcba-09fe-87dc-65ba-ab0987654321"
)

func keyARN(id string) string { return arn.KMSKey("us-east-1", "111122223333", id) }

// service is the World's, with a change.
func service(changes ...func(*kms.Service)) *kms.Service {
	s := *world.Services.KMS
	for _, change := range changes {
		change(&s)
	}
	return &s
}

func random(r io.Reader) func(*kms.Service) { return func(s *kms.Service) { s.Random = r } }

var errDry = errors.New("the random source is dry")

// limited is a source of random bytes that runs dry after so many.
type limited struct{ left int }

func (l *limited) Read(p []byte) (int, error) {
	n := min(len(p), l.left)
	for i := range n {
		p[i] = 0xA5
	}
	l.left -= n
	if n == 0 {
		return 0, errDry
	}
	return n, nil
}

// witness is a source of random bytes that remembers where it wrote them, to see later whether they were wiped.
type witness struct{ given [][]byte }

func (w *witness) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(len(w.given)*16 + i%16 + 1)
	}
	w.given = append(w.given, p)
	return len(p), nil
}

// faultOf checks an error's place in conditions: its reason, and whether only somebody's change helps.
func faultOf(err error, reason string, stalled bool) {
	GinkgoHelper()
	Expect(err).To(HaveOccurred())
	f := fault.Of(err)
	Expect(f.Reason).To(Equal(reason))
	Expect(f.Stalled).To(Equal(stalled))
	Expect(f.RetryAfter).To(BeNumerically(">", 0), "a fault that is looked at again by its own clock")
}

func material(key *v1alpha1.KMSKey, sequence int) v1alpha1.KeyMaterial {
	return key.Status.KeyMaterials[sequence-1]
}
