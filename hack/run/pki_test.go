package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// issued makes a cluster in a folder and reads the certificate of a name.
func issued(t *testing.T) (c *cluster, read func(name string) *x509.Certificate) {
	t.Helper()
	c, err := newCluster(options{dataDir: t.TempDir(), bin: "bin"})
	if err != nil {
		t.Fatal(err)
	}
	return c, func(name string) *x509.Certificate {
		t.Helper()
		pair, err := tls.LoadX509KeyPair(c.pki.path(name+".crt"), c.pki.path(name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
}

func TestEachCertificateIsForItsPurposeAndForNoOther(t *testing.T) {
	c, read := issued(t)
	roots := x509.NewCertPool()
	roots.AddCert(c.pki.cert)
	for name, want := range map[string]struct {
		usage  x509.ExtKeyUsage
		user   string
		groups []string
	}{
		"apiserver":          {x509.ExtKeyUsageServerAuth, "apiserver", nil},
		"etcd":               {x509.ExtKeyUsageServerAuth, "etcd", nil},
		"etcd-client":        {x509.ExtKeyUsageClientAuth, "kube-apiserver", nil},
		"admin":              {x509.ExtKeyUsageClientAuth, "admin", []string{"system:masters"}},
		"controller-manager": {x509.ExtKeyUsageClientAuth, "system:kube-controller-manager", nil},
		"service-account":    {x509.ExtKeyUsageClientAuth, "service-account", nil},
	} {
		cert := read(name)
		if cert.Subject.CommonName != want.user || !slices.Equal(cert.Subject.Organization, want.groups) || cert.IsCA {
			t.Errorf("%s: %s", name, cert.Subject)
		}
		for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			_, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}})
			if (err == nil) != (usage == want.usage) {
				t.Errorf("%s for usage %d: %v", name, usage, err)
			}
		}
		if key, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
			t.Errorf("%s has a key of type %T", name, cert.PublicKey)
		}
		now := time.Now()
		if cert.NotBefore.After(now) || now.Sub(cert.NotBefore) > 2*time.Hour || cert.NotAfter.Before(now.AddDate(9, 0, 0)) {
			t.Errorf("%s is valid from %s to %s", name, cert.NotBefore, cert.NotAfter)
		}
	}
}

// kubectl says 127.0.0.1, people say localhost, and pods would say the service's names or its first address.
func TestTheServersAreReachedUnderEachOfTheirNames(t *testing.T) {
	c, read := issued(t)
	roots := x509.NewCertPool()
	roots.AddCert(c.pki.cert)
	for _, name := range []string{"apiserver", "etcd"} {
		cert := read(name)
		for host, good := range map[string]bool{
			"127.0.0.1": true, "localhost": true, "10.96.0.1": true, "kubernetes": true, "kubernetes.default": true, "kubernetes.default.svc": true,
			"127.0.0.2": false, "example.com": false, "sub.localhost": false,
		} {
			if err := cert.VerifyHostname(host); (err == nil) != good {
				t.Errorf("%s as %s: %v", name, host, err)
			}
		}
	}
}

func TestAnotherFoldersAuthorityIsNotTrusted(t *testing.T) {
	_, read := issued(t)
	other, _ := issued(t)
	roots := x509.NewCertPool()
	roots.AddCert(other.pki.cert)
	if _, err := read("apiserver").Verify(x509.VerifyOptions{Roots: roots}); err == nil {
		t.Error("a certificate of one folder is good in another")
	}
	if read("admin").SerialNumber.Cmp(read("etcd").SerialNumber) == 0 {
		t.Error("two certificates have one serial number")
	}
}

// Everything in the folder is a secret, or names one.
func TestNothingInTheFolderIsReadableForOthers(t *testing.T) {
	c, _ := issued(t)
	files := 0
	err := filepath.WalkDir(c.o.dataDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == c.o.dataDir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files++
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %s", path, info.Mode())
		}
		return nil
	})
	if err != nil || files < 16 {
		t.Errorf("%d files, %v", files, err)
	}
}

func TestACrashBetweenAKeyAndItsCertificateIsMendedByTheNextStart(t *testing.T) {
	dir := t.TempDir()
	p, err := newPKI(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.path("apiserver.key"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.server("apiserver"); err != nil {
		t.Fatal(err)
	}
	if _, err := tls.LoadX509KeyPair(p.path("apiserver.crt"), p.path("apiserver.key")); err != nil {
		t.Errorf("the pair does not fit together: %v", err)
	}
}

func TestAFolderWhoseAuthorityIsBrokenSaysHowToForgetIt(t *testing.T) {
	for _, name := range []string{"ca.crt", "ca.key"} {
		dir := t.TempDir()
		if _, err := newPKI(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("nonsense"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := newPKI(dir); err == nil || !strings.Contains(err.Error(), "make clean-run") {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := t.TempDir()
	if _, err := newPKI(dir); err != nil {
		t.Fatal(err)
	}
	bad := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})
	if err := os.WriteFile(filepath.Join(dir, "ca.crt"), bad, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newPKI(dir); err == nil {
		t.Error("a certificate that is none is taken")
	}
}

// A client of the cluster and its server, over TLS as kubectl has it.
func TestAClientAndAServerOfTheFolderTrustEachOther(t *testing.T) {
	c, _ := issued(t)
	pool := x509.NewCertPool()
	pool.AddCert(c.pki.cert)
	serverPair, err := tls.LoadX509KeyPair(c.pki.path("apiserver.crt"), c.pki.path("apiserver.key"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{serverPair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	users := make(chan string, 1)
	accept := func() string {
		conn, err := l.Accept()
		if err != nil {
			return err.Error()
		}
		defer conn.Close()
		if err := conn.(*tls.Conn).Handshake(); err != nil {
			return err.Error()
		}
		subject := conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject
		return fmt.Sprint(subject.CommonName, subject.Organization)
	}
	go func() { users <- accept(); users <- accept() }()
	pair, err := tls.LoadX509KeyPair(c.pki.path("admin.crt"), c.pki.path("admin.key"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", l.Addr().String(), &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if user := <-users; user != "admin[system:masters]" {
		t.Errorf("the server saw %s", user)
	}
	stranger := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS13}
	go func() {
		_, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", l.Addr().String(), stranger)
		users <- fmt.Sprint(err)
	}()
	if first, second := <-users, <-users; !strings.Contains(first+second, "unknown authority") {
		t.Errorf("without the authority: %s; %s", first, second)
	}
}
