//go:build cgo

package cloudhsm_test

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hsmclient "strongroom.dev/strongroom/internal/core/hsm/client"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

// slow reads one object no sooner than it is let.
type slow struct {
	client.Reader
	name  string
	begun atomic.Int32
	let   chan struct{}
}

func (s *slow) Get(ctx context.Context, key client.ObjectKey, obj client.Object, options ...client.GetOption) error {
	if key.Name == s.name {
		s.begun.Add(1)
		select {
		case <-s.let:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.Reader.Get(ctx, key, obj, options...)
}

var _ = Describe("A cluster whose credentials take long to be read", func() {
	It("keeps none but its own callers waiting, who read them once and get one client", func() {
		c := clusters()
		here := namespace(nil)
		stuck, quick := create(here, "stuck", nil, nil), create(here, "quick", nil, nil)
		for _, hc := range []client.Object{stuck, quick} {
			_, err := c.Credentials(ctx, create(namespace(nil), hc.GetName(), nil, nil)) // others of the name are others
			Expect(err).NotTo(HaveOccurred())
		}
		_, err := c.Credentials(ctx, stuck)
		Expect(err).NotTo(HaveOccurred())
		_, err = c.Credentials(ctx, quick)
		Expect(err).NotTo(HaveOccurred())
		live := &slow{Reader: cp.Client, name: cloudhsm.CredentialsName(cloudhsm.ClusterID(here, "stuck")), let: make(chan struct{})}
		c.Live = live
		connect := func(ctx context.Context, hc client.Object) (*hsmclient.Cluster, error) {
			return c.Connect(ctx, client.ObjectKeyFromObject(hc), []string{"127.0.0.1:1"})
		}

		got := make(chan *hsmclient.Cluster, 8)
		var waiting sync.WaitGroup
		for range cap(got) {
			waiting.Go(func() {
				defer GinkgoRecover()
				cluster, err := connect(ctx, stuck)
				Expect(err).NotTo(HaveOccurred())
				got <- cluster
			})
		}
		Eventually(live.begun.Load).Should(BeEquivalentTo(1))
		began := time.Now()
		_, err = connect(ctx, quick)
		Expect(err).NotTo(HaveOccurred())
		c.Close(client.ObjectKeyFromObject(quick))
		Expect(time.Since(began)).To(BeNumerically("<", 5*time.Second))

		short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		_, err = connect(short, stuck)
		Expect(err).To(MatchError(context.DeadlineExceeded))
		Consistently(got, "100ms").ShouldNot(Receive())

		close(live.let)
		waiting.Wait()
		first := <-got
		for range cap(got) - 1 {
			Expect(<-got).To(BeIdenticalTo(first))
		}
		Expect(live.begun.Load()).To(BeEquivalentTo(1))
	})

	It("is connected for others though who asked first has gone", func() {
		c := clusters()
		hc := create(namespace(nil), "left", nil, nil)
		_, err := c.Credentials(ctx, hc)
		Expect(err).NotTo(HaveOccurred())
		live := &slow{Reader: cp.Client, name: cloudhsm.CredentialsName(cloudhsm.ClusterID(hc.Namespace, hc.Name)), let: make(chan struct{})}
		c.Live = live
		gone, leave := context.WithCancel(ctx)
		left := make(chan error, 1)
		go func() {
			_, err := c.Connect(gone, client.ObjectKeyFromObject(hc), []string{"127.0.0.1:1"})
			left <- err
		}()
		Eventually(live.begun.Load).Should(BeEquivalentTo(1))
		leave()
		Eventually(left).Should(Receive(MatchError(context.Canceled)))
		close(live.let)
		_, err = c.Connect(ctx, client.ObjectKeyFromObject(hc), []string{"127.0.0.1:1"})
		Expect(err).NotTo(HaveOccurred())
		Expect(live.begun.Load()).To(BeEquivalentTo(1), "what the first began was of use to the second")
	})
})
