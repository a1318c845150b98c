package iamuser_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// isInConflict proves that a user's condition says what is wrong with a core Secret and what to do.
func isInConflict(u *v1alpha1.IAMUser, says string) {
	GinkgoHelper()
	Expect(ready(u)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonConflict),
		HaveField("Message", And(ContainSubstring(says), ContainSubstring("delete it, and it is made again with the same key")))))
}

// change changes the core Secret alice-a as somebody else does, and waits until the cache shows that.
func change(change func(*corev1.Secret)) {
	GinkgoHelper()
	s := handed("alice-a")
	change(s)
	Expect(world.ControlPlane.Client.Update(ctx, s)).To(Succeed())
	if s.Labels[v1alpha1.ManagedLabel] != "" {
		world.Seen(s)
		return
	}
	Eventually(func() bool {
		return apierrors.IsNotFound(world.GetClient().Get(ctx, client.ObjectKeyFromObject(s), &corev1.Secret{}))
	}).Should(BeTrue())
}

var _ = Describe("The core Secret of an access key in force", func() {
	var u *v1alpha1.IAMUser
	BeforeEach(func() {
		u = user("alice", "a")
		world.Create(u)
		pass(u)
		isReady(u)
	})

	It("is the user's, and says that it is no target", func() {
		s := handed("alice-a")
		Expect(metav1.IsControlledBy(s, u)).To(BeTrue())
		Expect(s.Labels).To(Equal(map[string]string{
			v1alpha1.AccessKeyIDLabel: u.Status.AccessKeys[0].AccessKeyID, v1alpha1.ManagedLabel: v1alpha1.ManagedAccessKey,
		}))
	})

	It("is made again with the same key when it is gone, and the user is told", func() {
		before := *holds(u, "a")
		former := handed("alice-a")
		world.Remove(former)
		world.DrainEvents()
		pass(u)
		isReady(u)
		Expect(*holds(u, "a")).To(Equal(before))
		Expect(handed("alice-a").Data).To(Equal(former.Data))
		events := world.DrainEvents()
		Expect(events).To(ContainElement(And(ContainSubstring("was gone"), ContainSubstring(before.AccessKeyID))))
		for _, event := range events {
			Expect(event).NotTo(ContainSubstring(string(former.Data["AWS_SECRET_ACCESS_KEY"])))
		}
	})

	It("is left alone when somebody has changed a half, and says so until it is deleted", func() {
		former := handed("alice-a").Data
		for _, entry := range []string{"AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"} {
			change(func(s *corev1.Secret) { s.Data[entry] = []byte("evil") })
			pass(u)
			isInConflict(u, "alice-a does not hold "+u.Status.AccessKeys[0].AccessKeyID)
			Expect(ready(u).Message).NotTo(ContainSubstring(string(former["AWS_SECRET_ACCESS_KEY"])))
			Expect(handed("alice-a").Data[entry]).To(Equal([]byte("evil")))
			world.Remove(handed("alice-a"))
			pass(u)
			isReady(u)
			Expect(handed("alice-a").Data).To(Equal(former))
		}
	})

	It("may hold more, which is its reader's", func() {
		change(func(s *corev1.Secret) {
			s.Data["AWS_REGION"] = []byte("eu-west-1")
			s.Annotations = map[string]string{"a": "b"}
		})
		version := handed("alice-a").ResourceVersion
		pass(u)
		isReady(u)
		Expect(handed("alice-a").ResourceVersion).To(Equal(version))
	})

	It("gets its labels and its controller back, as one does that was handed out before it had them", func() {
		change(func(s *corev1.Secret) { delete(s.Labels, v1alpha1.ManagedLabel); s.OwnerReferences = nil })
		pass(u)
		isReady(u)
		s := handed("alice-a")
		Expect(s.Labels).To(HaveKeyWithValue(v1alpha1.ManagedLabel, v1alpha1.ManagedAccessKey))
		Expect(metav1.IsControlledBy(s, u)).To(BeTrue())
		holds(u, "a")
	})

	It("is not taken from who controls it, and the condition names that", func() {
		change(func(s *corev1.Secret) {
			s.OwnerReferences = []metav1.OwnerReference{{APIVersion: "strongroom.dev/v1alpha1", Kind: "Parameter", Name: "thief", UID: "t", Controller: ptr.To(true)}}
		})
		pass(u)
		isInConflict(u, "Parameter thief controls alice-a")
	})

	It("without the label of the key's id is somebody else's", func() {
		change(func(s *corev1.Secret) { s.Labels = nil })
		pass(u)
		isInConflict(u, "alice-a")
		Expect(handed("alice-a").Labels).To(BeEmpty())
	})

	It("is made again whole or not at all by a manager that dies at the write", func() {
		for _, after := range []bool{false, true} {
			world.Remove(handed("alice-a"))
			faulty, writes := world.Faulty()
			writes.FailAt(1, after)
			_, err := faulty.IAMUser.Reconcile(ctx, environment.Request(u))
			Expect(err).To(MatchError(environment.ErrInjected))
			Expect(writes.Log()[:1]).To(Equal([]string{"create"}))
			Expect(handed("alice-a") != nil).To(Equal(after))
			pass(u)
			isReady(u)
			holds(u, "a")
		}
	})
})
