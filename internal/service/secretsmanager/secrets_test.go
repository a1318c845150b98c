package secretsmanager_test

import (
	"context"
	"time"

	"github.com/google/uuid"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

const home, abroad = "us-east-1", "eu-west-1"

// accountID is that of the spec's namespace.
func accountID() string { return arn.DeriveAccount(world.Namespace) }

// asked is a secret of a name to create, under the key "key".
func asked(name string, changes ...func(*secretsmanager.CreateInput)) secretsmanager.CreateInput {
	in := secretsmanager.CreateInput{Namespace: world.Namespace, Account: accountID(), Region: home, Name: name, Token: uuid.NewString(), KeyName: "key"}
	for _, change := range changes {
		change(&in)
	}
	return in
}

func made(name string, changes ...func(*secretsmanager.CreateInput)) *v1alpha1.Secret {
	GinkgoHelper()
	secret, err := service().Create(ctx, asked(name, changes...))
	Expect(err).NotTo(HaveOccurred())
	return secret
}

func valueOf(text string) secretsmanager.Value {
	return secretsmanager.Value{Bytes: secretbytes.Copy([]byte(text))}
}

// give puts a value into a secret, as it is now.
func give(secret *v1alpha1.Secret, text string, stages ...string) versions.Version {
	GinkgoHelper()
	world.Refresh(secret)
	v, err := service().PutValue(ctx, secretsmanager.PutValueInput{Secret: secret, Key: key, Token: uuid.NewString(), Value: valueOf(text), Stages: stages})
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(secret)
	return v
}

// holding makes a secret with a value.
func holding(name, text string) *v1alpha1.Secret {
	GinkgoHelper()
	secret := made(name)
	give(secret, text)
	return secret
}

// shown is the current value of a secret, as it is now.
func shown(secret *v1alpha1.Secret) string {
	GinkgoHelper()
	world.Refresh(secret)
	v, err := secretsmanager.Select(secret, "", "")
	Expect(err).NotTo(HaveOccurred())
	value, err := service().Versions().Value(ctx, service().SubjectOf(secret), v)
	Expect(err).NotTo(HaveOccurred())
	return string(value.Reveal())
}

// find finds what there is of a secret.
func find(given string) secretsmanager.Found {
	GinkgoHelper()
	id, err := secretsmanager.ParseID(given)
	Expect(err).NotTo(HaveOccurred())
	found, err := service().Find(ctx, world.Namespace, home, accountID(), &id)
	Expect(err).NotTo(HaveOccurred())
	return found
}

func swept(name string) { world.Sweep("Secret", name) }

func exists(obj client.Object) bool {
	GinkgoHelper()
	err := world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj.DeepCopyObject().(client.Object))
	Expect(client.IgnoreNotFound(err)).NotTo(HaveOccurred())
	return !apierrors.IsNotFound(err)
}

var _ = Describe("A secret that a request makes", func() {
	It("is an object that says who made it, with its ARN from its first moment", func() {
		in := asked("prod/db", func(in *secretsmanager.CreateInput) {
			in.Description, in.Tags = "for the shop", []v1alpha1.Tag{{Key: "team", Value: "a"}}
		})
		secret, err := service().Create(ctx, in)
		Expect(err).NotTo(HaveOccurred())
		Expect(secret.Spec).To(And(HaveField("Name", "prod/db"), HaveField("Description", "for the shop"), HaveField("Tags", in.Tags),
			HaveField("Region", ""), HaveField("KMSKeyRef", HaveValue(HaveField("Name", "key")))))
		Expect(secret.Annotations).To(HaveKeyWithValue(v1alpha1.RequestTokenAnnotation, in.Token))
		Expect(service().ARNOf(secret)).To(MatchRegexp("^arn:aws:secretsmanager:us-east-1:" + accountID() + ":secret:prod/db-[a-zA-Z0-9]{6}$"))
		Expect(secret.ManagedFields).To(ContainElement(HaveField("Manager", secretsmanager.FieldOwner)))
		_, err = secretsmanager.Select(secret, "", "")
		Expect(err).To(MatchError(ContainSubstring("can't find the specified secret value for staging label: AWSCURRENT")))
	})

	It("is the same when its token comes again, whatever else the request says, and another's when the token is another", func() {
		in := asked("db")
		first, err := service().Create(ctx, in)
		Expect(err).NotTo(HaveOccurred())
		world.Seen(first)
		in.Description = "now with a description"
		again, err := service().Create(ctx, in)
		Expect(err).NotTo(HaveOccurred())
		Expect(again.UID).To(Equal(first.UID))
		Expect(again.Spec.Description).To(BeEmpty())
		_, err = service().Create(ctx, asked("db"))
		Expect(err).To(MatchError(ContainSubstring("ResourceExistsException: The operation failed because the secret db already exists.")))
	})

	It("is one of its name, and names that differ in case, in a slash or in the region are others", func() {
		uids := map[string]string{}
		for _, name := range []string{"Prod/DB", "prod/db", "prod-db", "prod.db", "prod_db", "prod+db"} {
			secret := made(name)
			Expect(secret.AWSName()).To(Equal(name))
			uids[string(secret.UID)] = name
		}
		far := made("prod/db", func(in *secretsmanager.CreateInput) { in.Region = abroad })
		Expect(far.Spec.Region).To(Equal(abroad))
		uids[string(far.UID)] = "prod/db abroad"
		Expect(uids).To(HaveLen(7))
		for uid, name := range uids {
			if name != "prod/db abroad" {
				Expect(string(find(name).Secret.UID)).To(Equal(uid), name)
			}
		}
	})

	It("that a user has made with kubectl is not taken over, and the request's has another object name", func() {
		world.Create(environment.Secret(world.Namespace, "db", func(s *v1alpha1.Secret) { s.Spec.Name = "kubectl/db" }))
		secret := made("db")
		Expect(secret.Name).To(HavePrefix("db-"))
		Expect(secret.AWSName()).To(Equal("db"))
		world.Seen(secret)
		_, err := service().Create(ctx, asked("db"))
		Expect(err).To(MatchError(ContainSubstring("ResourceExistsException")))
	})

	It("whose value cannot be stored is there without one, and the request made again gives it", func() {
		in := asked("db")
		secret, err := service().Create(ctx, in)
		Expect(err).NotTo(HaveOccurred())
		_, writes := world.Faulty()
		faulty := world.SecretsOver(writes)
		put := secretsmanager.PutValueInput{Secret: secret, Key: key, Token: in.Token, Value: valueOf("one")}
		writes.FailAt(1, false)
		_, err = faulty.CreateValue(ctx, put)
		Expect(err).To(MatchError(environment.ErrInjected))
		world.Seen(secret)
		put.Secret, err = service().Create(ctx, in)
		Expect(err).NotTo(HaveOccurred())
		v, err := service().CreateValue(ctx, put)
		Expect(err).NotTo(HaveOccurred())
		Expect(v.ID).To(Equal(in.Token))
		Expect(shown(secret)).To(Equal("one"))
		put.Value = valueOf("two")
		_, err = service().CreateValue(ctx, put)
		Expect(err).To(MatchError(ContainSubstring("The operation failed because the secret db already exists.")), "another value of the same token")
	})
})

var _ = Describe("Finding a secret", func() {
	It("is by its name, its ARN, or its ARN without the end, in its own account and region", func() {
		secret := holding("prod/db", "x")
		full := service().ARNOf(secret)
		for _, id := range []string{"prod/db", full, full[:len(full)-7]} {
			Expect(find(id).Secret.UID).To(Equal(secret.UID), id)
		}
		for _, id := range []string{
			"prod/DB", "prod", full[:len(full)-6] + "000000", arn.Secret(abroad, accountID(), "prod/db", full[len(full)-6:]),
			arn.Secret(home, "999999999999", "prod/db", full[len(full)-6:]), arn.Secret(home, "999999999999", "prod/db", "")[:60],
		} {
			Expect(find(id)).To(Equal(secretsmanager.Found{}), id)
		}
	})

	It("of two that claim a name finds the older, whoever was looked at first", func() {
		older := environment.Secret(world.Namespace, "zz", func(s *v1alpha1.Secret) { s.Spec.Name = "shared/name" })
		world.Create(older)
		_, err := world.Secret.Reconcile(ctx, environment.Request(older))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(older)
		world.Seen(older)
		younger := environment.Secret(world.Namespace, "zzz", func(s *v1alpha1.Secret) { s.Spec.Name = "shared/name" })
		world.Create(younger)
		for range 10 {
			Expect(find("shared/name").Secret.UID).To(Equal(older.UID))
		}
	})

	It("that has no ARN yet finds nothing: for the API it does not exist", func() {
		world.Create(environment.Secret(world.Namespace, "new"))
		Expect(find("new")).To(Equal(secretsmanager.Found{}))
	})

	It("does not believe an ARN in an annotation that is another secret's", func() {
		forged := environment.Secret(world.Namespace, "forged", func(s *v1alpha1.Secret) {
			s.Annotations = map[string]string{v1alpha1.SubjectAnnotation: arn.Secret(home, accountID(), "victim", "AbCdEf")}
		})
		world.Create(forged)
		Expect(service().ARNOf(forged)).To(BeEmpty())
		Expect(find(arn.Secret(home, accountID(), "victim", "AbCdEf"))).To(Equal(secretsmanager.Found{}))
	})

	It("after a deletion finds the tombstone, by every name, until its window ends", func() {
		secret := holding("db", "x")
		full := service().ARNOf(secret)
		_, err := service().Delete(ctx, secret, 7)
		Expect(err).NotTo(HaveOccurred())
		for _, id := range []string{"db", full, full[:len(full)-7]} {
			found := find(id)
			Expect(found.Secret).To(BeNil(), id)
			Expect(found.Tombstone.Spec.Subject).To(Equal(full), id)
		}
		world.Clock.Advance(7*24*3600e9 - 2e9)
		Expect(find("db").Tombstone).NotTo(BeNil())
		world.Clock.Advance(2e9)
		Expect(find("db")).To(Equal(secretsmanager.Found{}))
	})

	It("by a complete ARN finds the secret that was deleted, though another has its name now", func() {
		first := holding("db", "first")
		full := service().ARNOf(first)
		world.Remove(first)
		swept("db")
		second := environment.Secret(world.Namespace, "other-object", func(s *v1alpha1.Secret) { s.Spec.Name = "db" })
		world.Create(second)
		_, err := world.Secret.Reconcile(ctx, environment.Request(second))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(second)
		world.Seen(second)
		if second.Status.ARN == full {
			return // it took the versions back, which is the other way that this may end
		}
		Expect(find("db").Secret.UID).To(Equal(second.UID))
		Expect(find(full).Tombstone.Spec.Subject).To(Equal(full))
	})
})

var _ = Describe("A list of secrets", func() {
	It("has each secret of the region once, and those to be deleted on demand, with the date", func() {
		live, gone, far := holding("live", "x"), holding("gone", "x"), made("far", func(in *secretsmanager.CreateInput) { in.Region = abroad })
		world.Seen(far)
		at, err := service().Delete(ctx, gone, 9)
		Expect(err).NotTo(HaveOccurred())
		arns := func(region string, deleted bool) map[string]bool {
			GinkgoHelper()
			listed, err := service().List(ctx, world.Namespace, region, deleted)
			Expect(err).NotTo(HaveOccurred())
			out := map[string]bool{}
			for _, one := range listed {
				Expect(out).NotTo(HaveKey(one.ARN))
				out[one.ARN] = !one.Deleted.IsZero()
				if !one.Deleted.IsZero() {
					Expect(one.Deleted).To(BeTemporally("==", at))
				}
			}
			return out
		}
		liveARN, goneARN, farARN := service().ARNOf(live), service().ARNOf(gone), service().ARNOf(far)
		Expect(arns(home, false)).To(Equal(map[string]bool{liveARN: false}))
		Expect(arns(home, true)).To(Equal(map[string]bool{liveARN: false, goneARN: true}))
		Expect(arns(abroad, true)).To(Equal(map[string]bool{farARN: false}))
		_, err = service().Restore(ctx, find(goneARN).Tombstone)
		Expect(err).NotTo(HaveOccurred())
		Expect(arns(home, true)).To(Equal(map[string]bool{liveARN: false, goneARN: false}))
	})

	It("passes a tombstone over that was tampered with: the controller of Envelopes puts another one in its place", func() {
		gone := holding("gone", "x")
		_, err := service().Delete(ctx, gone, 0)
		Expect(err).NotTo(HaveOccurred())
		e := world.Envelopes(v1alpha1.EnvelopeTombstone)[0]
		damaged := world.Exchange(&e, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[len(e.Spec.Ciphertext)-1] ^= 1 })
		Expect(service().List(ctx, world.Namespace, home, true)).To(BeEmpty())
		Expect(service().List(ctx, world.Namespace, home, false)).To(BeEmpty())
		_, err = service().Exhume(damaged)
		Expect(err).To(MatchError(store.ErrTampered))
	})
})

var _ = Describe("A secret that is created with a value", func() {
	It("is not there if its request ends while the account's own key is being made", func() {
		within, end := context.WithTimeout(ctx, 500*time.Millisecond)
		defer end()
		_, err := service().Create(within, asked("waiting", func(in *secretsmanager.CreateInput) { in.KeyName, in.WithValue = "", true })) // no controller makes the key
		Expect(err).To(HaveOccurred())
		Expect(within.Err()).To(HaveOccurred(), "it has not waited")
		var list v1alpha1.SecretList
		Expect(world.ControlPlane.Client.List(ctx, &list, client.InNamespace(world.Namespace))).To(Succeed())
		Expect(list.Items).To(BeEmpty())
	})
})
