package parameterstore_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// held gives an object a finalizer of somebody else's, which goes at the end of the spec.
func held(p *v1alpha1.Parameter) {
	GinkgoHelper()
	world.Update(p, func() { p.Finalizers = []string{"example.com/hold"} })
	DeferCleanup(func() { release(p) })
}

func release(p *v1alpha1.Parameter) {
	GinkgoHelper()
	for _, there := range objects() {
		if there.UID == p.UID {
			there.Finalizers = nil
			Expect(world.ControlPlane.Client.Update(ctx, &there)).To(Succeed())
		}
	}
}

// owned names an owner that there is not.
func owned(p *v1alpha1.Parameter) {
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "nobody", UID: "00000000-0000-0000-0000-000000000000"}}
}

var _ = Describe("A parameter that a finalizer of somebody else's holds", func() {
	terminating := func(p *v1alpha1.Parameter) {
		GinkgoHelper()
		world.Refresh(p)
		world.Seen(p)
		Expect(p.DeletionTimestamp).NotTo(BeNil())
	}

	It("is deleted for good: nothing is left when that is answered, whatever becomes of the mark", func() {
		mustPut("a", "one")
		p := mustPut("a", "two", overwrite)
		held(p)
		Expect(service.Delete(ctx, p)).To(Succeed())
		Expect(envelopes()).To(BeEmpty())
		terminating(p)
		Expect(find("a")).To(BeNil())
		be(service.Delete(ctx, p), "ParameterNotFound")
		world.Update(p, func() { p.Annotations = nil })
		release(p)
		Eventually(func() bool { world.Sweep("Parameter", "a"); return len(objects()) == 0 }).Should(BeTrue())
		Expect(world.Envelopes(v1alpha1.EnvelopeTombstone)).To(BeEmpty())
		Eventually(func() []int64 { p, _, _ := put("a", "three"); return numbersOf(p) }).Should(Equal([]int64{1}))
	})

	It("goes with what it owns, though somebody wrote on it that its dependents become orphans", func() {
		p := mustPut("a", "one")
		world.Update(p, func() { p.Finalizers = []string{metav1.FinalizerOrphanDependents} })
		DeferCleanup(func() { release(p) })
		Expect(service.Delete(ctx, p)).To(Succeed())
		Expect(objects()).To(BeEmpty())
	})

	It("leaves its name to the next, whose object has another", func() {
		p := mustPut("a", "one")
		held(p)
		Expect(service.Delete(ctx, p)).To(Succeed())
		terminating(p)
		next := mustPut("a", "two")
		Expect(next.Name).NotTo(Equal(p.Name))
		Expect(next.AWSName()).To(Equal("a"))
		Expect(numbers(next)).To(Equal([]int64{1}))
		Expect(read(mustFind("a"), "")).To(Equal("two"))
		pass(next)
		world.Sweep("Parameter", p.Name)
		release(p)
		world.Sweep("Parameter", p.Name)
		Expect(read(mustFind("a"), "")).To(Equal("two"))
		Expect(envelopes()).To(HaveLen(1))
	})

	It("expires for good", func() {
		at := world.Clock.Now().Add(time.Hour)
		p := mustPut("a", "one", tier(v1alpha1.TierAdvanced), func(in *parameterstore.PutInput) {
			in.Policies = &[]v1alpha1.ParameterPolicy{{Type: "Expiration", Timestamp: at.Format(time.RFC3339)}}
		})
		pass(p)
		held(p)
		world.Clock.Set(at.Add(time.Second))
		deleted, err := service.Expire(ctx, p)
		Expect(err).NotTo(HaveOccurred())
		Expect(deleted).To(BeTrue())
		Expect(envelopes()).To(BeEmpty())
		terminating(p)
	})

	It("and that kubectl deletes has its window, in which another object of the name is told whose it is", func() {
		p := mustPut("a", "one")
		held(p)
		Expect(world.ControlPlane.Client.Delete(ctx, p)).To(Succeed())
		terminating(p)
		Eventually(func() int {
			world.Sweep("Parameter", "a")
			return len(world.Envelopes(v1alpha1.EnvelopeTombstone))
		}).Should(Equal(1))
		stone := world.Envelopes(v1alpha1.EnvelopeTombstone)[0]
		world.Seen(&stone)
		_, _, err := put("a", "two")
		be(err, "ValidationException", "apply Parameter a again")
		Expect(envelopes()).To(HaveLen(1))
	})
})

var _ = Describe("A parameter that somebody owns", func() {
	It("has its window, though it is marked to have none, whoever has written the mark", func() {
		for _, mark := range []string{"true", "DeleteParameter", "Expiration"} {
			p := &v1alpha1.Parameter{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{v1alpha1.ForceDeleteAnnotation: mark}}}
			Expect(parameterstore.IsForced(p)).To(BeTrue())
			owned(p)
			Expect(parameterstore.IsForced(p)).To(BeFalse(), mark)
		}
	})

	It("is deleted for good by DeleteParameter, which takes the owner away with the mark: its death between the two writes leaves that to count", func() {
		p := mustPut("a", "one")
		world.Update(p, func() { owned(p) })
		_, writes := world.Faulty()
		writes.FailAt(2, false)
		Expect(world.ParametersOver(writes).Delete(ctx, p)).To(MatchError(environment.ErrInjected))
		world.Refresh(p)
		world.Seen(p)
		Expect(p.OwnerReferences).To(BeEmpty())
		Expect(parameterstore.IsForced(p)).To(BeTrue())
		Expect(service.Delete(ctx, p)).To(Succeed())
		Expect(objects()).To(BeEmpty())
		Expect(envelopes()).To(BeEmpty())
	})

	It("keeps the user's own mark", func() {
		p := mustPut("a", "one")
		world.Update(p, func() {
			owned(p)
			metav1.SetMetaDataAnnotation(&p.ObjectMeta, v1alpha1.ForceDeleteAnnotation, "true")
		})
		_, writes := world.Faulty()
		writes.FailAt(2, false)
		Expect(world.ParametersOver(writes).Delete(ctx, p)).To(MatchError(environment.ErrInjected))
		world.Refresh(p)
		Expect(p.Annotations).To(HaveKeyWithValue(v1alpha1.ForceDeleteAnnotation, "true"))
	})
})

var _ = Describe("A tombstone that is forged", func() {
	It("holds no name, by the API and by a manifest, and goes", func() {
		subject := arn.Parameter(home, account, "a")
		until := metav1.NewTime(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
		forged := &v1alpha1.Envelope{
			ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: store.Name(v1alpha1.EnvelopeTombstone, subject, 1)},
			Spec: v1alpha1.EnvelopeSpec{
				Class: v1alpha1.EnvelopeTombstone, Owner: parameterstore.Owner("nobody"), Subject: subject, Version: "tombstone", Sequence: 1,
				CreatedTime: metav1.NewTime(world.Clock.Now()), ExpireTime: &until, Ciphertext: []byte("forged"), KeyARN: "domain-key/1",
			},
		}
		world.Create(forged)
		holder, _, err := service.HeldBy(ctx, world.Namespace, subject, "a")
		Expect(err).NotTo(HaveOccurred())
		Expect(holder).To(BeEmpty())
		Expect(numbers(mustPut("a", "one"))).To(Equal([]int64{1}))
		world.Sweep("Parameter", "nobody")
		Expect(world.Envelopes(v1alpha1.EnvelopeTombstone)).To(BeEmpty())
	})
})

// numbersOf is numbers of a parameter that may not be there.
func numbersOf(p *v1alpha1.Parameter) []int64 {
	if p == nil {
		return nil
	}
	return numbers(p)
}
