package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOneInstanceUsesAFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(path); err == nil || !strings.Contains(err.Error(), "stop it first") {
		t.Errorf("a second one: %v", err)
	}
	unlock()
	again, err := lock(path)
	if err != nil {
		t.Fatalf("after the first has gone: %v", err)
	}
	again()
}

func TestCertificatesAreMadeOnceAndVerify(t *testing.T) {
	dir := t.TempDir()
	read := func() string {
		p, err := newPKI(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.server("apiserver"); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, "apiserver.crt"))
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(b)
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AddCert(p.cert)
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: "127.0.0.1"}); err != nil {
			t.Error(err)
		}
		return string(b)
	}
	first, second := read(), read()
	if first != second {
		t.Error("a second start has another certificate")
	}
	info, err := os.Stat(filepath.Join(dir, "ca.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the authority's key is readable for others: %v", err)
	}
}

func TestPortsStayAndATakenOneIsTold(t *testing.T) {
	o := options{dataDir: t.TempDir()}
	first, err := newCluster(o)
	if err != nil {
		t.Fatal(err)
	}
	second, err := newCluster(o)
	if err != nil || first.Ports != second.Ports {
		t.Fatalf("%v, %v: %v", first.Ports, second.Ports, err)
	}
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first.Ports.APIServer))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := newCluster(o); err == nil || !strings.Contains(err.Error(), "make clean-run") {
		t.Errorf("%v", err)
	}
}

func TestAProcessThatEndsByItselfIsToldWithItsLog(t *testing.T) {
	g := newGroup(t.TempDir())
	defer g.stop()
	if err := g.start("failing", "/bin/sh", "-c", "echo last words; exit 3"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-g.failed:
		if !strings.Contains(err.Error(), "last words") || !strings.Contains(err.Error(), "exit status 3") {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nobody was told")
	}
}

func TestStoppingEndsProcessesInTurnAndTellsNobody(t *testing.T) {
	g := newGroup(t.TempDir())
	for _, name := range []string{"first", "second"} {
		if err := g.start(name, "/bin/sh", "-c", "sleep 60"); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	g.stop()
	if took := time.Since(begin); took > grace {
		t.Errorf("it took %s", took)
	}
	select {
	case err := <-g.failed:
		t.Errorf("%v", err)
	default:
	}
}

func TestTheTailIsTheLast20Lines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var lines []string
	for i := range 100 {
		lines = append(lines, fmt.Sprint("line ", i))
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := string(tail(path)); !strings.HasPrefix(got, "line 80\n") || !strings.HasSuffix(got, "line 99") {
		t.Errorf("%q", got)
	}
	if got := tail(path + "missing"); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, bad := range []options{{}, {bin: "x", cluster: "other", dataDir: t.TempDir()}} {
		if err := bad.prepare(); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
	bin, _ := programs(t, nil)
	good := options{bin: bin, dataDir: filepath.Join(t.TempDir(), "data")}
	if err := good.prepare(); err != nil {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(bin, "etcd")); err != nil {
		t.Fatal(err)
	}
	if err := good.prepare(); err == nil || !strings.Contains(err.Error(), "no etcd in "+bin) {
		t.Errorf("without etcd: %v", err)
	}
	good.cluster = "current" // needs kubectl alone
	if err := good.prepare(); err != nil {
		t.Error(err)
	}
}
