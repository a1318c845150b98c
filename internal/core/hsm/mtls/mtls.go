// Package mtls authenticates nodes and their callers to each other, by certificates of one authority for each cluster. Who
// somebody is stands in the certificate as a URI of SPIFFE's shape:
//
//	spiffe://strongroom.dev/hsm/CLUSTER/operator/NAME
//	spiffe://strongroom.dev/hsm/CLUSTER/node/NAME
package mtls

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"

	"strongroom.dev/strongroom/internal/core/hsm"
)

// Role is what a certificate lets its owner do.
type Role string

// The roles.
const (
	Operator Role = "operator"
	Node     Role = "node"
)

const trustDomain = "strongroom.dev"

// Name is the URI of a certificate.
func Name(cluster string, role Role, name string) *url.URL {
	return &url.URL{Scheme: "spiffe", Host: trustDomain, Path: "/hsm/" + cluster + "/" + string(role) + "/" + name}
}

// RoleOf reads the one URI of a certificate, and fails with hsm.ErrPermissionDenied if it is not of the cluster.
func RoleOf(cluster string, certificate *x509.Certificate) (Role, string, error) {
	if len(certificate.URIs) != 1 {
		return "", "", fmt.Errorf("%w: it has %d URIs and must have one", hsm.ErrPermissionDenied, len(certificate.URIs))
	}
	uri := certificate.URIs[0]
	parts := strings.Split(uri.Path, "/")
	if uri.Scheme != "spiffe" || uri.Host != trustDomain || uri.RawQuery != "" || len(parts) != 5 || parts[0] != "" || parts[1] != "hsm" ||
		parts[2] != cluster || parts[4] == "" || parts[3] != string(Operator) && parts[3] != string(Node) {
		return "", "", fmt.Errorf("%w: it is of %q, and this is cluster %q", hsm.ErrPermissionDenied, uri, cluster)
	}
	return Role(parts[3]), parts[4], nil
}

// Material is one's own certificate with its key, and the authorities that the other side's must be of.
type Material struct {
	Certificate tls.Certificate
	Authorities *x509.CertPool
}

// Source gives the material of the moment. It is called for each connection.
type Source func() (*Material, error)

// Files reads PEM files, for each connection anew: times and sizes do not tell two contents apart that were written within one tick of
// the file system's clock. While a change cannot be used, the last material that could is.
func Files(certificate, key, authorities string) Source {
	var (
		mu   sync.Mutex
		last *Material
		read [sha256.Size]byte
	)
	return func() (*Material, error) {
		mu.Lock()
		defer mu.Unlock()
		files, err := readAll(certificate, key, authorities)
		if err == nil && last != nil && files.digest() == read {
			return last, nil
		}
		var m *Material
		if err == nil {
			m, err = files.material()
		}
		if err != nil {
			if last != nil { // such as a certificate that was replaced before its key; the next connection tries again
				return last, nil
			}
			return nil, err
		}
		last, read = m, files.digest()
		return m, nil
	}
}

// contents are what the files of a Material hold, with the names that errors tell.
type contents struct {
	names [3]string
	bytes [3][]byte
}

func readAll(certificate, key, authorities string) (*contents, error) {
	c := &contents{names: [3]string{certificate, key, authorities}}
	for i, what := range [3]string{"the certificate", "the certificate's key", "the authorities"} {
		var err error
		if c.bytes[i], err = os.ReadFile(c.names[i]); err != nil {
			return nil, fmt.Errorf("reading %s: %w", what, err)
		}
	}
	return c, nil
}

// digest tells contents apart; each is hashed alone, so that a byte that moves from one file to the next is a change.
func (c *contents) digest() [sha256.Size]byte {
	var all []byte
	for _, b := range c.bytes {
		sum := sha256.Sum256(b)
		all = append(all, sum[:]...)
	}
	return sha256.Sum256(all)
}

func (c *contents) material() (*Material, error) {
	pair, err := tls.X509KeyPair(c.bytes[0], c.bytes[1])
	if err != nil {
		return nil, fmt.Errorf("reading the certificate %s and its key %s: %w", c.names[0], c.names[1], err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(c.bytes[2]) {
		return nil, fmt.Errorf("reading the authorities: %s has no certificate in PEM", c.names[2])
	}
	return &Material{pair, pool}, nil
}

// Server is the TLS of a node: only certificates of its authorities get in. What they may do is decided for each request.
func Server(source Source) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			m, err := source()
			if err != nil {
				return nil, err
			}
			return &tls.Config{
				MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{m.Certificate}, ClientAuth: tls.RequireAndVerifyClientCert,
				ClientCAs: m.Authorities, NextProtos: []string{"h2"},
				SessionTicketsDisabled: true, // a resumed session would outlive a change of the authorities
			}, nil
		},
	}
}

// Client are gRPC credentials of a caller: the other side must have a certificate of a node of the cluster, for the host that was dialled.
func Client(cluster string, source Source) credentials.TransportCredentials {
	return &client{cluster: cluster, source: source}
}

type client struct {
	cluster, serverName string
	source              Source
}

// ClientHandshake makes the TLS configuration anew, so that each connection has the material of its moment.
func (c *client) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	m, err := c.source()
	if err != nil {
		return nil, nil, err
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{m.Certificate}, RootCAs: m.Authorities, ServerName: c.serverName,
		VerifyConnection: func(state tls.ConnectionState) error {
			role, _, err := RoleOf(c.cluster, state.PeerCertificates[0])
			if err == nil && role != Node {
				err = fmt.Errorf("%w: this is the certificate of an %s, and not of a node", hsm.ErrPermissionDenied, role)
			}
			return err
		},
	}
	return credentials.NewTLS(config).ClientHandshake(ctx, authority, conn)
}

func (c *client) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("these are a client's credentials")
}

func (c *client) Info() credentials.ProtocolInfo {
	return credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, ServerName: c.serverName}).Info()
}

func (c *client) Clone() credentials.TransportCredentials { d := *c; return &d }

func (c *client) OverrideServerName(name string) error { c.serverName = name; return nil }

// Expires is when one's own certificate ends.
func (m *Material) Expires() time.Time {
	if m.Certificate.Leaf == nil {
		return time.Time{}
	}
	return m.Certificate.Leaf.NotAfter
}
