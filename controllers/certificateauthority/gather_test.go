package certificateauthority_test

import (
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("Revocations that come in a burst", func() {
	revoke := func(ca *v1alpha1.CertificateAuthority) {
		GinkgoHelper()
		Expect(world.Services.Authorities.Revoke(ctx, ca, serialOf(issued(ca)), pki.Superseded)).To(Succeed())
	}
	// quiet makes an authority whose last list is a minute old and of a whole second.
	quiet := func(name string, changes ...func(*v1alpha1.CertificateAuthority)) *v1alpha1.CertificateAuthority {
		GinkgoHelper()
		ca := ready(name, changes...)
		world.Clock.Set(world.Clock.Now().Truncate(time.Second).Add(time.Minute))
		return ca
	}
	after := func(d time.Duration) { world.Clock.Set(world.Clock.Now().Add(d)) }

	It("are on two lists: the first one's at once, and that of all others a second later, until which a pass writes nothing", func() {
		ca := quiet("one", shownIn("list"))
		revoke(ca)
		soon(ca)
		Expect(ca.Status.CRL.Revoked).To(Equal(int64(1)))
		first, version := ca.Status.CRL.Number, ca.ResourceVersion
		for range 9 {
			after(100 * time.Millisecond)
			revoke(ca)
			result := soon(ca)
			Expect(result.RequeueAfter).To(And(BeNumerically(">", 0), BeNumerically("<=", time.Second)), "nobody looks again")
			Expect(ca.ResourceVersion).To(Equal(version))
			is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		}
		Expect(soon(ca).RequeueAfter).To(Equal(100 * time.Millisecond))
		after(100 * time.Millisecond)
		soon(ca)
		Expect(ca.Status.CRL.Revoked).To(Equal(int64(10)))
		Expect(ca.Status.CRL.Number).To(Equal(first + 1))
		after(time.Second)
		version = ca.ResourceVersion
		soon(ca)
		Expect(ca.ResourceVersion).To(Equal(version), "a list without news is made again")
	})

	It("of the spec are carried out at once, also while their list waits", func() {
		ca := quiet("one")
		revoke(ca)
		soon(ca)
		leaf := issued(ca)
		world.Update(ca, func() { ca.Spec.Revoked = []v1alpha1.RevokedCertificate{{Serial: serialOf(leaf)}} })
		soon(ca)
		Expect(world.Services.Authorities.IsRevoked(ctx, ca, serialOf(leaf))).To(BeTrue())
		Expect(ca.Status.RevokedGeneration).To(Equal(ca.Generation))
		Expect(ca.Status.CRL.Revoked).To(Equal(int64(1)))
	})

	It("lose nothing with a list that fails, and their list does not wait for another second", func() {
		ca := quiet("one", shownIn("list"))
		faulty, writes := world.Faulty()
		revoke(ca)
		for _, n := range []int{1, 2} { // the ConfigMap, status
			writes.FailAt(n, false)
			_, err := faulty.CertificateAuthority.Reconcile(ctx, environment.Request(ca))
			Expect(err).To(MatchError(environment.ErrInjected))
			world.Refresh(ca)
			Expect(ca.Status.CRL.Revoked).To(BeZero())
			revoke(ca)
		}
		world.Seen(ca)
		soon(ca)
		Expect(ca.Status.CRL.Revoked).To(Equal(int64(3)))
		m := shown("list")
		text, err := openssl(map[string]string{"list": m.Data["ca.crl"]}, "crl", "-in", "list", "-noout", "-text")
		Expect(err).NotTo(HaveOccurred())
		for _, e := range world.Envelopes(v1alpha1.EnvelopeRevocation) {
			serial, err := pki.ParseSerial(e.Spec.Version)
			Expect(err).NotTo(HaveOccurred())
			Expect(text).To(ContainSubstring("%X", serial))
		}
	})

	It("hold up neither the healing of what is shown nor another certificate", func() {
		ca := quiet("one", shownIn("list"))
		revoke(ca)
		soon(ca)
		revoke(ca)
		m := shown("list")
		world.Remove(m)
		soon(ca)
		Expect(shown("list").Data["ca.crl"]).NotTo(BeEmpty())
		Expect(ca.Status.CRL.Revoked).To(Equal(int64(2)), "a list that is signed again leaves out what is revoked")
		world.Seen(shown("list"))
		annotate(ca, "now")
		soon(ca)
		Expect(shown("list").Data["ca.crt"]).To(Equal(ca.Status.Certificate))
		Expect(ca.Status.LastHandledRotateAt).To(Equal("now"))
	})

	It("do not wait for a clock that was set back", func() {
		ca := quiet("one")
		revoke(ca)
		soon(ca)
		after(-time.Hour)
		revoke(ca)
		number := ca.Status.CRL.Number
		soon(ca)
		Expect(ca.Status.CRL.Revoked).To(Equal(int64(2)))
		Expect(ca.Status.CRL.Number).To(Equal(number + 1))
	})

	It("are on about a list a second with a manager that runs, none is left out, and the last of them is on one without anybody's doing", func() {
		const count, workers = 60, 4
		cp := world.ControlPlane
		op, err := environment.RunOperator(ctx, cp.Config, operator.Options{})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(op.Stop)
		ticker := time.NewTicker(5 * time.Millisecond)
		ticking := make(chan struct{})
		DeferCleanup(func() { ticker.Stop(); close(ticking) })
		go func() {
			for {
				select {
				case now := <-ticker.C:
					op.Clock.Set(now)
				case <-ticking:
					return
				}
			}
		}()
		namespace, err := cp.NewNamespace(ctx)
		Expect(err).NotTo(HaveOccurred())
		ca := described("burst", func(ca *v1alpha1.CertificateAuthority) { ca.Namespace = namespace }, shownIn("list"))
		Expect(cp.Client.Create(ctx, ca)).To(Succeed())
		read := func() *v1alpha1.CertificateAuthority {
			Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(ca), ca)).To(Succeed())
			return ca
		}
		Eventually(func() bool { return meta.IsStatusConditionTrue(read().Status.Conditions, v1alpha1.ConditionReady) }).WithTimeout(30 * time.Second).Should(BeTrue())
		service, serials := op.Services.Authorities, make(chan string, count)
		for range count {
			serials <- serialOf(issuedBy(service, op.Clock, ca))
		}
		close(serials)
		watcher, err := client.NewWithWatch(cp.Config, client.Options{Scheme: operator.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		lists, err := watcher.Watch(ctx, &corev1.ConfigMapList{}, client.InNamespace(namespace), client.MatchingFields{"metadata.name": "list"})
		Expect(err).NotTo(HaveOccurred())
		var made atomic.Int64
		go func() {
			for e := range lists.ResultChan() {
				if e.Type == watch.Modified {
					made.Add(1)
				}
			}
		}()
		begin := time.Now()
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				defer GinkgoRecover()
				for serial := range serials {
					Expect(service.Revoke(ctx, ca.DeepCopy(), serial, pki.Superseded)).To(Succeed())
				}
			})
		}
		wg.Wait()
		Eventually(func() int64 { return read().Status.CRL.Revoked }).WithTimeout(30 * time.Second).Should(BeEquivalentTo(count))
		took := time.Since(begin)
		Eventually(made.Load).Should(BeNumerically(">=", 1))
		lists.Stop()
		Expect(made.Load()).To(BeNumerically("<=", 2+int(took/time.Second)), "in %v", took)
	})
})
