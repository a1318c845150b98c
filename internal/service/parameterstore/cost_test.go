package parameterstore_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/internal/core/versions"
)

var _ = Describe("What a put costs the API server", func() {
	It("is three writes for a new parameter, two for another value, and three once there are as many versions as are kept, of which none is left over", func() {
		_, writes := world.Faulty()
		counted := world.ParametersOver(writes)
		put := func(value string) []string {
			GinkgoHelper()
			writes.FailAt(0, false)
			p, _, err := counted.Put(ctx, input("a", value, overwrite))
			Expect(err).NotTo(HaveOccurred())
			world.Seen(p)
			return writes.Log()
		}
		Expect(put("1")).To(Equal([]string{"create", "create", "status"}))
		for range versions.MaximumHistory - 1 {
			Expect(put("v")).To(Equal([]string{"create", "status"}))
		}
		for range 10 {
			Expect(put("v")).To(Equal([]string{"create", "status", "delete"}))
		}
		Expect(envelopes()).To(HaveLen(versions.MaximumHistory))
		p := mustFind("a")
		Expect(numbers(p)).To(HaveLen(versions.MaximumHistory))
		Expect(numbers(p)[0]).To(Equal(int64(11)))
	})
})
