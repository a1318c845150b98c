package certificateauthority_test

import (
	"fmt"
	"slices"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/test/environment"
)

// life is a step in an authority's life that is made to die at each of its writes.
type life struct {
	name string
	// writes that the step takes when nothing dies.
	writes []string
	// begin brings an authority to the point before the step.
	begin func(name string) *v1alpha1.CertificateAuthority
	// check is what must be true at the end, wherever it died. before is the authority as begin left it.
	check func(ca, before *v1alpha1.CertificateAuthority)
}

var lives = []life{
	{
		name: "the first pass of a root", writes: []string{"status", "create", "status", "create", "status"},
		begin: func(name string) *v1alpha1.CertificateAuthority { return root(name, shownIn(name)) },
		check: func(ca, _ *v1alpha1.CertificateAuthority) { Expect(ca.Status.Versions).To(HaveLen(1)) },
	},
	{
		name: "the making of its key", writes: []string{"create", "status"},
		begin: func(name string) *v1alpha1.CertificateAuthority {
			ca := described(name, shownIn(name))
			world.Create(ca)
			return ca
		},
		check: func(ca, _ *v1alpha1.CertificateAuthority) {
			Expect(ca.Status.Versions).To(HaveLen(1))
			var keys v1alpha1.KMSKeyList
			Expect(world.ControlPlane.Client.List(ctx, &keys, client.InNamespace(world.Namespace))).To(Succeed())
			Expect(slices.ContainsFunc(keys.Items, func(k v1alpha1.KMSKey) bool { return k.Name == ca.KMSKeyName() })).To(BeTrue())
		},
	},
	{
		name: "the first pass of a subordinate", writes: []string{"status", "create", "create", "status", "create", "status"},
		begin: func(name string) *v1alpha1.CertificateAuthority {
			if world.ControlPlane.Client.Get(ctx, client.ObjectKey{Namespace: world.Namespace, Name: "above"}, &v1alpha1.CertificateAuthority{}) != nil {
				ready("above", func(ca *v1alpha1.CertificateAuthority) { ca.Spec.Validity = "3000d" })
			}
			return root(name, under("above"), shownIn(name))
		},
		check: func(ca, _ *v1alpha1.CertificateAuthority) {
			Expect(ca.Status.Versions).To(HaveLen(1))
			above := &v1alpha1.CertificateAuthority{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "above"}}
			world.Refresh(above)
			_, err := world.Services.Authorities.Issued(ctx, above, ca.Status.Serial)
			Expect(err).NotTo(HaveOccurred(), "the one above does not know what it issued")
		},
	},
	{
		name: "a renewal", writes: []string{"create", "apply", "status"},
		begin: func(name string) *v1alpha1.CertificateAuthority {
			ca := ready(name, shownIn(name))
			annotate(ca, "now")
			return ca
		},
		check: func(ca, before *v1alpha1.CertificateAuthority) {
			Expect(ca.Status.Versions).To(HaveLen(2))
			Expect(ca.Status.Serial).NotTo(Equal(before.Status.Serial))
			Expect(ca.Status.LastHandledRotateAt).To(Equal("now"))
		},
	},
	{
		name: "a renewal that lets one go", writes: []string{"create", "apply", "status", "delete"},
		begin: func(name string) *v1alpha1.CertificateAuthority {
			ca := ready(name, shownIn(name))
			annotate(ca, "once")
			reconcile(ca)
			annotate(ca, "now")
			return ca
		},
		check: func(ca, before *v1alpha1.CertificateAuthority) {
			Expect(ca.Status.Versions).To(HaveLen(2))
			Expect(ca.Status.Versions[0].VersionID).To(Equal(before.Status.Versions[1].VersionID))
		},
	},
	{
		name: "a revocation", writes: []string{"create", "apply", "status"},
		begin: func(name string) *v1alpha1.CertificateAuthority {
			ca := ready(name, shownIn(name))
			leaf := issued(ca)
			world.Update(ca, func() {
				ca.Spec.Revoked = []v1alpha1.RevokedCertificate{{Serial: serialOf(leaf), Reason: "SUPERSEDED"}}
			})
			return ca
		},
		check: func(ca, before *v1alpha1.CertificateAuthority) {
			Expect(ca.Status.CRL.Revoked).To(Equal(int64(1)))
			Expect(ca.Status.CRL.Number).To(BeNumerically(">", before.Status.CRL.Number))
			text, err := openssl(map[string]string{"list": shown(ca.Name).Data["ca.crl"]}, "crl", "-in", "list", "-noout", "-text")
			Expect(err).NotTo(HaveOccurred())
			Expect(text).To(ContainSubstring("Superseded"))
		},
	},
	{
		name: "the revocation of an authority", writes: []string{"create", "create", "apply", "status"},
		begin: func(name string) *v1alpha1.CertificateAuthority {
			ca := ready(name, shownIn(name))
			sub := ready("below-"+name, under(name))
			world.Update(ca, func() { ca.Spec.Revoked = []v1alpha1.RevokedCertificate{{Serial: sub.Status.Serial}} })
			return ca
		},
		check: func(ca, _ *v1alpha1.CertificateAuthority) {
			Expect(ca.Status.CRL.Revoked).To(Equal(int64(1)))
			sub := &v1alpha1.CertificateAuthority{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "below-" + ca.Name}}
			world.Refresh(sub)
			reconcile(sub)
			is(sub, metav1.ConditionFalse, v1alpha1.ReasonRevoked, "the certificate "+sub.Status.Serial)
			var of int
			for _, e := range world.Envelopes(v1alpha1.EnvelopeRevocation) {
				if e.Spec.Owner.Name == ca.Name {
					of++
				}
			}
			Expect(of).To(Equal(2), "the certificate's and the key's, once each")
		},
	},
	{
		name: "the return of a deleted one", writes: []string{"patch", "patch", "apply", "status"}, // the second takes its version over: no tombstone names it
		begin: func(name string) *v1alpha1.CertificateAuthority {
			ca := ready(name, shownIn(name))
			former := ca.Status.DeepCopy()
			world.Remove(ca)
			again := described(name, shownIn(name))
			world.Create(again)
			again.Status = *former // what check compares with
			return again
		},
		check: func(ca, before *v1alpha1.CertificateAuthority) {
			Expect(ca.Status.ARN).To(Equal(before.Status.ARN))
			Expect(ca.Status.Serial).To(Equal(before.Status.Serial))
		},
	},
}

// Every write of every step is made to fail in turn, before it is done and after it, as if the manager had died there. The next passes must
// bring the authority to where it would be without that: one certificate for each reason, none lost, none left over, and what is shown is
// what is in force.
var _ = Describe("A manager that dies at any write of", func() {
	settled := func(ca *v1alpha1.CertificateAuthority) {
		GinkgoHelper()
		for range 6 {
			before := ca.ResourceVersion
			if key := environment.KMSKey(world.Namespace, ca.KMSKeyName()); world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(key), key) == nil {
				world.Seen(key)
				world.ReconcileKey(key)
			}
			reconcile(ca)
			if ca.ResourceVersion == before {
				return
			}
		}
		Fail("it does not settle")
	}
	for _, l := range lives {
		It(l.name+" loses nothing and does nothing twice", func() {
			r, writes := world.Faulty()
			for _, after := range []bool{false, true} {
				for n := 1; n <= len(l.writes); n++ {
					ca := l.begin(fmt.Sprintf("dies-%d-%t", n, after))
					before := ca.DeepCopy()
					By(fmt.Sprintf("dying at write %d, done=%t", n, after))
					writes.FailAt(n, after)
					_, err := r.CertificateAuthority.Reconcile(ctx, environment.Request(ca))
					Expect(err).To(MatchError(environment.ErrInjected))
					Expect(writes.Log()[:n]).To(Equal(l.writes[:n]))
					world.Refresh(ca)
					world.Seen(ca)
					settled(ca)
					is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
					l.check(ca, before)
					m := shown(ca.Name)
					Expect(m.Data["ca.crt"]).To(Equal(ca.Status.Certificate+ca.Status.CertificateChain), "another certificate is shown than is in force")
					chain, err := pki.ParseCertificates([]byte(ca.Status.Certificate))
					Expect(err).NotTo(HaveOccurred())
					Expect(serialOf(chain[0])).To(Equal(ca.Status.Serial))
					if l.name != "a renewal that lets one go" { // what a crash leaves between commit and deletion is swept
						Expect(own(ca)).To(HaveLen(len(ca.Status.Versions)), "an Envelope was lost or left over")
					}
				}
			}
		})

		It(l.name+" writes no more than it needs, and a resync writes nothing", func() {
			r, writes := world.Faulty()
			ca := l.begin("costs")
			writes.FailAt(0, false)
			_, err := r.CertificateAuthority.Reconcile(ctx, environment.Request(ca))
			Expect(err).NotTo(HaveOccurred())
			Expect(writes.Log()).To(Equal(l.writes))
			world.Refresh(ca)
			world.Seen(ca)
			settled(ca)
			writes.FailAt(0, false)
			_, err = r.CertificateAuthority.Reconcile(ctx, environment.Request(ca))
			Expect(err).NotTo(HaveOccurred())
			Expect(writes.Log()).To(BeEmpty())
		})
	}

	It("the end of what has expired deletes each record once, after the list that had it after its end", func() {
		r, writes := world.Faulty()
		for _, after := range []bool{false, true} {
			for n := 1; n <= 4; n++ {
				world.Fresh()
				ca := ready("ends", shownIn("ends"), func(ca *v1alpha1.CertificateAuthority) { ca.Spec.Validity = "3000d" })
				leaf := issued(ca)
				Expect(world.Services.Authorities.Revoke(ctx, ca, serialOf(leaf), pki.Unspecified)).To(Succeed())
				reconcile(ca)
				Expect(ca.Status.CRL.Revoked).To(Equal(int64(1)))
				world.Clock.Set(leaf.NotAfter.Add(2 * time.Hour))
				reconcile(ca)
				Expect(ca.Status.CRL.Revoked).To(Equal(int64(1)), "it has left before a list after its end had it")
				world.Clock.Set(leaf.NotAfter.Add(14 * day))
				writes.FailAt(n, after)
				_, err := r.CertificateAuthority.Reconcile(ctx, environment.Request(ca))
				Expect(err).To(MatchError(environment.ErrInjected))
				Expect(writes.Log()[:n]).To(Equal([]string{"apply", "delete", "delete", "status"}[:n]))
				world.Refresh(ca)
				world.Seen(ca)
				settled(ca)
				Expect(ca.Status.CRL.Revoked).To(BeZero())
				Expect(world.Envelopes(v1alpha1.EnvelopeRevocation)).To(BeEmpty())
				Expect(world.Envelopes(v1alpha1.EnvelopeIssuedCertificate)).To(HaveLen(1), "the authority's own")
			}
		}
	})
})

var _ = Describe("Two managers that both think they lead", func() {
	It("make one certificate and one list between them", func() {
		other, _ := world.Faulty()
		for _, begin := range []func() *v1alpha1.CertificateAuthority{
			func() *v1alpha1.CertificateAuthority { return root("first", shownIn("first")) },
			func() *v1alpha1.CertificateAuthority {
				ca := ready("renewed", shownIn("renewed"))
				annotate(ca, "now")
				return ca
			},
		} {
			ca := begin()
			want := len(ca.Status.Versions) + 1
			for range 3 {
				var wg sync.WaitGroup
				for _, r := range []*environment.Reconcilers{world.Reconcilers, other} {
					wg.Go(func() {
						defer GinkgoRecover()
						_, err := r.CertificateAuthority.Reconcile(ctx, environment.Request(ca))
						Expect(client.IgnoreNotFound(err)).NotTo(HaveOccurred())
					})
				}
				wg.Wait()
				world.Refresh(ca)
				world.Seen(ca)
			}
			reconcile(ca)
			is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
			Expect(ca.Status.Versions).To(HaveLen(want))
			Expect(own(ca)).To(HaveLen(want))
			Expect(shown(ca.Name).Data["ca.crt"]).To(Equal(ca.Status.Certificate))
		}
	})

	It("and one that is behind is refused its commit", func() {
		ca := ready("one")
		stale := ca.DeepCopy()
		annotate(ca, "now")
		reconcile(ca)
		stale.Status.Versions = nil
		Expect(apierrors.IsConflict(world.ControlPlane.Client.Status().Update(ctx, stale))).To(BeTrue())
		world.Refresh(ca)
		Expect(ca.Status.Versions).To(HaveLen(2))
	})
})
