package kmsgrant_test

import (
	"context"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/test/environment"
)

func TestKMSGrantController(t *testing.T) {
	environment.Specs(t, "KMSGrant controller")
}

var (
	ctx   = context.Background()
	world *environment.World
)

var (
	_ = BeforeSuite(func() { world = environment.NewWorld(ctx) })
	_ = BeforeEach(func() { world.Fresh() })
)

// ada is a user of the spec's account.
func ada() string { return "arn:aws:iam::" + arn.DeriveAccount(world.Namespace) + ":user/ada" }

// user makes the user ada, and says her unique id.
func user() *v1alpha1.IAMUser {
	GinkgoHelper()
	u := &v1alpha1.IAMUser{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "ada"}}
	world.Create(u)
	_, err := world.IAMUser.Reconcile(ctx, environment.Request(u))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(u)
	world.Seen(u)
	return u
}

// grant makes a grant of a key to ada.
func grant(key string, changes ...func(*v1alpha1.KMSGrant)) *v1alpha1.KMSGrant {
	GinkgoHelper()
	g := &v1alpha1.KMSGrant{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "app"}, Spec: v1alpha1.KMSGrantSpec{
		KMSKeyRef: v1alpha1.LocalReference{Name: key}, GranteePrincipal: ada(), Operations: []v1alpha1.GrantOperation{"Decrypt"},
	}}
	for _, change := range changes {
		change(g)
	}
	world.Create(g)
	return g
}

// is makes a pass over a grant and says what Ready must be.
func is(g *v1alpha1.KMSGrant, reason string, says ...string) {
	GinkgoHelper()
	_, err := world.KMSGrant.Reconcile(ctx, environment.Request(g))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(g)
	world.Seen(g)
	ready := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionReady)
	Expect(ready).NotTo(BeNil())
	Expect(ready.Reason).To(Equal(reason), ready.Message)
	Expect(ready.Status == metav1.ConditionTrue).To(Equal(reason == v1alpha1.ReasonSucceeded))
	for _, s := range says {
		Expect(ready.Message).To(ContainSubstring(s))
	}
}
