package secretsmanager_test

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/test/environment"
)

// beforeDeleting lets somebody else act when an Envelope is about to be deleted, after so many others: after the look whether its object is there.
type beforeDeleting struct {
	client.Client
	after int
	act   func()
}

func (b *beforeDeleting) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	if _, ok := obj.(*v1alpha1.Envelope); ok && b.act != nil {
		if b.after--; b.after >= 0 {
			return b.Client.Delete(ctx, obj, opts...)
		}
		act := b.act
		b.act = nil
		act()
	}
	return b.Client.Delete(ctx, obj, opts...)
}

var _ = Describe("A restore of what is being erased", func() {
	var stone *v1alpha1.Envelope
	var found secretsmanager.Found
	BeforeEach(func() {
		s := holding("db", "one")
		give(s, "two")
		world.Seen(s)
		_, err := service().Delete(ctx, s, 7)
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() *v1alpha1.Envelope { found = find("db"); return found.Tombstone }).ShouldNot(BeNil())
		stone = found.Tombstone.DeepCopy()
	})
	object := func() error {
		return world.ControlPlane.Client.Get(ctx, client.ObjectKey{Namespace: world.Namespace, Name: "db"}, &v1alpha1.Secret{})
	}
	nothing := func(err error) {
		GinkgoHelper()
		Expect(err).To(MatchError(secretsmanager.NotFound()))
		Expect(apierrors.IsNotFound(object())).To(BeTrue(), "an object is there whose status names what is gone")
		Expect(world.Envelopes(v1alpha1.EnvelopeSecretVersion)).To(BeEmpty())
		Expect(world.Envelopes(v1alpha1.EnvelopeTombstone)).To(BeEmpty())
	}
	restore := func() error { _, err := service().Restore(ctx, stone); return err }

	It("finds nothing while DeleteSecret erases it by force, and leaves no object", func() {
		var restored error
		over := &beforeDeleting{Client: world.GetClient(), act: func() { restored = restore() }}
		Expect(world.SecretsOver(&environment.FaultyClient{Client: over}).DeleteNow(ctx, found)).To(Succeed())
		nothing(restored)
	})

	It("finds nothing while the sweep erases it at the end of its window", func() {
		world.Clock.Set(stone.Spec.ExpireTime.Add(time.Second))
		var restored error
		reconcilers, faulty := world.Faulty()
		faulty.Client = &beforeDeleting{Client: world.GetClient(), act: func() { restored = restore() }}
		Expect(reconcilers.SweepOnce(ctx, "Secret", world.Namespace, "db")).To(Succeed())
		nothing(restored)
	})

	It("finds nothing when all is erased, though its cache is behind", func() {
		Expect(service().DeleteNow(ctx, found)).To(Succeed())
		nothing(restore())
	})

	It("answers what another restore has brought back, whose tombstone is gone too", func() {
		Expect(restore()).To(Succeed())
		Expect(restore()).To(Succeed())
		Expect(world.Envelopes(v1alpha1.EnvelopeSecretVersion)).To(HaveLen(2))
	})

	It("finds nothing of what a deletion by force began to erase, and the sweep erases the rest: no older value comes back", func() {
		dying := &environment.FaultyClient{Client: world.GetClient()}
		dying.FailAt(1, true)
		Expect(world.SecretsOver(dying).DeleteNow(ctx, found)).NotTo(Succeed())
		Expect(restore()).To(MatchError(secretsmanager.NotFound()))
		Expect(apierrors.IsNotFound(object())).To(BeTrue())
		Eventually(func() []v1alpha1.Envelope {
			world.Sweep("Secret", "db")
			return append(world.Envelopes(v1alpha1.EnvelopeSecretVersion), world.Envelopes(v1alpha1.EnvelopeTombstone)...)
		}).Should(BeEmpty())
	})

	for _, deleted := range []int{1, 2} { // the newest version; both, and not the tombstone
		It(fmt.Sprintf("by the controller, of an object that was applied again when %d were gone, is none: no older value is in force", deleted), func() {
			s := environment.Secret(world.Namespace, "db", func(s *v1alpha1.Secret) { s.Spec.Generate, s.Spec.Target, s.Spec.KMSKeyRef = nil, nil, nil })
			metav1.SetMetaDataAnnotation(&s.ObjectMeta, v1alpha1.SubjectAnnotation, stone.Spec.Subject)
			pass := func() {
				world.Seen(s)
				world.Sweep("Secret", "db")
				_, err := world.Secret.Reconcile(ctx, environment.Request(s))
				Expect(err).NotTo(HaveOccurred())
				world.Refresh(s)
			}
			over := &beforeDeleting{Client: world.GetClient(), after: deleted, act: func() { world.Create(s); pass() }}
			Expect(world.SecretsOver(&environment.FaultyClient{Client: over}).DeleteNow(ctx, found)).To(Succeed())
			Eventually(func() []v1alpha1.Envelope {
				pass()
				Expect(s.Status.Versions).To(BeEmpty())
				return append(world.Envelopes(v1alpha1.EnvelopeSecretVersion), world.Envelopes(v1alpha1.EnvelopeTombstone)...)
			}).Should(BeEmpty())
		})
	}

	It("by the controller, of an object that was applied again meanwhile, waits for the mark to be taken off and has the newest value", func() {
		dying := &environment.FaultyClient{Client: world.GetClient()}
		dying.FailAt(1, true)
		Expect(world.SecretsOver(dying).DeleteNow(ctx, found)).NotTo(Succeed())
		s := environment.Secret(world.Namespace, "db", func(s *v1alpha1.Secret) { s.Spec.Generate, s.Spec.Target, s.Spec.KMSKeyRef = nil, nil, nil })
		metav1.SetMetaDataAnnotation(&s.ObjectMeta, v1alpha1.SubjectAnnotation, stone.Spec.Subject)
		world.Create(s)
		Eventually(func(g Gomega) {
			world.Sweep("Secret", "db")
			_, err := world.Secret.Reconcile(ctx, environment.Request(s))
			g.Expect(err).NotTo(HaveOccurred())
			world.Refresh(s)
			v, err := secretsmanager.Select(s, "", "")
			g.Expect(err).NotTo(HaveOccurred())
			value, err := service().Versions().Value(ctx, service().SubjectOf(s), v)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(string(value.Reveal())).To(Equal("two"))
		}).Should(Succeed())
	})
})
