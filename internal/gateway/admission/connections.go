package admission

import (
	"net"
	"net/netip"
	"sync"
)

// connections is a listener that gives each source so many connections at once.
type connections struct {
	net.Listener
	share   int
	refused func()

	mu   sync.Mutex
	open map[Source]int
}

// LimitSources is a listener that closes a connection at once if its source has its share of the maximum already: so many percent
// of it. Refused is called for each that was closed. It bounds no total; what bounds that is to be around l, so that a connection
// that is closed here frees its place.
func LimitSources(l net.Listener, maximum, percent int, refused func()) net.Listener {
	return &connections{Listener: l, share: int(part(int64(maximum), percent)), refused: refused, open: map[Source]int{}}
}

// Accept waits for a connection of a source that may have one more.
func (l *connections) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		source := sourceOf(c)
		if l.enter(source) {
			return &connection{Conn: c, close: sync.OnceFunc(func() { l.leave(source) })}, nil
		}
		// First: who sees the connection closed finds it counted.
		l.refused()
		_ = c.Close()
	}
}

func sourceOf(c net.Conn) Source {
	remote, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return Source{}
	}
	return SourceOf(remote.Addr())
}

func (l *connections) enter(of Source) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[of] >= l.share {
		return false
	}
	l.open[of]++
	return true
}

func (l *connections) leave(of Source) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[of]--; l.open[of] == 0 {
		delete(l.open, of)
	}
}

// connection gives its place back when it is closed.
type connection struct {
	net.Conn
	close func()
}

// Close closes the connection.
func (c *connection) Close() error {
	err := c.Conn.Close()
	c.close()
	return err
}
