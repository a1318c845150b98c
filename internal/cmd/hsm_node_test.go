//go:build cgo

package cmd

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/client"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/hsm/hsmtest"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
)

// process is strongroom hsm, the whole program.
type process struct {
	*exec.Cmd
	address, probes string
	cluster         *client.Cluster
	node            client.Node
	ended           chan error

	mu     sync.Mutex
	stderr bytes.Buffer
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.Write(b)
}

func (p *process) logs() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

// run starts a node in dir, with more arguments and variables.
func run(t *testing.T, a *hsmtest.Authority, dir string, environment []string, more ...string) *process {
	t.Helper()
	a.Write(t, dir, mtls.Node, "one")
	in := func(name string) string { return filepath.Join(dir, name) }
	p := &process{address: freeAddress(t), probes: freeAddress(t), ended: make(chan error, 1)}
	p.Cmd = exec.Command(os.Args[0], append([]string{
		"hsm", "--cluster", hsmtest.Cluster, "--state-dir", dir, "--tls-cert-file", in("tls.crt"), "--tls-key-file", in("tls.key"), "--tls-ca-file", in("ca.crt"),
		"--bind-address", p.address, "--health-probe-bind-address", p.probes,
	}, more...)...)
	p.Env = append(append(os.Environ(), asCommand+"=1", hsmtest.Configuration(t, dir)), environment...)
	p.Stderr = p
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.Wait() }()
	t.Cleanup(func() { _ = p.Process.Kill() })
	var err error
	p.cluster, err = client.New(client.Options{Cluster: hsmtest.Cluster, Addresses: []string{p.address}, TLS: a.Source(t, mtls.Operator, "test")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cluster.Close() })
	p.node, _ = p.cluster.Node(p.address)
	return p
}

func (p *process) initialised(t *testing.T) {
	t.Helper()
	hsmtest.Eventually(t, "initialised", func() bool { return p.node.Initialize(t.Context()) == nil })
	if _, err := p.node.CreateDomainKey(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
}

func (p *process) probe(t *testing.T, path string) (int, string) {
	t.Helper()
	r, err := http.Get("http://" + p.probes + path)
	if err != nil {
		return 0, ""
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

func pins(t *testing.T, dir string) []string {
	t.Helper()
	for name, pin := range map[string]string{"pin": hsmtest.PIN, "so-pin": hsmtest.SOPIN} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(pin), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"--pin-file", filepath.Join(dir, "pin"), "--so-pin-file", filepath.Join(dir, "so-pin")}
}

// children are those of all threads of a process: the kernel tells them by the thread that made them.
func children(t *testing.T, pid int) (out []int) {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil || len(lists) == 0 {
		t.Fatalf("process %d: %v, %v", pid, lists, err)
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread ended
		}
		for _, field := range strings.Fields(string(text)) {
			n, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, n)
		}
	}
	if len(out) != 1 {
		t.Fatalf("process %d has the children %v, and should have the module's", pid, out)
	}
	return out
}

func TestAnHSMNodeSaysWhatIsWrongWithItsFlagsAndDoesNotStart(t *testing.T) {
	dir, a := t.TempDir(), hsmtest.NewAuthority(t)
	a.Write(t, dir, mtls.Node, "one")
	in := func(name string) string { return filepath.Join(dir, name) }
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	good := map[string]string{
		"cluster": "c", "state-dir": dir, "tls-cert-file": in("tls.crt"), "tls-key-file": in("tls.key"), "tls-ca-file": in("ca.crt"), "pin-file": in("pin"),
		"bind-address": "127.0.0.1:0", "health-probe-bind-address": "0",
	}
	for flag, tt := range map[string][2]string{
		"cluster": {"", "--cluster is missing"}, "state-dir": {"/missing", `"/missing" is not there`}, "tls-cert-file": {"", "--tls-cert-file is missing"},
		"tls-key-file": {in("missing"), "reading the certificate"}, "tls-ca-file": {in("tls.key"), "reading the authorities"},
		"bind-address": {taken.Addr().String(), "--bind-address: "}, "health-probe-bind-address": {taken.Addr().String(), "--health-probe-bind-address: "},
		"log-level": {"loud", `--log-level is "loud"`}, "sessions": {"65", "65 sessions"}, "max-cached-keys": {"0", "0 cached keys"},
		"oaep-hash": {"MD5", `the hash "MD5"`}, "token-label": {strings.Repeat("x", 33), "a token label of 33 bytes"}, "library": {"", "there is no library"},
		"pin-file": {"", "--pin-file is missing, and so is STRONGROOM_HSM_PIN"},
	} {
		arguments := []string{"hsm"}
		for name, value := range good {
			if name != flag {
				arguments = append(arguments, "--"+name+"="+value)
			}
		}
		got := strongroom(t, append(arguments, "--"+flag+"="+tt[0])...)
		if got.code != 1 || !strings.Contains(got.stderr, tt[1]) {
			t.Errorf("--%s=%s: %+v", flag, tt[0], got)
		}
	}
	if got := strongroom(t, "hsm", "argument"); got.code == 0 {
		t.Errorf("an argument: %+v", got)
	}
}

func TestNoPINCanBeGivenOnTheCommandLine(t *testing.T) {
	got := strongroom(t, "hsm", "--help")
	if got.code != 0 || strings.Contains(got.stdout, "--pin ") || strings.Contains(got.stdout, "--so-pin ") || !strings.Contains(got.stdout, "never on the command line") {
		t.Errorf("%+v", got)
	}
	if got := strongroom(t, "--help"); strings.Contains(got.stdout, hsmModule) {
		t.Errorf("the hidden command is shown: %s", got.stdout)
	}
}

// PINs by the environment are for the node, and not for the vendor's library in its child.
func TestPINsByTheEnvironmentServeAndDoNotReachTheModulesProcess(t *testing.T) {
	p := run(t, hsmtest.NewAuthority(t), t.TempDir(), []string{"STRONGROOM_HSM_PIN=" + hsmtest.PIN, "STRONGROOM_HSM_SO_PIN=" + hsmtest.SOPIN})
	p.initialised(t)
	all := children(t, p.Process.Pid)
	for _, file := range []string{"environ", "cmdline"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", all[0], file))
		if err != nil || strings.Contains(string(text), "CANARY") {
			t.Errorf("%s of the child has a PIN, or %v", file, err)
		}
	}
	if strings.Contains(p.logs(), "CANARY") {
		t.Error(p.logs())
	}
}

// The probes say how the node is, to whoever can reach the port: in words for people, and without secrets.
func TestTheProbesSayWhatIsMissingAndThatTheProcessLives(t *testing.T) {
	dir := t.TempDir()
	p := run(t, hsmtest.NewAuthority(t), dir, nil, pins(t, dir)...)
	hsmtest.Eventually(t, "UNINITIALIZED", func() bool {
		code, text := p.probe(t, "/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(text, "STATE_UNINITIALIZED")
	})
	if code, text := p.probe(t, "/healthz"); code != http.StatusOK || text != "ok\n" {
		t.Errorf("%d %q", code, text)
	}
	for _, path := range []string{"/", "/metrics", "/debug/pprof/", "/readyz/x"} {
		if code, _ := p.probe(t, path); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
	if r, err := http.Post("http://"+p.probes+"/readyz", "text/plain", strings.NewReader("x")); err != nil || r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("%v, %v", r, err)
	}
	p.initialised(t)
	hsmtest.Eventually(t, "ready", func() bool { code, _ := p.probe(t, "/readyz"); return code == http.StatusOK })
	if err := os.WriteFile(filepath.Join(dir, "pin"), []byte("wrong-CANARY"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(children(t, p.Process.Pid)[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	hsmtest.Eventually(t, "WrongPIN", func() bool {
		code, text := p.probe(t, "/readyz")
		if strings.Contains(text, "CANARY") {
			t.Errorf("%q", text)
		}
		return code == http.StatusServiceUnavailable && strings.Contains(text, "WrongPIN")
	})
	if code, _ := p.probe(t, "/healthz"); code != http.StatusOK {
		t.Errorf("a node with a wrong PIN is not to be restarted for it: %d", code)
	}
}

// A pod that is drained: what was begun comes to its end, and nothing of the node is left.
func TestANodeThatIsToldToEndFinishesWhatItBeganAndLeavesNoProcess(t *testing.T) {
	dir, a := t.TempDir(), hsmtest.NewAuthority(t)
	p := run(t, a, dir, nil, pins(t, dir)...)
	p.initialised(t)
	spec, err := hsm.ParseKeySpec("RSA_2048")
	if err != nil {
		t.Fatal(err)
	}
	begun := make(chan error, 4)
	for range cap(begun) {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			_, _, err := p.cluster.GenerateKey(ctx, spec, nil)
			begun <- err
		}()
	}
	time.Sleep(50 * time.Millisecond) // an RSA key takes longer
	child := children(t, p.Process.Pid)
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	finished := 0
	for range cap(begun) {
		if err := <-begun; err == nil {
			finished++
		}
	}
	select {
	case err := <-p.ended:
		if err != nil {
			t.Errorf("it ended with %v: %s", err, p.logs())
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
	if finished == 0 {
		t.Errorf("no request that was in flight came to its end: %s", p.logs())
	}
	for _, pid := range child {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("the module's process %d lives", pid)
		}
	}
	// The next one on the same token is as this one was.
	next := run(t, a, dir, nil, pins(t, dir)...)
	hsmtest.Eventually(t, "ACTIVE", func() bool {
		s, err := next.node.Status(t.Context())
		return err == nil && s.GetState() == hsmpb.State_STATE_ACTIVE
	})
}

func TestANodeThatIsKilledTakesItsModuleWithIt(t *testing.T) {
	dir := t.TempDir()
	p := run(t, hsmtest.NewAuthority(t), dir, nil, pins(t, dir)...)
	p.initialised(t)
	child := children(t, p.Process.Pid)
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	hsmtest.Eventually(t, "the module's process ends", func() bool { return ended(child[0]) })
}

// ended tells that a process runs no more. One that nobody has waited for yet, as an orphan until the machine's first process does, has
// ended all the same (proc_pid_stat(5): state Z).
func ended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || bytes.Contains(stat, []byte(") Z "))
}

func TestANodeThatLosesItsModuleUnderLoadAnswersAgainByItself(t *testing.T) {
	dir := t.TempDir()
	p := run(t, hsmtest.NewAuthority(t), dir, nil, append(pins(t, dir), "--sessions=2", "--max-cached-keys=1")...)
	p.initialised(t)
	spec, _ := hsm.ParseKeySpec("ECC_NIST_P256")
	key, _, err := p.cluster.GenerateKey(t.Context(), spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("message"))
	if err := syscall.Kill(children(t, p.Process.Pid)[0], syscall.SIGSEGV); err != nil {
		t.Fatal(err)
	}
	hsmtest.Eventually(t, "it signs", func() bool {
		p.cluster.Check(t.Context())
		_, err := p.cluster.Sign(t.Context(), key, "ECDSA_SHA_256", digest[:])
		return err == nil
	})
	if s, err := p.node.Status(t.Context()); err != nil || s.GetModuleStarts() != 2 || s.GetCapacity().GetMaxCachedKeys() != 1 {
		t.Errorf("%v, %v", s, err)
	}
	if code, _ := p.probe(t, "/readyz"); code != http.StatusOK {
		t.Errorf("%d", code)
	}
}
