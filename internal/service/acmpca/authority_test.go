package acmpca_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/service/acmpca"
	"strongroom.dev/strongroom/internal/service/idempotent"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("An authority that a request makes", func() {
	asked := func(token string, changes ...func(*acmpca.CreateInput)) acmpca.CreateInput {
		in := acmpca.CreateInput{
			Namespace: world.Namespace, Region: "us-east-1", Token: token, KeyAlgorithm: v1alpha1.KeyAlgorithmECPrime256v1,
			Subject: v1alpha1.CertificateSubject{CommonName: "Shop Root", Organization: "Shop"},
		}
		for _, change := range changes {
			change(&in)
		}
		return in
	}
	made := func() []v1alpha1.CertificateAuthority {
		GinkgoHelper()
		var list v1alpha1.CertificateAuthorityList
		Expect(world.ControlPlane.Client.List(ctx, &list, client.InNamespace(world.Namespace))).To(Succeed())
		return list.Items
	}

	It("is none that somebody has made with its token, with a key of theirs or with tags that policies go by", func() {
		for token, change := range map[string]func(*v1alpha1.CertificateAuthoritySpec){
			"key":    func(s *v1alpha1.CertificateAuthoritySpec) { s.KMSKeyRef = &v1alpha1.LocalReference{Name: "theirs"} },
			"target": func(s *v1alpha1.CertificateAuthoritySpec) { s.Target = &v1alpha1.AuthorityTarget{Name: "theirs"} },
			"tags":   func(s *v1alpha1.CertificateAuthoritySpec) { s.Tags = []v1alpha1.Tag{{Key: "team", Value: "theirs"}} },
		} {
			elsewhere := world.NewNamespace()
			like, err := service.Create(ctx, asked(token, func(in *acmpca.CreateInput) { in.Namespace = elsewhere }))
			Expect(err).NotTo(HaveOccurred())
			theirs := &v1alpha1.CertificateAuthority{Spec: like.Spec}
			theirs.Namespace, theirs.Name, theirs.Annotations = world.Namespace, like.Name, like.Annotations
			change(&theirs.Spec)
			world.Create(theirs)
			_, err = service.Create(ctx, asked(token))
			Expect(err).To(MatchError(idempotent.ErrTokenReused), token)
		}
	})

	It("is a root of what was asked for", func() {
		ca, err := service.Create(ctx, asked("", func(in *acmpca.CreateInput) {
			in.Region, in.ExpirationInDays, in.Tags = "eu-west-1", 3, []v1alpha1.Tag{{Key: "a", Value: "b"}}
		}))
		Expect(err).NotTo(HaveOccurred())
		Expect(ca.Name).To(HavePrefix("shop-root-"))
		Expect(ca.Spec.Type).To(Equal(v1alpha1.CertificateAuthorityRoot))
		Expect(ca.Spec.Region).To(Equal("eu-west-1"))
		Expect(ca.Spec.CRL.ExpirationInDays).To(BeEquivalentTo(3))
		Expect(ca.Spec.Tags).To(HaveLen(1))
		world.Seen(ca)
		given := service.ARNOf(ca, account)
		Expect(given).To(Equal(arn.CertificateAuthority("eu-west-1", account, string(ca.UID))))
		found, err := service.Find(ctx, world.Namespace, account, given)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.UID).To(Equal(ca.UID))
		for region, want := range map[string]int{"eu-west-1": 1, "us-east-1": 0} {
			listed, err := service.List(ctx, world.Namespace, region)
			Expect(err).NotTo(HaveOccurred())
			Expect(listed).To(HaveLen(want), region)
		}
	})

	It("is one for a token, for whatever write died, and refused for another subject, algorithm or list", func() {
		faulty, writes := world.Faulty()
		of := faulty.CertificateAuthority.Authorities
		for n, after := range []bool{false, true} {
			token := fmt.Sprint("dies ", after)
			writes.FailAt(1, after)
			Expect(second(of.Create(ctx, asked(token)))).To(MatchError(environment.ErrInjected))
			writes.FailAt(0, false)
			Expect(second(of.Create(ctx, asked(token)))).To(Succeed())
			Expect(made()).To(HaveLen(n + 1))
		}
		for name, change := range map[string]func(*acmpca.CreateInput){
			"another organization": func(in *acmpca.CreateInput) { in.Subject.Organization = "Other" },
			"another algorithm":    func(in *acmpca.CreateInput) { in.KeyAlgorithm = v1alpha1.KeyAlgorithmRSA2048 },
			"another list":         func(in *acmpca.CreateInput) { in.ExpirationInDays = 9 },
		} {
			Expect(second(service.Create(ctx, asked("dies true", change)))).To(MatchError(idempotent.ErrTokenReused), name)
		}
		Expect(made()).To(HaveLen(2))
	})

	It("is found until it is being deleted, in its namespace, account and region alone", func() {
		ca := ready("one")
		world.Update(ca, func() { ca.Finalizers = []string{"example.com/held"} })
		find := func(namespace, of, given string) *v1alpha1.CertificateAuthority {
			GinkgoHelper()
			found, err := service.Find(ctx, namespace, of, given)
			Expect(err).NotTo(HaveOccurred())
			return found
		}
		Expect(find(world.Namespace, account, ca.Status.ARN)).NotTo(BeNil())
		other := world.NewNamespace()
		Expect(find(other, account, ca.Status.ARN)).To(BeNil())
		Expect(find(world.Namespace, arn.DeriveAccount(other), ca.Status.ARN)).To(BeNil())
		Expect(find(world.Namespace, account, strings.Replace(ca.Status.ARN, "us-east-1", "eu-west-1", 1))).To(BeNil())
		Expect(find(world.Namespace, account, ca.Status.ARN+"/certificate/00")).To(BeNil())
		Expect(find(world.Namespace, account, "arn:aws:acm:us-east-1:"+account+":certificate/"+string(ca.UID))).To(BeNil())
		says(second(service.ByARN(ctx, other, ca.Status.ARN)), v1alpha1.ReasonAuthorityNotFound)
		says(second(service.ByName(ctx, other, "one")), v1alpha1.ReasonAuthorityNotFound, other+"/one", "create it")
		Expect(world.ControlPlane.Client.Delete(ctx, ca)).To(Succeed())
		Eventually(func() *v1alpha1.CertificateAuthority { return find(world.Namespace, account, ca.Status.ARN) }).Should(BeNil())
		Expect(second(service.List(ctx, world.Namespace, "us-east-1"))).To(Succeed())
		world.Refresh(ca)
		ca.Finalizers = nil
		Expect(world.ControlPlane.Client.Update(ctx, ca)).To(Succeed())
	})

	It("is changed as it is then, and told when it is gone", func() {
		ca := authority("one")
		stale := ca.DeepCopy()
		world.Update(ca, func() { ca.Spec.Tags = []v1alpha1.Tag{{Key: "theirs", Value: "1"}} })
		tag := func(ca *v1alpha1.CertificateAuthority) error {
			ca.Spec.Tags = append(ca.Spec.Tags, v1alpha1.Tag{Key: "mine", Value: "1"})
			return nil
		}
		Expect(service.Change(ctx, stale, tag)).To(Succeed())
		world.Refresh(ca)
		world.Seen(ca)
		Expect(ca.Spec.Tags).To(HaveLen(2), "what somebody else wrote is lost")
		refused := errors.New("refused")
		Expect(service.Change(ctx, ca, func(*v1alpha1.CertificateAuthority) error { return refused })).To(MatchError(refused))
		world.Remove(ca)
		Expect(service.Change(ctx, ca, tag)).To(MatchError(acmpca.ErrGone))
		other := authority("one")
		Expect(service.Change(ctx, ca, tag)).To(MatchError(acmpca.ErrGone))
		world.Refresh(other)
		Expect(other.Spec.Tags).To(BeEmpty())
	})
})

var _ = Describe("An authority's key", func() {
	It("is made once, and never again once there is a certificate that needs the old one", func() {
		ca := authority("one")
		ca.Status.ARN = service.NewARN(ca, account)
		_, _, err := service.EstablishKey(ctx, ca, nil)
		says(err, v1alpha1.ReasonKeyUnusable, "ca-one is being made")
		key := keyOf("one")
		Expect(key.Spec.KeySpec).To(Equal(v1alpha1.KeySpecECCNISTP256))
		Expect(key.Spec.KeyUsage).To(Equal(v1alpha1.KeyUsageSignVerify))
		Expect(string(key.Spec.Policy.Raw)).To(And(ContainSubstring("arn:aws:iam::"+account+":root"), ContainSubstring("acm-pca."+environment.Region+".amazonaws.com")))
		world.Seen(key)
		_, _, err = service.EstablishKey(ctx, ca, nil)
		says(err, v1alpha1.ReasonKeyUnusable)
		gone := authority("gone")
		_, _, err = service.EstablishKey(ctx, gone, []*x509.Certificate{})
		says(err, v1alpha1.ReasonKeyNotFound, "ca-gone")
		Expect(client.IgnoreNotFound(world.ControlPlane.Client.Get(ctx, client.ObjectKey{Namespace: world.Namespace, Name: "ca-gone"}, &v1alpha1.KMSKey{}))).To(Succeed())
	})

	It("is of the authority's algorithm, and signs", func() {
		world.ReadyKey("encrypts")
		_, _, err := service.EstablishKey(ctx, authority("encrypts", func(ca *v1alpha1.CertificateAuthority) {
			ca.Spec.KMSKeyRef = &v1alpha1.LocalReference{Name: "encrypts"}
		}), nil)
		Expect(err).To(HaveOccurred())
		readyKey("other")
		_, _, err = service.EstablishKey(ctx, authority("other", func(ca *v1alpha1.CertificateAuthority) { ca.Spec.KeyAlgorithm = v1alpha1.KeyAlgorithmECSecp384r1 }), nil)
		says(err, v1alpha1.ReasonKeyMismatch, "ca-other", "EC_secp384r1")
		world.ReadyKey("ca-many", func(k *v1alpha1.KMSKey) {
			k.Spec.MultiRegion, k.Spec.KeySpec, k.Spec.KeyUsage = true, v1alpha1.KeySpecECCNISTP256, v1alpha1.KeyUsageSignVerify
		})
		_, _, err = service.EstablishKey(ctx, authority("many"), nil)
		says(err, v1alpha1.ReasonKeyMismatch, "ca-many", "multi-Region")
	})

	It("signs a request that openssl verifies, of the authority's subject", func() {
		ca := ready("one", func(ca *v1alpha1.CertificateAuthority) {
			ca.Spec.Subject = v1alpha1.CertificateSubject{CommonName: "Root", Organization: "Shop", OrganizationalUnit: "PKI", Country: "DE", State: "Bayern", Locality: "München"}
		})
		text, err := service.SigningRequest(ctx, ca)
		Expect(err).NotTo(HaveOccurred())
		path := filepath.Join(GinkgoT().TempDir(), "csr")
		Expect(os.WriteFile(path, text, 0o600)).To(Succeed())
		out, err := exec.CommandContext(ctx, "openssl", "req", "-in", path, "-verify", "-noout", "-subject", "-nameopt", "utf8").CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(out))
		for _, part := range []string{"CN=Root", "O=Shop", "OU=PKI", "C=DE", "ST=Bayern", "L=München"} {
			Expect(strings.ReplaceAll(string(out), " = ", "=")).To(ContainSubstring(part))
		}
		r, err := pki.ParseRequest(text)
		Expect(err).NotTo(HaveOccurred())
		chain, err := service.Chain(ctx, ca)
		Expect(err).NotTo(HaveOccurred())
		Expect(chain[0].PublicKey).To(Equal(r.PublicKey))
	})
})

var _ = Describe("An authority's certificate", func() {
	It("below another is recorded above before it is in force, and verified at each depth", func() {
		above := ready("root")
		for _, name := range []string{"middle", "lower"} {
			below := ready(name, func(ca *v1alpha1.CertificateAuthority) {
				ca.Spec.Type, ca.Spec.AuthorityRef = v1alpha1.CertificateAuthoritySubordinate, &v1alpha1.LocalReference{Name: above.Name}
			})
			Expect(second(service.Issued(ctx, above, below.Status.Serial))).To(Succeed())
			out, _ := issued(below, "a.example.com")
			verified(out, "a.example.com")
			above = below
		}
		out, _ := issued(above, "a.example.com")
		Expect(out.Chain).To(HaveLen(4))
	})

	It("is not issued by one that is not there, has none itself, may have none below it, or has expired", func() {
		_, key := request("x")
		sub := func(name, issuer string) *v1alpha1.CertificateAuthority {
			return authority(name, func(ca *v1alpha1.CertificateAuthority) {
				ca.Spec.Type, ca.Spec.AuthorityRef = v1alpha1.CertificateAuthoritySubordinate, &v1alpha1.LocalReference{Name: issuer}
			})
		}
		says(second(service.Certify(ctx, sub("a", "nobody"), key)), v1alpha1.ReasonAuthorityNotFound, "nobody")
		authority("new")
		says(second(service.Certify(ctx, sub("b", "new"), key)), v1alpha1.ReasonAuthorityNotReady)
		ready("last", func(ca *v1alpha1.CertificateAuthority) { ca.Spec.PathLength = new(int32) })
		says(second(service.Certify(ctx, sub("c", "last"), key)), v1alpha1.ReasonNotPermitted, "path length")
		root := ready("root")
		below := sub("d", "root")
		world.Clock.Set(root.Status.NotAfter.Add(day / 48))
		says(second(service.Certify(ctx, below, key)), v1alpha1.ReasonAuthorityNotReady, "expired")
		Expect(records()).To(BeEmpty())
	})

	It("has the constraints of its spec", func() {
		ca := ready("bound", func(ca *v1alpha1.CertificateAuthority) {
			ca.Spec.NameConstraints = &v1alpha1.NameConstraints{
				Permitted: &v1alpha1.NameSubtrees{DNSDomains: []string{"example.com"}, IPRanges: []string{"10.0.0.0/8", "2001:db8::/32"}, EmailAddresses: []string{"example.com"}, URIDomains: []string{".example.com"}},
				Excluded:  &v1alpha1.NameSubtrees{DNSDomains: []string{"secret.example.com"}, IPRanges: []string{"10.9.0.0/16"}},
			}
		})
		chain, err := service.Chain(ctx, ca)
		Expect(err).NotTo(HaveOccurred())
		k := pki.ConstraintsOf(chain[0])
		Expect(k.PermittedDNS).To(Equal([]string{"example.com"}))
		Expect(k.PermittedIPs).To(HaveLen(2))
		Expect(k.ExcludedIPs[0].String()).To(Equal("10.9.0.0/16"))
		out, _ := issued(ca, "a.example.com", "10.1.1.1", "ops@example.com", "https://a.example.com/")
		verified(out, "a.example.com")
		r, _ := request("a.example.com")
		for _, name := range []string{"a.secret.example.com", "10.9.1.1", "11.0.0.1", "2001:db9::1", "ops@example.org", "https://example.com/"} {
			says(second(service.Issue(ctx, ca, r.PublicKey, leaf(name))), v1alpha1.ReasonNotPermitted, name)
		}
		bad := authority("bad")
		bad.Spec.NameConstraints = &v1alpha1.NameConstraints{Excluded: &v1alpha1.NameSubtrees{IPRanges: []string{"10.0.0.0/33"}}} // which the schema does not let in
		_, key := request("x")
		says(second(service.Certify(ctx, bad, key)), v1alpha1.ReasonInvalidName, "10.0.0.0/33", "CIDR")
	})

	It("is read from its Envelope each time that is another one, not from what was read of the name before", func() {
		ca := ready("one")
		first, err := service.Chain(ctx, ca)
		Expect(err).NotTo(HaveOccurred())
		again, err := service.Chain(ctx, ca)
		Expect(err).NotTo(HaveOccurred())
		Expect(again[0]).To(BeIdenticalTo(first[0]), "a chain that was read is kept")
		var own v1alpha1.Envelope
		for _, e := range world.Envelopes(v1alpha1.EnvelopeIssuedCertificate) {
			if e.Spec.ExpireTime == nil {
				own = e
			}
		}
		good := own.DeepCopy()
		bad := world.Exchange(&own, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[len(e.Spec.Ciphertext)/2] ^= 1 })
		Expect(second(service.Chain(ctx, ca))).To(MatchError(store.ErrTampered))
		back := world.Exchange(bad, func(e *v1alpha1.Envelope) { e.Spec = good.Spec })
		Expect(second(service.Chain(ctx, ca))).To(Succeed())
		world.Remove(back)
		Expect(second(service.Chain(ctx, ca))).To(MatchError(store.ErrMissing))
	})
})

var _ = Describe("What a spec says", func() {
	It("of time is days or hours, or what is usual", func() {
		for text, want := range map[v1alpha1.CertificateValidity]int{"": 7 * 24, "1h": 1, "1d": 24, "90d": 90 * 24, "99999d": 99999 * 24, "0d": 7 * 24, "-1d": 7 * 24, "xd": 7 * 24, "d": 7 * 24} {
			Expect(acmpca.Duration(text, 7*day).Hours()).To(BeEquivalentTo(want), string(text))
		}
		ca := &v1alpha1.CertificateAuthority{}
		Expect(acmpca.RecoveryWindow(ca)).To(Equal(30 * day))
		ca.Spec.Deletion = &v1alpha1.SecretDeletion{RecoveryWindowInDays: 7}
		Expect(acmpca.RecoveryWindow(ca)).To(Equal(7 * day))
		Expect(acmpca.AlgorithmOf(ca)).To(Equal(v1alpha1.KeyAlgorithmRSA2048))
	})

	It("and cannot be is told by the reason of conditions, and everything else is left as it is", func() {
		for _, known := range []struct {
			err    error
			reason string
		}{
			{pki.ErrInvalidName, v1alpha1.ReasonInvalidName}, {pki.ErrNotPermitted, v1alpha1.ReasonNotPermitted}, {pki.ErrNotAuthority, v1alpha1.ReasonNotPermitted},
			{pki.ErrExpired, v1alpha1.ReasonInvalidCertificate}, {pki.ErrWeak, v1alpha1.ReasonInvalidCertificate}, {pki.ErrMismatch, v1alpha1.ReasonInvalidCertificate},
			{pki.ErrValidity, v1alpha1.ReasonInvalidCertificate}, {pki.ErrTooLarge, v1alpha1.ReasonInvalidCertificate},
		} {
			err := acmpca.Fault(fmt.Errorf("around: %w", known.err))
			says(err, known.reason, "around")
			Expect(errors.Is(err, known.err)).To(BeTrue())
		}
		Expect(acmpca.Fault(environment.ErrInjected)).To(BeIdenticalTo(environment.ErrInjected))
		Expect(acmpca.IndexARN(&v1alpha1.Certificate{})).To(BeNil())
		Expect(string(acmpca.Marshal([]*x509.Certificate{}).Reveal())).To(BeEmpty())
	})
})
