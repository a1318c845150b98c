package serving_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/internal/core/authority"
	"strongroom.dev/strongroom/internal/gateway/serving"
	"strongroom.dev/strongroom/test/environment"
)

// gateway is one replica's listener.
type gateway struct {
	*serving.Listener
	ended chan error
	stop  context.CancelFunc
}

type nothing struct{}

func (nothing) Close() error { return nil }

func replica(t *testing.T, c client.Client, namespace string, now func() time.Time, change ...func(*gateway)) *gateway {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	g := &gateway{ended: make(chan error, 1), stop: stop, Listener: &serving.Listener{
		Address: "127.0.0.1:0", Closer: nothing{}, GracefulShutdownTimeout: time.Second, Log: logr.Discard(),
		Handler:     http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") }),
		Certificate: &serving.Certificate{Client: c, Namespace: namespace, Names: []string{"127.0.0.1", "gateway.test"}, Now: now, Log: logr.Discard()},
	}}
	for _, f := range change {
		f(g)
	}
	go func() { g.ended <- g.Start(ctx) }()
	t.Cleanup(stop)
	for deadline := time.Now().Add(20 * time.Second); g.Ready(nil) != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the gateway did not begin to serve")
		}
	}
	return g
}

// bundle is what clients trust: the ConfigMap.
func bundle(t *testing.T, c client.Client, namespace string) *x509.CertPool {
	t.Helper()
	var published corev1.ConfigMap
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: serving.BundleConfigMapName}, &published); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(published.Data[serving.BundleKey])) {
		t.Fatalf("the ConfigMap has no certificate: %v", published.Data)
	}
	return pool
}

func (g *gateway) dial(t *testing.T, trusted *x509.CertPool) *tls.Conn {
	t.Helper()
	return g.dialAt(t, trusted, time.Now())
}

// ask asks over a connection, and gives the answer's body.
func ask(t *testing.T, c *tls.Conn) string {
	t.Helper()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	return string(body)
}

// dialAt is dial by a client whose clock shows another time.
func (g *gateway) dialAt(t *testing.T, trusted *x509.CertPool, at time.Time) *tls.Conn {
	t.Helper()
	config := &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12, Time: func() time.Time { return at }}
	c, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", g.Bound().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*tls.Conn)
}

func TestServing(t *testing.T) {
	cp, err := environment.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cp.Stop() }()
	made := 0
	namespace := func(t *testing.T) string {
		t.Helper()
		made++
		name := fmt.Sprint("serving-", made)
		if err := cp.Namespace(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
		return name
	}
	t.Run("a certificate is renewed in place: open connections go on, new ones get the new one", func(t *testing.T) {
		ns := namespace(t)
		var ahead atomic.Int64
		g := replica(t, cp.Client, ns, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
		trusted := bundle(t, cp.Client, ns)
		open := g.dial(t, trusted)
		ahead.Store(int64(21 * 24 * time.Hour))
		if err := g.Certificate.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		again := g.dialAt(t, trusted, time.Now().Add(21*24*time.Hour))
		before, after := open.ConnectionState().PeerCertificates[0], again.ConnectionState().PeerCertificates[0]
		if !after.NotAfter.After(before.NotAfter) {
			t.Errorf("good until %s, and before until %s", after.NotAfter, before.NotAfter)
		}
		for _, c := range []*tls.Conn{open, again} {
			if got := ask(t, c); got != "served" {
				t.Errorf("answered %q", got)
			}
		}
	})
	t.Run("an authority that is damaged is said, with what to do, and the certificate that there is stays", func(t *testing.T) {
		ns := namespace(t)
		g := replica(t, cp.Client, ns, time.Now)
		trusted := bundle(t, cp.Client, ns)
		secret := &corev1.Secret{}
		if err := cp.Client.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: serving.AuthoritySecretName}, secret); err != nil {
			t.Fatal(err)
		}
		secret.Data[corev1.TLSCertKey] = []byte("damaged")
		if err := cp.Client.Update(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		err := g.Certificate.Renew(t.Context())
		if !errors.Is(err, authority.ErrInvalid) || !strings.Contains(err.Error(), "delete it, and another is made") {
			t.Errorf("%v", err)
		}
		if got := ask(t, g.dial(t, trusted)); got != "served" {
			t.Errorf("answered %q", got)
		}
		if err := cp.Client.Delete(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		if err := g.Certificate.Renew(t.Context()); err != nil {
			t.Error(err)
		}
		if got := ask(t, g.dial(t, bundle(t, cp.Client, ns))); got != "served" {
			t.Errorf("under another authority: %q", got)
		}
	})
	t.Run("two replicas share one authority, and each has a key of its own", func(t *testing.T) {
		ns := namespace(t)
		first, second := replica(t, cp.Client, ns, time.Now), replica(t, cp.Client, ns, time.Now)
		trusted := bundle(t, cp.Client, ns)
		one, other := first.dial(t, trusted), second.dial(t, trusted)
		if ask(t, one) != "served" || ask(t, other) != "served" {
			t.Error("one of them does not serve")
		}
		a, b := one.ConnectionState().PeerCertificates[0], other.ConnectionState().PeerCertificates[0]
		if a.Equal(b) {
			t.Error("both replicas have the same certificate")
		}
		first.stop()
		if err := <-first.ended; err != nil {
			t.Errorf("a replica that is stopped failed: %v", err)
		}
	})
	t.Run("a source gets its share of the connections, and the next is closed at once and counted", func(t *testing.T) {
		ns := namespace(t)
		g := replica(t, cp.Client, ns, time.Now, func(g *gateway) { g.SourceShare = 1 })
		trusted := bundle(t, cp.Client, ns)
		var open []*tls.Conn
		for range serving.MaximumConnections / 100 {
			open = append(open, g.dial(t, trusted))
		}
		before := testutil.ToFloat64(serving.RefusedConnections)
		over, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", g.Bound().String())
		if err != nil {
			t.Fatal(err)
		}
		defer over.Close()
		_ = over.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := over.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("one more than the share: %v", err)
		}
		if n := testutil.ToFloat64(serving.RefusedConnections) - before; n != 1 {
			t.Errorf("%v refusals were counted", n)
		}
		if got := ask(t, open[0]); got != "served" {
			t.Errorf("one of those before it is answered %q", got)
		}
		_ = open[1].Close()
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			config := &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}
			if c, err := tls.Dial("tcp", g.Bound().String(), config); err == nil {
				_ = c.Close()
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("a place that was given back is not given again")
			}
		}
	})
	ns := namespace(t)
	g := replica(t, cp.Client, ns, time.Now)
	trusted := bundle(t, cp.Client, ns)
	t.Run("a request about the server itself is the handler's too, which keeps a record of it", func(t *testing.T) {
		c := g.dial(t, trusted)
		if _, err := io.WriteString(c, "OPTIONS * HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if answer, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(answer), "served") {
			t.Errorf("%q, %v", answer, err)
		}
	})
	t.Run("a client that sends its headers slowly is cut off", func(t *testing.T) { slow(t, g.dial(t, trusted)) })
	t.Run("a header that is too large is refused", func(t *testing.T) {
		c := g.dial(t, trusted)
		_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: gateway.test\r\nX-Bomb: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("answered %s", answer.Status)
		}
	})
	t.Run("versions of TLS before 1.2 are refused", func(t *testing.T) {
		old := &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
		if c, err := tls.DialWithDialer(&net.Dialer{}, "tcp", g.Bound().String(), old); err == nil {
			_ = c.Close()
			t.Error("TLS 1.1 was accepted")
		}
	})
}

func slow(t *testing.T, c *tls.Conn) {
	t.Helper()
	began := time.Now()
	if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: gateway.test\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(began.Add(30 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		_, err = io.Copy(io.Discard, c)
		if err != nil {
			t.Errorf("the connection was not ended: %v", err)
		}
	} else if e, ok := err.(net.Error); ok && e.Timeout() { //nolint:errorlint // is not wrapped
		t.Error("the connection was still open after 30 s")
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("cut off after %s", took)
	}
}
