package acm_test

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/acm/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("A certificate that is requested", func() {
	It("is an object under the gateway's field manager, described as pending from the first", func() {
		made := requested("shop.example.com", tagged("team", "shop"), func(in *sdk.RequestCertificateInput) {
			in.SubjectAlternativeNames = []string{"www.shop.example.com", "SHOP.example.com", "www.shop.example.com"}
		})
		Expect(made).To(HavePrefix("arn:aws:acm:us-east-1:" + account + ":certificate/"))
		c := object(made)
		Expect(c.Name).To(HavePrefix("shop-example-com-"))
		world.Refresh(c)
		Expect(c.ManagedFields[0].Manager).To(Equal("strongroom-gateway"))
		Expect(c.Spec.SubjectAlternativeNames).To(Equal([]string{"www.shop.example.com"}))
		Expect(c.Spec.AuthorityRef.Name).To(Equal("internal"))
		d := describe(made)
		Expect(d.Status).To(Equal(types.CertificateStatusPendingValidation))
		Expect(*d.CertificateAuthorityArn).To(Equal(authority))
		for _, err := range []error{
			second(admin.GetCertificate(ctx, &sdk.GetCertificateInput{CertificateArn: &made})),
			second(admin.ExportCertificate(ctx, &sdk.ExportCertificateInput{CertificateArn: &made, Passphrase: []byte("passphrase")})),
			second(admin.RenewCertificate(ctx, &sdk.RenewCertificateInput{CertificateArn: &made})),
		} {
			is(err, "RequestInProgressException", "not issued yet")
		}
	})

	It("is issued, and verified by openssl and Go", func() {
		made := issued("*.shop.example.com")
		got, err := admin.GetCertificate(ctx, &sdk.GetCertificateInput{CertificateArn: &made})
		Expect(err).NotTo(HaveOccurred())
		environment.Verified(*got.Certificate, *got.CertificateChain, world.Clock.Now(), "-purpose", "sslserver", "-verify_hostname", "a.shop.example.com")
		chain, err := pki.ParseCertificates([]byte(*got.Certificate))
		Expect(err).NotTo(HaveOccurred())
		roots := x509.NewCertPool()
		Expect(roots.AppendCertsFromPEM([]byte(*got.CertificateChain))).To(BeTrue())
		_, err = chain[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: "b.shop.example.com", CurrentTime: world.Clock.Now()})
		Expect(err).NotTo(HaveOccurred())
		d := describe(made)
		Expect(d.Status).To(Equal(types.CertificateStatusIssued))
		Expect(string(d.KeyAlgorithm)).To(Equal("EC-prime256v1"), "with a dash, as ACM answers")
		Expect(*d.Serial).To(MatchRegexp("^([0-9a-f]{2}:)+[0-9a-f]{2}$"))
		Expect(*d.Subject).To(Equal("CN=*.shop.example.com"))
		Expect(*d.Issuer).To(ContainSubstring("Internal"))
		Expect(*d.SignatureAlgorithm).To(Equal("SHA256WITHECDSA"))
		Expect(d.Type).To(Equal(types.CertificateTypePrivate))
		Expect(d.RenewalEligibility).To(Equal(types.RenewalEligibilityEligible))
		Expect(d.CertificateKeyPairOrigin).To(Equal(types.CertificateKeyPairOriginAwsManaged))
		Expect(d.KeyUsages).To(ConsistOf(types.KeyUsage{Name: types.KeyUsageNameDigitalSignature}))
		Expect(d.ExtendedKeyUsages).To(HaveLen(2))
		Expect(d.RenewalSummary).To(BeNil())
		Expect(d.NotAfter.Sub(world.Clock.Now())).To(BeNumerically("~", 395*24*time.Hour, 2*time.Hour))
		world.Clock.Advance(400 * 24 * time.Hour)
		Expect(describe(made).Status).To(Equal(types.CertificateStatusExpired))
	})

	It("is one for a token and a name, within an hour, however many ask at once", func() {
		var mu sync.Mutex
		arns := map[string]bool{}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				defer GinkgoRecover()
				made := requested("shop.example.com", token("one"))
				mu.Lock()
				defer mu.Unlock()
				arns[made] = true
			})
		}
		wg.Wait()
		Expect(arns).To(HaveLen(1))
		Expect(arns).NotTo(HaveKey(requested("shop.example.com", token("two"))))
		Expect(arns).NotTo(HaveKey(requested("shop.example.com")))
		is(second(admin.RequestCertificate(ctx, asking("shop.example.com", token("one"), func(in *sdk.RequestCertificateInput) {
			in.KeyAlgorithm = types.KeyAlgorithmEcSecp384r1
		}))), "InvalidParameterException", "IdempotencyToken")
		world.Clock.Advance(time.Hour + time.Second)
		Expect(arns).NotTo(HaveKey(requested("shop.example.com", token("one"))))
	})

	It("does not take over what is left of a deleted one of its token", func() {
		made := issued("shop.example.com", token("one"))
		Expect(second(admin.DeleteCertificate(ctx, &sdk.DeleteCertificateInput{CertificateArn: &made}))).To(Succeed())
		Eventually(func() error {
			return second(admin.DescribeCertificate(ctx, &sdk.DescribeCertificateInput{CertificateArn: &made}))
		}).ShouldNot(Succeed())
		again := issued("shop.example.com", token("one"))
		Expect(again).NotTo(Equal(made))
		Expect(describe(again).Status).To(Equal(types.CertificateStatusIssued))
	})

	It("is refused where it cannot be issued, and why is said", func() {
		for says, change := range map[string]func(*sdk.RequestCertificateInput){
			"CertificateAuthorityArn is required": func(in *sdk.RequestCertificateInput) { in.CertificateAuthorityArn = nil },
			"validates no domain":                 func(in *sdk.RequestCertificateInput) { in.ValidationMethod = types.ValidationMethodDns },
			"ManagedBy":                           func(in *sdk.RequestCertificateInput) { in.ManagedBy = types.CertificateManagedByCloudfront },
			"too weak":                            func(in *sdk.RequestCertificateInput) { in.KeyAlgorithm = types.KeyAlgorithmRsa1024 },
			"acm:ExportCertificate": func(in *sdk.RequestCertificateInput) {
				in.Options = &types.CertificateOptions{Export: types.CertificateExportDisabled}
			},
		} {
			is(second(admin.RequestCertificate(ctx, asking("shop.example.com", change))), "InvalidParameterException", says)
		}
		with := func(authority string) error {
			return second(admin.RequestCertificate(ctx, asking("shop.example.com", func(in *sdk.RequestCertificateInput) { in.CertificateAuthorityArn = &authority })))
		}
		is(with(authority+"0"), "InvalidArnException", "Could not find")
		is(with(authority+"/certificate/00"), "InvalidArnException", "Invalid")
		is(second(admin.RequestCertificate(ctx, asking("shop.example.com", tagged("aws:x", "1")))), "InvalidTagException", "aws:")
	})

	It("fails with AWS's reason outside the authority's constraints", func() {
		made := requested("a.forbidden.example.com")
		reconcile(made)
		d := describe(made)
		Expect(d.Status).To(Equal(types.CertificateStatusFailed))
		Expect(d.FailureReason).To(Equal(types.FailureReasonPcaNameConstraintsValidation))
		is(second(admin.GetCertificate(ctx, &sdk.GetCertificateInput{CertificateArn: &made})), "ValidationException", "PCA_NAME_CONSTRAINTS_VALIDATION")
	})

	It("is renewed with a fresh key under its ARN", func() {
		made := issued("shop.example.com")
		before := describe(made)
		Expect(second(admin.RenewCertificate(ctx, &sdk.RenewCertificateInput{CertificateArn: &made}))).To(Succeed())
		Expect(describe(made).RenewalSummary.RenewalStatus).To(Equal(types.RenewalStatusPendingAutoRenewal))
		reconcile(made)
		after := describe(made)
		Expect(*after.Serial).NotTo(Equal(*before.Serial))
		Expect(after.RenewalSummary.RenewalStatus).To(Equal(types.RenewalStatusSuccess))
	})

	It("says that it is revoked", func() {
		made := issued("shop.example.com")
		c := object(made)
		ca, err := world.Services.Authorities.ByARN(ctx, world.Namespace, authority)
		Expect(err).NotTo(HaveOccurred())
		Expect(world.Services.Authorities.Revoke(ctx, ca, c.Status.Serial, pki.KeyCompromise)).To(Succeed())
		var d *types.CertificateDetail
		Eventually(func() types.CertificateStatus { // nobody's request has revoked it, which is what a request that reads would not wait for either
			d = describe(made)
			return d.Status
		}).Should(Equal(types.CertificateStatusRevoked))
		Expect(d.RevokedAt).NotTo(BeNil())
	})

	It("is deleted, unless a core Secret shows it", func() {
		made := issued("shop.example.com")
		c := object(made)
		world.Update(c, func() { c.Spec.Target = &v1alpha1.CertificateTarget{Name: "shop-tls"} })
		Expect(describe(made).InUseBy).To(ConsistOf("secret/" + world.Namespace + "/shop-tls"))
		remove := func() error {
			return second(admin.DeleteCertificate(ctx, &sdk.DeleteCertificateInput{CertificateArn: &made}))
		}
		is(remove(), "ResourceInUseException", "shop-tls")
		world.Update(c, func() { c.Spec.Target = nil })
		Expect(remove()).To(Succeed())
		Eventually(remove).Should(MatchError(ContainSubstring("ResourceNotFoundException")))
	})
})

// opened decrypts an exported key with openssl.
func opened(encrypted, passphrase string) []byte {
	GinkgoHelper()
	path := filepath.Join(GinkgoT().TempDir(), "key")
	Expect(os.WriteFile(path, []byte(encrypted), 0o600)).To(Succeed())
	out, err := exec.CommandContext(ctx, "openssl", "pkey", "-in", path, "-passin", "pass:"+passphrase).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(out))
	return out
}

var _ = Describe("A private key", func() {
	It("is exported under a passphrase, fits its certificate, and is in no record", func() {
		made := issued("shop.example.com")
		passphrase := "canary-passphrase-7461"
		out, err := admin.ExportCertificate(ctx, &sdk.ExportCertificateInput{CertificateArn: &made, Passphrase: []byte(passphrase)})
		Expect(err).NotTo(HaveOccurred())
		Expect(*out.PrivateKey).To(HavePrefix("-----BEGIN ENCRYPTED PRIVATE KEY-----"))
		key := opened(*out.PrivateKey, passphrase)
		_, err = tls.X509KeyPair([]byte(*out.Certificate+*out.CertificateChain), key)
		Expect(err).NotTo(HaveOccurred())
		environment.Verified(*out.Certificate, *out.CertificateChain, world.Clock.Now())
		kept(passphrase, *out.PrivateKey, string(key))
		Expect(door.Text()).To(ContainSubstring(`"ExportCertificate"`))
		is(second(admin.ExportCertificate(ctx, &sdk.ExportCertificateInput{CertificateArn: &made, Passphrase: []byte("abc")})), "ValidationException", "passphrase")
	})

	It("is imported with its certificate, and is in no record and no object", func() {
		certificate, key := selfSigned("imported.example.com")
		out, err := admin.ImportCertificate(ctx, &sdk.ImportCertificateInput{Certificate: certificate, PrivateKey: key, Tags: []types.Tag{tag("team", "shop")}})
		Expect(err).NotTo(HaveOccurred())
		made := *out.CertificateArn
		got, err := admin.GetCertificate(ctx, &sdk.GetCertificateInput{CertificateArn: &made})
		Expect(err).NotTo(HaveOccurred())
		Expect([]byte(*got.Certificate)).To(Equal(certificate))
		Expect(got.CertificateChain).To(BeNil())
		d := describe(made)
		Expect(d.Type).To(Equal(types.CertificateTypeImported))
		Expect(d.Status).To(Equal(types.CertificateStatusIssued))
		Expect(d.RenewalEligibility).To(Equal(types.RenewalEligibilityIneligible))
		Expect(d.CertificateKeyPairOrigin).To(Equal(types.CertificateKeyPairOriginCustomerProvided))
		Expect(d.ImportedAt).NotTo(BeNil())
		Expect(object(made).Name).To(HavePrefix("imported-example-com-"))
		kept(string(key))
		bundle, err := world.Services.Certificates.Current(ctx, object(made))
		Expect(err).NotTo(HaveOccurred())
		_, err = tls.X509KeyPair(certificate, pki.KeyPEM(bundle.Key).Reveal())
		Expect(err).NotTo(HaveOccurred())
		is(second(admin.ExportCertificate(ctx, &sdk.ExportCertificateInput{CertificateArn: &made, Passphrase: []byte("passphrase")})), "ValidationException", "imported")
		is(second(admin.RenewCertificate(ctx, &sdk.RenewCertificateInput{CertificateArn: &made})), "ValidationException", "imported")
		reconcile(made)
		Expect(describe(made).Status).To(Equal(types.CertificateStatusIssued), "the controller leaves it alone")
	})

	It("is imported again under the same ARN, of the same type", func() {
		first, firstKey := selfSigned("a.example.com")
		out, err := admin.ImportCertificate(ctx, &sdk.ImportCertificateInput{Certificate: first, PrivateKey: firstKey})
		Expect(err).NotTo(HaveOccurred())
		next, nextKey := selfSigned("b.example.com")
		again := func(change func(*sdk.ImportCertificateInput)) error {
			in := &sdk.ImportCertificateInput{CertificateArn: out.CertificateArn, Certificate: next, PrivateKey: nextKey}
			change(in)
			return second(admin.ImportCertificate(ctx, in))
		}
		is(again(func(in *sdk.ImportCertificateInput) { in.Tags = []types.Tag{tag("a", "b")} }), "InvalidParameterException", "Tags")
		other, otherKey := selfSignedBy(pki.ECSecp384r1, "b.example.com")
		is(again(func(in *sdk.ImportCertificateInput) { in.Certificate, in.PrivateKey = other, otherKey }), "ValidationException", "same type")
		Expect(again(func(*sdk.ImportCertificateInput) {})).To(Succeed())
		c := object(*out.CertificateArn)
		world.Refresh(c)
		world.Seen(c)
		Expect(*describe(*out.CertificateArn).DomainName).To(Equal("b.example.com"))
		private := issued("shop.example.com")
		is(again(func(in *sdk.ImportCertificateInput) { in.CertificateArn = &private }), "ValidationException", "issued by an authority")
	})

	It("is refused with a certificate that is malformed, weak, hostile, expired or another's, and the reason tells nothing of the key", func() {
		certificate, key := selfSigned("shop.example.com")
		other, otherKey := selfSigned("other.example.com")
		canary := base64.StdEncoding.EncodeToString([]byte("canary-key-9318-canary-key-9318"))
		wrapped := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
		for name, in := range map[string]*sdk.ImportCertificateInput{
			"text":                    {Certificate: []byte("hello"), PrivateKey: key},
			"two certificates":        {Certificate: append(append([]byte{}, certificate...), other...), PrivateKey: key},
			"a certificate and text":  {Certificate: append(append([]byte{}, certificate...), "x"...), PrivateKey: key},
			"a key as a certificate":  {Certificate: key, PrivateKey: key},
			"DER that is none":        {Certificate: wrapped("CERTIFICATE", []byte("\x30\x82\xff\xff")), PrivateKey: key},
			"another's key":           {Certificate: certificate, PrivateKey: otherKey},
			"a key that is none":      {Certificate: certificate, PrivateKey: wrapped("PRIVATE KEY", []byte(canary))},
			"text as a key":           {Certificate: certificate, PrivateKey: []byte(canary)},
			"an encrypted key":        {Certificate: certificate, PrivateKey: wrapped("ENCRYPTED PRIVATE KEY", []byte(canary))},
			"two keys":                {Certificate: certificate, PrivateKey: append(append([]byte{}, key...), otherKey...)},
			"a chain of others":       {Certificate: certificate, PrivateKey: key, CertificateChain: other},
			"a chain that is none":    {Certificate: certificate, PrivateKey: key, CertificateChain: []byte("hello")},
			"a chain that is endless": {Certificate: certificate, PrivateKey: key, CertificateChain: bytes.Repeat(other, 200)},
		} {
			err := second(admin.ImportCertificate(ctx, in))
			is(err, "ValidationException", "")
			Expect(err.Error()).NotTo(Or(ContainSubstring("canary"), ContainSubstring(canary)), name)
		}
		world.Clock.Advance(100 * 24 * time.Hour)
		is(second(admin.ImportCertificate(ctx, &sdk.ImportCertificateInput{Certificate: certificate, PrivateKey: key})), "ValidationException", "expired")
		kept(canary, string(key), string(otherKey))
		var list v1alpha1.CertificateList
		Expect(world.ControlPlane.Client.List(ctx, &list)).To(Succeed())
		for i := range list.Items {
			Expect(list.Items[i].Namespace).NotTo(Equal(world.Namespace), "nothing is made")
		}
	})
})

// kept fails if one of the secrets, or what of it would be told, is in what was recorded.
func kept(secrets ...string) {
	GinkgoHelper()
	text := door.Text()
	for _, secret := range secrets {
		lines := strings.Split(strings.TrimSpace(secret), "\n")
		for _, part := range append(lines, base64.StdEncoding.EncodeToString([]byte(secret))) {
			if !strings.HasPrefix(part, "-----") {
				Expect(strings.Contains(text, strings.Trim(part, "\r"))).To(BeFalse(), "a secret is in the records")
			}
		}
	}
}

func selfSigned(name string) (certificate, key []byte) {
	GinkgoHelper()
	return selfSignedBy(pki.ECPrime256v1, name)
}

func selfSignedBy(algorithm pki.KeyAlgorithm, name string) (certificate, key []byte) {
	GinkgoHelper()
	signer, err := pki.GenerateKey(algorithm)
	Expect(err).NotTo(HaveOccurred())
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: world.Clock.Now().Add(-time.Hour), NotAfter: world.Clock.Now().Add(90 * 24 * time.Hour),
	}, &x509.Certificate{Subject: pkix.Name{CommonName: name}}, signer.Public(), signer)
	Expect(err).NotTo(HaveOccurred())
	bytes, err := pki.MarshalKey(signer)
	Expect(err).NotTo(HaveOccurred())
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), append([]byte(nil), pki.KeyPEM(bytes).Reveal()...)
}

var _ = Describe("A list of certificates", func() {
	list := func(changes ...func(*sdk.ListCertificatesInput)) (out []string) {
		GinkgoHelper()
		in := &sdk.ListCertificatesInput{Includes: &types.Filters{KeyTypes: types.KeyAlgorithm("").Values()}, MaxItems: ptr.To[int32](2)}
		for _, change := range changes {
			change(in)
		}
		pages := sdk.NewListCertificatesPaginator(admin, in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(len(page.CertificateSummaryList)).To(BeNumerically("<=", 2))
			for _, s := range page.CertificateSummaryList {
				out = append(out, *s.DomainName)
			}
		}
		return out
	}

	It("shows them page by page, filtered by what they are, and by default RSA of 2,048 bits alone", func() {
		issued("a.example.com")
		issued("b.example.com", func(in *sdk.RequestCertificateInput) { in.KeyAlgorithm = "" })
		requested("c.example.com")
		certificate, key := selfSigned("d.example.com")
		_, err := admin.ImportCertificate(ctx, &sdk.ImportCertificateInput{Certificate: certificate, PrivateKey: key})
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() []string { return list() }).Should(ConsistOf("a.example.com", "b.example.com", "c.example.com", "d.example.com"))
		Expect(list(func(in *sdk.ListCertificatesInput) { in.Includes = nil })).To(ConsistOf("b.example.com"))
		Expect(list(func(in *sdk.ListCertificatesInput) {
			in.CertificateStatuses = []types.CertificateStatus{types.CertificateStatusPendingValidation}
		})).
			To(ConsistOf("c.example.com"))
		Expect(list(func(in *sdk.ListCertificatesInput) {
			in.Includes.KeyUsage = []types.KeyUsageName{types.KeyUsageNameKeyEncipherment}
		})).
			To(ConsistOf("b.example.com"))
		Expect(list(func(in *sdk.ListCertificatesInput) {
			in.Includes.ExtendedKeyUsage = []types.ExtendedKeyUsageName{types.ExtendedKeyUsageNameTlsWebClientAuthentication}
		})).To(ConsistOf("a.example.com", "b.example.com"))
		Expect(list(func(in *sdk.ListCertificatesInput) { in.Includes.ExportOption = types.CertificateExportDisabled })).To(ConsistOf("d.example.com"))
		Expect(list(func(in *sdk.ListCertificatesInput) {
			in.CertificateKeyPairOrigins = []types.CertificateKeyPairOrigin{types.CertificateKeyPairOriginCustomerProvided}
		})).To(ConsistOf("d.example.com"))
		is(second(admin.ListCertificates(ctx, &sdk.ListCertificatesInput{NextToken: ptr.To("x")})), "InvalidArgsException", "NextToken")
		first, err := admin.ListCertificates(ctx, &sdk.ListCertificatesInput{Includes: &types.Filters{KeyTypes: types.KeyAlgorithm("").Values()}, MaxItems: ptr.To[int32](1)})
		Expect(err).NotTo(HaveOccurred())
		Expect(first.NextToken).NotTo(BeNil())
		is(second(admin.ListCertificates(ctx, &sdk.ListCertificatesInput{NextToken: first.NextToken})), "InvalidArgsException", "NextToken")
	})
})

var _ = Describe("Tags of a certificate", func() {
	It("are put on, taken off by key or by key and value, and listed", func() {
		made := requested("shop.example.com")
		seen := func() {
			GinkgoHelper()
			c := object(made)
			world.Refresh(c)
			world.Seen(c)
		}
		list := func() (out []string) {
			GinkgoHelper()
			seen()
			got, err := admin.ListTagsForCertificate(ctx, &sdk.ListTagsForCertificateInput{CertificateArn: &made})
			Expect(err).NotTo(HaveOccurred())
			for _, t := range got.Tags {
				out = append(out, *t.Key+"="+*t.Value)
			}
			return out
		}
		Expect(second(admin.AddTagsToCertificate(ctx, &sdk.AddTagsToCertificateInput{CertificateArn: &made, Tags: []types.Tag{tag("a", "1"), tag("b", "2")}}))).To(Succeed())
		Expect(list()).To(Equal([]string{"a=1", "b=2"}))
		Expect(second(admin.RemoveTagsFromCertificate(ctx, &sdk.RemoveTagsFromCertificateInput{
			CertificateArn: &made, Tags: []types.Tag{tag("a", "other"), {Key: ptr.To("b")}},
		}))).To(Succeed())
		Expect(list()).To(Equal([]string{"a=1"}))
		is(second(admin.AddTagsToCertificate(ctx, &sdk.AddTagsToCertificateInput{CertificateArn: &made, Tags: []types.Tag{tag("x", "1"), tag("X", "2")}})),
			"InvalidTagException", "case")
	})
})

var _ = Describe("A caller", func() {
	It("without permission is told the same whether the certificate is there or not, and changes nothing", func() {
		there := issued("shop.example.com")
		gone := "arn:aws:acm:us-east-1:" + account + ":certificate/00000000-0000-4000-8000-000000000000"
		stranger := as(`"Action":"sqs:*","Resource":"*"`)
		certificate, key := selfSigned("x.example.com")
		before := object(there)
		for name, ask := range map[string]func(*string) error{
			"AddTags": func(a *string) error {
				return second(stranger.AddTagsToCertificate(ctx, &sdk.AddTagsToCertificateInput{CertificateArn: a, Tags: []types.Tag{tag("a", "b")}}))
			},
			"RemoveTags": func(a *string) error {
				return second(stranger.RemoveTagsFromCertificate(ctx, &sdk.RemoveTagsFromCertificateInput{CertificateArn: a, Tags: []types.Tag{tag("a", "b")}}))
			},
			"ListTags": func(a *string) error {
				return second(stranger.ListTagsForCertificate(ctx, &sdk.ListTagsForCertificateInput{CertificateArn: a}))
			},
			"Delete": func(a *string) error {
				return second(stranger.DeleteCertificate(ctx, &sdk.DeleteCertificateInput{CertificateArn: a}))
			},
			"Describe": func(a *string) error {
				return second(stranger.DescribeCertificate(ctx, &sdk.DescribeCertificateInput{CertificateArn: a}))
			},
			"Export": func(a *string) error {
				return second(stranger.ExportCertificate(ctx, &sdk.ExportCertificateInput{CertificateArn: a, Passphrase: []byte("passphrase")}))
			},
			"Get": func(a *string) error {
				return second(stranger.GetCertificate(ctx, &sdk.GetCertificateInput{CertificateArn: a}))
			},
			"Import": func(a *string) error {
				return second(stranger.ImportCertificate(ctx, &sdk.ImportCertificateInput{CertificateArn: a, Certificate: certificate, PrivateKey: key}))
			},
			"Renew": func(a *string) error {
				return second(stranger.RenewCertificate(ctx, &sdk.RenewCertificateInput{CertificateArn: a}))
			},
		} {
			told := map[string]bool{}
			for _, a := range []string{there, gone} {
				err := ask(&a)
				is(err, "AccessDeniedException", "is not authorized to perform: acm:")
				text := err.Error()
				told[strings.ReplaceAll(text[strings.Index(text, "User:"):], a, "ARN")] = true
			}
			Expect(told).To(HaveLen(1), name)
		}
		is(second(stranger.RequestCertificate(ctx, asking("shop.example.com"))), "AccessDeniedException", "acm:RequestCertificate on resource: arn:aws:acm:us-east-1:"+account+":certificate/*")
		is(second(stranger.ListCertificates(ctx, &sdk.ListCertificatesInput{})), "AccessDeniedException", "acm:ListCertificates")
		Expect(object(there)).To(Equal(before))
	})

	It("needs the authority's permission too, and is told of no authority without it", func() {
		acmOnly := as(`"Action":"acm:*","Resource":"*"`)
		for _, a := range []string{authority, authority + "0"} {
			err := second(acmOnly.RequestCertificate(ctx, asking("shop.example.com", func(in *sdk.RequestCertificateInput) { in.CertificateAuthorityArn = &a })))
			is(err, "AccessDeniedException", "acm-pca:IssueCertificate on resource: "+a)
		}
		both := as(`"Action":"acm:RequestCertificate","Resource":"*"`, `"Action":"acm-pca:IssueCertificate","Resource":"`+authority+`"`)
		Expect(second(both.RequestCertificate(ctx, asking("shop.example.com")))).To(Succeed())
		is(second(both.RequestCertificate(ctx, asking("shop.example.com", tagged("a", "b")))), "AccessDeniedException", "acm:AddTagsToCertificate")
	})

	It("may ask by name, key algorithm and authority, and export by name and tag", func() {
		may := func(condition string) bool {
			GinkgoHelper()
			who := as(`"Action":"acm:RequestCertificate","Resource":"*","Condition":`+condition, `"Action":"acm-pca:*","Resource":"*"`)
			return second(who.RequestCertificate(ctx, asking("Shop.example.com"))) == nil
		}
		for condition, want := range map[string]bool{
			`{"ForAllValues:StringLike":{"acm:DomainNames":["*.example.com"]}}`: true, `{"ForAllValues:StringLike":{"acm:DomainNames":["*.example.org"]}}`: false,
			`{"StringEquals":{"acm:KeyAlgorithm":"EC_prime256v1"}}`: true, `{"StringEquals":{"acm:KeyAlgorithm":"RSA_2048"}}`: false,
			`{"ArnEquals":{"acm:CertificateAuthority":"` + authority + `"}}`: true, `{"Null":{"acm:CertificateAuthority":"true"}}`: false,
			`{"Null":{"acm:ValidationMethod":"true"}}`: true, `{"StringEquals":{"acm:Export":"ENABLED"}}`: false,
		} {
			Expect(may(condition)).To(Equal(want), condition)
		}
		made := issued("shop.example.com", tagged("team", "shop"))
		for condition, want := range map[string]bool{
			`{"StringEquals":{"aws:ResourceTag/team":"shop"}}`: true, `{"StringEquals":{"aws:ResourceTag/team":"bank"}}`: false,
			`{"ForAnyValue:StringEquals":{"acm:DomainNames":"shop.example.com"}}`: true, `{"ForAnyValue:StringEquals":{"acm:DomainNames":"other"}}`: false,
		} {
			who := as(`"Action":"acm:ExportCertificate","Resource":"*","Condition":` + condition)
			err := second(who.ExportCertificate(ctx, &sdk.ExportCertificateInput{CertificateArn: &made, Passphrase: []byte("passphrase")}))
			Expect(err == nil).To(Equal(want), condition)
		}
	})

	It("is told what is not there, and of ARNs that are none", func() {
		made := requested("shop.example.com")
		get := func(given string) error {
			return second(admin.DescribeCertificate(ctx, &sdk.DescribeCertificateInput{CertificateArn: &given}))
		}
		is(get(made+"0"), "ResourceNotFoundException", "Could not find")
		is(get(strings.Replace(made, "us-east-1", "eu-west-1", 1)), "ResourceNotFoundException", "Could not find")
		is(get(strings.Replace(made, account, "999999999999", 1)), "AccessDeniedException", "no resource-based policy")
		is(get(made+"/x"), "InvalidArnException", "Invalid")
		is(get(strings.Replace(made, ":certificate/", ":other/", 1)), "InvalidArnException", "Invalid")
	})

	It("is answered without a word of it while the keyring is sealed", func() {
		made := issued("shop.example.com")
		world.Seal(nil)
		is(second(admin.GetCertificate(ctx, &sdk.GetCertificateInput{CertificateArn: &made})), "InternalServerException", "sealed")
	})
})
