package databases

import (
	"net"
	"sync"
)

// Proxy stands between a client and a server and cuts connections at a chosen moment. Moments are counted by what clients send: each
// read of theirs is one, so that with a protocol of requests and answers each statement has its own.
type Proxy struct {
	// Port it listens on, at Host.
	Port uint16

	listener net.Listener
	server   string

	mu    sync.Mutex
	count int
	cutAt int
	lost  bool
}

// NewProxy starts one in front of a server. The caller closes it.
func NewProxy(server string) (*Proxy, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(Host, "0"))
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: listener, server: server, Port: uint16(listener.Addr().(*net.TCPAddr).Port)}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	}()
	return p, nil
}

// Close ends it.
func (p *Proxy) Close() error { return p.listener.Close() }

// CutAt has the connection cut at the n-th request from now on: before the server gets it, or, with lost, when the server has carried it
// out and its answer is on the way. 0 is never. The count starts anew.
func (p *Proxy) CutAt(n int, lost bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count, p.cutAt, p.lost = 0, n, lost
}

// Count is how many requests there were.
func (p *Proxy) Count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// next says what is to be done with the next request.
func (p *Proxy) next() (cut, lost bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	cut = p.count == p.cutAt
	return cut && !p.lost, cut && p.lost
}

func (p *Proxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	var mute sync.Mutex // held while answers must not pass
	muted := false
	go func() {
		buffer := make([]byte, 64<<10)
		for {
			n, err := server.Read(buffer)
			mute.Lock()
			drop := muted
			mute.Unlock()
			if drop && n > 0 || err != nil {
				_ = client.Close()
				_ = server.Close()
				return
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		cut, lost := p.next()
		if cut {
			return
		}
		if lost {
			mute.Lock()
			muted = true
			mute.Unlock()
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}
