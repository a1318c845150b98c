//go:build cgo

package hsmcluster_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/hsm/hsmtest"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/hsmnodes"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/test/environment"
)

const vendorTool = "/usr/bin/softhsm2-util"

// network is what several nodes reach: one token, which locks after three wrong PINs in a row.
type network struct {
	*passes
	faults *hsmtest.Faults
	hc     *v1alpha1.HSMCluster
}

// newNetwork makes a token as the vendor's tools do, and an HSMCluster of three nodes with its PIN.
func newNetwork() *network {
	GinkgoHelper()
	n := &network{passes: newPasses(), faults: hsmtest.NewFaults(GinkgoTB())}
	n.faults.Lock(GinkgoTB())
	n.host.Libraries = []hsmnodes.Library{{Path: n.faults.Library, TokenLabel: "*", Namespace: environment.OperatorNamespace}, {Path: n.faults.Library, TokenLabel: "theirs", Namespace: "bank"}}
	conf := hsmtest.Configuration(GinkgoTB(), GinkgoT().TempDir())
	setUp := exec.Command(vendorTool, "--init-token", "--free", "--label", "theirs", "--pin", hsmtest.PIN, "--so-pin", hsmtest.SOPIN)
	setUp.Env = append(os.Environ(), conf)
	out, err := setUp.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(out))
	n.host.Command = func(arguments ...string) *exec.Cmd {
		script := `while [ -e "` + n.gate + `" ]; do sleep 0.02; done; exec env "` + conf + `" "` + n.faults.Environment() + `" "$0" "$@"`
		c := exec.Command("sh", append([]string{"-c", script, os.Args[0]}, arguments...)...)
		c.Env = append(os.Environ(), asStrongroom+"=1")
		return c
	}
	n.hc = &v1alpha1.HSMCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: environment.OperatorNamespace, Name: "network"},
		Spec: v1alpha1.HSMClusterSpec{Size: 3, PKCS11: &v1alpha1.PKCS11{
			Library: n.faults.Library, TokenLabel: "theirs", PINSecretRef: v1alpha1.SecretKeyReference{Name: "pin", Key: "pin"},
		}},
	}
	Expect(n.cp.Client.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: n.hc.Namespace, Name: "pin"}, Data: map[string][]byte{"pin": []byte(hsmtest.PIN)}})).To(Succeed())
	Expect(n.cp.Client.Create(ctx, n.hc)).To(Succeed())
	return n
}

// give puts another PIN into the user's core Secret.
func (n *network) give(pin string) {
	GinkgoHelper()
	secret := &corev1.Secret{}
	Expect(n.cp.Client.Get(ctx, client.ObjectKey{Namespace: n.hc.Namespace, Name: "pin"}, secret)).To(Succeed())
	secret.Data["pin"] = []byte(pin)
	Expect(n.cp.Client.Update(ctx, secret)).To(Succeed())
}

// restart ends all nodes at once, as a loss of power does, and waits until they answer.
func (n *network) restart() {
	GinkgoHelper()
	for number := range int(n.hc.Spec.Size) {
		path := filepath.Join(n.host.Directory, cloudhsm.ClusterID(n.hc.Namespace, n.hc.Name), strconv.Itoa(number), "pid")
		text, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		Expect(err).NotTo(HaveOccurred())
		Expect(syscall.Kill(pid, syscall.SIGKILL)).To(Succeed())
		Eventually(func() string { text, _ := os.ReadFile(path); return string(text) }).ShouldNot(Or(BeEmpty(), Equal(string(text))))
	}
	n.answering(n.hc, hsmpb.State_STATE_UNINITIALIZED)
}

func (n *network) wrong() int { user, _ := n.faults.Wrong(GinkgoTB()); return user }

func (n *network) ready() string { return condition(n.hc, v1alpha1.ConditionReady).Message }

var _ = Describe("Nodes that have one token together", Ordered, func() {
	var n *network
	BeforeAll(func() {
		n = newNetwork()
		_, _ = n.pass(n.sound, n.hc)
		n.answering(n.hc, hsmpb.State_STATE_UNINITIALIZED)
	})

	It("come up by themselves, and one domain key is made for all", func() {
		n.settled(n.hc)
		Expect(n.hc.Status.State).To(Equal(v1alpha1.HSMClusterActive))
		Expect(n.hc.Status.DomainKeys).To(HaveLen(1))
		Expect(n.faults.Calls(GinkgoTB(), "C_Login-user")).To(Equal(3), "each logs in once")
		Expect(n.faults.Calls(GinkgoTB(), "C_GenerateKey")).To(Equal(2), "of two keys, the domain key and its wrapping key")
	})

	It("open what any of them has wrapped", func() {
		c, err := n.sound.Clusters.Connect(ctx, client.ObjectKeyFromObject(n.hc), cloudhsm.Endpoints(n.hc))
		Expect(err).NotTo(HaveOccurred())
		Expect(c.Check(ctx).Healthy()).To(Equal(3)) // which has each node open what the one before it wrapped
		key := secretbytes.Copy([]byte("a key of thirty-two bytes, whole"))
		wrapped, err := c.Wrap(ctx, key, []byte("aad"))
		Expect(err).NotTo(HaveOccurred())
		for range 12 {
			got, err := c.Unwrap(ctx, wrapped, []byte("aad"))
			Expect(err).NotTo(HaveOccurred())
			Expect(got.Reveal()).To(Equal(key.Reveal()))
		}
	})

	It("try a wrong PIN once in all, however often they start and whichever write the manager dies at", func() {
		n.give("first-wrong-CANARY")
		n.restart()
		n.writes.FailAt(2, false) // the token has refused it, and nobody could write that down
		_, err := n.pass(n.faulty, n.hc)
		Expect(err).To(MatchError(environment.ErrInjected))
		Expect(n.wrong()).To(Equal(1))
		for range 3 {
			_, _ = n.pass(n.sound, n.hc)
			n.restart()
		}
		_, _ = n.pass(n.sound, n.hc)
		Expect(n.wrong()).To(Equal(1))
		Expect(n.ready()).To(And(ContainSubstring("refused the PIN"), ContainSubstring(`key "pin" of core Secret strongroom-system/pin is not tried again`), Not(ContainSubstring("CANARY"))))
		Expect(string(n.tries().Data["pins.json"])).To(And(ContainSubstring(`"refused":true`), Not(ContainSubstring("CANARY"))))
	})

	It("log in again when the PIN is right, and the token forgets the wrong one", func() {
		n.give(hsmtest.PIN)
		n.settled(n.hc)
		Expect(n.wrong()).To(BeZero())
	})

	It("do not try a PIN that a manager died before it could tell a node", func() {
		n.give("second-wrong-CANARY")
		n.restart()
		before := n.faults.Calls(GinkgoTB(), "C_Login-user")
		n.writes.FailAt(1, false)
		_, err := n.pass(n.faulty, n.hc)
		Expect(err).To(MatchError(environment.ErrInjected))
		Expect(n.faults.Calls(GinkgoTB(), "C_Login-user")).To(Equal(before))
		n.give(hsmtest.PIN)
		n.settled(n.hc)
		Expect(n.wrong()).To(BeZero())
	})

})
