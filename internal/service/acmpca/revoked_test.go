package acmpca_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/service/acmpca"
	"strongroom.dev/strongroom/internal/store"
)

// counting counts the lists that are asked for and the objects that they give.
type counting struct {
	client.Client
	lists, objects int
}

func (c *counting) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	err := c.Client.List(ctx, list, opts...)
	c.lists++
	c.objects += meta.LenList(list)
	return err
}

var _ = Describe("The question whether an authority is revoked", func() {
	It("costs two looks into an index for each certificate below the root, however many authorities and revocations there are", func() {
		above := ready("above")
		sub := ready("sub", func(ca *v1alpha1.CertificateAuthority) {
			ca.Spec.Type, ca.Spec.AuthorityRef, ca.Spec.Validity = v1alpha1.CertificateAuthoritySubordinate, &v1alpha1.LocalReference{Name: "above"}, "300d"
		})
		counted := &counting{Client: world.Services.Client}
		asking := &acmpca.Service{
			Client: counted, Region: service.Region, KMS: service.KMS, Store: &store.Store{Client: counted, Live: service.Store.Live}, Keyring: service.Keyring, Now: service.Now,
		}
		chain, err := service.Chain(ctx, sub)
		Expect(err).NotTo(HaveOccurred())
		took := func() time.Duration {
			GinkgoHelper()
			counted.lists, counted.objects = 0, 0
			const times = 1000
			begin := time.Now()
			for range times {
				Expect(asking.CheckRevoked(ctx, sub, chain)).To(Succeed())
			}
			Expect([]int{counted.lists, counted.objects}).To(Equal([]int{2 * times, 0}))
			return time.Since(begin) / times
		}
		few := took()
		const authorities = 1000
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Go(func() {
				defer GinkgoRecover()
				for n := worker; n < authorities; n += 8 {
					ca := &v1alpha1.CertificateAuthority{Spec: v1alpha1.CertificateAuthoritySpec{Type: v1alpha1.CertificateAuthorityRoot, Subject: above.Spec.Subject}}
					ca.Namespace, ca.Name = world.Namespace, fmt.Sprint("many-", n)
					Expect(world.ControlPlane.Client.Create(ctx, ca)).To(Succeed())
				}
			})
		}
		wg.Wait()
		for range 20 {
			_, serial := issued(above, "a.example.com")
			Expect(service.Revoke(ctx, above, serial, pki.Unspecified)).To(Succeed())
		}
		Eventually(func() int {
			var all v1alpha1.CertificateAuthorityList
			Expect(world.GetClient().List(ctx, &all, client.InNamespace(world.Namespace), client.UnsafeDisableDeepCopy)).To(Succeed())
			return len(all.Items)
		}).WithTimeout(30 * time.Second).Should(Equal(authorities + 2))
		many := took()
		AddReportEntry("of one authority in all", few.String())
		AddReportEntry("of 1,000", many.String())
		GinkgoWriter.Println("2 authorities:", few, "1,002 authorities:", many)
		Expect(many).To(BeNumerically("<", 10*few+time.Millisecond))

		Expect(service.Revoke(ctx, above, pki.FormatSerial(chain[0].SerialNumber), pki.Superseded)).To(Succeed())
		says(asking.CheckRevoked(ctx, sub, chain), v1alpha1.ReasonRevoked, "above")
	})
})
