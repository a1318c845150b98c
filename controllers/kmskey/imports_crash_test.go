package kmskey_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

// importLife is a change of imported material that is made to die at each of its writes.
type importLife struct {
	name   string
	writes []string
	// begin brings a key to the point before the change, and act makes it by what may die.
	begin func(k *v1alpha1.KMSKey)
	act   func(r *environment.Reconcilers, k *v1alpha1.KMSKey) error
	// done is what must be true at the end of a change that was made, wherever it died.
	done func(k *v1alpha1.KMSKey)
}

func byPass(r *environment.Reconcilers, k *v1alpha1.KMSKey) error {
	_, err := r.KMSKey.Reconcile(ctx, environment.Request(k))
	return err
}

var importLives = []importLife{
	{
		name: "an import from a manifest", writes: []string{"create", "status"},
		begin: func(k *v1alpha1.KMSKey) { declare(k, material32(1)) }, act: byPass,
		done: func(k *v1alpha1.KMSKey) { Expect(opens(k, encrypted(k))).To(Succeed()) },
	},
	{
		name: "an import by the API", writes: []string{"create", "status"},
		begin: func(*v1alpha1.KMSKey) {},
		act: func(r *environment.Reconcilers, k *v1alpha1.KMSKey) error {
			_, err := r.KMSKey.KMS.ImportMaterial(ctx, k, wrapped(k, material32(1)), kms.Import{}, anyState)
			return err
		},
		done: func(k *v1alpha1.KMSKey) { Expect(opens(k, encrypted(k))).To(Succeed()) },
	},
	{
		name: "an import that gives material an end", writes: []string{"create", "status", "delete"},
		begin: func(k *v1alpha1.KMSKey) { bring(k, material32(1), kms.Import{}) },
		act: func(r *environment.Reconcilers, k *v1alpha1.KMSKey) error {
			_, err := r.KMSKey.KMS.ImportMaterial(ctx, k, wrapped(k, material32(1)), kms.Import{ValidTo: in(day)}, anyState)
			return err
		},
		done: func(k *v1alpha1.KMSKey) {
			blob := encrypted(k)
			Expect(opens(k, blob)).To(Succeed())
			env.Clock.Advance(day)
			Expect(opens(k, blob)).To(MatchError(ContainSubstring("it is PendingImport")))
			settled(k)
			Expect(bytesStored(k.Name)).To(BeEmpty())
		},
	},
	{
		name: "a deletion", writes: []string{"create", "status", "delete"},
		begin: func(k *v1alpha1.KMSKey) { bring(k, material32(1), kms.Import{}) },
		act: func(r *environment.Reconcilers, k *v1alpha1.KMSKey) error {
			_, err := r.KMSKey.KMS.DeleteImportedMaterial(ctx, k, "", anyState)
			return err
		},
		done: func(k *v1alpha1.KMSKey) {
			Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingImport))
			Expect(bytesStored(k.Name)).To(BeEmpty())
			bring(k, material32(1), kms.Import{})
			Expect(opens(k, encrypted(k))).To(Succeed())
		},
	},
	{
		name: "an expiry", writes: []string{"create", "status", "delete"},
		begin: func(k *v1alpha1.KMSKey) {
			bring(k, material32(1), kms.Import{ValidTo: in(time.Hour)})
			env.Clock.Advance(time.Hour)
		},
		act: byPass,
		done: func(k *v1alpha1.KMSKey) {
			Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingImport))
			Expect(bytesStored(k.Name)).To(BeEmpty())
		},
	},
	{
		name: "a rotation", writes: []string{"create", "status", "delete"},
		begin: func(k *v1alpha1.KMSKey) {
			bring(k, material32(1), kms.Import{})
			bring(k, material32(2), kms.Import{Type: v1alpha1.ImportTypeNew})
			update(k, annotate(k, "now"))
		},
		act: byPass,
		done: func(k *v1alpha1.KMSKey) {
			Expect(rotations(k)).To(Equal([]v1alpha1.RotationType{"", v1alpha1.RotationOnDemand}))
			Expect(k.Status.OnDemandRotations).To(Equal(int32(1)))
			Expect(opens(k, encrypted(k))).To(Succeed())
		},
	},
	{
		name: "the deletion of material that waits for a rotation", writes: []string{"create", "status", "delete", "delete"},
		begin: func(k *v1alpha1.KMSKey) {
			bring(k, material32(1), kms.Import{})
			bring(k, material32(2), kms.Import{Type: v1alpha1.ImportTypeNew})
		},
		act: func(r *environment.Reconcilers, k *v1alpha1.KMSKey) error {
			_, err := r.KMSKey.KMS.DeleteImportedMaterial(ctx, k, k.Status.KeyMaterials[1].ID, anyState)
			return err
		},
		done: func(k *v1alpha1.KMSKey) {
			Expect(k.Status.KeyMaterials).To(HaveLen(1))
			Expect(opens(k, encrypted(k))).To(Succeed())
			bring(k, material32(3), kms.Import{Type: v1alpha1.ImportTypeNew})
		},
	},
}

var _ = Describe("Whoever dies at any write of", func() {
	for _, l := range importLives {
		It(l.name+" loses no key, and leaves none that is of use too early or too late", func() {
			faulty, writes := env.Faulty()
			for _, after := range []bool{false, true} {
				for n := 1; n <= len(l.writes); n++ {
					env.Clock.Set(time.Now())
					k := external(fmt.Sprintf("dies-%d-%t", n, after))
					l.begin(k)
					refresh(k)
					seen(k)
					By(fmt.Sprintf("dying at write %d, done=%t", n, after))
					writes.FailAt(n, after)
					Expect(l.act(faulty, k)).To(MatchError(environment.ErrInjected))
					Expect(writes.Log()[:n]).To(Equal(l.writes[:n]))
					refresh(k)
					seen(k)
					settled(k)
					if n == 1 && !after { // nothing was done of it: it is asked for again
						Expect(l.act(env, k)).To(Or(Succeed(), MatchError(kms.ErrMaterialNotFound)))
						settled(k)
					}
					refresh(k)
					settled(k)
					Expect(materialsOf(k.Name)).To(HaveLen(len(k.Status.KeyMaterials)), "an Envelope was lost or left over")
					l.done(k)
				}
			}
		})

		It(l.name+" writes no more than it needs", func() {
			faulty, writes := env.Faulty()
			k := external("costs")
			l.begin(k)
			refresh(k)
			seen(k)
			writes.FailAt(0, false)
			Expect(l.act(faulty, k)).To(Succeed())
			Expect(writes.Log()).To(Equal(l.writes))
		})
	}

	It("an import that another one was faster than finds it, and each is whole", func() {
		k := external("key")
		w := wrapped(k, material32(1))
		faulty, writes := env.Faulty()
		writes.FailAt(2, false) // the Envelope is stored, the status is not
		_, err := faulty.KMSKey.KMS.ImportMaterial(ctx, k, w, kms.Import{}, anyState)
		Expect(err).To(MatchError(environment.ErrInjected))
		_, err = env.Services.KMS.ImportMaterial(ctx, k, wrapped(k, material32(2)), kms.Import{}, anyState)
		Expect(err).To(MatchError(kms.ErrIncorrectMaterial), "the first one is taken in before the second is judged")
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(k), k)).To(Succeed())
		Expect(k.Status.KeyMaterials).To(HaveLen(1))
	})
})
