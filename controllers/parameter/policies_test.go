package parameter_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/test/environment"
)

// policed gives a Parameter policies.
func policed(policies ...v1alpha1.ParameterPolicy) func(*v1alpha1.Parameter) {
	return func(p *v1alpha1.Parameter) { p.Spec.Tier, p.Spec.Policies = v1alpha1.TierAdvanced, policies }
}

// expires is an Expiration some time from now.
func expires(in time.Duration) v1alpha1.ParameterPolicy {
	return v1alpha1.ParameterPolicy{Type: "Expiration", Timestamp: world.Clock.Now().Add(in).UTC().Format(time.RFC3339)}
}

func ahead(hours int32) v1alpha1.ParameterPolicy {
	return v1alpha1.ParameterPolicy{Type: "ExpirationNotification", Before: hours, Unit: "Hours"}
}

func unchanged(days int32) v1alpha1.ParameterPolicy {
	return v1alpha1.ParameterPolicy{Type: "NoChangeNotification", After: days, Unit: "Days"}
}

func advance(d time.Duration) { world.Clock.Set(world.Clock.Now().Add(d)) }

// again makes a pass and tells when it asks for the next.
func again(p *v1alpha1.Parameter) time.Duration {
	GinkgoHelper()
	result, err := world.Parameter.Reconcile(ctx, environment.Request(p))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(p)
	world.Seen(p)
	return result.RequeueAfter
}

func statuses(p *v1alpha1.Parameter) (out []string) {
	for i := range p.Status.Policies {
		out = append(out, p.Status.Policies[i].Status)
	}
	return out
}

// isGone makes a pass over a Parameter that deletes it, and sees that nothing of it is left.
func isGone(p *v1alpha1.Parameter) {
	GinkgoHelper()
	result, err := world.Parameter.Reconcile(ctx, environment.Request(p))
	Expect(err).NotTo(HaveOccurred())
	Expect(result.IsZero()).To(BeTrue())
	gone(&v1alpha1.Parameter{}, p.Name)
	Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(BeEmpty(), "a version is left")
	Expect(world.Envelopes(v1alpha1.EnvelopeTombstone)).To(BeEmpty(), "it can be had back")
}

var _ = Describe("A Parameter with an Expiration", func() {
	It("waits for it, and is deleted at its time as DeleteParameter deletes, with an event", func() {
		p := ready("a", policed(expires(2*time.Hour)))
		Expect(statuses(p)).To(Equal([]string{"Pending"}))
		Expect(p.Status.Policies[0].DueTime.UTC()).To(BeTemporally("~", world.Clock.Now().Add(2*time.Hour), time.Second))
		Expect(again(p)).To(BeNumerically("~", 2*time.Hour, time.Second), "the next pass is at that time")
		advance(2*time.Hour - time.Minute)
		Expect(again(p)).To(BeNumerically("~", time.Minute, time.Second))
		world.DrainEvents()
		advance(time.Minute)
		isGone(p)
		Expect(world.DrainEvents()).To(ConsistOf(And(ContainSubstring("Expiration"), ContainSubstring("Parameter Store Policy Action: a expired at"),
			ContainSubstring("deleted with 1 versions"))))
	})

	It("that is far away is looked at each day", func() {
		p := ready("a", policed(expires(400*24*time.Hour)))
		Expect(again(p)).To(Equal(24 * time.Hour))
	})

	It("that is put off is not deleted, and nothing says that it goes without a window", func() {
		p := ready("a", policed(expires(time.Hour)))
		world.Update(p, func() { policed(expires(3 * time.Hour))(p) })
		advance(2 * time.Hour)
		reconcile(p)
		Expect(condition(p)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(statuses(p)).To(Equal([]string{"Pending"}))
		world.Update(p, func() { p.Spec.Policies = nil })
		advance(9 * time.Hour)
		Expect(again(p)).To(BeZero())
		Expect(p.Status.Policies).To(BeEmpty())
		Expect(p.Annotations).NotTo(HaveKey(v1alpha1.ForceDeleteAnnotation))
	})

	It("that was changed since the pass has read it is kept, by what the API server has", func() {
		p := ready("a", policed(expires(time.Hour)))
		advance(2 * time.Hour)
		stale := p.DeepCopy()
		live := p.DeepCopy()
		live.Spec.Policies[0] = expires(time.Hour)
		Expect(world.ControlPlane.Client.Update(ctx, live)).To(Succeed())
		deleted, err := world.Services.Parameters.Expire(ctx, stale)
		Expect(err).NotTo(HaveOccurred())
		Expect(deleted).To(BeFalse())
		world.Refresh(p)
		Expect(p.Annotations).NotTo(HaveKey(v1alpha1.ForceDeleteAnnotation))
		Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(HaveLen(1))
	})

	It("that a crash left marked, and that was changed since, loses the mark, so that kubectl's deletion has its window", func() {
		p := ready("a", policed(expires(time.Hour)))
		world.Update(p, func() {
			metav1.SetMetaDataAnnotation(&p.ObjectMeta, v1alpha1.ForceDeleteAnnotation, "Expiration")
			p.Spec.Policies[0] = expires(9 * time.Hour)
		})
		_, err := world.Parameter.Reconcile(ctx, environment.Request(p))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(p)
		Expect(p.Annotations).NotTo(HaveKey(v1alpha1.ForceDeleteAnnotation))
	})

	It("that is suspended is held, and deleted once it is not", func() {
		p := ready("a", policed(expires(time.Hour)))
		world.Update(p, func() { p.Spec.Suspend = true })
		advance(2 * time.Hour)
		reconcile(p)
		Expect(condition(p)).To(HaveField("Reason", v1alpha1.ReasonSuspended))
		world.Update(p, func() { p.Spec.Suspend = false })
		isGone(p)
	})

	It("is deleted at its time though its target is somebody else's", func() {
		foreign("a", map[string]string{"theirs": "x"})
		p := create("a", policed(expires(time.Minute)))
		reconcile(p)
		Expect(condition(p)).To(HaveField("Reason", v1alpha1.ReasonConflict))
		result, err := world.Parameter.Reconcile(ctx, environment.Request(p))
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(BeNumerically("<=", time.Minute))
		advance(time.Minute)
		isGone(p)
		Expect(configMap("a").Data).To(Equal(map[string]string{"theirs": "x"}))
	})

	It("is deleted at its time, and what it shows in a target that others share goes too", func() {
		foreign("shared", map[string]string{"theirs": "x"})
		p := ready("a", policed(expires(time.Minute)), shown(&at{Name: "shared", Key: "mine", CreationPolicy: v1alpha1.CreationPolicyMerge}, nil))
		Expect(configMap("shared").Data).To(HaveKey("mine"))
		advance(time.Minute)
		isGone(p)
		Expect(configMap("shared").Data).To(Equal(map[string]string{"theirs": "x"}))
	})

	It("and a time that is none does not expire, says so, and works", func() {
		p := create("a", policed(v1alpha1.ParameterPolicy{Type: "Expiration", Timestamp: "0000-12-31T23:59:59Z"}))
		reconcile(p)
		Expect(condition(p)).To(And(HaveField("Reason", v1alpha1.ReasonInvalidPolicy), HaveField("Message", ContainSubstring("spec.policies"))))
		Expect(configMap("a").Data).To(HaveKeyWithValue("LOG_LEVEL", "info"))
	})
})

var _ = Describe("A Parameter that had expired when it was declared", func() {
	withheld := func(p *v1alpha1.Parameter, versions int) {
		GinkgoHelper()
		Expect(condition(p)).To(And(HaveField("Reason", v1alpha1.ReasonExpired), HaveField("Message", ContainSubstring("spec.policies"))))
		Expect(meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionStalled)).To(BeTrue())
		Expect(statuses(p)).To(Equal([]string{"Failed"}))
		Expect(p.Status.Versions).To(HaveLen(versions))
		Expect(p.Status.Projection).To(BeNil())
		gone(&corev1.ConfigMap{}, p.Name)
	}

	It("since Git put it back after it was deleted, stays as an object with nothing behind it, and is not deleted again and again", func() {
		p := ready("a", policed(expires(time.Hour)))
		declared := p.Spec.DeepCopy()
		advance(2 * time.Hour)
		isGone(p)
		gone(&corev1.ConfigMap{}, "a")
		back := create("a", func(p *v1alpha1.Parameter) { p.Spec = *declared })
		for range 3 {
			reconcile(back)
			withheld(back, 0)
			advance(time.Hour)
		}
		Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(BeEmpty(), "a version was made of what has expired")
		world.Update(back, func() { back.Spec.Policies[0] = expires(time.Hour) })
		reconcile(back)
		Expect(condition(back)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(back.Status.Version).To(Equal(int64(1)))
	})

	It("since a slip in a manifest gave it a time in the past, loses nothing: its target is withdrawn and comes back", func() {
		world.ReadyKey("key")
		p := ready("a", secure("key"))
		value := stored(p, 1)
		world.Update(p, func() { policed(expires(-time.Hour))(p) })
		reconcile(p)
		Expect(condition(p)).To(HaveField("Reason", v1alpha1.ReasonExpired))
		gone(&corev1.Secret{}, "a")
		for range 3 {
			advance(24 * time.Hour)
			reconcile(p)
			withheld(p, 1)
		}
		world.Update(p, func() { p.Spec.Policies[0] = expires(time.Hour) })
		reconcile(p)
		Expect(condition(p)).To(HaveField("Status", metav1.ConditionTrue), "%+v", condition(p))
		Expect(string(coreSecret("a").Data["password"])).To(Equal(value))
	})

	It("since it was applied again within its recovery window, keeps its versions, and has them when its policy is another", func() {
		deleted("a", policed(expires(time.Hour)))
		advance(2 * time.Hour)
		world.Remove(configMap("a"))
		back := create("a", policed(expires(-time.Hour)), valued("value 3"))
		reconcile(back)
		withheld(back, 3)
		world.Update(back, func() { back.Spec.Policies = nil })
		reconcile(back)
		Expect(configMap("a").Data).To(HaveKeyWithValue("LOG_LEVEL", "value 3"))
		Expect(stored(back, 1)).To(Equal("info"))
	})

	It("since a backup put it back with its status after its expiry, keeps its versions", func() {
		p := ready("a")
		world.Update(p, func() { policed(expires(-time.Hour))(p) })
		p.Status.Policies = []v1alpha1.ParameterPolicyState{{Type: "Expiration", DueTime: ptr.To(metav1.NewTime(*parameterstore.Expiry(p))), Status: "Pending"}}
		Expect(world.ControlPlane.Client.Status().Update(ctx, p)).To(Succeed())
		world.Seen(p)
		reconcile(p)
		withheld(p, 1)
	})

	It("whose status was lost as well, shows nothing any more, and was not deleted", func() {
		p := ready("a", policed(expires(time.Hour)))
		advance(2 * time.Hour)
		p.Status = v1alpha1.ParameterStatus{}
		Expect(world.ControlPlane.Client.Status().Update(ctx, p)).To(Succeed())
		world.Seen(p)
		reconcile(p)
		withheld(p, 1)
	})

	It("is deleted by kubectl with its recovery window", func() {
		p := ready("a")
		world.Update(p, func() { policed(expires(-time.Hour))(p) })
		reconcile(p)
		world.Remove(p)
		sweepUntilEntombed("a")
	})
})

var _ = Describe("A notification", func() {
	It("of an expiry comes once, with an event and a condition, and goes when the expiry is another", func() {
		p := ready("a", policed(ahead(72), expires(100*time.Hour), ahead(12)))
		Expect(again(p)).To(Equal(24 * time.Hour))
		Expect(statuses(p)).To(Equal([]string{"Pending", "Pending", "Pending"}))
		world.DrainEvents()
		advance(28*time.Hour + time.Second)
		reconcile(p)
		Expect(world.DrainEvents()).To(ConsistOf(And(ContainSubstring("Warning ExpirationNotification"), ContainSubstring("Parameter Store Policy Action: a expires at"))))
		Expect(statuses(p)).To(Equal([]string{"Finished", "Pending", "Pending"}))
		expiring := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionExpiring)
		Expect(expiring).To(And(HaveField("Status", metav1.ConditionTrue), HaveField("Reason", v1alpha1.ReasonExpirationNotification)))
		Expect(condition(p)).To(HaveField("Status", metav1.ConditionTrue), "it is in force as before")
		reconcile(p)
		Expect(world.DrainEvents()).To(BeEmpty())
		advance(60 * time.Hour)
		reconcile(p)
		Expect(world.DrainEvents()).To(HaveLen(1), "the second one")
		world.Update(p, func() { p.Spec.Policies[1] = expires(1000 * time.Hour) })
		reconcile(p)
		Expect(meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionExpiring)).To(BeNil())
		Expect(statuses(p)).To(Equal([]string{"Pending", "Pending", "Pending"}))
	})

	It("that nobody changed it comes once for each version, whoever makes that", func() {
		world.ReadyKey("key")
		p := ready("a", policed(unchanged(2)), secure("key"), shown(nil, nil))
		world.DrainEvents()
		advance(48*time.Hour + time.Second)
		reconcile(p)
		Expect(world.DrainEvents()).To(ConsistOf(And(ContainSubstring("Warning NoChangeNotification"), ContainSubstring("a has not been changed since"))))
		Expect(meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionUnchanged)).To(BeTrue())
		Expect(putByAPI(p, "other")).To(Succeed())
		Expect(statuses(p)).To(Equal([]string{"Pending"}), "the write of the version says so")
		Expect(again(p)).To(Equal(24 * time.Hour))
		Expect(meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionUnchanged)).To(BeNil())
		Expect(world.DrainEvents()).To(BeEmpty())
		advance(49 * time.Hour)
		reconcile(p)
		Expect(world.DrainEvents()).To(HaveLen(1))
	})

	It("waits for a first version", func() {
		p := create("a", policed(unchanged(2)), valued(""))
		reconcile(p)
		Expect(condition(p)).To(HaveField("Reason", v1alpha1.ReasonNoValue))
		Expect(p.Status.Policies).To(ConsistOf(And(HaveField("DueTime", BeNil()), HaveField("Status", "Pending"))))
	})
})

// Every write of an expiry is made to fail in turn, before it is done and after it, as if the manager had died there.
var _ = Describe("A crash at any write of an expiry", func() {
	for _, after := range []bool{false, true} {
		where := map[bool]string{false: "before it is done", true: "when only its answer is lost"}[after]

		It(where+", ends with the parameter deleted", func() {
			faulty, writes := world.Faulty()
			for n := 1; ; n++ {
				p := ready(fmt.Sprintf("a-%d", n), policed(expires(time.Hour)))
				advance(time.Hour)
				writes.FailAt(n, after)
				_, err := faulty.Parameter.Reconcile(ctx, environment.Request(p))
				if writes.Writes() < n {
					Expect(err).NotTo(HaveOccurred())
					Expect(n).To(BeNumerically(">", 2), "it is marked, deleted and erased")
					return
				}
				Expect(err).To(HaveOccurred())
				Eventually(func(g Gomega) {
					_, err := world.Parameter.Reconcile(ctx, environment.Request(p))
					g.Expect(err).NotTo(HaveOccurred())
					live := &v1alpha1.Parameter{}
					g.Expect(client.IgnoreNotFound(world.ControlPlane.Client.Get(ctx, keyOf(p.Name), live))).To(Succeed())
					g.Expect(live.UID).To(BeEmpty(), "write %d", n)
				}).Should(Succeed())
				for _, e := range world.Envelopes(v1alpha1.EnvelopeParameterVersion) { // the manager's, which saw how it was deleted
					world.Remove(&e)
				}
			}
		})

		It(where+", and a policy that is changed then, keeps the parameter with its window", func() {
			faulty, writes := world.Faulty()
			p := ready("a", policed(expires(time.Hour)))
			advance(time.Hour)
			writes.FailAt(2, after) // the first one takes its target away
			_, err := faulty.Parameter.Reconcile(ctx, environment.Request(p))
			Expect(err).To(HaveOccurred())
			world.Refresh(p)
			world.Seen(p)
			Expect(parameterstore.Expiring(p)).To(Equal(after))
			world.Update(p, func() { p.Spec.Policies[0] = expires(time.Hour) })
			Eventually(func(g Gomega) {
				_, err := world.Parameter.Reconcile(ctx, environment.Request(p))
				g.Expect(err).NotTo(HaveOccurred())
				world.Refresh(p)
				world.Seen(p)
				g.Expect(condition(p)).To(HaveField("Status", metav1.ConditionTrue))
				g.Expect(p.Annotations).NotTo(HaveKey(v1alpha1.ForceDeleteAnnotation))
			}).Should(Succeed())
			Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(HaveLen(1))
		})
	}
})
