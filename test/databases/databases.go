// Package databases starts private servers of real databases for tests: on a free port, in a temporary directory, as a user without
// privileges. The programs come from Debian's packages (hack/databases.sh).
package databases

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Host is where servers listen.
const Host = "127.0.0.1"

// nobody is the user that servers run as if the tests run as root, as which databases refuse to run.
const nobody = 65534

// program is a server's process and its directory.
type program struct {
	// Dir is its temporary directory.
	Dir string
	// Port it listens on.
	Port uint16
	// CA is the certificate, in PEM, of the authority that signed the server's.
	CA []byte

	command *exec.Cmd
	output  *bytes.Buffer
}

// newProgram makes a directory with a certificate for Host and localhost (ca.crt, tls.crt, tls.key) and finds a port.
func newProgram(name string) (*program, error) {
	dir, err := os.MkdirTemp("", name+"-")
	if err != nil {
		return nil, err
	}
	p := &program{Dir: dir}
	listener, err := net.Listen("tcp", net.JoinHostPort(Host, "0"))
	if err != nil {
		return nil, err
	}
	p.Port = uint16(listener.Addr().(*net.TCPAddr).Port)
	if err := listener.Close(); err != nil {
		return nil, err
	}
	if err := p.certify(); err != nil {
		return nil, err
	}
	return p, p.own()
}

// own gives the directory to the user that the server runs as.
func (p *program) own() error {
	if os.Getuid() != 0 {
		return nil
	}
	return filepath.WalkDir(p.Dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	})
}

func (p *program) certify() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a database of a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.ParseIP(Host)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	p.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, content := range map[string][]byte{
		"ca.crt": p.CA, "tls.crt": p.CA, "tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	} {
		if err := os.WriteFile(filepath.Join(p.Dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes a command that runs as the server's user.
func (p *program) prepare(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = p.Dir
	c.Env = []string{"HOME=" + p.Dir, "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL=C.UTF-8", "TMPDIR=" + p.Dir}
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 {
		c.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return c
}

// run runs a command to its end.
func (p *program) run(ctx context.Context, name string, args ...string) error {
	if out, err := p.prepare(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(name), err, out)
	}
	return nil
}

// start starts the server and waits until ready is nil.
func (p *program) start(ctx context.Context, ready func(context.Context) error, name string, args ...string) error {
	p.output = &bytes.Buffer{}
	p.command = p.prepare(context.WithoutCancel(ctx), name, args...)
	p.command.Stdout, p.command.Stderr = p.output, p.output
	if err := p.command.Start(); err != nil {
		return err
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			_ = p.kill()
			return fmt.Errorf("%s did not start: %w: %s", filepath.Base(name), err, p.output)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// kill ends the server as a crash does.
func (p *program) kill() error {
	if p.command == nil {
		return nil
	}
	_ = p.command.Process.Kill()
	_ = p.command.Wait()
	p.command = nil
	return nil
}

// stop ends the server in order and forgets its directory.
func (p *program) stop(how os.Signal) error {
	if p.command != nil {
		_ = p.command.Process.Signal(how)
		_ = p.command.Wait()
		p.command = nil
	}
	return os.RemoveAll(p.Dir)
}

// Address is HOST:PORT.
func (p *program) Address() string { return net.JoinHostPort(Host, strconv.Itoa(int(p.Port))) }
