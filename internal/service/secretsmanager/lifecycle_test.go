package secretsmanager_test

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

const day = 24 * time.Hour

var _ = Describe("Deleting a secret", func() {
	DescribeTable("keeps it for its window, which the spec says before the object goes",
		func(inSpec int32, asked int64, want time.Duration) {
			secret := holding("db", "x")
			if inSpec > 0 {
				world.Update(secret, func() { secret.Spec.Deletion = &v1alpha1.SecretDeletion{RecoveryWindowInDays: inSpec} })
			}
			at, err := service().Delete(ctx, secret, asked)
			Expect(err).NotTo(HaveOccurred())
			Expect(at).To(BeTemporally("==", world.Clock.Now().Add(want).Truncate(time.Second)))
			Expect(exists(secret)).To(BeFalse())
			tombstones := world.Envelopes(v1alpha1.EnvelopeTombstone)
			Expect(tombstones).To(HaveLen(1))
			Expect(tombstones[0].Spec.ExpireTime.Time).To(BeTemporally("==", at))
			exhumed, err := service().Exhume(&tombstones[0])
			Expect(err).NotTo(HaveOccurred())
			Expect(secretsmanager.RecoveryWindow(exhumed)).To(Equal(want), "so that the controller of Envelopes, if it is first, keeps it as long")
		},
		Entry("30 days where nobody says", int32(0), int64(0), 30*day), Entry("the spec's", int32(9), int64(0), 9*day),
		Entry("the request's", int32(0), int64(7), 7*day), Entry("the request's, over the spec's", int32(9), int64(30), 30*day),
		Entry("what both say", int32(9), int64(9), 9*day),
	)

	It("that was changed meanwhile deletes what is there, and one that is another by now is not touched", func() {
		stale := holding("db", "x")
		now := stale.DeepCopy()
		world.Update(now, func() { now.Spec.Description = "changed" })
		_, err := service().Delete(ctx, stale, 7)
		Expect(err).NotTo(HaveOccurred())
		exhumed, err := service().Exhume(find("db").Tombstone)
		Expect(err).NotTo(HaveOccurred())
		Expect(exhumed.Spec.Description).To(Equal("changed"))

		Expect(service().DeleteNow(ctx, find("db"))).To(Succeed())
		second := holding("db", "another")
		_, err = service().Delete(ctx, stale, 7)
		Expect(err).To(MatchError(ContainSubstring("ResourceNotFoundException")))
		Expect(shown(second)).To(Equal("another"))
	})

	It("a second time, long after it was restored, has a whole window again", func() {
		secret := holding("db", "x")
		_, err := service().Delete(ctx, secret, 7)
		Expect(err).NotTo(HaveOccurred())
		back, err := service().Restore(ctx, find("db").Tombstone)
		Expect(err).NotTo(HaveOccurred())
		world.Clock.Advance(100 * day)
		at, err := service().Delete(ctx, back, 0)
		Expect(err).NotTo(HaveOccurred())
		Expect(at).To(BeTemporally("==", world.Clock.Now().Add(7*day).Truncate(time.Second)), "7 days, as the first request has left it in the spec")
		Expect(find("db").Tombstone.Spec.ExpireTime.Time).To(BeTemporally("==", at))
	})

	It("without recovery leaves nothing, of a secret and of one that waits for its deletion", func() {
		for _, scheduled := range []bool{false, true} {
			secret := holding("db", "one")
			give(secret, "two")
			other := holding(fmt.Sprint("other-", scheduled), "kept")
			if scheduled {
				_, err := service().Delete(ctx, secret, 7)
				Expect(err).NotTo(HaveOccurred())
			}
			Expect(service().DeleteNow(ctx, find("db"))).To(Succeed())
			Expect(find("db")).To(Equal(secretsmanager.Found{}))
			for _, class := range []v1alpha1.EnvelopeClass{v1alpha1.EnvelopeSecretVersion, v1alpha1.EnvelopeTombstone} {
				for _, e := range world.Envelopes(class) {
					Expect(e.Spec.Owner.Name).NotTo(Equal("db"))
				}
			}
			Expect(shown(other)).To(Equal("kept"))
		}
	})

	for _, after := range []bool{false, true} {
		for _, scheduled := range []bool{false, true} {
			It(fmt.Sprintf("without recovery, and dying at any write, ends when it is asked again or by the controller (answer lost: %t, scheduled before: %t)", after, scheduled), func() {
				_, writes := world.Faulty()
				broken := world.SecretsOver(writes)
				for n := 1; ; n++ {
					secret := holding("db", "one")
					give(secret, "two")
					if scheduled {
						_, err := service().Delete(ctx, secret, 7)
						Expect(err).NotTo(HaveOccurred())
					}
					found := find("db")
					writes.FailAt(n, after)
					err := broken.DeleteNow(ctx, found)
					reached := writes.Writes() >= n
					if reached {
						Expect(err).To(MatchError(environment.ErrInjected))
					} else {
						Expect(err).NotTo(HaveOccurred())
					}
					for range 2 { // the second one is for a controller that never saw the object, and so knows of no force
						if left := find("db"); left.Secret != nil || left.Tombstone != nil {
							Expect(service().DeleteNow(ctx, left)).To(Succeed())
						}
						swept("db")
					}
					if left := find("db"); left.Tombstone != nil {
						Expect(service().DeleteNow(ctx, left)).To(Succeed())
					}
					Expect(find("db")).To(Equal(secretsmanager.Found{}))
					Expect(world.Envelopes(v1alpha1.EnvelopeSecretVersion)).To(BeEmpty(), "after a crash at write %d", n)
					Expect(world.Envelopes(v1alpha1.EnvelopeTombstone)).To(BeEmpty(), "after a crash at write %d", n)
					if !reached {
						Expect(n).To(BeNumerically(">", 3))
						return
					}
				}
			})
		}
	}
})

var _ = Describe("Restoring a secret", func() {
	It("brings its ARN, spec, versions and stages back", func() {
		secret := made("prod/db", func(in *secretsmanager.CreateInput) {
			in.Description, in.Tags = "kept", []v1alpha1.Tag{{Key: "team", Value: "a"}}
		})
		give(secret, "one")
		give(secret, "two")
		give(secret, "three", "blue", "green")
		before := secret.DeepCopy()
		_, err := service().Delete(ctx, secret, 0)
		Expect(err).NotTo(HaveOccurred())
		back, err := service().Restore(ctx, find("prod/db").Tombstone)
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(back)
		Expect(back.Name).To(Equal(before.Name))
		Expect(back.Spec).To(Equal(before.Spec))
		Expect(service().ARNOf(back)).To(Equal(service().ARNOf(before)))
		Expect(back.Status.Versions).To(Equal(before.Status.Versions))
		Expect(shown(back)).To(Equal("two"))
		Expect(world.Envelopes(v1alpha1.EnvelopeTombstone)).To(BeEmpty())
	})

	It("is refused where the name was taken meanwhile, and the one that took it is left alone", func() {
		secret := holding("db", "mine")
		_, err := service().Delete(ctx, secret, 0)
		Expect(err).NotTo(HaveOccurred())
		tombstone := find("db").Tombstone
		taken := environment.Secret(world.Namespace, "db", func(s *v1alpha1.Secret) { s.Spec.Name = "of/kubectl" })
		world.Create(taken)
		_, err = service().Restore(ctx, tombstone)
		Expect(err).To(MatchError(ContainSubstring("InvalidRequestException: You can't restore this secret because a secret with this name was made since")))
		world.Refresh(taken)
		Expect(taken.Spec.Name).To(Equal("of/kubectl"))
		Expect(find(tombstone.Spec.Subject).Tombstone).NotTo(BeNil())
	})

	DescribeTable("of a tombstone that was tampered with is refused, and makes nothing",
		func(change func(e, other *v1alpha1.Envelope)) {
			for _, name := range []string{"one", "two"} {
				_, err := service().Delete(ctx, holding(name, "value of "+name), 0)
				Expect(err).NotTo(HaveOccurred())
			}
			e, other := find("one").Tombstone.DeepCopy(), find("two").Tombstone.DeepCopy()
			forged := world.Exchange(e, func(e *v1alpha1.Envelope) { change(e, other) })
			_, err := service().Restore(ctx, forged)
			Expect(err).To(MatchError(store.ErrTampered))
			var list v1alpha1.SecretList
			Expect(world.ControlPlane.Client.List(ctx, &list, client.InNamespace(world.Namespace))).To(Succeed())
			Expect(list.Items).To(BeEmpty())
		},
		Entry("in its last byte", func(e, _ *v1alpha1.Envelope) { e.Spec.Ciphertext[len(e.Spec.Ciphertext)-1] ^= 1 }),
		Entry("for another secret's content", func(e, other *v1alpha1.Envelope) { e.Spec.Ciphertext = other.Spec.Ciphertext }),
		Entry("to be another object's", func(e, _ *v1alpha1.Envelope) { e.Spec.Owner.Name = "three" }),
		Entry("to be another secret's", func(e, other *v1alpha1.Envelope) { e.Spec.Subject = other.Spec.Subject }),
		Entry("to last longer", func(e, _ *v1alpha1.Envelope) { e.Spec.ExpireTime.Time = e.Spec.ExpireTime.Add(day) }),
	)

	It("waits for the keyring, and loses nothing meanwhile", func() {
		secret := holding("db", "x")
		_, err := service().Delete(ctx, secret, 0)
		Expect(err).NotTo(HaveOccurred())
		tombstone := find("db").Tombstone
		unseal := world.Seal(fmt.Errorf("the root is gone"))
		_, err = service().Restore(ctx, tombstone)
		faultOf(err, v1alpha1.ReasonSealed, false)
		unseal()
		back, err := service().Restore(ctx, tombstone)
		Expect(err).NotTo(HaveOccurred())
		Expect(shown(back)).To(Equal("x"))
	})
})

var _ = Describe("Changing a secret", func() {
	It("is one write, none where nothing changes, and what the change refuses is the answer", func() {
		secret := made("db")
		before := secret.ResourceVersion
		same, err := service().Change(ctx, secret, func(*v1alpha1.SecretSpec) error { return nil })
		Expect(err).NotTo(HaveOccurred())
		Expect(same.ResourceVersion).To(Equal(before))
		refused := fmt.Errorf("refused")
		_, err = service().Change(ctx, secret, func(spec *v1alpha1.SecretSpec) error { spec.Description = "x"; return refused })
		Expect(err).To(BeIdenticalTo(refused))
		world.Refresh(secret)
		Expect(secret.ResourceVersion).To(Equal(before))
	})

	It("sees what a faster writer has changed, and keeps it", func() {
		secret := made("db")
		tries := 0
		after, err := service().Change(ctx, secret, func(spec *v1alpha1.SecretSpec) error {
			if tries++; tries <= 3 {
				other := secret.DeepCopy()
				world.Update(other, func() {
					other.Spec.Tags = append(other.Spec.Tags, v1alpha1.Tag{Key: fmt.Sprint("t", tries), Value: "x"})
				})
			}
			spec.Description = "mine"
			return nil
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(tries).To(Equal(4))
		Expect(after.Spec).To(And(HaveField("Description", "mine"), HaveField("Tags", HaveLen(3))))
	})

	It("that others come before every time ends, with words that say so", func() {
		secret := made("db")
		tries := 0
		_, err := service().Change(ctx, secret, func(spec *v1alpha1.SecretSpec) error {
			tries++
			other := secret.DeepCopy()
			world.Update(other, func() { other.Spec.Description = fmt.Sprint(tries) })
			spec.Tags = []v1alpha1.Tag{{Key: "a", Value: "b"}}
			return nil
		})
		Expect(err).To(MatchError(ContainSubstring("being changed by others all the time")))
		Expect(tries).To(Equal(16))
	})

	It("that is deleted, or another of its name, while it is changed is not found", func() {
		for _, remade := range []bool{false, true} {
			secret := made("db")
			_, err := service().Change(ctx, secret, func(spec *v1alpha1.SecretSpec) error {
				if exists(secret) && spec.Description == "" {
					world.Remove(secret)
					if remade {
						world.Create(environment.Secret(world.Namespace, "db", func(s *v1alpha1.Secret) { s.Spec.Description = "another" }))
					}
				}
				spec.Tags = []v1alpha1.Tag{{Key: "a", Value: "b"}}
				return nil
			})
			Expect(err).To(MatchError(ContainSubstring("can't find the specified secret.")), "made again: %t", remade)
			swept("db")
		}
		again := environment.Secret(world.Namespace, "db")
		world.Refresh(again)
		Expect(again.Spec.Tags).To(BeEmpty())
	})
})

var _ = Describe("A value that is put", func() {
	It("into a secret without a target is in force at once, and into one with a target when that shows it", func() {
		secret := holding("db", "x")
		ready := meta.FindStatusCondition(secret.Status.Conditions, "Ready")
		Expect(ready).To(And(HaveField("Status", BeEquivalentTo("True")), HaveField("Message", secretsmanager.MessageInForce)))
		Expect(secret.Status.ObservedGeneration).To(Equal(secret.Generation))
		projected := environment.Secret(world.Namespace, "projected")
		world.Create(projected)
		_, err := world.Secret.Reconcile(ctx, environment.Request(projected))
		Expect(err).NotTo(HaveOccurred())
		give(projected, "by hand")
		ready = meta.FindStatusCondition(projected.Status.Conditions, "Ready")
		Expect(ready.Status).NotTo(BeEquivalentTo("True"), "the core Secret has the former value still")
		_, err = world.Secret.Reconcile(ctx, environment.Request(projected))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(projected)
		Expect(meta.IsStatusConditionTrue(projected.Status.Conditions, "Ready")).To(BeTrue())
	})

	It("has at most 20 stages, AWSCURRENT among them for a first value", func() {
		stages := func(n int) (out []string) {
			for i := range n {
				out = append(out, fmt.Sprintf("s%02d", i))
			}
			return out
		}
		secret := made("db")
		put := func(n int) error {
			world.Refresh(secret)
			_, err := service().PutValue(ctx, secretsmanager.PutValueInput{
				Secret: secret, Key: key, Token: uuid.NewString(), Value: valueOf("x"), Stages: stages(n),
			})
			return err
		}
		Expect(put(20)).To(MatchError(ContainSubstring("LimitExceededException: A version of a secret can have at most 20 staging labels.")))
		Expect(put(19)).To(Succeed())
		Expect(put(20)).To(Succeed(), "another has AWSCURRENT")
		Expect(put(21)).To(MatchError(ContainSubstring("LimitExceededException")))
		world.Refresh(secret)
		Expect(secret.Status.Versions).To(HaveLen(2))
		last := secret.Status.Versions[1]
		Expect(service().MoveStage(ctx, secret, "more", "", last.VersionID)).To(MatchError(ContainSubstring("LimitExceededException")))
	})

	It("by a token that made text is not bytes, though they are the same", func() {
		secret := made("db")
		in := secretsmanager.PutValueInput{Secret: secret, Key: key, Token: uuid.NewString(), Value: valueOf("same")}
		_, err := service().PutValue(ctx, in)
		Expect(err).NotTo(HaveOccurred())
		in.Value.Binary = true
		_, err = service().PutValue(ctx, in)
		Expect(err).To(MatchError(ContainSubstring("ResourceExistsException: You can't use ClientRequestToken " + in.Token)))
		in.Value.Binary, in.Stages = false, []string{"blue"}
		again, err := service().PutValue(ctx, in)
		Expect(err).NotTo(HaveOccurred())
		Expect(again.Stages).To(Equal([]string{versions.Current}), "made again it changes nothing, its stages neither")
	})

	It("by a writer whose copy is old goes behind all that are there", func() {
		stale := made("db")
		for n := range 3 {
			give(stale.DeepCopy(), fmt.Sprint(n))
		}
		v, err := service().PutValue(ctx, secretsmanager.PutValueInput{Secret: stale, Key: key, Token: uuid.NewString(), Value: valueOf("last")})
		Expect(err).NotTo(HaveOccurred())
		Expect(v.Sequence).To(BeEquivalentTo(4))
		Expect(shown(stale)).To(Equal("last"))
		Expect(stale.Status.Versions).To(HaveLen(4))
	})

	It("into a secret that was deleted meanwhile is not found, and leaves nothing that is shown", func() {
		secret := holding("db", "x")
		_, err := service().Delete(ctx, secret, 7)
		Expect(err).NotTo(HaveOccurred())
		_, err = service().PutValue(ctx, secretsmanager.PutValueInput{Secret: secret, Key: key, Token: uuid.NewString(), Value: valueOf("late")})
		Expect(err).To(HaveOccurred())
		back, err := service().Restore(ctx, find("db").Tombstone)
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(back)
		Expect(back.Status.Versions).NotTo(BeEmpty())
	})
})

var _ = Describe("A stage that is moved", func() {
	It("by a writer whose copy is old is moved as things are, or refused as they are", func() {
		stale := made("db")
		one := give(stale.DeepCopy(), "one")
		two := give(stale.DeepCopy(), "two")
		Expect(service().MoveStage(ctx, stale, versions.Current, two.ID, one.ID)).To(Succeed())
		Expect(shown(stale)).To(Equal("one"))
		old := stale.DeepCopy()
		give(stale.DeepCopy(), "three")
		err := service().MoveStage(ctx, old, versions.Current, one.ID, two.ID)
		Expect(err).To(MatchError(ContainSubstring("isn't attached to version "+one.ID)), "another writer was faster, and the label is elsewhere")
		Expect(shown(stale)).To(Equal("three"))
	})
})
