package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// recording is a kubectl that writes its arguments and standard input into a file, a line a call, and then does what a script says.
func recording(t *testing.T, script string) (k *kubectl, calls func() []string) {
	t.Helper()
	dir := t.TempDir()
	path, log := filepath.Join(dir, "kubectl"), filepath.Join(dir, "calls")
	text := "#!/bin/sh\nprintf '%s ' \"$@\" >> " + log + "\ncase \"$*\" in *'-f -'*) tr '\\n' ' ' >> " + log + ";; esac\necho >> " + log + "\n" + script + "\n"
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return &kubectl{path: path}, func() []string {
		b, err := os.ReadFile(log)
		if err != nil {
			return nil
		}
		return strings.Split(strings.TrimSpace(string(b)), "\n")
	}
}

// A kind that is forgotten here is one that the manager would not find on a fresh cluster.
func TestEveryCRDIsWaitedForBeforeTheManagerStarts(t *testing.T) {
	k, calls := recording(t, "")
	if err := install(t.Context(), k, options{tree: "/tree"}); err != nil {
		t.Fatal(err)
	}
	all := calls()
	last := all[len(all)-1]
	if !strings.HasPrefix(last, "wait --for=condition=Established") {
		t.Fatalf("%q", last)
	}
	found, err := filepath.Glob(filepath.Join("..", "..", "config", "crd", "strongroom.dev_*.yaml"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no CRDs: %v", err)
	}
	waited := strings.Fields(last)
	for _, file := range found {
		kind := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "strongroom.dev_"), ".yaml")
		if !slices.Contains(waited, "crd/"+kind+".strongroom.dev") {
			t.Errorf("%s is not waited for", kind)
		}
	}
}

func TestTheNamespaceComesFirstAndTheUsersOwnClusterGetsNoAdmissionPolicy(t *testing.T) {
	for cluster, want := range map[string][]string{"": {"crd", "rbac", "injection"}, "current": {"crd", "rbac"}} {
		k, calls := recording(t, "")
		if err := install(t.Context(), k, options{tree: "/tree", cluster: cluster}); err != nil {
			t.Fatal(err)
		}
		all := calls()
		if !strings.Contains(all[0], "kind: Namespace") || !strings.Contains(all[0], "name: "+namespace) {
			t.Errorf("first is %q", all[0])
		}
		var folders []string
		for _, call := range all[1 : len(all)-1] {
			fields := strings.Fields(call)
			folders = append(folders, filepath.Base(fields[len(fields)-1]))
			if !strings.Contains(call, "--server-side") {
				t.Errorf("%q is no server-side apply, so that a second start would overwrite what others changed", call)
			}
		}
		if !slices.Equal(folders, want) {
			t.Errorf("cluster %q: %v", cluster, folders)
		}
	}
}

func TestAStepThatFailsEndsTheInstallationWithKubectlsWords(t *testing.T) {
	for _, step := range []string{"Namespace", "crd", "rbac", "injection", "Established"} {
		k, _ := recording(t, `input=$(tail -n 1 "$(dirname "$0")/calls"); case "$input" in *`+step+`*) echo "the server says no" >&2; exit 1;; esac`)
		err := install(t.Context(), k, options{tree: "/tree"})
		if err == nil || !strings.Contains(err.Error(), "the server says no") {
			t.Errorf("%s: %v", step, err)
		}
	}
}

func TestKubectlIsGivenItsKubeconfigAndItsInputAndItsOutputIsTrimmed(t *testing.T) {
	k, _ := recording(t, `printf ' %s\n\n' "$KUBECONFIG"`)
	k.kubeconfig = "/some where/admin.kubeconfig"
	out, err := k.run(t.Context(), "", "version")
	if err != nil || out != "/some where/admin.kubeconfig" {
		t.Errorf("%q, %v", out, err)
	}
	t.Setenv("KUBECONFIG", "/of/the/user")
	k.kubeconfig = ""
	if out, err := k.run(t.Context(), "", "version"); err != nil || out != "/of/the/user" {
		t.Errorf("%q, %v", out, err)
	}
}

// The manager's token is good for a month, and what a terminal shows is copied into bug reports.
func TestATokenIsInNoError(t *testing.T) {
	k, _ := recording(t, "exit 1")
	_, err := k.run(t.Context(), "", "config", "set-credentials", "strongroom-manager", "--token=CANARY-token")
	if err == nil || strings.Contains(err.Error(), "CANARY") || !strings.Contains(err.Error(), "set-credentials strongroom-manager") {
		t.Errorf("%v", err)
	}
}

// answering is a kubectl for the steps behind the installation.
const answering = `case "$*" in
*'config view'*) echo 'apiVersion: v1';;
*'create token'*) echo CANARY-token;;
*'gateway-ca'*) printf 'CERTIFICATE';;
*AWS_ACCESS_KEY_ID*) printf 'QUtJQUVYQU1QTEU=';;
*AWS_SECRET_ACCESS_KEY*) printf 'd0phbHJYVXRuRkVNSS9LN01ERU5HK2JQeFJmaUNZRVhBTVBMRUtFWQ==';;
esac`

func TestAnotherShellHasTheAdministratorsKeyAndTheAddressByOneCommand(t *testing.T) {
	k, calls := recording(t, answering)
	o := options{bin: "/bin dir", dataDir: filepath.Join(t.TempDir(), "a folder")}
	if err := os.MkdirAll(o.dataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	lines, err := access(t.Context(), k, o, "127.0.0.1:4444")
	if err != nil {
		t.Fatal(err)
	}
	if err := writeEnv(o, "/k", lines); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", `. "$0/env"; printf '%s\n' "$AWS_ENDPOINT_URL" "$AWS_REGION" "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" "$AWS_CA_BUNDLE" "${AWS_PROFILE-none}" "${AWS_SESSION_TOKEN-none}"`, o.dataDir)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "AWS_PROFILE=mine", "AWS_SESSION_TOKEN=mine", "AWS_REGION=mine"}
	out, err := cmd.CombinedOutput()
	want := []string{
		"https://127.0.0.1:4444", "us-east-1", "AKIAEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", filepath.Join(o.dataDir, "gateway-ca.crt"), "none", "none",
	}
	if got := strings.Split(strings.TrimSpace(string(out)), "\n"); err != nil || !slices.Equal(got, want) {
		t.Errorf("%q: %v", got, err)
	}
	if b, err := os.ReadFile(want[4]); err != nil || string(b) != "CERTIFICATE\n" {
		t.Errorf("%q, %v", b, err)
	}
	for _, file := range []string{"env", "gateway-ca.crt"} {
		if info, err := os.Stat(filepath.Join(o.dataDir, file)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s is readable for others: %v", file, err)
		}
	}
	if all := calls(); !strings.Contains(all[0], "kind: IAMUser") || !strings.Contains(all[1], "wait") {
		t.Errorf("the key is read before it is there: %q", all)
	}
}

func TestAnAdministratorThatDoesNotBecomeReadyIsSaid(t *testing.T) {
	for step, says := range map[string]string{"apply": "apply", "wait": "iamuser/administrator", "gateway-ca": "configmap", "AWS_SECRET": "secret"} {
		k, _ := recording(t, `case "$*" in *`+step+`*) echo refused >&2; exit 1;; esac`+"\n"+answering)
		if _, err := access(t.Context(), k, options{dataDir: t.TempDir()}, "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", step, err)
		}
	}
	k, _ := recording(t, "printf '%s' '!'")
	if _, err := access(t.Context(), k, options{dataDir: t.TempDir()}, "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "reading AWS_ACCESS_KEY_ID") {
		t.Errorf("a key that is no base64: %v", err)
	}
}

// What was exported in a shell stays true after a restart.
func TestTheGatewaysPortIsThatOfTheLastTimeIfItIsFree(t *testing.T) {
	o := options{dataDir: t.TempDir()}
	first, err := gatewayAddress(o)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if again, err := gatewayAddress(o); err != nil || again != first {
			t.Errorf("%s became %s: %v", first, again, err)
		}
	}
	l, err := net.Listen("tcp", first)
	if err != nil {
		t.Fatal(err)
	}
	other, err := gatewayAddress(o)
	if err != nil || other == first {
		t.Errorf("%s is another program's: %v", other, err)
	}
	_ = l.Close()
	if again, err := gatewayAddress(o); err != nil || again != other {
		t.Errorf("%s became %s: %v", other, again, err)
	}
	for _, broken := range []string{"", "0", "x", "-1", "70000", "80 80", "http"} {
		if err := os.WriteFile(filepath.Join(o.dataDir, "gateway-port"), []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := gatewayAddress(o)
		if err != nil {
			t.Fatalf("%q: %v", broken, err)
		}
		_, port, err := net.SplitHostPort(got)
		if n, _ := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			t.Errorf("%q: %s", broken, got)
		}
	}
	if _, err := gatewayAddress(options{dataDir: filepath.Join(t.TempDir(), "missing")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is missing: %v", err)
	}
}

func TestTheManagerRunsAsItsOwnServiceAccountAndOnLoopback(t *testing.T) {
	k, calls := recording(t, answering)
	bin, notes := programs(t, map[string]string{"strongroom": "echo $$ > /dev/null; exit 3"})
	o := options{dataDir: t.TempDir(), manager: filepath.Join(bin, "strongroom"), regions: "eu-west-1"}
	g := newGroup(t.TempDir())
	defer g.stop()
	if err := startManager(t.Context(), g, k, o, "127.0.0.1:4444"); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("a manager that ends: %v", err)
	}
	flags := flagsOf(t, notes, "strongroom")
	for flag, want := range map[string]string{"--gateway-bind-address": "127.0.0.1:4444", "--regions": "eu-west-1"} {
		if flags[flag] != want {
			t.Errorf("%s is %q", flag, flags[flag])
		}
	}
	for _, flag := range []string{"--health-probe-bind-address", "--metrics-bind-address"} {
		if !strings.HasPrefix(flags[flag], "127.0.0.1:") {
			t.Errorf("%s is %q", flag, flags[flag])
		}
	}
	b, err := os.ReadFile(filepath.Join(notes, "strongroom.args"))
	if err != nil || strings.Contains(string(b), "CANARY") {
		t.Errorf("the manager's arguments have its token, which every user of the machine can read: %v", err)
	}
	all := strings.Join(calls(), "\n")
	for _, want := range []string{"create token strongroom-manager -n " + namespace, "--user=strongroom-manager"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not among\n%s", want, all)
		}
	}
	if info, err := os.Stat(filepath.Join(o.dataDir, "manager.kubeconfig")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its kubeconfig is readable for others: %v", err)
	}
}

func TestTheManagerIsAwaitedUntilItIsReadyToldToEndOrGone(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	g := newGroup(t.TempDir())
	if err := waitManager(t.Context(), g, server.URL); err != nil || asked.Load() != 3 {
		t.Errorf("after %d questions: %v", asked.Load(), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	begin := time.Now()
	if err := waitManager(ctx, g, "http://127.0.0.1:1"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	g.failed <- fmt.Errorf("strongroom ended")
	if err := waitManager(t.Context(), g, "http://127.0.0.1:1"); err == nil || err.Error() != "strongroom ended" {
		t.Errorf("%v", err)
	}
	if time.Since(begin) > 10*time.Second {
		t.Errorf("it took %s", time.Since(begin))
	}
}
