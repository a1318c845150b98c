package certificateauthority_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/test/environment"
)

// openPolicy lets the whole account sign.
func openPolicy(k *v1alpha1.KMSKey) {
	k.Spec.Policy = &v1alpha1.PolicyDocument{JSON: apiextensionsv1.JSON{Raw: []byte(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:*","Resource":"*"}]}`)}}
}

func signs(k *v1alpha1.KMSKey) {
	k.Spec.KeySpec, k.Spec.KeyUsage = v1alpha1.KeySpecECCNISTP256, v1alpha1.KeyUsageSignVerify
}

// marked says of a key that it was made for an authority.
func marked(authority string) func(*v1alpha1.KMSKey) {
	return func(k *v1alpha1.KMSKey) {
		metav1.SetMetaDataAnnotation(&k.ObjectMeta, v1alpha1.AuthorityAnnotation, authority)
	}
}

// owned gives an object an owner that is there.
func owned(k *v1alpha1.KMSKey) {
	other := environment.KMSKey(world.Namespace, "owner-of-"+k.Name)
	world.Create(other)
	k.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "KMSKey", Name: other.Name, UID: other.UID}}
}

// refused expects an authority to have been told that its key is none that was made for it, and how to go on, and that nothing was signed with it.
func refused(ca *v1alpha1.CertificateAuthority, says string) {
	GinkgoHelper()
	is(ca, metav1.ConditionFalse, v1alpha1.ReasonKeyMismatch, "KMSKey ca-"+ca.Name+" "+says, "Delete the KMSKey", "kmsKeyRef")
	Expect(ca.Status.Conditions).To(ContainElement(HaveField("Type", v1alpha1.ConditionStalled)))
	Expect(own(ca)).To(BeEmpty(), "it has a certificate for a key that somebody else signs with")
	Expect(keyOf(ca).Status.CertificateAuthority).To(BeNil())
	_, err := world.Services.Authorities.SigningRequest(ctx, ca)
	Expect(err).To(HaveOccurred(), "it asks for a certificate of that key")
	Expect(fault.Of(err).Reason).To(BeElementOf(v1alpha1.ReasonKeyMismatch, v1alpha1.ReasonKeyInUse))
	notIssuing(ca, v1alpha1.ReasonAuthorityNotReady)
}

// made is an authority whose controller has made its key and has not seen it since: it died.
func made(name string, changes ...func(*v1alpha1.CertificateAuthority)) (*v1alpha1.CertificateAuthority, *v1alpha1.KMSKey) {
	GinkgoHelper()
	ca := passed(name, changes...)
	is(ca, metav1.ConditionFalse, v1alpha1.ReasonKeyUnusable, "is being made")
	key := keyOf(ca)
	Expect(key.Status.CertificateAuthority).To(BeNil())
	return ca, key
}

// again makes a KMSKey of what another says, as who copies, restores or applies it does.
func again(key *v1alpha1.KMSKey, changes ...func(*v1alpha1.KMSKey)) *v1alpha1.KMSKey {
	GinkgoHelper()
	copied := &v1alpha1.KMSKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, Labels: key.Labels, Annotations: key.Annotations}, Spec: *key.Spec.DeepCopy(),
	}
	for _, change := range changes {
		change(copied)
	}
	world.Create(copied)
	world.ReconcileKey(copied)
	return copied
}

// goes deletes an object at once, as if it had never been there.
func goes(obj client.Object) {
	GinkgoHelper()
	world.Refresh(obj)
	obj.SetFinalizers(nil)
	Expect(world.ControlPlane.Client.Update(ctx, obj)).To(Succeed())
	Expect(client.IgnoreNotFound(world.ControlPlane.Client.Delete(ctx, obj))).To(Succeed())
	Eventually(func() error {
		return world.GetClient().Get(ctx, client.ObjectKeyFromObject(obj), obj.DeepCopyObject().(client.Object))
	}).ShouldNot(Succeed())
}

var _ = Describe("A key that somebody has made before the authority of its name", func() {
	DescribeTable("is not taken by an authority that names none, whatever the key says of itself",
		func(changes ...func(*v1alpha1.KMSKey)) {
			world.ReadyKey("ca-internal", append([]func(*v1alpha1.KMSKey){signs}, changes...)...)
			ca := passed("internal")
			refused(ca, "is there already and was not made for a CertificateAuthority")
			reconcile(ca)
			refused(ca, "is there already")
		},
		Entry("nothing"),
		Entry("a policy by which others sign", openPolicy),
		Entry("that it is kept for that authority", func(k *v1alpha1.KMSKey) { k.Spec.CertificateAuthorityRef = &v1alpha1.LocalReference{Name: "internal"} }),
		Entry("that it was made for one", marked("arn:aws:acm-pca:us-east-1:000000000000:certificate-authority/gone")),
		Entry("a proof that it was", marked("arn:aws:acm-pca:us-east-1:000000000000:certificate-authority/gone"), func(k *v1alpha1.KMSKey) {
			metav1.SetMetaDataAnnotation(&k.ObjectMeta, v1alpha1.AuthorityMACAnnotation, "00112233445566778899aabbccddeeff")
		}),
		Entry("an owner", owned),
	)

	It("is not taken though it bears the authority's own ARN, which can be read as soon as there is one", func() {
		world.ReadyKey("ca-internal", signs)
		ca := passed("internal")
		key := keyOf(ca)
		Expect(ca.Status.ARN).NotTo(BeEmpty())
		goes(key)
		again(key, marked(ca.Status.ARN), openPolicy, func(k *v1alpha1.KMSKey) { k.Spec.CertificateAuthorityRef = &v1alpha1.LocalReference{Name: "internal"} })
		reconcile(ca)
		refused(ca, "is there already and was not made for a CertificateAuthority")
	})

	It("is not taken with the proof of another key, another namespace or another authority", func() {
		_, theirs := made("theirs")
		key := world.ReadyKey("ca-internal", signs, func(k *v1alpha1.KMSKey) { k.Annotations, k.Spec = theirs.Annotations, theirs.Spec })
		ca := passed("internal")
		refused(ca, "is there already")
		world.Update(key, func() { marked(ca.Status.ARN)(key) })
		reconcile(ca)
		refused(ca, "is there already")

		other := world.NewNamespace()
		elsewhere := described("internal", func(ca *v1alpha1.CertificateAuthority) { ca.Namespace = other })
		elsewhere.Status.ARN = ca.Status.ARN
		there, err := world.Services.Authorities.NewKey(elsewhere)
		Expect(err).NotTo(HaveOccurred())
		world.Update(key, func() { key.Annotations, key.Spec.Policy = there.Annotations, there.Spec.Policy })
		reconcile(ca)
		refused(ca, "is there already")
	})

	It("lets the authority have one made when it is gone", func() {
		key := world.ReadyKey("ca-internal", signs, openPolicy)
		ca := passed("internal")
		refused(ca, "is there already")
		goes(key)
		reconcile(ca)
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonKeyUnusable, "is being made")
		world.ReconcileKey(keyOf(ca))
		reconcile(ca)
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(keyOf(ca).UID).NotTo(Equal(key.UID))
	})

	It("is taken by an authority whose author has named it", func() {
		world.ReadyKey("ca-internal", signs, openPolicy)
		is(passed("internal", with("ca-internal")), metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	})

	It("is not certified by an authority above", func() {
		ready("above")
		world.ReadyKey("ca-below", signs)
		ca := passed("below", under("above"))
		refused(ca, "is there already")
		for _, e := range world.Envelopes(v1alpha1.EnvelopeIssuedCertificate) {
			Expect(e.Spec.ExpireTime).To(BeNil(), "the one above certified it")
		}
	})

	It("does not hold up an authority that has had its certificate for it, of an older release", func() {
		key := world.ReadyKey("ca-internal", signs)
		ca := described("internal")
		world.Create(ca)
		key.Status.CertificateAuthority = &v1alpha1.KeyAuthority{ARN: world.Services.Authorities.NewARN(ca, arn.DeriveAccount(world.Namespace)), Name: "internal"}
		Expect(world.ControlPlane.Client.Status().Update(ctx, key)).To(Succeed()) // as that one has written it
		world.Seen(key)
		reconcile(ca)
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		forget(keyOf(ca))
		issued(ca)
		reconcile(ca)
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	})
})

var _ = Describe("A key that was made for an authority", func() {
	It("is that one's when its controller died as soon as it had made the key", func() {
		ca, key := made("internal")
		Expect(key.Annotations).To(HaveKeyWithValue(v1alpha1.AuthorityAnnotation, ca.Status.ARN))
		Expect(key.Annotations[v1alpha1.AuthorityMACAnnotation]).To(MatchRegexp("^[0-9a-f]{32}$"))
		ca.Status = v1alpha1.CertificateAuthorityStatus{} // which it had not written either
		Expect(world.ControlPlane.Client.Status().Update(ctx, ca)).To(Succeed())
		world.Seen(ca)
		world.ReconcileKey(key)
		reconcile(ca)
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(keyOf(ca).UID).To(Equal(key.UID))
	})

	It("is that one's after a restore, in which both are other objects, before it had a certificate and after it", func() {
		for _, certified := range []bool{false, true} {
			name := map[bool]string{false: "young", true: "old"}[certified]
			ca, key := made(name)
			if certified {
				world.ReconcileKey(key)
				reconcile(ca)
				is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
			}
			goes(ca)
			goes(key)
			restored := again(key)
			Expect(restored.UID).NotTo(Equal(key.UID))
			back := passed(name)
			Expect(back.UID).NotTo(Equal(ca.UID))
			is(back, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
			Expect(back.Status.ARN == ca.Status.ARN).To(Equal(certified), "an authority that has a certificate is known by it, and one that has none is another")
			Expect(keyOf(back).UID).To(Equal(restored.UID))
		}
	})

	DescribeTable("is nobody's any more when it was made again as others want it, with its proof",
		func(says string, change func(*v1alpha1.KMSKey)) {
			ca, key := made("internal")
			goes(key)
			again(key, change)
			reconcile(ca)
			refused(ca, says)
		},
		Entry("with a policy by which they sign", "has another policy", openPolicy),
		Entry("without a policy, which leaves it to IAM", "has another policy", func(k *v1alpha1.KMSKey) { k.Spec.Policy = nil }),
		Entry("with an owner", "was given owners", owned),
		Entry("with the proof and the name of another authority", "is there already", marked("arn:aws:acm-pca:us-east-1:000000000000:certificate-authority/gone")),
	)

	It("may be changed by who looks after it, once the authority has it", func() {
		ready("above")
		ca := root("below", under("nobody"))
		reconcile(ca)
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonAuthorityNotFound)
		key := keyOf(ca)
		Expect(key.Status.CertificateAuthority).NotTo(BeNil())
		world.Update(key, func() {
			key.Spec.Description, key.Spec.Tags = "another", []v1alpha1.Tag{{Key: "team", Value: "pki"}}
			openPolicy(key)
		})
		reconcile(ca)
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonAuthorityNotFound)
	})

	It("is given to the next authority of its name by who looks after it", func() {
		first := ready("first")
		world.Remove(first)
		world.Sweep("CertificateAuthority", "first")
		world.Clock.Set(world.Clock.Now().Add(31 * day))
		world.Sweep("CertificateAuthority", "first")
		next := passed("first")
		is(next, metav1.ConditionFalse, v1alpha1.ReasonKeyInUse)
		give(keyOf(next), "first")
		reconcile(next)
		is(next, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	})
})
