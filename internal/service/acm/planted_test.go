package acm_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/idempotent"
)

var _ = Describe("A Certificate that somebody has made with the token of a request to come", func() {
	DescribeTable("is not the request's if it says more than the request",
		func(change func(*v1alpha1.CertificateSpec)) {
			theirs, err := service.Request(ctx, asked(withToken("t")))
			Expect(err).NotTo(HaveOccurred())
			world.Update(theirs, func() { change(&theirs.Spec) })
			_, err = service.Request(ctx, asked(withToken("t")))
			Expect(err).To(MatchError(idempotent.ErrTokenReused))
			Expect(made()).To(HaveLen(1))
		},
		Entry("a target, which shows its private key", func(s *v1alpha1.CertificateSpec) { s.Target = &v1alpha1.CertificateTarget{Name: "theirs"} }),
		Entry("a KMSKey", func(s *v1alpha1.CertificateSpec) { s.KMSKeyRef = &v1alpha1.LocalReference{Name: "theirs"} }),
		Entry("a validity", func(s *v1alpha1.CertificateSpec) { s.Validity = "30d" }),
		Entry("tags, which policies go by", func(s *v1alpha1.CertificateSpec) { s.Tags = []v1alpha1.Tag{{Key: "team", Value: "theirs"}} }),
	)
})
