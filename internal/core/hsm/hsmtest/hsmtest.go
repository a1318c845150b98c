//go:build cgo

// Package hsmtest has real HSM nodes for tests: SoftHSM tokens, each in a directory and a process of its own, and certificates.
package hsmtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/hsm/child"
	"strongroom.dev/strongroom/internal/core/hsm/module"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
	"strongroom.dev/strongroom/internal/core/hsm/node"
)

// Library is Debian's SoftHSM; hack/softhsm.sh installs it.
const Library = "/usr/lib/softhsm/libsofthsm2.so"

// The PINs of every token, and the name of every cluster.
const (
	PIN     = "user-CANARY-5678"
	SOPIN   = "officer-CANARY-1234"
	Cluster = "vault-floor"
)

const asModule = "STRONGROOMTEST_AS_HSM_MODULE"

// Main is for TestMain: the test's binary is also the child process.
func Main(m *testing.M) {
	if os.Getenv(asModule) != "" {
		ServeModule()
	}
	os.Exit(m.Run())
}

// ServeModule is what the hidden subcommand does.
func ServeModule() {
	handlers, err := module.Handlers()
	if err == nil {
		var parent net.Conn
		if parent, err = child.Socket(); err == nil {
			err = child.Serve(parent, handlers)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Configuration makes a token directory in dir and answers the environment variable that SoftHSM finds it by.
func Configuration(t testing.TB, dir string) string {
	t.Helper()
	if _, err := os.Stat(Library); err != nil {
		t.Fatalf("SoftHSM is not here: run hack/softhsm.sh, or apt-get install -y softhsm2: %v", err)
	}
	tokens, conf := filepath.Join(dir, "tokens"), filepath.Join(dir, "softhsm2.conf")
	if err := os.MkdirAll(tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, []byte("directories.tokendir = "+tokens+"\nlog.level = ERROR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return "SOFTHSM2_CONF=" + conf
}

// Authority issues certificates of one cluster.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pool        *x509.CertPool
}

// NewAuthority makes one.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hsm"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.certificate)
	return a
}

// Issue makes a certificate of uri for 127.0.0.1.
func (a *Authority) Issue(t testing.TB, uri *url.URL) *mtls.Material { return a.IssueWith(t, uri, nil) }

// IssueWith makes one that change, unless it is nil, has made another of, such as one that is expired.
func (a *Authority) IssueWith(t testing.TB, uri *url.URL, change func(*x509.Certificate)) *mtls.Material {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), URIs: []*url.URL{uri},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &mtls.Material{Certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, Authorities: a.pool}
}

// Source is a certificate of a role, always the same.
func (a *Authority) Source(t testing.TB, role mtls.Role, name string) mtls.Source {
	m := a.Issue(t, mtls.Name(Cluster, role, name))
	return func() (*mtls.Material, error) { return m, nil }
}

// Write puts a certificate of a role, its key and the authorities into dir as tls.crt, tls.key and ca.crt.
func (a *Authority) Write(t testing.TB, dir string, role mtls.Role, name string) {
	t.Helper()
	m := a.Issue(t, mtls.Name(Cluster, role, name))
	key, err := x509.MarshalPKCS8PrivateKey(m.Certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		"tls.crt": {Type: "CERTIFICATE", Bytes: m.Certificate.Certificate[0]}, "tls.key": {Type: "PRIVATE KEY", Bytes: key},
		"ca.crt": {Type: "CERTIFICATE", Bytes: a.certificate.Raw},
	} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Node is a node that runs in this process, and its module in a child process.
type Node struct {
	*node.Node
	Address string
	// Dir has the token and the node's state.
	Dir  string
	stop func()
}

// Change changes the options of a node before it starts.
type Change func(*node.Options)

// Sharing lets a node have the token in the directory of another one, as nodes have one network HSM. Its own directory has its state and its PIN's file.
func Sharing(t testing.TB, dir string) Change {
	conf := Configuration(t, dir)
	return func(o *node.Options) {
		o.SharedToken, o.SOPIN = true, nil
		command := o.Command
		o.Command = func() *exec.Cmd {
			cmd := command()
			cmd.Env = append(cmd.Env, conf)
			return cmd
		}
	}
}

// Start runs a node until the test ends or Stop is called. dir "" is a new one. address "" is a free port.
func Start(t testing.TB, a *Authority, dir, address string, changes ...Change) *Node {
	t.Helper()
	if dir == "" {
		dir = t.TempDir()
	}
	conf := Configuration(t, dir)
	pin := func(name, value string) node.PIN {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err != nil {
			if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return node.FilePIN(path)
	}
	options := node.Options{
		Cluster: Cluster, Library: Library, TokenLabel: "strongroom", OAEPHash: "SHA_1", Sessions: 8, MaxCachedKeys: 16,
		PIN: pin("pin", PIN), SOPIN: pin("so-pin", SOPIN), StateDir: dir, TLS: a.Source(t, mtls.Node, "node"),
		Logger: slog.New(slog.NewJSONHandler(t.Output(), nil)),
		Command: func() *exec.Cmd {
			cmd := exec.Command(os.Args[0]) //nolint:gosec // this test's own binary
			cmd.Env = append(os.Environ(), asModule+"=1", conf)
			return cmd
		},
	}
	for _, change := range changes {
		change(&options)
	}
	n, err := node.New(options)
	if err != nil {
		t.Fatal(err)
	}
	if address == "" {
		address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { n.Run(ctx) })
	running.Go(func() { _ = n.Serve(ctx, listener) })
	out := &Node{Node: n, Address: listener.Addr().String(), Dir: dir, stop: sync.OnceFunc(func() { cancel(); running.Wait() })}
	t.Cleanup(out.stop)
	return out
}

// Stop ends the node; its token stays.
func (n *Node) Stop() { n.stop() }

// Eventually waits up to 20 seconds for a condition.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatalf("it did not happen in 20 seconds: %s", what)
}
