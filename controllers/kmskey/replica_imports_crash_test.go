package kmskey_test

import (
	"encoding/json"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

// duo is a primary whose material is imported, and one replica.
type duo struct{ primary, replica *v1alpha1.KMSKey }

func (d duo) set() set { return set{d.primary, d.replica, d.replica} }

// newDuo makes one of which both have a first material, and a second that waits to be rotated to.
func newDuo(name string) duo {
	GinkgoHelper()
	d := duo{primary: external(name, replicated(abroad))}
	bring(d.primary, material32(1), kms.Import{})
	d.replica = external(name+"-eu", of(name, abroad))
	for _, k := range []*v1alpha1.KMSKey{d.replica, d.primary} {
		if k == d.replica {
			bring(k, material32(1), kms.Import{})
			settled(k)
			continue
		}
		bring(k, material32(2), fresh)
	}
	bring(d.replica, material32(2), kms.Import{})
	return d
}

// rotate has the primary rotated, and the replica not know of it.
func (d duo) rotate() {
	GinkgoHelper()
	update(d.primary, annotate(d.primary, "now"))
	settled(d.primary)
	Expect(d.primary.Status.OnDemandRotations).To(Equal(int32(1)))
}

// begin writes on the primary that its replica is being made the primary.
func (d duo) begin() {
	GinkgoHelper()
	text, err := json.Marshal(kms.PrimaryUpdate{
		From: d.primary.Name, To: d.replica.Name, ReplicaRegions: []v1alpha1.KeyReplicaRegion{{Region: environment.Region, Name: d.primary.Name}},
	})
	Expect(err).NotTo(HaveOccurred())
	metav1.SetMetaDataAnnotation(&d.primary.ObjectMeta, v1alpha1.PrimaryUpdateAnnotation, string(text))
}

// replicaLife is a change of a replica of imported material that is made to die at each of its writes.
type replicaLife struct {
	name   string
	writes []string
	begin  func(name string) duo
	act    func(r *environment.Reconcilers, d duo) error
	done   func(d duo)
}

var replicaLives = []replicaLife{
	{
		name: "a replica's first look at what its primary has", writes: []string{"create", "status"},
		begin: func(name string) duo {
			d := duo{external(name, replicated(abroad)), external(name+"-eu", of(name, abroad))}
			bring(d.primary, material32(1), kms.Import{})
			return d
		},
		act: func(r *environment.Reconcilers, d duo) error { return byPass(r, d.replica) },
		done: func(d duo) {
			Expect(bytesStored(d.replica.Name)).To(BeEmpty())
			Expect(d.replica.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingImport))
			bring(d.replica, material32(1), kms.Import{})
		},
	},
	{
		name: "a replica's pass after its primary was rotated", writes: []string{"create", "status", "delete"},
		begin: func(name string) duo {
			d := newDuo(name)
			d.rotate()
			return d
		},
		act:  func(r *environment.Reconcilers, d duo) error { return byPass(r, d.replica) },
		done: func(d duo) { Expect(d.replica.Status.OnDemandRotations).To(Equal(int32(1))) },
	},
	{
		name: "an import into a replica that has to follow first", writes: []string{"create", "status", "delete", "create", "status"},
		begin: func(name string) duo {
			d := newDuo(name)
			d.rotate()
			bring(d.primary, material32(3), fresh)
			return d
		},
		act: func(r *environment.Reconcilers, d duo) error {
			_, err := r.KMSKey.KMS.ImportMaterial(ctx, d.replica, wrapped(d.replica, material32(3)), kms.Import{}, anyState)
			return err
		},
		done: func(d duo) {
			bring(d.replica, material32(3), kms.Import{})
			update(d.primary, annotate(d.primary, "again"))
			d.set().settle()
			Expect(d.primary.Status.KeyMaterials).To(HaveLen(3))
		},
	},
	{
		name: "the deletion of what waits at the primary and its replica", writes: []string{"create", "status", "delete", "delete", "create", "status", "delete"},
		begin: newDuo,
		act: func(r *environment.Reconcilers, d duo) error {
			_, err := r.KMSKey.KMS.DeleteImportedMaterial(ctx, d.primary, d.primary.Status.KeyMaterials[1].ID, anyState)
			return err
		},
		done: func(d duo) { Expect(d.replica.Status.KeyMaterials).To(HaveLen(1)) },
	},
}

var _ = Describe("Whoever dies at any write of a replica of imported material,", func() {
	for _, l := range replicaLives {
		It(l.name+", loses nothing that was imported, and has nothing of use too early", func() {
			faulty, writes := env.Faulty()
			for _, after := range []bool{false, true} {
				for n := 1; n <= len(l.writes); n++ {
					env.Clock.Set(time.Now())
					d := l.begin(fmt.Sprintf("dies-%d-%t", n, after))
					By(fmt.Sprintf("dying at write %d, done=%t", n, after))
					writes.FailAt(n, after)
					if err := l.act(faulty, d); err != nil { // a replica's part of a deletion is its controller's, too
						Expect(err).To(MatchError(environment.ErrInjected))
					}
					Expect(writes.Log()[:n]).To(Equal(l.writes[:n]))
					d.set().settle()
					if n == 1 && !after { // nothing was done of it: it is asked for again
						Expect(l.act(env, d)).To(Succeed())
						d.set().settle()
					}
					l.done(d)
					d.set().settle()
					d.set().agreeOnImports()
				}
			}
		})
	}

	It("also of a change of the primary, there is one primary at most, and one in the end", func() {
		faulty, writes := env.Faulty()
		for _, after := range []bool{false, true} {
			for n := 1; n <= 8; n++ {
				d := newDuo(fmt.Sprintf("shop-%d-%t", n, after))
				d.rotate() // which the replica does not know
				blob, s := encrypted(d.primary), d.set()
				update(d.primary, func() { d.begin() })
				writes.FailAt(n, after)
				_, err := faulty.KMSKey.Reconcile(ctx, environment.Request(d.primary))
				if err == nil {
					continue // there are not so many writes
				}
				Expect(err).To(MatchError(environment.ErrInjected), fmt.Sprint(writes.Log()))
				for _, k := range []*v1alpha1.KMSKey{d.primary, d.replica} {
					refresh(k)
					seen(k)
				}
				Expect(kms.IsReplica(d.primary) || kms.IsReplica(d.replica)).To(BeTrue(), "there are two")
				for _, k := range []*v1alpha1.KMSKey{d.primary, d.replica} {
					Expect(opens(k, blob)).To(Succeed(), "%s at %d %t", k.Name, n, after)
				}
				s.settle()
				Expect(kms.IsReplica(d.replica)).To(BeFalse(), "%d %t", n, after)
				Expect(kms.IsReplica(d.primary)).To(BeTrue(), "%d %t", n, after)
				s.agreeOnImports()
			}
		}
	})
})
