package kmskey_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/kmskey"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// life is a step in a key's life that is made to die at each of its writes.
type life struct {
	name string
	// writes that the step takes when nothing dies.
	writes []string
	// begin brings a key to the point before the step.
	begin func(name string) *v1alpha1.KMSKey
	// check is what must be true at the end, wherever it died. before is the key as begin left it.
	check func(k, before *v1alpha1.KMSKey)
}

var lives = []life{
	{
		name: "the creation", writes: []string{"patch", "create", "status"},
		begin: func(name string) *v1alpha1.KMSKey {
			k := environment.KMSKey(namespace, name)
			create(k)
			return k
		},
		check: func(k, _ *v1alpha1.KMSKey) {
			Expect(k.Status.KeyID).To(Equal(string(k.UID)))
			Expect(k.Status.KeyMaterials).To(HaveLen(1))
			Expect(k.Status.KeyMaterials[0].RotationType).To(BeEmpty())
		},
	},
	{
		name: "a rotation on demand", writes: []string{"create", "status"},
		begin: func(name string) *v1alpha1.KMSKey {
			k := readyNamed(name)
			update(k, annotate(k, "now"))
			return k
		},
		check: func(k, _ *v1alpha1.KMSKey) {
			Expect(rotations(k)).To(Equal([]v1alpha1.RotationType{"", v1alpha1.RotationOnDemand}))
			Expect(k.Status.OnDemandRotations).To(Equal(int32(1)))
			Expect(k.Status.LastHandledRotateAt).To(Equal("now"))
		},
	},
	{
		name: "an automatic rotation", writes: []string{"create", "status"},
		begin: func(name string) *v1alpha1.KMSKey {
			k := readyNamed(name, func(k *v1alpha1.KMSKey) {
				k.Spec.Rotation = &v1alpha1.KeyRotation{Enabled: true, PeriodInDays: 90}
			})
			env.Clock.Set(k.Status.NextRotationTime.Add(time.Minute))
			return k
		},
		check: func(k, before *v1alpha1.KMSKey) {
			Expect(rotations(k)).To(Equal([]v1alpha1.RotationType{"", v1alpha1.RotationAutomatic}))
			Expect(k.Status.OnDemandRotations).To(BeZero())
			Expect(k.Status.NextRotationTime.Time).To(BeTemporally("~", before.Status.NextRotationTime.AddDate(0, 0, 90), 2*time.Hour))
		},
	},
	{
		name: "the return of a deleted key", writes: []string{"patch", "status"},
		begin: func(name string) *v1alpha1.KMSKey {
			k := readyNamed(name)
			update(k, annotate(k, "now"))
			reconcile(k)
			former := k.Status.DeepCopy()
			buryNamed(k)
			k = environment.KMSKey(namespace, name)
			create(k)
			k.Status = *former // what check compares with
			return k
		},
		check: func(k, before *v1alpha1.KMSKey) {
			Expect(k.Status.KeyID).To(Equal(before.Status.KeyID))
			Expect(k.Status.ARN).To(Equal(before.Status.ARN))
			Expect(k.Status.KeyMaterials).To(Equal(before.Status.KeyMaterials))
			Expect(k.Status.OnDemandRotations).To(Equal(int32(1)))
		},
	},
}

// readyNamed makes a KMSKey of a name that is Enabled.
func readyNamed(name string, changes ...func(*v1alpha1.KMSKey)) *v1alpha1.KMSKey {
	GinkgoHelper()
	k := environment.KMSKey(namespace, name, changes...)
	create(k)
	reconcile(k)
	Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	return k
}

// deleting asks for a key's deletion, and waits until the cache knows.
func deleting(k *v1alpha1.KMSKey) {
	GinkgoHelper()
	Expect(cp.Client.Delete(ctx, k)).To(Succeed())
	refresh(k)
	seen(k)
}

// buryNamed deletes a key that nothing holds.
func buryNamed(k *v1alpha1.KMSKey) {
	GinkgoHelper()
	deleting(k)
	pass(k)
	gone(k)
}

func rotations(k *v1alpha1.KMSKey) []v1alpha1.RotationType {
	var out []v1alpha1.RotationType
	for _, m := range k.Status.KeyMaterials {
		out = append(out, m.RotationType)
	}
	return out
}

// materialsOf lists the key material Envelopes of one key.
func materialsOf(name string) []v1alpha1.Envelope {
	GinkgoHelper()
	var out []v1alpha1.Envelope
	for _, e := range envelopes(v1alpha1.EnvelopeKeyMaterial) {
		if e.Spec.Owner.Name == name {
			out = append(out, e)
		}
	}
	return out
}

// Every write of every step is made to fail in turn, before it is done and after it, as if the manager had died there. The
// next passes must bring the key to where it would be without that: one material a rotation, none lost, none left over.
var _ = Describe("A manager that dies at any write of", func() {
	for _, l := range lives {
		It(l.name+" loses nothing and does nothing twice", func() {
			faulty, writes := env.Faulty()
			for _, after := range []bool{false, true} {
				for n := 1; n <= len(l.writes); n++ {
					env.Clock.Set(time.Now())
					k := l.begin(fmt.Sprintf("dies-%d-%t", n, after))
					before := k.DeepCopy()
					By(fmt.Sprintf("dying at write %d, done=%t", n, after))
					writes.FailAt(n, after)
					_, err := faulty.KMSKey.Reconcile(ctx, environment.Request(k))
					Expect(err).To(MatchError(environment.ErrInjected))
					Expect(writes.Log()[:n]).To(Equal(l.writes[:n]))
					refresh(k)
					seen(k)
					env.Clock.Advance(10 * time.Second) // another manager takes over
					settled(k)
					l.check(k, before)
					Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
					Expect(materialsOf(k.Name)).To(HaveLen(len(k.Status.KeyMaterials)), "an Envelope was lost or left over")
					Expect(k.Status.KeyMaterials[len(k.Status.KeyMaterials)-1].State).To(Equal(v1alpha1.KeyMaterialCurrent))
				}
			}
		})

		It(l.name+" writes no more than it needs", func() {
			faulty, writes := env.Faulty()
			k := l.begin("costs")
			writes.FailAt(0, false)
			_, err := faulty.KMSKey.Reconcile(ctx, environment.Request(k))
			Expect(err).NotTo(HaveOccurred())
			Expect(writes.Log()).To(Equal(l.writes))
		})
	}

	It("the deletion buries the key once, and all of it comes back", func() {
		faulty, writes := env.Faulty()
		for _, after := range []bool{false, true} {
			for n, want := range []string{"create", "patch"} {
				k := readyNamed(fmt.Sprintf("buried-%d-%t", n, after))
				update(k, annotate(k, "now"))
				reconcile(k)
				_, encrypted, err := env.Services.KMS.GenerateDataKey(ctx, k, nil)
				Expect(err).NotTo(HaveOccurred())
				env.Clock.Set(time.Now()) // the API server's clock, which says when the key was made, goes on
				deleting(k)
				writes.FailAt(n+1, after)
				_, err = faulty.KMSKey.Reconcile(ctx, environment.Request(k))
				Expect(err).To(MatchError(environment.ErrInjected))
				Expect(writes.Log()[n]).To(Equal(want))

				if !after || want != "patch" { // then it is gone already
					Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(k), k)).To(Succeed(), "it went without a tombstone")
					pass(k)
				}
				gone(k)
				pass(k) // a request for what is gone does nothing
				Expect(tombstonesOf(k.Name)).To(HaveLen(1))
				Expect(materialsOf(k.Name)).To(HaveLen(2))
				again := readyNamed(k.Name)
				opened, err := env.Services.KMS.Decrypt(ctx, again, nil, encrypted)
				Expect(err).NotTo(HaveOccurred())
				Expect(opened.Len()).To(Equal(32))
			}
		}
	})

	It("a rotation leaves what was encrypted before readable, and encrypts under the material that was stored", func() {
		faulty, writes := env.Faulty()
		k := ready()
		_, old, err := env.Services.KMS.GenerateDataKey(ctx, k, nil)
		Expect(err).NotTo(HaveOccurred())
		update(k, annotate(k, "now"))
		writes.FailAt(2, false) // the Envelope is stored, the status is not
		_, err = faulty.KMSKey.Reconcile(ctx, environment.Request(k))
		Expect(err).To(MatchError(environment.ErrInjected))
		var inFlight string
		for _, e := range materialsOf("key") {
			if e.Spec.Sequence == 2 {
				inFlight = e.Spec.Version
			}
		}
		refresh(k)
		_, between, err := env.Services.KMS.GenerateDataKey(ctx, k, nil)
		Expect(err).NotTo(HaveOccurred(), "what is not committed is not used")
		settled(k)
		Expect(k.Status.KeyMaterials[1].ID).To(Equal(inFlight))
		_, current, err := env.Services.KMS.GenerateDataKey(ctx, k, nil)
		Expect(err).NotTo(HaveOccurred())
		header, err := keys.ParseHeader(current)
		Expect(err).NotTo(HaveOccurred())
		Expect(keys.MaterialIDPrefix(inFlight)).To(Equal(header.MaterialID))
		for _, ciphertext := range [][]byte{old, between, current} {
			_, err := env.Services.KMS.Decrypt(ctx, k, nil, ciphertext)
			Expect(err).NotTo(HaveOccurred())
		}
	})
})

// settled makes passes until one changes nothing.
func settled(k *v1alpha1.KMSKey) {
	GinkgoHelper()
	for range 4 {
		before := k.ResourceVersion
		reconcile(k)
		if k.ResourceVersion == before {
			return
		}
	}
	Fail("it does not settle")
}

func tombstonesOf(name string) []v1alpha1.Envelope {
	GinkgoHelper()
	var out []v1alpha1.Envelope
	for _, e := range envelopes(v1alpha1.EnvelopeTombstone) {
		if e.Spec.Owner.Name == name {
			out = append(out, e)
		}
	}
	return out
}

// A former leader that still works on what it read long ago must not overwrite what its successor committed.
var _ = Describe("A manager that is behind", func() {
	It("is refused its commit, and the successor's material stays the only one", func() {
		k := ready()
		update(k, annotate(k, "now"))
		stale := k.DeepCopy()
		reconcile(k)
		stale.Status.KeyMaterials = nil
		err := cp.Client.Status().Update(ctx, stale)
		Expect(apierrors.IsConflict(err)).To(BeTrue())
		m, err := env.Services.KMS.CreateMaterial(ctx, stale, k.Status.KeyID, k.Status.ARN, 2, v1alpha1.RotationOnDemand, nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(m).To(Equal(k.Status.KeyMaterials[1]), "it is given the material that is there")
		Expect(materialsOf("key")).To(HaveLen(2))
	})

	It("cannot bring a deleted key back", func() {
		k := ready()
		Expect(k.Finalizers).To(ContainElement(kmskey.Finalizer))
		buryNamed(k)
		_, err := env.KMSKey.Reconcile(ctx, environment.Request(k))
		Expect(err).NotTo(HaveOccurred())
		Expect(apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(k), k))).To(BeTrue())
		Expect(tombstonesOf("key")[0].Name).To(Equal(store.Name(v1alpha1.EnvelopeTombstone, k.Status.ARN, 1)))
	})
})
