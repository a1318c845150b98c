package parameter_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

func userARN(name string) string {
	return "arn:aws:iam::" + arn.DeriveAccount(world.Namespace) + ":user/" + name
}

// naming has an advanced parameter let a user of its account read. The id tells one policy from another.
func naming(user, id string) func(*v1alpha1.Parameter) {
	return func(p *v1alpha1.Parameter) {
		p.Spec.Tier, p.Spec.ResourcePolicy = v1alpha1.TierAdvanced, &v1alpha1.PolicyDocument{}
		p.Spec.ResourcePolicy.Raw = []byte(`{"Version":"2012-10-17","Id":"` + id + `","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + userARN(user) +
			`"},"Action":"ssm:GetParameter","Resource":"*"}]}`)
	}
}

// newUser makes an IAMUser and returns its unique id.
func newUser(name string) string {
	GinkgoHelper()
	user := &v1alpha1.IAMUser{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name}}
	world.Create(user)
	_, err := world.IAMUser.Reconcile(ctx, environment.Request(user))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(user)
	world.Seen(user)
	return user.Status.UniqueID
}

func removeUser(name string) {
	GinkgoHelper()
	user := &v1alpha1.IAMUser{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name}}
	Expect(world.ControlPlane.Client.Delete(ctx, user)).To(Succeed())
	for range 2 { // a finalizer may want a pass
		_, err := world.IAMUser.Reconcile(ctx, environment.Request(user))
		Expect(err).NotTo(HaveOccurred())
	}
	Eventually(func() bool { return world.GetClient().Get(ctx, client.ObjectKeyFromObject(user), user) != nil }).Should(BeTrue())
}

// letIn tells whether the parameter's own policy lets a user read whose unique id is the one given.
func letIn(p *v1alpha1.Parameter, user, id string) bool {
	GinkgoHelper()
	request := &iam.Request{
		Principal: iam.Principal{Account: arn.DeriveAccount(world.Namespace), ARN: userARN(user), UniqueID: id},
		Action:    "ssm:GetParameter", Resource: p.Status.ARN, Context: iam.Map{},
	}
	return iam.Evaluate(request, &iam.Policies{Resource: world.Services.Parameters.Policy(p)}).Allowed()
}

func replaced(p *v1alpha1.Parameter) bool {
	return meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionPrincipalReplaced)
}

// bury deletes a Parameter, and leaves the tombstone that the controller of Envelopes makes.
func bury(p *v1alpha1.Parameter) {
	GinkgoHelper()
	content := parameterstore.TombstoneOf(p)
	world.Remove(p)
	ring, err := world.Services.Keyring.Get()
	Expect(err).NotTo(HaveOccurred())
	now := world.Clock.Now()
	e, err := store.NewTombstone(ring, world.Namespace, parameterstore.Owner(p.Name), p.Status.ARN, content, now, now.AddDate(0, 0, 30))
	Expect(err).NotTo(HaveOccurred())
	world.Create(e)
	world.Seen(e)
}

var _ = Describe("A Parameter with a resource policy", func() {
	It("binds whom it names, so that whoever is made again under the name is let in only by another policy", func() {
		first := newUser("ada")
		p := ready("a", naming("ada", "one"))
		Expect(p.Status.PolicyBinding.Principals).To(Equal([]v1alpha1.BoundPrincipal{{ARN: userARN("ada"), UniqueID: first}}))
		Expect(letIn(p, "ada", first)).To(BeTrue())
		removeUser("ada")
		second := newUser("ada")
		reconcile(p)
		Expect(letIn(p, "ada", second)).To(BeFalse())
		Expect(replaced(p)).To(BeTrue())
		Expect(condition(p)).To(HaveField("Status", metav1.ConditionTrue))
		world.Update(p, func() { naming("ada", "two")(p) })
		reconcile(p)
		Expect(letIn(p, "ada", second)).To(BeTrue())
		Expect(replaced(p)).To(BeFalse())
		world.Update(p, func() { p.Spec.ResourcePolicy = nil })
		reconcile(p)
		Expect(p.Status.PolicyBinding).To(BeNil())
	})

	It("is bound while it is suspended, too", func() {
		first := newUser("ada")
		p := ready("a", func(p *v1alpha1.Parameter) { p.Spec.Suspend = false })
		world.Update(p, func() { naming("ada", "one")(p); p.Spec.Suspend = true })
		reconcile(p)
		removeUser("ada")
		second := newUser("ada")
		world.Update(p, func() { p.Spec.Suspend = false })
		reconcile(p)
		Expect(letIn(p, "ada", second)).To(BeFalse())
		Expect(letIn(p, "ada", first)).To(BeTrue())
	})

	It("binds as before when it is deleted and applied again within the window, if the policy is the same", func() {
		first := newUser("ada")
		p := ready("a", naming("ada", "one"))
		bury(p)
		removeUser("ada")
		second := newUser("ada")
		back := create("a", naming("ada", "one"))
		reconcile(back)
		Expect(back.Status.Versions).To(HaveLen(1))
		Expect(letIn(back, "ada", second)).To(BeFalse())
		Expect(letIn(back, "ada", first)).To(BeTrue())
		Expect(replaced(back)).To(BeTrue())
	})

	It("binds as before when it is applied again suspended, so that suspending lets in nobody who is made again", func() {
		first := newUser("ada")
		p := ready("a", naming("ada", "one"))
		bury(p)
		removeUser("ada")
		second := newUser("ada")
		back := create("a", naming("ada", "one"), func(p *v1alpha1.Parameter) { p.Spec.Suspend = true })
		for range 2 {
			reconcile(back)
			Expect(condition(back)).To(HaveField("Reason", v1alpha1.ReasonSuspended))
			Expect(back.Status.Versions).To(BeEmpty())
			Expect(letIn(back, "ada", second)).To(BeFalse())
			Expect(replaced(back)).To(BeTrue())
		}
		world.Update(back, func() { back.Spec.Suspend = false })
		reconcile(back)
		Expect(back.Status.Versions).To(HaveLen(1))
		Expect(letIn(back, "ada", second)).To(BeFalse())
		Expect(letIn(back, "ada", first)).To(BeTrue())
		world.Update(back, func() { naming("ada", "two")(back); back.Spec.Suspend = true })
		reconcile(back)
		Expect(letIn(back, "ada", second)).To(BeTrue(), "another policy means whoever is there")
	})

	It("that is new and suspended means whoever is there then", func() {
		first := newUser("ada")
		p := create("a", naming("ada", "one"), func(p *v1alpha1.Parameter) { p.Spec.Suspend = true })
		reconcile(p)
		removeUser("ada")
		second := newUser("ada")
		world.Update(p, func() { p.Spec.Suspend = false })
		reconcile(p)
		Expect(letIn(p, "ada", second)).To(BeFalse())
		Expect(letIn(p, "ada", first)).To(BeTrue())
	})

	It("that cannot be read says so, works, and lets nobody in", func() {
		p := ready("a", naming("ada", "one"))
		world.Update(p, func() {
			p.Spec.ResourcePolicy.Raw = []byte(`{"Statement":[{"Effect":"Permit","Principal":"*","Action":"*","Resource":"*"}]}`)
		})
		reconcile(p)
		Expect(condition(p)).To(And(HaveField("Reason", v1alpha1.ReasonMalformedPolicyDocument), HaveField("Message", ContainSubstring("spec.resourcePolicy"))))
		Expect(configMap("a").Data).To(HaveKeyWithValue("LOG_LEVEL", "info"))
		Expect(letIn(p, "ada", "")).To(BeFalse())
	})

	It("makes a parameter of Intelligent-Tiering an advanced one", func() {
		p := ready("a", naming("ada", "one"), func(p *v1alpha1.Parameter) { p.Spec.Tier = v1alpha1.TierIntelligent })
		Expect(p.Status.Tier).To(Equal(v1alpha1.TierAdvanced))
	})
})
