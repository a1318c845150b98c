package acm_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/acm"
	"strongroom.dev/strongroom/internal/service/idempotent"
	"strongroom.dev/strongroom/test/environment"
)

func asked(changes ...func(*acm.RequestInput)) acm.RequestInput {
	in := acm.RequestInput{
		Namespace: world.Namespace, Region: "us-east-1", DomainName: "shop.example.com", Authority: "internal", KeyAlgorithm: v1alpha1.KeyAlgorithmECPrime256v1,
	}
	for _, change := range changes {
		change(&in)
	}
	return in
}

func withToken(token string) func(*acm.RequestInput) {
	return func(in *acm.RequestInput) { in.Token = token }
}

// made lists the spec's Certificates.
func made() []v1alpha1.Certificate {
	GinkgoHelper()
	var list v1alpha1.CertificateList
	Expect(world.ControlPlane.Client.List(ctx, &list, client.InNamespace(world.Namespace))).To(Succeed())
	return list.Items
}

var _ = Describe("A request for a certificate", func() {
	It("makes an object of its names, each once, of its authority and region", func() {
		c, err := service.Request(ctx, asked(func(in *acm.RequestInput) {
			in.SubjectAlternativeNames = []string{"www.shop.example.com", "SHOP.example.com", "WWW.shop.example.com", "10.0.0.1"}
			in.Region, in.Tags = "eu-west-1", []v1alpha1.Tag{{Key: "team", Value: "shop"}}
		}))
		Expect(err).NotTo(HaveOccurred())
		Expect(c.Spec.DomainName).To(Equal("shop.example.com"))
		Expect(c.Spec.SubjectAlternativeNames).To(Equal([]string{"www.shop.example.com", "10.0.0.1"}))
		Expect(c.Spec.AuthorityRef.Name).To(Equal("internal"))
		Expect(c.Spec.Region).To(Equal("eu-west-1"))
		Expect(c.Spec.Tags).To(Equal([]v1alpha1.Tag{{Key: "team", Value: "shop"}}))
		Expect(c.Name).To(HavePrefix("shop-example-com-"))
		here, err := service.Request(ctx, asked())
		Expect(err).NotTo(HaveOccurred())
		Expect(here.Spec.Region).To(BeEmpty(), "the operator's own region is not spelled out")
	})

	It("with a token makes one object for just under an hour, and another after it", func() {
		first, err := service.Request(ctx, asked(withToken("t")))
		Expect(err).NotTo(HaveOccurred())
		for _, later := range []time.Duration{0, time.Minute, time.Hour - time.Second} {
			world.Clock.Set(first.CreationTimestamp.Add(later))
			again, err := service.Request(ctx, asked(withToken("t")))
			Expect(err).NotTo(HaveOccurred())
			Expect(again.UID).To(Equal(first.UID), "after %s", later)
		}
		world.Clock.Set(first.CreationTimestamp.Add(time.Hour))
		next, err := service.Request(ctx, asked(withToken("t")))
		Expect(err).NotTo(HaveOccurred())
		Expect(next.UID).NotTo(Equal(first.UID))
		Expect(made()).To(HaveLen(2))
	})

	It("with the token of another request is refused for each thing that differs, and makes another for another name or region", func() {
		first, err := service.Request(ctx, asked(withToken("t")))
		Expect(err).NotTo(HaveOccurred())
		for name, change := range map[string]func(*acm.RequestInput){
			"further names": func(in *acm.RequestInput) { in.SubjectAlternativeNames = []string{"www.shop.example.com"} },
			"the algorithm": func(in *acm.RequestInput) { in.KeyAlgorithm = v1alpha1.KeyAlgorithmECSecp384r1 },
			"the authority": func(in *acm.RequestInput) { in.Authority = "other" },
		} {
			Expect(second(service.Request(ctx, asked(withToken("t"), change)))).To(MatchError(idempotent.ErrTokenReused), name)
		}
		for name, change := range map[string]func(*acm.RequestInput){
			"the first name": func(in *acm.RequestInput) { in.DomainName = "other.example.com" },
			"the region":     func(in *acm.RequestInput) { in.Region = "eu-west-1" },
		} {
			c, err := service.Request(ctx, asked(withToken("t"), change))
			Expect(err).NotTo(HaveOccurred(), name)
			Expect(c.UID).NotTo(Equal(first.UID), name)
		}
	})

	It("that dies at its write and is made again with its token leaves one object", func() {
		faulty, writes := world.Faulty()
		for _, after := range []bool{false, true} {
			token := fmt.Sprintf("dies-%t", after)
			writes.FailAt(1, after)
			Expect(second(faulty.Certificate.Certificates.Request(ctx, asked(withToken(token))))).To(MatchError(environment.ErrInjected))
			Expect(writes.Log()).To(Equal([]string{"create"}), "a request is one write")
			writes.FailAt(0, false)
			again, err := faulty.Certificate.Certificates.Request(ctx, asked(withToken(token)))
			Expect(err).NotTo(HaveOccurred())
			Expect(again.Annotations).To(HaveKeyWithValue(v1alpha1.RequestTokenAnnotation, token))
		}
		Expect(made()).To(HaveLen(2))
	})

	It("of many at once without a token makes as many", func() {
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				defer GinkgoRecover()
				Expect(second(service.Request(ctx, asked()))).To(Succeed())
			})
		}
		wg.Wait()
		Expect(made()).To(HaveLen(6))
	})

	It("with as many names as an object has room for is made, and with one more is invalid", func() {
		names := func(n int) func(*acm.RequestInput) {
			return func(in *acm.RequestInput) {
				for i := range n {
					in.SubjectAlternativeNames = append(in.SubjectAlternativeNames, fmt.Sprintf("n%d.example.com", i))
				}
			}
		}
		Expect(second(service.Request(ctx, asked(names(99))))).To(Succeed())
		err := second(service.Request(ctx, asked(names(100))))
		Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
		err = second(service.Request(ctx, asked(func(in *acm.RequestInput) { in.DomainName = strings.Repeat("a", 254) })))
		Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
		Expect(made()).To(HaveLen(1))
	})
})

var _ = Describe("A change of a Certificate", func() {
	annotate := func(c *v1alpha1.Certificate, key, value string) {
		if c.Annotations == nil {
			c.Annotations = map[string]string{}
		}
		c.Annotations[key] = value
	}

	It("is done on what is there when somebody else was faster, and loses nothing of theirs", func() {
		c := certificate("mine")
		theirs := c.DeepCopy()
		world.Update(theirs, func() { annotate(theirs, "example.com/theirs", "1") })
		Expect(service.Change(ctx, c, func(c *v1alpha1.Certificate) error { annotate(c, "example.com/mine", "1"); return nil })).To(Succeed())
		world.Refresh(c)
		Expect(c.Annotations).To(And(HaveKey("example.com/theirs"), HaveKey("example.com/mine")))
	})

	It("that changes nothing writes nothing, and one that is refused neither", func() {
		c := certificate("mine")
		faulty, writes := world.Faulty()
		Expect(faulty.Certificate.Certificates.Change(ctx, c, func(*v1alpha1.Certificate) error { return nil })).To(Succeed())
		refused := errors.New("refused")
		Expect(faulty.Certificate.Certificates.Change(ctx, c, func(c *v1alpha1.Certificate) error {
			annotate(c, "example.com/x", "1")
			return refused
		})).To(MatchError(refused))
		Expect(writes.Writes()).To(BeZero())
	})

	It("gives up when others always come first", func() {
		c := certificate("mine")
		n := 0
		err := service.Change(ctx, c, func(changed *v1alpha1.Certificate) error {
			n++
			theirs := c.DeepCopy()
			world.Refresh(theirs)
			annotate(theirs, "example.com/theirs", fmt.Sprint(n))
			Expect(world.ControlPlane.Client.Update(ctx, theirs)).To(Succeed())
			annotate(changed, "example.com/mine", fmt.Sprint(n))
			return nil
		})
		Expect(err).To(MatchError(ContainSubstring("try again")))
		Expect(n).To(Equal(16))
	})

	It("of one that is gone, or that another of its name has followed, is told", func() {
		c := certificate("mine")
		mark := func(c *v1alpha1.Certificate) error { annotate(c, "example.com/mine", "1"); return nil }
		world.Remove(c)
		Expect(service.Change(ctx, c, mark)).To(MatchError(acm.ErrGone))
		Expect(service.Delete(ctx, c, func(*v1alpha1.Certificate) error { return nil })).To(MatchError(acm.ErrGone))
		other := certificate("mine")
		Expect(service.Change(ctx, c, mark)).To(MatchError(acm.ErrGone))
		Expect(service.Delete(ctx, c, func(*v1alpha1.Certificate) error { return nil })).To(MatchError(acm.ErrGone))
		world.Refresh(other)
		Expect(other.Annotations).NotTo(HaveKey("example.com/mine"))
	})

	It("is the renewal's only trace, and is another for each request", func() {
		readyAuthority("internal")
		c := reconciled(certificate("shop", of("shop.example.com")))
		first := matched(c)
		Expect(service.Renew(ctx, c, "one")).To(Succeed())
		reconciled(c)
		next := matched(c)
		Expect(next.PublicKey).NotTo(Equal(first.PublicKey), "the key is the old one")
		Expect(c.Status.LastHandledRotateAt).To(Equal("one"))
		Expect(service.Renew(ctx, c, "one")).To(Succeed())
		reconciled(c)
		Expect(matched(c).Equal(next)).To(BeTrue(), "the same request renews once")
		Expect(service.Renew(ctx, c, "two")).To(Succeed())
		reconciled(c)
		Expect(matched(c).PublicKey).NotTo(Equal(next.PublicKey))
	})
})

var _ = Describe("A deletion of a Certificate", func() {
	It("looks at it as it is then, and is done once whatever dies", func() {
		faulty, writes := world.Faulty()
		inUse := errors.New("in use")
		for _, after := range []bool{false, true} {
			c := certificate(fmt.Sprintf("dies-%t", after))
			stale := c.DeepCopy()
			world.Update(c, func() { c.Spec.Target = &v1alpha1.CertificateTarget{} })
			unused := func(live *v1alpha1.Certificate) error {
				if live.Spec.Target != nil {
					return inUse
				}
				return nil
			}
			Expect(faulty.Certificate.Certificates.Delete(ctx, stale, unused)).To(MatchError(inUse), "what the request saw is not what is there")
			world.Update(c, func() { c.Spec.Target = nil })
			writes.FailAt(1, after)
			Expect(faulty.Certificate.Certificates.Delete(ctx, stale, unused)).To(MatchError(environment.ErrInjected))
			writes.FailAt(0, false)
			if after {
				Expect(faulty.Certificate.Certificates.Delete(ctx, stale, unused)).To(MatchError(acm.ErrGone))
			} else {
				Expect(faulty.Certificate.Certificates.Delete(ctx, stale, unused)).To(Succeed())
			}
		}
		Expect(made()).To(BeEmpty())
	})

	It("is begun again when somebody changes it meanwhile", func() {
		c := certificate("mine")
		n := 0
		Expect(service.Delete(ctx, c, func(live *v1alpha1.Certificate) error {
			if n++; n == 1 {
				theirs := live.DeepCopy()
				theirs.Spec.Suspend = true
				Expect(world.ControlPlane.Client.Update(ctx, theirs)).To(Succeed())
			}
			return nil
		})).To(Succeed())
		Expect(n).To(Equal(2), "the check sees each state that is deleted")
		Expect(made()).To(BeEmpty())
	})
})
