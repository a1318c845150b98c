package secretsmanager_test

import (
	"github.com/google/uuid"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
)

var _ = Describe("RotateSecret of a Secret that Jobs rotate", func() {
	rotatedByJobs := func(value string) *v1alpha1.Secret {
		GinkgoHelper()
		s := object(*create("licence", value).ARN)
		world.Update(s, func() {
			s.Spec.Rotation = &v1alpha1.SecretRotation{Job: &v1alpha1.JobRotator{CronJobRef: v1alpha1.LocalReference{Name: "rotate"}}}
		})
		return s
	}

	It("begins a rotation by them, and shows its version under AWSPENDING before it is made", func() {
		s := rotatedByJobs("value")
		id := uuid.NewString()
		_, err := rotates("licence", as(id))
		Expect(err).NotTo(HaveOccurred())
		Expect(describe("licence")).To(And(HaveField("RotationEnabled", HaveValue(BeTrue())), HaveField("RotationLambdaARN", BeNil())))
		Expect(describe("licence").VersionIdsToStages).To(HaveKeyWithValue(id, []string{"AWSPENDING"}))
		world.Refresh(s)
		Expect(s.Status.Rotation).To(HaveField("VersionID", id))
		Expect(s.Spec.Rotation.Job).NotTo(BeNil())
	})

	It("goes on while the version has AWSPENDING, and a second one is refused until then", func() {
		rotatedByJobs("value")
		_, err := rotates("licence", as(uuid.NewString()))
		Expect(err).NotTo(HaveOccurred())
		_, err = rotates("licence", as(uuid.NewString()))
		be(err, "InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted.")
	})

	It("begins without a value too, since they make it themselves", func() {
		rotatedByJobs("")
		_, err := rotates("licence", as(uuid.NewString()))
		Expect(err).NotTo(HaveOccurred())
	})

	It("by a function besides is refused, and changes nothing", func() {
		s := rotatedByJobs("value")
		_, err := rotates("licence", byFunction("rotate-shop"))
		Expect(message(err)).To(And(HavePrefix("InvalidRequestException"), ContainSubstring("names a rotator")))
		before := s.Spec.DeepCopy()
		world.Refresh(s)
		Expect(&s.Spec).To(Equal(before))
	})
})
