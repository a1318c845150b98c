// Package rotationtest is what tests of all engines begin with: a server that is started once, and credentials of its users.
package rotationtest

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// Server is a database server in a process of its own.
type Server interface{ Stop() error }

// Main is a TestMain: it starts a server, keeps it where tests find it, runs them, stops it and exits. A server that does not start fails
// them all.
func Main[S Server](m *testing.M, server *S, start func(context.Context) (S, error)) {
	var err error
	if *server, err = start(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = (*server).Stop() // the tests have their result
	os.Exit(code)
}

// Verified is how an engine connects to a server whose certificates are of an authority in PEM: it verifies all of them.
func Verified(authority []byte) rotation.TLS {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return rotation.TLS{Mode: rotation.TLSVerifyFull, Roots: roots}
}

// Credential is a secret's value with these members, as AWS's rotation functions have them, for the engine that it names.
func Credential(t testing.TB, members map[string]any) *rotation.Credential {
	t.Helper()
	value, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	c, err := rotation.Parse(secretbytes.Own(value), "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}
