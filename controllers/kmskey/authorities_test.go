package kmskey_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/envelope"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/internal/service/acmpca"
	"strongroom.dev/strongroom/test/environment"
)

func signing(k *v1alpha1.KMSKey) {
	k.Spec.KeySpec, k.Spec.KeyUsage = v1alpha1.KeySpecECCNISTP256, v1alpha1.KeyUsageSignVerify
	k.Spec.CertificateAuthorityRef = &v1alpha1.LocalReference{Name: "internal"}
}

// authority is one that signs with a key, or with the one of its own name if none is named.
func authority(name, key string) *v1alpha1.CertificateAuthority {
	ca := &v1alpha1.CertificateAuthority{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.CertificateAuthoritySpec{
			Type: v1alpha1.CertificateAuthorityRoot, Subject: v1alpha1.CertificateSubject{CommonName: name},
			KeyAlgorithm: v1alpha1.KeyAlgorithmECPrime256v1,
		},
	}
	if key != "" {
		ca.Spec.KMSKeyRef = &v1alpha1.LocalReference{Name: key}
	}
	return ca
}

func blockedMessage(k *v1alpha1.KMSKey) string {
	GinkgoHelper()
	reconcile(k)
	Expect(condition(k, v1alpha1.ConditionDeletionBlocked)).To(And(
		HaveField("Status", metav1.ConditionTrue), HaveField("Reason", v1alpha1.ReasonInUse)))
	Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonInUse))
	return condition(k, v1alpha1.ConditionDeletionBlocked).Message
}

var _ = Describe("The deletion of a key that authorities sign with", func() {
	It("is blocked while any names it, and says which and what to do", func() {
		k := ready(signing)
		for n := range 7 {
			create(authority(fmt.Sprintf("ca%d", n), "key"))
		}
		deleting(k)
		Expect(blockedMessage(k)).To(And(
			HavePrefix("7 CertificateAuthorities sign with this key: ca0, ca1, ca2, ca3, ca4, and 2 more. Delete them"),
			ContainSubstring("remove its finalizer")))
		for n := range 6 {
			remove(authority(fmt.Sprintf("ca%d", n), "key"))
		}
		Expect(blockedMessage(k)).To(HavePrefix("1 CertificateAuthorities sign with this key: ca6."))
		Expect(tombstonesOf("key")).To(BeEmpty(), "nothing is buried that is held back")
		remove(authority("ca6", "key"))
		pass(k)
		gone(k)
		Expect(tombstonesOf("key")).To(HaveLen(1))
	})

	It("is blocked by one that names no key and has the one of its name", func() {
		k := readyNamed("ca-internal", signing)
		create(authority("internal", ""))
		deleting(k)
		Expect(blockedMessage(k)).To(ContainSubstring("sign with this key: internal."))
	})

	It("names Envelopes and authorities if both hold it", func() {
		k := ready(signing)
		hold(k, "Secret", "db", v1alpha1.EnvelopeSecretVersion)
		create(authority("internal", "key"))
		deleting(k)
		Expect(blockedMessage(k)).To(And(ContainSubstring("1 Envelopes are encrypted under this key: Secret/db."),
			ContainSubstring("1 CertificateAuthorities sign with this key: internal.")))
		remove(authority("internal", "key"))
		Expect(blockedMessage(k)).NotTo(ContainSubstring("CertificateAuthorities"))
	})

	It("is blocked by those of its name and namespace alone", func() {
		k := ready(signing)
		readyNamed("other", signing)
		create(authority("theirs", "other"))
		first := namespace
		var err error
		namespace, err = cp.NewNamespace(ctx)
		Expect(err).NotTo(HaveOccurred())
		create(authority("elsewhere", "key"))
		namespace = first
		buryNamed(k)
	})

	// As with --cascade=foreground, or a finalizer of somebody else's.
	It("does not wait for one that is being deleted itself", func() {
		k := ready(signing)
		ca := authority("internal", "key")
		ca.Finalizers = []string{"example.com/waits"}
		create(ca)
		deleting(k)
		blockedMessage(k)
		Expect(cp.Client.Delete(ctx, ca)).To(Succeed())
		refresh(ca)
		seen(ca)
		pass(k)
		gone(k)
		ca.Finalizers = nil
		Expect(cp.Client.Update(ctx, ca)).To(Succeed())
	})

	// issued gives an authority its certificate.
	issued := func(ca *v1alpha1.CertificateAuthority) {
		GinkgoHelper()
		_, err := env.CertificateAuthority.Reconcile(ctx, environment.Request(ca))
		Expect(err).NotTo(HaveOccurred())
		refresh(ca)
		seen(ca)
		Expect(ca.Status.Versions).To(HaveLen(1))
	}
	// swept is a pass over an authority's Envelopes.
	swept := func(name string) {
		GinkgoHelper()
		_, err := env.Envelope.Reconcile(ctx, envelope.Owner{Kind: "CertificateAuthority", Namespace: namespace, Name: name})
		Expect(err).NotTo(HaveOccurred())
	}

	It("is blocked by one that is deleted and can be had back, from its deletion to the end of its recovery window", func() {
		k, other := ready(signing), readyNamed("other", signing)
		ca := authority("internal", "key")
		create(ca)
		issued(ca)
		arn := ca.Status.ARN
		deleting(k)
		blockedMessage(k)
		remove(ca)
		held := HavePrefix("1 deleted CertificateAuthorities sign with this key if they are had back: internal. They hold it until their recovery windows end.")
		Expect(blockedMessage(k)).To(held, "it goes between the deletion and the tombstone")
		swept("internal")
		Expect(blockedMessage(k)).To(held)
		buryNamed(other)

		again := authority("internal", "key")
		create(again)
		Expect(blockedMessage(k)).To(HavePrefix("1 CertificateAuthorities sign with this key: internal."))
		k.Finalizers = nil // to keep the key after all
		Expect(cp.Client.Update(ctx, k)).To(Succeed())
		gone(k)
		k = ready(signing)
		issued(again)
		Expect(again.Status.ARN).To(Equal(arn), "it is another authority")
		remove(again)

		deleting(k)
		swept("internal")
		Expect(blockedMessage(k)).To(held)
		env.Clock.Advance(31 * 24 * time.Hour)
		swept("internal")
		Eventually(func() []v1alpha1.Envelope {
			var left v1alpha1.EnvelopeList
			Expect(env.GetClient().List(ctx, &left, client.InNamespace(namespace), client.MatchingFields{acmpca.CertificateIndex: acmpca.OwnCertificate})).To(Succeed())
			return left.Items
		}).Should(BeEmpty())
		pass(k)
		gone(k)
	})

	It("is blocked by one whose spec nobody saw, and says so if a certificate cannot be read", func() {
		k := ready(signing)
		ca := authority("internal", "key")
		create(ca)
		issued(ca)
		remove(ca)
		var all v1alpha1.EnvelopeList
		Expect(cp.Client.List(ctx, &all, client.InNamespace(namespace))).To(Succeed())
		deleting(k)
		for i := range all.Items {
			if e := &all.Items[i]; acmpca.IsOwnCertificate(e) {
				Expect(cp.Client.Delete(ctx, e)).To(Succeed())
				e.ResourceVersion, e.UID = "", ""
				e.Spec.Ciphertext[50] ^= 1
				create(e)
			}
		}
		Expect(blockedMessage(k)).To(And(HavePrefix("it cannot be told whether this key is that of a CertificateAuthority"), ContainSubstring("backup")))
	})

	It("of a key that never had material is not: nothing is lost", func() {
		unseal := sealKeyring()
		k := environment.KMSKey(namespace, "key", signing)
		create(k)
		reconcile(k)
		create(authority("internal", "key"))
		buryNamed(k)
		unseal()
	})
})

// https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/: all objects of a namespace that is deleted are deleted, in no
// order.
var _ = Describe("A manager", func() {
	// all deletes everything of a namespace as the namespace's controller does, and waits until nothing is left.
	all := func(keysFirst bool) {
		GinkgoHelper()
		deletions := []client.Object{&v1alpha1.KMSKey{}, &v1alpha1.CertificateAuthority{}}
		if !keysFirst {
			deletions[0], deletions[1] = deletions[1], deletions[0]
		}
		for _, kind := range append(deletions, &v1alpha1.Envelope{}) {
			Expect(cp.Client.DeleteAllOf(ctx, kind, client.InNamespace(namespace))).To(Succeed())
			time.Sleep(300 * time.Millisecond) // the manager sees one go while the other is there
		}
	}

	for _, keysFirst := range []bool{true, false} {
		It(fmt.Sprintf("lets the keys of a deleted namespace go at once, keys deleted first: %t", keysFirst), func() {
			op, err := environment.RunOperator(ctx, cp.Config, operator.Options{})
			Expect(err).NotTo(HaveOccurred())
			DeferCleanup(op.Stop)
			Expect(cp.Client.Create(ctx, authority("internal", ""))).To(Succeed())
			k := environment.KMSKey(namespace, "ca-internal")
			Eventually(func() v1alpha1.KeyState {
				_ = cp.Client.Get(ctx, client.ObjectKeyFromObject(k), k)
				return k.Status.KeyState
			}).Should(Equal(v1alpha1.KeyStateEnabled))
			all(keysFirst)
			Eventually(func() bool {
				return apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(k), k))
			}).WithTimeout(10*time.Second).Should(BeTrue(), "it waits for the next look, 10 minutes away")
		})
	}
})
