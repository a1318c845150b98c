//go:build cgo

package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/hsm/client"
	"strongroom.dev/strongroom/internal/core/hsm/hsmtest"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
	"strongroom.dev/strongroom/internal/loopback"
)

func TestAnHSMNodeSaysWhichFlagIsMissing(t *testing.T) {
	if got := strongroom(t, "hsm"); got.code != 1 || !strings.Contains(got.stderr, "is missing") {
		t.Errorf("%+v", got)
	}
	if got := strongroom(t, "hsm", "--cluster=c", "--state-dir=.", "--tls-cert-file=x", "--tls-key-file=x", "--tls-ca-file=x"); got.code != 1 || !strings.Contains(got.stderr, "--pin-file is missing") {
		t.Errorf("%+v", got)
	}
	if got := strongroom(t, hsmModule); got.code != 1 || !strings.Contains(got.stderr, "file descriptor 3") {
		t.Errorf("%+v", got)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	free, err := loopback.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return free
}

// The whole program, with its child process.
func TestAnHSMNodeServesFromAnEmptyTokenOnAndLogsNoPIN(t *testing.T) {
	dir, a := t.TempDir(), hsmtest.NewAuthority(t)
	a.Write(t, dir, mtls.Node, "one")
	in := func(name string) string { return filepath.Join(dir, name) }
	for name, pin := range map[string]string{"pin": hsmtest.PIN, "so-pin": hsmtest.SOPIN} {
		if err := os.WriteFile(in(name), []byte(pin), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	address, probes := freeAddress(t), freeAddress(t)
	cmd := exec.Command(os.Args[0], "hsm", "--cluster", hsmtest.Cluster, "--pin-file", in("pin"), "--so-pin-file", in("so-pin"), "--state-dir", dir,
		"--tls-cert-file", in("tls.crt"), "--tls-key-file", in("tls.key"), "--tls-ca-file", in("ca.crt"), "--bind-address", address, "--health-probe-bind-address", probes)
	cmd.Env = append(os.Environ(), asCommand+"=1", hsmtest.Configuration(t, dir))
	var logs bytes.Buffer
	cmd.Stderr = &logs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer cmd.Process.Kill()
	ready := func() int {
		r, err := http.Get("http://" + probes + "/readyz")
		if err != nil {
			return 0
		}
		defer r.Body.Close()
		return r.StatusCode
	}
	hsmtest.Eventually(t, "not ready yet", func() bool { return ready() == http.StatusServiceUnavailable })
	c, err := client.New(client.Options{Cluster: hsmtest.Cluster, Addresses: []string{address}, TLS: a.Source(t, mtls.Operator, "test")})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n, err := c.Node(address)
	if err != nil {
		t.Fatal(err)
	}
	hsmtest.Eventually(t, "initialised", func() bool { return n.Initialize(ctx) == nil })
	if _, err := n.CreateDomainKey(ctx, 1); err != nil {
		t.Fatal(err)
	}
	hsmtest.Eventually(t, "ready", func() bool { return ready() == http.StatusOK })
	if h := c.Check(ctx); h.Err != nil || h.Healthy() != 1 {
		t.Errorf("%+v", h)
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil { // its child ends by the end of the connection; else Wait would not come back, for it has the same standard error
		t.Fatal(err)
	}
	<-ended
	for line := range strings.Lines(logs.String()) {
		if !json.Valid([]byte(line)) || strings.Contains(line, "CANARY") {
			t.Errorf("%s", line)
		}
	}
}
