package iam_test

import (
	"context"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	coreiam "strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/service/iam"
	"strongroom.dev/strongroom/test/environment"
)

func TestIAMService(t *testing.T) {
	environment.Specs(t, "The service of IAM")
}

var (
	ctx   = context.Background()
	world *environment.World
	// service is the replica that a spec is about: with nothing remembered at its beginning.
	service *iam.Service
	account string
)

// A real API server, the real cache, and the real controllers, which make a pass when a spec says so.
var (
	_ = BeforeSuite(func() { world = environment.NewWorld(ctx) })
	_ = BeforeEach(func() {
		world.Fresh()
		service, account = replica(), arn.DeriveAccount(world.Namespace)
	})
)

// replica is the service as another replica has it: over the same cache, with nothing remembered.
func replica() *iam.Service {
	s := world.Services.IAM
	return &iam.Service{
		Client: s.Client, Live: s.Live, Tokens: world.ControlPlane.Client, SigningKeys: iam.KeysOf(world.ControlPlane.Config), Store: s.Store, Keyring: s.Keyring, Now: world.Clock.Now,
		Cache: iam.NewCache(world.Clock.Now),
	}
}

const (
	allowGet   = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:Get*","Resource":"*"}}`
	denyGet    = `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"iam:Get*","Resource":"*"}}`
	allowOther = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:*","Resource":"*"}}`
	malformed  = `{"Statement":1}`
	readOnly   = "arn:aws:iam::aws:policy/IAMReadOnlyAccess"
)

func document(text string) v1alpha1.PolicyDocument {
	return v1alpha1.PolicyDocument{JSON: apiextensionsv1.JSON{Raw: []byte(text)}}
}

// inline is one policy that is part of an object.
func inline(text string) v1alpha1.IdentityPolicies {
	return v1alpha1.IdentityPolicies{Policies: []v1alpha1.InlinePolicy{{Name: "own", Document: document(text)}}}
}

func managed(names ...string) v1alpha1.IdentityPolicies {
	var out v1alpha1.IdentityPolicies
	for _, name := range names {
		out.ManagedPolicyARNs = append(out.ManagedPolicyARNs, "arn:aws:iam::"+account+":policy/"+name)
	}
	return out
}

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: world.Namespace, Name: name}
}

// pass has an object's controller make a pass, and waits until the cache has what it wrote.
func pass(obj client.Object) {
	GinkgoHelper()
	reconcilers := map[string]interface {
		Reconcile(context.Context, ctrl.Request) (ctrl.Result, error)
	}{"user": world.IAMUser, "role": world.IAMRole, "group": world.IAMGroup, "policy": world.IAMPolicy}
	_, err := reconcilers[kindOf(obj)].Reconcile(ctx, environment.Request(obj))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(obj)
	world.Seen(obj)
}

func kindOf(obj client.Object) string {
	switch obj.(type) {
	case *v1alpha1.IAMUser:
		return "user"
	case *v1alpha1.IAMRole:
		return "role"
	case *v1alpha1.IAMGroup:
		return "group"
	}
	return "policy"
}

// made creates an object and has its controller see it.
func made[T client.Object](obj T) T {
	GinkgoHelper()
	world.Create(obj)
	pass(obj)
	return obj
}

// user makes a user with one access key, "first".
func user(name string, policies v1alpha1.IdentityPolicies, groups ...string) *v1alpha1.IAMUser {
	GinkgoHelper()
	return made(&v1alpha1.IAMUser{ObjectMeta: meta(name), Spec: v1alpha1.IAMUserSpec{
		AccessKeys: []v1alpha1.AccessKey{{Name: "first"}}, Groups: groups, Permissions: v1alpha1.Permissions{IdentityPolicies: policies},
	}})
}

func role(name string, policies v1alpha1.IdentityPolicies) *v1alpha1.IAMRole {
	GinkgoHelper()
	return made(&v1alpha1.IAMRole{ObjectMeta: meta(name), Spec: v1alpha1.IAMRoleSpec{Permissions: v1alpha1.Permissions{IdentityPolicies: policies}}})
}

func policy(name, text string) *v1alpha1.IAMPolicy {
	GinkgoHelper()
	return made(&v1alpha1.IAMPolicy{ObjectMeta: meta(name), Spec: v1alpha1.IAMPolicySpec{Document: document(text)}})
}

func group(name string, policies v1alpha1.IdentityPolicies) *v1alpha1.IAMGroup {
	GinkgoHelper()
	return made(&v1alpha1.IAMGroup{ObjectMeta: meta(name), Spec: v1alpha1.IAMGroupSpec{IdentityPolicies: policies}})
}

func keyOf(u *v1alpha1.IAMUser) string { return u.Status.AccessKeys[0].AccessKeyID }

// caller is who an access key is.
func caller(id, token string) *iam.Identity {
	GinkgoHelper()
	c, err := service.Credential(ctx, id, token)
	Expect(err).NotTo(HaveOccurred())
	return c.Identity
}

// refused says that a credential is nobody's, in the one way that there is.
func refused(s *iam.Service, id, token string, want error) {
	GinkgoHelper()
	c, err := s.Credential(ctx, id, token)
	Expect(err).To(MatchError(want))
	Expect(c.Identity).To(BeNil())
	Expect(c.Secret.Len()).To(Equal(40), "what a signature is checked against is as long as a real secret")
}

// may is how a caller is decided about.
func may(who *iam.Identity, action string) string {
	decision := coreiam.Evaluate(
		&coreiam.Request{Principal: who.Principal, Action: action, Resource: "*", Context: coreiam.Map{}},
		&coreiam.Policies{Identity: who.Identity, Boundary: who.Boundary, Session: who.Session},
	)
	return string(decision.Reason)
}

// session makes a session of a role for an hour.
func session(r *v1alpha1.IAMRole, changes ...func(*iam.SessionRequest)) *iam.Session {
	GinkgoHelper()
	request := &iam.SessionRequest{Role: r, Name: "one", Duration: time.Hour}
	for _, change := range changes {
		change(request)
	}
	issued, err := service.IssueSession(ctx, request)
	Expect(err).NotTo(HaveOccurred())
	return issued
}

// changed is a token with one character changed.
func changed(token string, at int) string {
	by := "A"
	if token[at] == 'A' {
		by = "B"
	}
	return strings.Join([]string{token[:at], token[at+1:]}, by)
}
