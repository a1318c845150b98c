package keyring_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// life is a step that is made to die at each of its writes.
type life struct {
	name   string
	writes []string
	// begin brings the Keyring to the point before the step.
	begin func() *v1alpha1.Keyring
	// rotations is how many domain keys the step makes.
	rotations int
}

var lives = []life{
	{
		name: "a rotation that was asked for", writes: []string{"create", "status"}, rotations: 1,
		begin: func() *v1alpha1.Keyring {
			k := made()
			ask(k, "now")
			return k
		},
	},
	{
		name: "an automatic rotation", writes: []string{"create", "status"}, rotations: 1,
		begin: func() *v1alpha1.Keyring {
			k := made()
			world.Update(k, func() { k.Spec.Rotation = &v1alpha1.DomainKeyRotation{Enabled: true, PeriodInDays: 30} })
			pass(k)
			world.Clock.Set(k.Status.NextRotationTime.Time)
			return k
		},
	},
	{
		// Four Envelopes of keys, a parameter's, an access key's and a tombstone: everything.
		name: "a rewrap", writes: []string{"patch", "patch", "patch", "patch", "patch", "patch", "patch", "status"},
		begin: func() *v1alpha1.Keyring {
			k := made()
			rotated(k)
			return k
		},
	},
	{
		name: "the making of the Keyring", writes: []string{"create"},
		begin: func() *v1alpha1.Keyring { return named(environment.OperatorNamespace, v1alpha1.KeyringName) },
	},
}

var _ = Describe("A manager that dies", func() {
	for _, l := range lives {
		It("at no write of "+l.name+" loses a key, or has one opened too early or too late", func() {
			for n := 1; n <= len(l.writes); n++ {
				for _, after := range []bool{false, true} {
					By(fmt.Sprintf("write %d of %d, after it: %t", n, len(l.writes), after))
					dieAt(l, n, after)
					reset()
				}
			}
		})
	}
})

// dieAt makes one life die at a write, and lets the next process end it.
func dieAt(l life, n int, after bool) {
	GinkgoHelper()
	uses := everything()
	delete(uses, "the id of imported material") // which takes an RSA key each time
	k := l.begin()
	before := len(domainKeys())
	faulty, writes := world.Faulty()
	writes.FailAt(n, after)
	_, err := passBy(faulty.Keyring, k)
	Expect(err).To(MatchError(environment.ErrInjected))
	Expect(writes.Log()[:n]).To(Equal(l.writes[:n]), "another order") // what is tried after it is not done
	usable := func() {
		GinkgoHelper()
		world.Services.KMS.Materials.Clear()
		for what, use := range uses {
			Expect(use()).To(Succeed(), what)
		}
	}
	usable() // whatever the dead process has left

	if l.name == "the making of the Keyring" {
		k = made()
	}
	pass(k)
	usable()
	settledAndFinished(k)
	usable()
	Expect(domainKeys()).To(HaveLen(before+l.rotations), "a domain key too many, or too few")
	Expect(k.Status.CurrentEpoch).To(BeEquivalentTo(before + l.rotations))
	Expect(k.Status.LastHandledRotateAt).To(Equal(k.Annotations[v1alpha1.RotateAnnotation]))
	Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	allOpenUnder(k.Status.CurrentEpoch)
}

// settledAndFinished is finished once the newest domain key has settled.
func settledAndFinished(k *v1alpha1.Keyring) {
	GinkgoHelper()
	world.Clock.Set(k.Status.LastRotatedTime.Add(2 * time.Minute))
	finished(k)
}
