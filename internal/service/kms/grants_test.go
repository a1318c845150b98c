package kms_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/grants"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/principals"
	"strongroom.dev/strongroom/test/environment"
)

const shopRole = "arn:aws:iam::111122223333:role/shop"

// shopID is whom that ARN means.
var shopID = map[string]string{shopRole: "AROASHOP"}

func grantSpec(name string, operations ...v1alpha1.GrantOperation) v1alpha1.KMSGrantSpec {
	return v1alpha1.KMSGrantSpec{Name: name, GranteePrincipal: shopRole, Operations: operations}
}

// behind is the reader of a replica that has not been told of any grant yet.
type behind struct{ client.Reader }

func (b behind) Get(ctx context.Context, name client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if _, ok := obj.(*v1alpha1.KMSGrant); ok {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "kmsgrants"}, name.Name)
	}
	return b.Reader.Get(ctx, name, obj, opts...)
}

func (b behind) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if _, ok := list.(*v1alpha1.KMSGrantList); ok {
		return nil
	}
	return b.Reader.List(ctx, list, opts...)
}

// counted counts the reads of the API server.
type counted struct {
	client.Reader
	mu    sync.Mutex
	reads int
}

func (c *counted) Get(ctx context.Context, name client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	c.mu.Lock()
	c.reads++
	c.mu.Unlock()
	return c.Reader.Get(ctx, name, obj, opts...)
}

var _ = Describe("The token of a grant", func() {
	made := func() (*v1alpha1.KMSKey, *v1alpha1.KMSGrant, string) {
		GinkgoHelper()
		key := world.ReadyKey("k")
		grant, err := service().CreateGrant(ctx, key, grantSpec("", "Decrypt"), shopID)
		Expect(err).NotTo(HaveOccurred())
		token, err := service().GrantToken(grant, key.Status.ARN)
		Expect(err).NotTo(HaveOccurred())
		return key, grant, token
	}
	// other is a replica that is behind, and what it asks the API server.
	other := func() (*kms.Service, *counted) {
		live := &counted{Reader: world.Services.KMS.Live}
		return service(func(s *kms.Service) { s.Reader, s.Live = behind{s.Reader}, live }), live
	}

	It("finds it in a replica whose cache lacks it, where nothing else does", func() {
		key, grant, token := made()
		replica, live := other()
		who := iam.Principal{Account: "111122223333", RoleARN: shopRole, ARN: "arn:aws:sts::111122223333:assumed-role/shop/pod"}
		wanted := kms.Wanted{Operation: "Decrypt"}
		Expect(replica.Grantees(ctx, key, who, nil, wanted)).To(BeEmpty())
		Expect(live.reads).To(BeZero())
		found, err := replica.OpenGrantToken(ctx, token)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Grant.UID).To(Equal(grant.UID))
		Expect(found.KeyARN).To(Equal(key.Status.ARN))
		Expect(found.Key.Name).To(Equal(key.Name))
		Expect(replica.Grantees(ctx, key, who, []v1alpha1.KMSGrant{*found.Grant}, wanted)).To(Equal([]iam.Grantee{{ARN: shopRole, UniqueID: shopID[shopRole]}}))
		Expect(replica.Grantees(ctx, world.ReadyKey("l"), who, []v1alpha1.KMSGrant{*found.Grant}, wanted)).To(BeEmpty(), "of another key")
		Expect(service().OpenGrantToken(ctx, token)).To(HaveField("Grant.UID", grant.UID))
	})

	It("costs no request where the cache has the grant, and one for each that is gone", func() {
		_, grant, token := made()
		live := &counted{Reader: world.Services.KMS.Live}
		near := service(func(s *kms.Service) { s.Live = live })
		Expect(near.OpenGrantToken(ctx, token)).To(HaveField("Grant.UID", grant.UID))
		Expect(live.reads).To(BeZero())
		world.Remove(grant)
		for range 3 {
			Expect(near.OpenGrantToken(ctx, token)).To(HaveField("Grant", BeNil()))
		}
		Expect(live.reads).To(Equal(1))
	})

	It("is of that grant, and not of one that is made again in its place", func() {
		key := world.ReadyKey("k")
		first, err := service().CreateGrant(ctx, key, grantSpec("n", "Decrypt"), shopID)
		Expect(err).NotTo(HaveOccurred())
		token, err := service().GrantToken(first, key.Status.ARN)
		Expect(err).NotTo(HaveOccurred())
		Expect(service().DeleteGrant(ctx, first)).To(Succeed())
		again, err := service().CreateGrant(ctx, key, grantSpec("n", "Decrypt"), shopID)
		Expect(err).NotTo(HaveOccurred())
		Expect(again.Name).To(Equal(first.Name))
		Expect(service().OpenGrantToken(ctx, token)).To(HaveField("Grant", BeNil()))
		Expect(service().DeleteGrant(ctx, first)).To(MatchError(kms.ErrGrantGone), "the object that was read, and no other")
		Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(again), &v1alpha1.KMSGrant{})).To(Succeed())
	})

	It("asks the API server for five minutes, which is as long as it needs, and finds the grant in the cache for ever", func() {
		_, grant, token := made()
		replica, live := other()
		world.Clock.Set(world.Clock.Now().Add(6 * time.Minute))
		Expect(replica.OpenGrantToken(ctx, token)).To(HaveField("Grant", BeNil()))
		Expect(live.reads).To(BeZero())
		Expect(service().OpenGrantToken(ctx, token)).To(HaveField("Grant.UID", grant.UID))
	})

	It("is refused if a bit of it is another, if it is another kind of token, or none", func() {
		_, _, token := made()
		for i := range len(token) {
			broken := token[:i] + string(rune(token[i]^1)) + token[i+1:]
			_, err := service().OpenGrantToken(ctx, broken)
			Expect(err).To(MatchError(kms.ErrGrantToken), "byte %d", i)
		}
		for _, text := range []string{"", "x", token[:len(token)-1], token + "A", strings.Repeat("A", kms.MaximumGrantToken+1)} {
			_, err := service().OpenGrantToken(ctx, text)
			Expect(err).To(MatchError(kms.ErrGrantToken))
		}
	})

	It("cannot be had or read while the root is sealed", func() {
		key, grant, token := made()
		unseal := world.Seal(keyring.ErrSealed)
		defer unseal()
		_, err := service().GrantToken(grant, key.Status.ARN)
		Expect(err).To(MatchError(keyring.ErrSealed))
		_, err = service().OpenGrantToken(ctx, token)
		Expect(err).To(MatchError(keyring.ErrSealed))
	})
})

var _ = Describe("A grant that is created", func() {
	It("under a name by many replicas at once is one", func() {
		key := world.ReadyKey("k")
		ids := make(chan string, 8)
		var all sync.WaitGroup
		for range cap(ids) {
			all.Go(func() {
				defer GinkgoRecover()
				s := service(func(s *kms.Service) { s.Reader = noGrants{s.Reader} })
				grant, err := s.CreateGrant(ctx, key, grantSpec("n", "Encrypt", "Decrypt"), shopID)
				Expect(err).NotTo(HaveOccurred())
				ids <- kms.GrantID(grant)
			})
		}
		all.Wait()
		close(ids)
		first := <-ids
		for id := range ids {
			Expect(id).To(Equal(first))
		}
		Expect(service().GrantsOfKey(ctx, key)).To(HaveLen(1))
	})

	It("under a name again after another replica has deleted it is there again, though the cache still has the former", func() {
		key := world.ReadyKey("k")
		first, err := service().CreateGrant(ctx, key, grantSpec("n", "Decrypt"), shopID)
		Expect(err).NotTo(HaveOccurred())
		Expect(world.ControlPlane.Client.Delete(ctx, first.DeepCopy())).To(Succeed()) // nobody here is told but by the watch
		again, err := service().CreateGrant(ctx, key, grantSpec("n", "Decrypt"), shopID)
		Expect(err).NotTo(HaveOccurred())
		Expect(again.UID).NotTo(Equal(first.UID))
		there := &v1alpha1.KMSGrant{}
		Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(again), there)).To(Succeed())
		Expect(there.UID).To(Equal(again.UID))
	})

	It("under a name is not the object that somebody gave that name and other contents", func() {
		key := world.ReadyKey("k")
		made, err := service().CreateGrant(ctx, key, grantSpec("n", "Decrypt"), shopID)
		Expect(err).NotTo(HaveOccurred())
		Expect(service().DeleteGrant(ctx, made)).To(Succeed())
		other := &v1alpha1.KMSGrant{ObjectMeta: metav1.ObjectMeta{Namespace: made.Namespace, Name: made.Name, Labels: made.Labels}, Spec: *made.Spec.DeepCopy()}
		other.Spec.Operations = []v1alpha1.GrantOperation{"Encrypt"}
		world.Create(other)
		_, err = service().CreateGrant(ctx, key, grantSpec("n", "Decrypt"), shopID)
		Expect(err).To(MatchError(ContainSubstring("is another than the one that is asked for")))
	})

	It("under a name is not the object that somebody has made to end with another, or to outlive its key", func() {
		key := world.ReadyKey("k")
		made, err := service().CreateGrant(ctx, key, grantSpec("n", "Decrypt"), shopID)
		Expect(err).NotTo(HaveOccurred())
		labels := made.Labels
		for _, planted := range []metav1.ObjectMeta{
			{Labels: labels, OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "mine", UID: "2b1c8a3e-0000-4000-8000-000000000001"}}},
			{Labels: map[string]string{"a": "b"}},
			{Labels: labels, Finalizers: []string{"example.com/kept"}}, // it would not go when it is revoked
		} {
			Expect(service().DeleteGrant(ctx, made)).To(Succeed())
			planted.Namespace, planted.Name = made.Namespace, made.Name
			made = &v1alpha1.KMSGrant{ObjectMeta: planted, Spec: *made.Spec.DeepCopy()}
			world.Create(made)
			_, err := service().CreateGrant(ctx, key, grantSpec("n", "Decrypt"), shopID)
			Expect(err).To(MatchError(kms.ErrGrantGone))
		}
	})

	It("under a name for who was made again under an ARN is another than the one for who had it before", func() {
		key := world.ReadyKey("k")
		before, err := service().CreateGrant(ctx, key, grantSpec("n", "Decrypt"), shopID)
		Expect(err).NotTo(HaveOccurred())
		after, err := service().CreateGrant(ctx, key, grantSpec("n", "Decrypt"), map[string]string{shopRole: "AROAAGAIN"})
		Expect(err).NotTo(HaveOccurred())
		Expect(after.Name).NotTo(Equal(before.Name), "a success that allows nothing")
		Expect(principals.BoundOfGrant(before, shopRole)).To(Equal("AROASHOP"))
		Expect(principals.BoundOfGrant(after, shopRole)).To(Equal("AROAAGAIN"))
	})

	It("means from the answer on whom it meant in the request, also when the first attempt died in between", func() {
		for n := 1; ; n++ {
			key := world.ReadyKey(fmt.Sprintf("k%d", n))
			_, faulty := world.Faulty()
			s := service(func(s *kms.Service) { s.Client = faulty })
			faulty.FailAt(n, false)
			grant, err := s.CreateGrant(ctx, key, grantSpec("n", "Decrypt"), shopID)
			made := faulty.Writes()
			if faulty.FailAt(0, false); err != nil {
				grant, err = s.CreateGrant(ctx, key, grantSpec("n", "Decrypt"), shopID)
			}
			Expect(err).NotTo(HaveOccurred())
			there := &v1alpha1.KMSGrant{}
			Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(grant), there)).To(Succeed())
			Expect(principals.BoundOfGrant(there, shopRole)).To(Equal("AROASHOP"), "write %d", n)
			if made < n {
				Expect(n).To(Equal(3), "two writes")
				return
			}
		}
	})

	It("or deleted, and dies at its write, is whole or not there, and the same request makes it so", func() {
		for _, after := range []bool{false, true} {
			key := world.ReadyKey(map[bool]string{false: "before", true: "after"}[after])
			_, client := world.Faulty()
			s := service(func(s *kms.Service) { s.Client = client })
			client.FailAt(1, after)
			_, err := s.CreateGrant(ctx, key, grantSpec("n", "Decrypt"), shopID)
			Expect(err).To(MatchError(environment.ErrInjected))
			client.FailAt(0, false)
			grant, err := s.CreateGrant(ctx, key, grantSpec("n", "Decrypt"), shopID)
			Expect(err).NotTo(HaveOccurred())
			Eventually(func() ([]v1alpha1.KMSGrant, error) { return service().GrantsOfKey(ctx, key) }).Should(HaveLen(1))

			client.FailAt(1, after)
			Expect(s.DeleteGrant(ctx, grant)).To(MatchError(environment.ErrInjected))
			client.FailAt(0, false)
			if err := s.DeleteGrant(ctx, grant); after {
				Expect(err).To(MatchError(kms.ErrGrantGone))
			} else {
				Expect(err).NotTo(HaveOccurred())
			}
			Eventually(func() ([]v1alpha1.KMSGrant, error) { return service().GrantsOfKey(ctx, key) }).Should(BeEmpty())
		}
	})

	It("is refused beyond the limit of a key", func() {
		s := service(func(s *kms.Service) { s.Reader = crowded{s.Reader} })
		_, err := s.CreateGrant(ctx, world.ReadyKey("k"), grantSpec("", "Decrypt"), shopID)
		Expect(err).To(MatchError(kms.ErrTooManyGrants))
	})

	It("has the id that its object is named by, or one of its UID", func() {
		id := strings.Repeat("0f", 32)
		Expect(kms.GrantID(&v1alpha1.KMSGrant{ObjectMeta: metav1.ObjectMeta{Name: id, UID: "u"}})).To(Equal(id))
		Expect(kms.GrantID(&v1alpha1.KMSGrant{ObjectMeta: metav1.ObjectMeta{Name: "app", UID: "u"}})).To(MatchRegexp("^[0-9a-f]{64}$"))
		Expect(kms.GrantID(&v1alpha1.KMSGrant{ObjectMeta: metav1.ObjectMeta{Name: "app", UID: "v"}})).
			NotTo(Equal(kms.GrantID(&v1alpha1.KMSGrant{ObjectMeta: metav1.ObjectMeta{Name: "app", UID: "u"}})))
	})
})

// noGrants lists no grants, as the cache of a replica does to which none was told.
type noGrants struct{ client.Reader }

func (n noGrants) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return behind(n).List(ctx, list, opts...)
}

// crowded lists as many grants as a key can have.
type crowded struct{ client.Reader }

func (c crowded) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if all, ok := list.(*v1alpha1.KMSGrantList); ok {
		all.Items = make([]v1alpha1.KMSGrant, grants.MaximumPerKey)
		return nil
	}
	return c.Reader.List(ctx, list, opts...)
}

var _ = Describe("Grants of a key", func() {
	It("are of the key whose id they have, and not of another of its name", func() {
		key := world.ReadyKey("k")
		other := &v1alpha1.KMSGrant{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: "other"}, Spec: grantSpec("", "Decrypt")}
		other.Spec.KMSKeyRef.Name, other.Spec.KeyID = key.Name, otherKeyID
		world.Create(other)
		Expect(service().GrantsOfKey(ctx, key)).To(BeEmpty())
		own := &v1alpha1.KMSGrant{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: "own"}, Spec: other.Spec}
		own.Spec.KeyID = key.Status.KeyID
		world.Create(own)
		Expect(service().GrantsOfKey(ctx, key)).To(HaveLen(1))
		Expect(service().FindGrant(ctx, key, kms.GrantID(own))).To(HaveField("Name", "own"))
		Expect(service().FindGrant(ctx, key, kms.GrantID(other))).To(BeNil())
	})
})

// A page token is sealed under the same key: what a token is of is bound to it.
var _ = It("A token of another kind is no grant token", func() {
	ring, err := world.Services.KMS.Keyring.Get()
	Expect(err).NotTo(HaveOccurred())
	sealed, err := ring.Seal(keys.KindPageToken, keys.Context{"token": "grant"}, secretbytes.Own([]byte(`{"ns":"a","n":"b","u":"c"}`)))
	Expect(err).NotTo(HaveOccurred())
	_, err = service().OpenGrantToken(ctx, base64.RawURLEncoding.EncodeToString(sealed))
	Expect(err).To(MatchError(kms.ErrGrantToken))
})
