package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/internal/loopback"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

// unused is an address of loopback that nobody listens on.
func unused(t *testing.T) string {
	t.Helper()
	free, err := loopback.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return free
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// output is what a process writes, to be read while it writes.
type output struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}

// kubeconfigOf writes a kubeconfig file of a client configuration.
func kubeconfigOf(t *testing.T, cfg *rest.Config) string {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: cfg.Host, CertificateAuthorityData: cfg.CAData}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{ClientCertificateData: cfg.CertData, ClientKeyData: cfg.KeyData}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	config.CurrentContext = "x"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// replica is a manager that runs as a process.
type replica struct {
	cmd    *exec.Cmd
	probes string
	logs   *output
	ended  chan error
}

func startManager(t *testing.T, kubeconfig string, args ...string) *replica {
	t.Helper()
	r := &replica{probes: unused(t), logs: &output{}, ended: make(chan error, 1)}
	r.cmd = exec.Command(os.Args[0], append([]string{
		"manager", "--kubeconfig", kubeconfig, "--namespace", environment.OperatorNamespace, "--health-probe-bind-address", r.probes, "--metrics-bind-address=0",
	}, args...)...)
	dir := t.TempDir()
	r.cmd.Dir, r.cmd.Env = dir, []string{asCommand + "=1", "HOME=" + dir, "GOCOVERDIR=" + dir}
	r.cmd.Stdout, r.cmd.Stderr = r.logs, r.logs
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.ended <- r.cmd.Wait() }()
	t.Cleanup(func() { _ = r.cmd.Process.Kill() })
	return r
}

func (r *replica) ready() bool {
	response, err := http.Get("http://" + r.probes + "/readyz")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func soon(t *testing.T, what string, r *replica, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(40 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s\n%s", what, r.logs)
		}
	}
}

// stopped tells a replica to end by a signal, and checks that it does so well.
func (r *replica) stopped(t *testing.T, signal os.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-r.ended:
		if err != nil {
			t.Errorf("after %s: %v\n%s", signal, err, r.logs)
		}
	case <-time.After(40 * time.Second):
		t.Fatalf("it does not end\n%s", r.logs)
	}
}

// The whole program against a real API server: what a Deployment starts and ends.
func TestAManagerServesUntilItIsToldToEndAndGivesItsLeaseToTheNext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cp, err := environment.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer cp.Stop()
	kubeconfig := kubeconfigOf(t, cp.Config)
	audit, gateway := filepath.Join(t.TempDir(), "audit.log"), unused(t)

	first := startManager(t, kubeconfig, "--audit-log", audit, "--gateway-bind-address", gateway)
	soon(t, "the first is ready", first, first.ready)
	lease := &coordinationv1.Lease{}
	at := client.ObjectKey{Namespace: environment.OperatorNamespace, Name: operator.LeaseName}
	holder := func() string {
		if err := cp.Client.Get(ctx, at, lease); err != nil || lease.Spec.HolderIdentity == nil {
			return ""
		}
		return *lease.Spec.HolderIdentity
	}
	soon(t, "the first leads", first, func() bool { return holder() != "" })
	leader := holder()

	second := startManager(t, kubeconfig, "--audit-log", audit+"2", "--gateway-bind-address", unused(t))
	soon(t, "the second is ready, without leading", second, second.ready)
	if got := holder(); got != leader {
		t.Errorf("the lease went from %s to %s", leader, got)
	}
	taken := startManager(t, kubeconfig, "--audit-log", audit+"3", "--gateway-bind-address", gateway, "--leader-elect=false")
	if err := <-taken.ended; err == nil || !strings.Contains(taken.logs.String(), "address already in use") {
		t.Errorf("a third on the first's address: %v\n%s", err, taken.logs)
	}

	first.stopped(t, syscall.SIGTERM)
	soon(t, "the second leads, long before a lease runs out", second, func() bool { got := holder(); return got != "" && got != leader })
	second.stopped(t, os.Interrupt)
	if got := holder(); got != "" {
		t.Errorf("%s has the lease still", got)
	}
	if info, err := os.Stat(audit); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("audit records are readable for others: %v, %v", info, err)
	}
	for line := range strings.Lines(first.logs.String() + second.logs.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("%q is no JSON", line)
		}
		if strings.Contains(line, string(cp.Config.KeyData)) || strings.Contains(line, "PRIVATE KEY") {
			t.Error("a private key is in the log")
		}
	}
}
