//go:build cgo

// Package hsmroot tests an installation whose root of trust is an HSMCluster, on a real API server, with real nodes of SoftHSM: from the first start to
// losses of nodes, of managers, and of what must not be lost.
package hsmroot

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/cmd"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/test/environment"
)

// asStrongroom makes this test's binary the program that HSM nodes are.
const asStrongroom = "STRONGROOMTEST_AS_STRONGROOM"

const own, root = environment.OperatorNamespace, "root"

func TestMain(m *testing.M) {
	if os.Getenv(asStrongroom) != "" {
		os.Exit(cmd.Execute(context.Background()))
	}
	os.Exit(m.Run())
}

func TestRootOfTrustInAnHSMCluster(t *testing.T) {
	RegisterFailHandler(Fail)
	ctrl.SetLogger(logr.Discard())
	SetDefaultEventuallyTimeout(60 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "An HSMCluster as the root of trust")
}

var (
	ctx       = context.Background()
	cp        *environment.ControlPlane
	directory string
)

var _ = BeforeSuite(func() {
	Expect("/usr/lib/softhsm/libsofthsm2.so").To(BeAnExistingFile(), "run hack/softhsm.sh")
	var err error
	cp, err = environment.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(cp.Stop()).To(Succeed()) })
	Expect(cp.Namespace(ctx, "shop", nil)).To(Succeed())
	directory = GinkgoT().TempDir()
})

// manager is one that runs, sealed or not.
type manager struct {
	*operator.Operator
	stop func()
}

// run starts a manager and does not wait for anything. It outlives the spec: whoever runs it stops it.
func run(rootOfTrust string, changes ...func(*operator.Options)) *manager {
	GinkgoHelper()
	o := operator.Options{
		Namespace: own, Region: "us-east-1", SkipControllerNames: true, Root: rootOfTrust, RootVerifyInterval: 200 * time.Millisecond,
		HSMLocalDirectory: directory, HSMCheckInterval: 250 * time.Millisecond,
		HSMCommand: func(arguments ...string) *exec.Cmd {
			if isHeld(arguments) {
				return exec.Command("false")
			}
			c := exec.Command(os.Args[0], arguments...)
			c.Env = append(os.Environ(), asStrongroom+"=1")
			return c
		},
	}
	for _, change := range changes {
		change(&o)
	}
	op, err := operator.New(cp.Config, o)
	Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- op.Start(ctx) }()
	m := &manager{Operator: op, stop: sync.OnceFunc(func() {
		cancel()
		Expect(<-done).To(Succeed())
	})}
	Expect(op.GetCache().WaitForCacheSync(ctx)).To(BeTrue())
	return m
}

func (m *manager) unsealed() {
	GinkgoHelper()
	Eventually(m.Services.Keyring.Unsealed()).Should(BeClosed(), "it stays sealed: %v", m.cause())
}

// cause is why it is sealed.
func (m *manager) cause() error {
	_, err := m.Services.Keyring.Get()
	return err
}

// sealedFor waits until it is sealed, and says so in these words.
func (m *manager) sealedFor(words ...string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		err := m.cause()
		g.Expect(err).To(HaveOccurred())
		for _, w := range words {
			g.Expect(err.Error()).To(ContainSubstring(w))
		}
	}).Should(Succeed())
}

// digest tells one keyring from another.
func (m *manager) digest() string {
	GinkgoHelper()
	ring, err := m.Services.Keyring.Get()
	Expect(err).NotTo(HaveOccurred())
	return ring.Digest("which")
}

func (m *manager) reached() bool {
	_, reached := m.Unsealer.Reached()
	return reached
}

// encrypt and decrypt are those of KMS in this manager, under the key "key" of namespace shop.
func (m *manager) encrypt(plaintext string) ([]byte, error) {
	ciphertext, _, err := m.Services.KMS.Encrypt(ctx, key(), keys.Encrypt, keys.Context{"app": "shop"}, secretbytes.Copy([]byte(plaintext)))
	return ciphertext, err
}

func (m *manager) decrypt(ciphertext []byte) (string, error) {
	plaintext, err := m.Services.KMS.Decrypt(ctx, key(), keys.Context{"app": "shop"}, ciphertext)
	return string(plaintext.Reveal()), err
}

func key() *v1alpha1.KMSKey {
	GinkgoHelper()
	k := environment.KMSKey("shop", "key")
	Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(k), k)).To(Succeed())
	return k
}

// password is what the native Secret of the Secret "db" holds, written anew by this manager from the Envelope.
func password() string {
	GinkgoHelper()
	native := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db"}}
	Expect(client.IgnoreNotFound(cp.Client.Delete(ctx, native))).To(Succeed())
	Eventually(func() error { return cp.Client.Get(ctx, client.ObjectKeyFromObject(native), native) }).Should(Succeed())
	Expect(native.Data).To(HaveLen(1))
	for _, value := range native.Data {
		return string(value)
	}
	return ""
}

// conditioned is an object with conditions.
type conditioned interface {
	client.Object
	GetConditions() []metav1.Condition
}

// is tells whether a condition of an object, read anew, has a status.
func is(obj conditioned, condition string, status metav1.ConditionStatus) func(Gomega) {
	return func(g Gomega) {
		g.Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
		c := meta.FindStatusCondition(obj.GetConditions(), condition)
		g.Expect(c).NotTo(BeNil(), "there is no %s", condition)
		g.Expect(*c).To(HaveField("Status", status), "%s", c.Message)
	}
}

func ready(obj conditioned) {
	GinkgoHelper()
	Eventually(is(obj, v1alpha1.ConditionReady, metav1.ConditionTrue)).Should(Succeed())
}

func hsmCluster(name string) *v1alpha1.HSMCluster {
	return &v1alpha1.HSMCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: own, Name: name},
		Spec:       v1alpha1.HSMClusterSpec{Size: 2, SoftHSM: &v1alpha1.SoftHSM{}},
	}
}

// domainKeys are the keyring's, and credentials the cluster's core Secret.
func domainKeys() []v1alpha1.Envelope {
	GinkgoHelper()
	var list v1alpha1.EnvelopeList
	Expect(cp.Client.List(ctx, &list, client.InNamespace(own))).To(Succeed())
	var out []v1alpha1.Envelope
	for i := range list.Items {
		if list.Items[i].Spec.Class == v1alpha1.EnvelopeDomainKey {
			out = append(out, list.Items[i])
		}
	}
	return out
}

func credentials() *corev1.Secret {
	GinkgoHelper()
	s := &corev1.Secret{}
	Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: own, Name: cloudhsm.CredentialsName(cloudhsm.ClusterID(own, root))}, s)).To(Succeed())
	return s
}

func dir(number int) string {
	return filepath.Join(directory, cloudhsm.ClusterID(own, root), strconv.Itoa(number))
}

// held are the state directories of nodes that must not start.
var held sync.Map

func isHeld(arguments []string) bool {
	for _, a := range arguments {
		if _, ok := held.Load(a); ok {
			return true
		}
	}
	return false
}

// hold kills a node as a crash does, and keeps it from starting again until the function that it returns is called.
func hold(number int) (release func()) {
	GinkgoHelper()
	state := filepath.Join(dir(number), "state")
	held.Store(state, true)
	var pid int
	Eventually(func() (err error) {
		text, err := os.ReadFile(filepath.Join(dir(number), "pid"))
		if err == nil {
			pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		return err
	}).Should(Succeed())
	if err := syscall.Kill(pid, syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
		Expect(err).NotTo(HaveOccurred())
	}
	return func() { held.Delete(state) }
}

// holdAll holds both nodes.
func holdAll() (release func()) {
	GinkgoHelper()
	first, second := hold(0), hold(1)
	return func() { GinkgoHelper(); first(); second() }
}
