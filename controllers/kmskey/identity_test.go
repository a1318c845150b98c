package kmskey_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

func aliases(names ...string) func(*v1alpha1.KMSKey) {
	return func(k *v1alpha1.KMSKey) { k.Spec.Aliases = names }
}

// refusedFor says that a key is Stalled for a reason, with a message, and is looked at again by itself.
func refusedFor(k *v1alpha1.KMSKey, reason string, says ...string) {
	GinkgoHelper()
	Expect(reconcile(k)).To(BeNumerically(">", 0))
	Expect(condition(k, v1alpha1.ConditionReady)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", reason)))
	Expect(condition(k, v1alpha1.ConditionStalled)).To(HaveField("Reason", reason))
	for _, text := range says {
		Expect(condition(k, v1alpha1.ConditionStalled).Message).To(ContainSubstring(text))
	}
}

// younger makes a key that is a second younger than all before, since creation times have seconds.
func younger(name string, changes ...func(*v1alpha1.KMSKey)) *v1alpha1.KMSKey {
	GinkgoHelper()
	var k *v1alpha1.KMSKey
	start := time.Now().Truncate(time.Second)
	Eventually(func() bool {
		k = environment.KMSKey(namespace, name, changes...)
		if err := cp.Client.Create(ctx, k); err != nil {
			return false
		}
		if k.CreationTimestamp.After(start) {
			return true
		}
		Expect(cp.Client.Delete(ctx, k)).To(Succeed())
		return false
	}).Should(BeTrue())
	seen(k)
	return k
}

var _ = Describe("An alias that two keys want", func() {
	It("is the elder's, whoever was looked at first, and the younger gets no key material", func() {
		elder := environment.KMSKey(namespace, "z-elder", aliases("alias/shop"))
		create(elder)
		late := younger("a-younger", aliases("alias/other", "alias/shop"))
		refusedFor(late, v1alpha1.ReasonNameConflict, "KMSKey z-elder has alias/shop", "take it out of one of the two")
		Expect(late.Status.KeyState).To(Equal(v1alpha1.KeyStateCreating))
		Expect(materialsOf("a-younger")).To(BeEmpty())
		reconcile(elder)
		Expect(condition(elder, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	})

	It("is the younger's when the elder is gone", func() {
		elder := readyNamed("elder", aliases("alias/shop"))
		late := younger("younger", aliases("alias/shop"))
		refusedFor(late, v1alpha1.ReasonNameConflict)
		buryNamed(elder)
		reconcile(late)
		Expect(condition(late, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(condition(late, v1alpha1.ConditionStalled)).To(BeNil())
	})

	It("does not take a working key's material from it when it asks for an alias too many", func() {
		readyNamed("elder", aliases("alias/shop"))
		late := younger("younger")
		reconcile(late)
		_, encrypted, err := env.Services.KMS.GenerateDataKey(ctx, late, nil)
		Expect(err).NotTo(HaveOccurred())
		update(late, func() { late.Spec.Aliases = []string{"alias/shop"} })
		refusedFor(late, v1alpha1.ReasonNameConflict)
		Expect(late.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
		_, err = env.Services.KMS.Decrypt(ctx, late, nil, encrypted)
		Expect(err).NotTo(HaveOccurred())
	})

	It("is no conflict in another namespace, nor between aliases that begin alike", func() {
		readyNamed("elder", aliases("alias/shop"))
		Expect(readyNamed("longer", aliases("alias/shop/db", "alias/sho")).Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
		first := namespace
		var err error
		namespace, err = cp.NewNamespace(ctx)
		Expect(err).NotTo(HaveOccurred())
		seen(namespaceNamed(namespace))
		k := readyNamed("elder", aliases("alias/shop"))
		Expect(k.Namespace).NotTo(Equal(first))
	})

	It("is found by an index of every alias of a key, and of keys only", func() {
		k := environment.KMSKey("shop", "key", aliases("alias/a", "alias/b"))
		Expect(kms.IndexAlias(k)).To(Equal([]string{"alias/a", "alias/b"}))
		Expect(kms.IndexAlias(environment.Secret("shop", "db"))).To(BeEmpty())
	})
})

func namespaceNamed(name string) *corev1.Namespace {
	GinkgoHelper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	refresh(ns)
	return ns
}

// label gives the spec's namespace an account id, or takes it away.
func label(id string) {
	GinkgoHelper()
	ns := namespaceNamed(namespace)
	update(ns, func() {
		delete(ns.Labels, v1alpha1.AccountIDLabel)
		if id != "" {
			metav1.SetMetaDataLabel(&ns.ObjectMeta, v1alpha1.AccountIDLabel, id)
		}
	})
}

var accounts = 111122223000

// unused is an account id that no spec has had.
func unused() string {
	accounts++
	return fmt.Sprintf("%012d", accounts)
}

var _ = Describe("The account of a key", func() {
	It("is the namespace's label, or derives from its name, and stays in the ARN", func() {
		derived := ready()
		Expect(arn.Account(derived.Status.ARN)).To(Equal(arn.DeriveAccount(namespace)))
		id := unused()
		label(id)
		labelled := readyNamed("labelled")
		Expect(labelled.Status.ARN).To(Equal("arn:aws:kms:us-east-1:" + id + ":key/" + string(labelled.UID)))
		before := derived.Status.ARN
		reconcile(derived)
		Expect(derived.Status.ARN).To(Equal(before), "ciphertexts are bound to it")
	})

	It("that is not twelve digits is refused, until it is", func() {
		k := environment.KMSKey(namespace, "key")
		create(k)
		for _, id := range []string{"123", "12345678901x", "1234567890123", "x"} {
			label(id)
			refusedFor(k, v1alpha1.ReasonInvalidAccount, v1alpha1.AccountIDLabel, namespace, "12 decimal digits")
			Expect(k.Status.ARN).To(BeEmpty(), "an ARN of a wrong account would stay for ever")
		}
		label(unused())
		reconcile(k)
		Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	})

	It("that an older namespace has is refused to the younger, until it gets another", func() {
		id, elder := unused(), namespace
		label(id)
		Eventually(func() bool { // creation times have seconds
			var err error
			namespace, err = cp.NewNamespace(ctx)
			Expect(err).NotTo(HaveOccurred())
			return namespaceNamed(namespace).CreationTimestamp.After(namespaceNamed(elder).CreationTimestamp.Time)
		}).Should(BeTrue())
		label(id)
		k := environment.KMSKey(namespace, "key")
		create(k)
		refusedFor(k, v1alpha1.ReasonAccountConflict, id, "namespace "+elder, "give namespace "+namespace+" another label")
		Expect(materialsOf("key")).To(BeEmpty())
		label("")
		reconcile(k)
		Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	})
})
