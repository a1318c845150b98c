package kmskey_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/service/kms"
)

var _ = Describe("The key of a service that somebody has made before it was wanted", func() {
	anybody := func(k *v1alpha1.KMSKey) {
		k.Spec.Policy = &v1alpha1.PolicyDocument{}
		k.Spec.Policy.Raw = []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}]}`)
	}

	It("has the policy of such a key, says that its own is not in force, and works", func() {
		for _, aliases := range [][]string{{"alias/aws/secretsmanager"}, nil} {
			k := made("aws-secretsmanager", anybody, func(k *v1alpha1.KMSKey) { k.Spec.Aliases = aliases })
			Expect(readyReason(k)).To(Equal(v1alpha1.ReasonUnsupportedOperation))
			Expect(condition(k, v1alpha1.ConditionReady).Message).To(ContainSubstring("spec.policy is not in force"))
			Expect(kms.PolicyDocument(k)).To(And(ContainSubstring("auto-secretsmanager-1"), Not(ContainSubstring(`"kms:*"`))))
			Expect(k.Status.PolicyBinding).To(BeNil())
			Expect(k.Status.NextRotationTime).NotTo(BeNil(), "AWS rotates its managed keys each year")
			unlocks(k, sealedBy(k, "x"), "x")
			update(k, func() { k.Spec.Policy = nil })
			reconcile(k)
			Expect(readyReason(k)).To(Equal(v1alpha1.ReasonSucceeded))
			buryNamed(k)
		}
	})

	It("is not used if it is of another kind, and says so", func() {
		k := made("aws-ssm", replicated(abroad))
		Expect(readyReason(k)).To(Equal(v1alpha1.ReasonKeyUnusable))
		Expect(condition(k, v1alpha1.ConditionReady).Message).To(ContainSubstring("its multiRegion cannot be another's"))
		Expect(kms.CheckUsable(k, keys.GenerateDataKey)).To(MatchError(ContainSubstring("the key of the service ssm")))
	})
})
