package serving

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/go-logr/logr"
)

// unread counts the requests that net/http answers by itself and no handler sees: what is not HTTP (400), a head that is too large (431),
// an expectation other than 100-continue (417), and a transfer coding other than chunked (501). All end their connection, and can only
// be told from its states: it was active, and no handler was called meanwhile. HTTP/2 hands such requests on, or resets their streams.
type unread struct {
	next        http.Handler
	log         logr.Logger
	connections sync.Map // net.Conn to *heard
}

// heard is what is known of one connection.
type heard struct {
	// waiting says that a request has begun to come, and no handler has it yet.
	waiting atomic.Bool
}

type heardKey struct{}

// ServeHTTP notes that the request has a handler.
func (u *unread) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h, ok := r.Context().Value(heardKey{}).(*heard); ok && h.waiting.Load() {
		h.waiting.Store(false)
	}
	u.next.ServeHTTP(w, r)
}

func (u *unread) context(ctx context.Context, c net.Conn) context.Context {
	h := &heard{}
	u.connections.Store(c, h)
	return context.WithValue(ctx, heardKey{}, h)
}

func (u *unread) state(c net.Conn, state http.ConnState) {
	found, ok := u.connections.Load(c)
	if !ok {
		return
	}
	h := found.(*heard)
	switch state {
	case http.StateActive:
		h.waiting.Store(true)
	case http.StateClosed, http.StateHijacked:
		if h.waiting.Load() && !isHTTP2(c) {
			unreadRequests.Inc()
			u.log.Info("A request was refused before it could be read, and has no audit record", "sourceIPAddress", c.RemoteAddr().String())
		}
		// Last: a connection that is forgotten has been counted.
		u.connections.Delete(c)
	case http.StateNew, http.StateIdle:
	}
}

func isHTTP2(c net.Conn) bool {
	secure, ok := c.(*tls.Conn)
	return ok && secure.ConnectionState().NegotiatedProtocol == "h2"
}
