package kms_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

// overtaken is a client that lets somebody else be first before each write of status, once.
type overtaken struct {
	client.Client
	once sync.Once
	by   func()
}

func (o *overtaken) Status() client.SubResourceWriter { return overtakenStatus{o.Client.Status(), o} }

type overtakenStatus struct {
	client.SubResourceWriter
	o *overtaken
}

func (s overtakenStatus) Update(ctx context.Context, obj client.Object, opts ...client.SubResourceUpdateOption) error {
	s.o.once.Do(s.o.by)
	return s.SubResourceWriter.Update(ctx, obj, opts...)
}

// ending is a cache in which a read of a key ends the request.
type ending struct {
	client.Client
	end func()
}

func (e *ending) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if _, is := obj.(*v1alpha1.KMSKey); is {
		e.end()
		return ctx.Err()
	}
	return e.Client.Get(ctx, key, obj, opts...)
}

var _ = Describe("A key that is created", func() {
	It("and that its controller has made ready first is the same key, with the one material", func() {
		key := kms.New(world.Namespace, v1alpha1.KMSKeySpec{})
		s := service(func(s *kms.Service) {
			s.Client = &overtaken{Client: s.Client, by: func() {
				defer GinkgoRecover()
				Eventually(func() error {
					_, err := world.KMSKey.Reconcile(ctx, environment.Request(key))
					return err
				}).Should(Succeed())
			}}
		})
		made, err := s.Create(ctx, key)
		Expect(err).NotTo(HaveOccurred())
		Expect(made.Status.KeyMaterials).To(HaveLen(1))
		Expect(stored()).To(HaveLen(1))
		Expect(made.Status.KeyMaterials[0].ID).To(Equal(stored()[0].Spec.Version))
		Expect(made.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
		Expect(made.Status.Conditions).To(ContainElement(And(HaveField("Type", "Ready"), HaveField("Status", BeEquivalentTo("True")))), "the controller's word stays")
	})

	It("for a request that ends while it waits for the cache is deleted again, since its caller does not know it", func() {
		key := kms.New(world.Namespace, v1alpha1.KMSKeySpec{})
		within, end := context.WithCancel(ctx)
		s := service(func(s *kms.Service) { s.Reader = &ending{Client: s.Reader.(client.Client), end: end} })
		_, err := s.Create(within, key)
		Expect(err).To(MatchError(context.Canceled))
		there := &v1alpha1.KMSKey{}
		err = world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(key), there)
		Expect(client.IgnoreNotFound(err)).To(Succeed())
		Expect(err != nil || !there.DeletionTimestamp.IsZero()).To(BeTrue(), "a key is left that nobody knows of")
	})

	It("and deleted before it had a material is an error, and leaves none that is in use", func() {
		key := kms.New(world.Namespace, v1alpha1.KMSKeySpec{})
		s := service(func(s *kms.Service) {
			s.Client = &overtaken{Client: s.Client, by: func() {
				defer GinkgoRecover()
				there := &v1alpha1.KMSKey{}
				Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(key), there)).To(Succeed())
				there.Finalizers = nil
				Expect(world.ControlPlane.Client.Update(ctx, there)).To(Succeed())
				Expect(world.ControlPlane.Client.Delete(ctx, there)).To(Succeed())
			}}
		})
		_, err := s.Create(ctx, key)
		Expect(err).To(HaveOccurred())
	})

	It("has its id in its name, its region and account in its ARN, and a finalizer before it has material", func() {
		for _, region := range []string{"", "eu-west-1"} {
			key := kms.New(world.Namespace, v1alpha1.KMSKeySpec{Region: region})
			Expect(key.Finalizers).To(Equal([]string{kms.Finalizer}))
			made, err := service().Create(ctx, key)
			Expect(err).NotTo(HaveOccurred())
			want := arn.KMSKey(map[string]string{"": "us-east-1"}[region]+region, arn.DeriveAccount(world.Namespace), key.Name)
			Expect(made.Status.ARN).To(Equal(want))
			Expect(made.Status.KeyID).To(Equal(key.Name))
		}
	})

	It("in a namespace that is not there, or while the root is sealed, makes nothing", func() {
		_, err := service().Create(ctx, kms.New("no-such-namespace", v1alpha1.KMSKeySpec{}))
		Expect(err).To(HaveOccurred())
		world.Seal(errors.New("sealed"))
		_, err = service().Create(ctx, kms.New(world.Namespace, v1alpha1.KMSKeySpec{}))
		Expect(err).To(MatchError(keyring.ErrSealed))
		var list v1alpha1.KMSKeyList
		Expect(world.ControlPlane.Client.List(ctx, &list, client.InNamespace(world.Namespace))).To(Succeed())
		Expect(list.Items).To(BeEmpty())
	})
})

var _ = Describe("Changing a key", func() {
	It("writes nothing where nothing changes, nor where the change refuses, and answers with what is there", func() {
		key := world.ReadyKey("key")
		same, err := service().Change(ctx, key, func(*v1alpha1.KMSKey) error { return nil })
		Expect(err).NotTo(HaveOccurred())
		Expect(same.ResourceVersion).To(Equal(key.ResourceVersion))
		refused := errors.New("refused")
		_, err = service().Change(ctx, key, func(k *v1alpha1.KMSKey) error { k.Spec.Description = "x"; return refused })
		Expect(err).To(BeIdenticalTo(refused))
		before := key.DeepCopy()
		world.Refresh(key)
		Expect(key.ResourceVersion).To(Equal(before.ResourceVersion))
	})

	It("sees what a faster writer left, and keeps it", func() {
		key := world.ReadyKey("key")
		tries := 0
		after, err := service().Change(ctx, key, func(k *v1alpha1.KMSKey) error {
			if tries++; tries <= 3 {
				other := key.DeepCopy()
				world.Update(other, func() { other.Spec.Aliases = append(other.Spec.Aliases, fmt.Sprintf("alias/%d", tries)) })
			}
			k.Spec.Description = fmt.Sprint("seen ", len(k.Spec.Aliases))
			return nil
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(after.Spec).To(And(HaveField("Description", "seen 3"), HaveField("Aliases", HaveLen(3))))
	})

	It("that others come before every time ends in a conflict", func() {
		key := world.ReadyKey("key")
		tries := 0
		_, err := service().Change(ctx, key, func(k *v1alpha1.KMSKey) error {
			tries++
			other := key.DeepCopy()
			world.Update(other, func() { other.Spec.Description = fmt.Sprint(tries) })
			k.Spec.Enabled = ptr.To(false)
			return nil
		})
		Expect(err).To(MatchError(ContainSubstring("the object has been modified")))
		Expect(tries).To(Equal(16))
	})

	It("that goes, or is another of its name by now, is gone", func() {
		for _, again := range []bool{false, true} {
			key := environment.KMSKey(world.Namespace, "key")
			world.Create(key)
			gone := false
			_, err := service().Change(ctx, key, func(k *v1alpha1.KMSKey) error {
				if !gone {
					world.Remove(key)
					if again {
						world.Create(environment.KMSKey(world.Namespace, "key"))
					}
					gone = true
				}
				k.Spec.Description = "x"
				return nil
			})
			Expect(err).To(MatchError(kms.ErrGone), "made again: %t", again)
		}
		there := environment.KMSKey(world.Namespace, "key")
		world.Refresh(there)
		Expect(there.Spec.Description).To(BeEmpty())
	})

	It("by 32 at once loses no change", func() {
		key := world.ReadyKey("key")
		var wait sync.WaitGroup
		for n := range 32 {
			wait.Go(func() {
				defer GinkgoRecover()
				_, err := service().Change(ctx, key, func(k *v1alpha1.KMSKey) error {
					k.Spec.Tags = append(k.Spec.Tags, v1alpha1.Tag{Key: fmt.Sprint("k", n), Value: "x"})
					return nil
				})
				Expect(err).NotTo(HaveOccurred())
			})
		}
		wait.Wait()
		world.Refresh(key)
		Expect(key.Spec.Tags).To(HaveLen(32))
	})
})

var _ = Describe("An alias of keys", func() {
	aliases := func(keys ...*v1alpha1.KMSKey) (out []string) {
		GinkgoHelper()
		for _, k := range keys {
			world.Refresh(k)
			out = append(out, fmt.Sprint(k.Spec.Aliases))
		}
		return out
	}

	It("goes to a key that was read before it had another, and from all that claim it", func() {
		one, two, three := world.ReadyKey("one"), world.ReadyKey("two"), world.ReadyKey("three")
		Expect(service().CreateAlias(ctx, one, "alias/shop")).To(Succeed())
		stale := one.DeepCopy()
		world.Refresh(stale) // has the alias
		Expect(service().UpdateAlias(ctx, two, "alias/shop")).To(Succeed())
		Expect(service().UpdateAlias(ctx, stale, "alias/shop")).To(Succeed())
		Expect(aliases(one, two)).To(Equal([]string{"[alias/shop]", "[]"}), "a stale copy that has the alias does not lose it")
		for _, k := range []*v1alpha1.KMSKey{two, three} {
			world.Update(k, func() { k.Spec.Aliases = []string{"alias/shop", "alias/" + k.Name} })
		}
		Expect(service().DeleteAlias(ctx, one, "alias/shop")).To(Succeed())
		Expect(aliases(one, two, three)).To(Equal([]string{"[]", "[alias/two]", "[alias/three]"}))
		Expect(service().DeleteAlias(ctx, one, "alias/shop")).To(Succeed(), "it is gone, as was asked")
	})

	It("is made of no stale copy that has it: that one is told the truth", func() {
		key := world.ReadyKey("key")
		Expect(service().CreateAlias(ctx, key, "alias/shop")).To(Succeed())
		world.Refresh(key)
		Expect(service().DeleteAlias(ctx, key, "alias/shop")).To(Succeed())
		Expect(service().CreateAlias(ctx, key, "alias/shop")).To(Succeed()) // key has it, by the copy
		Expect(aliases(key)).To(Equal([]string{"[alias/shop]"}))
		Expect(service().CreateAlias(ctx, key, "alias/shop")).To(MatchError(kms.ErrAliasExists))
	})

	It("of a key that is gone is not made, and one of another region is not in the way", func() {
		here, far := world.ReadyKey("here"), world.ReadyKey("far", func(k *v1alpha1.KMSKey) { k.Spec.Region = "eu-west-1" })
		for _, k := range []*v1alpha1.KMSKey{here, far} {
			Expect(service().CreateAlias(ctx, k, "alias/shop")).To(Succeed())
		}
		Expect(service().DeleteAlias(ctx, far, "alias/shop")).To(Succeed())
		Expect(aliases(here, far)).To(Equal([]string{"[alias/shop]", "[]"}))
		gone := environment.KMSKey(world.Namespace, "gone")
		world.Create(gone)
		world.Remove(gone)
		gone.Status.ARN = arn.KMSKey("us-east-1", arn.DeriveAccount(world.Namespace), keyID)
		Expect(service().CreateAlias(ctx, gone, "alias/new")).To(MatchError(kms.ErrGone))
		Expect(service().UpdateAlias(ctx, gone, "alias/shop")).To(MatchError(kms.ErrGone))
		Expect(aliases(here)).To(Equal([]string{"[alias/shop]"}), "and what has it keeps it")
	})
})

var _ = Describe("A key that is looked for", func() {
	It("is found by id and by alias in its account and region, with or without the namespace, and nowhere else", func() {
		account := arn.DeriveAccount(world.Namespace)
		key := world.ReadyKey("key", func(k *v1alpha1.KMSKey) { k.Spec.Aliases = []string{"alias/shop"} })
		other := world.NewNamespace()
		for _, namespace := range []string{"", world.Namespace} {
			for _, ref := range []kms.Ref{{KeyID: key.Status.KeyID}, {Alias: "alias/shop"}} {
				ref.Namespace, ref.Account, ref.Region = namespace, account, "us-east-1"
				found, err := service().Find(ctx, ref)
				Expect(err).NotTo(HaveOccurred())
				Expect(found.UID).To(Equal(key.UID))
				for name, change := range map[string]func(*kms.Ref){
					"another region":  func(r *kms.Ref) { r.Region = "eu-west-1" },
					"another account": func(r *kms.Ref) { r.Account, r.Namespace = arn.DeriveAccount(other), "" },
					"nobody's":        func(r *kms.Ref) { r.Account, r.Namespace = "999999999999", "" },
					"another name": func(r *kms.Ref) {
						if r.Alias != "" {
							r.Alias = "alias/Shop"
						} else {
							r.KeyID = otherKeyID
						}
					},
				} {
					wrong := ref
					change(&wrong)
					found, err := service().Find(ctx, wrong)
					Expect(err).NotTo(HaveOccurred())
					Expect(found).To(BeNil(), name)
				}
			}
		}
	})

	It("for a ciphertext is the one that has its material, not one that claims its id", func() {
		key := world.ReadyKey("key")
		blob, _, err := service().Encrypt(ctx, key, "Encrypt", nil, secretbytes.Copy([]byte("x")))
		Expect(err).NotTo(HaveOccurred())
		thief := key.DeepCopy()
		thief.ObjectMeta = environment.KMSKey(world.NewNamespace(), "thief").ObjectMeta
		world.Create(thief)
		thief.Status = *key.Status.DeepCopy()
		thief.Status.KeyMaterials[0].ID = strings.Repeat("0", 64)
		Expect(world.ControlPlane.Client.Status().Update(ctx, thief)).To(Succeed())
		world.Seen(thief)
		h, err := headerOf(blob)
		Expect(err).NotTo(HaveOccurred())
		for range 10 {
			found, err := service().FindOpening(ctx, "us-east-1", h)
			Expect(err).NotTo(HaveOccurred())
			Expect(found.UID).To(Equal(key.UID))
		}
		found, err := service().FindOpening(ctx, "eu-west-1", h)
		Expect(err).NotTo(HaveOccurred())
		Expect(found).To(BeNil(), "a ciphertext is of one region")
		h.MaterialID[0] ^= 1
		found, err = service().FindOpening(ctx, "us-east-1", h)
		Expect(err).NotTo(HaveOccurred())
		Expect(found).To(BeNil())
	})

	It("in a list is in the order of ids, and of one account and region", func() {
		var want []string
		for n := range 5 {
			want = append(want, world.ReadyKey(fmt.Sprint("key-", n)).Status.KeyID)
		}
		world.ReadyKey("far", func(k *v1alpha1.KMSKey) { k.Spec.Region = "eu-west-1" })
		world.Create(environment.KMSKey(world.Namespace, "new")) // has no ARN yet
		slices.Sort(want)
		listed, err := service().Of(ctx, world.Namespace, arn.DeriveAccount(world.Namespace), "us-east-1")
		Expect(err).NotTo(HaveOccurred())
		var got []string
		for i := range listed {
			got = append(got, listed[i].Status.KeyID)
		}
		Expect(got).To(Equal(want))
		listed, err = service().Of(ctx, world.Namespace, "999999999999", "us-east-1")
		Expect(err).NotTo(HaveOccurred())
		Expect(listed).To(BeEmpty(), "the namespace's former account has none")
	})
})
