package secret_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// contested refuses writes with a conflict, as the API server does when somebody else wrote in between.
type contested struct {
	client.Client
	// refuse decides about the nth write, what being verb and kind.
	refuse func(n int, what string) bool

	mu      sync.Mutex
	n       int
	refused int
}

func (c *contested) write(verb string, obj any, do func() error) error {
	c.mu.Lock()
	c.n++
	no := c.refuse(c.n, fmt.Sprintf("%s %T", verb, obj))
	if no {
		c.refused++
	}
	c.mu.Unlock()
	if no {
		return apierrors.NewConflict(schema.GroupResource{Resource: "contested"}, verb, errors.New("somebody else wrote"))
	}
	return do()
}

func (c *contested) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	return c.write("create", obj, func() error { return c.Client.Create(ctx, obj, opts...) })
}

func (c *contested) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	return c.write("patch", obj, func() error { return c.Client.Patch(ctx, obj, patch, opts...) })
}

func (c *contested) Apply(ctx context.Context, obj runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
	return c.write("apply", obj, func() error { return c.Client.Apply(ctx, obj, opts...) })
}

func (c *contested) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	return c.write("delete", obj, func() error { return c.Client.Delete(ctx, obj, opts...) })
}

func (c *contested) Status() client.SubResourceWriter { return &contestedStatus{c.Client.Status(), c} }

type contestedStatus struct {
	client.SubResourceWriter
	c *contested
}

func (s *contestedStatus) Update(ctx context.Context, obj client.Object, opts ...client.SubResourceUpdateOption) error {
	return s.c.write("status", obj, func() error { return s.SubResourceWriter.Update(ctx, obj, opts...) })
}

// contestedBy makes reconcilers whose writes are refused by a rule. Workloads' are not: see Projector.Restart.
func contestedBy(refuse func(n int, what string) bool) (*environment.Reconcilers, *contested) {
	faulty, writes := env.Faulty()
	c := &contested{Client: writes.Client, refuse: refuse}
	writes.Client = c
	return faulty, c
}

// persist makes passes, as a queue does after errors, until one succeeds without a write, and counts those that failed.
func persist(r *environment.Reconcilers, c *contested, s *v1alpha1.Secret) (failed int) {
	GinkgoHelper()
	for range 40 {
		before := c.n
		result, err := r.Secret.Reconcile(ctx, environment.Request(s))
		refresh(s)
		seen(s)
		Expect(err).NotTo(HaveOccurred(), "that another writer came first is no error")
		if c.n == before {
			return failed
		}
		if result.RequeueAfter > 0 && result.RequeueAfter < time.Second { // a race was lost
			Expect(condition(s, v1alpha1.ConditionStalled)).To(BeNil(), "a conflict passes: nobody has to do anything")
			failed++
		}
	}
	Fail("it does not settle")
	return failed
}

var _ = Describe("Conflicts on writes", func() {
	// workload reports the kinds that are restarted.
	workload := func(what string) bool {
		return what == "apply *v1.DeploymentApplyConfiguration" || what == "apply *v1.StatefulSetApplyConfiguration"
	}
	rules := map[string]func() func(int, string) bool{
		"the first of each kind of write": func() func(int, string) bool {
			met := map[string]bool{}
			return func(_ int, what string) bool {
				defer func() { met[what] = true }()
				return !met[what] && !workload(what)
			}
		},
		"every second write": func() func(int, string) bool {
			return func(n int, what string) bool { return n%2 == 1 && !workload(what) }
		},
		"two writes of three": func() func(int, string) bool {
			return func(n int, what string) bool { return n%3 != 0 && !workload(what) }
		},
	}
	for name, rule := range rules {
		It("at "+name+" end in agreement, through the whole life of a secret", func() {
			contestedEnv, c := contestedBy(rule())
			s := environmentSecret("db", template("keys", both), workloads("db"))
			create(s)
			failures := persist(contestedEnv, c, s)
			Expect(s.Status.Versions).To(HaveLen(1))
			shows("db", s)
			generations("db", 1)

			seenValues := []string{value(s, v1alpha1.StageCurrent)}
			for i := range 3 {
				update(s, func() { annotate(v1alpha1.RotateAnnotation, fmt.Sprint(i))(s) })
				failures += persist(contestedEnv, c, s)
				Expect(s.Status.Versions).To(HaveLen(2 + i))
				Expect(versionsStored("db")).To(Equal(2+i), "an Envelope was lost or is left over")
				Expect(value(s, v1alpha1.StagePrevious)).To(Equal(seenValues[i]), "a version was lost")
				seenValues = append(seenValues, value(s, v1alpha1.StageCurrent))
				shows("db", s)
				generations("db", int64(2+i))
			}

			update(s, func() { targetNamed("renamed")(s) })
			failures += persist(contestedEnv, c, s)
			Expect(gone("db")).To(BeTrue())
			shows("renamed", s)
			generations("db", 5)
			Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
			Expect(failures).To(BeNumerically(">=", 4), "the conflicts were not met")
			Expect(c.refused).To(BeNumerically(">=", failures))
		})
	}

	It("of two managers that work on one Secret at once leave one version for each request", func() {
		other, err := environment.RunReconcilers(ctx, cp)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(other.Stop)
		s := made("db", template("keys", both), workloads("db"))
		for i := range 5 {
			update(s, func() { annotate(v1alpha1.RotateAnnotation, fmt.Sprint(i))(s) })
			var wait sync.WaitGroup
			for _, manager := range []*environment.Reconcilers{env, other, env, other} {
				wait.Go(func() {
					defer GinkgoRecover()
					_, err := manager.Secret.Reconcile(ctx, environment.Request(s))
					Expect(client.IgnoreNotFound(err)).To(Or(Succeed(), MatchError(apierrors.IsConflict, "a conflict")))
				})
			}
			wait.Wait()
			refresh(s)
			seen(s)
			Eventually(func(g Gomega) {
				_, err := env.Secret.Reconcile(ctx, environment.Request(s))
				g.Expect(err).NotTo(HaveOccurred())
				refresh(s)
				g.Expect(s.Status.LastHandledRotateAt).To(Equal(fmt.Sprint(i)))
			}).Should(Succeed())
			Expect(s.Status.Versions).To(HaveLen(2 + i))
			Expect(versionsStored("db")).To(Equal(2 + i))
			reconcile(s)
			shows("db", s)
			generations("db", int64(2+i))
		}
	})
})
