package backup_test

import (
	"bytes"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/hsmcluster"
	"strongroom.dev/strongroom/controllers/iamuser"
	"strongroom.dev/strongroom/internal/backup"
)

var _ = Describe("What is there as it is in a backup, and in somebody's hands", func() {
	// again restores a backup into the installation that it is of, and answers in whose hands what objects of the spec's namespace are, and how many were made.
	again := func(restore func() (*backup.Reader, error), dry bool) (held map[string]backup.Held, made int) {
		GinkgoHelper()
		held = map[string]backup.Held{}
		r := &backup.Restorer{Cluster: world.ControlPlane.Client, Now: time.Now, DryRun: dry, Each: func(_ string, is bool) {
			if is {
				made++
			}
		}, Held: func(h backup.Held) {
			if strings.Contains(h.Name, " "+world.Namespace+"/") {
				held[h.Name] = h
			}
		}}
		Expect(r.Restore(ctx, restore)).To(BeEmpty())
		return held, made
	}
	opened := func() func() (*backup.Reader, error) {
		GinkgoHelper()
		file, id := taken(func(string) {})
		return func() (*backup.Reader, error) { return backup.NewReader(bytes.NewReader(file), id) }
	}
	planted := func() *corev1.ConfigMap {
		GinkgoHelper()
		theirs := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "theirs"}}
		Expect(world.ControlPlane.Client.Create(ctx, theirs)).To(Succeed())
		return theirs
	}
	hold := func(obj client.Object, by *corev1.ConfigMap) {
		GinkgoHelper()
		world.Update(obj, func() {
			obj.SetOwnerReferences(append(obj.GetOwnerReferences(), metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: by.Name, UID: by.UID}))
			obj.SetFinalizers(append(obj.GetFinalizers(), "example.com/held"))
		})
	}

	It("is told each time, is no conflict, and stays, until it is taken off by the command", func() {
		before := installed()
		restore := opened()
		Expect(again(restore, false)).To(BeEmpty(), "with all that its controllers have put there")
		theirs := planted()
		envelope := world.Envelopes(v1alpha1.EnvelopeParameterVersion)[0].DeepCopy()
		objects := map[string]client.Object{
			"Secret " + world.Namespace + "/db": before.secret, "KMSKey " + world.Namespace + "/" + before.key.Name: before.key, "Envelope " + world.Namespace + "/" + envelope.Name: envelope,
		}
		for _, obj := range objects {
			hold(obj, theirs)
		}
		var held map[string]backup.Held
		for _, dry := range []bool{true, false, false} {
			var made int
			held, made = again(restore, dry)
			Expect(made).To(BeZero())
			Expect(held).To(HaveLen(3))
			for name := range objects {
				Expect(held).To(HaveKeyWithValue(name, And(
					HaveField("Owners", []string{"ConfigMap theirs"}), HaveField("Finalizers", []string{"example.com/held"}), HaveField("BeingDeleted", false),
				)))
			}
		}
		world.Refresh(before.secret)
		Expect(before.secret.OwnerReferences).To(HaveLen(1), "a restore takes nothing off")

		for name, obj := range objects {
			release(obj, held[name].Command)
			world.Refresh(obj)
			Expect(obj.GetOwnerReferences()).To(BeEmpty())
			Expect(obj.GetFinalizers()).NotTo(ContainElement("example.com/held"))
		}
		Expect(again(restore, false)).To(BeEmpty())
	})

	It("is not told if it was in the same hands when the backup was taken, whatever UID they have by now, and is made in nobody's", func() {
		before := installed()
		hold(before.parameter, planted())
		restore := opened()
		Expect(again(restore, false)).To(BeEmpty())
		world.Update(before.parameter, func() { before.parameter.OwnerReferences[0].UID = types.UID("00000000-0000-0000-0000-000000000000") })
		Expect(again(restore, false)).To(BeEmpty())
		world.Update(before.parameter, func() { before.parameter.OwnerReferences[0].Name = "others" })
		held, _ := again(restore, false)
		Expect(held).To(HaveKeyWithValue("Parameter "+world.Namespace+"/level", HaveField("Owners", []string{"ConfigMap others"})))

		world.Update(before.parameter, func() { before.parameter.Finalizers = nil })
		before.destroy()
		held, made := again(restore, false)
		Expect(held).To(BeEmpty())
		Expect(made).To(BeNumerically(">", 0))
		world.Refresh(before.parameter)
		Expect(before.parameter.OwnerReferences).To(BeEmpty())
		Expect(before.parameter.Finalizers).To(BeEmpty())
	})
})

// release makes the patch of a command, after an older one that is void.
func release(obj client.Object, command string) {
	GinkgoHelper()
	_, quoted, found := strings.Cut(command, "-p='")
	Expect(found).To(BeTrue(), command)
	patch := client.RawPatch(types.JSONPatchType, []byte(strings.TrimSuffix(quoted, "'")))
	stale := client.RawPatch(types.JSONPatchType, bytes.Replace([]byte(strings.TrimSuffix(quoted, "'")), []byte(`"value":"`), []byte(`"value":"9`), 1))
	Expect(world.ControlPlane.Client.Patch(ctx, obj.DeepCopyObject().(client.Object), stale)).NotTo(Succeed())
	Expect(world.ControlPlane.Client.Patch(ctx, obj.DeepCopyObject().(client.Object), patch)).To(Succeed())
}

var _ = Describe("A finalizer of Strongroom's", func() {
	It("is known by the restore as its controller calls it", func() {
		Expect([]string{hsmcluster.Finalizer, iamuser.Finalizer}).To(Equal([]string{"strongroom.dev/hsmcluster", "strongroom.dev/access-keys"}))
	})
})
