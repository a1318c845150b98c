package kmskey_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/kmskey"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

const theirs = "example.com/hold"

// held gives a key a finalizer of somebody else's, which goes when the spec ends.
func held(k *v1alpha1.KMSKey) *v1alpha1.KMSKey {
	GinkgoHelper()
	update(k, func() { controllerutil.AddFinalizer(k, theirs) })
	DeferCleanup(func() {
		if err := cp.Client.Get(ctx, client.ObjectKeyFromObject(k), k); !apierrors.IsNotFound(err) {
			k.Finalizers = nil
			Expect(cp.Client.Update(ctx, k)).To(Succeed())
		}
	})
	return k
}

// terminating expects what a key says of itself that is gone though its object is there.
func terminating(k *v1alpha1.KMSKey) {
	GinkgoHelper()
	Expect(k.Finalizers).To(Equal([]string{theirs}))
	Expect(condition(k, v1alpha1.ConditionReady)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonTerminating),
		HaveField("Message", ContainSubstring(theirs))))
	Expect(k.Status).To(And(HaveField("KeyState", v1alpha1.KeyStatePendingDeletion), HaveField("NextRotationTime", BeNil())))
	for _, other := range []string{v1alpha1.ConditionDeletionBlocked, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		Expect(condition(k, other)).To(BeNil(), other)
	}
}

var _ = Describe("A KMSKey that was deleted and that a finalizer of somebody else's holds", func() {
	It("is let go with its tombstone, then says what holds it, and is left alone", func() {
		k := held(ready())
		deleting(k)
		reconcile(k)
		Expect(k.Finalizers).To(Equal([]string{theirs}))
		Expect(tombstonesOf("key")).To(HaveLen(1))
		reconcile(k)
		terminating(k)
		before := k.ResourceVersion
		Expect(reconcile(k)).To(Equal(time.Duration(0)))
		Expect(k.ResourceVersion).To(Equal(before))
		Expect(tombstonesOf("key")).To(HaveLen(1))
	})

	It("is not gone while Strongroom's own finalizer is on it: what it encrypts is there, and is gone then with what it said of that", func() {
		k := held(ready())
		e := hold(k, "Secret", "db", v1alpha1.EnvelopeSecretVersion)
		deleting(k)
		reconcile(k)
		Expect(condition(k, v1alpha1.ConditionDeletionBlocked)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(env.Services.KMS.ByName(ctx, namespace, "key")).To(HaveField("UID", k.UID))
		remove(e)
		reconcile(k)
		_, err := env.Services.KMS.ByName(ctx, namespace, "key")
		Expect(err).To(MatchError(ContainSubstring("finalizers of others hold its object")))
		reconcile(k)
		terminating(k)
	})

	It("and that never had a pass leaves nothing, and gets no finalizer of Strongroom's, which Kubernetes refuses by then", func() {
		k := environment.KMSKey(namespace, "key")
		create(k)
		held(k)
		deleting(k)
		reconcile(k)
		terminating(k)
		Expect(k.Status.KeyID).To(BeEmpty())
		Expect(tombstonesOf("key")).To(BeEmpty())
	})

	It("is gone when somebody takes Strongroom's finalizer off, whatever it encrypts: that waits for it to be applied again", func() {
		k := held(ready())
		hold(k, "Secret", "db", v1alpha1.EnvelopeSecretVersion)
		deleting(k)
		reconcile(k)
		update(k, func() { controllerutil.RemoveFinalizer(k, kmskey.Finalizer) })
		reconcile(k)
		terminating(k)
		_, err := env.Services.KMS.ByARN(ctx, namespace, k.Status.ARN)
		Expect(err).To(MatchError(ContainSubstring("apply the deleted KMSKey again")))

		By("letting it go")
		k.Finalizers = nil
		Expect(cp.Client.Update(ctx, k)).To(Succeed())
		gone(k)
		Expect(ready().Status.KeyID).To(Equal(k.Status.KeyID))
	})

	It("has no alias any more, which the next key has", func() {
		k := held(ready(func(k *v1alpha1.KMSKey) { k.Spec.Aliases = []string{"alias/shop"} }))
		deleting(k)
		reconcile(k)
		next := environment.KMSKey(namespace, "next", func(k *v1alpha1.KMSKey) { k.Spec.Aliases = []string{"alias/shop"} })
		create(next)
		reconcile(next)
		Expect(condition(next, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	})

	It("is the primary of no replica, which says so and works on", func() {
		k := held(ready(func(k *v1alpha1.KMSKey) { k.Spec.MultiRegion = true }))
		made, err := env.Services.KMS.Replicate(ctx, k, environment.OtherRegion, v1alpha1.KMSKeySpec{}, func(*v1alpha1.KMSKey) error { return nil })
		Expect(err).NotTo(HaveOccurred())
		replica := made.DeepCopy()
		reconcile(replica)
		Expect(condition(replica, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		refresh(k)
		deleting(k)
		update(k, func() { controllerutil.RemoveFinalizer(k, kmskey.Finalizer) }) // its replica would hold it
		reconcile(replica)
		Expect(condition(replica, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonPrimaryNotFound))
		Expect(replica.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
	})

	It("as a replica holds its primary no longer than one whose object is gone", func() {
		k := ready(func(k *v1alpha1.KMSKey) { k.Spec.MultiRegion = true })
		made, err := env.Services.KMS.Replicate(ctx, k, environment.OtherRegion, v1alpha1.KMSKeySpec{}, func(*v1alpha1.KMSKey) error { return nil })
		Expect(err).NotTo(HaveOccurred())
		replica := made.DeepCopy()
		reconcile(replica)
		held(replica)
		refresh(k)
		Expect(env.Services.KMS.Outlived(ctx, k)).To(ConsistOf(HaveField("Deleted", false)))
		deleting(replica)
		reconcile(replica)
		stone := tombstonesOf(replica.Name)[0]
		seen(&stone)
		Expect(env.Services.KMS.Outlived(ctx, k)).To(ConsistOf(kms.Other{
			Name: replica.Name, Region: environment.OtherRegion, Deleted: true, Until: stone.Spec.ExpireTime.Time,
		}))
		env.Clock.Set(stone.Spec.ExpireTime.Add(time.Minute))
		Expect(env.Services.KMS.Outlived(ctx, k)).To(BeEmpty())
	})
})
