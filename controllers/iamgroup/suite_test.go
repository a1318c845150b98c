package iamgroup_test

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

func TestIAMGroupController(t *testing.T) {
	environment.Specs(t, "IAMGroup controller")
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

func group(name string, changes ...func(*v1alpha1.IAMGroupSpec)) *v1alpha1.IAMGroup {
	g := &v1alpha1.IAMGroup{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name}}
	for _, change := range changes {
		change(&g.Spec)
	}
	world.Create(g)
	return g
}

func member(groups ...string) *v1alpha1.IAMUser {
	u := &v1alpha1.IAMUser{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "alice"}, Spec: v1alpha1.IAMUserSpec{Groups: groups}}
	world.Create(u)
	return u
}

func account() string { return arn.DeriveAccount(world.Namespace) }

// is makes a pass over a group and says what Ready must be.
func is(g *v1alpha1.IAMGroup, reason string, says ...string) {
	GinkgoHelper()
	_, err := world.IAMGroup.Reconcile(ctx, environment.Request(g))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(g)
	world.Seen(g)
	speaks(g.Status.Conditions, reason, says...)
}

// userIs is is of a user.
func userIs(u *v1alpha1.IAMUser, reason string, says ...string) {
	GinkgoHelper()
	_, err := world.IAMUser.Reconcile(ctx, environment.Request(u))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(u)
	world.Seen(u)
	speaks(u.Status.Conditions, reason, says...)
}

func speaks(conditions []metav1.Condition, reason string, says ...string) {
	GinkgoHelper()
	ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	Expect(ready).NotTo(BeNil())
	Expect(ready.Reason).To(Equal(reason), ready.Message)
	Expect(ready.Status == metav1.ConditionTrue).To(Equal(reason == v1alpha1.ReasonSucceeded))
	for _, s := range says {
		Expect(ready.Message).To(ContainSubstring(s))
	}
}

var _ = Describe("An IAMGroup", func() {
	It("is in force under its path and name, with an id that survives the loss of its status", func() {
		g := group("developers", func(s *v1alpha1.IAMGroupSpec) {
			s.Name, s.Path = "Developers", "/division/"
			s.Policies = []v1alpha1.InlinePolicy{{Name: "p", Document: document(allow)}}
			s.ManagedPolicyARNs = []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"}
		})
		is(g, v1alpha1.ReasonSucceeded)
		Expect(g.Status.ARN).To(Equal("arn:aws:iam::" + account() + ":group/division/Developers"))
		Expect(g.Status.UniqueID).To(MatchRegexp("^AGPA[A-Z2-7]{17}$"))
		id, version := g.Status.UniqueID, g.ResourceVersion
		is(g, v1alpha1.ReasonSucceeded)
		Expect(g.ResourceVersion).To(Equal(version), "a second pass changes nothing")
		g.Status = v1alpha1.IAMStatus{}
		Expect(world.ControlPlane.Client.Status().Update(ctx, g)).To(Succeed())
		world.Seen(g)
		is(g, v1alpha1.ReasonSucceeded)
		Expect(g.Status.UniqueID).To(Equal(id))
	})

	It("gets another ARN with another name, and keeps its id", func() {
		g := group("developers")
		is(g, v1alpha1.ReasonSucceeded)
		id := g.Status.UniqueID
		world.Update(g, func() { g.Spec.Name, g.Spec.Path = "Engineers", "/all/" })
		is(g, v1alpha1.ReasonSucceeded)
		Expect(g.Status.ARN).To(Equal("arn:aws:iam::" + account() + ":group/all/Engineers"))
		Expect(g.Status.UniqueID).To(Equal(id))
	})

	It("with a malformed policy, or too long ones, is Stalled with the place", func() {
		g := group("broken", func(s *v1alpha1.IAMGroupSpec) {
			s.Policies = []v1alpha1.InlinePolicy{{Name: "bad", Document: document(`{"Statement":[{"Effect":"Allow"}]}`)}}
		})
		is(g, v1alpha1.ReasonMalformedPolicyDocument, "spec.policies[bad].document, at /Statement/0")
		long := strings.Replace(allow, "kms:*", "kms:"+strings.Repeat("x", 5120-len(allow)+2), 1)
		world.Update(g, func() { g.Spec.Policies[0].Document = document(long) })
		is(g, v1alpha1.ReasonMalformedPolicyDocument, "5121", "5120")
		world.Update(g, func() { g.Spec.Policies[0].Document = document(allow) })
		is(g, v1alpha1.ReasonSucceeded)
	})

	It("waits for a policy that is not there, and heals when it is", func() {
		g := group("waiting", func(s *v1alpha1.IAMGroupSpec) {
			s.ManagedPolicyARNs = []string{"arn:aws:iam::" + account() + ":policy/later"}
		})
		is(g, v1alpha1.ReasonPolicyNotFound, "spec.managedPolicyArns[0]")
		p := &v1alpha1.IAMPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "later"}, Spec: v1alpha1.IAMPolicySpec{Document: document(allow)}}
		world.Create(p)
		_, err := world.IAMPolicy.Reconcile(ctx, environment.Request(p))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(p)
		world.Seen(p)
		is(g, v1alpha1.ReasonSucceeded)
		world.Update(g, func() { g.Spec.ManagedPolicyARNs = []string{"arn:aws:iam::000000000001:policy/X"} })
		is(g, v1alpha1.ReasonForeignPolicy)
	})

	It("whose name an older one has in another case has no ARN, until it has another name", func() {
		first := group("a", func(s *v1alpha1.IAMGroupSpec) { s.Name = "Readers" })
		second := group("b", func(s *v1alpha1.IAMGroupSpec) { s.Name = "readers" })
		is(first, v1alpha1.ReasonSucceeded)
		is(second, v1alpha1.ReasonNameConflict, "IAMGroup a")
		Expect(second.Status.ARN).To(BeEmpty())
		world.Update(second, func() { second.Spec.Name = "writers" })
		is(second, v1alpha1.ReasonSucceeded)
	})
})

var _ = Describe("An IAMUser in a group", func() {
	It("is not Ready until the group is there and in force, and again when it is gone", func() {
		u := member("developers", "others")
		userIs(u, v1alpha1.ReasonGroupNotFound, "spec.groups[0]", "developers")
		first := group("developers")
		userIs(u, v1alpha1.ReasonGroupNotReady, "IAMGroup developers says why")
		is(first, v1alpha1.ReasonSucceeded)
		userIs(u, v1alpha1.ReasonGroupNotFound, "spec.groups[1]", "others")
		second := group("others")
		is(second, v1alpha1.ReasonSucceeded)
		userIs(u, v1alpha1.ReasonSucceeded)
		world.Remove(first)
		userIs(u, v1alpha1.ReasonGroupNotFound)
	})

	It("has its access keys made all the same", func() {
		u := member("none")
		world.Update(u, func() { u.Spec.AccessKeys = []v1alpha1.AccessKey{{Name: "one"}} })
		userIs(u, v1alpha1.ReasonGroupNotFound)
		Expect(u.Status.AccessKeys).To(HaveLen(1))
	})
})
