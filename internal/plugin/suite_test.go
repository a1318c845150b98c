package plugin

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

func TestPlugin(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "kubectl strongroom")
}

var (
	ctx        = context.Background()
	world      *environment.World
	cp         *environment.ControlPlane
	kubeconfig string
	namespace  string
)

var _ = BeforeSuite(func() {
	world = environment.NewWorld(ctx)
	cp = world.ControlPlane
	op, err := environment.RunOperator(ctx, cp.Config, operator.Options{})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(op.Stop)
	kubeconfig = kubeconfigOf(cp.Config)
})

var _ = BeforeEach(func() {
	world.Fresh()
	namespace = world.Namespace
})

// kubeconfigOf writes a kubeconfig for someone, whose namespace is default.
func kubeconfigOf(config *rest.Config) string {
	GinkgoHelper()
	path := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
	Expect(clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"c": {Server: config.Host, CertificateAuthorityData: config.CAData}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{
			"u": {ClientCertificateData: config.CertData, ClientKeyData: config.KeyData, Token: config.BearerToken, Username: config.Username, Password: config.Password},
		},
		Contexts:       map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u", Namespace: "default"}},
		CurrentContext: "x",
	}, path)).To(Succeed())
	Expect(os.Chmod(path, 0o600)).To(Succeed())
	return path
}

// run types a command in a namespace.
func run(arguments ...string) (out, errs string, err error) {
	return runAs(kubeconfig, append(arguments, "-n", namespace)...)
}

func runAs(kubeconfig string, arguments ...string) (out, errs string, err error) {
	for _, c := range Commands() {
		if c.Name() != arguments[0] {
			continue
		}
		var stdout, stderr bytes.Buffer
		c.SetOut(&stdout)
		c.SetErr(&stderr)
		c.SilenceUsage, c.SilenceErrors = true, true
		c.SetArgs(append(arguments[1:], "--kubeconfig", kubeconfig))
		err = c.ExecuteContext(ctx)
		return stdout.String(), stderr.String(), err
	}
	Fail("there is no command " + arguments[0])
	return "", "", nil
}
