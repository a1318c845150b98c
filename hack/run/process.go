package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// grace is how long a process may take to end before it is killed.
const grace = 10 * time.Second

// group is processes that live and die together.
type group struct {
	logs      string
	failed    chan error
	stopping  atomic.Bool
	mu        sync.Mutex
	processes []*process
}

type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

func newGroup(logs string) *group { return &group{logs: logs, failed: make(chan error, 16)} }

// start runs a program with its output in a log file. If it ends by itself, failed says so.
func (g *group) start(name, path string, args ...string) error {
	log := filepath.Join(g.logs, name+".log")
	out, err := os.Create(log)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = out, out
	// Its own process group, so that Ctrl-C reaches this program alone, which stops them in order; and it must not
	// outlive this program however that ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, log: log, done: make(chan struct{})}
	g.mu.Lock()
	g.processes = append(g.processes, p)
	g.mu.Unlock()
	go func() {
		err := cmd.Wait()
		close(p.done)
		if !g.stopping.Load() {
			g.failed <- fmt.Errorf("%s ended: %w; the end of %s:\n%s", name, endOf(err), log, tail(log))
		}
	}()
	return nil
}

func endOf(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// stop ends the processes, the last one first: a kube-apiserver without its etcd takes minutes to end.
func (g *group) stop() {
	g.stopping.Store(true)
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := len(g.processes) - 1; i >= 0; i-- {
		p := g.processes[i]
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(grace):
			say("%s does not end; killing it", p.name)
			_ = p.cmd.Process.Kill()
			<-p.done
		}
	}
}

// tail is the last 20 lines of a file.
func tail(path string) []byte {
	b, _ := os.ReadFile(path)
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-20):], []byte("\n"))
}
