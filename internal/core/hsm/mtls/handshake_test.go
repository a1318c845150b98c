//go:build cgo

package mtls_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmtest"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
)

func fixed(m *mtls.Material) mtls.Source { return func() (*mtls.Material, error) { return m, nil } }

// server accepts connections with a source's material until the test ends, and answers a byte to each that gets in.
func server(t *testing.T, source mtls.Source) string {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", mtls.Server(source))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
				if conn.(*tls.Conn).Handshake() == nil {
					_, _ = conn.Write([]byte{1})
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// connect makes the client's handshake and reads the byte, since a refusal of the client's certificate comes after its own handshake in TLS 1.3.
func connect(t *testing.T, address string, source mtls.Source, as string) error {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	secured, info, err := mtls.Client(hsmtest.Cluster, source).ClientHandshake(ctx, as, conn)
	if err != nil {
		return err
	}
	defer secured.Close()
	if info.AuthType() != "tls" {
		t.Errorf("%s", info.AuthType())
	}
	_ = secured.SetDeadline(time.Now().Add(5 * time.Second))
	_, err = io.ReadFull(secured, make([]byte, 1))
	return err
}

func TestAClientTalksToANodeOfItsClusterAtTheHostThatItDialledAndToNobodyElse(t *testing.T) {
	a, stranger := hsmtest.NewAuthority(t), hsmtest.NewAuthority(t)
	me := a.Source(t, mtls.Operator, "me")
	uri := mtls.Name(hsmtest.Cluster, mtls.Node, "one")
	past := time.Now().Add(-time.Minute)
	for name, tt := range map[string]struct {
		server *mtls.Material
		host   string
		says   string
	}{
		"a node of the cluster":                {a.Issue(t, uri), "127.0.0.1:8445", ""},
		"a node at another host":               {a.Issue(t, uri), "10.0.0.1:8445", "10.0.0.1"},
		"a node at another name":               {a.Issue(t, uri), "other.example:8445", "other.example"},
		"a node of another cluster":            {a.Issue(t, mtls.Name("other", mtls.Node, "one")), "127.0.0.1:8445", "this is cluster"},
		"an operator that plays a node":        {a.Issue(t, mtls.Name(hsmtest.Cluster, mtls.Operator, "one")), "127.0.0.1:8445", "and not of a node"},
		"a node without a name":                {a.IssueWith(t, uri, func(c *x509.Certificate) { c.URIs = nil }), "127.0.0.1:8445", "0 URIs"},
		"a node of another authority":          {stranger.Issue(t, uri), "127.0.0.1:8445", "unknown authority"},
		"a node whose certificate is over":     {a.IssueWith(t, uri, func(c *x509.Certificate) { c.NotAfter = past }), "127.0.0.1:8445", "expired"},
		"a node whose certificate is a caller": {a.IssueWith(t, uri, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), "127.0.0.1:8445", "incompatible key usage"},
	} {
		// The server lets this client in, so whatever is refused, the client refuses.
		material := *tt.server
		material.Authorities = a.Issue(t, uri).Authorities
		err := connect(t, server(t, fixed(&material)), me, tt.host)
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAServerLetsCertificatesOfItsAuthoritiesInAndNothingElse(t *testing.T) {
	a, stranger := hsmtest.NewAuthority(t), hsmtest.NewAuthority(t)
	address := server(t, a.Source(t, mtls.Node, "one"))
	trusting := func(m *mtls.Material) mtls.Source { // of the server's authority, with a certificate of somebody's
		copied := *m
		copied.Authorities = a.Issue(t, mtls.Name(hsmtest.Cluster, mtls.Node, "x")).Authorities
		return fixed(&copied)
	}
	uri := mtls.Name(hsmtest.Cluster, mtls.Operator, "me")
	for name, tt := range map[string]struct {
		source mtls.Source
		good   bool
	}{
		"its authority's":       {trusting(a.Issue(t, uri)), true},
		"another authority's":   {trusting(stranger.Issue(t, uri)), false},
		"one that is over":      {trusting(a.IssueWith(t, uri, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) })), false},
		"one that is to come":   {trusting(a.IssueWith(t, uri, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })), false},
		"one for servers alone": {trusting(a.IssueWith(t, uri, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })), false},
		"none":                  {trusting(&mtls.Material{}), false},
	} {
		if err := connect(t, address, tt.source, "127.0.0.1:8445"); (err == nil) != tt.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A session that is resumed would never be checked against the authorities of the moment.
func TestNoSessionIsResumed(t *testing.T) {
	a := hsmtest.NewAuthority(t)
	address := server(t, a.Source(t, mtls.Node, "one"))
	m := a.Issue(t, mtls.Name(hsmtest.Cluster, mtls.Operator, "me"))
	config := &tls.Config{
		Certificates: []tls.Certificate{m.Certificate}, RootCAs: m.Authorities, ServerName: "127.0.0.1", NextProtos: []string{"h2"},
		ClientSessionCache: tls.NewLRUClientSessionCache(8),
	}
	for range 2 {
		conn, err := tls.Dial("tcp", address, config)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		state := conn.ConnectionState()
		if state.DidResume || state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "h2" {
			t.Errorf("resumed=%t, TLS %x, %q", state.DidResume, state.Version, state.NegotiatedProtocol)
		}
		_ = conn.Close()
	}
}

func TestMaterialThatCannotBeHadFailsTheConnectionWithItsCause(t *testing.T) {
	broken := errors.New("the key is being renewed")
	failing := func() (*mtls.Material, error) { return nil, broken }
	a := hsmtest.NewAuthority(t)
	if err := connect(t, server(t, a.Source(t, mtls.Node, "one")), failing, "127.0.0.1:8445"); !errors.Is(err, broken) {
		t.Errorf("the client's: %v", err)
	}
	if err := connect(t, server(t, failing), a.Source(t, mtls.Operator, "me"), "127.0.0.1:8445"); err == nil {
		t.Error("the server's: it got in")
	}
}

func TestAClientsCredentialsAreNoServersAndACopyIsItsOwn(t *testing.T) {
	a := hsmtest.NewAuthority(t)
	c := mtls.Client(hsmtest.Cluster, a.Source(t, mtls.Operator, "me"))
	if _, _, err := c.ServerHandshake(nil); err == nil {
		t.Error("they make a server")
	}
	d := c.Clone()
	if err := d.OverrideServerName("other.example"); err != nil { //nolint:staticcheck // it is of the interface
		t.Fatal(err)
	}
	if d.Info().ServerName != "other.example" || c.Info().ServerName != "" { //nolint:staticcheck // so is this
		t.Error("a copy's name is the other's")
	}
}

func TestWhenOnesOwnCertificateEndsIsTold(t *testing.T) {
	a := hsmtest.NewAuthority(t)
	end := time.Now().Add(17 * time.Minute).Truncate(time.Second).UTC()
	m := a.IssueWith(t, mtls.Name("c", mtls.Node, "n"), func(c *x509.Certificate) { c.NotAfter = end })
	if !m.Expires().Equal(end) || !(&mtls.Material{}).Expires().IsZero() {
		t.Errorf("%s", m.Expires())
	}
}

func TestFilesThatDoNotBelongTogetherAreSaidByTheirNames(t *testing.T) {
	for missing, says := range map[string]string{"tls.crt": "tls.crt", "tls.key": "tls.key", "ca.crt": "reading the authorities"} {
		dir := t.TempDir()
		in := func(name string) string { return filepath.Join(dir, name) }
		hsmtest.NewAuthority(t).Write(t, dir, mtls.Node, "one")
		source := mtls.Files(in("tls.crt"), in("tls.key"), in("ca.crt"))
		if err := os.Remove(in(missing)); err != nil {
			t.Fatal(err)
		}
		if _, err := source(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("without %s: %v", missing, err)
		}
		if err := os.WriteFile(in(missing), []byte("no PEM"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := source(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s without PEM: %v", missing, err)
		}
	}
}

// alike gives two files of PEM one size and one time, as two that are written within one tick of the file system's clock may have.
func alike(t *testing.T, files ...string) {
	t.Helper()
	when := time.Now()
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		content = append(content, bytes.Repeat([]byte("\n"), 4096-len(content))...)
		if err := errors.Join(os.WriteFile(file, content, 0o600), os.Chtimes(file, when, when)); err != nil {
			t.Fatal(err)
		}
	}
}

// An authority that was taken away counts with the next connection, also while the certificate stays.
func TestAChangeOfTheAuthoritiesAloneIsReadToo(t *testing.T) {
	dir, former, latter := t.TempDir(), hsmtest.NewAuthority(t), hsmtest.NewAuthority(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	former.Write(t, dir, mtls.Node, "one")
	other := t.TempDir()
	latter.Write(t, other, mtls.Node, "one")
	alike(t, in("ca.crt"), filepath.Join(other, "ca.crt"))
	address := server(t, mtls.Files(in("tls.crt"), in("tls.key"), in("ca.crt")))
	trusting := func(a *hsmtest.Authority) mtls.Source {
		m := *a.Issue(t, mtls.Name(hsmtest.Cluster, mtls.Operator, "me"))
		m.Authorities = former.Issue(t, mtls.Name(hsmtest.Cluster, mtls.Node, "x")).Authorities
		return fixed(&m)
	}
	if err := connect(t, address, trusting(former), "127.0.0.1:8445"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(other, "ca.crt"), in("ca.crt")); err != nil {
		t.Fatal(err)
	}
	if err := connect(t, address, trusting(former), "127.0.0.1:8445"); err == nil {
		t.Error("the former authority's certificate gets in")
	}
	if err := connect(t, address, trusting(latter), "127.0.0.1:8445"); err != nil {
		t.Errorf("the new authority's certificate: %v", err)
	}
}

// A certificate is what its one URI says, whatever cluster, role and name; and nobody's name is another's.
func FuzzRoleOf(f *testing.F) {
	f.Add("c", "spiffe://strongroom.dev/hsm/c/operator/a")
	f.Add("c", "spiffe://strongroom.dev/hsm/c%2foperator/operator/a")
	f.Add("c/operator", "spiffe://strongroom.dev/hsm/c/operator/operator/a")
	f.Add("", "spiffe://strongroom.dev/hsm//node/a")
	f.Add("c", "spiffe://u:p@strongroom.dev/hsm/c/operator/a")
	f.Add("c", "spiffe://strongroom.dev/hsm/c/operator/a#f")
	f.Fuzz(func(t *testing.T, cluster, text string) {
		uri, err := url.Parse(text)
		if err != nil {
			return
		}
		role, name, err := mtls.RoleOf(cluster, &x509.Certificate{URIs: []*url.URL{uri}})
		if err != nil {
			if !errors.Is(err, hsm.ErrPermissionDenied) || role != "" || name != "" {
				t.Fatalf("%q: %q, %q, %v", text, role, name, err)
			}
			return
		}
		if role != mtls.Operator && role != mtls.Node || name == "" || strings.Contains(name, "/") || strings.Contains(cluster, "/") {
			t.Fatalf("%q of %q is a %q of the name %q", text, cluster, role, name)
		}
		if made := mtls.Name(cluster, role, name); made.Path != uri.Path || made.Host != uri.Host {
			t.Fatalf("%q is read as %q", text, made)
		}
	})
}
