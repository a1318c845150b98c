package iamuser_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/accesskey"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("An IAMUser", func() {
	It("without access keys is in force, and has an ARN and an id that survive the loss of its status", func() {
		u := user("alice")
		world.Create(u)
		pass(u)
		isReady(u)
		Expect(u.Status.ARN).To(Equal(arn.IAMUser(arn.DeriveAccount(world.Namespace), "/", "alice")))
		Expect(u.Status.UniqueID).To(MatchRegexp("^AIDA[A-Z2-7]{17}$"))
		Expect(u.Finalizers).To(BeEmpty())
		former := u.Status
		u.Status = v1alpha1.IAMUserStatus{}
		Expect(world.ControlPlane.Client.Status().Update(ctx, u)).To(Succeed())
		world.Seen(u)
		pass(u)
		Expect(u.Status.UniqueID).To(Equal(former.UniqueID))
		Expect(u.Status.ARN).To(Equal(former.ARN))
	})

	It("gets each access key once, in a core Secret, and a second pass changes nothing", func() {
		u := user("alice", "a", "b")
		u.Spec.AccessKeys[1].SecretName = "elsewhere"
		world.Create(u)
		pass(u)
		isReady(u)
		a, b := holds(u, "a"), holds(u, "b")
		Expect(a.SecretName).To(Equal("alice-a"))
		Expect(b.SecretName).To(Equal("elsewhere"))
		Expect(a.AccessKeyID).NotTo(Equal(b.AccessKeyID))
		account, ok := accesskey.Account(a.AccessKeyID)
		Expect(ok).To(BeTrue())
		Expect(account).To(Equal(arn.Account(u.Status.ARN)))
		version, first := u.ResourceVersion, handed("alice-a").ResourceVersion
		pass(u)
		Expect(u.ResourceVersion).To(Equal(version))
		Expect(handed("alice-a").ResourceVersion).To(Equal(first))
		for _, event := range world.DrainEvents() {
			Expect(event).NotTo(ContainSubstring(string(handed("elsewhere").Data["AWS_SECRET_ACCESS_KEY"])))
		}
	})

	It("loses a key that is taken out of spec, and keeps the other", func() {
		u := user("alice", "a", "b")
		world.Create(u)
		pass(u)
		b := *holds(u, "b")
		world.Update(u, func() { u.Spec.AccessKeys = u.Spec.AccessKeys[1:] })
		pass(u)
		isReady(u)
		Expect(handed("alice-a")).To(BeNil())
		Expect(world.Envelopes(v1alpha1.EnvelopeAccessKey)).To(HaveLen(1))
		Expect(u.Status.AccessKeys).To(Equal([]v1alpha1.AccessKeyStatus{b}))
		world.Update(u, func() { u.Spec.AccessKeys = append(u.Spec.AccessKeys, v1alpha1.AccessKey{Name: "a"}) })
		pass(u)
		Expect(holds(u, "a").Sequence).To(Equal(int64(3)), "a number never comes again")
	})

	It("that is deleted takes its keys along", func() {
		u := user("alice", "a")
		world.Create(u)
		pass(u)
		Expect(world.ControlPlane.Client.Delete(ctx, u)).To(Succeed())
		world.Refresh(u)
		world.Seen(u)
		_, err := world.IAMUser.Reconcile(ctx, environment.Request(u))
		Expect(err).NotTo(HaveOccurred())
		Expect(handed("alice-a")).To(BeNil())
		Expect(world.Envelopes(v1alpha1.EnvelopeAccessKey)).To(BeEmpty())
	})

	It("does not touch a core Secret that is somebody else's, and goes on when it is gone", func() {
		other := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "alice-a"}, Data: map[string][]byte{"x": []byte("y")}}
		Expect(world.ControlPlane.Client.Create(ctx, other)).To(Succeed())
		u := user("alice", "a")
		world.Create(u)
		pass(u)
		Expect(ready(u)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonConflict)))
		Expect(handed("alice-a").Data).To(Equal(other.Data))
		Expect(world.Envelopes(v1alpha1.EnvelopeAccessKey)).To(BeEmpty())
		Expect(world.ControlPlane.Client.Delete(ctx, other)).To(Succeed())
		pass(u)
		isReady(u)
		holds(u, "a")
	})

	It("keeps its keys when its status is lost", func() {
		u := user("alice", "a", "b")
		world.Create(u)
		pass(u)
		former := u.Status.DeepCopy().AccessKeys
		u.Status = v1alpha1.IAMUserStatus{}
		Expect(world.ControlPlane.Client.Status().Update(ctx, u)).To(Succeed())
		world.Seen(u)
		pass(u)
		Expect(u.Status.AccessKeys).To(Equal(former))
		Expect(u.Status.LastAccessKeySequence).To(Equal(int64(2)))
	})

	It("made again under the name of one whose finalizer was torn off gets nothing that was the other's", func() {
		u := user("alice", "a")
		world.Create(u)
		pass(u)
		stolen := u.Status.AccessKeys[0].AccessKeyID
		world.Update(u, func() { u.Finalizers = nil })
		world.Remove(u)
		again := user("alice", "a")
		world.Create(again)
		pass(again)
		isReady(again)
		Expect(holds(again, "a").AccessKeyID).NotTo(Equal(stolen))
		Expect(world.Envelopes(v1alpha1.EnvelopeAccessKey)).To(HaveLen(1))
	})

	It("says so when an access key's Envelope is gone", func() {
		u := user("alice", "a")
		world.Create(u)
		pass(u)
		for _, e := range world.Envelopes(v1alpha1.EnvelopeAccessKey) {
			world.Remove(&e)
		}
		pass(u)
		Expect(ready(u)).To(HaveField("Reason", v1alpha1.ReasonEnvelopeMissing))
	})
})

// steps of a user's life that are made to die at each of their writes, before it is done and after it.
var _ = Describe("A manager that dies at any write of", func() {
	for _, step := range []struct {
		name   string
		writes []string
		begin  func(string) *v1alpha1.IAMUser
		keys   []string
	}{
		{
			"the making of two access keys",
			[]string{"patch", "create", "create", "create", "create", "status"},
			func(name string) *v1alpha1.IAMUser { u := user(name, "a", "b"); world.Create(u); return u },
			[]string{"a", "b"},
		},
		{
			"the revocation of one", []string{"delete", "delete", "status"},
			func(name string) *v1alpha1.IAMUser {
				u := user(name, "a", "b")
				world.Create(u)
				pass(u)
				world.Update(u, func() { u.Spec.AccessKeys = u.Spec.AccessKeys[:1] })
				return u
			},
			[]string{"a"},
		},
	} {
		It(step.name+" loses nothing and leaves nothing over", func() {
			faulty, writes := world.Faulty()
			for _, after := range []bool{false, true} {
				for n := 1; n <= len(step.writes); n++ {
					u := step.begin(fmt.Sprintf("dies-%d-%t", n, after))
					By(fmt.Sprintf("dying at write %d, done=%t", n, after))
					writes.FailAt(n, after)
					_, err := faulty.IAMUser.Reconcile(ctx, environment.Request(u))
					Expect(err).To(MatchError(environment.ErrInjected))
					Expect(writes.Log()[:n]).To(Equal(step.writes[:n]))
					world.Refresh(u)
					world.Seen(u)
					world.Clock.Advance(10 * time.Second)
					pass(u)
					pass(u)
					isReady(u)
					Expect(u.Status.AccessKeys).To(HaveLen(len(step.keys)))
					for _, k := range step.keys {
						holds(u, k)
					}
					left := 0
					for _, e := range world.Envelopes(v1alpha1.EnvelopeAccessKey) {
						if e.Spec.Owner.Name == u.Name {
							left++
						}
					}
					Expect(left).To(Equal(len(step.keys)))
					Expect(handed(u.Name+"-b") != nil).To(Equal(len(step.keys) == 2))
				}
			}
		})
	}

	It("the making of a key that is taken out of spec meanwhile leaves nothing of it", func() {
		faulty, writes := world.Faulty()
		u := user("alice", "a")
		world.Create(u)
		writes.FailAt(4, false)
		_, err := faulty.IAMUser.Reconcile(ctx, environment.Request(u))
		Expect(err).To(MatchError(environment.ErrInjected))
		Expect(handed("alice-a")).NotTo(BeNil())
		world.Update(u, func() { u.Spec.AccessKeys = nil })
		pass(u)
		isReady(u)
		Expect(handed("alice-a")).To(BeNil())
		Expect(world.Envelopes(v1alpha1.EnvelopeAccessKey)).To(BeEmpty())
	})
})
