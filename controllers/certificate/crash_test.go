package certificate_test

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

func keyOf(obj client.Object) client.ObjectKey { return client.ObjectKeyFromObject(obj) }

// Every write of a pass is made to fail in turn, before it is done and after it, as if the manager had died there. At no point may a key
// and a certificate be projected that do not match, and a fresh pass must bring everything to agree.
var _ = Describe("A crash at any write", func() {
	var (
		faulty *environment.Reconcilers
		writes *environment.FaultyClient
	)
	BeforeEach(func() { faulty, writes = env.Faulty() })

	pass := func(c *v1alpha1.Certificate) error {
		_, err := faulty.Certificate.Reconcile(ctx, environment.Request(c))
		return err
	}
	settle := func(c *v1alpha1.Certificate) {
		GinkgoHelper()
		for range 5 {
			writes.FailAt(0, false)
			Expect(pass(c)).To(Succeed())
			refresh(c)
			seen(c)
			if writes.Writes() == 0 {
				return
			}
		}
		Fail("it does not settle: " + strings.Join(writes.Log(), ", "))
	}
	// matched checks what is projected, if anything is.
	matched := func(name string) {
		GinkgoHelper()
		err := cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &corev1.Secret{})
		if !apierrors.IsNotFound(err) {
			Expect(err).NotTo(HaveOccurred())
			projected(name)
		}
	}
	agree := func(c *v1alpha1.Certificate, versions int) {
		GinkgoHelper()
		isReady(c)
		Expect(c.Status.Versions).To(HaveLen(versions))
		Expect(envelopes(v1alpha1.EnvelopePrivateKey)).To(HaveLen(versions), "an Envelope was lost or left over")
		leaf := verified(c.TargetName(), "shop.example.com")
		Expect(fmt.Sprintf("%032x", leaf.SerialNumber)).To(Equal(c.Status.Serial))
	}
	named := func(n int) func(*v1alpha1.Certificate) {
		return func(c *v1alpha1.Certificate) {
			c.Name = fmt.Sprintf("crash-%d", n)
			c.Spec.Target.Name = c.Name
		}
	}

	for _, after := range []bool{false, true} {
		where := map[bool]string{false: "before it is done", true: "when only its answer is lost"}[after]

		It("of a first issue, "+where+", ends in one version", func() {
			readyRoot()
			for n := 1; ; n++ {
				c := shop(named(n))
				create(c)
				writes.FailAt(n, after)
				err := pass(c)
				made := writes.Writes()
				matched(c.Name)
				if made < n {
					Expect(err).NotTo(HaveOccurred())
					Expect(n).To(Equal(5), "a new certificate has four writes")
					return
				}
				Expect(err).To(HaveOccurred())
				settle(c)
				agree(c, 1)
				remove(c)
				for _, e := range envelopes(v1alpha1.EnvelopePrivateKey) {
					remove(&e)
				}
			}
		})

		It("of a renewal, "+where+", renews once and never shows a key with another's certificate", func() {
			readyRoot()
			for n := 1; ; n++ {
				c := shop(named(n))
				create(c)
				writes.FailAt(0, false)
				Expect(pass(c)).To(Succeed())
				refresh(c)
				seen(c)
				first := c.Status.Serial
				annotate(c, v1alpha1.RotateAnnotation, "now")
				writes.FailAt(n, after)
				err := pass(c)
				matched(c.Name)
				if writes.Writes() < n {
					Expect(err).NotTo(HaveOccurred())
					Expect(n).To(Equal(5), "a renewal has four writes")
					return
				}
				settle(c)
				agree(c, 2)
				Expect(c.Status.Serial).NotTo(Equal(first))
				remove(c)
				for _, e := range envelopes(v1alpha1.EnvelopePrivateKey) {
					remove(&e)
				}
			}
		})
	}

	It("of an authority's first pass ends in one certificate", func() {
		for _, after := range []bool{false, true} {
			for n := 1; ; n++ {
				ca := root(func(ca *v1alpha1.CertificateAuthority) { ca.Name = fmt.Sprintf("ca-%t-%d", after, n) })
				create(ca)
				key := environment.KMSKey(namespace, "shop-ca")
				update(key, func() { key.Spec.CertificateAuthorityRef = &v1alpha1.LocalReference{Name: ca.Name} })
				writes.FailAt(n, after)
				_, err := faulty.CertificateAuthority.Reconcile(ctx, environment.Request(ca))
				if writes.Writes() < n {
					Expect(err).NotTo(HaveOccurred())
					Expect(n).To(Equal(5), "an authority has four writes: its key is its own, the certificate, the key is its own for good, status")
					break
				}
				Expect(err).To(HaveOccurred())
				writes.FailAt(0, false)
				_, err = faulty.CertificateAuthority.Reconcile(ctx, environment.Request(ca))
				Expect(err).NotTo(HaveOccurred())
				refresh(ca)
				seen(ca)
				isReady(ca)
				Expect(ca.Status.Versions).To(HaveLen(1))
				writes.FailAt(0, false)
				reconcile(ca)
				Expect(writes.Writes()).To(BeZero())
			}
		}
	})
})
