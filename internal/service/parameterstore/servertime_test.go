package parameterstore_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// mute is an API server that does not tell its time.
type mute struct{ client.Client }

func (mute) Create(context.Context, client.Object, ...client.CreateOption) error { return nil }

var _ = Describe("The time of the API server", func() {
	It("is asked of it, and is not the manager's", func() {
		before := time.Now().Truncate(time.Second)
		now, err := parameterstore.ServerTimeOf(world.ControlPlane.Client)(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(now).To(And(BeTemporally(">=", before), BeTemporally("<=", time.Now())))
		_, err = parameterstore.ServerTimeOf(mute{})(ctx)
		Expect(err).To(MatchError(ContainSubstring("did not tell its time")))
	})

	It("says how long it is until an expiry, which is never less than nothing", func() {
		at := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
		service := parameterstore.Service{ServerTime: func(context.Context) (time.Time, error) { return at, nil }}
		for _, d := range []time.Duration{-time.Hour, 0, time.Second, time.Hour} {
			until, err := service.Until(ctx, at.Add(d))
			Expect(err).NotTo(HaveOccurred())
			Expect(until).To(Equal(max(d, 0)))
		}
	})
})
