//go:build cgo

package hsmcluster_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/test/environment"
)

func inModule(namespace, name string, spec v1alpha1.KeySpec, hc *v1alpha1.HSMCluster) *v1alpha1.KMSKey {
	GinkgoHelper()
	key := environment.KMSKey(namespace, name, func(k *v1alpha1.KMSKey) {
		k.Spec.Origin = v1alpha1.KeyOriginCloudHSM
		k.Spec.CustomKeyStoreRef = &v1alpha1.CustomKeyStoreReference{Namespace: hc.Namespace, Name: hc.Name}
		if spec != v1alpha1.KeySpecSymmetricDefault {
			k.Spec.KeySpec, k.Spec.KeyUsage = spec, v1alpha1.KeyUsageSignVerify
		}
	})
	Expect(cp.Client.Create(ctx, key)).To(Succeed())
	return key
}

// opensslVerifies lets openssl verify a signature of a message with SHA-256.
func opensslVerifies(public *keys.PublicKey, message, signature []byte) {
	GinkgoHelper()
	in := func(name string, content []byte) string {
		path := filepath.Join(GinkgoT().TempDir(), name)
		Expect(os.WriteFile(path, content, 0o600)).To(Succeed())
		return path
	}
	out, err := exec.Command("openssl", "dgst", "-sha256", "-verify", in("public.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public.DER()})),
		"-signature", in("signature", signature), in("message", message)).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)
}

func sign(key *v1alpha1.KMSKey, message string) ([]byte, error) {
	digest := sha256.Sum256([]byte(message))
	algorithm := keys.ECDSASHA256
	if key.Spec.KeySpec == v1alpha1.KeySpecRSA2048 {
		algorithm = keys.PKCS1SHA256
	}
	return op.Services.KMS.Sign(ctx, key, algorithm, keys.Message{Bytes: digest[:], Type: keys.Digested})
}

var _ = Describe("An HSMCluster", Ordered, func() {
	var hc *v1alpha1.HSMCluster
	var payments *v1alpha1.KMSKey

	BeforeAll(func() {
		Expect(cp.Namespace(ctx, "shop", nil)).To(Succeed())
	})

	It("of three nodes becomes Ready by itself, with one domain key in all of them", func() {
		hc = cluster(environment.OperatorNamespace, "vault-floor", 3)
		ready(hc)
		Expect(hc.Status.State).To(Equal(v1alpha1.HSMClusterActive))
		Expect(hc.Status.ClusterID).To(MatchRegexp(`^cluster-[2-7a-z]{11}$`))
		Expect(hc.Status.Nodes).To(HaveLen(3))
		for _, n := range hc.Status.Nodes {
			Expect(n).To(And(HaveField("State", v1alpha1.HSMActive), HaveField("Message", ""), HaveField("Endpoint", HavePrefix("127.0.0.1:")), HaveField("Module", ContainSubstring("SoftHSM"))))
		}
		Expect(hc.Status.DomainKeys).To(HaveLen(1))
		Expect(hc.Status.DomainKeys[0]).To(And(HaveField("Epoch", int64(1)), HaveField("KeyCheckValue", MatchRegexp("^[0-9a-f]{10}$"))))
		Expect(is(hc, v1alpha1.ConditionAvailable, metav1.ConditionTrue)).NotTo(BeNil())
		Consistently(func() string { return refresh(hc).ResourceVersion }, "2s").Should(Equal(hc.ResourceVersion), "a cluster in which nothing happens writes nothing")
	})

	It("makes the key of the example in another namespace, which signs, and openssl verifies it", func() {
		payments = inModule("shop", "payments", v1alpha1.KeySpecECCNISTP256, hc)
		ready(payments)
		Expect(payments.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
		signature, err := sign(payments, "pay 5")
		Expect(err).NotTo(HaveOccurred())
		public, err := op.Services.KMS.PublicKey(ctx, payments)
		Expect(err).NotTo(HaveOccurred())
		opensslVerifies(public, []byte("pay 5"), signature)
	})

	It("signs with RSA too", func() {
		key := inModule("shop", "rsa", v1alpha1.KeySpecRSA2048, hc)
		ready(key)
		signature, err := sign(key, "m")
		Expect(err).NotTo(HaveOccurred())
		public, err := op.Services.KMS.PublicKey(ctx, key)
		Expect(err).NotTo(HaveOccurred())
		opensslVerifies(public, []byte("m"), signature)
	})

	It("encrypts with a symmetric key, for its encryption context alone, and a Secret lives under it", func() {
		key := inModule("shop", "key", v1alpha1.KeySpecSymmetricDefault, hc)
		ready(key)
		ec := keys.Context{"a": "b"}
		ciphertext, _, err := op.Services.KMS.Encrypt(ctx, key, keys.Encrypt, ec, secretbytes.Copy([]byte("CANARY")))
		Expect(err).NotTo(HaveOccurred())
		Expect(bytes.Contains(ciphertext, []byte("CANARY"))).To(BeFalse())
		plaintext, err := op.Services.KMS.Decrypt(ctx, key, ec, ciphertext)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(plaintext.Reveal())).To(Equal("CANARY"))
		_, err = op.Services.KMS.Decrypt(ctx, key, keys.Context{"a": "c"}, ciphertext)
		Expect(err).To(MatchError(keys.ErrInvalidCiphertext))
		ciphertext[len(ciphertext)-1] ^= 1
		_, err = op.Services.KMS.Decrypt(ctx, key, ec, ciphertext)
		Expect(err).To(MatchError(keys.ErrInvalidCiphertext))

		secret := environment.Secret("shop", "db")
		Expect(cp.Client.Create(ctx, secret)).To(Succeed())
		ready(secret)
	})

	It("loses a node, is asked as before, and has it back", func() {
		release := hold(hc, 1)
		pid := kill(hc, 1)
		Eventually(func(g Gomega) {
			is(hc, v1alpha1.ConditionReady, metav1.ConditionFalse)(g)
			g.Expect(hc.Status.State).To(Equal(v1alpha1.HSMClusterDegraded))
			g.Expect(hc.Status.Nodes[1].State).To(Equal(v1alpha1.HSMDegraded))
			g.Expect(hc.Status.Nodes[1].Message).NotTo(BeEmpty())
		}).Should(Succeed())
		is(hc, v1alpha1.ConditionAvailable, metav1.ConditionTrue)(Default)
		for range 20 {
			_, err := sign(payments, "one is gone")
			Expect(err).NotTo(HaveOccurred())
		}
		release()
		ready(hc)
		Expect(pidOf(hc, 1)).NotTo(Equal(pid))
	})

	It("whose nodes are all gone makes its keys Unavailable and says why, and they come back by themselves", func() {
		before, err := sign(payments, "before")
		Expect(err).NotTo(HaveOccurred())
		var releases []func()
		for i := range 3 {
			releases = append(releases, hold(hc, i))
			kill(hc, i)
		}
		_, err = sign(payments, "at once")
		Expect(err).To(MatchError(cloudhsm.ErrUnavailable))
		Eventually(is(hc, v1alpha1.ConditionAvailable, metav1.ConditionFalse)).Should(Succeed())
		Eventually(func(g Gomega) {
			is(payments, v1alpha1.ConditionReady, metav1.ConditionFalse)(g)
			g.Expect(payments.Status.KeyState).To(Equal(v1alpha1.KeyStateUnavailable))
			g.Expect(payments.Status.Conditions).To(ContainElement(And(HaveField("Type", "Ready"), HaveField("Reason", v1alpha1.ReasonCustomKeyStoreUnavailable))))
		}).Should(Succeed())
		for _, release := range releases {
			release()
		}
		ready(hc)
		ready(payments)
		public, err := op.Services.KMS.PublicKey(ctx, payments)
		Expect(err).NotTo(HaveOccurred())
		opensslVerifies(public, []byte("before"), before)
		after, err := sign(payments, "after")
		Expect(err).NotTo(HaveOccurred())
		opensslVerifies(public, []byte("after"), after)
	})

	It("gets its domain key back in a node whose token is lost", func() {
		was := hc.Status.DomainKeys
		release := hold(hc, 2)
		kill(hc, 2)
		Expect(os.RemoveAll(filepath.Join(dir(hc, 2), "tokens"))).To(Succeed())
		Expect(os.Mkdir(filepath.Join(dir(hc, 2), "tokens"), 0o700)).To(Succeed())
		Eventually(is(hc, v1alpha1.ConditionReady, metav1.ConditionFalse)).Should(Succeed())
		release()
		ready(hc)
		Expect(hc.Status.DomainKeys).To(Equal(was))
	})

	It("grows, with the same domain key", func() {
		was := hc.Status.DomainKeys
		hc.Spec.Size = 4
		Expect(cp.Client.Update(ctx, hc)).To(Succeed())
		ready(hc)
		Expect(hc.Status.Nodes).To(HaveLen(4))
		Expect(hc.Status.DomainKeys).To(Equal(was))
		hc.Spec.Size = 3
		Expect(cp.Client.Update(ctx, hc)).To(Succeed())
		ready(hc)
		Expect(hc.Status.Nodes).To(HaveLen(3))
	})

	It("is found again by the next manager, also with a lost status", func() {
		was := hc.Status
		Expect(op.Stop()).To(Succeed())
		hc.Status = v1alpha1.HSMClusterStatus{}
		Expect(cp.Client.Status().Update(ctx, hc)).To(Succeed())
		start()
		ready(hc)
		Expect(hc.Status.ClusterID).To(Equal(was.ClusterID))
		Expect(hc.Status.DomainKeys).To(Equal(was.DomainKeys))
		ready(payments)
		Eventually(func() error { _, err := sign(payments, "again"); return err }).Should(Succeed())
	})

	It("keeps its PINs out of status, of events and of the namespaces of its users", func() {
		var secrets corev1.SecretList
		Expect(cp.Client.List(ctx, &secrets)).To(Succeed())
		var pin []byte
		for _, s := range secrets.Items {
			if s.Name == cloudhsm.CredentialsName(hc.Status.ClusterID) {
				Expect(s.Namespace).To(Equal(environment.OperatorNamespace))
				pin = s.Data["pin"]
			}
		}
		Expect(len(pin)).To(BeNumerically(">=", 32))
		for number := range 3 {
			log, err := os.ReadFile(filepath.Join(dir(hc, number), "log"))
			Expect(err).NotTo(HaveOccurred())
			Expect(bytes.Contains(log, pin)).To(BeFalse())
		}
	})

	It("is not let go while a KMSKey is in it", func() {
		Expect(cp.Client.Delete(ctx, hc)).To(Succeed())
		Eventually(is(hc, v1alpha1.ConditionDeletionBlocked, metav1.ConditionTrue)).Should(Succeed())
		_, err := sign(payments, "still")
		Expect(err).NotTo(HaveOccurred())
	})
})

var _ = Describe("An HSMCluster of another namespace", Ordered, func() {
	var hc *v1alpha1.HSMCluster

	BeforeAll(func() {
		Expect(cp.Namespace(ctx, "bank", nil)).To(Succeed())
		Expect(cp.Namespace(ctx, "friend", map[string]string{"team": "friends"})).To(Succeed())
		Expect(cp.Namespace(ctx, "stranger", nil)).To(Succeed())
		hc = cluster("bank", "own", 1)
		ready(hc)
	})

	It("is for its own namespace alone, as long as it does not let others in", func() {
		own, stranger, friend := inModule("bank", "key", v1alpha1.KeySpecECCNISTP256, hc), inModule("stranger", "key", v1alpha1.KeySpecECCNISTP256, hc), inModule("friend", "key", v1alpha1.KeySpecECCNISTP256, hc)
		ready(own)
		for _, key := range []*v1alpha1.KMSKey{stranger, friend} {
			Eventually(func(g Gomega) {
				is(key, v1alpha1.ConditionStalled, metav1.ConditionTrue)(g)
				g.Expect(key.Status.Conditions).To(ContainElement(HaveField("Reason", v1alpha1.ReasonCustomKeyStoreNotFound)))
			}).Should(Succeed())
		}
		refresh(hc)
		hc.Spec.AllowedNamespaces = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "friends"}}
		Expect(cp.Client.Update(ctx, hc)).To(Succeed())
		ready(friend)
		Consistently(is(stranger, v1alpha1.ConditionStalled, metav1.ConditionTrue), "1s").Should(Succeed())
	})

	It("says that its selector is none, what selectors are, and goes on for its own namespace", func() {
		for _, broken := range []metav1.LabelSelectorRequirement{
			{Key: "team", Operator: "Near", Values: []string{"friends"}}, {Key: "team", Operator: metav1.LabelSelectorOpIn},
			{Key: "team", Operator: metav1.LabelSelectorOpExists, Values: []string{"friends"}}, {Key: "no key", Operator: metav1.LabelSelectorOpExists},
		} {
			refresh(hc)
			hc.Spec.AllowedNamespaces = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{broken}}
			Expect(cp.Client.Update(ctx, hc)).To(Succeed())
			Eventually(func(g Gomega) {
				is(hc, v1alpha1.ConditionStalled, metav1.ConditionTrue)(g)
				g.Expect(hc.Status.ObservedGeneration).To(Equal(hc.Generation))
				g.Expect(hc.Status.Conditions).To(ContainElement(And(HaveField("Type", v1alpha1.ConditionReady), HaveField("Reason", v1alpha1.ReasonInvalidSelector),
					HaveField("Message", And(HavePrefix("spec.allowedNamespaces: "), ContainSubstring("Exists and DoesNotExist"))))))
			}).Should(Succeed())
			Expect(hc.Status.Conditions).To(ContainElement(And(HaveField("Type", v1alpha1.ConditionAvailable), HaveField("Status", metav1.ConditionTrue))))
		}
		refresh(hc)
		hc.Spec.AllowedNamespaces = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "friends"}}
		Expect(cp.Client.Update(ctx, hc)).To(Succeed())
		ready(hc)
	})

	It("says that its domain key is lost when all tokens are, and makes no other", func() {
		release := hold(hc, 0)
		kill(hc, 0)
		tokens := filepath.Join(dir(hc, 0), "tokens")
		Expect(os.Rename(tokens, tokens+".lost")).To(Succeed())
		Expect(os.Mkdir(tokens, 0o700)).To(Succeed())
		release()
		Eventually(func(g Gomega) {
			is(hc, v1alpha1.ConditionStalled, metav1.ConditionTrue)(g)
			g.Expect(hc.Status.Conditions).To(ContainElement(HaveField("Reason", v1alpha1.ReasonDomainKeyLost)))
			g.Expect(hc.Status.DomainKeys).To(HaveLen(1))
		}).Should(Succeed())
		release = hold(hc, 0)
		kill(hc, 0)
		Expect(os.RemoveAll(tokens)).To(Succeed())
		Expect(os.Rename(tokens+".lost", tokens)).To(Succeed())
		release()
		ready(hc)
	})

	It("that is deleted and applied again has its tokens and so its keys", func() {
		var keysOf v1alpha1.KMSKeyList
		Expect(cp.Client.List(ctx, &keysOf)).To(Succeed())
		for i := range keysOf.Items {
			if keysOf.Items[i].Spec.CustomKeyStoreRef != nil && keysOf.Items[i].Spec.CustomKeyStoreRef.Name == "own" {
				Expect(cp.Client.Delete(ctx, &keysOf.Items[i])).To(Succeed())
			}
		}
		was := refresh(hc).Status
		Expect(cp.Client.Delete(ctx, hc)).To(Succeed())
		Eventually(func() bool {
			return apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(hc), hc.DeepCopy()))
		}).Should(BeTrue())
		Eventually(func() error { _, err := os.Stat(filepath.Join(directory, was.ClusterID, "0", "pid")); return err }, 20*time.Second).Should(MatchError(os.ErrNotExist))
		again := cluster("bank", "own", 1)
		ready(again)
		Expect(again.Status.ClusterID).To(Equal(was.ClusterID))
		Expect(again.Status.DomainKeys).To(Equal(was.DomainKeys))
		restored := inModule("bank", "key", v1alpha1.KeySpecECCNISTP256, again)
		ready(restored)
		_, err := sign(restored, "restored")
		Expect(err).NotTo(HaveOccurred())
	})
})

var _ = Describe("The library of another module", func() {
	It("is refused unless the operator lets nodes load it, and no file of the node is one", func() {
		Expect(cp.Namespace(ctx, "loader", nil)).To(Succeed())
		Expect(cp.Client.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "loader", Name: "pin"}, Data: map[string][]byte{"pin": []byte("\x7fELF-CANARY")}})).To(Succeed())
		hc := &v1alpha1.HSMCluster{
			ObjectMeta: metav1.ObjectMeta{Namespace: "loader", Name: "code"},
			Spec: v1alpha1.HSMClusterSpec{Size: 1, PKCS11: &v1alpha1.PKCS11{
				Library: filepath.Join(directory, cloudhsm.ClusterID("loader", "code"), "0", "pin"), TokenLabel: "x", PINSecretRef: v1alpha1.SecretKeyReference{Name: "pin", Key: "pin"},
			}},
		}
		Expect(cp.Client.Create(ctx, hc)).To(Succeed())
		Eventually(is(hc, v1alpha1.ConditionStalled, metav1.ConditionTrue)).Should(Succeed())
		Expect(condition(hc, v1alpha1.ConditionStalled)).To(And(HaveField("Reason", v1alpha1.ReasonLibraryNotAllowed),
			HaveField("Message", And(ContainSubstring("it lets that namespace none"), ContainSubstring("--hsm-libraries"), Not(ContainSubstring("CANARY"))))))
		Expect(filepath.Join(directory, cloudhsm.ClusterID("loader", "code"))).NotTo(BeADirectory())
	})
})

var _ = Describe("The PIN of another module", func() {
	It("is waited for", func() {
		hc := &v1alpha1.HSMCluster{}
		Expect(yaml.Unmarshal([]byte(`
metadata: {name: other, namespace: strongroom-system}
spec: {size: 1, pkcs11: {library: /usr/lib/softhsm/libsofthsm2.so, tokenLabel: theirs, pinSecretRef: {name: pin, key: pin}}}`), hc)).To(Succeed())
		Expect(cp.Client.Create(ctx, hc)).To(Succeed())
		Eventually(func(g Gomega) {
			is(hc, v1alpha1.ConditionReady, metav1.ConditionFalse)(g)
			g.Expect(hc.Status.Conditions).To(ContainElement(And(HaveField("Reason", v1alpha1.ReasonSourceNotFound), HaveField("Message", ContainSubstring("pinSecretRef")))))
		}).Should(Succeed())
	})
})
