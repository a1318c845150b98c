package child

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"strongroom.dev/strongroom/internal/core/hsm"
)

// hangs is how long a module may take for one request: making an RSA 4096 key may take most of a minute on a slow machine.
const hangs = 2 * time.Minute

// Conn is the parent's end of the protocol. It is safe for concurrent use.
type Conn struct {
	rwc     io.ReadWriteCloser
	writing sync.Mutex

	mu      sync.Mutex
	next    uint64
	waiting map[uint64]chan frame
	err     error // set once the connection is over
	done    chan struct{}
}

// NewConn begins to read responses. Close ends it.
func NewConn(rwc io.ReadWriteCloser) *Conn {
	c := &Conn{rwc: rwc, waiting: map[uint64]chan frame{}, done: make(chan struct{})}
	go c.read()
	return c
}

// Done is closed when the connection is over.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Close ends the connection; requests in flight fail with ErrModule.
func (c *Conn) Close() error { return c.rwc.Close() }

func (c *Conn) read() {
	in := bufio.NewReader(c.rwc)
	for {
		f, err := readFrame(in)
		if err != nil {
			c.end(err)
			return
		}
		c.mu.Lock()
		waiting := c.waiting[f.id]
		delete(c.waiting, f.id)
		c.mu.Unlock()
		if waiting != nil { // nobody: the caller's context ended
			waiting <- f
		}
	}
}

func (c *Conn) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = fmt.Errorf("%w: its process ended while a request was in flight (%w); it is started again, and the request may be repeated", hsm.ErrModule, cause)
	for id, waiting := range c.waiting {
		close(waiting)
		delete(c.waiting, id)
	}
	_ = c.rwc.Close()
	close(c.done)
}

func (c *Conn) begin() (uint64, chan frame, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, nil, c.err
	}
	c.next++
	waiting := make(chan frame, 1)
	c.waiting[c.next] = waiting
	return c.next, waiting, nil
}

func (c *Conn) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

// Call asks and waits for the response, which is read into response. When ctx ends it goes without, though the child goes on. A child
// that does not answer for two minutes is given up: the connection is closed.
func (c *Conn) Call(ctx context.Context, method Method, request, response proto.Message) error {
	body, err := proto.Marshal(request)
	if err != nil {
		return fmt.Errorf("%w: %w", hsm.ErrInvalidArgument, err)
	}
	defer clear(body)
	id, waiting, err := c.begin()
	if err != nil {
		return err
	}
	out, err := frame{id: id, what: byte(method), body: body}.encode()
	if err != nil {
		c.forget(id)
		return err
	}
	defer clear(out)
	c.writing.Lock()
	_, err = c.rwc.Write(out)
	c.writing.Unlock()
	if err != nil {
		_ = c.rwc.Close() // the reader ends and tells all who wait, this call among them
	}
	return c.await(ctx, id, waiting, response)
}

func (c *Conn) await(ctx context.Context, id uint64, waiting chan frame, response proto.Message) error {
	hung := time.NewTimer(hangs)
	defer hung.Stop()
	select {
	case f, ok := <-waiting:
		if !ok {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.err
		}
		defer clear(f.body)
		return f.read(response)
	case <-ctx.Done():
		c.forget(id)
		return ctx.Err()
	case <-hung.C:
		c.forget(id)
		_ = c.rwc.Close()
		return fmt.Errorf("%w: it did not answer within %s; its process is started again", hsm.ErrModule, hangs)
	}
}

func (f frame) read(response proto.Message) error {
	switch f.what {
	case outcomeOK:
		if err := proto.Unmarshal(f.body, response); err != nil {
			return fmt.Errorf("%w: its process answered what cannot be read", hsm.ErrModule)
		}
		return nil
	case outcomeError:
		return decodeError(f.body)
	default:
		return fmt.Errorf("%w: its process answered what is not known", hsm.ErrModule)
	}
}
