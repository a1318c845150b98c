package parameterstore_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/test/environment"
)

// everything is an object as text.
func everything(obj any) string {
	GinkgoHelper()
	text, err := json.Marshal(obj)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}

// race has n writers begin at once, and returns their errors.
func race(n int, write func(i int) error) []error {
	out := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			defer GinkgoRecover()
			<-start
			out[i] = write(i)
		})
	}
	close(start)
	wg.Wait()
	return out
}

// again carries out a write until it is not told any more that there are too many updates, as AWS says that a client should.
func again(write func() error) error {
	for {
		if err := write(); code(err) != "TooManyUpdates" {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

const writers = 32

var _ = Describe("Thirty-two writers at once", func() {
	It("that overwrite make thirty-two consecutive versions, one each", func() {
		mustPut("a", "value of nobody")
		given := make([]int64, writers)
		errs := race(writers, func(i int) error {
			_, v, err := put("a", fmt.Sprint("value of ", i), overwrite)
			given[i] = v.Sequence
			return err
		})
		Expect(errs).To(HaveEach(Succeed()))
		p := mustFind("a")
		world.Refresh(p)
		var want []int64
		for n := range int64(writers + 1) {
			want = append(want, n+1)
		}
		Expect(numbers(p)).To(Equal(want), "a version is missing or there twice")
		Expect(envelopes()).To(HaveLen(writers + 1))
		for i, n := range given {
			Expect(read(p, fmt.Sprint(n))).To(Equal(fmt.Sprint("value of ", i)), "the version that writer %d was given is another's", i)
		}
		slices.Sort(given)
		Expect(given).To(Equal(want[1:]))
	})

	It("that create without Overwrite make one parameter of one version, and one writer is told so", func() {
		errs := race(writers, func(i int) error {
			return again(func() error {
				_, _, err := put("/lock", fmt.Sprint("value of ", i))
				return err
			})
		})
		winner := slices.Index(errs, nil)
		Expect(winner).NotTo(Equal(-1))
		for i, err := range errs {
			if i != winner {
				be(err, "ParameterAlreadyExists")
			}
		}
		Expect(objects()).To(HaveLen(1))
		p := &objects()[0]
		Expect(numbers(p)).To(Equal([]int64{1}))
		world.Seen(p)
		Expect(read(p, "")).To(Equal(fmt.Sprint("value of ", winner)))
		Expect(envelopes()).To(HaveLen(1))
	})

	It("that put a label each put all of them, and one that all put is on one version", func() {
		p := mustPut("a", "1")
		for n := range 3 {
			p = mustPut("a", fmt.Sprint(n+2), overwrite)
		}
		errs := race(writers, func(i int) error {
			return again(func() error {
				_, invalid, err := service.Label(ctx, p, int64(i%4+1), []string{fmt.Sprint("l", i), "common"})
				Expect(invalid).To(BeEmpty())
				return err
			})
		})
		Expect(errs).To(HaveEach(Succeed()))
		world.Refresh(p)
		seen := map[string]int{}
		for _, v := range p.Status.Versions {
			for _, l := range v.Labels {
				seen[l]++
			}
		}
		Expect(seen).To(HaveLen(writers + 1))
		for label, times := range seen {
			Expect(times).To(Equal(1), label)
		}
	})

	It("that put a tag each put all of them", func() {
		p := mustPut("a", "1")
		errs := race(writers, func(i int) error {
			return again(func() error {
				return service.Tag(ctx, p, []v1alpha1.Tag{{Key: fmt.Sprint("k", i), Value: "v"}})
			})
		})
		Expect(errs).To(HaveEach(Succeed()))
		world.Refresh(p)
		Expect(p.Spec.Tags).To(HaveLen(writers))
	})

	It("that delete find it once, and the others are told that it is not there", func() {
		p := mustPut("a", "1")
		errs := race(writers, func(int) error { return again(func() error { return service.Delete(ctx, p) }) })
		gone := 0
		for _, err := range errs {
			if err == nil {
				gone++
				continue
			}
			be(err, "ParameterNotFound")
		}
		Expect(gone).To(Equal(1))
		Expect(objects()).To(BeEmpty())
		Expect(envelopes()).To(BeEmpty())
	})
})

var _ = Describe("Writers and the controller at once", func() {
	It("agree on every version", func() {
		p := mustPut("a", "0")
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer GinkgoRecover()
			defer close(done)
			for {
				select {
				case <-stop:
					return
				default:
					_, err := world.Parameter.Reconcile(ctx, requestOf(p))
					Expect(err).NotTo(HaveOccurred())
				}
			}
		}()
		errs := race(4, func(i int) error {
			for n := range 5 {
				if _, _, err := put("a", fmt.Sprint(i, "/", n), overwrite); err != nil {
					return err
				}
			}
			return nil
		})
		close(stop)
		<-done
		Expect(errs).To(HaveEach(Succeed()))
		pass(p)
		Expect(p.Status.Versions).To(HaveLen(21))
		Expect(envelopes()).To(HaveLen(21))
		last := map[string]bool{}
		for n := range 21 {
			last[read(p, fmt.Sprint(n+1))] = true
		}
		Expect(last).To(HaveLen(21), "a value was lost or stored twice")
	})
})

var _ = Describe("Deleting and putting at once", func() {
	It("ends with no parameter, or with one whose every version can be read", func() {
		op, err := environment.RunOperator(ctx, world.ControlPlane.Config, operator.Options{Now: time.Now}) // which knows how a parameter was deleted, and looks after what a put has left
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(op.Stop)
		for round := range 8 {
			name := fmt.Sprint("p", round)
			p := mustPut(name, "old")
			race(4, func(i int) error {
				if i == 0 {
					return again(func() error { return service.Delete(ctx, p) })
				}
				return again(func() error {
					_, _, err := put(name, "new", overwrite)
					return err
				})
			})
			id, err := parameterstore.ParseID(name)
			Expect(err).NotTo(HaveOccurred())
			Eventually(func(g Gomega) {
				left, err := service.Find(ctx, world.Namespace, home, account, &id)
				g.Expect(err).NotTo(HaveOccurred())
				live := 0
				for _, o := range objects() {
					if o.Name == name {
						live++
						g.Expect(left).NotTo(BeNil())
						g.Expect(left.ResourceVersion).To(Equal(o.ResourceVersion))
					}
				}
				if live == 0 {
					g.Expect(left).To(BeNil())
					return
				}
				for _, v := range parameterstore.IndexOf(left) {
					value, err := service.Versions().Value(ctx, service.SubjectOf(left), v)
					g.Expect(err).NotTo(HaveOccurred(), "version %d", v.Sequence)
					g.Expect(string(value.Reveal())).To(BeElementOf("old", "new"))
				}
			}).Should(Succeed())
		}
	})
})
