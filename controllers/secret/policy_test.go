package secret_test

import (
	"encoding/json"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// naming is a resource policy that lets a user of the spec's account read. The id tells one policy from another.
func naming(user, id string) *v1alpha1.PolicyDocument {
	d := &v1alpha1.PolicyDocument{}
	d.Raw = []byte(`{"Version":"2012-10-17","Id":"` + id + `","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + userARN(user) +
		`"},"Action":"secretsmanager:GetSecretValue","Resource":"*"}]}`)
	return d
}

func userARN(name string) string {
	return "arn:aws:iam::" + arn.DeriveAccount(namespace) + ":user/" + name
}

// newUser makes an IAMUser and returns its unique id.
func newUser(name string) string {
	GinkgoHelper()
	user := &v1alpha1.IAMUser{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	create(user)
	_, err := env.IAMUser.Reconcile(ctx, environment.Request(user))
	Expect(err).NotTo(HaveOccurred())
	refresh(user)
	seen(user)
	return user.Status.UniqueID
}

func removeUser(name string) {
	GinkgoHelper()
	user := &v1alpha1.IAMUser{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	Expect(cp.Client.Delete(ctx, user)).To(Succeed())
	for range 2 { // a finalizer may want a pass
		_, err := env.IAMUser.Reconcile(ctx, environment.Request(user))
		Expect(err).NotTo(HaveOccurred())
	}
	Eventually(func() error {
		return client.IgnoreNotFound(env.GetClient().Get(ctx, client.ObjectKeyFromObject(user), user))
	}).Should(Succeed())
	Eventually(func() bool { return env.GetClient().Get(ctx, client.ObjectKeyFromObject(user), user) != nil }).Should(BeTrue())
}

// letIn tells whether the secret's own policy lets a user read whose unique id is the one given.
func letIn(s *v1alpha1.Secret, user, id string) bool {
	GinkgoHelper()
	request := &iam.Request{
		Principal: iam.Principal{Account: arn.DeriveAccount(namespace), ARN: userARN(user), UniqueID: id},
		Action:    "secretsmanager:GetSecretValue", Resource: s.Status.ARN, Context: iam.Map{},
	}
	return iam.Evaluate(request, &iam.Policies{Resource: env.Services.Secrets.Policy(s)}).Allowed()
}

func bound(s *v1alpha1.Secret) []string {
	if s.Status.PolicyBinding == nil {
		return nil
	}
	var out []string
	for _, p := range s.Status.PolicyBinding.Principals {
		out = append(out, p.ARN+"="+p.UniqueID)
	}
	return out
}

func withPolicy(d *v1alpha1.PolicyDocument) func(*v1alpha1.Secret) {
	return func(s *v1alpha1.Secret) { s.Spec.ResourcePolicy = d }
}

// bury deletes a Secret, and leaves the tombstone that the controller of Envelopes makes.
func bury(s *v1alpha1.Secret) {
	GinkgoHelper()
	content := secretsmanager.TombstoneOf(s)
	Expect(json.Valid(content.Spec)).To(BeTrue())
	remove(s)
	ring, err := env.Services.Keyring.Get()
	Expect(err).NotTo(HaveOccurred())
	now := env.Clock.Now()
	e, err := store.NewTombstone(ring, namespace, secretsmanager.Owner(s.Name), s.Status.ARN, content, now, now.AddDate(0, 0, 30))
	Expect(err).NotTo(HaveOccurred())
	create(e)
}

var _ = Describe("A Secret with a resource policy", func() {
	It("binds whom it names, so that whoever is made again under the name is let in only by another policy", func() {
		first := newUser("ada")
		s := ready(withPolicy(naming("ada", "one")))
		Expect(bound(s)).To(Equal([]string{userARN("ada") + "=" + first}))
		Expect(letIn(s, "ada", first)).To(BeTrue())
		removeUser("ada")
		second := newUser("ada")
		Expect(second).NotTo(Equal(first))
		reconcile(s)
		Expect(bound(s)).To(Equal([]string{userARN("ada") + "=" + first}))
		Expect(letIn(s, "ada", second)).To(BeFalse())
		Expect(condition(s, v1alpha1.ConditionPrincipalReplaced)).To(And(HaveField("Status", metav1.ConditionTrue), HaveField("Message", ContainSubstring(userARN("ada")))))
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		update(s, func() { s.Spec.Description = "a change of something else" })
		reconcile(s)
		Expect(letIn(s, "ada", second)).To(BeFalse())
		update(s, func() { s.Spec.ResourcePolicy = naming("ada", "two") })
		reconcile(s)
		Expect(letIn(s, "ada", second)).To(BeTrue())
		Expect(condition(s, v1alpha1.ConditionPrincipalReplaced)).To(BeNil())
		update(s, func() { s.Spec.ResourcePolicy = nil })
		reconcile(s)
		Expect(s.Status.PolicyBinding).To(BeNil())
	})

	It("means whoever is there now once the API has saved it again, though its text is the same", func() {
		newUser("ada")
		s := ready(withPolicy(naming("ada", "one")))
		removeUser("ada")
		second := newUser("ada")
		reconcile(s)
		Expect(letIn(s, "ada", second)).To(BeFalse())
		Expect(env.Services.Secrets.PutPolicy(ctx, s, naming("ada", "one"), "a-request")).To(Succeed())
		refresh(s)
		seen(s)
		Expect(letIn(s, "ada", second)).To(BeFalse(), "it is let in before it is bound")
		reconcile(s)
		Expect(letIn(s, "ada", second)).To(BeTrue())
		Expect(condition(s, v1alpha1.ConditionPrincipalReplaced)).To(BeNil())
	})

	It("may come before those whom it names, and is found when they come", func() {
		s := ready(withPolicy(naming("late", "one")))
		Expect(bound(s)).To(BeEmpty())
		id := newUser("late")
		var found v1alpha1.SecretList
		Expect(env.GetClient().List(ctx, &found, client.MatchingFields{"principals": "user/" + arn.DeriveAccount(namespace) + "/late"})).To(Succeed())
		Expect(found.Items).To(HaveLen(1), "the controller asks for a pass over it by this index")
		reconcile(s)
		Expect(bound(s)).To(Equal([]string{userARN("late") + "=" + id}))
	})

	It("is bound although it is suspended, and although the key is not there", func() {
		id := newUser("ada")
		suspended := ready()
		update(suspended, func() { suspended.Spec.Suspend, suspended.Spec.ResourcePolicy = true, naming("ada", "one") })
		reconcile(suspended)
		Expect(condition(suspended, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonSuspended))
		Expect(bound(suspended)).To(Equal([]string{userARN("ada") + "=" + id}))
		keyless := environment.Secret(namespace, "keyless", withPolicy(naming("ada", "one")), func(s *v1alpha1.Secret) { s.Spec.KMSKeyRef.Name = "none" })
		create(keyless)
		reconcile(keyless)
		Expect(condition(keyless, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonKeyNotFound))
		Expect(bound(keyless)).To(Equal([]string{userARN("ada") + "=" + id}))
	})

	It("that cannot be understood is Stalled with the place, lets nobody in, and shows its value all the same", func() {
		broken := &v1alpha1.PolicyDocument{}
		broken.Raw = []byte(`{"Statement":[{"Effect":"Permit","Principal":"*","Action":"*","Resource":"*"}]}`)
		s := environment.Secret(namespace, "db", withPolicy(broken))
		create(s)
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonMalformedPolicyDocument),
			HaveField("Message", ContainSubstring("spec.resourcePolicy: at /Statement/0/Effect"))))
		Expect(condition(s, v1alpha1.ConditionStalled)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(projected("db")).NotTo(BeEmpty())
		Expect(s.Status.CurrentVersionID).NotTo(BeEmpty())
		update(s, func() { s.Spec.ResourcePolicy = naming("ada", "one") })
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	})

	It("of more than AWS's characters is Stalled, and of as many is not", func() {
		of := func(characters int) *v1alpha1.PolicyDocument {
			d := &v1alpha1.PolicyDocument{}
			text := `{"Statement":[{"Action":"*","Effect":"Deny","Principal":"*","Resource":"*","Sid":""}]}`
			d.Raw = []byte(strings.Replace(text, `"Sid":"`, `"Sid":"`+strings.Repeat("s", characters-len(text)), 1))
			return d
		}
		s := ready(withPolicy(of(secretsmanager.MaximumPolicy)))
		update(s, func() { s.Spec.ResourcePolicy = of(secretsmanager.MaximumPolicy + 1) })
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(And(HaveField("Reason", v1alpha1.ReasonMalformedPolicyDocument),
			HaveField("Message", ContainSubstring("20481 characters; at most 20480 are taken"))))
	})

	It("binds as before when it is deleted and applied again within the window, if the policy is the same", func() {
		first := newUser("ada")
		s := ready(withPolicy(naming("ada", "one")))
		bury(s)
		removeUser("ada")
		second := newUser("ada")

		again := environment.Secret(namespace, "db", withPolicy(naming("ada", "one")))
		create(again)
		reconcile(again)
		Expect(again.Status.ARN).To(Equal(s.Status.ARN))
		Expect(again.UID).NotTo(Equal(s.UID))
		Expect(bound(again)).To(Equal([]string{userARN("ada") + "=" + first}))
		Expect(letIn(again, "ada", second)).To(BeFalse())
		Expect(letIn(again, "ada", first)).To(BeTrue())
		Expect(condition(again, v1alpha1.ConditionPrincipalReplaced)).NotTo(BeNil())
		update(again, func() { again.Spec.ResourcePolicy = naming("ada", "two") })
		reconcile(again)
		Expect(letIn(again, "ada", second)).To(BeTrue())
	})

	It("binds as before when it is applied again suspended, so that suspending lets in nobody who is made again", func() {
		first := newUser("ada")
		s := ready(withPolicy(naming("ada", "one")))
		bury(s)
		removeUser("ada")
		second := newUser("ada")
		again := environment.Secret(namespace, "db", withPolicy(naming("ada", "one")), func(s *v1alpha1.Secret) { s.Spec.Suspend = true })
		create(again)
		for range 2 {
			reconcile(again)
			Expect(condition(again, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonSuspended))
			Expect(again.Status.Versions).To(BeEmpty())
			Expect(letIn(again, "ada", second)).To(BeFalse())
			Expect(condition(again, v1alpha1.ConditionPrincipalReplaced)).NotTo(BeNil())
		}
		update(again, func() { again.Spec.Suspend = false })
		reconcile(again)
		Expect(again.Status.ARN).To(Equal(s.Status.ARN))
		Expect(bound(again)).To(Equal([]string{userARN("ada") + "=" + first}))
	})

	It("costs no write when nothing changed", func() {
		newUser("ada")
		s := ready(withPolicy(naming("ada", "one")))
		version := s.ResourceVersion
		for range 3 {
			reconcile(s)
		}
		Expect(s.ResourceVersion).To(Equal(version))
	})
})
