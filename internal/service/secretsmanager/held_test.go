package secretsmanager_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("A secret that a finalizer of somebody else's holds", func() {
	var secret *v1alpha1.Secret
	release := func() {
		if world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(secret), secret) == nil {
			secret.Finalizers = nil
			Expect(world.ControlPlane.Client.Update(ctx, secret)).To(Succeed())
		}
	}
	BeforeEach(func() {
		secret = holding("db", "one")
		world.Update(secret, func() { secret.Finalizers = []string{"example.com/hold"} })
		DeferCleanup(release)
	})
	terminating := func() {
		GinkgoHelper()
		world.Refresh(secret)
		world.Seen(secret)
		Expect(secret.DeletionTimestamp).NotTo(BeNil())
	}

	It("is deleted without recovery for good, and its name is free", func() {
		Expect(service().DeleteNow(ctx, find("db"))).To(Succeed())
		Expect(world.Envelopes(v1alpha1.EnvelopeSecretVersion)).To(BeEmpty())
		terminating()
		Expect(find("db")).To(Equal(secretsmanager.Found{}))
		next := holding("db", "two")
		Expect(next.Name).NotTo(Equal(secret.Name))
		Expect(shown(next)).To(Equal("two"))
		world.Update(secret, func() { secret.Annotations = nil })
		release()
		swept("db")
		Expect(world.Envelopes(v1alpha1.EnvelopeTombstone)).To(BeEmpty())
		Expect(find("db").Secret.Name).To(Equal(next.Name))
	})

	It("waits for its deletion like any other, and is restored when its object has gone", func() {
		_, err := service().Delete(ctx, secret, 7)
		Expect(err).NotTo(HaveOccurred())
		terminating()
		swept("db")
		stone := find("db").Tombstone
		Expect(stone).NotTo(BeNil(), "the sweep has taken it for that of a secret that is back")
		stone = stone.DeepCopy()
		_, err = service().Restore(ctx, stone)
		Expect(err).To(MatchError(And(ContainSubstring("InvalidRequestException"), ContainSubstring("finalizers"))))
		Expect(world.Envelopes(v1alpha1.EnvelopeTombstone)).To(HaveLen(1))
		release()
		Eventually(func() error { _, err := service().Restore(ctx, stone); return err }).Should(Succeed())
		world.Refresh(secret)
		Expect(shown(secret)).To(Equal("one"))
	})

	It("and that has another name in AWS is found no more", func() {
		other := environment.Secret(world.Namespace, "object", func(s *v1alpha1.Secret) {
			s.Spec.Name, s.Spec.Generate, s.Spec.Target, s.Finalizers = "prod/other", nil, nil, []string{"example.com/hold"}
		})
		world.Create(other)
		_, err := world.Secret.Reconcile(ctx, environment.Request(other))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(other)
		world.Seen(other)
		Expect(find("prod/other").Secret).NotTo(BeNil())
		Expect(world.ControlPlane.Client.Delete(ctx, other)).To(Succeed())
		world.Refresh(other)
		world.Seen(other)
		Expect(find("prod/other").Secret).To(BeNil())
		other.Finalizers = nil
		Expect(world.ControlPlane.Client.Update(ctx, other)).To(Succeed())
	})
})

var _ = Describe("A secret that somebody owns", func() {
	owned := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "nobody", UID: "00000000-0000-0000-0000-000000000000"}
	mark := map[string]string{v1alpha1.ForceDeleteAnnotation: "true"}

	It("has its window, though it is marked to have none; a replica's owner is its primary", func() {
		s := &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Annotations: mark}}
		Expect(secretsmanager.IsForced(s)).To(BeTrue())
		s.OwnerReferences = []metav1.OwnerReference{owned}
		Expect(secretsmanager.IsForced(s)).To(BeFalse())
		primary := metav1.OwnerReference{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "Secret", Name: "primary", UID: "1"}
		s.OwnerReferences = []metav1.OwnerReference{primary}
		Expect(secretsmanager.IsForced(s)).To(BeFalse(), "it is no replica")
		s.Spec.ReplicaOf = &v1alpha1.PrimarySecret{Name: "primary", Region: "us-east-1"}
		Expect(secretsmanager.IsForced(s)).To(BeTrue())
		s.Spec.ReplicaOf.Name = "another"
		Expect(secretsmanager.IsForced(s)).To(BeFalse())
	})

	It("is deleted without recovery when DeleteSecret says so, which leaves the mark alone", func() {
		secret := holding("db", "one")
		world.Update(secret, func() { secret.OwnerReferences = []metav1.OwnerReference{owned} })
		_, writes := world.Faulty()
		writes.FailAt(2, false)
		Expect(world.SecretsOver(writes).DeleteNow(ctx, find("db"))).To(MatchError(environment.ErrInjected))
		world.Refresh(secret)
		world.Seen(secret)
		Expect(secret.OwnerReferences).To(BeEmpty())
		Expect(secretsmanager.IsForced(secret)).To(BeTrue())
		Expect(service().DeleteNow(ctx, find("db"))).To(Succeed())
		Expect(world.Envelopes(v1alpha1.EnvelopeSecretVersion)).To(BeEmpty())
	})
})

var _ = Describe("A tombstone of a secret that is forged", func() {
	It("keeps nobody from the name, is in no list, and hides no other", func() {
		secret := holding("db", "one")
		subject := secret.Annotations[v1alpha1.SubjectAnnotation]
		_, err := service().Delete(ctx, secret, 7)
		Expect(err).NotTo(HaveOccurred())
		genuine := find("db").Tombstone.DeepCopy()
		until := metav1.NewTime(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
		forge := func(subject, owner string, sequence int64) {
			GinkgoHelper()
			e := genuine.DeepCopy()
			e.ObjectMeta = metav1.ObjectMeta{Namespace: world.Namespace, Name: store.Name(v1alpha1.EnvelopeTombstone, subject, sequence)}
			e.Spec.Subject, e.Spec.Sequence, e.Spec.Owner.Name, e.Spec.ExpireTime = subject, sequence, owner, &until
			e.Spec.CreatedTime = metav1.NewTime(genuine.Spec.CreatedTime.Add(time.Minute))
			world.Create(e)
		}
		forge(subject, "db", 9)
		forge(arn.Secret(environment.Region, accountID(), "free", "AbCdEf"), "nobody", 1)
		Expect(find("free")).To(Equal(secretsmanager.Found{}))
		holding("free", "mine")
		Expect(find("db").Tombstone.UID).To(Equal(genuine.UID))
		listed, err := service().List(ctx, world.Namespace, environment.Region, true)
		Expect(err).NotTo(HaveOccurred())
		Expect(listed).To(HaveLen(2))
		swept("db")
		Eventually(func() []v1alpha1.Envelope {
			swept("db")
			swept("nobody")
			return world.Envelopes(v1alpha1.EnvelopeTombstone)
		}).Should(ConsistOf(HaveField("UID", genuine.UID)))
	})
})
