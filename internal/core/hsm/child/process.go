package child

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/protobuf/proto"

	"strongroom.dev/strongroom/internal/core/hsm"
)

// Config is what a Process needs.
type Config struct {
	// Command makes the command of the child: this program, with the hidden subcommand that calls Serve on Socket.
	Command func() *exec.Cmd
	// Started prepares a child before requests reach it: Open and Login. When it fails, the child is ended and another is
	// started after a while.
	Started func(context.Context, *Conn) error
	Logger  *slog.Logger
	// MinBackoff and MaxBackoff are how long it waits before it starts a child again, 100 ms and 10 s if they are 0.
	MinBackoff, MaxBackoff time.Duration
}

// Process keeps one child running. It is safe for concurrent use.
type Process struct {
	config Config

	mu     sync.Mutex
	conn   *Conn
	cmd    *exec.Cmd
	err    error
	starts int64
}

// New makes a Process; Run starts the child.
func New(config Config) *Process {
	if config.MinBackoff == 0 {
		config.MinBackoff = 100 * time.Millisecond
	}
	if config.MaxBackoff == 0 {
		config.MaxBackoff = 10 * time.Second
	}
	return &Process{config: config, err: fmt.Errorf("%w: it is being loaded", hsm.ErrModule)}
}

// Socket is the child's end of the connection, which is its file descriptor 3.
func Socket() (net.Conn, error) {
	f := os.NewFile(3, "parent")
	if f == nil {
		return nil, errors.New("there is no file descriptor 3: this command is for strongroom hsm to start")
	}
	defer f.Close() // FileConn has its own copy
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("file descriptor 3 is no socket: this command is for strongroom hsm to start: %w", err)
	}
	return c, nil
}

// Run keeps a child running until ctx ends, and ends it then. A child that ends is followed by another at once the first time,
// and ever more slowly if it keeps ending.
func (p *Process) Run(ctx context.Context) {
	backoff := p.config.MinBackoff
	for ctx.Err() == nil {
		began := time.Now()
		err := p.once(ctx)
		if ctx.Err() != nil {
			return
		}
		p.config.Logger.Error("the module's process ended", "err", err, "again-in", backoff.String())
		if time.Since(began) > time.Minute {
			backoff = p.config.MinBackoff
		}
		select {
		case <-ctx.Done():
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, p.config.MaxBackoff)
	}
}

// once runs one child to its end.
func (p *Process) once(ctx context.Context) error {
	cmd, conn, err := p.start()
	if err != nil {
		p.set(nil, nil, fmt.Errorf("%w: its process cannot be started: %w", hsm.ErrModule, err))
		return err
	}
	exited := make(chan struct{})
	go func() { defer close(exited); _ = cmd.Wait() }() // how it ended is told by its connection
	defer func() {
		_ = conn.Close() // a child whose parent is gone ends
		_ = cmd.Process.Kill()
		<-exited
	}()
	if err := p.config.Started(ctx, conn); err != nil {
		p.set(nil, nil, err)
		return err
	}
	p.set(conn, cmd, nil)
	select {
	case <-ctx.Done():
		err = fmt.Errorf("%w: the node is shutting down", hsm.ErrModule)
	case <-conn.Done():
		err = fmt.Errorf("%w: its process ended and is started again", hsm.ErrModule)
	}
	p.set(nil, nil, err)
	return err
}

func (p *Process) start() (*exec.Cmd, *Conn, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "child"), os.NewFile(uintptr(fds[1]), "parent")
	defer theirs.Close() // the child has its own copy
	socket, err := net.FileConn(ours)
	_ = ours.Close()
	if err != nil {
		return nil, nil, err
	}
	cmd := p.config.Command()
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Env = withoutPINs(cmd.Environ())
	if err := cmd.Start(); err != nil {
		_ = socket.Close()
		return nil, nil, err
	}
	p.mu.Lock()
	p.starts++
	p.mu.Unlock()
	return cmd, NewConn(socket), nil
}

// withoutPINs leaves out what a vendor's library has no business to read.
func withoutPINs(environment []string) []string {
	var out []string
	for _, variable := range environment {
		if !strings.HasPrefix(variable, "STRONGROOM_HSM_") {
			out = append(out, variable)
		}
	}
	return out
}

func (p *Process) set(conn *Conn, cmd *exec.Cmd, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conn, p.cmd, p.err = conn, cmd, err
}

// Starts is how many children there have been.
func (p *Process) Starts() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.starts
}

// PID is that of the child, and 0 if none serves.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Err is why there is no child that serves, and nil if there is one.
func (p *Process) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Call asks the child. While there is none it fails at once with why. After ErrModuleLost the child is started anew, which initialises
// the module and logs in again.
func (p *Process) Call(ctx context.Context, method Method, request, response proto.Message) error {
	p.mu.Lock()
	conn, err := p.conn, p.err
	p.mu.Unlock()
	if conn == nil {
		return err
	}
	err = conn.Call(ctx, method, request, response)
	if errors.Is(err, hsm.ErrModuleLost) {
		_ = conn.Close()
	}
	return err
}
