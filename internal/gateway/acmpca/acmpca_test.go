package acmpca_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
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

var _ = Describe("An authority", func() {
	describe := func(authority string) *types.CertificateAuthority {
		GinkgoHelper()
		out, err := admin.DescribeCertificateAuthority(ctx, &sdk.DescribeCertificateAuthorityInput{CertificateAuthorityArn: &authority})
		Expect(err).NotTo(HaveOccurred())
		return out.CertificateAuthority
	}

	It("is an object under the gateway's field manager, with the ARN that was answered, and described from the first", func() {
		made := created(func(in *sdk.CreateCertificateAuthorityInput) {
			in.Tags = []types.Tag{{Key: ptr.To("team"), Value: ptr.To("shop")}}
			in.RevocationConfiguration = &types.RevocationConfiguration{CrlConfiguration: &types.CrlConfiguration{Enabled: ptr.To(true), ExpirationInDays: ptr.To[int32](3)}}
		})
		Expect(made).To(HavePrefix("arn:aws:acm-pca:us-east-1:" + account + ":certificate-authority/"))
		ca := object(made)
		Expect(ca.Name).To(HavePrefix("shop-root-"))
		world.Refresh(ca)
		Expect(ca.ManagedFields[0].Manager).To(Equal("strongroom-gateway"))
		Expect(ca.Spec.Tags).To(Equal([]v1alpha1.Tag{{Key: "team", Value: "shop"}}))
		Expect(ca.Spec.Subject).To(Equal(v1alpha1.CertificateSubject{CommonName: "Shop Root", Organization: "Shop", Country: "DE"}))
		Expect(ca.Spec.CRL.ExpirationInDays).To(BeEquivalentTo(3))
		d := describe(made)
		Expect(d.Status).To(Equal(types.CertificateAuthorityStatusCreating))
		Expect(*d.CertificateAuthorityConfiguration.Subject.CommonName).To(Equal("Shop Root"))
		_, err := admin.GetCertificateAuthorityCertificate(ctx, &sdk.GetCertificateAuthorityCertificateInput{CertificateAuthorityArn: &made})
		is(err, "InvalidStateException", "no certificate yet")
		_, err = admin.IssueCertificate(ctx, issuing(made, []byte("x")))
		is(err, "InvalidStateException", "not active yet")
	})

	It("becomes active with a certificate that openssl and Go verify", func() {
		made := active()
		d := describe(made)
		Expect(d.Status).To(Equal(types.CertificateAuthorityStatusActive))
		Expect(d.Type).To(Equal(types.CertificateAuthorityTypeRoot))
		Expect(*d.OwnerAccount).To(Equal(account))
		Expect(d.CertificateAuthorityConfiguration.SigningAlgorithm).To(Equal(types.SigningAlgorithmSha256withecdsa))
		Expect(d.NotAfter.Sub(*d.NotBefore)).To(BeNumerically("~", 3650*24*time.Hour, 2*time.Hour))
		out, err := admin.GetCertificateAuthorityCertificate(ctx, &sdk.GetCertificateAuthorityCertificateInput{CertificateAuthorityArn: &made})
		Expect(err).NotTo(HaveOccurred())
		Expect(out.CertificateChain).To(BeNil())
		environment.Verified(*out.Certificate, *out.Certificate, world.Clock.Now())
		csr, err := admin.GetCertificateAuthorityCsr(ctx, &sdk.GetCertificateAuthorityCsrInput{CertificateAuthorityArn: &made})
		Expect(err).NotTo(HaveOccurred())
		request, err := pki.ParseRequest([]byte(*csr.Csr))
		Expect(err).NotTo(HaveOccurred())
		Expect(request.Subject.CommonName).To(Equal("Shop Root"))
		world.Clock.Advance(3651 * 24 * time.Hour)
		Expect(describe(made).Status).To(Equal(types.CertificateAuthorityStatusExpired))
	})

	It("is made once for a token, within five minutes, however many ask at once", func() {
		token := func(in *sdk.CreateCertificateAuthorityInput) { in.IdempotencyToken = ptr.To("token one") }
		var mu sync.Mutex
		arns := map[string]bool{}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				defer GinkgoRecover()
				made := created(token)
				mu.Lock()
				defer mu.Unlock()
				arns[made] = true
			})
		}
		wg.Wait()
		Expect(arns).To(HaveLen(1))
		_, err := admin.CreateCertificateAuthority(ctx, root(token, func(in *sdk.CreateCertificateAuthorityInput) {
			in.CertificateAuthorityConfiguration.Subject.Organization = ptr.To("Other")
		}))
		is(err, "InvalidArgsException", "IdempotencyToken")
		world.Clock.Advance(5*time.Minute + time.Second)
		Expect(arns).NotTo(HaveKey(created(token)))
		Expect(created()).NotTo(Equal(created()), "without a token each request makes another")
	})

	It("is refused where it cannot be made, and why is said", func() {
		for says, change := range map[string]func(*sdk.CreateCertificateAuthorityInput){
			"spec.authorityRef": func(in *sdk.CreateCertificateAuthorityInput) {
				in.CertificateAuthorityType = types.CertificateAuthorityTypeSubordinate
			},
			"SHORT_LIVED": func(in *sdk.CreateCertificateAuthorityInput) {
				in.UsageMode = types.CertificateAuthorityUsageModeShortLivedCertificate
			},
			"KeyStorageSecurityStandard": func(in *sdk.CreateCertificateAuthorityInput) {
				in.KeyStorageSecurityStandard = types.KeyStorageSecurityStandardFips1402Level3OrHigher
			},
			"CsrExtensions": func(in *sdk.CreateCertificateAuthorityInput) {
				in.CertificateAuthorityConfiguration.CsrExtensions = &types.CsrExtensions{}
			},
			"does not match the algorithm family": func(in *sdk.CreateCertificateAuthorityInput) {
				in.CertificateAuthorityConfiguration.SigningAlgorithm = types.SigningAlgorithmSha256withrsa
			},
			"ML_DSA_65 is not supported": func(in *sdk.CreateCertificateAuthorityInput) {
				in.CertificateAuthorityConfiguration.KeyAlgorithm = types.KeyAlgorithmMlDsa65
			},
			"SM3WITHSM2 is not supported": func(in *sdk.CreateCertificateAuthorityInput) {
				in.CertificateAuthorityConfiguration.SigningAlgorithm = types.SigningAlgorithmSm3withsm2
			},
			"other parts are not supported": func(in *sdk.CreateCertificateAuthorityInput) {
				in.CertificateAuthorityConfiguration.Subject.Title = ptr.To("Dr")
			},
			"needs a CommonName": func(in *sdk.CreateCertificateAuthorityInput) {
				in.CertificateAuthorityConfiguration.Subject.CommonName = nil
			},
			"OCSP": func(in *sdk.CreateCertificateAuthorityInput) {
				in.RevocationConfiguration = &types.RevocationConfiguration{OcspConfiguration: &types.OcspConfiguration{Enabled: ptr.To(true)}}
			},
			"ConfigMap": func(in *sdk.CreateCertificateAuthorityInput) {
				in.RevocationConfiguration = &types.RevocationConfiguration{CrlConfiguration: &types.CrlConfiguration{Enabled: ptr.To(true), S3BucketName: ptr.To("bucket")}}
			},
		} {
			_, err := admin.CreateCertificateAuthority(ctx, root(change))
			is(err, "InvalidArgsException", says)
		}
		var list v1alpha1.CertificateAuthorityList
		Expect(world.ControlPlane.Client.List(ctx, &list)).To(Succeed())
		for i := range list.Items {
			Expect(list.Items[i].Namespace).NotTo(Equal(world.Namespace))
		}
	})

	It("is listed page by page, in its region alone", func() {
		want := map[string]bool{}
		for range 5 {
			want[created()] = true
		}
		got := map[string]bool{}
		pages := sdk.NewListCertificateAuthoritiesPaginator(admin, &sdk.ListCertificateAuthoritiesInput{MaxResults: ptr.To[int32](2)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(len(page.CertificateAuthorities)).To(BeNumerically("<=", 2))
			for _, ca := range page.CertificateAuthorities {
				got[*ca.Arn] = true
			}
		}
		Expect(got).To(Equal(want))
		_, err := admin.ListCertificateAuthorities(ctx, &sdk.ListCertificateAuthoritiesInput{NextToken: ptr.To("x")})
		is(err, "InvalidNextTokenException", "NextToken")
		other := sdk.NewFromConfig(door.Config(environment.OtherRegion, `"Action":"*","Resource":"*"`))
		out, err := other.ListCertificateAuthorities(ctx, &sdk.ListCertificateAuthoritiesInput{})
		Expect(err).NotTo(HaveOccurred())
		Expect(out.CertificateAuthorities).To(BeEmpty())
		out, err = admin.ListCertificateAuthorities(ctx, &sdk.ListCertificateAuthoritiesInput{ResourceOwner: types.ResourceOwnerOtherAccounts})
		Expect(err).NotTo(HaveOccurred())
		Expect(out.CertificateAuthorities).To(BeEmpty())
	})

	It("has tags, which are put on and taken off by key, or by key and value", func() {
		made := created()
		tag := func(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} }
		put := func(tags ...types.Tag) error {
			return second(admin.TagCertificateAuthority(ctx, &sdk.TagCertificateAuthorityInput{CertificateAuthorityArn: &made, Tags: tags}))
		}
		list := func() string {
			GinkgoHelper()
			world.Seen(func() *v1alpha1.CertificateAuthority { ca := object(made); world.Refresh(ca); return ca }())
			out, err := admin.ListTags(ctx, &sdk.ListTagsInput{CertificateAuthorityArn: &made})
			Expect(err).NotTo(HaveOccurred())
			var texts []string
			for _, t := range out.Tags {
				texts = append(texts, *t.Key+"="+*t.Value)
			}
			return strings.Join(texts, " ")
		}
		Expect(put(tag("b", "2"), tag("a", "1"))).To(Succeed())
		Expect(put(tag("a", "3"))).To(Succeed())
		Expect(list()).To(Equal("a=3 b=2"))
		off := func(tags ...types.Tag) error {
			return second(admin.UntagCertificateAuthority(ctx, &sdk.UntagCertificateAuthorityInput{CertificateAuthorityArn: &made, Tags: tags}))
		}
		Expect(off(tag("a", "1"), types.Tag{Key: ptr.To("b")})).To(Succeed())
		Expect(list()).To(Equal("a=3"))
		is(put(tag("AWS:x", "1")), "InvalidTagException", "aws:")
		is(put(tag("x", "1"), tag("X", "1")), "InvalidTagException", "case")
		var many []types.Tag
		for i := range 50 {
			many = append(many, tag(fmt.Sprintf("k%d", i), "v"))
		}
		is(put(many...), "TooManyTagsException", "50")
	})
})

var _ = Describe("A certificate", func() {
	It("is issued for a request's key, subject and names, and verified by openssl and Go", func() {
		ca := active()
		key, err := pki.GenerateKey(pki.ECSecp384r1)
		Expect(err).NotTo(HaveOccurred())
		uri, _ := url.Parse("spiffe://example.org/shop")
		request := csrOf(key, &x509.CertificateRequest{
			Subject: pkix.Name{CommonName: "shop.example.com", Organization: []string{"Shop"}}, DNSNames: []string{"shop.example.com", "*.shop.example.com"},
			IPAddresses: []net.IP{net.ParseIP("10.1.2.3")}, URIs: []*url.URL{uri}, EmailAddresses: []string{"ops@example.com"},
		})
		name, got, leaf := issued(ca, issuing(ca, request))
		environment.Verified(*got.Certificate, *got.CertificateChain, world.Clock.Now(), "-purpose", "sslserver", "-verify_hostname", "a.shop.example.com")
		roots := x509.NewCertPool()
		Expect(roots.AppendCertsFromPEM([]byte(*got.CertificateChain))).To(BeTrue())
		_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "shop.example.com", CurrentTime: world.Clock.Now()})
		Expect(err).NotTo(HaveOccurred())
		Expect(name).To(Equal(ca + "/certificate/" + pki.FormatSerial(leaf.SerialNumber)))
		Expect(leaf.Subject.String()).To(Equal("CN=shop.example.com,O=Shop"))
		Expect(leaf.IPAddresses).To(HaveLen(1))
		Expect(leaf.URIs).To(HaveLen(1))
		Expect(leaf.EmailAddresses).To(Equal([]string{"ops@example.com"}))
		Expect(leaf.IsCA).To(BeFalse())
		Expect(leaf.NotAfter).To(BeTemporally("~", world.Clock.Now().AddDate(0, 0, 90), time.Minute))
	})

	It("has the usages of its template", func() {
		ca := active()
		request, _ := csr("shop.example.com", "shop.example.com")
		for template, want := range map[string][]x509.ExtKeyUsage{
			"": {x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, "EndEntityCertificate/V1": {x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
			"EndEntityServerAuthCertificate/V1": {x509.ExtKeyUsageServerAuth}, "EndEntityClientAuthCertificate/V1": {x509.ExtKeyUsageClientAuth},
			"CodeSigningCertificate/V1": {x509.ExtKeyUsageCodeSigning},
		} {
			_, _, leaf := issued(ca, issuing(ca, request, func(in *sdk.IssueCertificateInput) {
				if template != "" {
					in.TemplateArn = ptr.To("arn:aws:acm-pca:::template/" + template)
				}
			}))
			Expect(leaf.ExtKeyUsage).To(Equal(want), template)
		}
		_, err := admin.IssueCertificate(ctx, issuing(ca, request, func(in *sdk.IssueCertificateInput) {
			in.TemplateArn = ptr.To("arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen0/V1")
		}))
		is(err, "InvalidArgsException", "not supported; there are")
		_, err = admin.IssueCertificate(ctx, issuing(ca, request, func(in *sdk.IssueCertificateInput) { in.ApiPassthrough = &types.ApiPassthrough{} }))
		is(err, "InvalidArgsException", "ApiPassthrough")
	})

	It("never is an authority, though its request asks to be", func() {
		ca := active()
		key, err := pki.GenerateKey(pki.ECPrime256v1)
		Expect(err).NotTo(HaveOccurred())
		value, err := asn1.Marshal(struct{ IsCA bool }{true})
		Expect(err).NotTo(HaveOccurred())
		request := csrOf(key, &x509.CertificateRequest{DNSNames: []string{"a.example.com"}, ExtraExtensions: []pkix.Extension{
			{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: value},
		}})
		_, _, leaf := issued(ca, issuing(ca, request))
		Expect(leaf.IsCA).To(BeFalse())
		Expect(leaf.KeyUsage & x509.KeyUsageCertSign).To(BeZero())
	})

	It("is valid for the time that is asked for, in each of AWS's forms", func() {
		ca := active()
		request, _ := csr("shop.example.com", "shop.example.com")
		now := world.Clock.Now()
		end := now.AddDate(0, 0, 30).UTC().Truncate(time.Second)
		for _, test := range []struct {
			kind  types.ValidityPeriodType
			value int64
			want  time.Time
		}{
			{types.ValidityPeriodTypeDays, 7, now.AddDate(0, 0, 7)}, {types.ValidityPeriodTypeMonths, 2, now.AddDate(0, 2, 0)},
			{types.ValidityPeriodTypeYears, 1, now.AddDate(1, 0, 0)}, {types.ValidityPeriodTypeAbsolute, end.Unix(), end},
			{types.ValidityPeriodTypeEndDate, number(end.Format("20060102150405")), end}, {types.ValidityPeriodTypeEndDate, number(end.Format("060102150405")), end},
		} {
			_, _, leaf := issued(ca, issuing(ca, request, func(in *sdk.IssueCertificateInput) {
				in.Validity = &types.Validity{Type: test.kind, Value: &test.value}
			}))
			Expect(leaf.NotAfter).To(BeTemporally("~", test.want, time.Second), "%s %d", test.kind, test.value)
			Expect(leaf.NotBefore).To(BeTemporally("<", now))
		}
		later := now.AddDate(0, 0, 3).Unix()
		_, _, leaf := issued(ca, issuing(ca, request, func(in *sdk.IssueCertificateInput) {
			in.ValidityNotBefore = &types.Validity{Type: types.ValidityPeriodTypeAbsolute, Value: &later}
		}))
		Expect(leaf.NotBefore.Unix()).To(Equal(later))
	})

	It("is refused for a time that cannot be", func() {
		ca := active()
		request, _ := csr("shop.example.com", "shop.example.com")
		for says, validity := range map[string]types.Validity{
			"exceeds the certificate authority":    {Type: types.ValidityPeriodTypeYears, Value: ptr.To[int64](20)},
			"too long":                             {Type: types.ValidityPeriodTypeDays, Value: ptr.To[int64](1 << 62)},
			"no validity of type ABSOLUTE":         {Type: types.ValidityPeriodTypeAbsolute, Value: ptr.To[int64](1 << 62)},
			"no validity of type END_DATE":         {Type: types.ValidityPeriodTypeEndDate, Value: ptr.To[int64](20269999000000)},
			"before it begins or before now":       {Type: types.ValidityPeriodTypeAbsolute, Value: ptr.To[int64](1)},
			"ended at 1999-01-01T00:00:00Z, befor": {Type: types.ValidityPeriodTypeEndDate, Value: ptr.To[int64](990101000000)},
		} {
			_, err := admin.IssueCertificate(ctx, issuing(ca, request, func(in *sdk.IssueCertificateInput) { in.Validity = &validity }))
			is(err, "InvalidArgsException", says)
		}
	})

	It("is issued once for a token, within five minutes, however many ask at once", func() {
		ca := active()
		request, _ := csr("shop.example.com", "shop.example.com")
		token := func(in *sdk.IssueCertificateInput) { in.IdempotencyToken = ptr.To("1") }
		var mu sync.Mutex
		arns := map[string]bool{}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				defer GinkgoRecover()
				out, err := admin.IssueCertificate(ctx, issuing(ca, request, token))
				Expect(err).NotTo(HaveOccurred())
				mu.Lock()
				defer mu.Unlock()
				arns[*out.CertificateArn] = true
			})
		}
		wg.Wait()
		Expect(arns).To(HaveLen(1))
		other, _ := csr("shop.example.com", "shop.example.com")
		is(second(admin.IssueCertificate(ctx, issuing(ca, other, token))), "InvalidArgsException", "IdempotencyToken")
		world.Clock.Advance(5*time.Minute + time.Second)
		again, err := admin.IssueCertificate(ctx, issuing(ca, other, token))
		Expect(err).NotTo(HaveOccurred())
		Expect(arns).NotTo(HaveKey(*again.CertificateArn))
	})

	It("is refused for a request that is malformed, weak or hostile, and why is said", func() {
		ca := active()
		good, _ := csr("shop.example.com", "shop.example.com")
		key, err := pki.GenerateKey(pki.ECPrime256v1)
		Expect(err).NotTo(HaveOccurred())
		tampered := []byte(strings.Replace(string(good), "\nMI", "\nMJ", 1))
		nul, _ := url.Parse("x://a/b")
		for name, request := range map[string][]byte{
			"nothing": []byte(" "), "text": []byte("hello"), "an empty block": []byte("-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n"),
			"a key": []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "two requests": append(append([]byte{}, good...), good...),
			"a request and text": append(append([]byte{}, good...), "hello"...), "tampered": tampered, "cut off": good[:len(good)/2],
			"a name with a zero byte": csrOf(key, &x509.CertificateRequest{DNSNames: []string{"a\x00.example.com"}}),
			"a wildcard of all":       csrOf(key, &x509.CertificateRequest{DNSNames: []string{"*.com"}}),
			"a wildcard within":       csrOf(key, &x509.CertificateRequest{DNSNames: []string{"a.*.example.com"}}),
			"a URI without a host":    csrOf(key, &x509.CertificateRequest{URIs: []*url.URL{{Scheme: "urn", Opaque: "x"}}}),
			"an underscore":           csrOf(key, &x509.CertificateRequest{DNSNames: []string{"a_b.example.com"}}),
			"a URI with a user":       csrOf(key, &x509.CertificateRequest{URIs: []*url.URL{{Scheme: "https", User: url.User("a"), Host: "b.example.com"}}, EmailAddresses: []string{nul.Scheme}}),
		} {
			_, err := admin.IssueCertificate(ctx, issuing(ca, request))
			is(err, "MalformedCSRException", "cannot be used")
			Expect(err.Error()).NotTo(ContainSubstring("panic"), name)
		}
		nobody := csrOf(key, &x509.CertificateRequest{})
		is(second(admin.IssueCertificate(ctx, issuing(ca, nobody))), "InvalidArgsException", "a certificate has a name")
		long := csrOf(key, &x509.CertificateRequest{Subject: pkix.Name{CommonName: strings.Repeat("a", 65)}})
		is(second(admin.IssueCertificate(ctx, issuing(ca, long))), "InvalidArgsException", "common name")
		is(second(admin.IssueCertificate(ctx, issuing(ca, good, func(in *sdk.IssueCertificateInput) {
			in.SigningAlgorithm = types.SigningAlgorithmSha256withrsa
		}))), "InvalidArgsException", "algorithm family")
		Expect(world.Envelopes(v1alpha1.EnvelopeIssuedCertificate)).To(HaveLen(1), "the authority's own alone")
	})

	It("is refused outside the authority's name constraints", func() {
		ca := &v1alpha1.CertificateAuthority{Spec: v1alpha1.CertificateAuthoritySpec{
			Type: v1alpha1.CertificateAuthorityRoot, Subject: v1alpha1.CertificateSubject{CommonName: "Constrained"}, KeyAlgorithm: v1alpha1.KeyAlgorithmECPrime256v1,
			NameConstraints: &v1alpha1.NameConstraints{Permitted: &v1alpha1.NameSubtrees{DNSDomains: []string{"example.com"}}},
		}}
		ca.Namespace, ca.Name = world.Namespace, "constrained"
		world.Create(ca)
		activate(ca)
		good, _ := csr("", "a.example.com")
		_, got, _ := issued(ca.Status.ARN, issuing(ca.Status.ARN, good))
		environment.Verified(*got.Certificate, *got.CertificateChain, world.Clock.Now())
		bad, _ := csr("", "a.example.org")
		is(second(admin.IssueCertificate(ctx, issuing(ca.Status.ARN, bad))), "InvalidArgsException", "name constraints")
	})

	It("is revoked once, by its serial number as tools show it, and is on the next list", func() {
		ca := active()
		request, _ := csr("shop.example.com", "shop.example.com")
		_, _, leaf := issued(ca, issuing(ca, request))
		serial := pki.FormatSerial(leaf.SerialNumber)
		var pairs []string
		for i := 0; i < len(serial); i += 2 {
			pairs = append(pairs, serial[i:i+2])
		}
		revoke := func(serial string) error {
			return second(admin.RevokeCertificate(ctx, &sdk.RevokeCertificateInput{
				CertificateAuthorityArn: &ca, CertificateSerial: &serial, RevocationReason: types.RevocationReasonKeyCompromise,
			}))
		}
		Expect(revoke(strings.ToUpper(strings.Join(pairs, ":")))).To(Succeed())
		is(revoke(serial), "RequestAlreadyProcessedException", "already revoked")
		is(revoke("00ff"), "ResourceNotFoundException", "no certificate of that serial number")
		is(revoke("zz"), "InvalidRequestException", "hexadecimal")
		authority := object(ca)
		revoked, _, err := world.Services.Authorities.Revoked(ctx, authority)
		Expect(err).NotTo(HaveOccurred())
		Expect(revoked).To(ConsistOf(And(HaveField("Serial", leaf.SerialNumber), HaveField("Reason", pki.KeyCompromise))))
	})

	It("is read by the ARN of its own authority alone", func() {
		one, other := active(), active()
		request, _ := csr("shop.example.com", "shop.example.com")
		name, _, _ := issued(one, issuing(one, request))
		get := func(authority, certificate string) error {
			return second(admin.GetCertificate(ctx, &sdk.GetCertificateInput{CertificateAuthorityArn: &authority, CertificateArn: &certificate}))
		}
		is(get(other, name), "InvalidArnException", "not of the certificate authority")
		is(get(other, strings.Replace(name, one, other, 1)), "ResourceNotFoundException", "no certificate")
		is(get(one, one+"/certificate/xyz"), "InvalidArnException", "Invalid certificate ARN")
	})
})

func number(digits string) (n int64) {
	GinkgoHelper()
	_, err := fmt.Sscan(digits, &n)
	Expect(err).NotTo(HaveOccurred())
	return n
}

var _ = Describe("A caller", func() {
	It("without permission is told the same whether the authority is there or not, and changes nothing", func() {
		there := created()
		gone := there[:len(there)-1] + "0"
		if gone == there {
			gone = there[:len(there)-1] + "1"
		}
		stranger := as(`"Action":"sqs:*","Resource":"*"`)
		before := object(there)
		for name, ask := range map[string]func(*string) error{
			"Describe": func(a *string) error {
				return second(stranger.DescribeCertificateAuthority(ctx, &sdk.DescribeCertificateAuthorityInput{CertificateAuthorityArn: a}))
			},
			"GetCertificateAuthorityCertificate": func(a *string) error {
				return second(stranger.GetCertificateAuthorityCertificate(ctx, &sdk.GetCertificateAuthorityCertificateInput{CertificateAuthorityArn: a}))
			},
			"Csr": func(a *string) error {
				return second(stranger.GetCertificateAuthorityCsr(ctx, &sdk.GetCertificateAuthorityCsrInput{CertificateAuthorityArn: a}))
			},
			"Issue": func(a *string) error { return second(stranger.IssueCertificate(ctx, issuing(*a, []byte("x")))) },
			"Get": func(a *string) error {
				return second(stranger.GetCertificate(ctx, &sdk.GetCertificateInput{CertificateAuthorityArn: a, CertificateArn: a}))
			},
			"Revoke": func(a *string) error {
				return second(stranger.RevokeCertificate(ctx, &sdk.RevokeCertificateInput{
					CertificateAuthorityArn: a, CertificateSerial: ptr.To("00"), RevocationReason: types.RevocationReasonUnspecified,
				}))
			},
			"Tag": func(a *string) error {
				return second(stranger.TagCertificateAuthority(ctx, &sdk.TagCertificateAuthorityInput{CertificateAuthorityArn: a, Tags: []types.Tag{{Key: ptr.To("a")}}}))
			},
			"Untag": func(a *string) error {
				return second(stranger.UntagCertificateAuthority(ctx, &sdk.UntagCertificateAuthorityInput{CertificateAuthorityArn: a, Tags: []types.Tag{{Key: ptr.To("a")}}}))
			},
			"ListTags": func(a *string) error {
				return second(stranger.ListTags(ctx, &sdk.ListTagsInput{CertificateAuthorityArn: a}))
			},
		} {
			told := map[string]bool{}
			for _, a := range []string{there, gone} {
				err := ask(&a)
				is(err, "AccessDeniedException", "is not authorized to perform: acm-pca:")
				text := err.Error()
				told[strings.ReplaceAll(text[strings.Index(text, "User:"):], a, "ARN")] = true
			}
			Expect(told).To(HaveLen(1), name)
		}
		is(second(stranger.CreateCertificateAuthority(ctx, root())), "AccessDeniedException", "acm-pca:CreateCertificateAuthority")
		is(second(stranger.ListCertificateAuthorities(ctx, &sdk.ListCertificateAuthoritiesInput{})), "AccessDeniedException", "acm-pca:ListCertificateAuthorities")
		Expect(object(there)).To(Equal(before))
	})

	It("may issue by template, resource and tag", func() {
		ca := active(func(in *sdk.CreateCertificateAuthorityInput) {
			in.Tags = []types.Tag{{Key: ptr.To("team"), Value: ptr.To("shop")}}
		})
		request, _ := csr("shop.example.com", "shop.example.com")
		template := func(name string) func(*sdk.IssueCertificateInput) {
			return func(in *sdk.IssueCertificateInput) { in.TemplateArn = ptr.To("arn:aws:acm-pca:::template/" + name) }
		}
		one := as(`"Action":"acm-pca:IssueCertificate","Resource":"` + ca + `","Condition":{"StringEquals":{"acm-pca:TemplateArn":"arn:aws:acm-pca:::template/EndEntityCertificate/V1"}}`)
		Expect(second(one.IssueCertificate(ctx, issuing(ca, request)))).To(Succeed())
		is(second(one.IssueCertificate(ctx, issuing(ca, request, template("CodeSigningCertificate/V1")))), "AccessDeniedException", "acm-pca:IssueCertificate")
		for team, may := range map[string]bool{"shop": true, "bank": false} {
			by := as(`"Action":"acm-pca:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"` + team + `"}}`)
			Expect(second(by.IssueCertificate(ctx, issuing(ca, request))) == nil).To(Equal(may), team)
		}
	})

	It("is told what is not there, and of ARNs that are none", func() {
		describe := func(authority string) error {
			return second(admin.DescribeCertificateAuthority(ctx, &sdk.DescribeCertificateAuthorityInput{CertificateAuthorityArn: &authority}))
		}
		made := created()
		is(describe(made+"0"), "ResourceNotFoundException", "Could not find")
		is(describe(strings.Replace(made, "us-east-1", "eu-west-1", 1)), "ResourceNotFoundException", "Could not find")
		is(describe(strings.Replace(made, account, "999999999999", 1)), "AccessDeniedException", "no resource-based policy")
		is(describe(strings.Replace(made, "certificate-authority/", "other/", 1)), "InvalidArnException", "Invalid")
		is(describe(made+"/certificate/00"), "InvalidArnException", "Invalid")
	})
})
