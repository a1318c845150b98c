package acmpca_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/acmpca"
	"github.com/aws/aws-sdk-go-v2/service/acmpca/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/test/environment"
)

// keyOf is the KMSKey of an authority, as it is.
func keyOf(ca *v1alpha1.CertificateAuthority) *v1alpha1.KMSKey {
	GinkgoHelper()
	key := environment.KMSKey(world.Namespace, ca.KMSKeyName())
	world.Refresh(key)
	return key
}

// by asks for a signature algorithm.
func by(a types.SigningAlgorithm) func(*sdk.IssueCertificateInput) {
	return func(in *sdk.IssueCertificateInput) { in.SigningAlgorithm = a }
}

var _ = Describe("A signature", func() {
	It("is by each algorithm of the authority's key, verified by openssl, and by no other, which is said", func() {
		rsaFamily := []types.SigningAlgorithm{
			types.SigningAlgorithmSha256withrsa, types.SigningAlgorithmSha384withrsa, types.SigningAlgorithmSha512withrsa,
			types.SigningAlgorithmSha256withrsaPss, types.SigningAlgorithmSha384withrsaPss, types.SigningAlgorithmSha512withrsaPss,
		}
		for _, tt := range []struct {
			key  types.KeyAlgorithm
			good []types.SigningAlgorithm
		}{
			{types.KeyAlgorithmEcPrime256v1, []types.SigningAlgorithm{types.SigningAlgorithmSha256withecdsa}},
			{types.KeyAlgorithmEcSecp384r1, []types.SigningAlgorithm{types.SigningAlgorithmSha384withecdsa}},
			{types.KeyAlgorithmEcSecp521r1, []types.SigningAlgorithm{types.SigningAlgorithmSha512withecdsa}},
			{types.KeyAlgorithmRsa2048, rsaFamily},
		} {
			ca := active(func(in *sdk.CreateCertificateAuthorityInput) {
				in.CertificateAuthorityConfiguration.KeyAlgorithm, in.CertificateAuthorityConfiguration.SigningAlgorithm = tt.key, tt.good[0]
			})
			request, _ := csr("shop.example.com", "shop.example.com")
			for _, a := range types.SigningAlgorithm("").Values() {
				if !slices.Contains(tt.good, a) {
					is(second(admin.IssueCertificate(ctx, issuing(ca, request, by(a)))), "InvalidArgsException", string(a))
					continue
				}
				_, got, leaf := issued(ca, issuing(ca, request, by(a)))
				environment.Verified(*got.Certificate, *got.CertificateChain, world.Clock.Now(), "-verify_hostname", "shop.example.com")
				Expect(strings.Contains(string(a), "PSS")).To(Equal(strings.Contains(leaf.SignatureAlgorithm.String(), "PSS")), "%s is %s", a, leaf.SignatureAlgorithm)
				Expect(leaf.SignatureAlgorithm.String()).To(ContainSubstring(string(a)[3:6]))
			}
			Expect(second(admin.GetCertificateAuthorityCsr(ctx, &sdk.GetCertificateAuthorityCsrInput{CertificateAuthorityArn: &ca}))).To(Succeed())
		}
	})

	It("that the key cannot make is refused before an authority is made", func() {
		for key, signing := range map[types.KeyAlgorithm]types.SigningAlgorithm{
			types.KeyAlgorithmEcPrime256v1: types.SigningAlgorithmSha512withecdsa, types.KeyAlgorithmEcSecp384r1: types.SigningAlgorithmSha256withecdsa,
			types.KeyAlgorithmEcSecp521r1: types.SigningAlgorithmSha384withecdsa, types.KeyAlgorithmRsa2048: types.SigningAlgorithmSha256withecdsa,
		} {
			is(second(admin.CreateCertificateAuthority(ctx, root(func(in *sdk.CreateCertificateAuthorityInput) {
				in.CertificateAuthorityConfiguration.KeyAlgorithm, in.CertificateAuthorityConfiguration.SigningAlgorithm = key, signing
			}))), "InvalidArgsException", string(signing))
		}
	})
})

var _ = Describe("An authority in trouble", func() {
	It("with a key that is disabled or being deleted is in no state to sign, and its certificate can still be read", func() {
		made := active()
		request, _ := csr("shop.example.com", "shop.example.com")
		name, _, _ := issued(made, issuing(made, request))
		refused := func(says string) {
			GinkgoHelper()
			is(second(admin.IssueCertificate(ctx, issuing(made, request))), "InvalidStateException", says)
			is(second(admin.GetCertificateAuthorityCsr(ctx, &sdk.GetCertificateAuthorityCsrInput{CertificateAuthorityArn: &made})), "InvalidStateException", says)
			Expect(second(admin.GetCertificateAuthorityCertificate(ctx, &sdk.GetCertificateAuthorityCertificateInput{CertificateAuthorityArn: &made}))).To(Succeed())
			Expect(second(admin.GetCertificate(ctx, &sdk.GetCertificateInput{CertificateAuthorityArn: &made, CertificateArn: &name}))).To(Succeed())
		}
		ca := object(made)
		key := keyOf(ca)
		world.Update(key, func() { key.Spec.Enabled = new(bool) })
		world.ReconcileKey(key)
		refused(key.Name)
		world.Update(key, func() { key.Spec.Enabled = nil; key.Finalizers = append(key.Finalizers, "example.com/held") })
		world.ReconcileKey(key)
		Expect(world.ControlPlane.Client.Delete(ctx, key)).To(Succeed())
		world.Refresh(key)
		world.Seen(key)
		refused(key.Name)
		key.Finalizers = nil
		Expect(world.ControlPlane.Client.Update(ctx, key)).To(Succeed())
		Eventually(func() error {
			return world.GetClient().Get(ctx, environment.Request(key).NamespacedName, key.DeepCopy())
		}).ShouldNot(Succeed())
		refused(key.Name)
	})

	It("that has expired issues nothing, and revokes still", func() {
		made := active()
		request, _ := csr("shop.example.com", "shop.example.com")
		ca := object(made)
		world.Clock.Set(ca.Status.NotAfter.Add(-time.Hour))
		_, _, leaf := issued(made, issuing(made, request, func(in *sdk.IssueCertificateInput) {
			in.Validity = &types.Validity{Type: types.ValidityPeriodTypeAbsolute, Value: ptr.To(ca.Status.NotAfter.Unix())}
		}))
		Expect(leaf.NotAfter).To(BeTemporally("==", ca.Status.NotAfter.Time))
		for _, late := range []time.Duration{0, 10 * time.Minute, 24 * time.Hour} {
			world.Clock.Set(ca.Status.NotAfter.Add(late))
			is(second(admin.IssueCertificate(ctx, issuing(made, request))), "InvalidStateException", "has expired")
		}
		world.Clock.Set(ca.Status.NotAfter.Add(-time.Second))
		Expect(second(admin.RevokeCertificate(ctx, &sdk.RevokeCertificateInput{
			CertificateAuthorityArn: &made, CertificateSerial: ptr.To(pki.FormatSerial(leaf.SerialNumber)), RevocationReason: types.RevocationReasonSuperseded,
		}))).To(Succeed())
	})

	It("that is deleted is not there any more, and what it issued neither", func() {
		made := active()
		request, _ := csr("shop.example.com", "shop.example.com")
		name, _, _ := issued(made, issuing(made, request))
		world.Remove(object(made))
		for _, err := range []error{
			second(admin.IssueCertificate(ctx, issuing(made, request))),
			second(admin.GetCertificate(ctx, &sdk.GetCertificateInput{CertificateAuthorityArn: &made, CertificateArn: &name})),
			second(admin.DescribeCertificateAuthority(ctx, &sdk.DescribeCertificateAuthorityInput{CertificateAuthorityArn: &made})),
			second(admin.ListTags(ctx, &sdk.ListTagsInput{CertificateAuthorityArn: &made})),
		} {
			is(err, "ResourceNotFoundException", "Could not find "+made)
		}
	})
})

var _ = Describe("A certificate signing request", func() {
	It("is refused for a key that is weak, and for names that no certificate can have", func() {
		made := active()
		small, err := rsa.GenerateKey(rand.Reader, 1024)
		Expect(err).NotTo(HaveOccurred())
		p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
		Expect(err).NotTo(HaveOccurred())
		good, err := pki.GenerateKey(pki.ECPrime256v1)
		Expect(err).NotTo(HaveOccurred())
		var many []string
		for i := range 101 {
			many = append(many, fmt.Sprintf("n%d.example.com", i))
		}
		of := func(key crypto.Signer, names ...string) []byte {
			return csrOf(key, &x509.CertificateRequest{DNSNames: names})
		}
		for name, tt := range map[string]struct {
			request []byte
			says    string
		}{
			"RSA of 1024 bits":       {of(small, "a.example.com"), "1024 bits"},
			"P-224":                  {of(p224, "a.example.com"), "224 bits"},
			"101 names":              {of(good, many...), "101 names"},
			"an address as a name":   {of(good, "10.0.0.1"), ""},
			"a part of an address":   {of(good, "10.0.1"), "label of digits"},
			"an octal address":       {of(good, "010.0.0.1"), "label of digits"},
			"a wildcard in a label":  {of(good, "a*.example.com"), "no DNS name"},
			"two wildcards":          {of(good, "*.*.example.com"), "no DNS name"},
			"a label of 64":          {of(good, strings.Repeat("a", 64)+".example.com"), "no DNS name"},
			"a dot at the end":       {of(good, "a.example.com."), "no DNS name"},
			"a name of a space":      {of(good, " "), "no DNS name"},
			"a URI of an underscore": {csrOf(good, &x509.CertificateRequest{URIs: []*url.URL{{Scheme: "https", Host: "a_b.example.com"}}}), "no DNS name"},
			"a strange email":        {csrOf(good, &x509.CertificateRequest{EmailAddresses: []string{"ops@-x"}}), "ops@-x"},
		} {
			err := second(admin.IssueCertificate(ctx, issuing(made, tt.request)))
			if tt.says == "" { // a DNS name that is an address is taken for what it is
				Expect(err).NotTo(HaveOccurred(), name)
				continue
			}
			is(err, "MalformedCSRException", tt.says)
		}
		// the longest that the API takes is read, and one byte more is not even looked at
		request := csrOf(good, &x509.CertificateRequest{DNSNames: []string{"a.example.com"}})
		padded := append(request, []byte(strings.Repeat("\n", 32768-len(request)))...)
		Expect(second(admin.IssueCertificate(ctx, issuing(made, padded)))).To(Succeed())
		is(second(admin.IssueCertificate(ctx, issuing(made, append(padded, '\n')))), "ValidationException", "csr")
	})

	It("has a common name within the constraints, too, when it has no DNS name beside it", func() {
		ca := &v1alpha1.CertificateAuthority{Spec: v1alpha1.CertificateAuthoritySpec{
			Type: v1alpha1.CertificateAuthorityRoot, Subject: v1alpha1.CertificateSubject{CommonName: "Constrained"}, KeyAlgorithm: v1alpha1.KeyAlgorithmECPrime256v1,
			NameConstraints: &v1alpha1.NameConstraints{Permitted: &v1alpha1.NameSubtrees{DNSDomains: []string{"example.com"}}},
		}}
		ca.Namespace, ca.Name = world.Namespace, "constrained"
		world.Create(ca)
		activate(ca)
		key, err := pki.GenerateKey(pki.ECPrime256v1)
		Expect(err).NotTo(HaveOccurred())
		of := func(name string, ips ...net.IP) []byte {
			return csrOf(key, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}, IPAddresses: ips})
		}
		is(second(admin.IssueCertificate(ctx, issuing(ca.Status.ARN, of("evil.example.org")))), "InvalidArgsException", "evil.example.org")
		is(second(admin.IssueCertificate(ctx, issuing(ca.Status.ARN, of("evil.example.org", net.IPv4(10, 0, 0, 1))))), "InvalidArgsException", "evil.example.org")
		for _, request := range [][]byte{of("a.example.com"), of("Shop"), of("10.0.0.1", net.IPv4(10, 0, 0, 1))} {
			_, got, _ := issued(ca.Status.ARN, issuing(ca.Status.ARN, request))
			environment.Verified(*got.Certificate, *got.CertificateChain, world.Clock.Now())
		}
	})
})

var _ = Describe("What a request asks for", func() {
	It("is looked at in the order of AWS: its form, then permission, then what is there, then what it means", func() {
		made := active()
		gone := made[:len(made)-12] + "000000000000"
		stranger := as(`"Action":"sqs:*","Resource":"*"`)
		long := strings.Repeat("x", 37)
		form := func(in *sdk.IssueCertificateInput) { in.IdempotencyToken = &long }
		is(second(stranger.IssueCertificate(ctx, issuing(gone, []byte("no request"), form))), "ValidationException", "idempotencyToken")
		is(second(stranger.IssueCertificate(ctx, issuing(gone, []byte("no request")))), "AccessDeniedException", "acm-pca:IssueCertificate")
		is(second(admin.IssueCertificate(ctx, issuing(gone, []byte("no request")))), "ResourceNotFoundException", gone)
		is(second(admin.IssueCertificate(ctx, issuing(made, []byte("no request")))), "MalformedCSRException", "cannot be used")
		zero := func(in *sdk.IssueCertificateInput) {
			in.Validity = &types.Validity{Type: types.ValidityPeriodTypeDays, Value: ptr.To[int64](0)}
		}
		is(second(admin.IssueCertificate(ctx, issuing(made, []byte("x"), zero))), "ValidationException", "validity.value")
	})

	It("of tags on a new authority needs the permission to tag", func() {
		tagged := func(in *sdk.CreateCertificateAuthorityInput) {
			in.Tags = []types.Tag{{Key: ptr.To("team"), Value: ptr.To("shop")}}
		}
		maker := as(`"Action":"acm-pca:CreateCertificateAuthority","Resource":"*"`)
		Expect(second(maker.CreateCertificateAuthority(ctx, root()))).To(Succeed())
		is(second(maker.CreateCertificateAuthority(ctx, root(tagged))), "AccessDeniedException", "acm-pca:TagCertificateAuthority")
		both := as(`"Action":["acm-pca:CreateCertificateAuthority","acm-pca:TagCertificateAuthority"],"Resource":"*","Condition":{"StringEqualsIfExists":{"aws:RequestTag/team":"shop"}}`)
		Expect(second(both.CreateCertificateAuthority(ctx, root(tagged)))).To(Succeed())
		is(second(both.CreateCertificateAuthority(ctx, root(func(in *sdk.CreateCertificateAuthorityInput) {
			in.Tags = []types.Tag{{Key: ptr.To("team"), Value: ptr.To("bank")}}
		}))), "AccessDeniedException", "CreateCertificateAuthority")
	})

	It("of a revocation is each of AWS's reasons, on the list as RFC 5280 has it", func() {
		made := active()
		ca := object(made)
		world.Update(ca, func() { ca.Spec.Target = &v1alpha1.AuthorityTarget{Name: "shown"} })
		want := map[string]types.RevocationReason{}
		for _, reason := range types.RevocationReason("").Values() {
			request, _ := csr("shop.example.com", "shop.example.com")
			_, _, leaf := issued(made, issuing(made, request))
			serial := pki.FormatSerial(leaf.SerialNumber)
			Expect(second(admin.RevokeCertificate(ctx, &sdk.RevokeCertificateInput{CertificateAuthorityArn: &made, CertificateSerial: &serial, RevocationReason: reason}))).To(Succeed())
			want[serial] = reason
		}
		reconcile(ca)
		Expect(ca.Status.CRL.Revoked).To(BeEquivalentTo(len(want)))
		revoked, _, err := world.Services.Authorities.Revoked(ctx, ca)
		Expect(err).NotTo(HaveOccurred())
		for _, r := range revoked {
			Expect(string(r.Reason)).To(Equal(string(want[pki.FormatSerial(r.Serial)])))
		}
	})

	It("of a page is the next one of the same list, and no token but its own is taken", func() {
		for range 3 {
			created()
		}
		first, err := admin.ListCertificateAuthorities(ctx, &sdk.ListCertificateAuthoritiesInput{MaxResults: ptr.To[int32](1)})
		Expect(err).NotTo(HaveOccurred())
		Expect(first.NextToken).NotTo(BeNil())
		next := func(change func(*sdk.ListCertificateAuthoritiesInput)) error {
			in := &sdk.ListCertificateAuthoritiesInput{MaxResults: ptr.To[int32](1), NextToken: first.NextToken}
			change(in)
			return second(admin.ListCertificateAuthorities(ctx, in))
		}
		Expect(next(func(*sdk.ListCertificateAuthoritiesInput) {})).To(Succeed())
		is(next(func(in *sdk.ListCertificateAuthoritiesInput) { in.ResourceOwner = types.ResourceOwnerSelf }), "InvalidNextTokenException", "NextToken")
		is(next(func(in *sdk.ListCertificateAuthoritiesInput) { in.NextToken = ptr.To(*first.NextToken + "x") }), "InvalidNextTokenException", "NextToken")
		is(next(func(in *sdk.ListCertificateAuthoritiesInput) { in.MaxResults = ptr.To[int32](0) }), "ValidationException", "maxResults")
		is(next(func(in *sdk.ListCertificateAuthoritiesInput) { in.MaxResults = ptr.To[int32](1001) }), "ValidationException", "maxResults")
		made := created()
		var tags []types.Tag
		for i := range 5 {
			tags = append(tags, types.Tag{Key: ptr.To(fmt.Sprintf("k%d", i)), Value: ptr.To("v")})
		}
		Expect(second(admin.TagCertificateAuthority(ctx, &sdk.TagCertificateAuthorityInput{CertificateAuthorityArn: &made, Tags: tags}))).To(Succeed())
		ca := object(made)
		world.Refresh(ca)
		world.Seen(ca)
		var keys []string
		pages := sdk.NewListTagsPaginator(admin, &sdk.ListTagsInput{CertificateAuthorityArn: &made, MaxResults: ptr.To[int32](2)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(len(page.Tags)).To(BeNumerically("<=", 2))
			for _, t := range page.Tags {
				keys = append(keys, *t.Key)
			}
		}
		Expect(keys).To(Equal([]string{"k0", "k1", "k2", "k3", "k4"}))
	})

	It("while the keyring is sealed is answered without a word of it", func() {
		made := active()
		request, _ := csr("shop.example.com", "shop.example.com")
		world.Seal(nil)
		for _, err := range []error{
			second(admin.IssueCertificate(ctx, issuing(made, request))),
			second(admin.RevokeCertificate(ctx, &sdk.RevokeCertificateInput{CertificateAuthorityArn: &made, CertificateSerial: ptr.To("0a"), RevocationReason: types.RevocationReasonUnspecified})),
		} {
			Expect(err).To(HaveOccurred())
			Expect(err.Error()).NotTo(Or(ContainSubstring("keyring: "), ContainSubstring("Envelope"), ContainSubstring("panic")))
		}
	})
})
