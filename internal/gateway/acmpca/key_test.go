package acmpca_test

import (
	"crypto/sha256"

	sdk "github.com/aws/aws-sdk-go-v2/service/acmpca"
	"github.com/aws/aws-sdk-go-v2/service/acmpca/types"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway/acmpca"
	"strongroom.dev/strongroom/internal/gateway/kms"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("The key that an authority has made for it", func() {
	It("signs for the authority and for nobody who may do everything, who can look after it all the same", func() {
		door := world.Open(acmpca.New(acmpca.Dependencies{Authorities: world.Services.Authorities}), kms.New(kms.Dependencies{KMS: world.Services.KMS, Authorities: world.Services.Authorities}))
		everything := door.Config(environment.Region, `"Action":"*","Resource":"*"`)
		keys, authorities := awskms.NewFromConfig(everything), sdk.NewFromConfig(everything)
		made := active()
		ca := object(made)
		id := ptr.To(ca.Status.KMSKeyARN)

		digest := sha256.Sum256([]byte("a certificate that is in no record"))
		in := &awskms.SignInput{
			KeyId: id, Message: digest[:], MessageType: kmstypes.MessageTypeDigest, SigningAlgorithm: kmstypes.SigningAlgorithmSpecEcdsaSha256,
		}
		_, err := keys.Sign(ctx, in)
		is(err, "AccessDeniedException", "kms:Sign")
		in.DryRun = ptr.To(true)
		_, err = keys.Sign(ctx, in)
		is(err, "AccessDeniedException", "kms:Sign")

		request, _ := csr("", "shop.example.com")
		_, err = authorities.IssueCertificate(ctx, issuing(made, request))
		Expect(err).NotTo(HaveOccurred(), "the authority is locked out of its own key")
		_, err = keys.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: id})
		Expect(err).NotTo(HaveOccurred())
		_, err = keys.GetPublicKey(ctx, &awskms.GetPublicKeyInput{KeyId: id})
		Expect(err).NotTo(HaveOccurred())
		policy, err := keys.GetKeyPolicy(ctx, &awskms.GetKeyPolicyInput{KeyId: id})
		Expect(err).NotTo(HaveOccurred())
		_, err = keys.PutKeyPolicy(ctx, &awskms.PutKeyPolicyInput{KeyId: id, Policy: policy.Policy})
		Expect(err).NotTo(HaveOccurred(), "the policy is one that KMS does not take")
		open := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}]}`
		_, err = keys.PutKeyPolicy(ctx, &awskms.PutKeyPolicyInput{KeyId: id, Policy: &open})
		Expect(err).NotTo(HaveOccurred())
		_, err = keys.Sign(ctx, in)
		is(err, "AccessDeniedException", "ACM PCA alone")
		in.DryRun = nil
		_, err = keys.Sign(ctx, in)
		is(err, "AccessDeniedException", "ACM PCA alone")
		request, _ = csr("", "shop.example.com")
		_, err = authorities.IssueCertificate(ctx, issuing(made, request))
		Expect(err).NotTo(HaveOccurred())

		_, err = keys.TagResource(ctx, &awskms.TagResourceInput{KeyId: id, Tags: []kmstypes.Tag{{TagKey: ptr.To("team"), TagValue: ptr.To("pki")}}})
		Expect(err).NotTo(HaveOccurred())
		_, err = keys.DisableKey(ctx, &awskms.DisableKeyInput{KeyId: id})
		Expect(err).NotTo(HaveOccurred())
	})

	It("may be one that somebody signs with: it is an authority that stops that, whose name the key's account is told, and no other kind that names the key", func() {
		door := world.Open(kms.New(kms.Dependencies{KMS: world.Services.KMS, Authorities: world.Services.Authorities}))
		keys := awskms.NewFromConfig(door.Config(environment.Region, `"Action":"*","Resource":"*"`))
		key := world.ReadyKey("theirs", func(k *v1alpha1.KMSKey) {
			k.Spec.KeySpec, k.Spec.KeyUsage = v1alpha1.KeySpecECCNISTP256, v1alpha1.KeyUsageSignVerify
			k.Spec.CertificateAuthorityRef = &v1alpha1.LocalReference{Name: "in-the-way"} // or no authority could have it
		})
		sign := func() error {
			digest := sha256.Sum256([]byte("x"))
			_, err := keys.Sign(ctx, &awskms.SignInput{
				KeyId: &key.Status.ARN, Message: digest[:], MessageType: kmstypes.MessageTypeDigest, SigningAlgorithm: kmstypes.SigningAlgorithmSpecEcdsaSha256,
			})
			return err
		}
		ref := &v1alpha1.LocalReference{Name: key.Name}
		secret := environment.Secret(world.Namespace, "s", func(s *v1alpha1.Secret) { s.Spec.KMSKeyRef = ref })
		parameter := environment.Parameter(world.Namespace, "p", func(p *v1alpha1.Parameter) {
			p.Spec.Type, p.Spec.Value, p.Spec.Target, p.Spec.KMSKeyRef = v1alpha1.ParameterSecureString, "", nil, ref
			p.Spec.Generate = &v1alpha1.SecretGenerator{Password: &v1alpha1.PasswordGenerator{}}
		})
		world.Create(secret)
		world.Create(parameter)
		_, err := world.Secret.Reconcile(ctx, environment.Request(secret))
		Expect(err).NotTo(HaveOccurred())
		_, err = world.Parameter.Reconcile(ctx, environment.Request(parameter))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(secret)
		world.Refresh(parameter)
		for _, set := range [][]metav1.Condition{secret.Status.Conditions, parameter.Status.Conditions} {
			Expect(set).To(ContainElement(HaveField("Reason", v1alpha1.ReasonKeyUnusable)))
		}
		Expect(sign()).To(Succeed())

		ca := &v1alpha1.CertificateAuthority{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "in-the-way"}, Spec: v1alpha1.CertificateAuthoritySpec{
			Type: v1alpha1.CertificateAuthorityRoot, KeyAlgorithm: v1alpha1.KeyAlgorithmECPrime256v1, Subject: v1alpha1.CertificateSubject{CommonName: "In the way"}, KMSKeyRef: ref,
		}}
		world.Create(ca)
		Expect(sign()).To(Succeed(), "it has no certificate yet")
		activate(ca)
		is(sign(), "AccessDeniedException", "(CertificateAuthority in-the-way, which is there or can be had back) and signs by way of ACM PCA alone")
	})

	It("is told from the other keys of its namespace also when its certificate does not open, and those sign on", func() {
		door := world.Open(kms.New(kms.Dependencies{KMS: world.Services.KMS, Authorities: world.Services.Authorities}))
		keys := awskms.NewFromConfig(door.Config(environment.Region, `"Action":"*","Resource":"*"`))
		ca := object(active())
		other := world.ReadyKey("other", func(k *v1alpha1.KMSKey) {
			k.Spec.KeySpec, k.Spec.KeyUsage = v1alpha1.KeySpecECCNISTP256, v1alpha1.KeyUsageSignVerify
		})
		open := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}]}`
		_, err := keys.PutKeyPolicy(ctx, &awskms.PutKeyPolicyInput{KeyId: &ca.Status.KMSKeyARN, Policy: &open})
		Expect(err).NotTo(HaveOccurred())
		for _, e := range world.Envelopes(v1alpha1.EnvelopeIssuedCertificate) {
			if e.Spec.ExpireTime == nil { // the authority's own
				world.Exchange(&e, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[len(e.Spec.Ciphertext)-1] ^= 1 })
			}
		}
		sign := func(id string) error {
			digest := sha256.Sum256([]byte("x"))
			_, err := keys.Sign(ctx, &awskms.SignInput{
				KeyId: &id, Message: digest[:], MessageType: kmstypes.MessageTypeDigest, SigningAlgorithm: kmstypes.SigningAlgorithmSpecEcdsaSha256,
			})
			return err
		}
		Expect(sign(other.Status.ARN)).To(Succeed())
		is(sign(ca.Status.KMSKeyARN), "AccessDeniedException", "ACM PCA alone")
	})

	It("issues for no other authority that names it: that one fails, and one whose key was given away is disabled and issues nothing", func() {
		made := active()
		former := object(made)
		other := &v1alpha1.CertificateAuthority{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "other"}, Spec: v1alpha1.CertificateAuthoritySpec{
			Type: v1alpha1.CertificateAuthorityRoot, Subject: former.Spec.Subject, KeyAlgorithm: former.Spec.KeyAlgorithm,
			KMSKeyRef: &v1alpha1.LocalReference{Name: former.KMSKeyName()},
		}}
		world.Create(other)
		pass := func(ca *v1alpha1.CertificateAuthority) {
			GinkgoHelper()
			_, err := world.CertificateAuthority.Reconcile(ctx, environment.Request(ca))
			Expect(err).NotTo(HaveOccurred())
			world.Refresh(ca)
			world.Seen(ca)
		}
		status := func(ca *v1alpha1.CertificateAuthority) types.CertificateAuthorityStatus {
			GinkgoHelper()
			out, err := admin.DescribeCertificateAuthority(ctx, &sdk.DescribeCertificateAuthorityInput{CertificateAuthorityArn: &ca.Status.ARN})
			Expect(err).NotTo(HaveOccurred())
			return out.CertificateAuthority.Status
		}
		issue := func(ca *v1alpha1.CertificateAuthority) error {
			request, _ := csr("", "shop.example.com")
			_, err := admin.IssueCertificate(ctx, issuing(ca.Status.ARN, request))
			return err
		}
		pass(other)
		Expect(status(other)).To(Equal(types.CertificateAuthorityStatusFailed))
		is(issue(other), "InvalidStateException", "no certificate")
		_, err := admin.GetCertificateAuthorityCsr(ctx, &sdk.GetCertificateAuthorityCsrInput{CertificateAuthorityArn: &other.Status.ARN})
		is(err, "InvalidStateException", "belongs to the CertificateAuthority "+former.Name)
		Expect(issue(former)).To(Succeed())

		key := environment.KMSKey(world.Namespace, former.KMSKeyName())
		world.Update(key, func() { key.Spec.CertificateAuthorityRef = &v1alpha1.LocalReference{Name: "other"} })
		is(issue(former), "InvalidStateException", "belongs to the CertificateAuthority other")
		pass(other)
		pass(former)
		Expect(status(other)).To(Equal(types.CertificateAuthorityStatusActive))
		Expect(status(former)).To(Equal(types.CertificateAuthorityStatusDisabled))
		Expect(issue(other)).To(Succeed())
	})
})
