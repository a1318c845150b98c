package iamuser_test

import (
	"context"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

func TestIAMUserController(t *testing.T) {
	environment.Specs(t, "IAMUser controller")
}

var (
	ctx   = context.Background()
	world *environment.World
)

var (
	_ = BeforeSuite(func() { world = environment.NewWorld(ctx) })
	_ = BeforeEach(func() { world.Fresh() })
)

// user makes an IAMUser with access keys of these names.
func user(name string, accessKeys ...string) *v1alpha1.IAMUser {
	u := &v1alpha1.IAMUser{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name}}
	for _, k := range accessKeys {
		u.Spec.AccessKeys = append(u.Spec.AccessKeys, v1alpha1.AccessKey{Name: k})
	}
	return u
}

// pass makes one pass over a user and reads it again.
func pass(u *v1alpha1.IAMUser) {
	GinkgoHelper()
	_, err := world.IAMUser.Reconcile(ctx, environment.Request(u))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(u)
	world.Seen(u)
}

func ready(u *v1alpha1.IAMUser) *metav1.Condition {
	return meta.FindStatusCondition(u.Status.Conditions, v1alpha1.ConditionReady)
}

func isReady(u *v1alpha1.IAMUser) {
	GinkgoHelper()
	Expect(ready(u)).To(HaveField("Status", metav1.ConditionTrue), "%+v", ready(u))
}

// handed is the core Secret of a name, nil if there is none.
func handed(name string) *corev1.Secret {
	GinkgoHelper()
	s := &corev1.Secret{}
	err := world.ControlPlane.Client.Get(ctx, client.ObjectKey{Namespace: world.Namespace, Name: name}, s)
	if apierrors.IsNotFound(err) {
		return nil
	}
	Expect(err).NotTo(HaveOccurred())
	return s
}

// holds proves that a key in force is handed out and sealed as one and the same.
func holds(u *v1alpha1.IAMUser, name string) *v1alpha1.AccessKeyStatus {
	GinkgoHelper()
	k := u.AccessKeyStatusOf(name)
	Expect(k).NotTo(BeNil())
	s := handed(k.SecretName)
	Expect(s).NotTo(BeNil())
	Expect(string(s.Data["AWS_ACCESS_KEY_ID"])).To(And(Equal(k.AccessKeyID), MatchRegexp("^AKIA[A-Z2-7]{16}$")))
	Expect(s.Data["AWS_SECRET_ACCESS_KEY"]).To(HaveLen(40))
	ring, err := world.Services.Keyring.Get()
	Expect(err).NotTo(HaveOccurred())
	found := 0
	for _, e := range world.Envelopes(v1alpha1.EnvelopeAccessKey) {
		if e.Spec.Version == k.AccessKeyID {
			found++
			opened, err := ring.Open(keys.KindAccessKey, store.Binding(&e), e.Spec.Ciphertext)
			Expect(err).NotTo(HaveOccurred())
			Expect(opened.Reveal()).To(Equal(s.Data["AWS_SECRET_ACCESS_KEY"]))
		}
	}
	Expect(found).To(Equal(1))
	return k
}
