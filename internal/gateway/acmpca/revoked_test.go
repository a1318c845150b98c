package acmpca_test

import (
	sdk "github.com/aws/aws-sdk-go-v2/service/acmpca"
	"github.com/aws/aws-sdk-go-v2/service/acmpca/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
)

var _ = Describe("An authority whose certificate is revoked", func() {
	It("is told as one that failed, and those below it as disabled, at once; the others stay active", func() {
		above := active()
		subordinate := func(name, issuer string) *v1alpha1.CertificateAuthority {
			ca := &v1alpha1.CertificateAuthority{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name}, Spec: v1alpha1.CertificateAuthoritySpec{
				Type: v1alpha1.CertificateAuthoritySubordinate, AuthorityRef: &v1alpha1.LocalReference{Name: issuer}, Subject: v1alpha1.CertificateSubject{CommonName: name},
				KeyAlgorithm: v1alpha1.KeyAlgorithmECPrime256v1, Validity: "300d",
			}}
			world.Create(ca)
			activate(ca)
			return ca
		}
		sub := subordinate("sub", object(above).Name)
		below := subordinate("below", "sub")
		status := func(given string) (types.CertificateAuthorityStatus, types.FailureReason) {
			GinkgoHelper()
			out, err := admin.DescribeCertificateAuthority(ctx, &sdk.DescribeCertificateAuthorityInput{CertificateAuthorityArn: &given})
			Expect(err).NotTo(HaveOccurred())
			return out.CertificateAuthority.Status, out.CertificateAuthority.FailureReason
		}
		for _, given := range []string{above, sub.Status.ARN, below.Status.ARN} {
			Expect(status(given)).To(Equal(types.CertificateAuthorityStatusActive))
		}
		_, err := admin.RevokeCertificate(ctx, &sdk.RevokeCertificateInput{
			CertificateAuthorityArn: &above, CertificateSerial: ptr.To(sub.Status.Serial), RevocationReason: types.RevocationReasonKeyCompromise,
		})
		Expect(err).NotTo(HaveOccurred())

		got, reason := status(sub.Status.ARN)
		Expect(got).To(Equal(types.CertificateAuthorityStatusFailed))
		Expect(reason).To(Equal(types.FailureReasonOther))
		got, reason = status(below.Status.ARN)
		Expect(got).To(Equal(types.CertificateAuthorityStatusDisabled))
		Expect(reason).To(BeEmpty())
		got, _ = status(above)
		Expect(got).To(Equal(types.CertificateAuthorityStatusActive))
		all, err := admin.ListCertificateAuthorities(ctx, &sdk.ListCertificateAuthoritiesInput{})
		Expect(err).NotTo(HaveOccurred())
		Expect(all.CertificateAuthorities).To(ConsistOf(HaveField("Status", types.CertificateAuthorityStatusActive),
			HaveField("Status", types.CertificateAuthorityStatusFailed), HaveField("Status", types.CertificateAuthorityStatusDisabled)))
		for _, ca := range []*v1alpha1.CertificateAuthority{sub, below} {
			request, _ := csr("", "shop.example.com")
			_, err := admin.IssueCertificate(ctx, issuing(ca.Status.ARN, request))
			is(err, "InvalidStateException", "revoked")
		}
	})
})
