package envelope_test

import (
	"context"
	"testing"
	"time"

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

func TestEnvelopeController(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(15 * time.Second)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	RunSpecs(t, "Envelope controller")
}

// These specs run the whole manager, since what they are about begins with an event.
var (
	ctx       = context.Background()
	cp        *environment.ControlPlane
	namespace string
)

var _ = BeforeSuite(func() {
	var err error
	cp, err = environment.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(cp.Stop()).To(Succeed()) })
})

var _ = BeforeEach(func() {
	var err error
	namespace, err = cp.NewNamespace(ctx)
	Expect(err).NotTo(HaveOccurred())
	Expect(cp.Client.Create(ctx, environment.KMSKey(namespace, "key"))).To(Succeed())
})

func run() *environment.Operator {
	GinkgoHelper()
	op, err := environment.RunOperator(ctx, cp.Config, operator.Options{})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(op.Stop)
	return op
}

func ready(s *v1alpha1.Secret) {
	GinkgoHelper()
	Eventually(func() bool {
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
		return meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReady)
	}).Should(BeTrue())
}

func classes() map[v1alpha1.EnvelopeClass]int {
	var list v1alpha1.EnvelopeList
	Expect(cp.Client.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
	out := map[v1alpha1.EnvelopeClass]int{}
	for i := range list.Items {
		out[list.Items[i].Spec.Class]++
	}
	return out
}

func tombstones() []v1alpha1.Envelope {
	var list v1alpha1.EnvelopeList
	Expect(cp.Client.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
	var out []v1alpha1.Envelope
	for i := range list.Items {
		if list.Items[i].Spec.Class == v1alpha1.EnvelopeTombstone {
			out = append(out, list.Items[i])
		}
	}
	return out
}

var _ = Describe("A deleted Secret", func() {
	It("gets a tombstone with its own recovery window, and its versions go when that ends", func() {
		op := run()
		s := environment.Secret(namespace, "db", func(s *v1alpha1.Secret) {
			s.Spec.Deletion = &v1alpha1.SecretDeletion{RecoveryWindowInDays: 7}
		})
		Expect(cp.Client.Create(ctx, s)).To(Succeed())
		ready(s)
		Expect(cp.Client.Delete(ctx, s)).To(Succeed())
		Eventually(tombstones).Should(HaveLen(1))
		stone := tombstones()[0]
		Expect(stone.Spec.ExpireTime.Time).To(BeTemporally("~", op.Clock.Now().AddDate(0, 0, 7), time.Minute))
		Expect(classes()).To(HaveKeyWithValue(v1alpha1.EnvelopeSecretVersion, 1))
		Expect(op.Stop()).To(Succeed())

		// Another manager, a week later, finds them by itself.
		later := environment.NewClock(stone.Spec.ExpireTime.Add(time.Minute))
		op, err := environment.RunOperator(ctx, cp.Config, operator.Options{Now: later.Now})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(op.Stop)
		Eventually(classes).ShouldNot(Or(HaveKey(v1alpha1.EnvelopeSecretVersion), HaveKey(v1alpha1.EnvelopeTombstone)))
		Expect(classes()).To(HaveKeyWithValue(v1alpha1.EnvelopeKeyMaterial, 1))
	})

	It("while no manager runs gets the longest window when one starts", func() {
		op := run()
		s := environment.Secret(namespace, "db", func(s *v1alpha1.Secret) {
			s.Spec.Deletion = &v1alpha1.SecretDeletion{RecoveryWindowInDays: 7}
		})
		Expect(cp.Client.Create(ctx, s)).To(Succeed())
		ready(s)
		Expect(op.Stop()).To(Succeed())
		Expect(cp.Client.Delete(ctx, s)).To(Succeed())
		op = run()
		Eventually(tombstones).Should(HaveLen(1))
		Expect(tombstones()[0].Spec.ExpireTime.Time).To(BeTemporally("~", op.Clock.Now().AddDate(0, 0, 30), time.Minute))
	})

	It("is restored by applying it again, with its ARN and value, and the tombstone goes", func() {
		op := run()
		s := environment.Secret(namespace, "db")
		Expect(cp.Client.Create(ctx, s)).To(Succeed())
		ready(s)
		before := s.Status.DeepCopy()
		Expect(cp.Client.Delete(ctx, s)).To(Succeed())
		Eventually(tombstones).Should(HaveLen(1))
		again := environment.Secret(namespace, "db")
		Expect(cp.Client.Create(ctx, again)).To(Succeed())
		ready(again)
		Expect(again.Status.ARN).To(Equal(before.ARN))
		Expect(again.Status.Versions).To(Equal(before.Versions))
		Eventually(tombstones).Should(BeEmpty())
		Expect(op.Stop()).To(Succeed())
	})

	It("under another AWS name is another secret, and the old one keeps its window", func() {
		run()
		s := environment.Secret(namespace, "db")
		Expect(cp.Client.Create(ctx, s)).To(Succeed())
		ready(s)
		Expect(cp.Client.Delete(ctx, s)).To(Succeed())
		Eventually(tombstones).Should(HaveLen(1))
		// There is no kube-controller-manager here that would collect the projection of the deleted Secret.
		Expect(cp.Client.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "db"}})).To(Succeed())
		other := environment.Secret(namespace, "db", func(s *v1alpha1.Secret) { s.Spec.Name = "prod/other" })
		Expect(cp.Client.Create(ctx, other)).To(Succeed())
		ready(other)
		Expect(other.Status.ARN).To(ContainSubstring("prod/other"))
		Expect(other.Status.Versions[0].VersionID).NotTo(Equal(s.Status.Versions[0].VersionID))
		Consistently(tombstones, "1s").Should(HaveLen(1))
	})
})

var _ = Describe("A manager", func() {
	It("that finds its root of trust gone is sealed, makes no other, and goes on when it is restored", func() {
		op := run()
		s := environment.Secret(namespace, "db")
		Expect(cp.Client.Create(ctx, s)).To(Succeed())
		ready(s)
		Expect(op.Stop()).To(Succeed())

		root := environment.RootSecret()
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(root), root)).To(Succeed())
		Expect(cp.Client.Delete(ctx, root.DeepCopy())).To(Succeed())
		sealed, err := operator.New(cp.Config, operator.Options{
			Namespace: environment.OperatorNamespace, Region: "us-east-1", SkipControllerNames: true,
		})
		Expect(err).NotTo(HaveOccurred())
		running, cancel := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- sealed.Start(running) }()
		DeferCleanup(func() {
			cancel()
			Expect(<-done).To(Succeed())
		})

		fresh := environment.Secret(namespace, "fresh")
		Expect(cp.Client.Create(ctx, fresh)).To(Succeed())
		Eventually(func() string {
			Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(fresh), fresh)).To(Succeed())
			return meta.FindStatusCondition(fresh.Status.Conditions, v1alpha1.ConditionReady).Reason
		}).Should(Equal(v1alpha1.ReasonSealed))
		_, err = sealed.Services.Keyring.Get()
		Expect(err).To(MatchError(ContainSubstring("strongroom-root is missing")))
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(root), environment.RootSecret())).NotTo(Succeed())

		root.ResourceVersion, root.UID = "", ""
		Expect(cp.Client.Create(ctx, root)).To(Succeed())
		Eventually(sealed.Services.Keyring.Unsealed(), "20s").Should(BeClosed())
		Eventually(func() bool {
			Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(fresh), fresh)).To(Succeed())
			return meta.IsStatusConditionTrue(fresh.Status.Conditions, v1alpha1.ConditionReady)
		}, "40s").Should(BeTrue())
	})
})
