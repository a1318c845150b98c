package serving

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/net/netutil"

	"strongroom.dev/strongroom/internal/gateway/admission"
)

// The limits of connections. A client that is slower is cut off.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 2 * time.Minute
	maximumHeader     = 32 << 10
	maximumStreams    = 64
	// MaximumConnections that are open at once. More wait.
	MaximumConnections = 4096
	// maximumReceived is what may have come over one HTTP/2 connection, and was not read yet: RFC 9113's initial window.
	maximumReceived = 64 << 10
)

// Listener serves a handler over HTTPS, HTTP/1.1 and 2. It is a manager's Runnable.
type Listener struct {
	// Address to listen on, such as :8444.
	Address string
	// Handler answers.
	Handler http.Handler
	// Certificate of the server.
	Certificate *Certificate
	// GracefulShutdownTimeout is how long running requests may take to end.
	GracefulShutdownTimeout time.Duration
	// SourceShare is how many of the connections one source may have, in percent. admission.DefaultShare if 0.
	SourceShare int
	Log         logr.Logger
	// Closer is closed when the last request has ended.
	Closer io.Closer

	address atomic.Pointer[net.TCPAddr]
}

var errNotListening = errors.New("the AWS APIs are not served yet")

// Ready is a readiness check: nil when there is a certificate and a socket.
func (l *Listener) Ready(*http.Request) error {
	if l.address.Load() == nil {
		return errNotListening
	}
	return nil
}

// Bound is the address that is listened on, nil before Ready.
func (l *Listener) Bound() *net.TCPAddr { return l.address.Load() }

// NeedLeaderElection is false: every replica serves.
func (l *Listener) NeedLeaderElection() bool { return false }

// Start serves until the context ends, and then lets running requests end.
func (l *Listener) Start(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ready := make(chan struct{})
	kept := make(chan error, 1)
	go func() { kept <- l.Certificate.Keep(ctx, func() { close(ready) }) }()
	select {
	case <-ready: // before there is a certificate, a client is better told that nobody listens
	case <-ctx.Done():
		return errors.Join(<-kept, l.Closer.Close())
	}
	err := l.serve(ctx)
	cancel()
	return errors.Join(err, <-kept, l.Closer.Close())
}

func (l *Listener) serve(ctx context.Context) error {
	server := l.server()
	socket, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.Address)
	if err != nil {
		return fmt.Errorf("listening for the AWS APIs: %w", err)
	}
	if bound, ok := socket.Addr().(*net.TCPAddr); ok {
		l.address.Store(bound)
	}
	l.Log.Info("Serving the AWS APIs", "address", socket.Addr().String())
	ended := make(chan error, 1)
	go func() { ended <- server.ServeTLS(l.limit(socket), "", "") }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving the AWS APIs: %w", err)
	case <-ctx.Done():
	}
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.GracefulShutdownTimeout)
	defer cancel()
	if err := server.Shutdown(shutdown); err != nil {
		return errors.Join(fmt.Errorf("ending the requests that run: %w", err), server.Close())
	}
	return nil
}

// limit bounds the connections, all and each source's.
func (l *Listener) limit(socket net.Listener) net.Listener {
	return admission.LimitSources(netutil.LimitListener(socket, MaximumConnections),
		MaximumConnections, cmp.Or(l.SourceShare, admission.DefaultShare), refusedConnections.Inc)
}

func (l *Listener) server() *http.Server {
	unread := &unread{next: l.Handler, log: l.Log}
	return &http.Server{
		Handler: unread, ConnContext: unread.context, ConnState: unread.state,
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: l.Certificate.Get, NextProtos: []string{"h2", "http/1.1"}},
		ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maximumHeader,
		// OPTIONS * is answered by the handler too, which keeps a record of it.
		DisableGeneralOptionsHandler: true,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maximumStreams, MaxReceiveBufferPerConnection: maximumReceived, MaxReceiveBufferPerStream: maximumReceived,
		},
		ErrorLog: log.New(quiet{l.Log}, "", 0),
	}
}

// quiet logs what net/http has to say, of clients that break off for the most part, for those who look for it.
type quiet struct{ logger logr.Logger }

func (q quiet) Write(p []byte) (int, error) {
	q.logger.V(1).Info("A connection failed", "reason", string(p))
	return len(p), nil
}
