package parameter_test

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/parameter"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/test/environment"
)

var errAway = errors.New("the API server is away")

// reconciler is the world's with another clock of the API server.
func reconciler(serverTime func(context.Context) (time.Time, error)) *parameter.Reconciler {
	r, service := *world.Parameter, *world.Services.Parameters
	service.ServerTime = serverTime
	r.Parameters = &service
	return &r
}

// isShown tells whether a target has the key of a projection.
func isShown(at *v1alpha1.ParameterProjection) bool {
	GinkgoHelper()
	if at.Kind == "ConfigMap" {
		config := &corev1.ConfigMap{}
		err := world.ControlPlane.Client.Get(ctx, keyOf(at.Name), config)
		Expect(client.IgnoreNotFound(err)).To(Succeed())
		return config.Data[at.Key] != ""
	}
	core := &corev1.Secret{}
	err := world.ControlPlane.Client.Get(ctx, keyOf(at.Name), core)
	Expect(client.IgnoreNotFound(err)).To(Succeed())
	return len(core.Data[at.Key]) > 0
}

var _ = Describe("The expiry of a Parameter", func() {
	It("that is suspended is shown until its expiry and not after it, and comes back with a later one", func() {
		foreign("shared", map[string]string{"theirs": "x"})
		p := ready("a", policed(expires(time.Hour)), shown(&at{Name: "shared", Key: "mine", CreationPolicy: v1alpha1.CreationPolicyMerge}, nil))
		world.Update(p, func() { p.Spec.Suspend = true })
		Expect(again(p)).To(BeNumerically("~", time.Hour, time.Second), "a pass is made at that time")
		Expect(configMap("shared").Data).To(HaveKey("mine"))
		advance(time.Hour)
		for range 2 {
			reconcile(p)
			Expect(condition(p)).To(And(HaveField("Reason", v1alpha1.ReasonSuspended), HaveField("Message", ContainSubstring("neither served nor shown"))))
			Expect(configMap("shared").Data).To(Equal(map[string]string{"theirs": "x"}))
			Expect(p.Status.Projection).To(BeNil())
			Expect(p.Status.Versions).To(HaveLen(1))
		}
		world.Update(p, func() { p.Spec.Policies[0], p.Spec.Suspend = expires(time.Hour), false })
		reconcile(p)
		Expect(condition(p)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(configMap("shared").Data).To(HaveKeyWithValue("mine", "info"))
	})

	DescribeTable("that is suspended is shown no more after its expiry though status has lost what is shown", func(lost func(*v1alpha1.ParameterStatus), changes ...func(*v1alpha1.Parameter)) {
		world.ReadyKey("key")
		foreign("shared", map[string]string{"theirs": "x"})
		p := ready("a", append(changes, policed(expires(time.Hour)))...)
		where := p.Status.Projection.DeepCopy()
		world.Update(p, func() { p.Spec.Suspend = true })
		reconcile(p)
		lost(&p.Status)
		Expect(world.ControlPlane.Client.Status().Update(ctx, p)).To(Succeed())
		world.Seen(p)
		reconcile(p)
		Expect(isShown(where)).To(BeTrue(), "it has not expired yet")
		advance(time.Hour)
		asked := 0
		with := reconciler(func(context.Context) (time.Time, error) { asked++; return world.Clock.Now(), nil })
		for range 3 {
			_, err := with.Reconcile(ctx, environment.Request(p))
			Expect(err).NotTo(HaveOccurred())
			world.Refresh(p)
			world.Seen(p)
			Expect(condition(p)).To(HaveField("Reason", v1alpha1.ReasonSuspended))
			Eventually(func() bool { return isShown(where) }).Should(BeFalse())
		}
		Expect(asked).To(BeNumerically("<=", 2), "a pass that finds nothing shown asks nobody")
		Expect(configMap("shared").Data).To(HaveKeyWithValue("theirs", "x"))
		if len(p.Status.Versions) == 0 { // of which the next pass knows that is not suspended
			return
		}
		world.Update(p, func() { p.Spec.Policies[0], p.Spec.Suspend = expires(time.Hour), false })
		reconcile(p)
		Expect(isShown(where)).To(BeTrue())
	},
		Entry("in a ConfigMap", func(s *v1alpha1.ParameterStatus) { s.Projection = nil }),
		Entry("in a ConfigMap that others share", func(s *v1alpha1.ParameterStatus) { s.Projection = nil },
			shown(&at{Name: "shared", Key: "mine", CreationPolicy: v1alpha1.CreationPolicyMerge}, nil)),
		Entry("in a core Secret", func(s *v1alpha1.ParameterStatus) { s.Projection = nil }, secure("key")),
		Entry("and all else", func(s *v1alpha1.ParameterStatus) { *s = v1alpha1.ParameterStatus{} }),
	)

	It("of which the API server's clock knows nothing yet is not deleted, and still shown, and says so", func() {
		p := ready("a", policed(expires(time.Hour)))
		server := parameterstore.Expiry(p).Add(-time.Hour)
		with := reconciler(func(context.Context) (time.Time, error) { return server, nil })
		advance(2 * time.Hour)
		for range 2 {
			_, err := with.Reconcile(ctx, environment.Request(p))
			Expect(err).NotTo(HaveOccurred())
			world.Refresh(p)
			world.Seen(p)
			Expect(condition(p)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonClockSkewed),
				HaveField("Message", ContainSubstring("1h0m0s by the API server's"))))
			Expect(configMap("a").Data).To(HaveKey("LOG_LEVEL"))
		}
		Expect(world.DrainEvents()).To(ContainElement(ContainSubstring("ClockSkewed")))
		By("a second before, which is no news to anybody")
		server = server.Add(time.Hour - time.Second)
		result, err := with.Reconcile(ctx, environment.Request(p))
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(Equal(time.Second))
		Expect(configMap("a").Data).To(HaveKey("LOG_LEVEL"))
		By("a clock that nobody tells")
		_, err = reconciler(func(context.Context) (time.Time, error) { return time.Time{}, errAway }).Reconcile(ctx, environment.Request(p))
		Expect(err).To(MatchError(errAway))
		world.Refresh(p)
		world.Seen(p)
		Expect(configMap("a").Data).To(HaveKey("LOG_LEVEL"))
		By("its time")
		server = server.Add(time.Second)
		_, err = with.Reconcile(ctx, environment.Request(p))
		Expect(err).NotTo(HaveOccurred())
		gone(&v1alpha1.Parameter{}, "a")
	})

	It("that a request puts off while it is being carried out is carried out no more, also where the new time has come by the manager's clock alone", func() {
		server := world.Clock.Now()
		request := *world.Services.Parameters // by a replica whose clock is right
		request.Now = func() time.Time { return server }
		put := func(in time.Duration, overwrite bool) {
			GinkgoHelper()
			at := server.Add(in).UTC().Format(time.RFC3339)
			p, _, err := request.Put(ctx, parameterstore.PutInput{
				Namespace: world.Namespace, Account: arn.DeriveAccount(world.Namespace), Region: "us-east-1", Name: "a", Overwrite: overwrite,
				Type: v1alpha1.ParameterString, Value: secretbytes.Copy([]byte("v")), Tier: ptr.To(v1alpha1.TierAdvanced),
				Policies: &[]v1alpha1.ParameterPolicy{{Type: "Expiration", Timestamp: at}},
			})
			Expect(err).NotTo(HaveOccurred())
			world.Seen(p)
			Expect(statuses(p)).To(Equal([]string{"Pending"}))
		}
		put(time.Hour, false)
		server = server.Add(2 * time.Hour)
		world.Clock.Set(server.Add(24 * time.Hour))
		asked := 0
		with := reconciler(func(context.Context) (time.Time, error) {
			if asked++; asked == 1 { // behind the decision, and before any write
				put(time.Hour, true)
				return server, nil
			}
			return server, nil
		})
		result, err := with.Reconcile(ctx, ctrl.Request{NamespacedName: keyOf("a")})
		Expect(err).NotTo(HaveOccurred())
		Expect(asked).To(Equal(1))
		Expect(result.RequeueAfter).To(BeNumerically(">", 0), "the new expiry has a pass of its own")
		p := &v1alpha1.Parameter{}
		Expect(world.ControlPlane.Client.Get(ctx, keyOf("a"), p)).To(Succeed(), "the parameter was deleted")
		world.Seen(p)
		Expect(parameterstore.Expiring(p)).To(BeFalse())
		Expect(p.Status.Versions).To(HaveLen(2))
		Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(HaveLen(2))
		_, err = with.Reconcile(ctx, environment.Request(p))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(p)
		Expect(condition(p)).To(HaveField("Reason", v1alpha1.ReasonClockSkewed))
		server = server.Add(time.Hour)
		_, err = with.Reconcile(ctx, environment.Request(p))
		Expect(err).NotTo(HaveOccurred())
		gone(&v1alpha1.Parameter{}, "a")
	})

	It("is deleted with the version that a request stored and did not commit before it died", func() {
		p := ready("a", policed(expires(time.Hour)), valued("one"))
		_, writes := world.Faulty()
		writes.FailAt(3, false) // the commit
		_, _, err := world.ParametersOver(writes).Put(ctx, parameterstore.PutInput{
			Namespace: p.Namespace, Account: accountOf(p), Region: "us-east-1", Name: "b", Type: v1alpha1.ParameterString, Value: secretbytes.Copy([]byte("v")),
			Tier: ptr.To(v1alpha1.TierAdvanced), Policies: &p.Spec.Policies,
		})
		Expect(errors.Is(err, environment.ErrInjected)).To(BeTrue(), "%v", err)
		world.Remove(p)
		for _, e := range world.Envelopes(v1alpha1.EnvelopeParameterVersion) {
			if e.Spec.Owner.Name == "a" {
				world.Remove(&e)
			}
		}
		left := &v1alpha1.Parameter{}
		Expect(world.ControlPlane.Client.Get(ctx, keyOf("b"), left)).To(Succeed())
		world.Seen(left)
		Expect(left.Status.Versions).To(BeEmpty())
		Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(HaveLen(1))
		left.Status.Policies = []v1alpha1.ParameterPolicyState{{Type: "Expiration", DueTime: ptr.To(metav1.NewTime(*parameterstore.Expiry(left))), Status: "Pending"}}
		Expect(world.ControlPlane.Client.Status().Update(ctx, left)).To(Succeed())
		world.Seen(left)
		advance(2 * time.Hour)
		isGone(left)
	})

	It("and no version is deleted, so that its name is free", func() {
		p := create("a", policed(expires(time.Hour)), valued(""))
		reconcile(p)
		Expect(condition(p)).To(HaveField("Reason", v1alpha1.ReasonNoValue))
		advance(2 * time.Hour)
		isGone(p)
	})
})
