package injection_test

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/injection"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("A namespace", func() {
	It("whose service accounts a role lists has all that their pods read", func() {
		role("shop", "shop")
		Expect(pass(world.Namespace)).To(Equal(ctrl.Result{}))
		Expect(found(world.Namespace).Data).To(Equal(whole(world.Namespace)))
	})

	It("has the account id of its label", func() {
		role("shop", "shop")
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: world.Namespace}}
		world.Update(namespace, func() { namespace.Labels[v1alpha1.AccountIDLabel] = "123456789012" })
		pass(world.Namespace)
		Expect(found(world.Namespace).Data).To(HaveKeyWithValue("account-id", "123456789012"))
	})

	It("of which no role lists a service account has nothing", func() {
		role("users")
		role("elsewhere", "another-namespace/shop")
		Expect(pass(world.Namespace)).To(Equal(ctrl.Result{}))
		Expect(found(world.Namespace)).To(BeNil())
	})

	It("of whose service accounts another namespace's role lists one has it, with its own account id", func() {
		other := world.NewNamespace()
		role("shop", v1alpha1.ServiceAccountReference(other+"/shop"))
		pass(other)
		pass(world.Namespace)
		Expect(found(other).Data).To(Equal(whole(other)))
		Expect(found(world.Namespace)).To(BeNil())
	})

	It("that is not there, or going, is left alone", func() {
		role("shop", "shop", "nowhere/shop")
		Expect(pass("nowhere")).To(Equal(ctrl.Result{}))
		going := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: world.Namespace}}
		Expect(world.ControlPlane.Client.Delete(ctx, going)).To(Succeed())
		world.Refresh(going)
		world.Seen(going)
		Expect(pass(world.Namespace)).To(Equal(ctrl.Result{}))
		Expect(found(world.Namespace)).To(BeNil())
	})

	DescribeTable("without an account of its own has no account id, so that pods wait for it, and gets it when it has one",
		func(id func() string) {
			role("shop", "shop")
			pass(world.Namespace)
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: world.Namespace}}
			world.Update(namespace, func() { namespace.Labels[v1alpha1.AccountIDLabel] = id() })
			Expect(pass(world.Namespace)).To(Equal(ctrl.Result{RequeueAfter: time.Minute}))
			want := whole(world.Namespace)
			delete(want, "account-id")
			Expect(found(world.Namespace).Data).To(Equal(want))
			world.Update(namespace, func() { delete(namespace.Labels, v1alpha1.AccountIDLabel) })
			Expect(pass(world.Namespace)).To(Equal(ctrl.Result{}))
			Expect(found(world.Namespace).Data).To(Equal(whole(world.Namespace)))
		},
		Entry("because its label is none", func() string { return "12" }),
		Entry("because an older namespace has it", func() string { return whole("strongroom-system")["account-id"] }),
	)
})

var _ = Describe("What pods read", func() {
	BeforeEach(func() {
		role("shop", "shop")
		pass(world.Namespace)
	})

	It("is written once", func() {
		version := found(world.Namespace).ResourceVersion
		pass(world.Namespace)
		Expect(found(world.Namespace).ResourceVersion).To(Equal(version))
	})

	It("heals when it is changed or deleted, and what others add to it stays", func() {
		c := found(world.Namespace)
		world.Update(c, func() {
			c.Data = map[string]string{"ca.crt": "-----BEGIN EVIL-----", "endpoint-url": "https://evil.example", "more": "theirs"}
		})
		pass(world.Namespace)
		want := whole(world.Namespace)
		want["more"] = "theirs"
		Expect(found(world.Namespace).Data).To(Equal(want))
		world.Remove(found(world.Namespace))
		pass(world.Namespace)
		Expect(found(world.Namespace).Data).To(Equal(whole(world.Namespace)))
	})

	It("follows the gateway's authority", func() {
		published = certificate()
		publish(published)
		pass(world.Namespace)
		Expect(found(world.Namespace).Data).To(Equal(whole(world.Namespace)))
	})

	It("stays as it was while the gateway's authority is none", func() {
		publish("no certificate")
		_, err := reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKey{Name: world.Namespace}})
		Expect(err).To(MatchError(ContainSubstring("ConfigMap strongroom-system/strongroom-gateway-ca")))
		publish("")
		Expect(pass(world.Namespace)).To(Equal(ctrl.Result{}))
		Expect(found(world.Namespace).Data).To(Equal(whole(world.Namespace)))
	})

	It("stays when the last role goes: pods may run", func() {
		world.Remove(&v1alpha1.IAMRole{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "shop"}})
		world.Remove(found(world.Namespace))
		pass(world.Namespace)
		Expect(found(world.Namespace)).To(BeNil(), "nothing is made for no role")
	})

	It("is written anew after a crash before or after the write", func() {
		for _, after := range []bool{false, true} {
			world.Remove(found(world.Namespace))
			faulty := &environment.FaultyClient{Client: world.GetClient()}
			faulty.FailAt(1, after)
			crashing := *reconciler
			crashing.Client = faulty
			_, err := crashing.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKey{Name: world.Namespace}})
			Expect(err).To(MatchError(environment.ErrInjected))
			pass(world.Namespace)
			Expect(found(world.Namespace).Data).To(Equal(whole(world.Namespace)))
		}
	})

	It("is, in Strongroom's own namespace, the gateway's authority as the gateway has it", func() {
		own := environment.OperatorNamespace
		role("system", v1alpha1.ServiceAccountReference(own+"/job"))
		pass(own)
		Expect(found(own).Data).To(Equal(whole(own)))
		for _, m := range found(own).ManagedFields {
			if m.Manager != "strongroom-gateway" {
				Expect(m.FieldsV1.GetRawString()).NotTo(ContainSubstring("ca.crt"), m.Manager)
			}
		}
		published = certificate()
		publish(published)
		pass(own)
		Expect(found(own).Data).To(Equal(whole(own)))
	})
})

var _ = Describe("The index of roles by their service accounts' namespaces", func() {
	DescribeTable("has each once", func(accounts []v1alpha1.ServiceAccountReference, want ...string) {
		r := &v1alpha1.IAMRole{ObjectMeta: metav1.ObjectMeta{Namespace: "own"}}
		r.Spec.ServiceAccounts = accounts
		Expect(strings.Join(injection.IndexNamespace(r), " ")).To(Equal(strings.Join(want, " ")))
	},
		Entry("none", nil),
		Entry("its own", []v1alpha1.ServiceAccountReference{"a", "b"}, "own"),
		Entry("its own by name, and others", []v1alpha1.ServiceAccountReference{"own/a", "z/b", "b", "a/b", "z/c"}, "a", "own", "z"),
	)

	It("has nothing of other kinds", func() { Expect(injection.IndexNamespace(&corev1.ConfigMap{})).To(BeEmpty()) })
})
