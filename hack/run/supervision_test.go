package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets this test's binary be the program itself, as Ctrl-C needs a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("STRONGROOM_TEST_AS_RUN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// programs are stand-ins for those of the control plane, in a folder: shell scripts that write their process id and
// arguments into files, and then do what each is told.
func programs(t *testing.T, scripts map[string]string) (bin, notes string) {
	t.Helper()
	bin, notes = t.TempDir(), t.TempDir()
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kubectl"} { // those that are looked for
		if err := os.WriteFile(filepath.Join(bin, name), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, script := range scripts {
		text := fmt.Sprintf("#!/bin/sh\nprintf '%%s\\n' \"$@\" > %[1]s/%[2]s.args\necho $$ > %[1]s/%[2]s.tmp; mv %[1]s/%[2]s.tmp %[1]s/%[2]s.pid\n%[3]s\n", notes, name, script)
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return bin, notes
}

// eventually waits for something that another process does.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-deadline.C:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// pid waits for a stand-in to have started.
func pid(t *testing.T, notes, name string) (id int) {
	t.Helper()
	eventually(t, name+" starts", func() bool {
		b, err := os.ReadFile(filepath.Join(notes, name+".pid"))
		if err != nil {
			return false
		}
		id, err = strconv.Atoi(strings.TrimSpace(string(b)))
		return err == nil
	})
	return id
}

func alive(id int) bool { return syscall.Kill(id, 0) == nil }

const untilTold = `trap 'exit 0' TERM; while :; do sleep 0.05; done`

func TestProcessesEndInTheReverseOfTheirOrder(t *testing.T) {
	bin, notes := programs(t, map[string]string{
		"first":  `trap 'echo first >> ` + "$0" + `.end; exit 0' TERM; while :; do sleep 0.05; done`,
		"second": `trap 'sleep 0.3; exit 0' TERM; while :; do sleep 0.05; done`,
	})
	g := newGroup(t.TempDir())
	for _, name := range []string{"first", "second"} {
		if err := g.start(name, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	first, second := pid(t, notes, "first"), pid(t, notes, "second")
	stopped := make(chan struct{})
	go func() { g.stop(); close(stopped) }()
	eventually(t, "the second ends", func() bool {
		if _, err := os.Stat(filepath.Join(bin, "first.end")); err == nil && alive(second) {
			t.Fatal("the first was told to end before the second had")
		}
		return !alive(second)
	})
	<-stopped
	if alive(first) {
		t.Error("the first is left")
	}
}

// A kube-apiserver that dies takes the others with it, and the reason is said, with what it wrote last.
func TestAChildThatDiesIsToldWithItsNameHowItEndedAndItsLastWords(t *testing.T) {
	for name, tt := range map[string]struct{ script, says string }{
		"exits with a code": {"echo out; echo err >&2; exit 7", "exit status 7"},
		"exits with none":   {"echo out; echo err >&2; exit 0", "exit status 0"},
		"is killed":         {"echo out; echo err >&2; kill -KILL $$", "signal: killed"},
	} {
		bin, notes := programs(t, map[string]string{"dying": tt.script, "staying": untilTold})
		g := newGroup(t.TempDir())
		if err := g.start("staying", filepath.Join(bin, "staying")); err != nil {
			t.Fatal(err)
		}
		staying := pid(t, notes, "staying")
		if err := g.start("dying", filepath.Join(bin, "dying")); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-g.failed:
			for _, says := range []string{"dying ended", tt.says, "dying.log", "out\nerr"} {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("%s: %v does not say %q", name, err, says)
				}
			}
		case <-time.After(20 * time.Second):
			t.Errorf("%s: nobody was told", name)
		}
		g.stop()
		if alive(staying) {
			t.Errorf("%s: the other process is left", name)
		}
	}
}

func TestAProgramThatIsMissingIsSaidByItsName(t *testing.T) {
	g := newGroup(t.TempDir())
	defer g.stop()
	if err := g.start("etcd", filepath.Join(t.TempDir(), "etcd")); err == nil || !strings.Contains(err.Error(), "starting etcd: ") || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if err := newGroup(filepath.Join(t.TempDir(), "missing")).start("etcd", "/bin/true"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a folder for logs: %v", err)
	}
}

// flagsOf reads the arguments that a stand-in was started with.
func flagsOf(t *testing.T, notes, name string) map[string]string {
	t.Helper()
	pid(t, notes, name)
	b, err := os.ReadFile(filepath.Join(notes, name+".args"))
	if err != nil {
		t.Fatal(err)
	}
	flags := map[string]string{}
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if _, twice := flags[key]; twice {
			t.Errorf("%s has %s twice", name, key)
		}
		flags[key] = value
	}
	return flags
}

func TestTheControlPlaneListensOnLoopbackAndAsksForCertificates(t *testing.T) {
	bin, notes := programs(t, map[string]string{"etcd": untilTold, "kube-apiserver": untilTold, "kube-controller-manager": untilTold})
	o := options{dataDir: t.TempDir(), bin: bin, audit: true}
	c, err := newCluster(o)
	if err != nil {
		t.Fatal(err)
	}
	g := newGroup(t.TempDir())
	defer g.stop()
	for _, start := range []func(*group) error{c.startEtcd, c.startAPIServer, c.startControllerManager} {
		if err := start(g); err != nil {
			t.Fatal(err)
		}
	}
	etcd, server, manager := flagsOf(t, notes, "etcd"), flagsOf(t, notes, "kube-apiserver"), flagsOf(t, notes, "kube-controller-manager")
	loopback := regexp.MustCompile(`^(https?://)?127\.0\.0\.1(:\d+)?$`)
	for flag, value := range map[string]string{
		"clients of etcd": etcd["--listen-client-urls"], "peers of etcd": etcd["--listen-peer-urls"], "kube-apiserver": server["--bind-address"], "manager": manager["--bind-address"],
	} {
		if !loopback.MatchString(value) {
			t.Errorf("%s: listens on %q", flag, value)
		}
	}
	if _, ok := etcd["--client-cert-auth"]; !ok || etcd["--listen-client-urls"] != server["--etcd-servers"] {
		t.Errorf("etcd %v is not what kube-apiserver %v talks to", etcd, server)
	}
	if server["--secure-port"] != strconv.Itoa(c.Ports.APIServer) || server["--authorization-mode"] != "Node,RBAC" || server["--anonymous-auth"] == "true" {
		t.Errorf("%v", server)
	}
	if policy, err := os.ReadFile(server["--audit-policy-file"]); err != nil || !strings.Contains(string(policy), "level: Metadata") {
		t.Errorf("the audit log would hold more than metadata: %s, %v", policy, err)
	}
	// Every file that a flag names is there, or a wrong path shows only after minutes.
	for _, flags := range []map[string]string{etcd, server, manager} {
		for flag, value := range flags {
			if strings.HasSuffix(flag, "file") && flag != "--audit-log-path" || flag == "--kubeconfig" {
				if _, err := os.Stat(value); err != nil {
					t.Errorf("%s: %v", flag, err)
				}
			}
		}
	}
}

func TestWithoutAskingThereIsNoAuditLog(t *testing.T) {
	bin, notes := programs(t, map[string]string{"kube-apiserver": untilTold})
	c, err := newCluster(options{dataDir: t.TempDir(), bin: bin})
	if err != nil {
		t.Fatal(err)
	}
	g := newGroup(t.TempDir())
	defer g.stop()
	if err := c.startAPIServer(g); err != nil {
		t.Fatal(err)
	}
	for flag := range flagsOf(t, notes, "kube-apiserver") {
		if strings.Contains(flag, "audit") {
			t.Errorf("%s is given", flag)
		}
	}
}

func TestPortsAreDifferentAndEachTakenOneIsSaid(t *testing.T) {
	c, err := newCluster(options{dataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(c.o.dataDir, "ports.json"))
	if err != nil {
		t.Fatal(err)
	}
	var kept map[string]int
	if err := json.Unmarshal(b, &kept); err != nil || len(kept) != 3 {
		t.Fatalf("%s: %v", b, err)
	}
	distinct := map[int]bool{}
	for name, port := range kept {
		distinct[port] = true
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Ports.free(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("port %d,", port)) {
			t.Errorf("%s: %v", name, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(distinct) != 3 {
		t.Errorf("%v", kept)
	}
	if err := os.WriteFile(filepath.Join(c.o.dataDir, "ports.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newCluster(c.o); err == nil {
		t.Error("a broken file of ports is taken")
	}
}

// The file is read by a shell, whose folders may have blanks and quotes in their names.
func TestTheEnvironmentFileSetsThePathAndTheKubeconfigInAShell(t *testing.T) {
	o := options{bin: "/opt/a folder/bin", manager: "/home/the project/bin/strongroom", dataDir: t.TempDir()}
	for kubeconfig, want := range map[string]string{"/x y/admin.kubeconfig": "/x y/admin.kubeconfig", "": "before"} {
		if err := writeEnv(o, kubeconfig, ""); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("/bin/sh", "-c", `. "$0/env"; printf '%s\n%s' "$PATH" "$KUBECONFIG"`, o.dataDir)
		cmd.Env = []string{"PATH=/usr/bin:/bin", "KUBECONFIG=before"}
		out, err := cmd.CombinedOutput()
		if want := "/home/the project/bin:/opt/a folder/bin:/usr/bin:/bin\n" + want; err != nil || string(out) != want {
			t.Errorf("%q, want %q: %v", out, want, err)
		}
	}
}

// asRun starts the program in a process of its own.
func asRun(t *testing.T, args ...string) (*exec.Cmd, *strings.Builder, chan error) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append(os.Environ(), "STRONGROOM_TEST_AS_RUN=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, &out, ended
}

func wait(t *testing.T, ended chan error) error {
	t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
		return nil
	}
}

// Stand-ins that never answer /readyz: Ctrl-C comes while they are waited for, which is when people press it.
func TestCtrlCEndsEverythingThatWasStarted(t *testing.T) {
	bin, notes := programs(t, map[string]string{"etcd": untilTold, "kube-apiserver": untilTold})
	cmd, out, ended := asRun(t, "-bin", bin, "-data-dir", filepath.Join(t.TempDir(), "data"))
	etcd, server := pid(t, notes, "etcd"), pid(t, notes, "kube-apiserver")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := wait(t, ended)
	if alive(etcd) || alive(server) {
		t.Errorf("something is left: etcd %t, kube-apiserver %t", alive(etcd), alive(server))
	}
	if err == nil || !strings.Contains(out.String(), context.Canceled.Error()) {
		t.Errorf("%v: %s", err, out)
	}
}

func TestAProgramThatDiesAtItsStartEndsEverythingWithItsReason(t *testing.T) {
	bin, notes := programs(t, map[string]string{"etcd": untilTold, "kube-apiserver": "echo no such flag >&2; exit 1"})
	_, out, ended := asRun(t, "-bin", bin, "-data-dir", filepath.Join(t.TempDir(), "data"))
	etcd := pid(t, notes, "etcd")
	var exit *exec.ExitError
	if err := wait(t, ended); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("%v", err)
	}
	if alive(etcd) || !strings.Contains(out.String(), "run: kube-apiserver ended: exit status 1") || !strings.Contains(out.String(), "no such flag") {
		t.Errorf("etcd is left: %t, and it says\n%s", alive(etcd), out)
	}
}

// However the program ends, even by SIGKILL, which it cannot see: nothing may be left that holds the ports and the data.
func TestNothingOutlivesAKilledProgram(t *testing.T) {
	bin, notes := programs(t, map[string]string{"etcd": untilTold, "kube-apiserver": untilTold})
	cmd, _, ended := asRun(t, "-bin", bin, "-data-dir", filepath.Join(t.TempDir(), "data"))
	etcd, server := pid(t, notes, "etcd"), pid(t, notes, "kube-apiserver")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = wait(t, ended)
	eventually(t, "its children end too", func() bool { return !alive(etcd) && !alive(server) })
}
