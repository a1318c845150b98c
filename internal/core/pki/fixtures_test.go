package pki_test

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/pki"
)

// now is the tests' clock: openssl verifies at the real time unless it is told another.
var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

const (
	day  = 24 * time.Hour
	year = 365 * day
)

var (
	keysMu sync.Mutex
	pooled = map[pki.KeyAlgorithm]crypto.Signer{}
)

// keyOf is a key of a type, made once for all tests, since RSA is slow.
func keyOf(t testing.TB, a pki.KeyAlgorithm) crypto.Signer {
	t.Helper()
	keysMu.Lock()
	defer keysMu.Unlock()
	if pooled[a] == nil {
		pooled[a] = newKey(t, a)
	}
	return pooled[a]
}

func newKey(t testing.TB, a pki.KeyAlgorithm) crypto.Signer {
	t.Helper()
	key, err := pki.GenerateKey(a)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func named(name string) pkix.Name { return pkix.Name{CommonName: name, Organization: []string{"Shop"}} }

func pathLength(n int) *int { return &n }

// newRoot makes a root with a key of a type.
func newRoot(t testing.TB, a pki.KeyAlgorithm, changes ...func(*pki.AuthorityRequest)) *pki.Authority {
	t.Helper()
	key := keyOf(t, a)
	in := pki.AuthorityRequest{Subject: named("root " + string(a)), NotBefore: pki.Backdate(now, 10*year), NotAfter: now.Add(10 * year)}
	for _, change := range changes {
		change(&in)
	}
	c, err := pki.NewRoot(key, in, nil)
	if err != nil {
		t.Fatal(err)
	}
	return authority(t, key, c)
}

// below makes an authority under another.
func below(t testing.TB, parent *pki.Authority, a pki.KeyAlgorithm, changes ...func(*pki.AuthorityRequest)) *pki.Authority {
	t.Helper()
	key := newKey(t, a)
	in := pki.AuthorityRequest{Subject: named("subordinate " + string(a)), NotBefore: pki.Backdate(now, year), NotAfter: now.Add(year)}
	for _, change := range changes {
		change(&in)
	}
	c, err := parent.IssueAuthority(key.Public(), in)
	if err != nil {
		t.Fatal(err)
	}
	return authority(t, key, append([]*x509.Certificate{c}, parent.Chain()...)...)
}

func authority(t testing.TB, key crypto.Signer, chain ...*x509.Certificate) *pki.Authority {
	t.Helper()
	a, err := pki.NewAuthority(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func names(t testing.TB, texts ...string) pki.Names {
	t.Helper()
	n, err := pki.ParseNames(texts)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// leafOf issues a certificate for 90 days.
func leafOf(t testing.TB, a *pki.Authority, key crypto.Signer, texts ...string) *x509.Certificate {
	t.Helper()
	c, err := a.Issue(key.Public(), pki.LeafRequest{
		Subject: named("leaf"), Names: names(t, texts...), NotBefore: pki.Backdate(now, 90*day), NotAfter: now.Add(90 * day),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// file writes a file of the test's own and gives its path.
func file(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// openssl runs the program that is an independent judge of all that is made here.
func openssl(t testing.TB, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput()
	return string(out), err
}

// strictly runs openssl verify -x509_strict at the tests' time.
func strictly(t testing.TB, root *x509.Certificate, between []*x509.Certificate, leaf *x509.Certificate, more ...string) (string, error) {
	t.Helper()
	args := []string{
		"verify", "-x509_strict", "-check_ss_sig", "-attime", strings.TrimSpace(timeText(now)),
		"-CAfile", file(t, "root.pem", pki.CertificatesPEM([]*x509.Certificate{root})),
	}
	if len(between) > 0 {
		args = append(args, "-untrusted", file(t, "between.pem", pki.CertificatesPEM(between)))
	}
	args = append(args, more...)
	return openssl(t, append(args, file(t, "leaf.pem", pki.CertificatesPEM([]*x509.Certificate{leaf})))...)
}
