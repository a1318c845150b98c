package parameter_test

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

// These specs run the whole manager: nobody calls Reconcile, so what is watched is all that makes a pass.
var _ = Describe("A manager that runs", Ordered, ContinueOnFailure, func() {
	var namespace string
	BeforeAll(func() {
		op, err := environment.RunOperator(ctx, world.ControlPlane.Config, operator.Options{})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(op.Stop)
	})
	BeforeEach(func() { namespace = world.Namespace })
	c := func() client.Client { return world.ControlPlane.Client }
	// come makes an object as a user does.
	come := func(obj client.Object) {
		GinkgoHelper()
		Expect(c().Create(ctx, obj)).To(Succeed())
	}
	parameter := func(name string, changes ...edit) *v1alpha1.Parameter {
		GinkgoHelper()
		p := environment.Parameter(namespace, name, changes...)
		come(p)
		return p
	}
	change := func(obj client.Object, how func()) {
		GinkgoHelper()
		Eventually(func() error {
			if err := c().Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
				return err
			}
			how()
			return c().Update(ctx, obj)
		}).Should(Succeed())
	}
	reason := func(p *v1alpha1.Parameter) func() string {
		return func() string {
			if err := c().Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
				return err.Error()
			}
			return meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady).Reason
		}
	}
	inForce := func(p *v1alpha1.Parameter) {
		GinkgoHelper()
		Eventually(func(g Gomega) {
			g.Expect(reason(p)()).To(Equal(v1alpha1.ReasonSucceeded))
			g.Expect(p.Status.ObservedGeneration).To(Equal(p.Generation))
		}).Should(Succeed())
	}
	data := func(name string) func() map[string]string {
		return func() map[string]string {
			config := &corev1.ConfigMap{}
			_ = c().Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, config)
			return config.Data
		}
	}
	secretData := func(name string) func() map[string][]byte {
		return func() map[string][]byte {
			s := &corev1.Secret{}
			_ = c().Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, s)
			return s.Data
		}
	}
	sourced := func(name, value string) *corev1.Secret {
		return &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedSource}},
			Data:       map[string][]byte{"k": []byte(value)},
		}
	}

	It("shows a new Parameter, and each change of its spec", func() {
		p := parameter("a")
		inForce(p)
		for n := range 3 {
			value := fmt.Sprint("value ", n)
			change(p, func() { p.Spec.Value = value })
			Eventually(data("a")).Should(HaveKeyWithValue("LOG_LEVEL", value))
		}
		inForce(p)
		Expect(p.Status.Version).To(Equal(int64(4)))
	})

	It("heals a ConfigMap and a core Secret that somebody edits or deletes", func() {
		inForce(parameter("a"))
		inForce(parameter("b", shown(nil, &at{Key: "k"})))
		config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "a"}}
		change(config, func() { config.Data["LOG_LEVEL"] = "hacked" })
		Eventually(data("a")).Should(HaveKeyWithValue("LOG_LEVEL", "info"))
		Expect(c().Delete(ctx, config)).To(Succeed())
		Eventually(data("a")).Should(HaveKeyWithValue("LOG_LEVEL", "info"))
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "b"}}
		change(s, func() { s.Data["k"] = []byte("hacked") })
		Eventually(secretData("b")).Should(HaveKeyWithValue("k", []byte("info")))
		Expect(c().Delete(ctx, s)).To(Succeed())
		Eventually(secretData("b")).Should(HaveKeyWithValue("k", []byte("info")))
	})

	It("follows a source from when it appears, and each of its changes", func() {
		come(environment.KMSKey(namespace, "key"))
		p := parameter("a", from("s", v1alpha1.ImportFollow))
		Eventually(reason(p)).Should(Equal(v1alpha1.ReasonSourceNotFound))
		s := sourced("s", "one")
		come(s)
		Eventually(secretData("a")).Should(HaveKeyWithValue("password", []byte("one")))
		change(s, func() { s.Data["k"] = []byte("two") })
		Eventually(secretData("a")).Should(HaveKeyWithValue("password", []byte("two")))
	})

	It("waits for a key, goes on when that is there, and tells when it is disabled and enabled again", func() {
		p := parameter("a", secure("late"))
		Eventually(reason(p)).Should(Equal(v1alpha1.ReasonKeyNotFound))
		key := environment.KMSKey(namespace, "late")
		come(key)
		inForce(p)
		change(key, func() { off := false; key.Spec.Enabled = &off })
		Eventually(reason(p)).Should(Equal(v1alpha1.ReasonKeyUnusable))
		change(key, func() { on := true; key.Spec.Enabled = &on })
		inForce(p)
		Expect(p.Status.Versions).To(HaveLen(1))
	})

	It("makes the account's own key, for a SecureString that names none", func() {
		inForce(parameter("a", secure("")))
		Expect(c().Get(ctx, client.ObjectKey{Namespace: namespace, Name: "aws-ssm"}, &v1alpha1.KMSKey{})).To(Succeed())
	})

	It("shows a value that the API puts, into an object that had none and over one that had", func() {
		p := parameter("a", valued(""))
		Eventually(reason(p)).Should(Equal(v1alpha1.ReasonNoValue))
		world.Seen(p)
		for _, value := range []string{"one", "two"} {
			Eventually(func() error { return putByAPI(p, value) }).Should(Succeed())
			Eventually(data("a")).Should(HaveKeyWithValue("LOG_LEVEL", value))
		}
		inForce(p)
	})

	It("mends a status that is lost or set back", func() {
		p := parameter("a")
		inForce(p)
		change(p, func() { p.Spec.Value = "debug" })
		Eventually(data("a")).Should(HaveKeyWithValue("LOG_LEVEL", "debug"))
		for _, lose := range []func(*v1alpha1.ParameterStatus){
			func(s *v1alpha1.ParameterStatus) { *s = v1alpha1.ParameterStatus{} },
			func(s *v1alpha1.ParameterStatus) { s.Versions = s.Versions[:1] },
			func(s *v1alpha1.ParameterStatus) { s.Projection = nil },
			func(s *v1alpha1.ParameterStatus) { s.ARN = "" },
		} {
			Eventually(func() error {
				if err := c().Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
					return err
				}
				lose(&p.Status)
				return c().Status().Update(ctx, p)
			}).Should(Succeed())
			Eventually(func(g Gomega) {
				g.Expect(reason(p)()).To(Equal(v1alpha1.ReasonSucceeded))
				g.Expect(p.Status.Version).To(Equal(int64(2)))
				g.Expect(p.Status.Versions).To(HaveLen(2))
				g.Expect(p.Status.Projection).NotTo(BeNil())
			}).Should(Succeed())
		}
	})

	It("goes on when the Envelope that a Parameter misses is restored", func() {
		p := parameter("a")
		inForce(p)
		e := &world.Envelopes(v1alpha1.EnvelopeParameterVersion)[0]
		copied := e.DeepCopy()
		copied.ObjectMeta = metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Name}
		Expect(c().Delete(ctx, e)).To(Succeed())
		Eventually(reason(p)).Should(Equal(v1alpha1.ReasonEnvelopeMissing))
		come(copied)
		inForce(p)
		Expect(p.Status.Versions).To(HaveLen(1))
	})

	It("gives a name to the one that waits for it when the other goes for good", func() {
		first := parameter("a", named("/x"), func(p *v1alpha1.Parameter) {
			p.Annotations = map[string]string{v1alpha1.ForceDeleteAnnotation: "true"}
		})
		inForce(first)
		second := parameter("b", named("x"))
		Eventually(reason(second)).Should(Equal(v1alpha1.ReasonNameConflict))
		Expect(c().Delete(ctx, first)).To(Succeed())
		Eventually(func() []v1alpha1.Envelope { return world.Envelopes(v1alpha1.EnvelopeParameterVersion) }).Should(BeEmpty())
		change(second, func() { metav1.SetMetaDataAnnotation(&second.ObjectMeta, v1alpha1.ReconcileAnnotation, "now") })
		inForce(second)
		Expect(second.Status.Version).To(Equal(int64(1)))
	})

	It("brings back what is deleted and applied again, and keeps what is not for as long as the Parameter says", func() {
		p := parameter("a", func(p *v1alpha1.Parameter) { p.Spec.Deletion = &v1alpha1.SecretDeletion{RecoveryWindowInDays: 7} })
		inForce(p)
		Expect(c().Delete(ctx, p)).To(Succeed())
		stones := func() []v1alpha1.Envelope { return world.Envelopes(v1alpha1.EnvelopeTombstone) }
		Eventually(stones).Should(HaveLen(1))
		stone := stones()[0]
		Expect(stone.Spec.ExpireTime.Sub(stone.Spec.CreatedTime.Time).Hours()).To(Equal(7 * 24.0))
		back := parameter("a", valued("debug"))
		inForce(back)
		Expect(back.Status.Version).To(Equal(int64(2)))
		Eventually(stones).Should(BeEmpty())
	})

	Context("that saw a Parameter deleted", func() {
		tombstone := func() (uid string) {
			var list v1alpha1.EnvelopeList
			Expect(c().List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
			for i := range list.Items {
				if e := &list.Items[i]; e.Spec.Class == v1alpha1.EnvelopeTombstone {
					uid = string(e.UID)
				}
			}
			return uid
		}
		of := func(t v1alpha1.ParameterType) edit {
			return func(p *v1alpha1.Parameter) { p.Spec.Type, p.Spec.Value = t, "" }
		}
		bury := func(p *v1alpha1.Parameter, before string) (after string) {
			GinkgoHelper()
			Expect(c().Delete(ctx, p)).To(Succeed())
			Eventually(tombstone).ShouldNot(Or(BeEmpty(), Equal(before)))
			return tombstone()
		}

		DescribeTable("gives nothing of it to one of another type, which leaves what there is as it was when it is deleted",
			func(before, after v1alpha1.ParameterType) {
				p := parameter("a", func(p *v1alpha1.Parameter) { p.Spec.Type = before })
				inForce(p)
				Eventually(func() error {
					_, _, err := world.Services.Parameters.Label(ctx, p, 1, []string{"stable"})
					return err
				}).Should(Succeed())
				stone := bury(p, "")
				other := parameter("a", of(after))
				Eventually(reason(other)).Should(Equal("TypeMismatch"))
				Expect(meta.FindStatusCondition(other.Status.Conditions, v1alpha1.ConditionReady).Message).To(ContainSubstring("apply it as " + string(before) + ","))
				bury(other, stone)
				back := parameter("a", of(before))
				inForce(back)
				Expect(back.Status.Versions).To(HaveLen(1))
				Expect(back.Status.Versions[0].Labels).To(ConsistOf("stable"))
				Eventually(data("a")).Should(HaveKeyWithValue("LOG_LEVEL", "info"))
			},
			Entry("a StringList of a String", v1alpha1.ParameterString, v1alpha1.ParameterStringList),
			Entry("a String of a StringList", v1alpha1.ParameterStringList, v1alpha1.ParameterString),
		)

		It("lets one of another type begin anew when that was deleted with the annotation that the message names", func() {
			come(environment.KMSKey(namespace, "key"))
			p := parameter("a", secure("key"))
			inForce(p)
			bury(p, "")
			other := parameter("a", of(v1alpha1.ParameterString))
			Eventually(reason(other)).Should(Equal("TypeMismatch"))
			change(other, func() { metav1.SetMetaDataAnnotation(&other.ObjectMeta, v1alpha1.ForceDeleteAnnotation, "true") })
			Expect(c().Delete(ctx, other)).To(Succeed())
			Eventually(tombstone).Should(BeEmpty())
			anew := parameter("a")
			inForce(anew)
			Expect(anew.Status.Version).To(Equal(int64(1)))
			Eventually(data("a")).Should(HaveKeyWithValue("LOG_LEVEL", "info"))
		})
	})
})
