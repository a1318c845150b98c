//go:build cgo

package cloudhsm_test

import (
	"crypto/x509"
	"encoding/pem"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/authority"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/test/environment"
)

func secretOf(hc *v1alpha1.HSMCluster) *corev1.Secret {
	GinkgoHelper()
	secret := &corev1.Secret{}
	name := cloudhsm.CredentialsName(cloudhsm.ClusterID(hc.Namespace, hc.Name))
	Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: environment.OperatorNamespace, Name: name}, secret)).To(Succeed())
	return secret
}

var _ = Describe("The credentials of a cluster", func() {
	It("are made once, whoever asks at the same time, and cannot be changed", func() {
		hc := create(namespace(nil), "vault", nil, nil)
		var everyone sync.WaitGroup
		pins := make(chan string, 8)
		for range cap(pins) { // replicas that do not know of each other
			everyone.Go(func() {
				defer GinkgoRecover()
				c, err := clusters().Credentials(ctx, hc)
				Expect(err).NotTo(HaveOccurred())
				pins <- string(c.PIN.Reveal()) + " " + string(c.SOPIN.Reveal()) + " " + string(c.Authority.CertificatePEM())
			})
		}
		everyone.Wait()
		first := <-pins
		for range cap(pins) - 1 {
			Expect(<-pins).To(Equal(first))
		}
		secret := secretOf(hc)
		Expect(*secret.Immutable).To(BeTrue())
		Expect(secret.OwnerReferences).To(BeEmpty(), "it outlives the HSMCluster: without it the tokens open no more")
		Expect(secret.Annotations).To(HaveKeyWithValue(cloudhsm.ClusterAnnotation, hc.Namespace+"/vault"))
		Expect(secret.Labels).To(BeEmpty(), "no cache holds it")
		Expect(string(secret.Data["pin"])).NotTo(Equal(string(secret.Data["so-pin"])))
		secret.Data["pin"] = []byte("another")
		Expect(apierrors.IsInvalid(cp.Client.Update(ctx, secret))).To(BeTrue())
	})

	It("are of one cluster alone, also of two of one name", func() {
		one, other := create(namespace(nil), "vault", nil, nil), create(namespace(nil), "vault", nil, nil)
		c := clusters()
		first, err := c.Credentials(ctx, one)
		Expect(err).NotTo(HaveOccurred())
		second, err := c.Credentials(ctx, other)
		Expect(err).NotTo(HaveOccurred())
		Expect(first.ClusterID).NotTo(Equal(second.ClusterID))
		Expect(first.PIN.Reveal()).NotTo(Equal(second.PIN.Reveal()))
		chain, _, err := first.NodeCertificate([]string{"127.0.0.1"}, now)
		Expect(err).NotTo(HaveOccurred())
		block, _ := pem.Decode(chain)
		leaf, err := x509.ParseCertificate(block.Bytes)
		Expect(err).NotTo(HaveOccurred())
		Expect(second.Authority.Issued(leaf, now)).To(BeFalse())
	})

	It("are not made anew for a cluster that has domain keys: its tokens would open no more", func() {
		hc := create(namespace(nil), "vault", nil, func(s *v1alpha1.HSMClusterStatus) {
			s.DomainKeys = []v1alpha1.HSMDomainKey{{Epoch: 1, KeyCheckValue: "0011223344", WrappingKeyCheckValue: "5566778899"}}
		})
		_, err := clusters().Credentials(ctx, hc)
		Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
		Expect(err).To(MatchError(ContainSubstring("restore it from a backup")))
	})

	DescribeTable("that are not this cluster's are refused, whoever has put them under its id, and change in nothing", func(annotations map[string]string) {
		hc := create(namespace(nil), "col", nil, nil)
		_, err := clusters().Credentials(ctx, hc)
		Expect(err).NotTo(HaveOccurred())
		planted := secretOf(hc)
		Expect(cp.Client.Delete(ctx, planted.DeepCopy())).To(Succeed())
		planted.ObjectMeta = metav1.ObjectMeta{Namespace: planted.Namespace, Name: planted.Name, Annotations: annotations}
		Expect(cp.Client.Create(ctx, planted)).To(Succeed())
		for range 2 {
			_, err = clusters().Credentials(ctx, hc)
			Expect(err).To(MatchError(And(ContainSubstring(planted.Name), ContainSubstring(hc.Namespace+"/col"), Not(ContainSubstring("vault-floor")))))
			Expect(fault.Of(err)).To(And(HaveField("Reason", v1alpha1.ReasonConflict), HaveField("Stalled", true)))
			_, err = clusters().Connect(ctx, client.ObjectKeyFromObject(hc), []string{"127.0.0.1:1"})
			Expect(err).To(MatchError(ContainSubstring(planted.Name)), "nobody connects with them")
		}
		Expect(secretOf(hc).ResourceVersion).To(Equal(planted.ResourceVersion))
	},
		Entry("of another cluster whose id is the same", map[string]string{cloudhsm.ClusterAnnotation: "strongroom-system/vault-floor"}),
		Entry("of nobody", nil),
	)

	DescribeTable("that are damaged are said by their name, and nothing secret of them", func(damage func(*corev1.Secret), says string) {
		hc := create(namespace(nil), "vault", nil, nil)
		_, err := clusters().Credentials(ctx, hc)
		Expect(err).NotTo(HaveOccurred())
		was := secretOf(hc)
		Expect(cp.Client.Delete(ctx, was.DeepCopy())).To(Succeed())
		bad := was.DeepCopy()
		bad.ObjectMeta = metav1.ObjectMeta{Namespace: was.Namespace, Name: was.Name, Annotations: was.Annotations}
		damage(bad)
		Expect(cp.Client.Create(ctx, bad)).To(Succeed())
		_, err = clusters().Credentials(ctx, hc)
		Expect(err).To(MatchError(And(ContainSubstring(was.Name), ContainSubstring(says), ContainSubstring("restore it from a backup"))))
		for _, key := range []string{"pin", "so-pin", "ca.key"} {
			Expect(err.Error()).NotTo(ContainSubstring(string(was.Data[key])))
		}
	},
		Entry("without a PIN", func(s *corev1.Secret) { delete(s.Data, "pin") }, "has no pin"),
		Entry("with an empty PIN of the officer", func(s *corev1.Secret) { s.Data["so-pin"] = nil }, "no so-pin"),
		Entry("without a key", func(s *corev1.Secret) { delete(s.Data, "ca.key") }, ""),
		Entry("with another authority's key", func(s *corev1.Secret) {
			a, err := authority.New("other", now)
			Expect(err).NotTo(HaveOccurred())
			s.Data["ca.key"], err = a.KeyPEM()
			Expect(err).NotTo(HaveOccurred())
		}, ""),
		Entry("with a certificate that issues none", func(s *corev1.Secret) { s.Data["ca.crt"] = []byte("-----BEGIN CERTIFICATE-----") }, ""),
		Entry("with a record that is no JSON", func(s *corev1.Secret) { s.Annotations["strongroom.dev/domain-keys"] = "[{" }, "annotation strongroom.dev/domain-keys"),
	)

	It("that are older than their authority's life are no credentials", func() {
		hc := create(namespace(nil), "vault", nil, nil)
		_, err := clusters().Credentials(ctx, hc)
		Expect(err).NotTo(HaveOccurred())
		later := clusters()
		later.Now = func() time.Time { return now.Add(authority.Validity + time.Hour) }
		_, err = later.ReadCredentials(ctx, client.ObjectKeyFromObject(hc))
		Expect(err).To(MatchError(authority.ErrInvalid))
	})

	It("have the domain keys on record, and nothing else changes with it", func() {
		hc := create(namespace(nil), "vault", nil, nil)
		c := clusters()
		was, err := c.Credentials(ctx, hc)
		Expect(err).NotTo(HaveOccurred())
		Expect(was.DomainKeys).To(BeEmpty())
		recorded := []v1alpha1.HSMDomainKey{{Epoch: 1, KeyCheckValue: "0011223344", WrappingKeyCheckValue: "5566778899"}, {Epoch: 7, KeyCheckValue: "aa11223344", WrappingKeyCheckValue: "bb66778899"}}
		for range 2 {
			Expect(c.RecordDomainKeys(ctx, was.ClusterID, recorded)).To(Succeed())
		}
		is, err := c.ReadCredentials(ctx, client.ObjectKeyFromObject(hc))
		Expect(err).NotTo(HaveOccurred())
		Expect(is.DomainKeys).To(Equal(recorded))
		Expect(is.PIN.Reveal()).To(Equal(was.PIN.Reveal()))
		Expect(secretOf(hc).Annotations).To(HaveKey(cloudhsm.ClusterAnnotation))
		Expect(apierrors.IsNotFound(c.RecordDomainKeys(ctx, "cluster-nobodyaaaaa", recorded))).To(BeTrue())
	})

	It("issue certificates to nodes that are good for their names, until they are to be renewed", func() {
		hc := create(namespace(nil), "vault", nil, nil)
		c, err := clusters().Credentials(ctx, hc)
		Expect(err).NotTo(HaveOccurred())
		names := []string{"*.cluster-a.strongroom-system.svc", "127.0.0.1"}
		chain, key, err := c.NodeCertificate(names, now)
		Expect(err).NotTo(HaveOccurred())
		block, _ := pem.Decode(chain)
		leaf, err := x509.ParseCertificate(block.Bytes)
		Expect(err).NotTo(HaveOccurred())
		role, _, err := mtls.RoleOf(c.ClusterID, leaf)
		Expect(err).NotTo(HaveOccurred())
		Expect(role).To(Equal(mtls.Node))
		renewal, good := c.GoodCertificate(chain, key, names, now)
		Expect(good).To(BeTrue())
		Expect(renewal).To(BeTemporally("~", now.Add(authority.LeafValidity*2/3), 24*time.Hour))
		otherCluster, err := clusters().Credentials(ctx, create(namespace(nil), "other", nil, nil))
		Expect(err).NotTo(HaveOccurred())
		otherChain, otherKey, err := otherCluster.NodeCertificate(names, now)
		Expect(err).NotTo(HaveOccurred())
		for what, got := range map[string]bool{
			"a second before its renewal": isGood(c, chain, key, names, renewal.Add(-time.Second)), "one of its names": isGood(c, chain, key, names[:1], now),
		} {
			Expect(got).To(BeTrue(), what)
		}
		for what, got := range map[string]bool{
			"at its renewal": isGood(c, chain, key, names, renewal), "expired": isGood(c, chain, key, names, now.Add(authority.LeafValidity+time.Hour)),
			"before its time":  isGood(c, chain, key, names, now.Add(-30*24*time.Hour)),
			"for another name": isGood(c, chain, key, []string{"*.cluster-b.strongroom-system.svc"}, now), "for one more name": isGood(c, chain, key, append(names, "10.0.0.1"), now),
			"of another cluster's authority": isGood(c, otherChain, otherKey, names, now), "with another key": isGood(c, chain, otherKey, names, now),
			"cut": isGood(c, chain[:len(chain)/2], key, names, now), "none": isGood(c, nil, nil, names, now),
		} {
			Expect(got).To(BeFalse(), what)
		}
	})
})

func isGood(c *cloudhsm.Credentials, chain, key []byte, names []string, at time.Time) bool {
	_, good := c.GoodCertificate(chain, key, names, at)
	return good
}
