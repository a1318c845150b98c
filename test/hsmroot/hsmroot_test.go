//go:build cgo

package hsmroot

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/loopback"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/internal/unseal"
	"strongroom.dev/strongroom/test/environment"
)

// The specs are one installation's life, in order: each finds what the one before it left.
var _ = Describe("An installation with --root=hsm:strongroom-system/root", Ordered, func() {
	const flag = "hsm:" + own + "/" + root
	var (
		m          *manager
		hc         *v1alpha1.HSMCluster
		ciphertext []byte
		digest     string
		generated  string
	)

	AfterAll(func() { m.stop() })

	// restart ends the manager, as one does that is told to, and starts another.
	restart := func(changes ...func(*operator.Options)) {
		GinkgoHelper()
		m.stop()
		m = run(flag, changes...)
	}

	It("is sealed as long as there is no HSMCluster of that name, says what to do, and makes no other root", func() {
		m = run(flag, func(o *operator.Options) { o.HealthProbeBindAddress = "127.0.0.1:0" })
		m.sealedFor("HSMCluster strongroom-system/root does not exist: apply it")
		Expect(cp.Client.Create(ctx, environment.KMSKey("shop", "key"))).To(Succeed())
		Eventually(func(g Gomega) {
			k := environment.KMSKey("shop", "key")
			is(k, v1alpha1.ConditionReady, metav1.ConditionFalse)(g)
			g.Expect(k.Status.Conditions).To(ContainElement(And(HaveField("Reason", v1alpha1.ReasonSealed), HaveField("Message", ContainSubstring("apply it")))))
		}).Should(Succeed())
		Consistently(m.cause, "2s").Should(MatchError(keyring.ErrSealed))
		Expect(apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(environment.RootSecret()), &corev1.Secret{}))).To(BeTrue())
		Expect(domainKeys()).To(BeEmpty())
	})

	It("unseals by itself once its HSMCluster serves, which needs nothing of the keyring", func() {
		hc = hsmCluster(root)
		Expect(cp.Client.Create(ctx, hc)).To(Succeed())
		ready(hc)
		m.unsealed()
		digest = m.digest()
		Expect(m.reached()).To(BeTrue())
		stored := domainKeys()
		Expect(stored).To(HaveLen(1))
		Expect(stored[0].Spec.KeyARN).To(Equal("root:hsm:strongroom-system/root:1:" + hc.Status.DomainKeys[0].KeyCheckValue))
		Expect(apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(environment.RootSecret()), &corev1.Secret{}))).To(BeTrue(), "a root was made in a core Secret")
	})

	It("says of the cluster that it is the root, by a condition, a finalizer and an event, and keeps its core Secret too", func() {
		Eventually(is(hc, v1alpha1.ConditionRootOfTrust, metav1.ConditionTrue)).Should(Succeed())
		Expect(hc.Finalizers).To(ContainElement(v1alpha1.RootFinalizer))
		Expect(credentials().Finalizers).To(ContainElement(v1alpha1.RootFinalizer))
		Eventually(func() (reasons []string) {
			var list eventsv1.EventList
			Expect(cp.Client.List(ctx, &list, client.InNamespace(own))).To(Succeed())
			for _, e := range list.Items {
				if e.Regarding.Name == root {
					reasons = append(reasons, e.Reason)
				}
			}
			return reasons
		}).Should(ContainElement(v1alpha1.ConditionRootOfTrust))
	})

	It("has keys and secrets under it, and says of the keys that the root is protected and how far", func() {
		k := environment.KMSKey("shop", "key")
		ready(k)
		Expect(k.Status.Conditions).To(ContainElement(And(HaveField("Type", v1alpha1.ConditionRootProtected), HaveField("Status", metav1.ConditionTrue),
			HaveField("Message", And(ContainSubstring("HSMCluster strongroom-system/root"), ContainSubstring("SoftHSM is not hardware"), ContainSubstring(credentials().Name))))))
		s := environment.Secret("shop", "db")
		Expect(cp.Client.Create(ctx, s)).To(Succeed())
		ready(s)
		generated = password()
		Expect(generated).NotTo(BeEmpty())
		var err error
		ciphertext, err = m.encrypt("CANARY")
		Expect(err).NotTo(HaveOccurred())
	})

	It("is not there in the clear: neither the PINs nor what the root wraps are in an Envelope or a status", func() {
		pin := credentials().Data["pin"]
		Expect(len(pin)).To(BeNumerically(">=", 32))
		for _, e := range domainKeys() {
			Expect(bytes.Contains(e.Spec.Ciphertext, pin)).To(BeFalse())
			Expect(e.Spec.Ciphertext).To(HaveLen(12+12+32+16), "a header, a nonce, 32 bytes and a tag of the module's")
		}
	})

	It("has the same keyring after a restart of the manager, and the same secrets", func() {
		restart()
		m.unsealed()
		Expect(m.digest()).To(Equal(digest))
		Expect(m.decrypt(ciphertext)).To(Equal("CANARY"))
		Expect(password()).To(Equal(generated))
		Expect(domainKeys()).To(HaveLen(1))
	})

	It("does not need a node that is killed, and has it back", func() {
		release := hold(0)
		Eventually(is(hc, v1alpha1.ConditionReady, metav1.ConditionFalse)).Should(Succeed())
		Consistently(m.reached, "1s").Should(BeTrue())
		Expect(m.decrypt(ciphertext)).To(Equal("CANARY"))
		release()
		ready(hc)
	})

	It("goes on when all nodes are gone, and says so; a manager that starts then is sealed and says why, and unseals by itself when a node is back", func() {
		release := holdAll()
		Eventually(m.reached).Should(BeFalse())
		Eventually(is(hc, v1alpha1.ConditionAvailable, metav1.ConditionFalse)).Should(Succeed())
		m.Services.KMS.Materials.Clear() // not even what is cached is needed
		Expect(m.decrypt(ciphertext)).To(Equal("CANARY"))
		Expect(m.encrypt("more")).NotTo(BeEmpty())

		restart()
		m.sealedFor("no HSM node can be reached")
		_, err := m.encrypt("sealed")
		Expect(err).To(MatchError(keyring.ErrSealed))
		Expect(domainKeys()).To(HaveLen(1))

		release()
		m.unsealed()
		Expect(m.digest()).To(Equal(digest))
		Expect(m.decrypt(ciphertext)).To(Equal("CANARY"))
		ready(hc)
	})

	It("seals itself at the end of its grace period, if it has one, forgets what it had open, and unseals when the nodes are back", func() {
		restart(func(o *operator.Options) { o.RootGracePeriod = 2 * time.Second })
		m.unsealed()
		Expect(m.decrypt(ciphertext)).To(Equal("CANARY"))
		release := holdAll()
		m.sealedFor("no HSM node can be reached")
		Expect(m.Services.KMS.Materials.Len()).To(BeZero())
		_, err := m.decrypt(ciphertext)
		Expect(err).To(MatchError(keyring.ErrSealed))
		release()
		m.unsealed()
		Expect(m.decrypt(ciphertext)).To(Equal("CANARY"))
		ready(hc)
	})

	It("locked no token by all those attempts: no node keeps a PIN that was refused", func() {
		for number := range 2 { // what a node tries is in its state before, and goes when it was right
			entries, err := os.ReadDir(filepath.Join(dir(number), "state"))
			Expect(err).NotTo(HaveOccurred())
			Expect(entries).To(BeEmpty())
		}
		Expect(m.reached()).To(BeTrue())
	})

	DescribeTable("refuses a manager with another root, which changes nothing", func(other string, says ...string) {
		before := domainKeys()
		m.stop()
		m = run(other)
		m.sealedFor(append([]string{"is wrapped by " + flag, "start it with --root=" + flag, "cannot be changed yet"}, says...)...)
		Consistently(m.cause, "1s").Should(MatchError(keyring.ErrOtherRoot))
		Expect(apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(environment.RootSecret()), &corev1.Secret{}))).To(BeTrue(), "a root was made in a core Secret")
		Expect(domainKeys()).To(Equal(before))
		restart()
		m.unsealed()
		Expect(m.digest()).To(Equal(digest))
	},
		Entry("that of a core Secret", unseal.CoreSecretSyntax, "root of trust is core-secret"),
		Entry("another HSMCluster", "hsm:"+own+"/other", "root of trust is hsm:strongroom-system/other"),
	)

	It("is sealed while the wrapped domain key is another, by one bit, and says to restore it", func() {
		was := domainKeys()[0]
		m.stop()
		exchange(&was, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[len(e.Spec.Ciphertext)-1] ^= 1 })
		m = run(flag)
		m.sealedFor("it does not open", "restore its Envelope from a backup")
		Expect(domainKeys()[0].Spec.Ciphertext).NotTo(Equal(was.Spec.Ciphertext), "what cannot be opened is left alone")
		exchange(&was, func(*v1alpha1.Envelope) {})
		m.unsealed()
		Expect(m.digest()).To(Equal(digest))
	})

	It("is sealed while its Envelope is of another epoch than what is in it", func() {
		was := domainKeys()[0]
		m.stop()
		exchange(&was, func(e *v1alpha1.Envelope) { e.Spec.Sequence, e.Spec.Version = 2, "epoch-2" })
		m = run(flag)
		m.sealedFor("it does not open")
		exchange(&was, func(*v1alpha1.Envelope) {})
		m.unsealed()
	})

	It("makes no other domain key in a cluster whose nodes and core Secret are all lost, and is whole again when they are brought back", func() {
		lost := credentials()
		m.stop()
		clusterDir := filepath.Dir(dir(0))
		Expect(os.Rename(clusterDir, clusterDir+".lost")).To(Succeed())
		remove(lost.DeepCopy())
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(hc), hc)).To(Succeed())
		hc.Status = v1alpha1.HSMClusterStatus{}
		Expect(cp.Client.Status().Update(ctx, hc)).To(Succeed())

		m = run(flag)
		m.sealedFor("is not set up yet")
		Eventually(func(g Gomega) {
			is(hc, v1alpha1.ConditionReady, metav1.ConditionFalse)(g)
			g.Expect(hc.Status.Conditions).To(ContainElement(And(HaveField("Reason", v1alpha1.ReasonDomainKeyLost), HaveField("Message", ContainSubstring("restore it from a backup")))))
		}).Should(Succeed())
		Expect(apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(lost), &corev1.Secret{}))).To(BeTrue(), "other PINs were made")

		By("bringing back the core Secret alone, without what it knew of domain keys: the nodes have new tokens")
		half := lost.DeepCopy()
		half.ResourceVersion, half.UID = "", ""
		half.Annotations = map[string]string{cloudhsm.ClusterAnnotation: lost.Annotations[cloudhsm.ClusterAnnotation]} // whose it is, and no more
		Expect(cp.Client.Create(ctx, half)).To(Succeed())
		look(hc)
		Eventually(func(g Gomega) {
			is(hc, v1alpha1.ConditionStalled, metav1.ConditionTrue)(g)
			g.Expect(hc.Status.Conditions).To(ContainElement(And(HaveField("Reason", v1alpha1.ReasonDomainKeyLost), HaveField("Message", ContainSubstring("bring back the volume")))))
		}).Should(Succeed())
		Expect(hc.Status.DomainKeys).To(BeEmpty())
		Expect(m.cause()).To(MatchError(keyring.ErrSealed))

		By("bringing back the tokens")
		m.stop()
		Expect(os.RemoveAll(clusterDir)).To(Succeed())
		Expect(os.Rename(clusterDir+".lost", clusterDir)).To(Succeed())
		m = run(flag)
		m.unsealed()
		Expect(m.digest()).To(Equal(digest))
		ready(hc)
	})

	It("tells a cluster that has another domain key by its key check value", func() {
		p := &cloudhsm.RootProvider{Clusters: m.Services.HSM, HSMCluster: client.ObjectKeyFromObject(hc)}
		found, err := p.Find(ctx, false)
		Expect(err).NotTo(HaveOccurred())
		identifier := found.(unseal.Identifier)
		Expect(identifier.Check("1:" + hc.Status.DomainKeys[0].KeyCheckValue)).To(Succeed())
		for _, other := range []string{"1:0000000000", "2:" + hc.Status.DomainKeys[0].KeyCheckValue, "1:", ""} {
			err := identifier.Check(other)
			Expect(err).To(MatchError(keyring.ErrOtherRoot), other)
			Expect(err).To(MatchError(ContainSubstring("bring back core Secret")), other)
		}
	})

	It("is not deleted: neither its HSMCluster nor its core Secret goes, and its nodes run on, also under the next manager", func() {
		Expect(cp.Client.Delete(ctx, hc)).To(Succeed())
		Expect(cp.Client.Delete(ctx, credentials())).To(Succeed())
		Eventually(func(g Gomega) {
			is(hc, v1alpha1.ConditionDeletionBlocked, metav1.ConditionTrue)(g)
			g.Expect(hc.Status.Conditions).To(ContainElement(And(HaveField("Type", v1alpha1.ConditionDeletionBlocked), HaveField("Message", ContainSubstring("root of trust")))))
		}).Should(Succeed())
		Expect(credentials().Data["pin"]).NotTo(BeEmpty())

		restart()
		m.unsealed()
		Expect(m.digest()).To(Equal(digest))
		Eventually(is(hc, v1alpha1.ConditionAvailable, metav1.ConditionTrue)).Should(Succeed())
		Expect(hc.Status.State).To(Equal(v1alpha1.HSMClusterDeleteInProgress))
	})

	It("is kept back by its Envelope alone, if somebody takes the mark away", func() {
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(hc), hc)).To(Succeed())
		hc.Finalizers = without(hc.Finalizers, v1alpha1.RootFinalizer)
		Expect(cp.Client.Update(ctx, hc)).To(Succeed())
		look(hc)
		Consistently(is(hc, v1alpha1.ConditionDeletionBlocked, metav1.ConditionTrue), "1s").Should(Succeed())
	})

	It("is as it was when the HSMCluster, without its finalizers, went after all and is applied again", func() {
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(hc), hc)).To(Succeed())
		hc.Finalizers = nil
		Expect(cp.Client.Update(ctx, hc)).To(Succeed())
		Eventually(func() bool { return apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(hc), hc)) }).Should(BeTrue())
		restart()
		m.sealedFor("HSMCluster strongroom-system/root, the root of trust, does not exist", credentials().Name)
		hc = hsmCluster(root)
		Expect(cp.Client.Create(ctx, hc)).To(Succeed())
		m.unsealed()
		Expect(m.digest()).To(Equal(digest))
		Expect(m.decrypt(ciphertext)).To(Equal("CANARY"))
		Eventually(is(hc, v1alpha1.ConditionRootOfTrust, metav1.ConditionTrue)).Should(Succeed())
	})

	It("wraps the next domain key when that is rotated, and opens both from then on; with all nodes gone none is made, and all goes on", func() {
		m.unsealed()
		Expect(m.Unsealer.Rotate(ctx, m.Services.Store, 1, "now")).To(Succeed())
		stored := domainKeys()
		Expect(stored).To(HaveLen(2))
		Expect(stored[1].Spec.KeyARN).To(Equal(stored[0].Spec.KeyARN))
		Expect(stored[1].Spec.Ciphertext).To(HaveLen(12+12+32+16), "a header, a nonce, 32 bytes and a tag of the module's")
		Expect(m.Unsealer.Confirm(ctx, m.Services.Store)).To(BeEmpty())
		fresh := environment.KMSKey("shop", "fresh")
		Expect(cp.Client.Create(ctx, fresh)).To(Succeed())
		ready(fresh)
		restart()
		m.unsealed()
		Expect(m.digest()).To(Equal(digest))
		Expect(m.decrypt(ciphertext)).To(Equal("CANARY"))
		ring, err := m.Services.Keyring.Get()
		Expect(err).NotTo(HaveOccurred())
		Expect(ring.Epochs()).To(Equal([]int64{1, 2}))

		release := holdAll()
		Eventually(m.reached).Should(BeFalse())
		Expect(m.Unsealer.Rotate(ctx, m.Services.Store, 2, "now")).NotTo(Succeed())
		Expect(domainKeys()).To(HaveLen(2))
		Expect(m.decrypt(ciphertext)).To(Equal("CANARY"))
		release()
		Eventually(m.reached).Should(BeTrue())
		ready(hc)
	})

	It("is asked for readiness as the keyring is: sealed is not ready, and a lost root is no loss of readiness", func() {
		address := freeAddress()
		restart(func(o *operator.Options) { o.HealthProbeBindAddress = address })
		status := func() int {
			response, err := http.Get("http://" + address + "/readyz") //nolint:noctx // it ends with the manager
			if err != nil {
				return 0
			}
			_ = response.Body.Close()
			return response.StatusCode
		}
		m.unsealed()
		Eventually(status).Should(Equal(http.StatusOK))
		release := holdAll()
		Eventually(m.reached).Should(BeFalse())
		Consistently(status, "1s").Should(Equal(http.StatusOK))
		restart(func(o *operator.Options) { o.HealthProbeBindAddress = address })
		Eventually(status).Should(Equal(http.StatusInternalServerError))
		release()
		Eventually(status).Should(Equal(http.StatusOK))
	})
})

func without(all []string, one string) (out []string) {
	for _, s := range all {
		if s != one {
			out = append(out, s)
		}
	}
	return out
}

// exchange puts a changed copy in the place of an Envelope, as somebody does who may write Envelopes.
func exchange(e *v1alpha1.Envelope, change func(*v1alpha1.Envelope)) {
	GinkgoHelper()
	by := e.DeepCopy()
	by.ObjectMeta = metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Name}
	change(by)
	Expect(client.IgnoreNotFound(cp.Client.Delete(ctx, e.DeepCopy()))).To(Succeed())
	Expect(cp.Client.Create(ctx, by)).To(Succeed())
}

// remove deletes an object with its finalizers.
func remove(obj client.Object) {
	GinkgoHelper()
	obj.SetFinalizers(nil)
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))
	Expect(cp.Client.Patch(ctx, obj, patch)).To(Succeed())
	Expect(client.IgnoreNotFound(cp.Client.Delete(ctx, obj))).To(Succeed())
}

// look asks for a pass over a cluster.
func look(hc *v1alpha1.HSMCluster) {
	GinkgoHelper()
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"strongroom.dev/reconcile":"`+time.Now().String()+`"}}}`))
	Expect(cp.Client.Patch(ctx, hc, patch)).To(Succeed())
}

func freeAddress() string {
	GinkgoHelper()
	free, err := loopback.FreeAddress()
	Expect(err).NotTo(HaveOccurred())
	return free
}
