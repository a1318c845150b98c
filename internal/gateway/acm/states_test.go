package acm_test

import (
	"crypto/tls"
	"fmt"
	"strings"
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

// enable lets a KMSKey be used, or not.
func enable(name string, enabled bool) {
	GinkgoHelper()
	key := environment.KMSKey(world.Namespace, name)
	world.Update(key, func() { key.Spec.Enabled = &enabled })
	world.ReconcileKey(key)
}

// issuer is the authority that all ask.
func issuer() *v1alpha1.CertificateAuthority {
	GinkgoHelper()
	ca := &v1alpha1.CertificateAuthority{}
	ca.Namespace, ca.Name = world.Namespace, "internal"
	world.Refresh(ca)
	return ca
}

func get(given string) error {
	return second(admin.GetCertificate(ctx, &sdk.GetCertificateInput{CertificateArn: &given}))
}

func export(given, passphrase string) (*sdk.ExportCertificateOutput, error) {
	return admin.ExportCertificate(ctx, &sdk.ExportCertificateInput{CertificateArn: &given, Passphrase: []byte(passphrase)})
}

func renew(given string) error {
	return second(admin.RenewCertificate(ctx, &sdk.RenewCertificateInput{CertificateArn: &given}))
}

var _ = Describe("A certificate that its authority cannot issue", func() {
	It("is pending while the authority's key is disabled, and is issued when it is enabled again", func() {
		enable("ca-internal", false)
		made := requested("shop.example.com")
		reconcile(made)
		d := describe(made)
		Expect(d.Status).To(Equal(types.CertificateStatusPendingValidation))
		is(get(made), "RequestInProgressException", "not issued yet")
		enable("ca-internal", true)
		reconcile(made)
		Expect(describe(made).Status).To(Equal(types.CertificateStatusIssued))
	})

	It("fails when the authority is deleted", func() {
		made := requested("shop.example.com")
		world.Remove(issuer())
		reconcile(made)
		d := describe(made)
		Expect(d.Status).To(Equal(types.CertificateStatusFailed))
		Expect(d.FailureReason).To(Equal(types.FailureReasonPcaResourceNotFound))
		Expect(d.CertificateAuthorityArn).To(BeNil())
		is(get(made), "ValidationException", "PCA_RESOURCE_NOT_FOUND")
		_, err := export(made, "passphrase")
		is(err, "ValidationException", "PCA_RESOURCE_NOT_FOUND")
	})

	It("is pending while the authority has expired, and is issued when that was renewed", func() {
		made := requested("shop.example.com")
		ca := issuer()
		world.Clock.Set(ca.Status.NotAfter.Add(10 * time.Minute))
		reconcile(made)
		Expect(describe(made).Status).To(Equal(types.CertificateStatusPendingValidation))
		is(get(made), "RequestInProgressException", "not issued yet")
		_, err := world.CertificateAuthority.Reconcile(ctx, environment.Request(ca))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(ca)
		world.Seen(ca)
		reconcile(made)
		Expect(describe(made).Status).To(Equal(types.CertificateStatusIssued))
		Expect(get(made)).To(Succeed())
	})

	It("stays in force under its authority's end, and is told to be expired after it", func() {
		made := issued("shop.example.com")
		c := object(made)
		world.Clock.Set(c.Status.NotAfter.Add(-time.Second))
		Expect(describe(made).Status).To(Equal(types.CertificateStatusIssued))
		world.Clock.Set(c.Status.NotAfter.Time)
		Expect(describe(made).Status).To(Equal(types.CertificateStatusExpired))
		Expect(get(made)).To(Succeed(), "AWS gives an expired certificate, too")
	})
})

var _ = Describe("A certificate that is suspended", func() {
	It("is not renewed by the API, and says so", func() {
		made := issued("shop.example.com")
		c := object(made)
		world.Update(c, func() { c.Spec.Suspend = true })
		Expect(describe(made).RenewalEligibility).To(Equal(types.RenewalEligibilityIneligible))
		is(renew(made), "ValidationException", "spec.suspend")
		world.Update(c, func() { c.Spec.Suspend = false })
		Expect(renew(made)).To(Succeed())
	})
})

var _ = Describe("A renewal through the API", func() {
	It("has a fresh key each time, of which the old one's export does not speak", func() {
		made := issued("shop.example.com")
		keys := map[string]bool{}
		for range 3 {
			out, err := export(made, "passphrase")
			Expect(err).NotTo(HaveOccurred())
			pair, err := tls.X509KeyPair([]byte(*out.Certificate), opened(*out.PrivateKey, "passphrase"))
			Expect(err).NotTo(HaveOccurred())
			Expect(keys).NotTo(HaveKey(fmt.Sprint(pair.Leaf.PublicKey)), "a key is used twice")
			keys[fmt.Sprint(pair.Leaf.PublicKey)] = true
			Expect(renew(made)).To(Succeed())
			reconcile(made)
		}
		Expect(describe(made).RenewalSummary.RenewalStatus).To(Equal(types.RenewalStatusSuccess))
	})

	It("that the authority cannot do leaves the old one in force, and is pending", func() {
		made := issued("shop.example.com")
		serial := *describe(made).Serial
		enable("ca-internal", false)
		Expect(renew(made)).To(Succeed())
		reconcile(made)
		d := describe(made)
		Expect(*d.Serial).To(Equal(serial))
		Expect(d.Status).To(Equal(types.CertificateStatusIssued))
		Expect(d.RenewalSummary.RenewalStatus).To(Equal(types.RenewalStatusPendingAutoRenewal))
		environmentVerified(made)
	})
})

// environmentVerified has openssl verify what the API gives.
func environmentVerified(made string) {
	GinkgoHelper()
	got, err := admin.GetCertificate(ctx, &sdk.GetCertificateInput{CertificateArn: &made})
	Expect(err).NotTo(HaveOccurred())
	environment.Verified(*got.Certificate, *got.CertificateChain, world.Clock.Now(), "-purpose", "sslserver")
}

var _ = Describe("A request to ACM", func() {
	It("is of a form that AWS's model has, or refused before anybody is asked", func() {
		stranger := as(`"Action":"sqs:*","Resource":"*"`)
		long := strings.Repeat("a", 33)
		for member, change := range map[string]func(*sdk.RequestCertificateInput){
			"domainName":              func(in *sdk.RequestCertificateInput) { in.DomainName = ptr.To("under_score.example.com") },
			"idempotencyToken":        func(in *sdk.RequestCertificateInput) { in.IdempotencyToken = &long },
			"subjectAlternativeNames": func(in *sdk.RequestCertificateInput) { in.SubjectAlternativeNames = make([]string, 101) },
			"keyAlgorithm":            func(in *sdk.RequestCertificateInput) { in.KeyAlgorithm = "RSA_512" },
		} {
			is(second(stranger.RequestCertificate(ctx, asking("shop.example.com", change))), "ValidationException", member)
		}
		made := issued("shop.example.com")
		for _, passphrase := range []string{"abc", strings.Repeat("x", 129)} {
			_, err := export(made, passphrase)
			is(err, "ValidationException", "passphrase")
			Expect(err.Error()).NotTo(ContainSubstring("xxxx"))
		}
		for _, n := range []int32{0, 1001} {
			is(second(admin.ListCertificates(ctx, &sdk.ListCertificatesInput{MaxItems: &n})), "ValidationException", "maxItems")
		}
		is(second(admin.AddTagsToCertificate(ctx, &sdk.AddTagsToCertificateInput{CertificateArn: &made, Tags: []types.Tag{}})), "ValidationException", "tags")
	})

	It("of more names than a certificate has room for is refused in words of AWS, and nothing is made", func() {
		names := func(n int) func(*sdk.RequestCertificateInput) {
			return func(in *sdk.RequestCertificateInput) {
				for i := range n {
					in.SubjectAlternativeNames = append(in.SubjectAlternativeNames, fmt.Sprintf("n%d.example.com", i))
				}
			}
		}
		made := issued("shop.example.com", names(99))
		Expect(describe(made).SubjectAlternativeNames).To(HaveLen(100))
		is(second(admin.RequestCertificate(ctx, asking("shop.example.com", names(100)))), "InvalidParameterException", "subjectAlternativeNames")
	})

	It("of an Internet name in its own script is told to write Punycode, and what is Punycode is issued", func() {
		made := issued("xn--bcher-kva.example.com", func(in *sdk.RequestCertificateInput) {
			in.SubjectAlternativeNames = []string{"*.xn--bcher-kva.example.com"}
		})
		environmentVerified(made)
		Expect(describe(made).SubjectAlternativeNames).To(Equal([]string{"xn--bcher-kva.example.com", "*.xn--bcher-kva.example.com"}))
		is(second(admin.RequestCertificate(ctx, asking("bücher.example.com"))), "ValidationException", "domainName")
	})

	It("with a token is the same for an hour after its certificate was issued and renewed, too", func() {
		made := issued("shop.example.com", token("one"))
		Expect(requested("shop.example.com", token("one"))).To(Equal(made))
		Expect(renew(made)).To(Succeed())
		reconcile(made)
		Expect(requested("shop.example.com", token("one"))).To(Equal(made))
		for name, change := range map[string]func(*sdk.RequestCertificateInput){
			"names": func(in *sdk.RequestCertificateInput) { in.SubjectAlternativeNames = []string{"other.example.com"} },
			"key":   func(in *sdk.RequestCertificateInput) { in.KeyAlgorithm = types.KeyAlgorithmRsa2048 },
		} {
			By("with other " + name)
			is(second(admin.RequestCertificate(ctx, asking("shop.example.com", token("one"), change))), "InvalidParameterException", "IdempotencyToken")
		}
		other := requested("other.example.com", token("one"))
		Expect(other).NotTo(Equal(made), "a token is of one name")
	})
})

var _ = Describe("An import through the API", func() {
	importing := func(in *sdk.ImportCertificateInput) error { return second(admin.ImportCertificate(ctx, in)) }

	It("of a certificate with its chain gives both back, and its list entry says what it is for", func() {
		made := issued("shop.example.com", func(in *sdk.RequestCertificateInput) { in.KeyAlgorithm = types.KeyAlgorithmRsa2048 })
		out, err := export(made, "passphrase")
		Expect(err).NotTo(HaveOccurred())
		key := opened(*out.PrivateKey, "passphrase")
		got, err := admin.ImportCertificate(ctx, &sdk.ImportCertificateInput{
			Certificate: []byte(*out.Certificate), PrivateKey: key, CertificateChain: []byte(*out.CertificateChain),
		})
		Expect(err).NotTo(HaveOccurred())
		again, err := admin.GetCertificate(ctx, &sdk.GetCertificateInput{CertificateArn: got.CertificateArn})
		Expect(err).NotTo(HaveOccurred())
		Expect(*again.Certificate).To(Equal(*out.Certificate))
		Expect(*again.CertificateChain).To(Equal(*out.CertificateChain))
		d := describe(*got.CertificateArn)
		Expect(d.KeyUsages).To(ConsistOf(types.KeyUsage{Name: types.KeyUsageNameDigitalSignature}, types.KeyUsage{Name: types.KeyUsageNameKeyEncipherment}))
		Expect(d.CertificateAuthorityArn).To(BeNil())
		list, err := admin.ListCertificates(ctx, &sdk.ListCertificatesInput{})
		Expect(err).NotTo(HaveOccurred())
		for _, s := range list.CertificateSummaryList {
			Expect(s.KeyUsages).To(ConsistOf(types.KeyUsageNameDigitalSignature, types.KeyUsageNameKeyEncipherment))
			Expect(s.ExtendedKeyUsages).To(ConsistOf(types.ExtendedKeyUsageNameTlsWebServerAuthentication, types.ExtendedKeyUsageNameTlsWebClientAuthentication))
		}
		Expect(list.CertificateSummaryList).To(HaveLen(2))
	})

	It("needs the permission to tag what it tags, and takes no tags that AWS keeps", func() {
		certificate, key := selfSigned("a.example.com")
		of := func(tags ...types.Tag) *sdk.ImportCertificateInput {
			return &sdk.ImportCertificateInput{Certificate: certificate, PrivateKey: key, Tags: tags}
		}
		importer := as(`"Action":"acm:ImportCertificate","Resource":"*"`)
		Expect(second(importer.ImportCertificate(ctx, of()))).To(Succeed())
		is(second(importer.ImportCertificate(ctx, of(tag("a", "b")))), "AccessDeniedException", "acm:AddTagsToCertificate")
		is(importing(of(tag("aws:a", "b"))), "InvalidTagException", "aws:")
		is(importing(of(tag("a", "b"), tag("A", "c"))), "InvalidTagException", "case")
	})

	It("into one that follows a core Secret, or that is not there, is refused", func() {
		certificate, key := selfSigned("a.example.com")
		c := &v1alpha1.Certificate{}
		c.Namespace, c.Name = world.Namespace, "follows"
		c.Spec.ImportFrom = &v1alpha1.CertificateSource{SecretRef: v1alpha1.LocalReference{Name: "theirs"}}
		world.Create(c)
		made := world.Services.Certificates.ARNOf(c, account)
		is(importing(&sdk.ImportCertificateInput{CertificateArn: &made, Certificate: certificate, PrivateKey: key}), "ValidationException", "core Secret theirs")
		world.Remove(c)
		is(importing(&sdk.ImportCertificateInput{CertificateArn: &made, Certificate: certificate, PrivateKey: key}), "ResourceNotFoundException", made)
	})

	It("is refused while the KMSKey cannot be used, and nothing is left of it", func() {
		enable("aws-acm", false)
		certificate, key := selfSigned("a.example.com")
		is(importing(&sdk.ImportCertificateInput{Certificate: certificate, PrivateKey: key}), "ConflictException", "KMS key")
		kept(string(key))
		list, err := admin.ListCertificates(ctx, &sdk.ListCertificatesInput{Includes: &types.Filters{KeyTypes: types.KeyAlgorithm("").Values()}})
		Expect(err).NotTo(HaveOccurred())
		Expect(list.CertificateSummaryList).To(BeEmpty())
	})
})

var _ = Describe("An export through the API", func() {
	It("never has the same bytes twice, and says nothing of a passphrase that does not fit", func() {
		made := issued("shop.example.com")
		seen := map[string]bool{}
		for _, passphrase := range []string{"one-canary", "one-canary", "two-canary"} {
			out, err := export(made, passphrase)
			Expect(err).NotTo(HaveOccurred())
			Expect(seen).NotTo(HaveKey(*out.PrivateKey))
			seen[*out.PrivateKey] = true
			Expect(second(pki.ParseKey([]byte(*out.PrivateKey)))).To(MatchError(pki.ErrUnsupported), "it is not encrypted")
			Expect(opened(*out.PrivateKey, passphrase)).NotTo(BeEmpty())
			kept(passphrase, *out.PrivateKey)
		}
	})

	It("of one that is revoked, or whose core Secret shows it, is the same", func() {
		made := issued("shop.example.com")
		c := object(made)
		Expect(world.Services.Authorities.Revoke(ctx, issuer(), c.Status.Serial, pki.KeyCompromise)).To(Succeed())
		out, err := export(made, "passphrase")
		Expect(err).NotTo(HaveOccurred())
		Expect(second(tls.X509KeyPair([]byte(*out.Certificate), opened(*out.PrivateKey, "passphrase")))).To(Succeed())
		Expect(describe(made).Status).To(Equal(types.CertificateStatusRevoked))
		reconcile(made)
		Expect(describe(made).Status).To(Equal(types.CertificateStatusIssued), "its controller has it issued anew")
		Expect(object(made).Status.Serial).NotTo(Equal(c.Status.Serial))
	})
})

var _ = Describe("Pages and tags of certificates", func() {
	It("go forwards and backwards over all of them, each once, and a token is of its own order", func() {
		var want []string
		for i := range 5 {
			want = append(want, requested(fmt.Sprintf("n%d.example.com", i)))
		}
		all := &types.Filters{KeyTypes: types.KeyAlgorithm("").Values()}
		list := func(order types.SortOrder) (out []string) {
			GinkgoHelper()
			in := &sdk.ListCertificatesInput{Includes: all, MaxItems: ptr.To[int32](2), SortBy: types.SortByCreatedAt, SortOrder: order}
			pages := sdk.NewListCertificatesPaginator(admin, in)
			for pages.HasMorePages() {
				page, err := pages.NextPage(ctx)
				Expect(err).NotTo(HaveOccurred())
				for _, s := range page.CertificateSummaryList {
					out = append(out, *s.CertificateArn)
				}
			}
			return out
		}
		Eventually(func() []string { return list(types.SortOrderAscending) }).Should(ConsistOf(want))
		forwards, backwards := list(types.SortOrderAscending), list(types.SortOrderDescending)
		for i := range forwards {
			Expect(backwards[len(backwards)-1-i]).To(Equal(forwards[i]))
		}
		first, err := admin.ListCertificates(ctx, &sdk.ListCertificatesInput{Includes: all, MaxItems: ptr.To[int32](2), SortBy: types.SortByCreatedAt, SortOrder: types.SortOrderAscending})
		Expect(err).NotTo(HaveOccurred())
		is(second(admin.ListCertificates(ctx, &sdk.ListCertificatesInput{NextToken: first.NextToken, SortBy: types.SortByCreatedAt, SortOrder: types.SortOrderDescending})),
			"InvalidArgsException", "NextToken")
		is(second(admin.ListCertificates(ctx, &sdk.ListCertificatesInput{SortOrder: types.SortOrderAscending})), "InvalidArgsException", "SortBy")
	})

	It("are fifty at most, and one more is too many", func() {
		made := requested("shop.example.com")
		put := func(from, to int) error {
			var tags []types.Tag
			for i := from; i < to; i++ {
				tags = append(tags, tag(fmt.Sprintf("k%d", i), "v"))
			}
			return second(admin.AddTagsToCertificate(ctx, &sdk.AddTagsToCertificateInput{CertificateArn: &made, Tags: tags}))
		}
		Expect(put(0, 49)).To(Succeed())
		Expect(put(49, 50)).To(Succeed())
		Expect(put(10, 30)).To(Succeed(), "those that are there already are no more")
		is(put(50, 51), "TooManyTagsException", "50")
		is(put(0, 51), "ValidationException", "tags")
	})
})
