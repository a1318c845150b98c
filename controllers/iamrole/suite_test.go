package iamrole_test

import (
	"context"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/test/environment"
)

func TestIAMRoleAndIAMPolicyControllers(t *testing.T) {
	environment.Specs(t, "IAMRole and IAMPolicy controllers")
}

var (
	ctx   = context.Background()
	world *environment.World
)

var (
	_ = BeforeSuite(func() { world = environment.NewWorld(ctx) })
	_ = BeforeEach(func() { world.Fresh() })
)

const allow = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}`

func document(text string) v1alpha1.PolicyDocument {
	return v1alpha1.PolicyDocument{JSON: apiextensionsv1.JSON{Raw: []byte(text)}}
}

func policy(name, text string) *v1alpha1.IAMPolicy {
	return &v1alpha1.IAMPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name}, Spec: v1alpha1.IAMPolicySpec{Document: document(text)},
	}
}

func role(name string, changes ...func(*v1alpha1.IAMRoleSpec)) *v1alpha1.IAMRole {
	r := &v1alpha1.IAMRole{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name}}
	for _, change := range changes {
		change(&r.Spec)
	}
	return r
}

func account() string { return arn.DeriveAccount(world.Namespace) }

// is makes a pass over a role and says what Ready must be.
func is(r *v1alpha1.IAMRole, reason string, says ...string) {
	GinkgoHelper()
	_, err := world.IAMRole.Reconcile(ctx, environment.Request(r))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(r)
	world.Seen(r)
	speaks(r.Status.Conditions, reason, says...)
}

func policyIs(p *v1alpha1.IAMPolicy, reason string, says ...string) {
	GinkgoHelper()
	_, err := world.IAMPolicy.Reconcile(ctx, environment.Request(p))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(p)
	world.Seen(p)
	speaks(p.Status.Conditions, reason, says...)
}

func speaks(conditions []metav1.Condition, reason string, says ...string) {
	GinkgoHelper()
	ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	Expect(ready).NotTo(BeNil())
	Expect(ready.Reason).To(Equal(reason), ready.Message)
	Expect(ready.Status == metav1.ConditionTrue).To(Equal(reason == v1alpha1.ReasonSucceeded))
	stalled := map[string]bool{
		v1alpha1.ReasonMalformedPolicyDocument: true, v1alpha1.ReasonForeignPolicy: true, v1alpha1.ReasonNameConflict: true, v1alpha1.ReasonDuplicateTagKeys: true,
	}
	Expect(meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionStalled)).To(Equal(stalled[reason]))
	for _, s := range says {
		Expect(ready.Message).To(ContainSubstring(s))
	}
}

var _ = Describe("An IAMPolicy", func() {
	It("is in force under its path and name, with an id that survives the loss of its status", func() {
		p := policy("reader", allow)
		p.Spec.Name, p.Spec.Path = "Reader", "/team/"
		world.Create(p)
		policyIs(p, v1alpha1.ReasonSucceeded)
		Expect(p.Status.ARN).To(Equal("arn:aws:iam::" + account() + ":policy/team/Reader"))
		Expect(p.Status.UniqueID).To(MatchRegexp("^ANPA[A-Z2-7]{17}$"))
		id, version := p.Status.UniqueID, p.ResourceVersion
		policyIs(p, v1alpha1.ReasonSucceeded)
		Expect(p.ResourceVersion).To(Equal(version), "a second pass changes nothing")
		p.Status = v1alpha1.IAMPolicyStatus{}
		Expect(world.ControlPlane.Client.Status().Update(ctx, p)).To(Succeed())
		world.Seen(p)
		policyIs(p, v1alpha1.ReasonSucceeded)
		Expect(p.Status.UniqueID).To(Equal(id))
	})

	It("that is malformed is Stalled with the place, and in force when it is corrected", func() {
		p := policy("reader", strings.Replace(allow, `"Allow"`, `"Alow"`, 1))
		world.Create(p)
		policyIs(p, v1alpha1.ReasonMalformedPolicyDocument, "spec.document, at /Statement/0/Effect")
		world.Update(p, func() { p.Spec.Document = document(allow) })
		policyIs(p, v1alpha1.ReasonSucceeded)
	})

	It("that is longer than AWS's quota is Stalled, white space not counted", func() {
		long := func(n int) string { return strings.Replace(allow, "kms:*", "kms:"+strings.Repeat("x", n), 1) }
		p := policy("long", long(6144-len(allow)+1))
		world.Create(p)
		policyIs(p, v1alpha1.ReasonSucceeded)
		world.Update(p, func() { p.Spec.Document = document(long(6144 - len(allow) + 2)) })
		policyIs(p, v1alpha1.ReasonMalformedPolicyDocument, "6145", "6144")
	})

	It("whose name an older one has in another case has no ARN", func() {
		first, second := policy("a", allow), policy("b", allow)
		first.Spec.Name, second.Spec.Name = "Reader", "reader"
		world.Create(first)
		world.Create(second)
		policyIs(first, v1alpha1.ReasonSucceeded)
		policyIs(second, v1alpha1.ReasonNameConflict, "IAMPolicy a")
		Expect(second.Status.ARN).To(BeEmpty())
		world.Remove(first)
		policyIs(second, v1alpha1.ReasonSucceeded)
	})
})

var _ = Describe("An IAMRole", func() {
	It("is in force with what it names", func() {
		r := role("shop", func(s *v1alpha1.IAMRoleSpec) {
			s.ServiceAccounts = []v1alpha1.ServiceAccountReference{"shop"}
			s.Policies = []v1alpha1.InlinePolicy{{Name: "p", Document: document(allow)}}
			s.ManagedPolicyARNs = []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"}
			s.PermissionsBoundary = "arn:aws:iam::aws:policy/PowerUserAccess"
		})
		world.Create(r)
		is(r, v1alpha1.ReasonSucceeded)
		Expect(r.Status.ARN).To(Equal("arn:aws:iam::" + account() + ":role/shop"))
		Expect(r.Status.UniqueID).To(MatchRegexp("^AROA[A-Z2-7]{17}$"))
	})

	It("with a malformed inline or trust policy is Stalled with the place", func() {
		r := role("shop", func(s *v1alpha1.IAMRoleSpec) {
			s.Policies = []v1alpha1.InlinePolicy{{Name: "good", Document: document(allow)}, {Name: "bad", Document: document(`{"Statement":[{"Effect":"Allow"}]}`)}}
		})
		world.Create(r)
		is(r, v1alpha1.ReasonMalformedPolicyDocument, "spec.policies[bad].document, at /Statement/0")
		world.Update(r, func() {
			r.Spec.Policies = r.Spec.Policies[:1]
			trust := document(allow) // a trust policy has a principal and no resource
			r.Spec.AssumeRolePolicy = &trust
		})
		is(r, v1alpha1.ReasonMalformedPolicyDocument, "spec.assumeRolePolicy, at /Statement/0")
		world.Update(r, func() { r.Spec.AssumeRolePolicy = nil })
		is(r, v1alpha1.ReasonSucceeded)
	})

	It("waits for a policy that is not there, or not in force, and heals when it is", func() {
		attached := "arn:aws:iam::" + account() + ":policy/Later"
		for _, where := range []func(*v1alpha1.IAMRoleSpec){
			func(s *v1alpha1.IAMRoleSpec) { s.ManagedPolicyARNs = []string{attached} },
			func(s *v1alpha1.IAMRoleSpec) { s.PermissionsBoundary = attached },
		} {
			r := role("shop", where)
			world.Create(r)
			is(r, v1alpha1.ReasonPolicyNotFound, attached)
			p := policy("later", `{"Statement":1}`)
			p.Spec.Name = "Later"
			world.Create(p)
			is(r, v1alpha1.ReasonPolicyNotReady, "IAMPolicy later")
			policyIs(p, v1alpha1.ReasonMalformedPolicyDocument)
			is(r, v1alpha1.ReasonPolicyNotReady)
			world.Update(p, func() { p.Spec.Document = document(allow) })
			policyIs(p, v1alpha1.ReasonSucceeded)
			is(r, v1alpha1.ReasonSucceeded)
			world.Remove(p)
			is(r, v1alpha1.ReasonPolicyNotFound)
			world.Remove(r)
		}
	})

	It("that names another account's policy is Stalled", func() {
		r := role("shop", func(s *v1alpha1.IAMRoleSpec) { s.ManagedPolicyARNs = []string{"arn:aws:iam::000000000001:policy/X"} })
		world.Create(r)
		is(r, v1alpha1.ReasonForeignPolicy, "spec.managedPolicyArns[0]", account())
	})
})
