package rotation

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
)

// TLSMode says how a connection to a server is protected, in the words of PostgreSQL's sslmode.
// https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION
type TLSMode string

// The modes. There is none that falls back to an unprotected connection.
const (
	// TLSDisable uses no TLS.
	TLSDisable TLSMode = "disable"
	// TLSRequire encrypts and trusts any certificate: whoever is on the way can read the connection.
	TLSRequire TLSMode = "require"
	// TLSVerifyCA trusts any certificate of the authorities, whatever its name.
	TLSVerifyCA TLSMode = "verify-ca"
	// TLSVerifyFull also asks for the server's name.
	TLSVerifyFull TLSMode = "verify-full"
)

// TLS is how connections are protected.
type TLS struct {
	// Mode is TLSVerifyFull if empty.
	Mode TLSMode
	// Roots are the authorities that sign servers' certificates, the system's if nil.
	Roots *x509.CertPool
}

// Config is the configuration for a server of a name, nil for no TLS.
func (t TLS) Config(host string) *tls.Config {
	switch t.Mode {
	case TLSDisable:
		return nil
	case TLSRequire:
		return &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, InsecureSkipVerify: true} //nolint:gosec // what the user asks for by this mode
	case TLSVerifyCA:
		return &tls.Config{
			MinVersion: tls.VersionTLS12, ServerName: host, InsecureSkipVerify: true, //nolint:gosec // VerifyConnection asks for the chain
			VerifyConnection: t.verifyChain,
		}
	default:
		return &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, RootCAs: t.Roots}
	}
}

func (t TLS) verifyChain(state tls.ConnectionState) error {
	intermediates := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		intermediates.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: t.Roots, Intermediates: intermediates})
	return err
}

// IsTLS says whether a connection ended because of TLS.
func IsTLS(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		record       tls.RecordHeaderError
		alert        tls.AlertError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
	)
	return errors.As(err, &verification) || errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &authority) ||
		errors.As(err, &hostname) || errors.As(err, &invalid)
}

// IsNetwork says whether a connection was not made or broke.
func IsNetwork(err error) bool {
	var operation *net.OpError
	var name *net.DNSError
	return errors.As(err, &operation) || errors.As(err, &name)
}
