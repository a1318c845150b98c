package certificateauthority_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyimport"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

// imported makes a key of a private key that somebody has besides.
func imported(name string, changes ...func(*v1alpha1.KMSKey)) *v1alpha1.KMSKey {
	GinkgoHelper()
	key := environment.KMSKey(world.Namespace, name, append(changes, func(k *v1alpha1.KMSKey) {
		k.Spec.Origin, k.Spec.KeySpec, k.Spec.KeyUsage = v1alpha1.KeyOriginExternal, v1alpha1.KeySpecECCNISTP256, v1alpha1.KeyUsageSignVerify
	})...)
	world.Create(key)
	world.ReconcileKey(key)
	theirs, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	material, err := x509.MarshalPKCS8PrivateKey(theirs)
	Expect(err).NotTo(HaveOccurred())
	p, err := world.Services.KMS.ParametersForImport(ctx, key, keyimport.OAEPSHA256, keys.RSA2048)
	Expect(err).NotTo(HaveOccurred())
	public, err := x509.ParsePKIXPublicKey(p.PublicKey)
	Expect(err).NotTo(HaveOccurred())
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), material, nil)
	Expect(err).NotTo(HaveOccurred())
	_, err = world.Services.KMS.ImportMaterial(ctx, key, kms.Wrapped{Token: p.Token, Material: wrapped}, kms.Import{}, func(*v1alpha1.KMSKey) error { return nil })
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(key)
	world.Seen(key)
	Expect(key.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
	return key
}

// lured expects an authority to have been told that its key is of origin EXTERNAL, and that nothing was signed with it.
func lured(ca *v1alpha1.CertificateAuthority) {
	GinkgoHelper()
	is(ca, metav1.ConditionFalse, v1alpha1.ReasonKeyMismatch, "KMSKey ca-"+ca.Name, "origin EXTERNAL", "kmsKeyRef")
	Expect(own(ca)).To(BeEmpty(), "it has a certificate for a private key that somebody else has")
	Expect(keyOf(ca).Status.CertificateAuthority).To(BeNil())
	_, err := world.Services.Authorities.SigningRequest(ctx, ca)
	Expect(err).To(HaveOccurred(), "it asks for a certificate of that key")
	Expect(fault.Of(err).Reason).To(Equal(v1alpha1.ReasonKeyMismatch))
	notIssuing(ca, v1alpha1.ReasonAuthorityNotReady)
}

var _ = Describe("A key whose material was imported", func() {
	It("is not an authority's that names none, whatever the key says of itself", func() {
		imported("ca-planted")
		lured(passed("planted"))
		imported("ca-given", func(k *v1alpha1.KMSKey) { k.Spec.CertificateAuthorityRef = &v1alpha1.LocalReference{Name: "given"} })
		lured(passed("given"))
		ready("above")
		imported("ca-below")
		lured(passed("below", under("above")))
	})

	It("lets the authority have one made when it is gone", func() {
		world.Create(environment.KMSKey(world.Namespace, "ca-internal", func(k *v1alpha1.KMSKey) {
			k.Spec.Origin, k.Spec.KeySpec, k.Spec.KeyUsage = v1alpha1.KeyOriginExternal, v1alpha1.KeySpecECCNISTP256, v1alpha1.KeyUsageSignVerify
		}))
		ca := passed("internal")
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonKeyMismatch, "Delete the KMSKey")
		world.Remove(keyOf(ca))
		reconcile(ca)
		made := keyOf(ca)
		Expect(made.Spec.Origin).NotTo(Equal(v1alpha1.KeyOriginExternal))
		world.ReconcileKey(made)
		reconcile(ca)
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	})

	It("is an authority's whose author has chosen it, and stays so", func() {
		imported("theirs", func(k *v1alpha1.KMSKey) { k.Spec.CertificateAuthorityRef = &v1alpha1.LocalReference{Name: "chosen"} })
		ca := passed("chosen", with("theirs"))
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		imported("ca-called")
		ca = passed("called", with("ca-called"))
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		_, err := world.Services.Authorities.SigningRequest(ctx, ca)
		Expect(err).NotTo(HaveOccurred())
	})
})
