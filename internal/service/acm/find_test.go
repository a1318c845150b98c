package acm_test

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/acm"
)

var _ = Describe("A Certificate is found", func() {
	find := func(given string) *v1alpha1.Certificate {
		GinkgoHelper()
		found, err := service.Find(ctx, world.Namespace, account, given)
		Expect(err).NotTo(HaveOccurred())
		return found
	}

	It("by the ARN that it will have before its controller has seen it, and by the same afterwards", func() {
		c := certificate("mine")
		before := service.ARNOf(c, account)
		Expect(before).To(Equal(arn.Certificate("us-east-1", account, string(c.UID))))
		Expect(find(before).UID).To(Equal(c.UID))
		b := selfSigned("a.example.com").bundle()
		imported, err := service.Import(ctx, c, account, b)
		Expect(err).NotTo(HaveOccurred())
		world.Seen(imported)
		Expect(imported.Status.ARN).To(Equal(before))
		Expect(find(before).Status.ARN).To(Equal(before))
		Expect(service.ARNOf(imported, "000000000000")).To(Equal(before), "status has the last word")
	})

	It("in its own namespace, account and region alone, and by a whole ARN", func() {
		c := certificate("mine")
		given := service.ARNOf(c, account)
		other := world.NewNamespace()
		for name, of := range map[string][3]string{
			"another namespace": {other, account, given}, "another account": {world.Namespace, arn.DeriveAccount(other), given},
			"another region": {world.Namespace, account, strings.Replace(given, "us-east-1", "eu-west-1", 1)},
			"a part of it":   {world.Namespace, account, given[:len(given)-1]}, "more than it": {world.Namespace, account, given + "/x"},
			"an authority's": {world.Namespace, account, arn.CertificateAuthority("us-east-1", account, string(c.UID))}, "nothing": {world.Namespace, account, ""},
			"one of all": {world.Namespace, account, arn.Certificate("us-east-1", account, "*")},
		} {
			found, err := service.Find(ctx, of[0], of[1], of[2])
			Expect(err).NotTo(HaveOccurred())
			Expect(found).To(BeNil(), name)
		}
	})

	It("not any more while it is being deleted, whether it has an ARN or not", func() {
		for _, imported := range []bool{false, true} {
			c := certificate(map[bool]string{false: "new", true: "imported"}[imported], func(c *v1alpha1.Certificate) { c.Finalizers = []string{"example.com/held"} })
			given := service.ARNOf(c, account)
			if imported {
				b := selfSigned("a.example.com").bundle()
				in, err := service.Import(ctx, c, account, b)
				Expect(err).NotTo(HaveOccurred())
				world.Seen(in)
			}
			Expect(find(given)).NotTo(BeNil())
			Expect(world.ControlPlane.Client.Delete(ctx, c)).To(Succeed())
			Eventually(func() *v1alpha1.Certificate { return find(given) }).Should(BeNil())
			listed, err := service.List(ctx, world.Namespace, "us-east-1")
			Expect(err).NotTo(HaveOccurred())
			Expect(listed).To(BeEmpty())
			world.Refresh(c)
			c.Finalizers = nil
			Expect(world.ControlPlane.Client.Update(ctx, c)).To(Succeed())
		}
	})

	It("in a list of its region", func() {
		certificate("here")
		certificate("there", func(c *v1alpha1.Certificate) { c.Spec.Region = "eu-west-1" })
		for region, want := range map[string]string{"us-east-1": "here", "eu-west-1": "there"} {
			listed, err := service.List(ctx, world.Namespace, region)
			Expect(err).NotTo(HaveOccurred())
			Expect(listed).To(HaveExactElements(HaveField("Name", want)))
		}
		Expect(second(service.List(ctx, world.NewNamespace(), "us-east-1"))).To(Succeed())
	})
})

var _ = Describe("What a spec leaves out", func() {
	It("is what AWS has, or else the operator's", func() {
		c := &v1alpha1.Certificate{}
		Expect(acm.AlgorithmOf(c)).To(Equal(v1alpha1.KeyAlgorithmRSA2048))
		Expect(acm.KeyName(c)).To(Equal("aws-acm"))
		Expect(service.RegionOf(c)).To(Equal("us-east-1"))
		Expect(acm.RecoveryWindow(c)).To(Equal(30 * day))
		c.Spec = v1alpha1.CertificateSpec{
			KeyAlgorithm: v1alpha1.KeyAlgorithmECSecp521r1, KMSKeyRef: &v1alpha1.LocalReference{Name: "mine"}, Region: "eu-west-1",
			Deletion: &v1alpha1.SecretDeletion{RecoveryWindowInDays: 7},
		}
		Expect(acm.AlgorithmOf(c)).To(Equal(v1alpha1.KeyAlgorithmECSecp521r1))
		Expect(acm.KeyName(c)).To(Equal("mine"))
		Expect(service.RegionOf(c)).To(Equal("eu-west-1"))
		Expect(acm.RecoveryWindow(c)).To(Equal(7 * day))
	})

	It("is a validity of 395 days, and never beyond the authority's", func() {
		readyAuthority("internal")
		c := reconciled(certificate("shop", of("shop.example.com")))
		leaf := matched(c)
		Expect(leaf.NotAfter).To(BeTemporally("~", world.Clock.Now().Add(395*day), time.Second))
		Expect(leaf.NotBefore).To(BeTemporally("~", world.Clock.Now().Add(-time.Hour), time.Minute), "an hour for clocks that are behind, unless the authority is younger")
	})
})

var _ = Describe("The account's own key", func() {
	It("is made when it is wanted first, and a key that is named is not", func() {
		key := world.Namespace
		namespace := world.NewNamespace()
		Expect(namespace).NotTo(Equal(key))
		c := &v1alpha1.Certificate{}
		c.Namespace = namespace
		says(second(service.Key(ctx, c)), v1alpha1.ReasonKeyUnusable, "aws-acm is being made")
		made := &v1alpha1.KMSKey{}
		made.Namespace, made.Name = namespace, "aws-acm"
		world.Refresh(made)
		Expect(made.Spec.Aliases).To(Equal([]string{"alias/aws/acm"}))
		Expect(made.Spec.Rotation.Enabled).To(BeTrue())
		Expect(made.ManagedFields[0].Manager).To(Equal("strongroom.dev/certificate"))
		c.Spec.KMSKeyRef = &v1alpha1.LocalReference{Name: "theirs"}
		says(second(service.Key(ctx, c)), v1alpha1.ReasonKeyNotFound, "theirs")
	})

	It("that is disabled encrypts nothing, and nothing is recorded of what could not be stored", func() {
		readyAuthority("internal")
		key := &v1alpha1.KMSKey{}
		key.Namespace, key.Name = world.Namespace, "aws-acm"
		world.Update(key, func() { key.Spec.Enabled = new(bool) })
		world.ReconcileKey(key)
		before := len(world.Envelopes(v1alpha1.EnvelopeIssuedCertificate))
		c := reconciled(certificate("shop", of("shop.example.com")))
		Expect(c.Status.Versions).To(BeEmpty())
		Expect(world.Envelopes(v1alpha1.EnvelopeIssuedCertificate)).To(HaveLen(before))
		says(second(service.Key(ctx, c)), v1alpha1.ReasonKeyUnusable, "aws-acm")
	})
})
