package kms_test

import (
	"errors"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

const theirs = "example.com/hold"

func TestAKeyIsGoneWhenItIsDeletedAndStrongroomsFinalizerIsOff(t *testing.T) {
	for name, tt := range map[string]struct {
		deleted    bool
		finalizers []string
		want       bool
	}{
		"a key":                                         {false, []string{kms.Finalizer}, false},
		"one that has had no pass":                      {false, nil, false},
		"one that has another's finalizer alone":        {false, []string{theirs}, false},
		"one that is deleted, and is needed":            {true, []string{kms.Finalizer}, false},
		"one that is deleted, and is needed and held":   {true, []string{theirs, kms.Finalizer}, false},
		"one that is deleted, and is held alone":        {true, []string{theirs}, true},
		"one that is deleted, and goes in this instant": {true, nil, true},
	} {
		key := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Finalizers: tt.finalizers}}
		if tt.deleted {
			key.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
		}
		if got := kms.Gone(key); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

var _ = Describe("A KMSKey that was deleted and that a finalizer of somebody else's holds", func() {
	const alias = "alias/shop"
	var (
		key     *v1alpha1.KMSKey
		account string
		before  []byte
	)
	BeforeEach(func() {
		account = arn.DeriveAccount(world.Namespace)
		key = world.ReadyKey("key", func(k *v1alpha1.KMSKey) { k.Spec.Aliases = []string{alias} })
		world.Update(key, func() { controllerutil.AddFinalizer(key, theirs) })
		DeferCleanup(func() {
			world.Refresh(key)
			key.Finalizers = nil
			Expect(world.ControlPlane.Client.Update(ctx, key)).To(Succeed())
		})
		var err error
		before, _, err = service().Encrypt(ctx, key, keys.Encrypt, nil, secretbytes.Copy([]byte("hush")))
		Expect(err).NotTo(HaveOccurred())
	})
	// there is how many ways find the key, of all that there are.
	there := func() (found int) {
		GinkgoHelper()
		s := service()
		header, err := keys.ParseHeader(before)
		Expect(err).NotTo(HaveOccurred())
		opening, err := s.FindOpening(ctx, environment.Region, header)
		Expect(err).NotTo(HaveOccurred())
		byID, err := s.Find(ctx, kms.Ref{Account: account, Region: environment.Region, KeyID: key.Status.KeyID})
		Expect(err).NotTo(HaveOccurred())
		byAlias, err := s.Find(ctx, kms.Ref{Account: account, Region: environment.Region, Alias: alias})
		Expect(err).NotTo(HaveOccurred())
		all, err := s.Of(ctx, world.Namespace, account, environment.Region)
		Expect(err).NotTo(HaveOccurred())
		for _, k := range []*v1alpha1.KMSKey{opening, byID, byAlias} {
			if k != nil && k.UID == key.UID {
				found++
			}
		}
		found += len(all)
		for _, find := range []func() (*v1alpha1.KMSKey, error){
			func() (*v1alpha1.KMSKey, error) { return s.ByName(ctx, world.Namespace, "key") },
			func() (*v1alpha1.KMSKey, error) { return s.SharedByName(ctx, world.Namespace, "key") },
			func() (*v1alpha1.KMSKey, error) { return s.ByARN(ctx, world.Namespace, key.Status.ARN) },
		} {
			_, err := find()
			if err == nil {
				found++
				continue
			}
			faultOf(err, v1alpha1.ReasonKeyNotFound, true)
		}
		return found
	}

	It("is found by nobody, by whatever name, from when Strongroom's finalizer is off, and not before", func() {
		Expect(there()).To(Equal(7))
		Expect(world.ControlPlane.Client.Delete(ctx, key)).To(Succeed())
		world.Refresh(key)
		world.Seen(key)
		Expect(there()).To(Equal(7), "it is there for as long as something may need it")
		world.ReconcileKey(key)
		Expect(there()).To(BeZero())
	})

	It("is changed by nobody, and its alias is given to another", func() {
		old := key.DeepCopy()
		Expect(world.ControlPlane.Client.Delete(ctx, key)).To(Succeed())
		world.Refresh(key)
		world.Seen(key)
		world.ReconcileKey(key)
		disable := func(k *v1alpha1.KMSKey) error {
			off := false
			k.Spec.Enabled = &off
			return nil
		}
		for _, of := range []*v1alpha1.KMSKey{key, old} { // as it is, and as a request has read it before
			_, err := service().Change(ctx, of, disable)
			Expect(errors.Is(err, kms.ErrGone)).To(BeTrue(), "%v", err)
		}
		next := world.ReadyKey("next")
		Expect(service().CreateAlias(ctx, next, alias)).To(Succeed())
		Expect(service().Find(ctx, kms.Ref{Account: account, Region: environment.Region, Alias: alias})).To(HaveField("UID", next.UID))
		world.Refresh(key)
		Expect(key.Spec.Enabled).To(BeNil())
	})

	It("as a replica keeps its region from no other", func() {
		primary := multiRegionPrimary("shop")
		first := replicaIn(primary, environment.OtherRegion)
		world.Update(first, func() { controllerutil.AddFinalizer(first, theirs) })
		DeferCleanup(func() {
			world.Refresh(first)
			first.Finalizers = nil
			Expect(world.ControlPlane.Client.Update(ctx, first)).To(Succeed())
		})
		Expect(world.ControlPlane.Client.Delete(ctx, first)).To(Succeed())
		world.Refresh(first)
		world.Seen(first)
		world.ReconcileKey(first)
		second := replicaIn(primary, environment.OtherRegion)
		Expect(second.Name).NotTo(Equal(first.Name))
		Expect(second.Status.KeyMaterials).To(HaveLen(1))
		Expect(second.Status.ARN).To(Equal(first.Status.ARN))
	})
})
