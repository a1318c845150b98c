package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/backup"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

func TestBackupsOnAnAPIServer(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(20 * time.Second)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	RunSpecs(t, "Backups")
}

var (
	ctx   = context.Background()
	world *environment.World
)

var _ = BeforeSuite(func() { world = environment.NewWorld(ctx) })

var _ = BeforeEach(func() { world.Fresh() })

// taken is a backup of everything that is there.
func taken(each func(kind string)) (file []byte, id *age.HybridIdentity) {
	GinkgoHelper()
	id, err := age.GenerateHybridIdentity()
	Expect(err).NotTo(HaveOccurred())
	var b bytes.Buffer
	c := &backup.Collector{Cluster: world.ControlPlane.Client, Namespace: environment.OperatorNamespace, Now: time.Now, Each: each}
	Expect(c.Write(ctx, &b, id.Recipient())).To(Succeed())
	return b.Bytes(), id
}

// restored puts a backup into the cluster by a client.
func restored(by client.Client, file []byte, id *age.HybridIdentity) error {
	r := &backup.Restorer{Cluster: by, Now: time.Now, Each: func(string, bool) {}}
	_, err := r.Restore(ctx, func() (*backup.Reader, error) { return backup.NewReader(bytes.NewReader(file), id) })
	return err
}

// statusIn is the status of an object in a backup, nil if it has none there.
func statusIn(file []byte, id *age.HybridIdentity, kind, name string) map[string]any {
	GinkgoHelper()
	from, err := backup.NewReader(bytes.NewReader(file), id)
	Expect(err).NotTo(HaveOccurred())
	for {
		o, err := from.Next()
		if errors.Is(err, io.EOF) {
			Fail("the backup has no " + kind + " " + name)
		}
		Expect(err).NotTo(HaveOccurred())
		if o.GetKind() == kind && o.GetNamespace() == world.Namespace && o.GetName() == name {
			status, _, err := unstructured.NestedMap(o.Object, "status")
			Expect(err).NotTo(HaveOccurred())
			return status
		}
	}
}

// led has a manager lead in the installation.
func led() *coordinationv1.Lease {
	GinkgoHelper()
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: environment.OperatorNamespace, Name: "strongroom-manager"},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: ptr.To("somebody"), LeaseDurationSeconds: ptr.To[int32](15), RenewTime: ptr.To(metav1.NewMicroTime(time.Now().Add(time.Minute))),
		},
	}
	Expect(world.ControlPlane.Client.Create(ctx, lease)).To(Succeed())
	DeferCleanup(func() { Expect(client.IgnoreNotFound(world.ControlPlane.Client.Delete(ctx, lease))).To(Succeed()) })
	return lease
}

// objectsIn are those of a backup, with its header.
func objectsIn(file []byte, id *age.HybridIdentity) (h backup.Header, out []*unstructured.Unstructured) {
	GinkgoHelper()
	from, err := backup.NewReader(bytes.NewReader(file), id)
	Expect(err).NotTo(HaveOccurred())
	for {
		o, err := from.Next()
		if errors.Is(err, io.EOF) {
			return from.Header(), out
		}
		Expect(err).NotTo(HaveOccurred())
		out = append(out, o)
	}
}

// rewritten is a backup in which something is changed.
func rewritten(file []byte, id *age.HybridIdentity, change func(*unstructured.Unstructured)) []byte {
	GinkgoHelper()
	h, objects := objectsIn(file, id)
	var b bytes.Buffer
	w, err := backup.NewWriter(&b, h, id.Recipient())
	Expect(err).NotTo(HaveOccurred())
	for _, o := range objects {
		change(o)
		Expect(w.Add(o)).To(Succeed())
	}
	Expect(w.Close()).To(Succeed())
	return b.Bytes()
}

// bareAfter restores a backup, and answers which objects were left without their status, and why.
func bareAfter(file []byte, id *age.HybridIdentity) (bare map[string]string, err error) {
	bare = map[string]string{}
	r := &backup.Restorer{Cluster: world.ControlPlane.Client, Now: time.Now, Each: func(string, bool) {}, Bare: func(name, why string) { bare[name] = why }}
	_, err = r.Restore(ctx, func() (*backup.Reader, error) { return backup.NewReader(bytes.NewReader(file), id) })
	return bare, err
}

// installation is a secret of two versions of which the first is in force again, a parameter with a label, and the key of both.
type installation struct {
	key       *v1alpha1.KMSKey
	secret    *v1alpha1.Secret
	parameter *v1alpha1.Parameter
}

func (in *installation) objects() []client.Object {
	return []client.Object{in.key, in.secret, in.parameter}
}

// pass makes a pass over everything.
func (in *installation) pass() {
	GinkgoHelper()
	world.ReconcileKey(in.key)
	_, err := world.Secret.Reconcile(ctx, environment.Request(in.secret))
	Expect(err).NotTo(HaveOccurred())
	_, err = world.Parameter.Reconcile(ctx, environment.Request(in.parameter))
	Expect(err).NotTo(HaveOccurred())
	for _, obj := range in.objects() {
		world.Refresh(obj)
		world.Seen(obj)
	}
}

func installed() *installation {
	GinkgoHelper()
	in := &installation{key: world.ReadyKey("key"), secret: environment.Secret(world.Namespace, "db"), parameter: environment.Parameter(world.Namespace, "level")}
	world.Create(in.secret)
	world.Create(in.parameter)
	in.pass()
	world.Update(in.secret, func() { metav1.SetMetaDataAnnotation(&in.secret.ObjectMeta, v1alpha1.RotateAnnotation, "now") })
	in.pass()
	Expect(in.secret.Status.Versions).To(HaveLen(2))
	first, second := in.secret.Status.Versions[0].VersionID, in.secret.Status.Versions[1].VersionID
	Expect(in.secret.Status.CurrentVersionID).To(Equal(second))
	Expect(world.Services.Secrets.MoveStage(ctx, in.secret.DeepCopy(), "AWSCURRENT", second, first)).To(Succeed())
	_, invalid, err := world.Services.Parameters.Label(ctx, in.parameter.DeepCopy(), 1, []string{"good"})
	Expect(err).NotTo(HaveOccurred())
	Expect(invalid).To(BeEmpty())
	for _, obj := range in.objects() {
		world.Refresh(obj)
		world.Seen(obj)
	}
	Expect(in.secret.Status.CurrentVersionID).To(Equal(first))
	return in
}

// destroy takes everything of the namespace away as if there had never been a manager: without tombstones.
func (in *installation) destroy() {
	GinkgoHelper()
	for _, obj := range in.objects() {
		world.Update(obj, func() { obj.SetFinalizers(nil) })
		world.Remove(obj)
	}
	Expect(world.ControlPlane.Client.DeleteAllOf(ctx, &v1alpha1.Envelope{}, client.InNamespace(world.Namespace))).To(Succeed())
	Eventually(func() int {
		var left v1alpha1.EnvelopeList
		Expect(world.GetClient().List(ctx, &left, client.InNamespace(world.Namespace))).To(Succeed())
		return len(left.Items)
	}).Should(BeZero())
}

// now reads the objects that were made again.
func (in *installation) now() *installation {
	GinkgoHelper()
	again := &installation{}
	again.key, again.secret, again.parameter = in.key.DeepCopy(), in.secret.DeepCopy(), in.parameter.DeepCopy()
	for _, obj := range again.objects() {
		world.Refresh(obj)
		world.Seen(obj)
	}
	return again
}

var _ = Describe("What only status tells", func() {
	It("comes back: stages that were moved, labels, and what was asked for and handled", func() {
		before := installed()
		file, id := taken(func(string) {})
		before.destroy()
		Expect(restored(world.ControlPlane.Client, file, id)).To(Succeed())

		again := before.now()
		Expect(again.parameter.ManagedFields).To(ContainElement(HaveField("Manager", store.RestoreFieldOwner)), "which declares nothing, so that requests go on to change it")
		Expect(again.secret.Status.ObservedGeneration).To(Equal(int64(-1)), "no controller has seen it")
		Expect(again.secret.Status.Conditions).To(HaveExactElements(HaveField("Reason", "Pending"), HaveField("Reason", "Pending")))
		Expect(again.secret.Status.Projection).To(BeNil())
		again.pass()
		Expect(again.secret.Status.ARN).To(Equal(before.secret.Status.ARN))
		Expect(again.secret.Status.Versions).To(Equal(before.secret.Status.Versions))
		Expect(again.secret.Status.CurrentVersionID).To(Equal(before.secret.Status.CurrentVersionID))
		Expect(again.secret.Status.LastHandledRotateAt).To(Equal("now"))
		Expect(again.parameter.Status.Versions).To(Equal(before.parameter.Status.Versions))
		Expect(again.parameter.Status.Versions[0].Labels).To(ConsistOf("good"))
		Expect(again.key.Status.KeyID).To(Equal(before.key.Status.KeyID))
		Expect(again.key.Status.KeyMaterials).To(Equal(before.key.Status.KeyMaterials))
		for _, obj := range []interface{ GetConditions() []metav1.Condition }{again.secret, again.parameter, again.key} {
			Expect(obj.GetConditions()).To(ContainElement(And(HaveField("Type", v1alpha1.ConditionReady), HaveField("Status", metav1.ConditionTrue))))
		}
	})

	It("is written by the next run if a run died before it", func() {
		before := installed()
		file, id := taken(func(string) {})
		faulty := &environment.FaultyClient{Client: world.ControlPlane.Client}
		for n := 1; ; n++ {
			before.destroy()
			faulty.FailAt(n, n%2 == 0)
			if err := restored(faulty, file, id); err == nil {
				Expect(n).To(BeNumerically(">", 8), "objects, Envelopes and status are writes")
				break
			}
			Expect(restored(world.ControlPlane.Client, file, id)).To(Succeed(), "after write %d", n)
			again := before.now()
			Expect(again.secret.Status.Versions).To(Equal(before.secret.Status.Versions), "after write %d", n)
			Expect(again.parameter.Status.Versions).To(Equal(before.parameter.Status.Versions), "after write %d", n)
			Expect(again.key.Status.KeyMaterials).To(Equal(before.key.Status.KeyMaterials), "after write %d", n)
		}
	})

	It("is not in a backup that lacks a version which it lists, since that was put meanwhile", func() {
		in := installed()
		once := false
		file, id := taken(func(kind string) {
			if kind != "KMSKey" || once { // Envelopes were read, and objects are
				return
			}
			once = true
			world.Update(in.secret, func() { metav1.SetMetaDataAnnotation(&in.secret.ObjectMeta, v1alpha1.RotateAnnotation, "again") })
			in.pass()
		})
		Expect(in.secret.Status.Versions).To(HaveLen(3))
		Expect(statusIn(file, id, "Secret", "db")).To(BeEmpty())
		Expect(statusIn(file, id, "Parameter", "level")).NotTo(BeEmpty())

		in.destroy()
		Expect(restored(world.ControlPlane.Client, file, id)).To(Succeed())
		again := in.now()
		again.pass()
		Expect(again.secret.Status.Conditions).To(ContainElement(And(HaveField("Type", v1alpha1.ConditionReady), HaveField("Status", metav1.ConditionTrue))))
	})

	It("is left out if the schema refuses it, which is told, and all else is restored", func() {
		before := installed()
		file, id := taken(func(string) {})
		before.destroy()
		file = rewritten(file, id, func(o *unstructured.Unstructured) {
			if o.GetKind() == "Secret" && o.GetNamespace() == world.Namespace {
				Expect(unstructured.SetNestedField(o.Object, strings.Repeat("x", 1025), "status", "lastHandledRotateAt")).To(Succeed())
			}
		})
		bare, err := bareAfter(file, id)
		Expect(err).NotTo(HaveOccurred())
		Expect(bare).To(HaveLen(1))
		Expect(bare["Secret "+world.Namespace+"/db"]).To(And(ContainSubstring("lastHandledRotateAt"), Not(ContainSubstring("xxx"))))
		again := before.now()
		Expect(again.secret.Status.ARN).To(BeEmpty())
		Expect(again.parameter.Status.Versions).To(Equal(before.parameter.Status.Versions))
		again.pass()
		Expect(again.secret.Status.Versions).To(HaveLen(2))
		Expect(again.secret.Status.Conditions).To(ContainElement(And(HaveField("Type", v1alpha1.ConditionReady), HaveField("Status", metav1.ConditionTrue))))
	})

	It("is left out of an object one of whose Envelopes is another there, which is told", func() {
		before := installed()
		file, id := taken(func(string) {})
		var first v1alpha1.Envelope
		for _, e := range world.Envelopes(v1alpha1.EnvelopeSecretVersion) {
			if e.Spec.Sequence == 1 {
				first = *e.DeepCopy()
			}
		}
		before.destroy()
		first.ObjectMeta = metav1.ObjectMeta{Namespace: first.Namespace, Name: first.Name}
		first.Spec.Ciphertext[len(first.Spec.Ciphertext)-1] ^= 1
		Expect(world.ControlPlane.Client.Create(ctx, &first)).To(Succeed())
		for range 2 { // and so it is the next time
			bare, err := bareAfter(file, id)
			Expect(err).To(MatchError(backup.ErrConflicts))
			Expect(bare).To(HaveLen(1))
			Expect(bare).To(HaveKey("Secret " + world.Namespace + "/db"))
			again := before.now()
			Expect(again.secret.Status.ARN).To(BeEmpty())
			Expect(again.parameter.Status.Versions).To(Equal(before.parameter.Status.Versions))
			Expect(again.key.Status.KeyMaterials).To(Equal(before.key.Status.KeyMaterials))
		}
	})

	It("is left to the manager where one runs, and where an object was deleted since, whose tombstone knows better", func() {
		before := installed()
		file, id := taken(func(string) {})
		before.destroy()
		lease := led()
		Expect(restored(world.ControlPlane.Client, file, id)).To(Succeed())
		Expect(before.now().secret.Status.ARN).To(BeEmpty())
		Expect(world.ControlPlane.Client.Delete(ctx, lease)).To(Succeed())

		again := before.now()
		again.pass()
		Expect(world.ControlPlane.Client.Delete(ctx, again.secret)).To(Succeed())
		Eventually(func(g Gomega) {
			_, err := world.Secret.Reconcile(ctx, environment.Request(again.secret))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(again.secret), &v1alpha1.Secret{})).NotTo(Succeed())
		}).Should(Succeed())
		world.Sweep("Secret", "db")
		Expect(world.Envelopes(v1alpha1.EnvelopeTombstone)).NotTo(BeEmpty())
		Expect(restored(world.ControlPlane.Client, file, id)).To(Succeed())
		Expect(before.now().secret.Status.ARN).To(BeEmpty())
	})
})

// racing does something just before each update.
type racing struct {
	client.Client
	before func()
}

func (r racing) Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error {
	r.before()
	return r.Client.Update(ctx, obj, opts...)
}

var _ = Describe("A Keyring that the operator has made", func() {
	var keyring *v1alpha1.Keyring
	BeforeEach(func() {
		keyring = &v1alpha1.Keyring{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: environment.OperatorNamespace, Name: v1alpha1.KeyringName, Labels: map[string]string{"team": "security"},
				Annotations: map[string]string{"note": "of the backup", v1alpha1.RotateAnnotation: "long ago"},
			},
			Spec: v1alpha1.KeyringSpec{Rotation: &v1alpha1.DomainKeyRotation{Enabled: true, PeriodInDays: 30}},
		}
		DeferCleanup(func() { Expect(client.IgnoreNotFound(world.ControlPlane.Client.Delete(ctx, keyring))).To(Succeed()) })
	})
	backedUp := func() (file []byte, id *age.HybridIdentity) {
		GinkgoHelper()
		world.Create(keyring.DeepCopy())
		file, id = taken(func(string) {})
		world.Remove(keyring.DeepCopy())
		return file, id
	}
	operators := func(change func(*v1alpha1.Keyring)) {
		GinkgoHelper()
		k := &v1alpha1.Keyring{ObjectMeta: metav1.ObjectMeta{Namespace: keyring.Namespace, Name: keyring.Name}}
		change(k)
		world.Create(k)
	}
	is := func() *v1alpha1.Keyring {
		GinkgoHelper()
		k := &v1alpha1.Keyring{}
		Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(keyring), k)).To(Succeed())
		return k
	}

	It("stands for none: it says what the backup's does from then on, and asks for no rotation", func() {
		file, id := backedUp()
		operators(func(*v1alpha1.Keyring) {})
		var made int
		r := &backup.Restorer{Cluster: world.ControlPlane.Client, Now: time.Now, DryRun: true, Each: func(kind string, is bool) {
			if kind == "Keyring" && is {
				made++
			}
		}}
		open := func() (*backup.Reader, error) { return backup.NewReader(bytes.NewReader(file), id) }
		Expect(r.Restore(ctx, open)).To(BeEmpty())
		Expect(made).To(Equal(1))
		Expect(is().Spec).To(Equal(v1alpha1.KeyringSpec{}), "a dry run writes nothing")
		Expect(restored(world.ControlPlane.Client, file, id)).To(Succeed())
		Expect(is().Spec).To(Equal(keyring.Spec))
		Expect(is().Labels).To(Equal(keyring.Labels))
		Expect(is().Annotations).To(Equal(map[string]string{"note": "of the backup"}))
		Expect(restored(world.ControlPlane.Client, file, id)).To(Succeed(), "and it is there from then on")
	})

	DescribeTable("is left as it is once somebody has said something of it", func(change func(*v1alpha1.Keyring)) {
		file, id := backedUp()
		operators(change)
		before := is()
		Expect(restored(world.ControlPlane.Client, file, id)).To(MatchError(backup.ErrConflicts))
		Expect(is()).To(Equal(before))
	},
		Entry("by its spec", func(k *v1alpha1.Keyring) { k.Spec.Rotation = &v1alpha1.DomainKeyRotation{} }),
		Entry("by a label", func(k *v1alpha1.Keyring) { k.Labels = map[string]string{"a": "b"} }),
		Entry("by an annotation", func(k *v1alpha1.Keyring) { k.Annotations = map[string]string{v1alpha1.RotateAnnotation: "now"} }),
	)

	It("is filled although its controller writes status at the same time", func() {
		file, id := backedUp()
		operators(func(*v1alpha1.Keyring) {})
		once := false
		Expect(restored(racing{world.ControlPlane.Client, func() {
			if !once {
				once = true
				k := is()
				k.Status.DomainKeys++
				Expect(world.ControlPlane.Client.Status().Update(ctx, k)).To(Succeed())
			}
		}}, file, id)).To(Succeed())
		Expect(is().Spec).To(Equal(keyring.Spec))
		Expect(is().Status.DomainKeys).To(BeEquivalentTo(1))
	})
})

// without takes an object away for the length of a spec.
func without(obj client.Object) (back func()) {
	GinkgoHelper()
	Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
	again, gone := obj.DeepCopyObject().(client.Object), true
	again.SetResourceVersion("")
	again.SetUID("")
	Expect(world.ControlPlane.Client.Delete(ctx, obj)).To(Succeed())
	back = func() {
		if gone {
			gone = false
			Expect(world.ControlPlane.Client.Create(ctx, again)).To(Succeed())
		}
	}
	DeferCleanup(back)
	return back
}

var _ = Describe("What an installation opens by, where it is missing and a manager runs,", func() {
	It("is not made beside the manager, and it is said what to do", func() {
		file, id := taken(func(string) {})
		led()
		var domainKey v1alpha1.Envelope
		var all v1alpha1.EnvelopeList
		Expect(world.ControlPlane.Client.List(ctx, &all, client.InNamespace(environment.OperatorNamespace))).To(Succeed())
		for _, e := range all.Items {
			if e.Spec.Class == v1alpha1.EnvelopeDomainKey {
				domainKey = e
			}
		}
		back := without(&domainKey)
		err := restored(world.ControlPlane.Client, file, id)
		Expect(err).To(MatchError(backup.ErrRunning))
		Expect(err).To(MatchError(And(ContainSubstring(domainKey.Name), ContainSubstring("stores it again by itself"), ContainSubstring("kubectl get keyring -n strongroom-system"),
			ContainSubstring("EnvelopeMissing"), ContainSubstring("--set replicas=0"))))
		Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(&domainKey), &v1alpha1.Envelope{})).NotTo(Succeed())
		back()

		root := without(environment.RootSecret())
		err = restored(world.ControlPlane.Client, file, id)
		Expect(err).To(MatchError(backup.ErrRunning))
		Expect(err).To(MatchError(And(HavePrefix("core Secret strongroom-system/strongroom-root is missing"), Not(ContainSubstring("by itself")))))
		root()
		Expect(restored(world.ControlPlane.Client, file, id)).To(Succeed())
	})
})

var _ = Describe("An HSMCluster", func() {
	var hc *v1alpha1.HSMCluster
	var credentials *corev1.Secret
	BeforeEach(func() {
		hc = &v1alpha1.HSMCluster{
			ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "vault"}, Spec: v1alpha1.HSMClusterSpec{Mode: v1alpha1.HSMModeFIPS, SoftHSM: &v1alpha1.SoftHSM{}},
		}
		credentials = &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: environment.OperatorNamespace, Name: cloudhsm.CredentialsName(cloudhsm.ClusterID(hc.Namespace, hc.Name))},
			Data:       map[string][]byte{"pin": []byte("1234")},
		}
		Expect(world.ControlPlane.Client.Create(ctx, hc)).To(Succeed())
		Expect(world.ControlPlane.Client.Create(ctx, credentials)).To(Succeed())
		DeferCleanup(func() {
			Expect(client.IgnoreNotFound(world.ControlPlane.Client.Delete(ctx, credentials))).To(Succeed())
			Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(hc), hc)).To(Succeed())
			hc.Finalizers = nil
			Expect(world.ControlPlane.Client.Update(ctx, hc)).To(Succeed())
			Expect(client.IgnoreNotFound(world.ControlPlane.Client.Delete(ctx, hc))).To(Succeed())
		})
	})
	backedUp := func(withoutRoot bool) (backup.Header, []byte, *age.HybridIdentity, bool) {
		GinkgoHelper()
		id, err := age.GenerateHybridIdentity()
		Expect(err).NotTo(HaveOccurred())
		var b bytes.Buffer
		c := &backup.Collector{Cluster: world.ControlPlane.Client, Namespace: environment.OperatorNamespace, Now: time.Now, Each: func(string) {}, WithoutRoot: withoutRoot}
		Expect(c.Write(ctx, &b, id.Recipient())).To(Succeed())
		h, objects := objectsIn(b.Bytes(), id)
		has := slices.ContainsFunc(objects, func(o *unstructured.Unstructured) bool {
			return o.GetKind() == "Secret" && o.GetName() == credentials.Name
		})
		return h, b.Bytes(), id, has
	}

	It("that is no root of trust has its credentials in a backup, with the root of trust or without, and they are restored as objects are", func() {
		for _, withoutRoot := range []bool{false, true} {
			h, file, id, has := backedUp(withoutRoot)
			Expect(h.Roots).To(Equal([]string{"strongroom-system/strongroom-root"}))
			Expect(has).To(BeTrue())

			lease := led()
			Expect(world.ControlPlane.Client.Delete(ctx, credentials.DeepCopy())).To(Succeed())
			Expect(restored(world.ControlPlane.Client, file, id)).To(Succeed(), "also while a manager runs")
			again := &corev1.Secret{}
			Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(credentials), again)).To(Succeed())
			Expect(again.Data).To(Equal(credentials.Data))

			again.Data["pin"] = []byte("4321")
			Expect(world.ControlPlane.Client.Update(ctx, again)).To(Succeed())
			Expect(restored(world.ControlPlane.Client, file, id)).To(MatchError(backup.ErrConflicts), "it is no other root of trust")
			again.Data["pin"] = []byte("1234")
			Expect(world.ControlPlane.Client.Update(ctx, again)).To(Succeed())
			Expect(world.ControlPlane.Client.Delete(ctx, lease)).To(Succeed())
		}
	})

	It("that was claimed as the root of trust is one", func() {
		controllerutil.AddFinalizer(hc, v1alpha1.RootFinalizer)
		Expect(world.ControlPlane.Client.Update(ctx, hc)).To(Succeed())
		h, file, id, has := backedUp(false)
		Expect(h.Roots).To(ConsistOf("strongroom-system/strongroom-root", "strongroom-system/"+credentials.Name))
		Expect(has).To(BeTrue())
		credentials.Data["pin"] = []byte("4321")
		Expect(world.ControlPlane.Client.Update(ctx, credentials)).To(Succeed())
		Expect(restored(world.ControlPlane.Client, file, id)).To(MatchError(backup.ErrOtherRoot))
		h, _, _, has = backedUp(true)
		Expect(h.Roots).To(HaveLen(2))
		Expect(has).To(BeFalse())
	})
})

var _ = Describe("Of two that claim the same, the one that had it", func() {
	reason := func(s *v1alpha1.Secret) string {
		GinkgoHelper()
		_, err := world.Secret.Reconcile(ctx, environment.Request(s))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(s)
		world.Seen(s)
		return meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady).Reason
	}

	It("has its name again, whatever it is called in Kubernetes", func() {
		world.ReadyKey("key")
		named := func(s *v1alpha1.Secret) { s.Spec.Name = "prod/db" }
		first, second := environment.Secret(world.Namespace, "z", named), environment.Secret(world.Namespace, "a", named)
		world.Create(first)
		Expect(reason(first)).To(Equal(v1alpha1.ReasonSucceeded))
		time.Sleep(1100 * time.Millisecond)
		world.Create(second)
		Expect(reason(second)).To(Equal(v1alpha1.ReasonNameConflict))
		file, id := taken(func(string) {})
		for _, s := range []*v1alpha1.Secret{first, second} {
			world.Update(s, func() { s.SetFinalizers(nil) })
			world.Remove(s)
		}
		Expect(restored(world.ControlPlane.Client, file, id)).To(Succeed())
		for _, s := range []*v1alpha1.Secret{first, second} {
			world.Refresh(s)
			world.Seen(s)
		}
		Expect(first.CreationTimestamp.Before(&second.CreationTimestamp)).To(BeTrue())
		Expect(reason(second)).To(Equal(v1alpha1.ReasonNameConflict))
		Expect(reason(first)).To(Equal(v1alpha1.ReasonSucceeded))
	})

	It("is the account again, of two namespaces", func() {
		file, id := taken(func(string) {})
		h, objects := objectsIn(file, id)
		var b bytes.Buffer
		w, err := backup.NewWriter(&b, h, id.Recipient())
		Expect(err).NotTo(HaveOccurred())
		first, second := "z-"+world.Namespace, "a-"+world.Namespace
		for _, name := range []string{first, second} {
			objects = append(objects, &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": "IAMGroup", "metadata": map[string]any{"namespace": name, "name": "g"}, "spec": map[string]any{},
			}})
		}
		for i, name := range []string{second, first} { // as a list has them
			objects = append(objects, &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{
					"name": name, "labels": map[string]any{v1alpha1.AccountIDLabel: "111122223333"}, "creationTimestamp": time.Unix(int64(2000-i*1000), 0).UTC().Format(time.RFC3339),
				},
			}})
		}
		for _, o := range objects {
			Expect(w.Add(o)).To(Succeed())
		}
		Expect(w.Close()).To(Succeed())
		Expect(restored(world.ControlPlane.Client, b.Bytes(), id)).To(Succeed())
		var older, younger corev1.Namespace
		Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKey{Name: first}, &older)).To(Succeed())
		Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKey{Name: second}, &younger)).To(Succeed())
		Expect(older.CreationTimestamp.Before(&younger.CreationTimestamp)).To(BeTrue())
		Expect(older.CreationTimestamp.Time).To(BeTemporally("~", time.Now(), time.Hour), "made now")
		for _, name := range []string{first, second} { // namespaces stay in this control plane
			Expect(world.ControlPlane.Client.Delete(ctx, &v1alpha1.IAMGroup{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "g"}})).To(Succeed())
		}
	})
})

var _ = Describe("What was deleted for good", func() {
	DescribeTable("is in no backup once its erasure has begun, although a manager died half-way", func(dies int, in int) {
		before := installed()
		all := world.Envelopes(v1alpha1.EnvelopeSecretVersion)
		Expect(all).To(HaveLen(2))
		world.Update(before.secret, func() { before.secret.SetFinalizers(nil) })
		world.Remove(before.secret)
		faulty := &environment.FaultyClient{Client: world.ControlPlane.Client}
		faulty.FailAt(dies, false)
		s := &store.Store{Client: faulty, Live: world.ControlPlane.Client}
		_, err := s.Erase(ctx, &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "db"}}, all, time.Now())
		Expect(err).To(MatchError(environment.ErrInjected))
		file, id := taken(func(string) {})
		_, objects := objectsIn(file, id)
		count := 0
		for _, o := range objects {
			if class, _, _ := unstructured.NestedString(o.Object, "spec", "class"); o.GetNamespace() == world.Namespace && class == string(v1alpha1.EnvelopeSecretVersion) {
				count++
			}
		}
		Expect(count).To(Equal(in))
	},
		Entry("when it has marked one", 2, 2),
		Entry("when it has marked all, and erased none", 3, 2),
		Entry("when it has erased the first", 4, 0),
	)
})

var _ = Describe("An Envelope under a domain key that is not there", func() {
	var (
		keyring *v1alpha1.Keyring
		planted *v1alpha1.Envelope
	)
	BeforeEach(func() {
		keyring = &v1alpha1.Keyring{ObjectMeta: metav1.ObjectMeta{Namespace: environment.OperatorNamespace, Name: v1alpha1.KeyringName}}
		DeferCleanup(func() {
			Expect(client.IgnoreNotFound(world.ControlPlane.Client.Delete(ctx, keyring))).To(Succeed())
			Expect(client.IgnoreNotFound(world.ControlPlane.Client.Delete(ctx, planted))).To(Succeed())
		})
		ring, err := world.Services.Keyring.Get()
		Expect(err).NotTo(HaveOccurred())
		planted, err = store.NewTombstone(ring, world.Namespace, v1alpha1.EnvelopeOwner{Kind: "KMSKey", Name: "nothing"}, "arn", store.Tombstone{}, time.Now(), time.Now().Add(time.Hour))
		Expect(err).NotTo(HaveOccurred())
	})
	under := func(namespace string, epoch int64) {
		GinkgoHelper()
		planted.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: planted.Name}
		planted.Spec.KeyARN = fmt.Sprintf("strongroom:domain-key/%d", epoch)
		Expect(world.ControlPlane.Client.Create(ctx, planted)).To(Succeed())
	}
	known := func(epoch int64) {
		GinkgoHelper()
		if keyring.ResourceVersion == "" {
			Expect(world.ControlPlane.Client.Create(ctx, keyring)).To(Succeed())
		}
		keyring.Status.CurrentEpoch = epoch
		Expect(world.ControlPlane.Client.Status().Update(ctx, keyring)).To(Succeed())
	}
	written := func() (passed []string, err error) {
		GinkgoHelper()
		id, err := age.GenerateHybridIdentity()
		Expect(err).NotTo(HaveOccurred())
		var b bytes.Buffer
		c := &backup.Collector{Cluster: world.ControlPlane.Client, Namespace: environment.OperatorNamespace, Now: time.Now, Each: func(string) {},
			Passed: func(name string, epoch int64) { passed = append(passed, fmt.Sprint(name, " ", epoch)) }}
		if err := c.Write(ctx, &b, id.Recipient()); err != nil {
			return passed, err
		}
		_, objects := objectsIn(b.Bytes(), id)
		Expect(objects).NotTo(ContainElement(HaveField("GetName()", planted.Name)))
		return passed, nil
	}

	It("is left out of a backup, which is taken and tells of it, if it names an epoch that no domain key has had", func() {
		known(1)
		under(world.Namespace, 77777)
		Expect(written()).To(ConsistOf("Envelope " + world.Namespace + "/" + planted.Name + " 77777"))
	})

	It("has the backup refused if there was such a domain key, or there may have been", func() {
		under(world.Namespace, 2)
		_, err := written()
		Expect(err).To(MatchError(backup.ErrKeyLost), "nothing is noted of the Keyring")
		known(2)
		_, err = written()
		Expect(err).To(MatchError(backup.ErrKeyLost), "the Keyring knows it")
		known(1)
		Expect(written()).To(HaveLen(1))
		Expect(world.ControlPlane.Client.Delete(ctx, planted)).To(Succeed())
		under(environment.OperatorNamespace, 2)
		_, err = written()
		Expect(err).To(MatchError(backup.ErrKeyLost), "Strongroom's own namespace has it")
	})
})

// named is a policy that lets two users in.
func named(action string, users ...string) *v1alpha1.PolicyDocument {
	d := &v1alpha1.PolicyDocument{}
	d.Raw = []byte(`{"Statement":[{"Action":"` + action + `","Effect":"Allow","Principal":{"AWS":["` + strings.Join(users, `","`) + `"]},"Resource":"*"}],"Version":"2012-10-17"}`)
	return d
}

var _ = Describe("Whom policies named who was made again under the name", func() {
	var (
		key       *v1alpha1.KMSKey
		grant     *v1alpha1.KMSGrant
		role      *v1alpha1.IAMRole
		secret    *v1alpha1.Secret
		parameter *v1alpha1.Parameter
	)
	userARN := func(name string) string {
		return "arn:aws:iam::" + arn.DeriveAccount(world.Namespace) + ":user/" + name
	}
	objects := func() []client.Object { return []client.Object{key, grant, role, secret, parameter} }
	user := func(name string, create bool) *v1alpha1.IAMUser {
		GinkgoHelper()
		u := &v1alpha1.IAMUser{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name}}
		if create {
			world.Create(u)
		}
		world.Refresh(u)
		world.Seen(u)
		_, err := world.IAMUser.Reconcile(ctx, environment.Request(u))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(u)
		world.Seen(u)
		return u
	}
	remove := func(obj client.Object) {
		GinkgoHelper()
		world.Refresh(obj)
		world.Update(obj, func() { obj.SetFinalizers(nil) })
		world.Remove(obj)
	}
	pass := func() {
		GinkgoHelper()
		world.Refresh(key)
		world.Seen(key)
		world.ReconcileKey(key)
		for _, do := range []func() error{
			func() error { _, err := world.KMSGrant.Reconcile(ctx, environment.Request(grant)); return err },
			func() error { _, err := world.IAMRole.Reconcile(ctx, environment.Request(role)); return err },
			func() error { _, err := world.Secret.Reconcile(ctx, environment.Request(secret)); return err },
			func() error { _, err := world.Parameter.Reconcile(ctx, environment.Request(parameter)); return err },
		} {
			Expect(do()).To(Succeed())
		}
		for _, obj := range objects() {
			world.Refresh(obj)
			world.Seen(obj)
		}
	}
	// bound are the unique ids by ARNs, of each object.
	bound := func() (out []map[string]string) {
		for _, b := range []*v1alpha1.PolicyBinding{key.Status.PolicyBinding, grant.Status.Binding, role.Status.Trust, secret.Status.PolicyBinding, parameter.Status.PolicyBinding} {
			ids := map[string]string{}
			if b != nil {
				for _, p := range b.Principals {
					ids[p.ARN] = p.UniqueID
				}
			}
			out = append(out, ids)
		}
		return out
	}
	replaced := func() (out []bool) {
		for _, obj := range objects() {
			o, ok := obj.(interface{ GetConditions() []metav1.Condition })
			Expect(ok).To(BeTrue())
			out = append(out, meta.IsStatusConditionTrue(o.GetConditions(), v1alpha1.ConditionPrincipalReplaced))
		}
		return out
	}
	all := func(is bool) []bool { return []bool{is, is, is, is, is} }
	var first, second, other *v1alpha1.IAMUser
	BeforeEach(func() {
		first, other = user("ada", true), user("bob", true)
		ada, bob := userARN("ada"), userARN("bob")
		key = environment.KMSKey(world.Namespace, "key", func(k *v1alpha1.KMSKey) {
			k.Spec.Policy = named(`kms:*`, "arn:aws:iam::"+arn.DeriveAccount(world.Namespace)+":root", ada, bob)
			k.Spec.Policy.Raw = []byte(strings.Replace(string(k.Spec.Policy.Raw), `"2012-10-17"`, `"2012-10-17","Id":"<&> in JSON"`, 1)) // which is written in two ways
		})
		grant = &v1alpha1.KMSGrant{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "grant"}, Spec: v1alpha1.KMSGrantSpec{
			KMSKeyRef: v1alpha1.LocalReference{Name: "key"}, GranteePrincipal: ada, RetiringPrincipal: bob, Operations: []v1alpha1.GrantOperation{"Decrypt"},
		}}
		trust := named("sts:AssumeRole", ada, bob)
		trust.Raw = []byte(strings.Replace(string(trust.Raw), `,"Resource":"*"`, "", 1))
		role = &v1alpha1.IAMRole{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "role"}, Spec: v1alpha1.IAMRoleSpec{AssumeRolePolicy: trust}}
		secret = environment.Secret(world.Namespace, "db", func(s *v1alpha1.Secret) { s.Spec.ResourcePolicy = named("secretsmanager:GetSecretValue", ada, bob) })
		parameter = environment.Parameter(world.Namespace, "level", func(p *v1alpha1.Parameter) {
			p.Spec.Tier, p.Spec.ResourcePolicy = v1alpha1.TierAdvanced, named("ssm:GetParameter", ada, bob)
		})
		for _, obj := range objects() {
			world.Create(obj)
		}
		pass()
		pass()
		Expect(bound()).To(HaveEach(Equal(map[string]string{ada: first.Status.UniqueID, bob: other.Status.UniqueID})))
		remove(first)
		second = user("ada", true)
		Expect(second.Status.UniqueID).NotTo(Equal(first.Status.UniqueID))
		pass()
		Expect(replaced()).To(Equal(all(true)))
	})
	destroy := func() {
		GinkgoHelper()
		for _, obj := range append(objects(), second, other) {
			remove(obj)
		}
		Expect(world.ControlPlane.Client.DeleteAllOf(ctx, &v1alpha1.Envelope{}, client.InNamespace(world.Namespace))).To(Succeed())
		Eventually(func() int {
			var left v1alpha1.EnvelopeList
			Expect(world.GetClient().List(ctx, &left, client.InNamespace(world.Namespace))).To(Succeed())
			return len(left.Items)
		}).Should(BeZero())
	}

	It("is still allowed nothing after a restore, and all others are who they were", func() {
		file, id := taken(func(string) {})
		for range 2 { // and a backup of what was restored has that, too
			destroy()
			Expect(restored(world.ControlPlane.Client, file, id)).To(Succeed())
			second, other = user("ada", false), user("bob", false)
			pass()
			Expect(replaced()).To(Equal(all(true)))
			Expect(bound()).To(HaveEach(Equal(map[string]string{userARN("ada"): first.Status.UniqueID, userARN("bob"): other.Status.UniqueID})))
			file, id = taken(func(string) {})
		}
	})

	It("is so of an object whose versions are not all in the backup, as well", func() {
		once := false
		file, id := taken(func(kind string) {
			if kind != "KMSKey" || once {
				return
			}
			once = true
			world.Update(secret, func() { metav1.SetMetaDataAnnotation(&secret.ObjectMeta, v1alpha1.RotateAnnotation, "again") })
			pass()
		})
		Expect(statusIn(file, id, "Secret", "db")).To(And(HaveLen(1), HaveKey("policyBinding")))
		destroy()
		Expect(restored(world.ControlPlane.Client, file, id)).To(Succeed())
		user("ada", false)
		pass()
		Expect(bound()[3]).To(HaveKeyWithValue(userARN("ada"), first.Status.UniqueID))
	})

	It("is let in by what is restored while a manager runs, which is told", func() {
		file, id := taken(func(string) {})
		destroy()
		led()
		bare, err := bareAfter(file, id)
		Expect(err).NotTo(HaveOccurred())
		Expect(bare).To(HaveLen(5))
		Expect(bare).To(HaveKeyWithValue("KMSKey "+world.Namespace+"/key", ContainSubstring("a manager runs")))
		bare, err = bareAfter(file, id)
		Expect(err).NotTo(HaveOccurred())
		Expect(bare).To(HaveLen(5), "no controller has seen them yet")
		user("ada", false)
		user("bob", false)
		pass()
		Expect(replaced()).To(Equal(all(false)))
		Expect(bareAfter(file, id)).To(BeEmpty(), "they are there, and are left as they are")
	})
})
