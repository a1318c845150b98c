package parameterstore_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/test/environment"
)

// declare makes a Parameter as a manifest does, without a value.
func declare(object, name string, changes ...func(*v1alpha1.Parameter)) *v1alpha1.Parameter {
	GinkgoHelper()
	p := environment.Parameter(world.Namespace, object, func(p *v1alpha1.Parameter) { p.Spec.Name, p.Spec.Value, p.Spec.Target = name, "", nil })
	for _, c := range changes {
		c(p)
	}
	world.Create(p)
	return p
}

// removed deletes a Parameter as kubectl does, and has it entombed.
func removed(p *v1alpha1.Parameter) {
	GinkgoHelper()
	world.Remove(p)
	Eventually(func() int {
		world.Sweep("Parameter", p.Name)
		return len(world.Envelopes(v1alpha1.EnvelopeTombstone))
	}).Should(Equal(1))
	e := world.Envelopes(v1alpha1.EnvelopeTombstone)[0]
	world.Seen(&e)
}

var _ = Describe("Finding a parameter", func() {
	It("goes by name and by ARN, of its account and region alone", func() {
		p := mustPut("/prod/db", "v")
		for _, given := range []string{"/prod/db", p.Status.ARN, p.Status.ARN + ":1"} {
			Expect(mustFind(given).UID).To(Equal(p.UID))
		}
		for _, given := range []string{
			"/prod", "/prod/db/x", arn.Parameter("eu-west-1", account, "/prod/db"), arn.Parameter(home, "111122223333", "/prod/db"),
		} {
			Expect(find(given)).To(BeNil(), given)
		}
		id, err := parameterstore.ParseID("/prod/db")
		Expect(err).NotTo(HaveOccurred())
		Expect(service.Find(ctx, world.Namespace, "eu-west-1", account, &id)).To(BeNil())
		Expect(service.Find(ctx, world.NewNamespace(), home, account, &id)).To(BeNil())
	})

	It("finds nothing that has no version yet, though it is declared", func() {
		p := declare("a", "/x")
		Expect(find("/x")).To(BeNil())
		pass(p)
		Expect(find("/x")).To(BeNil())
		declared, err := service.Declared(ctx, world.Namespace, home, "x")
		Expect(err).NotTo(HaveOccurred())
		Expect(declared.UID).To(Equal(p.UID))
		mustPut("/x", "v")
		Expect(mustFind("x").UID).To(Equal(p.UID))
	})

	It("finds the elder of two objects of one name, and no younger one, whichever is looked at first", func() {
		elder := declare("z", "/x", func(p *v1alpha1.Parameter) { p.Spec.Value = "elder" })
		time.Sleep(1100 * time.Millisecond) // age is in seconds
		younger := declare("x", "", func(p *v1alpha1.Parameter) { p.Spec.Value = "younger" })
		pass(younger)
		Expect(younger.Status.ARN).To(BeEmpty())
		pass(elder)
		for _, name := range []string{"x", "/x"} {
			Expect(read(mustFind(name), "")).To(Equal("elder"))
		}
		Expect(service.Claimants(ctx, world.Namespace, "x")).To(HaveLen(2))
		all, err := service.List(ctx, world.Namespace, home, "")
		Expect(err).NotTo(HaveOccurred())
		Expect(all).To(HaveLen(1))
	})

	It("believes an ARN that an annotation names only if it is the parameter's own", func() {
		p := declare("a", "", func(p *v1alpha1.Parameter) {
			p.Annotations = map[string]string{v1alpha1.SubjectAnnotation: arn.Parameter(home, account, "b")}
		})
		Expect(service.ARNOf(p)).To(BeEmpty())
		p.Annotations[v1alpha1.SubjectAnnotation] = arn.Parameter("eu-west-1", account, "a")
		Expect(service.ARNOf(p)).To(BeEmpty())
		p.Annotations[v1alpha1.SubjectAnnotation] = arn.Parameter(home, account, "a")
		Expect(service.ARNOf(p)).To(Equal(arn.Parameter(home, account, "a")))
	})

	It("lists what has a version, of one region and namespace", func() {
		mustPut("a", "v")
		mustPut("b", "v", func(in *parameterstore.PutInput) { in.Region = "eu-west-1" })
		declare("c", "")
		for region, want := range map[string]string{home: "a", "eu-west-1": "b"} {
			all, err := service.List(ctx, world.Namespace, region, "")
			Expect(err).NotTo(HaveOccurred())
			Expect(all).To(HaveLen(1))
			Expect(all[0].AWSName()).To(Equal(want))
		}
		Expect(service.List(ctx, world.Namespace, "ap-south-1", "")).To(BeEmpty())
	})
})

var _ = Describe("The name of a parameter that kubectl deleted", func() {
	It("is the object's own: a request that makes it again has the earlier versions before its own", func() {
		p := mustPut("a", "one")
		removed(p)
		Expect(find("a")).To(BeNil())
		again := mustPut("a", "two")
		Expect(numbers(again)).To(Equal([]int64{1, 2}))
		Expect(read(again, "1")).To(Equal("one"))
	})

	It("is held against an object of another name, by the manifest and by the API, and the error tells until when", func() {
		p := declare("theirs", "/a", func(p *v1alpha1.Parameter) { p.Spec.Value = "v" })
		pass(p)
		removed(p)
		_, _, err := put("/a", "mine")
		until := world.Envelopes(v1alpha1.EnvelopeTombstone)[0].Spec.ExpireTime.UTC()
		be(err, "ValidationException", "Parameter theirs", until.Format(time.RFC3339))
		holder, when, err := service.HeldBy(ctx, world.Namespace, arn.Parameter(home, account, "a"), "a")
		Expect(err).NotTo(HaveOccurred())
		Expect(holder).To(Equal("theirs"))
		Expect(when).To(Equal(until))
		holder, _, err = service.HeldBy(ctx, world.Namespace, arn.Parameter(home, account, "a"), "theirs")
		Expect(err).NotTo(HaveOccurred())
		Expect(holder).To(BeEmpty(), "it is not held against itself")
		Expect(objects()).To(BeEmpty())
	})

	It("is not to be had until what is left of it has its tombstone: it could be taken for the new one's", func() {
		p := mustPut("a", "one")
		world.Remove(p)
		_, _, err := put("a", "two")
		be(err, "TooManyUpdates")
		Expect(objects()).To(BeEmpty())
		Eventually(func() int {
			world.Sweep("Parameter", "a")
			return len(world.Envelopes(v1alpha1.EnvelopeTombstone))
		}).Should(Equal(1))
		e := world.Envelopes(v1alpha1.EnvelopeTombstone)[0]
		world.Seen(&e)
		Expect(numbers(mustPut("a", "two"))).To(Equal([]int64{1, 2}))
	})
})

var _ = Describe("Deleting", func() {
	It("takes every version and tombstone of the parameter, and nothing of another's", func() {
		p := mustPut("a", "one")
		removed(p)
		mustPut("a", "two")
		other := mustPut("b", "v")
		Expect(service.Delete(ctx, mustFind("a"))).To(Succeed())
		Expect(world.Envelopes(v1alpha1.EnvelopeTombstone)).To(BeEmpty())
		left := envelopes()
		Expect(left).To(HaveLen(1))
		Expect(left[0].Spec.Owner.Name).To(Equal(other.Name))
		be(service.Delete(ctx, p), "ParameterNotFound")
	})

	It("of an object that was made again under the name meanwhile is not of that one", func() {
		p := mustPut("a", "one")
		Expect(service.Delete(ctx, p)).To(Succeed())
		world.Clock.Advance(time.Second)
		Eventually(func() error { _, _, err := put("a", "two"); return err }).Should(Succeed())
		be(service.Delete(ctx, p), "ParameterNotFound")
		_, _, err := service.Label(ctx, p, 1, []string{"l"})
		Expect(code(err)).To(Equal("ParameterNotFound"))
		be(service.Tag(ctx, p, []v1alpha1.Tag{{Key: "k"}}), "ParameterNotFound")
		again := &objects()[0]
		world.Seen(again)
		Expect(read(again, "")).To(Equal("two"))
		Expect(labels(again, 1)).To(BeEmpty())
		Expect(again.Spec.Tags).To(BeEmpty())
	})

})
