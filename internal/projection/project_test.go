package projection_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
)

const (
	ownerPolicy = v1alpha1.CreationPolicyOwner
	adoptPolicy = v1alpha1.CreationPolicyAdopt
	mergePolicy = v1alpha1.CreationPolicyMerge
)

// The states in which the projector can find a core Secret. Each is brought about for the policy that is then used.
var (
	nothing = func(v1alpha1.CreationPolicy) {}
	inSync  = func(p v1alpha1.CreationPolicy) {
		if p == mergePolicy {
			foreign("kubectl-create")
		}
		project(goal(withPolicy(p)))
	}
	drifted = func(change func(*corev1.Secret)) func(v1alpha1.CreationPolicy) {
		return func(p v1alpha1.CreationPolicy) { inSync(p); edit(change) }
	}
	ofSomebody   = func(v1alpha1.CreationPolicy) { foreign("kubectl-create") }
	ofWidget     = func(v1alpha1.CreationPolicy) { foreign("widgets", controlledBy("Widget", "w", "w")) }
	ofWidgetSeen = func(v1alpha1.CreationPolicy) { foreign("widgets", controlledBy("Widget", "w", "w"), labelled) }
	ofOtherType  = func(v1alpha1.CreationPolicy) {
		foreign("kubectl-create", func(s *corev1.Secret) { s.Type = "example.com/x" }, controlledBy("Secret", "db", "mine"), showing("arn:db"), labelled)
	}
	ofFormerUID = func(v1alpha1.CreationPolicy) {
		project(goal(func(t *projection.Target) { t.Owner.UID = "former" }))
	}
)

func labelled(s *corev1.Secret) {
	s.Labels = map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedProjection}
}

// The changes that somebody makes to a projection.
func otherValue(s *corev1.Secret)   { s.Data["password"] = []byte("x") }
func noValue(s *corev1.Secret)      { delete(s.Data, "password") }
func noLabel(s *corev1.Secret)      { s.Labels = nil }
func noAnnotation(s *corev1.Secret) { s.Annotations = nil }
func noOwner(s *corev1.Secret)      { s.OwnerReferences = nil }
func addedKey(s *corev1.Secret)     { s.Data["theirs"] = []byte("1") }

var _ = DescribeTable("A target that can be written is as it should be afterwards, for this many requests and then none",
	func(policy v1alpha1.CreationPolicy, state func(v1alpha1.CreationPolicy), want projection.Outcome, wire ...string) {
		state(policy)
		traffic.take()
		written := func(t *projection.Target) { t.FormerKeys = []string{"password"} } // as status has it
		Expect(projector.Project(ctx, goal(withPolicy(policy), written))).To(Equal(want))
		Expect(traffic.take()).To(HaveExactElements(wire))

		is := stored("shown")
		Expect(is.Data).To(HaveKeyWithValue("password", []byte("CANARY-hunter2")))
		Expect(is.Labels).To(Equal(map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedProjection}))
		if policy == mergePolicy {
			Expect(is.Data).To(HaveKey("theirs"))
		} else {
			Expect(is.Annotations).To(HaveKeyWithValue(v1alpha1.SubjectAnnotation, "arn:db"))
			Expect(is.OwnerReferences).To(ConsistOf(metav1.OwnerReference{
				APIVersion: "strongroom.dev/v1alpha1", Kind: "Secret", Name: "db", UID: "mine", Controller: &yes,
			}))
		}
		seen(is)
		traffic.take()
		Expect(projector.Project(ctx, goal(withPolicy(policy)))).To(Equal(projection.Unchanged))
		Expect(traffic.take()).To(BeEmpty(), "a target in sync costs no request")
	},
	Entry("Owner, absent", ownerPolicy, nothing, projection.Created, "POST secrets"),
	Entry("no policy, absent", v1alpha1.CreationPolicy(""), nothing, projection.Created, "POST secrets"),
	Entry("Owner, in sync", ownerPolicy, inSync, projection.Unchanged),
	Entry("Owner, another value", ownerPolicy, drifted(otherValue), projection.Written, "apply secrets"),
	Entry("Owner, no value", ownerPolicy, drifted(noValue), projection.Written, "apply secrets"),
	Entry("Owner, no annotation", ownerPolicy, drifted(noAnnotation), projection.Written, "apply secrets"),
	Entry("Owner, no owner", ownerPolicy, drifted(noOwner), projection.Written, "apply secrets"),
	Entry("Owner, no label, so that the cache has lost it", ownerPolicy, drifted(noLabel), projection.Written, "POST secrets", "GET secrets", "apply secrets"),
	Entry("Owner, another key, which is left alone", ownerPolicy, drifted(addedKey), projection.Unchanged),
	Entry("Owner, of a former incarnation", ownerPolicy, ofFormerUID, projection.Written, "strategic secrets", "apply secrets"),

	Entry("Adopt, absent", adoptPolicy, nothing, projection.Created, "GET secrets", "POST secrets"),
	Entry("Adopt, in sync", adoptPolicy, inSync, projection.Unchanged),
	Entry("Adopt, another value", adoptPolicy, drifted(otherValue), projection.Written, "apply secrets"),
	Entry("Adopt, no annotation", adoptPolicy, drifted(noAnnotation), projection.Written, "apply secrets"),
	Entry("Adopt, no owner", adoptPolicy, drifted(noOwner), projection.Written, "apply secrets"),
	Entry("Adopt, no label", adoptPolicy, drifted(noLabel), projection.Written, "GET secrets", "apply secrets"),
	Entry("Adopt, somebody's", adoptPolicy, ofSomebody, projection.Written, "GET secrets", "apply secrets"),
	Entry("Adopt, of a former incarnation", adoptPolicy, ofFormerUID, projection.Written, "strategic secrets", "apply secrets"),

	Entry("Merge, in sync", mergePolicy, inSync, projection.Unchanged),
	Entry("Merge, another value", mergePolicy, drifted(otherValue), projection.Written, "GET secrets", "apply secrets"),
	Entry("Merge, no value", mergePolicy, drifted(noValue), projection.Written, "GET secrets", "apply secrets"),
	Entry("Merge, no label", mergePolicy, drifted(noLabel), projection.Written, "GET secrets", "apply secrets"),
	Entry("Merge, no annotation, which it has not", mergePolicy, drifted(noAnnotation), projection.Unchanged),
	Entry("Merge, somebody's", mergePolicy, ofSomebody, projection.Written, "GET secrets", "apply secrets"),
	Entry("Merge, another controller's", mergePolicy, ofWidget, projection.Written, "GET secrets", "apply secrets"),
	Entry("Merge, of another type", mergePolicy, func(v1alpha1.CreationPolicy) {
		foreign("kubectl-create", func(s *corev1.Secret) { s.Type = "example.com/x" })
	}, projection.Written, "GET secrets", "apply secrets"),
)

var _ = DescribeTable("A target that cannot be written is a Conflict that says whose it is, and is not touched",
	func(policy v1alpha1.CreationPolicy, state func(v1alpha1.CreationPolicy), says []string, wire ...string) {
		state(policy)
		before := stored("shown")
		traffic.take()
		_, err := projector.Project(ctx, goal(withPolicy(policy)))
		Expect(traffic.take()).To(HaveExactElements(wire))
		Expect(fault.Of(err)).To(And(HaveField("Reason", v1alpha1.ReasonConflict), HaveField("Stalled", true)))
		for _, text := range append(says, "core Secret shown") {
			Expect(fault.Message(err)).To(ContainSubstring(text))
		}
		Expect(err.Error()).NotTo(ContainSubstring("CANARY"))
		Expect(stored("shown")).To(Equal(before))
	},
	Entry("Owner, somebody's", ownerPolicy, ofSomebody, []string{"kubectl-create made it", "delete it", "Adopt or Merge"}, "POST secrets", "GET secrets"),
	Entry("Owner, another controller's", ownerPolicy, ofWidget, []string{"Widget w controls it"}, "POST secrets", "GET secrets"),
	Entry("Owner, another controller's with our label", ownerPolicy, ofWidgetSeen, []string{"Widget w controls it"}, "GET secrets"),
	Entry("Owner, ours of another type", ownerPolicy, ofOtherType, []string{"example.com/x, not Opaque", "delete it to have it made anew"}, "GET secrets"),
	Entry("Adopt, another controller's", adoptPolicy, ofWidget, []string{"Widget w controls it"}, "GET secrets"),
	Entry("Adopt, another controller's with our label", adoptPolicy, ofWidgetSeen, []string{"Widget w controls it"}, "GET secrets"),
	Entry("Adopt, ours of another type", adoptPolicy, ofOtherType, []string{"example.com/x, not Opaque", "delete it to have it made anew"}, "GET secrets"),
	Entry("Adopt, somebody's of another type", adoptPolicy, func(v1alpha1.CreationPolicy) {
		foreign("kubectl-create", func(s *corev1.Secret) { s.Type = "example.com/x" })
	}, []string{"example.com/x, not Opaque"}, "GET secrets"),
	Entry("Merge, a key that somebody else has written", mergePolicy, func(v1alpha1.CreationPolicy) {
		foreign("kubectl-create", func(s *corev1.Secret) { s.Data["password"] = []byte("theirs") })
	}, []string{"kubectl-create has written its key password", "merge another key"}, "GET secrets"),
	Entry("Merge, a key that another Secret writes", mergePolicy, func(v1alpha1.CreationPolicy) {
		foreign("kubectl-create")
		project(goal(withPolicy(mergePolicy), withData("password", "theirs"), func(t *projection.Target) { t.Owner.Name = "another" }))
	}, []string{"another object of Strongroom", "writes its key password", "merge another key"}, "GET secrets"),
	Entry("Owner, of another secret's former incarnation", ownerPolicy, func(v1alpha1.CreationPolicy) {
		project(goal(func(t *projection.Target) { t.Owner = projection.Owner{Name: "db", UID: "former", ARN: "arn:other"} }))
	}, []string{"Secret db controls it"}, "GET secrets"),
)

var _ = Describe("A target to merge into that does not exist", func() {
	It("is waited for, and is not made", func() {
		_, err := projector.Project(ctx, goal(withPolicy(mergePolicy)))
		Expect(traffic.take()).To(HaveExactElements("GET secrets"))
		Expect(fault.Of(err)).To(And(HaveField("Reason", v1alpha1.ReasonConflict), HaveField("Stalled", false)))
		Expect(fault.Message(err)).To(And(ContainSubstring("core Secret shown"), ContainSubstring("create it, or set creationPolicy to Owner")))
		Expect(absent("shown")).To(BeTrue())
	})
})

var _ = DescribeTable("Data that its type forbids is Stalled and shows no value, and nothing is written",
	func(secretType string, data []string, says string) {
		_, err := projector.Project(ctx, goal(withData(data...), func(t *projection.Target) { t.Type = secretType }))
		Expect(fault.Of(err)).To(And(HaveField("Reason", v1alpha1.ReasonInvalidTemplate), HaveField("Stalled", true)))
		Expect(fault.Message(err)).To(And(ContainSubstring("core Secret shown"), ContainSubstring(says)))
		Expect(err.Error()).NotTo(Or(ContainSubstring("CANARY"), ContainSubstring("hunter2"), ContainSubstring("Q0FOQVJZ")))
		Expect(fault.Message(err)).NotTo(ContainSubstring("invalid character"), "it names a character of the value")
		Expect(absent("shown")).To(BeTrue())
	},
	Entry("TLS without its keys", "kubernetes.io/tls", []string{"password", "CANARY-hunter2"}, "tls.crt"),
	Entry("TLS with one of its keys", "kubernetes.io/tls", []string{"tls.crt", "CANARY-hunter2"}, "tls.key"),
	Entry("basic authentication without user and password", "kubernetes.io/basic-auth", []string{"x", "CANARY-hunter2"}, "username"),
	Entry("SSH without its key", "kubernetes.io/ssh-auth", []string{"x", "CANARY-hunter2"}, "ssh-privatekey"),
	Entry("a registry's credentials that are no JSON", "kubernetes.io/dockerconfigjson", []string{".dockerconfigjson", "CANARY-hunter2"}, ".dockerconfigjson"),
	Entry("more than a core Secret holds", "", []string{"a", strings.Repeat("CANARY", 1<<17), "b", strings.Repeat("CANARY", 1<<17)}, "Too long"),
)

var _ = Describe("An update of a projection that its type forbids", func() {
	It("is Stalled and leaves the last good one", func() {
		good := func(t *projection.Target) { t.Type = "kubernetes.io/basic-auth" }
		project(goal(good))
		_, err := projector.Project(ctx, goal(good, withData("other", "CANARY"), func(t *projection.Target) { t.FormerKeys = []string{"password"} }))
		Expect(dataOf("shown")).To(HaveKeyWithValue("password", "CANARY-hunter2"))
		Expect(fault.Of(err)).To(HaveField("Reason", v1alpha1.ReasonInvalidTemplate))
		Expect(err.Error()).NotTo(ContainSubstring("CANARY"))
	})

	It("that somebody made immutable is Stalled and leaves it", func() {
		project(goal())
		edit(func(s *corev1.Secret) { s.Immutable = &yes })
		_, err := projector.Project(ctx, goal(withData("password", "CANARY-2")))
		Expect(fault.Of(err)).To(HaveField("Stalled", true))
		Expect(fault.Message(err)).To(And(ContainSubstring("core Secret shown"), Not(ContainSubstring("CANARY"))))
		Expect(dataOf("shown")).To(HaveKeyWithValue("password", "CANARY-hunter2"))
	})
})

var _ = Describe("Keys that are no longer wanted", func() {
	former := func(keys ...string) func(*projection.Target) {
		return func(t *projection.Target) { t.FormerKeys = keys }
	}
	three := withData("a", "1", "b", "2", "c", "3")

	It("go, whether creation or an apply wrote them, and those of others stay", func() {
		project(goal(three)) // by POST
		edit(addedKey)
		traffic.take()
		project(goal(withData("b", "2", "c", "4", "d", "5"), former("a", "b", "c"))) // by apply
		Expect(traffic.take()).To(ContainElements("apply secrets", "merge secrets"))
		Expect(dataOf("shown")).To(Equal(map[string]string{"b": "2", "c": "4", "d": "5", "theirs": "1"}))
		project(goal(withData("d", "5"), former("b", "c", "d")))
		Expect(dataOf("shown")).To(Equal(map[string]string{"d": "5", "theirs": "1"}))
	})

	It("go though nothing else changed, by one write, whether creation or an apply wrote them", func() {
		project(goal(three))
		traffic.take()
		Expect(project(goal(withData("a", "1", "b", "2"), former("a", "b", "c")))).To(Equal(projection.Written))
		Expect(traffic.take()).To(HaveExactElements(HavePrefix("merge ")))
		Expect(dataOf("shown")).To(Equal(map[string]string{"a": "1", "b": "2"}))
		project(goal(withData("a", "2", "b", "3", "d", "4"), former("a", "b")))
		traffic.take()
		project(goal(withData("a", "2"), former("a", "b", "d")))
		Expect(traffic.take()).To(HaveExactElements(HavePrefix("merge ")))
		Expect(dataOf("shown")).To(Equal(map[string]string{"a": "2"}))
	})

	It("that are gone already cost nothing", func() {
		project(goal(withData("a", "1")))
		traffic.take()
		Expect(projector.Project(ctx, goal(withData("a", "1"), former("a", "b", "c")))).To(Equal(projection.Unchanged))
		Expect(traffic.take()).To(BeEmpty())
	})

	It("all of them leave an empty core Secret", func() {
		project(goal(three))
		Expect(project(goal(withData(), former("a", "b", "c")))).To(Equal(projection.Written))
		Expect(dataOf("shown")).To(BeEmpty())
	})
})

var _ = Describe("Two Secrets that merge into one core Secret", func() {
	by := func(name string, changes ...func(*projection.Target)) *projection.Target {
		return goal(append(changes, withPolicy(mergePolicy), func(t *projection.Target) {
			t.Owner = projection.Owner{Name: name, UID: "uid-" + owner.UID, ARN: "arn:" + name}
		})...)
	}
	BeforeEach(func() {
		foreign("kubectl-create")
		project(by("one", withData("one", "1")))
		project(by("two", withData("two", "2")))
	})

	It("keep each other's keys and those of its maker, and own nothing", func() {
		Expect(dataOf("shown")).To(Equal(map[string]string{"one": "1", "two": "2", "theirs": "1"}))
		Expect(stored("shown").OwnerReferences).To(BeEmpty())
		Expect(stored("shown").Annotations).To(BeEmpty())
		traffic.take()
		for _, t := range []*projection.Target{by("one", withData("one", "1")), by("two", withData("two", "2"))} {
			Expect(projector.Project(ctx, t)).To(Equal(projection.Unchanged))
		}
		Expect(traffic.take()).To(BeEmpty(), "they must not take turns in undoing each other")
	})

	It("take out their own keys only", func() {
		project(by("one", withData("uno", "1"), func(t *projection.Target) { t.FormerKeys = []string{"one"} }))
		Expect(dataOf("shown")).To(Equal(map[string]string{"uno": "1", "two": "2", "theirs": "1"}))
	})

	It("leave one after the other, each with its keys; the core Secret stays as it was before them", func() {
		traffic.take()
		Expect(projector.Remove(ctx, namespace, "shown", by("one").Owner)).To(Succeed())
		Expect(traffic.take()).To(HaveExactElements("GET secrets", "apply secrets"))
		Expect(dataOf("shown")).To(Equal(map[string]string{"two": "2", "theirs": "1"}))
		Expect(stored("shown").Labels).To(HaveKey(v1alpha1.ManagedLabel), "the other one needs it to be watched")
		Expect(projector.Remove(ctx, namespace, "shown", by("two").Owner)).To(Succeed())
		Expect(dataOf("shown")).To(Equal(map[string]string{"theirs": "1"}))
		Expect(stored("shown").Labels).To(BeEmpty())
		traffic.take()
		Expect(projector.Remove(ctx, namespace, "shown", by("two").Owner)).To(Succeed())
		Expect(traffic.take()).To(HaveExactElements("GET secrets"), "who has left has nothing to give up")
	})

	It("share a key as long as its value is the same, and it stays until neither wants it", func() {
		for _, name := range []string{"one", "two"} {
			project(by(name, withData(name, "x", "common", "c"), func(t *projection.Target) { t.FormerKeys = []string{name} }))
		}
		project(by("one", withData("one", "x"), func(t *projection.Target) { t.FormerKeys = []string{"one", "common"} }))
		Expect(dataOf("shown")).To(HaveKeyWithValue("common", "c"))
		project(by("two", withData("two", "x"), func(t *projection.Target) { t.FormerKeys = []string{"two", "common"} }))
		Expect(dataOf("shown")).NotTo(HaveKey("common"))
	})
})

var _ = Describe("Somebody who is faster", func() {
	It("and deletes the target before it is written over has it made by the next pass, not by this", func() {
		project(goal())
		p := interposed(&between{beforeApply: func() { removed("shown") }})
		_, err := p.Project(ctx, goal(withData("password", "new")))
		Expect(apierrors.IsConflict(err)).To(BeTrue(), "%v", err)
		Expect(fault.Of(err)).To(And(HaveField("Stalled", false), HaveField("Reason", v1alpha1.ReasonProgressing)))
		Expect(absent("shown")).To(BeTrue())
		Expect(project(goal())).To(Equal(projection.Created))
	})

	It("and puts another in its place keeps it", func() {
		project(goal())
		p := interposed(&between{beforeApply: func() { removed("shown"); foreign("kubectl-create") }})
		_, err := p.Project(ctx, goal(withData("password", "new")))
		Expect(err).To(HaveOccurred())
		Expect(dataOf("shown")).To(Equal(map[string]string{"theirs": "1"}))
		_, err = projector.Project(ctx, goal())
		Expect(fault.Of(err)).To(HaveField("Reason", v1alpha1.ReasonConflict))
	})

	It("and replaces a former incarnation's target before it is taken over keeps it", func() {
		project(goal(func(t *projection.Target) { t.Owner.UID = "former" }))
		stale := stored("shown")
		p := interposed(&between{})
		removed("shown")
		foreign("kubectl-create", func(s *corev1.Secret) { labelled(s) })
		_, err := p.Project(ctx, goal())
		Expect(fault.Of(err)).To(HaveField("Reason", v1alpha1.ReasonConflict))
		Expect(stored("shown").UID).NotTo(Equal(stale.UID))
		Expect(dataOf("shown")).To(Equal(map[string]string{"theirs": "1"}))
	})

	It("and makes the target and deletes it again is out of the way", func() {
		foreign("kubectl-create")
		p := interposed(&between{afterCreate: func() { removed("shown") }})
		Expect(p.Project(ctx, goal())).To(Equal(projection.Created))
		Expect(traffic.take()).To(HaveExactElements("POST secrets", "GET secrets", "POST secrets"))
		Expect(dataOf("shown")).To(HaveKey("password"))
	})
})

var _ = Describe("Removing a target", func() {
	remove := func() error { return projector.Remove(ctx, namespace, "shown", owner) }

	It("that is ours deletes it, once", func() {
		project(goal())
		traffic.take()
		Expect(remove()).To(Succeed())
		Expect(traffic.take()).To(HaveExactElements("GET secrets", "DELETE secrets"))
		Expect(absent("shown")).To(BeTrue())
		Expect(remove()).To(Succeed())
		Expect(traffic.take()).To(HaveExactElements("GET secrets"))
	})

	DescribeTable("that is not ours leaves it", func(changes ...func(*corev1.Secret)) {
		foreign("kubectl-create", changes...)
		traffic.take()
		Expect(remove()).To(Succeed())
		Expect(traffic.take()).To(HaveExactElements("GET secrets"))
		Expect(dataOf("shown")).To(HaveKey("theirs"))
	},
		Entry("but somebody's"),
		Entry("but another controller's", controlledBy("Widget", "w", "w")),
		Entry("but shows our ARN without our reference", labelled, showing("arn:db")),
		Entry("but of another incarnation of ours", controlledBy("Secret", "db", "other"), showing("arn:db")),
	)

	DescribeTable("that another takes the place of in between leaves that one", func(changes ...func(*corev1.Secret)) {
		project(goal())
		p := interposed(&between{beforeDelete: func() { removed("shown"); foreign("kubectl-create", changes...) }})
		Expect(apierrors.IsConflict(p.Remove(ctx, namespace, "shown", owner))).To(BeTrue())
		Expect(dataOf("shown")).To(HaveKey("theirs"))
	},
		Entry("of somebody's"),
		Entry("of ours", controlledBy("Secret", "db", "mine"), labelled),
	)

	It("that changes hands in between leaves it", func() {
		project(goal())
		p := interposed(&between{beforeDelete: func() { edit(noOwner) }})
		Expect(apierrors.IsConflict(p.Remove(ctx, namespace, "shown", owner))).To(BeTrue())
		Expect(absent("shown")).To(BeFalse())
	})

	It("that goes in between is no error", func() {
		project(goal())
		p := interposed(&between{beforeDelete: func() { removed("shown") }})
		Expect(p.Remove(ctx, namespace, "shown", owner)).To(Succeed())
	})
})
