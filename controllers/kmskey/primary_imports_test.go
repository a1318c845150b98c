package kmskey_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/kms"
)

var _ = Describe("A change of the primary of keys whose material is imported", func() {
	It("needs that the new one has all of it, what waits to be rotated to included", func() {
		s := newImportedSet("shop", material32(1))
		without(s.near, "")
		Expect(env.Services.KMS.UpdatePrimary(ctx, s.primary, s.near, anything)).To(And(MatchError(kms.ErrPrimaryStays), MatchError(kms.ErrPendingImport)))
		refresh(s.primary)
		Expect(kms.Updating(s.primary)).To(BeFalse(), "nothing was begun")
		bring(s.near, material32(1), kms.Import{})
		bring(s.primary, material32(2), fresh)
		Expect(env.Services.KMS.UpdatePrimary(ctx, s.primary, s.near, anything)).To(MatchError(kms.ErrPrimaryStays))
		bring(s.near, material32(2), kms.Import{})
		Expect(env.Services.KMS.UpdatePrimary(ctx, s.primary, s.near, anything)).To(Succeed())
		s.settle()
		Expect(s.primaries()).To(Equal([]string{"shop-eu"}))
		Expect(s.primary.Status.KeyMaterials).To(HaveLen(2), "what waits here waits there, too")

		bring(s.far, material32(2), kms.Import{})
		update(s.near, annotate(s.near, "now"))
		s.settle()
		s.agreeOnImports()
		bring(s.near, material32(3), fresh)
		Expect(tries(s.primary, material32(4), kms.Import{})).To(MatchError(kms.ErrIncorrectMaterial), "it is a replica now")
		Expect(tries(s.primary, material32(3), kms.Import{})).To(Succeed())
	})

	It("has the new one follow first, and opens what the former was rotated to a moment before", func() {
		s := newImportedSet("shop", material32(1))
		s.importAll(material32(2), fresh)
		update(s.primary, annotate(s.primary, "now"))
		settled(s.primary)
		blob := encrypted(s.primary)
		Expect(states(s.near)[1]).To(Equal(v1alpha1.KeyMaterialPendingRotation))
		Expect(env.Services.KMS.UpdatePrimary(ctx, s.primary, s.near, anything)).To(Succeed())
		refresh(s.near)
		Expect(states(s.near)[1]).To(Equal(v1alpha1.KeyMaterialCurrent))
		Expect(opens(s.near, blob)).To(Succeed())
		s.settle()
		s.agreeOnImports()
	})

	It("that has begun is ended, and told, when the new one has lost material meanwhile", func() {
		s := newImportedSet("shop", material32(1))
		update(s.primary, func() { s.begin(&s.primary.ObjectMeta) })
		without(s.near, "")
		reconcile(s.primary)
		Expect(kms.IsReplica(s.primary)).To(BeFalse())
		Expect(kms.Updating(s.primary)).To(BeFalse())
		Expect(condition(s.primary, v1alpha1.ConditionPrimaryUpdateFailed)).To(And(HaveField("Status", metav1.ConditionTrue), HaveField("Reason", v1alpha1.ReasonPendingImport)))
		s.settle()
		Expect(s.primaries()).To(Equal([]string{"shop"}))
		bring(s.near, material32(1), kms.Import{})
		s.settle()
		s.agreeOnImports()
	})

	It("takes no new material meanwhile, and the same with another end", func() {
		s := newImportedSet("shop", material32(1))
		update(s.primary, func() { s.begin(&s.primary.ObjectMeta) })
		Expect(tries(s.primary, material32(2), fresh)).To(MatchError(kms.ErrPrimaryChanging))
		Expect(tries(s.primary, material32(1), kms.Import{ValidTo: in(day)})).To(Succeed())
		s.settle()
		Expect(s.primaries()).To(Equal([]string{"shop-eu"}))
		s.agreeOnImports()
	})
})
