package parameter_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/test/environment"
)

// source makes a core Secret with one key, k, which is watched.
func source(name, value string) *corev1.Secret {
	GinkgoHelper()
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: world.Namespace, Name: name, Labels: map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedSource},
		},
		Data: map[string][]byte{"k": []byte(value)},
	}
	world.Create(s)
	return s
}

// from has a SecureString be imported from the key k of a core Secret.
func from(name string, policy v1alpha1.ImportPolicy) func(*v1alpha1.Parameter) {
	return func(p *v1alpha1.Parameter) {
		secure("key")(p)
		p.Spec.Generate = nil
		p.Spec.ValueFrom = &v1alpha1.SecretValueSource{SecretKeyRef: v1alpha1.SecretKeyReference{Name: name, Key: "k"}, Policy: policy}
	}
}

// passOver makes one pass, of which the result counts.
func passOver(p *v1alpha1.Parameter) ctrl.Result {
	GinkgoHelper()
	result, err := world.Parameter.Reconcile(ctx, environment.Request(p))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(p)
	world.Seen(p)
	return result
}

// putByAPI puts a value as a request does.
func putByAPI(p *v1alpha1.Parameter, value string) error {
	GinkgoHelper()
	_, _, err := world.Services.Parameters.Put(ctx, parameterstore.PutInput{
		Namespace: p.Namespace, Account: accountOf(p), Region: "us-east-1", Name: p.AWSName(), Overwrite: true,
		Value: secretbytes.Copy([]byte(value)),
	})
	world.Refresh(p)
	world.Seen(p)
	return err
}

var _ = Describe("A value that is imported", func() {
	BeforeEach(func() { world.ReadyKey("key") })

	It("once, is not imported again when the source changes, and may be overwritten by the API", func() {
		s := source("s", "one")
		p := ready("a", from("s", v1alpha1.ImportOnce))
		world.Update(s, func() { s.Data["k"] = []byte("two") })
		reconcile(p)
		Expect(stored(p, 1)).To(Equal("one"))
		Expect(p.Status.Versions).To(HaveLen(1))
		Expect(putByAPI(p, "by hand")).To(Succeed())
		reconcile(p)
		Expect(p.Status.Versions).To(HaveLen(2))
		Expect(coreSecret("a").Data["password"]).To(BeEquivalentTo("by hand"))
		Expect(p.Status.ImportedFrom).To(Equal("s/k"))
	})

	It("once, is imported anew when the annotation asks for it or spec names another source", func() {
		s := source("s", "one")
		source("t", "three")
		p := ready("a", from("s", v1alpha1.ImportOnce))
		world.Update(s, func() { s.Data["k"] = []byte("two") })
		world.Update(p, func() { metav1.SetMetaDataAnnotation(&p.ObjectMeta, v1alpha1.RotateAnnotation, "1") })
		reconcile(p)
		reconcile(p)
		Expect(stored(p, 2)).To(Equal("two"))
		world.Update(p, func() { p.Spec.ValueFrom.SecretKeyRef.Name = "t" })
		reconcile(p)
		Expect(stored(p, 3)).To(Equal("three"))
		Expect(p.Status.ImportedFrom).To(Equal("t/k"))
		Expect(p.Status.Versions).To(HaveLen(3))
	})

	It("of the same bytes as the latest makes no version", func() {
		source("s", "one")
		source("t", "one")
		p := ready("a", from("s", v1alpha1.ImportOnce))
		world.Update(p, func() { p.Spec.ValueFrom.SecretKeyRef.Name = "t" })
		reconcile(p)
		Expect(p.Status.Versions).To(HaveLen(1))
		Expect(p.Status.ImportedFrom).To(Equal("t/k"))
	})

	It("and followed, cannot be overwritten by the API, which tells why", func() {
		source("s", "one")
		p := ready("a", from("s", v1alpha1.ImportFollow))
		Expect(putByAPI(p, "by hand")).To(MatchError(And(ContainSubstring("spec.valueFrom of Parameter a"), ContainSubstring("Follow"))))
		Expect(p.Status.Versions).To(HaveLen(1))
	})

	DescribeTable("waits for its source, and says what is missing",
		func(text string, prepare func(), policy v1alpha1.ImportPolicy) {
			prepare()
			p := create("a", from("s", policy))
			Expect(passOver(p).RequeueAfter).To(And(BeNumerically(">", 0), BeNumerically("<=", 5*time.Minute+30*time.Second)))
			Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonSourceNotFound))
			Expect(condition(p).Message).To(ContainSubstring(text))
			Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(BeEmpty())
		},
		Entry("that is not there", "core Secret s; create it", func() {}, v1alpha1.ImportOnce),
		Entry("that is not there and is to be followed", "core Secret s", func() {}, v1alpha1.ImportFollow),
		Entry("that lacks the key", "has no key k", func() {
			s := source("s", "x")
			world.Update(s, func() { s.Data = map[string][]byte{"other": []byte("x")} })
		}, v1alpha1.ImportOnce),
	)

	It("that is lost keeps what it has, and says that the source is missing", func() {
		s := source("s", "one")
		p := ready("a", from("s", v1alpha1.ImportFollow))
		world.Remove(s)
		reconcile(p)
		Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonSourceNotFound))
		Expect(stored(p, 1)).To(Equal("one"))
		Expect(coreSecret("a").Data["password"]).To(BeEquivalentTo("one"))
		world.Remove(coreSecret("a"))
		reconcile(p)
		Expect(coreSecret("a").Data["password"]).To(BeEquivalentTo("one"), "the target is healed all the same")
	})

	DescribeTable("is held to the parameter's limits, and the message tells nothing of it",
		func(value string, change func(*v1alpha1.Parameter)) {
			source("s", value)
			p := create("a", from("s", v1alpha1.ImportOnce), change)
			reconcile(p)
			Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonInvalidValue))
			if value != "" {
				Expect(condition(p).Message).NotTo(ContainSubstring(value))
			}
			Expect(world.DrainEvents()).NotTo(ContainElement(ContainSubstring("hush")))
			Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(BeEmpty())
		},
		Entry("its size", "hush"+long(4093), func(*v1alpha1.Parameter) {}),
		Entry("its pattern", "hush", func(p *v1alpha1.Parameter) { p.Spec.AllowedPattern = "^[0-9]+$" }),
		Entry("that it is something", "", func(*v1alpha1.Parameter) {}),
	)

	It("from a source that is not labelled is looked at every five minutes", func() {
		Expect(world.ControlPlane.Client.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "s"}, Data: map[string][]byte{"k": []byte("one")},
		})).To(Succeed())
		p := create("a", from("s", v1alpha1.ImportFollow))
		Expect(passOver(p).RequeueAfter).To(Equal(5 * time.Minute))
	})
})

// A source that changes all the time, and sources that are made of what follows them, must not fill the history in a moment.
var _ = Describe("Following a source that never rests", func() {
	BeforeEach(func() { world.ReadyKey("key") })

	It("makes five versions a minute, and goes on when the minute is over", func() {
		s := source("s", "0")
		p := ready("a", from("s", v1alpha1.ImportFollow))
		wait := time.Duration(0)
		for n := range 8 {
			world.Update(s, func() { s.Data["k"] = []byte(fmt.Sprint(n + 1)) })
			wait = passOver(p).RequeueAfter
		}
		Expect(p.Status.Versions).To(HaveLen(5))
		Expect(wait).To(And(BeNumerically(">", 0), BeNumerically("<=", time.Minute)))
		Expect(condition(p)).To(HaveField("Status", metav1.ConditionTrue))
		world.Clock.Advance(wait)
		reconcile(p)
		Expect(stored(p, 6)).To(Equal("8"), "what came meanwhile is left out, and the last value is not")
	})

	It("that is made of its follower is a Cycle, and changes nothing that there is", func() {
		s := source("a-target", "first")
		world.Remove(s)
		p := create("a", from("b-target", v1alpha1.ImportFollow), func(p *v1alpha1.Parameter) {
			p.Spec.Target.Secret = &v1alpha1.ParameterTargetKey{Name: "a-target", Key: "k"}
		})
		q := create("b", from("a-target", v1alpha1.ImportFollow), func(p *v1alpha1.Parameter) {
			p.Spec.Target.Secret = &v1alpha1.ParameterTargetKey{Name: "b-target", Key: "k"}
		})
		reconcile(p)
		reconcile(q)
		Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonCycle))
		Expect(condition(q).Reason).To(Equal(v1alpha1.ReasonCycle))
		world.Update(p, func() { p.Spec.ValueFrom.SecretKeyRef.Name = "seed" })
		source("seed", "grown")
		reconcile(p)
		reconcile(q)
		world.Update(p, func() { p.Spec.ValueFrom.SecretKeyRef.Name = "b-target" })
		for range 4 {
			reconcile(p)
			reconcile(q)
		}
		Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonCycle))
		Expect(p.Status.Versions).To(HaveLen(1))
		Expect(q.Status.Versions).To(HaveLen(1))
		Expect(stored(p, 1)).To(Equal("grown"))
		Expect(stored(q, 1)).To(Equal("grown"))
	})

	It("and are swapped for ever by two that follow each other's target is bounded", func() {
		for _, name := range []string{"a", "b"} {
			other := map[string]string{"a": "b", "b": "a"}[name]
			source("seed-"+name, name)
			p := create(name, from("seed-"+name, v1alpha1.ImportOnce), func(p *v1alpha1.Parameter) {
				p.Spec.Target.Secret = &v1alpha1.ParameterTargetKey{Name: name + "-target", Key: "k"}
			})
			reconcile(p)
			world.Update(p, func() {
				p.Spec.ValueFrom.SecretKeyRef.Name, p.Spec.ValueFrom.Policy = other+"-target", v1alpha1.ImportFollow
			})
		}
		a := &v1alpha1.Parameter{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "a"}}
		b := &v1alpha1.Parameter{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "b"}}
		for range 12 { // both read before either writes, as two workers do
			done := make(chan struct{})
			go func() {
				defer GinkgoRecover()
				defer close(done)
				_, _ = world.Parameter.Reconcile(ctx, environment.Request(a))
			}()
			_, _ = world.Parameter.Reconcile(ctx, environment.Request(b))
			<-done
		}
		world.Refresh(a)
		world.Refresh(b)
		Expect(len(a.Status.Versions)).To(BeNumerically("<=", 5))
		Expect(len(b.Status.Versions)).To(BeNumerically("<=", 5))
	})
})
