package iam_test

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/iam"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// No controller runs here, so no key is made.
var _ = Describe("An access key that is not made in time", func() {
	It("is asked for no longer, so that whoever tries again does not come to a second one", func() {
		user := &v1alpha1.IAMUser{
			ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "alice"},
			Spec:       v1alpha1.IAMUserSpec{AccessKeys: []v1alpha1.AccessKey{{Name: "own"}}},
		}
		world.Create(user)
		for range 3 {
			short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
			_, _, err := world.Services.IAM.RequestAccessKey(short, user)
			cancel()
			Expect(err).To(MatchError(iam.ErrAccessKeyPending))
			world.Refresh(user)
			Expect(user.Spec.AccessKeys).To(Equal([]v1alpha1.AccessKey{{Name: "own"}}))
			Expect(user.Generation).To(BeNumerically(">", 1), "none was asked for")
		}
	})
})

var _ = Describe("An access key that is asked for", func() {
	// controlled has the user's controller look again and again, as a running one does.
	controlled := func(u *v1alpha1.IAMUser) {
		GinkgoHelper()
		running, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer GinkgoRecover()
			defer close(done)
			for running.Err() == nil {
				_, _ = world.IAMUser.Reconcile(running, environment.Request(u))
				time.Sleep(5 * time.Millisecond)
			}
		}()
		DeferCleanup(func() { cancel(); <-done })
	}

	It("is made, with the secret that is in force, two times and not a third", func() {
		u := &v1alpha1.IAMUser{ObjectMeta: meta("alice")}
		world.Create(u)
		controlled(u)
		for range iam.MaximumAccessKeys {
			key, secret, err := service.RequestAccessKey(ctx, u)
			Expect(err).NotTo(HaveOccurred())
			Eventually(func(g Gomega) {
				c, err := service.Credential(ctx, key.AccessKeyID, "")
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(c.Secret.Reveal()).To(Equal(secret.Reveal()))
			}).Should(Succeed())
		}
		_, _, err := service.RequestAccessKey(ctx, u)
		Expect(err).To(MatchError(iam.ErrTooManyAccessKeys))
	})

	It("is not made for a user that is gone, or is another by now", func() {
		u := &v1alpha1.IAMUser{ObjectMeta: meta("alice")}
		world.Create(u)
		former := u.DeepCopy()
		world.Remove(u)
		_, _, err := service.RequestAccessKey(ctx, former)
		Expect(err).To(MatchError(iam.ErrGone))
		another := &v1alpha1.IAMUser{ObjectMeta: meta("alice")}
		world.Create(another)
		_, _, err = service.RequestAccessKey(ctx, former)
		Expect(err).To(MatchError(iam.ErrGone))
		world.Refresh(another)
		Expect(another.Spec.AccessKeys).To(BeEmpty())
	})

	It("is changed and removed by its id, and no other is", func() {
		u := user("alice", v1alpha1.IdentityPolicies{})
		world.Update(u, func() { u.Spec.AccessKeys = append(u.Spec.AccessKeys, v1alpha1.AccessKey{Name: "second"}) })
		pass(u)
		id := keyOf(u)
		Expect(service.ChangeAccessKey(ctx, u, id, func(key *v1alpha1.AccessKey) bool { key.Inactive = true; return true })).To(Succeed())
		world.Refresh(u)
		Expect(u.Spec.AccessKeys).To(Equal([]v1alpha1.AccessKey{{Name: "first", Inactive: true}, {Name: "second"}}))
		remove := func(*v1alpha1.AccessKey) bool { return false }
		Expect(service.ChangeAccessKey(ctx, u, id, remove)).To(Succeed())
		world.Refresh(u)
		Expect(u.Spec.AccessKeys).To(Equal([]v1alpha1.AccessKey{{Name: "second"}}))
		Expect(service.ChangeAccessKey(ctx, u, id, remove)).To(MatchError(iam.ErrNoAccessKey), "spec has it no more, though status has")
		Expect(service.ChangeAccessKey(ctx, u, "AKIAAAAAAAAAAAAAAAAA", remove)).To(MatchError(iam.ErrNoAccessKey))
	})
})

var _ = Describe("The secret half of an access key", func() {
	It("is opened for its user and its number alone", func() {
		u, other := user("alice", v1alpha1.IdentityPolicies{}), user("bob", v1alpha1.IdentityPolicies{})
		key := u.Status.AccessKeys[0]
		secret, err := service.OpenAccessKey(ctx, u, &key)
		Expect(err).NotTo(HaveOccurred())
		Expect(secret.Len()).To(Equal(40))
		_, err = service.OpenAccessKey(ctx, other, &key)
		Expect(err).To(MatchError(store.ErrTampered))
		key.Sequence++
		_, err = service.OpenAccessKey(ctx, u, &key)
		Expect(err).To(MatchError(store.ErrMissing))
	})

	It("is sealed to them before it is stored", func() {
		u, other := user("alice", v1alpha1.IdentityPolicies{}), user("bob", v1alpha1.IdentityPolicies{})
		e, err := service.SealAccessKey(u, versions.Version{ID: "AKIAAAAAAAAAAAAAAAAA", Sequence: 2, Created: world.Clock.Now()})
		Expect(err).NotTo(HaveOccurred())
		secret, err := service.OpenNewAccessKey(u, e)
		Expect(err).NotTo(HaveOccurred())
		Expect(secret.Len()).To(Equal(40))
		_, err = service.OpenNewAccessKey(other, e)
		Expect(err).To(MatchError(store.ErrTampered))
		e.Spec.Version = "AKIABBBBBBBBBBBBBBBB"
		_, err = service.OpenNewAccessKey(u, e)
		Expect(err).To(MatchError(store.ErrTampered))
		world.Seal(errors.New("the root is gone"))
		_, err = service.SealAccessKey(u, versions.Version{ID: "AKIAAAAAAAAAAAAAAAAA", Sequence: 2})
		Expect(err).To(MatchError(keyring.ErrSealed))
	})
})
