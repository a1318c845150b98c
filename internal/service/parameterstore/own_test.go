package parameterstore_test

import (
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

func TestAnARNIsAParametersOwnByNameAndRegion(t *testing.T) {
	const id = "111122223333"
	for _, tt := range []struct {
		name, region, subject string
		own                   bool
	}{
		{"/prod/a", "", arn.Parameter("us-east-1", id, "/prod/a"), true},
		{"/prod/a", "", arn.Parameter("eu-west-1", id, "/prod/a"), true},
		{"/prod/a", "eu-west-1", arn.Parameter("eu-west-1", id, "/prod/a"), true},
		{"a", "", arn.Parameter("us-east-1", id, "/a"), true},
		{"/prod/a", "eu-west-1", arn.Parameter("us-east-1", id, "/prod/a"), false},
		{"/prod/a", "", arn.Parameter("us-east-1", id, "/prod/b"), false},
		{"/prod/a", "", arn.Parameter("us-east-1", id, "/prod/a/b"), false},
		{"/prod/a", "", arn.Secret("us-east-1", id, "prod/a", "abcdef"), false},
		{"/prod/a", "", "", false},
		{"/prod/a", "", "no ARN", false},
	} {
		p := &v1alpha1.Parameter{Spec: v1alpha1.ParameterSpec{Name: tt.name, Region: tt.region}}
		if got := parameterstore.IsOwn(p, tt.subject); got != tt.own {
			t.Errorf("%q of %s in %q: %t, want %t", tt.subject, tt.name, tt.region, got, tt.own)
		}
	}
}

var _ = Describe("A status into which somebody wrote another parameter's ARN", func() {
	It("is no parameter to the API: nothing is read by it, and nothing stored in the other one's place", func() {
		victim, thief := mustPut("/victim", "theirs"), mustPut("/thief", "mine")
		thief.Status.ARN = victim.Status.ARN
		Expect(world.ControlPlane.Client.Status().Update(ctx, thief)).To(Succeed())
		world.Seen(thief)
		Expect(find("/thief")).To(BeNil())
		_, _, err := put("/thief", "planted", overwrite)
		be(err, "TooManyUpdates")
		Expect(envelopes()).To(HaveLen(2))
		Expect(service.List(ctx, world.Namespace, home, "/")).To(HaveLen(1))

		Expect(mustPut("/victim", "theirs again", overwrite).Status.Version).To(Equal(int64(2)))
		Expect(read(mustFind("/victim"), "2")).To(Equal("theirs again"))

		By("removing it, as the controller says")
		world.Clock.Advance(time.Hour) // it is not being made any more
		thief.Status.ARN, thief.Status.Versions = "", nil
		Expect(world.ControlPlane.Client.Status().Update(ctx, thief)).To(Succeed())
		world.Seen(thief)
		pass(thief)
		Expect(read(mustFind("/thief"), "1")).To(Equal("mine"))
	})
})
