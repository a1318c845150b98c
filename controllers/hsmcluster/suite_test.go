//go:build cgo

package hsmcluster_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/cmd"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

// asStrongroom makes this test's binary the program that HSM nodes are.
const asStrongroom = "STRONGROOMTEST_AS_STRONGROOM"

func TestMain(m *testing.M) {
	if os.Getenv(asStrongroom) != "" {
		os.Exit(cmd.Execute(context.Background()))
	}
	os.Exit(m.Run())
}

func TestHSMClusterController(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(60 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "HSMCluster controller")
}

var (
	ctx       = context.Background()
	cp        *environment.ControlPlane
	op        *environment.Operator
	directory string
)

var _ = BeforeSuite(func() {
	Expect("/usr/lib/softhsm/libsofthsm2.so").To(BeAnExistingFile(), "run hack/softhsm.sh")
	var err error
	cp, err = environment.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(cp.Stop()).To(Succeed()) })
	directory = GinkgoT().TempDir()
	start()
	DeferCleanup(func() { Expect(op.Stop()).To(Succeed()) })
})

// start runs a manager whose HSM nodes are real processes with SoftHSM.
func start() {
	GinkgoHelper()
	var err error
	op, err = environment.RunOperator(ctx, cp.Config, operator.Options{
		HSMLocalDirectory: directory, HSMCheckInterval: 250 * time.Millisecond, Now: time.Now,
		HSMCommand: func(arguments ...string) *exec.Cmd {
			c := exec.Command(os.Args[0], arguments...)
			c.Env = append(os.Environ(), asStrongroom+"=1")
			return c
		},
	})
	Expect(err).NotTo(HaveOccurred())
}

func refresh[T client.Object](obj T) T {
	GinkgoHelper()
	Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
	return obj
}

func cluster(namespace, name string, size int32) *v1alpha1.HSMCluster {
	GinkgoHelper()
	hc := &v1alpha1.HSMCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.HSMClusterSpec{Size: size, Mode: v1alpha1.HSMModeFIPS, SoftHSM: &v1alpha1.SoftHSM{}},
	}
	Expect(cp.Client.Create(ctx, hc)).To(Succeed())
	return hc
}

// is tells whether a condition of an object, read anew, has a status of the object's generation.
func is(obj interface {
	client.Object
	GetConditions() []metav1.Condition
}, condition string, status metav1.ConditionStatus,
) func(Gomega) {
	return func(g Gomega) {
		g.Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
		c := meta.FindStatusCondition(obj.GetConditions(), condition)
		g.Expect(c).NotTo(BeNil())
		g.Expect(*c).To(HaveField("Status", status), "%s", c.Message)
		g.Expect(c.ObservedGeneration).To(Equal(obj.GetGeneration()))
	}
}

func ready(obj interface {
	client.Object
	GetConditions() []metav1.Condition
},
) {
	GinkgoHelper()
	Eventually(is(obj, v1alpha1.ConditionReady, metav1.ConditionTrue)).Should(Succeed())
}

// dir of a node of a cluster.
func dir(hc *v1alpha1.HSMCluster, number int) string {
	return filepath.Join(directory, hc.Status.ClusterID, strconv.Itoa(number))
}

// kill ends a node's process as a crash does, and answers its number.
func kill(hc *v1alpha1.HSMCluster, number int) int {
	GinkgoHelper()
	pid := pidOf(hc, number)
	Expect(syscall.Kill(pid, syscall.SIGKILL)).To(Succeed())
	return pid
}

func pidOf(hc *v1alpha1.HSMCluster, number int) int {
	GinkgoHelper()
	var pid int
	Eventually(func() (err error) {
		text, err := os.ReadFile(filepath.Join(dir(hc, number), "pid"))
		if err == nil {
			pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		return err
	}).Should(Succeed())
	return pid
}

// hold keeps a node from starting again until the function that it returns is called: its library's configuration is gone.
func hold(hc *v1alpha1.HSMCluster, number int) (release func()) {
	GinkgoHelper()
	path := filepath.Join(dir(hc, number), "tls.key")
	Expect(os.Rename(path, path+".held")).To(Succeed())
	return func() {
		GinkgoHelper()
		Expect(os.Rename(path+".held", path)).To(Succeed())
	}
}
