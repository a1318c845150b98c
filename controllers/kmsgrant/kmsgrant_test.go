package kmsgrant_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/principals"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("A KMSGrant", func() {
	replaced := func(g *v1alpha1.KMSGrant) *metav1.Condition {
		return meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionPrincipalReplaced)
	}

	It("says what it is in AWS KMS, and writes nothing in a second pass", func() {
		key, u := world.ReadyKey("k"), user()
		g := grant("k")
		is(g, v1alpha1.ReasonSucceeded, "In force as "+kms.GrantID(g))
		Expect(g.Status.GrantID).To(Equal(kms.GrantID(g)))
		Expect(g.Status.KeyARN).To(Equal(key.Status.ARN))
		Expect(g.Status.Binding.Principals).To(Equal([]v1alpha1.BoundPrincipal{{ARN: ada(), UniqueID: u.Status.UniqueID}}))
		version := g.ResourceVersion
		is(g, v1alpha1.ReasonSucceeded)
		Expect(g.ResourceVersion).To(Equal(version))
	})

	It("waits for its key, whichever comes first", func() {
		g := grant("k")
		is(g, v1alpha1.ReasonKeyNotFound, "create it")
		Expect(g.Status.KeyARN).To(BeEmpty())
		world.Create(environment.KMSKey(world.Namespace, "k"))
		is(g, v1alpha1.ReasonKeyUnusable, "no ARN yet")
		world.ReconcileKey(&v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "k"}})
		is(g, v1alpha1.ReasonSucceeded)
	})

	It("of one key is not in force for another of its name", func() {
		world.ReadyKey("k")
		g := grant("k", func(g *v1alpha1.KMSGrant) { g.Spec.KeyID = "1234abcd-12ab-34cd-56ef-1234567890ab" })
		is(g, v1alpha1.ReasonKeyNotFound, "1234abcd-12ab-34cd-56ef-1234567890ab")
	})

	It("that cannot be of its key says why", func() {
		world.ReadyKey("k")
		g := grant("k", func(g *v1alpha1.KMSGrant) { g.Spec.Operations = []v1alpha1.GrantOperation{"Decrypt", "Sign"} })
		is(g, v1alpha1.ReasonUnsupportedOperation, "does not support Sign")
	})

	It("means the first who has the name, and says so when another has it", func() {
		world.ReadyKey("k")
		g := grant("k")
		is(g, v1alpha1.ReasonSucceeded)
		Expect(g.Status.Binding.Principals).To(BeEmpty(), "there is nobody yet")
		first := user()
		is(g, v1alpha1.ReasonSucceeded)
		Expect(principals.BoundOfGrant(g, ada())).To(Equal(first.Status.UniqueID))
		Expect(replaced(g)).To(BeNil())

		world.Remove(first)
		second := user()
		is(g, v1alpha1.ReasonSucceeded)
		Expect(principals.BoundOfGrant(g, ada())).To(Equal(first.Status.UniqueID))
		Expect(replaced(g)).To(HaveField("Message", ContainSubstring(ada())))

		world.Update(g, func() { metav1.SetMetaDataAnnotation(&g.ObjectMeta, principals.SavedAnnotation, "again") })
		is(g, v1alpha1.ReasonSucceeded)
		Expect(principals.BoundOfGrant(g, ada())).To(Equal(second.Status.UniqueID))
		Expect(replaced(g)).To(BeNil())
	})

	It("to an account is bound to nobody", func() {
		world.ReadyKey("k")
		g := grant("k", func(g *v1alpha1.KMSGrant) { g.Spec.GranteePrincipal = "arn:aws:iam::111122223333:root" })
		is(g, v1alpha1.ReasonSucceeded)
		Expect(g.Status.Binding).To(BeNil())
	})

	It("whose pass dies at its write is what it was, and the next pass makes it so", func() {
		world.ReadyKey("k")
		user()
		g := grant("k")
		reconcilers, faulty := world.Faulty()
		for _, after := range []bool{false, true} {
			faulty.FailAt(1, after)
			_, err := reconcilers.KMSGrant.Reconcile(ctx, environment.Request(g))
			Expect(err).To(MatchError(environment.ErrInjected))
			Expect(faulty.Log()).To(Equal([]string{"status"}))
			faulty.FailAt(0, false)
			is(g, v1alpha1.ReasonSucceeded)
			Expect(principals.BoundOfGrant(g, ada())).NotTo(BeEmpty())
			g.Status = v1alpha1.KMSGrantStatus{}
			Expect(world.ControlPlane.Client.Status().Update(ctx, g)).To(Succeed())
			world.Seen(g)
		}
	})

	It("that is gone is not looked at", func() {
		_, err := world.KMSGrant.Reconcile(ctx, environment.Request(&v1alpha1.KMSGrant{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "none"}}))
		Expect(err).NotTo(HaveOccurred())
	})

	It("is found by its key, its grantee, its id and who may retire it", func() {
		g := grant("k", func(g *v1alpha1.KMSGrant) { g.Spec.RetiringPrincipal = "arn:aws:iam::111122223333:root" })
		for index, value := range map[string]string{
			kms.GrantKeyIndex: "k", kms.GranteeIndex: "k " + ada(), kms.GrantSelectorIndex: "k " + ada() + " ", kms.GrantIDIndex: kms.GrantID(g), principals.Index: principals.IndexValues(g)[0],
		} {
			var found v1alpha1.KMSGrantList
			Expect(world.GetClient().List(ctx, &found, client.InNamespace(world.Namespace), client.MatchingFields{index: value})).To(Succeed())
			Expect(found.Items).To(HaveLen(1), index)
		}
		var retirable v1alpha1.KMSGrantList
		Expect(world.GetClient().List(ctx, &retirable, client.MatchingFields{kms.RetiringIndex: g.Spec.RetiringPrincipal})).To(Succeed())
		Expect(retirable.Items).To(HaveLen(1))
	})
})
