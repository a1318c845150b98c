package manager_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"strongroom.dev/strongroom/test/environment"
)

// binaryDir is where binary puts it, "" before.
var binaryDir string

// binary builds the real program once.
var binary = sync.OnceValues(func() (string, error) {
	var err error
	if binaryDir, err = os.MkdirTemp("", "strongroom"); err != nil {
		return "", err
	}
	path := filepath.Join(binaryDir, "strongroom")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Dir = environment.Root()
	cmd.Stderr = GinkgoWriter
	return path, cmd.Run()
})

var _ = AfterSuite(func() {
	if binaryDir != "" {
		Expect(os.RemoveAll(binaryDir)).To(Succeed())
	}
})

// kubeconfig writes a file for a process that talks to an API server at a host.
func kubeconfig(cfg *rest.Config, host string) string {
	GinkgoHelper()
	file := clientcmdapi.NewConfig()
	file.Clusters["c"] = &clientcmdapi.Cluster{Server: "https://" + host, CertificateAuthorityData: cfg.CAData}
	file.AuthInfos["u"] = &clientcmdapi.AuthInfo{ClientCertificateData: cfg.CertData, ClientKeyData: cfg.KeyData}
	file.Contexts["c"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	file.CurrentContext = "c"
	path := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
	Expect(clientcmd.WriteToFile(*file, path)).To(Succeed())
	return path
}

// process is the real program, running.
type process struct {
	cmd   *exec.Cmd
	log   *bytes.Buffer
	ended chan error
}

// launch starts it against a host and ends it after the spec.
func launch(config string, flags ...string) *process {
	GinkgoHelper()
	path, err := binary()
	Expect(err).NotTo(HaveOccurred())
	args := append([]string{
		"manager", "--kubeconfig", config, "--namespace", environment.OperatorNamespace, "--metrics-bind-address=0", "--gateway-bind-address=0", "--health-probe-bind-address=0",
	}, flags...)
	p := &process{cmd: exec.Command(path, args...), log: &bytes.Buffer{}, ended: make(chan error, 1)}
	p.cmd.Stderr = p.log
	Expect(p.cmd.Start()).To(Succeed())
	done := make(chan struct{})
	go func() { p.ended <- p.cmd.Wait(); close(done) }()
	DeferCleanup(func(context.Context) {
		_ = p.cmd.Process.Kill()
		<-done
		if CurrentSpecReport().Failed() {
			GinkgoWriter.Println(p.log.String())
		}
	})
	return p
}

// kill ends it at once, in the middle of whatever it does.
func (p *process) kill() {
	GinkgoHelper()
	Expect(p.ended).NotTo(Receive(), "it ended by itself")
	Expect(p.cmd.Process.Kill()).To(Succeed())
	Eventually(p.ended).Should(Receive())
}

// stop asks it to end, and expects it to do so well.
func (p *process) stop() {
	GinkgoHelper()
	Expect(p.cmd.Process.Signal(syscall.SIGTERM)).To(Succeed())
	Eventually(p.ended, "40s").Should(Receive(BeNil()))
}

// administrator is a client certificate of one, and the host of the API server.
func administrator() (cfg *rest.Config, host string) {
	GinkgoHelper()
	cfg, err := cp.AddUser("strongroom", "system:masters")
	Expect(err).NotTo(HaveOccurred())
	u, _, err := rest.DefaultServerUrlFor(cfg)
	Expect(err).NotTo(HaveOccurred())
	return cfg, u.Host
}
