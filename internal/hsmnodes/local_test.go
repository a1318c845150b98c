//go:build cgo

package hsmnodes_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/hsm/client"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/hsm/hsmtest"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/hsmnodes"
)

// here is a Local host that runs real nodes until the test ends.
type here struct {
	*hsmnodes.Local
	authority *hsmtest.Authority
	end       func()
}

func local(t *testing.T, directory string) *here {
	t.Helper()
	l := &hsmnodes.Local{Directory: directory, Command: strongroom}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := l.Start(ctx); err != nil {
			t.Error(err)
		}
	})
	h := &here{l, hsmtest.NewAuthority(t), sync.OnceFunc(func() { cancel(); running.Wait() })}
	t.Cleanup(h.end)
	return h
}

// files of nodes, with a certificate of these URIs.
func (h *here) files(t *testing.T) *hsmnodes.Files {
	t.Helper()
	dir := t.TempDir()
	h.authority.Write(t, dir, mtls.Node, "node")
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return &hsmnodes.Files{
		Certificate: read("tls.crt"), Key: read("tls.key"), Authority: read("ca.crt"), PIN: secretbytes.Copy([]byte("pin-CANARY")), SOPIN: secretbytes.Copy([]byte("officer-CANARY")),
	}
}

func three(size int) hsmnodes.Cluster {
	return hsmnodes.Cluster{ID: hsmtest.Cluster, Owner: "bank/vault", Size: size, FIPS: true, SoftHSM: true}
}

func (h *here) apply(t *testing.T, c hsmnodes.Cluster, f *hsmnodes.Files) []hsmnodes.Node {
	t.Helper()
	nodes, err := h.Apply(t.Context(), c, f)
	if err != nil || len(nodes) != c.Size {
		t.Fatalf("%v, %v", nodes, err)
	}
	return nodes
}

func (h *here) node(t *testing.T, address string) client.Node {
	t.Helper()
	c, err := client.New(client.Options{Cluster: hsmtest.Cluster, Addresses: []string{address}, TLS: h.authority.Source(t, mtls.Operator, "test")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	n, err := c.Node(address)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (h *here) state(t *testing.T, n client.Node, want hsmpb.State) {
	t.Helper()
	hsmtest.Eventually(t, want.String(), func() bool {
		s, err := n.Status(t.Context())
		return err == nil && s.GetState() == want
	})
}

func processOf(t *testing.T, directory string, number int) int {
	t.Helper()
	var pid int
	hsmtest.Eventually(t, "a process", func() bool {
		text, err := os.ReadFile(filepath.Join(directory, hsmtest.Cluster, strconv.Itoa(number), "pid"))
		if err != nil {
			return false
		}
		pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		return err == nil
	})
	return pid
}

func lives(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestLocalNodesServeAndAreWhereTheyWereAfterTheManagerWent(t *testing.T) {
	directory := t.TempDir()
	h := local(t, directory)
	nodes := h.apply(t, three(2), h.files(t))
	for i, n := range nodes {
		if n.Name != fmt.Sprintf("%s-%d", hsmtest.Cluster, i) || !strings.HasPrefix(n.Address, "127.0.0.1:") {
			t.Errorf("%+v", n)
		}
		h.state(t, h.node(t, n.Address), hsmpb.State_STATE_UNINITIALIZED)
	}
	if nodes[0].Address == nodes[1].Address {
		t.Error("two nodes have one address")
	}
	first := h.node(t, nodes[0].Address)
	if err := first.Initialize(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := first.CreateDomainKey(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	pid := processOf(t, directory, 0)
	h.end()
	if lives(pid) {
		t.Error("the node outlives the manager")
	}
	if _, err := h.Apply(t.Context(), three(2), h.files(t)); err == nil || !strings.Contains(err.Error(), "the manager is ending") {
		t.Errorf("a manager that ends starts nodes: %v", err)
	}
	again := local(t, directory)
	again.authority = h.authority
	if is := again.apply(t, three(2), again.files(t)); is[0].Address != nodes[0].Address || is[1].Address != nodes[1].Address {
		t.Errorf("%v became %v", nodes, is)
	}
	again.state(t, again.node(t, nodes[0].Address), hsmpb.State_STATE_ACTIVE) // the token is as it was
}

// A port is free when it is chosen, and days may go by until a node is started again.
func TestALocalNodeWhosePortAnotherProgramTookServesAtAnother(t *testing.T) {
	h := local(t, t.TempDir())
	files, c := h.files(t), three(1)
	first := h.apply(t, c, files)[0].Address
	h.state(t, h.node(t, first), hsmpb.State_STATE_UNINITIALIZED)
	h.Apply(t.Context(), hsmnodes.Cluster{ID: c.ID, Owner: c.Owner, FIPS: true, SoftHSM: true}, files)
	squatter, err := net.Listen("tcp", first)
	if err != nil {
		t.Fatal(err)
	}
	defer squatter.Close()
	var second string
	hsmtest.Eventually(t, "another address", func() bool {
		second = h.apply(t, c, files)[0].Address
		return second != first
	})
	h.state(t, h.node(t, second), hsmpb.State_STATE_UNINITIALIZED)
}

func TestALocalNodeReadsItsSecretsFromFilesOfItsOwnersAlone(t *testing.T) {
	directory := t.TempDir()
	h := local(t, directory)
	n := h.node(t, h.apply(t, three(1), h.files(t))[0].Address)
	h.state(t, n, hsmpb.State_STATE_UNINITIALIZED)
	if err := n.Initialize(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(directory, hsmtest.Cluster, "0")
	for _, name := range []string{"pin", "so-pin", "tls.key", "tls.crt", "ca.crt", "softhsm2.conf", "log", "pid", "port"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	for _, name := range []string{"", "tokens", "state"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	pid := processOf(t, directory, 0)
	for _, file := range []string{"cmdline", "environ"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		if err != nil || strings.Contains(string(text), "CANARY") {
			t.Errorf("%s: a PIN, or %v", file, err)
		}
		if file == "environ" {
			for _, variable := range []string{"GODEBUG=fips140=on", "GOTRACEBACK=none", "SOFTHSM2_CONF=" + filepath.Join(dir, "softhsm2.conf")} {
				if !strings.Contains(string(text), variable) {
					t.Errorf("it runs without %s", variable)
				}
			}
		}
	}
	log, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil || len(log) == 0 || strings.Contains(string(log), "CANARY") {
		t.Errorf("%s, %v", log, err)
	}
}

// A renewed certificate counts with the next connection: a node is not restarted for it.
func TestALocalNodeTakesANewCertificateWithoutARestart(t *testing.T) {
	directory := t.TempDir()
	h := local(t, directory)
	c := three(1)
	if certificate, key, err := h.Certificate(t.Context(), c); err != nil || certificate != nil || key != nil {
		t.Errorf("before there is one: %s, %v", certificate, err)
	}
	f := h.files(t)
	address := h.apply(t, c, f)[0].Address
	h.state(t, h.node(t, address), hsmpb.State_STATE_UNINITIALIZED)
	pid := processOf(t, directory, 0)
	former := h.authority
	h.authority = hsmtest.NewAuthority(t) // a restored authority is another one
	renewed := h.files(t)
	h.apply(t, c, renewed)
	h.state(t, h.node(t, address), hsmpb.State_STATE_UNINITIALIZED)
	if is := processOf(t, directory, 0); is != pid {
		t.Errorf("process %d became %d", pid, is)
	}
	certificate, key, err := h.Certificate(t.Context(), c)
	if err != nil || string(certificate) != string(renewed.Certificate) || string(key) != string(renewed.Key) {
		t.Errorf("%v", err)
	}
	block, _ := pem.Decode(certificate)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil || len(leaf.URIs) != 1 || leaf.URIs[0].String() != (&url.URL{Scheme: "spiffe", Host: "strongroom.dev", Path: "/hsm/" + hsmtest.Cluster + "/node/node"}).String() {
		t.Errorf("%v, %v", leaf.URIs, err)
	}
	h.authority = former
	if _, err := h.node(t, address).Status(t.Context()); err == nil {
		t.Error("the former authority's operator gets in")
	}
}

func TestAClusterThatShrinksEndsItsLastNodesAndKeepsTheirTokens(t *testing.T) {
	directory := t.TempDir()
	h := local(t, directory)
	f := h.files(t)
	h.apply(t, three(3), f)
	var pids []int
	for i := range 3 {
		pids = append(pids, processOf(t, directory, i))
	}
	h.apply(t, three(1), f)
	for i, pid := range pids {
		if lives(pid) != (i == 0) {
			t.Errorf("node %d lives: %t", i, lives(pid))
		}
		if _, err := os.Stat(filepath.Join(directory, hsmtest.Cluster, strconv.Itoa(i), "tokens")); err != nil {
			t.Error(err)
		}
	}
	for range 2 { // it can be repeated
		if err := h.Remove(t.Context(), three(1)); err != nil {
			t.Error(err)
		}
	}
	if lives(pids[0]) {
		t.Error("a removed cluster's node lives")
	}
}

func TestALocalClusterWhoseLibraryIsNotHereSaysHowToGetIt(t *testing.T) {
	h := local(t, t.TempDir())
	h.Libraries = anyToken("/missing/lib.so")
	_, err := h.Apply(t.Context(), hsmnodes.Cluster{ID: "c", Size: 1, Library: "/missing/lib.so", TokenLabel: "x"}, h.files(t))
	if !errors.Is(err, hsmnodes.ErrNoLibrary) || !strings.Contains(err.Error(), "/missing/lib.so") || !strings.Contains(err.Error(), "spec.pkcs11.library") || strings.Contains(err.Error(), "softhsm2") {
		t.Errorf("%v", err)
	}
	if entries, err := os.ReadDir(h.Directory); err != nil || len(entries) != 0 {
		t.Errorf("it leaves %v, %v", entries, err)
	}
	if names := h.Names(three(1)); len(names) != 1 || names[0] != "127.0.0.1" || !h.NeedLeaderElection() {
		t.Errorf("%v", names)
	}
}

// What a library does is done by the user that the manager runs as.
func TestALocalClusterLoadsNoLibraryThatTheOperatorDidNotName(t *testing.T) {
	h := local(t, t.TempDir())
	faults := hsmtest.NewFaults(t) // a library that would work
	for _, library := range []string{faults.Library, "/usr/lib/softhsm/../softhsm/libsofthsm2.so"} {
		_, err := h.Apply(t.Context(), hsmnodes.Cluster{ID: "c", Size: 1, Library: library, TokenLabel: "x"}, h.files(t))
		if !errors.Is(err, hsmnodes.ErrLibraryNotAllowed) || strings.Contains(err.Error(), hsmtest.Library) {
			t.Errorf("%s: %v", library, err)
		}
	}
	if entries, err := os.ReadDir(h.Directory); err != nil || len(entries) != 0 {
		t.Errorf("it leaves %v, %v", entries, err)
	}
	h.Libraries = anyToken(faults.Library)
	if _, err := h.Apply(t.Context(), hsmnodes.Cluster{ID: "c", Size: 0, Library: hsmtest.Library, TokenLabel: "x"}, h.files(t)); !errors.Is(err, hsmnodes.ErrLibraryNotAllowed) {
		t.Errorf("it is not in the list: %v", err)
	}
	if _, err := h.Apply(t.Context(), three(0), h.files(t)); err != nil {
		t.Errorf("SoftHSM of softHSM is Strongroom's own choice: %v", err)
	}
}

func TestTheTokensOfALocalClusterAreErasedWithAllThatIsBesideThem(t *testing.T) {
	h := local(t, t.TempDir())
	h.apply(t, three(2), h.files(t))
	other := three(1)
	other.ID = "cluster-other"
	h.apply(t, other, h.files(t))
	for range 2 {
		if err := h.Erase(t.Context(), three(0)); err != nil {
			t.Fatal(err)
		}
	}
	if entries, err := os.ReadDir(h.Directory); err != nil || len(entries) != 1 || entries[0].Name() != other.ID {
		t.Errorf("%v, %v", entries, err)
	}
}

// The process of a node dies: its message says so and what it said last, and the next one is as it was.
func TestALocalNodeThatCannotStartSaysWhatItSaidLast(t *testing.T) {
	directory := t.TempDir()
	h := local(t, directory)
	f := h.files(t)
	f.Key = []byte("no key")
	h.apply(t, three(1), f)
	var message string
	hsmtest.Eventually(t, "its message", func() bool {
		message = h.apply(t, three(1), f)[0].Message
		return strings.Contains(message, "started again")
	})
	if !strings.Contains(message, "reading the certificate") || strings.Contains(message, "CANARY") || strings.Contains(message, "no key") {
		t.Errorf("%q", message)
	}
	good := h.files(t)
	hsmtest.Eventually(t, "it serves", func() bool {
		n := h.apply(t, three(1), good)[0]
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := h.node(t, n.Address).Status(ctx)
		return err == nil && n.Message == ""
	})
}
