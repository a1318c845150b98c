package keyring_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/keyring"
	corering "strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/internal/unseal"
	"strongroom.dev/strongroom/test/environment"
)

func TestKeyringController(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(20 * time.Second)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	RunSpecs(t, "Keyring controller")
}

var (
	ctx   = context.Background()
	world *environment.World
)

var _ = BeforeSuite(func() { world = environment.NewWorld(ctx) })

var _ = BeforeEach(reset)

// reset gives each spec a Keyring and Envelopes of its own, and the domain keys that there are by then.
func reset() {
	GinkgoHelper()
	world.Fresh()
	world.Clock.Set(time.Now().Truncate(time.Second))
	k := named(environment.OperatorNamespace, v1alpha1.KeyringName)
	if err := world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(k), k); err == nil {
		world.Remove(k)
	}
	var all v1alpha1.EnvelopeList
	Expect(world.ControlPlane.Client.List(ctx, &all)).To(Succeed())
	for i := range all.Items {
		if e := &all.Items[i]; e.Spec.Class != v1alpha1.EnvelopeDomainKey {
			world.Remove(e)
		}
	}
}

func named(namespace, name string) *v1alpha1.Keyring {
	return &v1alpha1.Keyring{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

// made is the Keyring that the operator makes, after its first pass.
func made() *v1alpha1.Keyring {
	GinkgoHelper()
	k := named(environment.OperatorNamespace, v1alpha1.KeyringName)
	_, err := world.Keyring.Reconcile(ctx, environment.Request(k))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(k)
	world.Seen(k)
	pass(k)
	return k
}

// passBy makes one pass with a reconciler.
func passBy(r *keyring.Reconciler, k *v1alpha1.Keyring) (ctrl.Result, error) {
	return r.Reconcile(ctx, environment.Request(k))
}

// pass makes one pass and reads the Keyring again.
func pass(k *v1alpha1.Keyring) time.Duration {
	GinkgoHelper()
	result, err := passBy(world.Keyring, k)
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(k)
	world.Seen(k)
	return result.RequeueAfter
}

func ask(k *v1alpha1.Keyring, token string) {
	GinkgoHelper()
	world.Update(k, func() { metav1.SetMetaDataAnnotation(&k.ObjectMeta, v1alpha1.RotateAnnotation, token) })
}

// rotated asks for a rotation, makes it, and lets the new domain key settle.
func rotated(k *v1alpha1.Keyring) {
	GinkgoHelper()
	before := k.Status.CurrentEpoch
	ask(k, fmt.Sprint("after ", before))
	pass(k)
	Expect(k.Status.CurrentEpoch).To(Equal(before + 1))
	world.Clock.Advance(time.Minute)
}

// finished makes passes until nothing is left to rewrap.
func finished(k *v1alpha1.Keyring) {
	GinkgoHelper()
	Eventually(func() *metav1.Condition {
		pass(k)
		return condition(k, v1alpha1.ConditionRewrapped)
	}).Should(HaveField("Status", metav1.ConditionTrue))
}

func condition(k *v1alpha1.Keyring, name string) *metav1.Condition {
	return meta.FindStatusCondition(k.Status.Conditions, name)
}

// domainKeys are the stored domain keys.
func domainKeys() (out []v1alpha1.Envelope) {
	GinkgoHelper()
	var all v1alpha1.EnvelopeList
	Expect(world.ControlPlane.Client.List(ctx, &all, client.InNamespace(environment.OperatorNamespace))).To(Succeed())
	for i := range all.Items {
		if all.Items[i].Spec.Class == v1alpha1.EnvelopeDomainKey {
			out = append(out, all.Items[i])
		}
	}
	return out
}

// onlyOf is a keyring that has the domain key of one epoch alone, opened anew by the root, as if there had never been another.
func onlyOf(epoch int64) *corering.Keyring {
	GinkgoHelper()
	secret := environment.RootSecret()
	Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(secret), secret)).To(Succeed())
	root := corering.NewSoftwareRoot(unseal.CoreSecretProvider, secretbytes.Copy(secret.Data["root"]))
	for _, e := range domainKeys() {
		if e.Spec.Sequence == epoch {
			ring, err := corering.Unseal(ctx, root, []corering.DomainKeyRecord{{Epoch: epoch, Wrapped: e.Spec.Ciphertext}})
			Expect(err).NotTo(HaveOccurred())
			return ring
		}
	}
	Fail(fmt.Sprint("there is no domain key of epoch ", epoch))
	return nil
}

// underDomainKeys are the Envelopes of all namespaces that domain keys wrap.
func underDomainKeys() (out []v1alpha1.Envelope) {
	GinkgoHelper()
	var all v1alpha1.EnvelopeList
	Expect(world.ControlPlane.Client.List(ctx, &all)).To(Succeed())
	for i := range all.Items {
		if store.Epoch(all.Items[i].Spec.KeyARN) > 0 {
			out = append(out, all.Items[i])
		}
	}
	return out
}

// allOpenUnder tells that each Envelope is under the domain key of an epoch and needs no other.
func allOpenUnder(epoch int64) {
	GinkgoHelper()
	ring := onlyOf(epoch)
	for _, e := range underDomainKeys() {
		Expect(store.Epoch(e.Spec.KeyARN)).To(Equal(epoch), e.Name)
		_, err := ring.Rewrap(e.Spec.Ciphertext, store.Binding(&e), store.Binding(&e))
		Expect(err).NotTo(HaveOccurred(), e.Name)
	}
}

// records stores Envelopes under the current domain key: tombstones, of which one is as good as another.
func records(count int) (out []*v1alpha1.Envelope) {
	GinkgoHelper()
	ring, err := world.Services.Keyring.Get()
	Expect(err).NotTo(HaveOccurred())
	for n := range count {
		e, err := store.NewTombstone(ring, world.Namespace, v1alpha1.EnvelopeOwner{Kind: "Other", Name: fmt.Sprint("o", n)}, fmt.Sprint("subject ", n),
			store.Tombstone{Index: versions.Index{{ID: "v", Sequence: 1}}}, world.Clock.Now(), world.Clock.Now().Add(time.Hour))
		Expect(err).NotTo(HaveOccurred())
		Expect(world.ControlPlane.Client.Create(ctx, e)).To(Succeed())
		out = append(out, e)
	}
	Eventually(func() int {
		found, err := world.Services.Store.OfEpoch(ctx, ring.CurrentEpoch())
		Expect(err).NotTo(HaveOccurred())
		return len(found)
	}).Should(BeNumerically(">=", count))
	return out
}

// claim has an Envelope name another domain key, as somebody who may write Envelopes in its namespace can.
func claim(e *v1alpha1.Envelope, epoch int64) {
	GinkgoHelper()
	changed := live(e)
	world.Update(changed, func() { changed.Spec.KeyARN = fmt.Sprintf("strongroom:domain-key/%d", epoch) })
	world.Seen(changed)
}

// damaged is the metric strongroom_damaged_envelopes.
func damaged() float64 {
	GinkgoHelper()
	families, err := metrics.Registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	for _, f := range families {
		if f.GetName() == "strongroom_damaged_envelopes" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	Fail("there is no such metric")
	return 0
}

func live(e *v1alpha1.Envelope) *v1alpha1.Envelope {
	GinkgoHelper()
	out := &v1alpha1.Envelope{}
	Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(e), out)).To(Succeed())
	return out
}

func gone(e *v1alpha1.Envelope) bool {
	return apierrors.IsNotFound(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(e), &v1alpha1.Envelope{}))
}
