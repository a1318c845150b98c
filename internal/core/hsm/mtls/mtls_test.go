//go:build cgo

package mtls_test

import (
	"crypto/x509"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"strongroom.dev/strongroom/internal/core/hsm/hsmtest"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
)

func TestARoleIsReadFromOneURIOfTheClusterAndFromNothingElse(t *testing.T) {
	for uri, role := range map[string]mtls.Role{
		"spiffe://strongroom.dev/hsm/c/operator/a": mtls.Operator, "spiffe://strongroom.dev/hsm/c/node/a": mtls.Node,
		"spiffe://strongroom.dev/hsm/d/operator/a": "", "spiffe://strongroom.dev/hsm/c/admin/a": "", "spiffe://strongroom.dev/hsm/c/operator/": "",
		"spiffe://strongroom.dev/hsm/c/operator": "", "spiffe://strongroom.dev/hsm/c/operator/a/b": "", "spiffe://other/hsm/c/operator/a": "",
		"https://strongroom.dev/hsm/c/operator/a": "", "spiffe://strongroom.dev/x/hsm/c/operator/a": "", "spiffe://strongroom.dev/hsm/c/operator/a?x": "",
	} {
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := mtls.RoleOf("c", &x509.Certificate{URIs: []*url.URL{u}})
		if got != role || (err == nil) != (role != "") {
			t.Errorf("%s: %q, %v", uri, got, err)
		}
		if _, _, err := mtls.RoleOf("c", &x509.Certificate{URIs: []*url.URL{u, u}}); err == nil {
			t.Errorf("two URIs %s", uri)
		}
	}
}

func TestCertificatesAreReadAgainWhenTheFilesChangeAndTheLastGoodOnesAreKept(t *testing.T) {
	dir, a := t.TempDir(), hsmtest.NewAuthority(t)
	source := mtls.Files(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), filepath.Join(dir, "ca.crt"))
	if _, err := source(); err == nil {
		t.Error("no files")
	}
	serial := func() string {
		t.Helper()
		m, err := source()
		if err != nil {
			t.Fatal(err)
		}
		return m.Certificate.Leaf.SerialNumber.String()
	}
	a.Write(t, dir, mtls.Node, "one")
	first := serial()
	if serial() != first {
		t.Error("it changes by itself")
	}
	a.Write(t, dir, mtls.Node, "one")
	second := serial()
	if second == first {
		t.Error("the new certificate is not used")
	}
	if err := os.WriteFile(filepath.Join(dir, "tls.key"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if serial() != second {
		t.Error("a key that cannot be read takes the last certificate away")
	}
}
