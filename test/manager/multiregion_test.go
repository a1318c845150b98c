package manager_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyimport"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

// Nobody calls a pass here either: what a key of another region needs is asked for by the watches.
var _ = Describe("A manager of multi-Region keys", func() {
	const abroad = environment.OtherRegion
	get := func(k *v1alpha1.KMSKey) *v1alpha1.KMSKey {
		GinkgoHelper()
		found := &v1alpha1.KMSKey{}
		Expect(client.IgnoreNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(k), found))).To(Succeed())
		return found
	}
	state := func(k *v1alpha1.KMSKey) func() v1alpha1.KeyState {
		return func() v1alpha1.KeyState { return get(k).Status.KeyState }
	}
	materials := func(k *v1alpha1.KMSKey) func() []v1alpha1.KeyMaterial {
		return func() []v1alpha1.KeyMaterial { return get(k).Status.KeyMaterials }
	}
	patch := func(k *v1alpha1.KMSKey, text string) {
		GinkgoHelper()
		Expect(cp.Client.Patch(ctx, k.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(text)))).To(Succeed())
	}

	It("brings material to replicas in whatever order they are applied, rotates, changes the primary and lets them go, and notes their use when it ends", func() {
		op := run(operator.Options{})
		service := op.Services.KMS
		replica := environment.KMSKey(namespace, "shop-eu", func(k *v1alpha1.KMSKey) {
			k.Spec.MultiRegion, k.Spec.Region, k.Spec.ReplicaOf = true, abroad, &v1alpha1.PrimaryKey{Name: "shop", Region: environment.Region}
		})
		Expect(cp.Client.Create(ctx, replica)).To(Succeed())
		primary := environment.KMSKey(namespace, "shop", func(k *v1alpha1.KMSKey) { k.Spec.MultiRegion = true })
		Expect(cp.Client.Create(ctx, primary)).To(Succeed())
		Eventually(state(primary)).Should(Equal(v1alpha1.KeyStateEnabled))
		Consistently(state(replica), 300*time.Millisecond).ShouldNot(Equal(v1alpha1.KeyStateEnabled))
		patch(primary, `{"spec":{"replicaRegions":[{"region":"eu-west-1","name":"shop-eu"}]}}`)
		Eventually(state(replica), 5*time.Second).Should(Equal(v1alpha1.KeyStateEnabled))

		By("rotating")
		patch(primary, `{"metadata":{"annotations":{"strongroom.dev/rotate":"now"}}}`)
		Eventually(materials(replica), 5*time.Second).Should(HaveLen(2))
		Expect(materials(replica)()).To(Equal(materials(primary)()))

		By("changing the primary, as a process does that dies after its first write")
		patch(primary, `{"metadata":{"annotations":{"strongroom.dev/primary-update":"{\"from\":\"shop\",\"to\":\"shop-eu\",\"replicaRegions\":[{\"region\":\"us-east-1\"}]}"}}}`)
		Eventually(func() bool {
			return !kms.IsReplica(get(replica)) && kms.IsReplica(get(primary)) && !kms.Updating(get(primary))
		}, 5*time.Second).Should(BeTrue())
		patch(replica, `{"metadata":{"annotations":{"strongroom.dev/rotate":"then"}}}`)
		Eventually(materials(primary), 5*time.Second).Should(HaveLen(3))
		blob, _, err := service.Encrypt(ctx, get(replica), keys.Encrypt, nil, secretbytes.Own([]byte("x")))
		Expect(err).NotTo(HaveOccurred())
		opened, err := service.Decrypt(ctx, get(primary), nil, blob)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(opened.Reveal())).To(Equal("x"))

		By("deleting the primary, which waits for its replica")
		patch(replica, `{"spec":{"deletion":{"scheduled":true}}}`)
		Eventually(state(replica)).Should(Equal(v1alpha1.KeyStatePendingReplicaDeletion))
		Expect(op.Stop()).To(Succeed())
		Expect(get(primary).Status.LastUsage).To(HaveField("Operation", v1alpha1.KeyOperation("Decrypt")), "a process that ends notes it")

		run(operator.Options{})
		Expect(cp.Client.Delete(ctx, get(primary))).To(Succeed())
		Eventually(func() string { return get(primary).Name }, 5*time.Second).Should(BeEmpty())
		Consistently(state(replica), 300*time.Millisecond).Should(Equal(v1alpha1.KeyStatePendingReplicaDeletion), "it can be had back with the material")
		var all v1alpha1.EnvelopeList
		Expect(cp.Client.List(ctx, &all, client.InNamespace(namespace))).To(Succeed())
		for i := range all.Items { // what the end of its window does
			if e := &all.Items[i]; e.Spec.Owner.Name == "shop" && e.Spec.Class == v1alpha1.EnvelopeKeyMaterial {
				Expect(cp.Client.Delete(ctx, e)).To(Succeed())
			}
		}
		Eventually(state(replica), 5*time.Second).Should(Equal(v1alpha1.KeyStatePendingDeletion))
		Expect(get(replica).Status.DeletionTime).NotTo(BeNil())
	})

	It("has replicas of imported material follow, and rotates when the last of them has the new material", func() {
		service := run(operator.Options{}).Services.KMS
		primary := environment.KMSKey(namespace, "shop", func(k *v1alpha1.KMSKey) {
			k.Spec.MultiRegion, k.Spec.Origin = true, v1alpha1.KeyOriginExternal
			k.Spec.ReplicaRegions = []v1alpha1.KeyReplicaRegion{{Region: abroad, Name: "shop-eu"}}
		})
		replica := environment.KMSKey(namespace, "shop-eu", func(k *v1alpha1.KMSKey) {
			k.Spec.MultiRegion, k.Spec.Region, k.Spec.ReplicaOf = true, abroad, &v1alpha1.PrimaryKey{Name: "shop", Region: environment.Region}
			k.Spec.Origin = v1alpha1.KeyOriginExternal
		})
		imports := func(k *v1alpha1.KMSKey, material byte, asked kms.Import) {
			GinkgoHelper()
			now := get(k)
			p, err := service.ParametersForImport(ctx, now, keyimport.OAEPSHA256, keys.RSA2048)
			Expect(err).NotTo(HaveOccurred())
			public, err := x509.ParsePKIXPublicKey(p.PublicKey)
			Expect(err).NotTo(HaveOccurred())
			wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), bytes.Repeat([]byte{material}, 32), nil)
			Expect(err).NotTo(HaveOccurred())
			_, err = service.ImportMaterial(ctx, now, kms.Wrapped{Token: p.Token, Material: wrapped}, asked, func(*v1alpha1.KMSKey) error { return nil })
			Expect(err).NotTo(HaveOccurred())
		}
		for _, k := range []*v1alpha1.KMSKey{replica, primary} {
			Expect(cp.Client.Create(ctx, k)).To(Succeed())
		}
		Eventually(state(replica), 5*time.Second).Should(Equal(v1alpha1.KeyStatePendingImport))
		imports(primary, 1, kms.Import{})
		Eventually(materials(replica), 5*time.Second).Should(HaveLen(1))
		Expect(state(replica)()).To(Equal(v1alpha1.KeyStatePendingImport))
		imports(replica, 1, kms.Import{})
		Expect(state(replica)()).To(Equal(v1alpha1.KeyStateEnabled))

		imports(primary, 2, kms.Import{Type: v1alpha1.ImportTypeNew})
		patch(primary, `{"metadata":{"annotations":{"strongroom.dev/rotate":"now"}}}`)
		Consistently(func() int32 { return get(primary).Status.OnDemandRotations }, 300*time.Millisecond).Should(BeZero())
		imports(replica, 2, kms.Import{})
		for _, k := range []*v1alpha1.KMSKey{primary, replica} {
			Eventually(func() int32 { return get(k).Status.OnDemandRotations }, 5*time.Second).Should(Equal(int32(1)), k.Name)
		}
		blob, _, err := service.Encrypt(ctx, get(replica), keys.Encrypt, nil, secretbytes.Own([]byte("x")))
		Expect(err).NotTo(HaveOccurred())
		opened, err := service.Decrypt(ctx, get(primary), nil, blob)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(opened.Reveal())).To(Equal("x"))
	})
})
