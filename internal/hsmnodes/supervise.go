package hsmnodes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// firstWait before a process that ended is started again, twice as long each time up to longestWait, and the first again after it ran for a while.
	firstWait   = 200 * time.Millisecond
	longestWait = 10 * time.Second
	// grace is how long a process may take to end before it is killed.
	grace = 12 * time.Second
	// maximumLog is the size from which a log is begun anew when the process starts, in bytes.
	maximumLog = 1 << 20
)

// supervised is a process that is started again when it ends.
type supervised struct {
	dir     string
	command func() (*exec.Cmd, error)
	cancel  context.CancelFunc
	done    chan struct{}

	mu   sync.Mutex
	last string // why it ended, empty while it runs
}

func supervise(dir string, command func() (*exec.Cmd, error)) *supervised {
	ctx, cancel := context.WithCancel(context.Background())
	s := &supervised{dir: dir, command: command, cancel: cancel, done: make(chan struct{})}
	go s.loop(ctx)
	return s
}

// message says why the process does not run, empty if it does.
func (s *supervised) message() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *supervised) say(message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = message
}

// end stops the process and waits for it.
func (s *supervised) end() { s.cancel(); <-s.done }

func (s *supervised) loop(ctx context.Context) {
	defer close(s.done)
	s.endFormer()
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		began := time.Now()
		err := s.run(ctx)
		if ctx.Err() != nil {
			return
		}
		s.say(fmt.Sprintf("its process ended and is started again: %v; %s", err, s.lastLine()))
		if time.Since(began) > time.Minute {
			wait = firstWait
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// run starts the process and waits until it ends, or ends it with ctx.
func (s *supervised) run(ctx context.Context) error {
	log, err := s.openLog()
	if err != nil {
		return err
	}
	defer log.Close()
	cmd, err := s.command()
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the manager, which ends its nodes in order
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting it: %w", err)
	}
	s.say("")
	if err := replace(s.pidFile(), []byte(strconv.Itoa(cmd.Process.Pid)+"\n")); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err = <-ended:
		case <-time.After(grace):
			_ = cmd.Process.Kill()
			err = <-ended
		}
	}
	_ = os.Remove(s.pidFile())
	return err
}

func (s *supervised) pidFile() string { return filepath.Join(s.dir, "pid") }

func (s *supervised) openLog() (*os.File, error) {
	path, flags := filepath.Join(s.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND
	if info, err := os.Stat(path); err == nil && info.Size() > maximumLog {
		flags |= os.O_TRUNC
	}
	return os.OpenFile(path, flags, 0o600)
}

// endFormer ends the process that a manager which did not end in order left behind: two would have one token and one port.
func (s *supervised) endFormer() {
	text, err := os.ReadFile(s.pidFile())
	if err != nil {
		return
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 || !s.isNode(pid) {
		return
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return
	}
	_ = process.Signal(syscall.SIGTERM)
	for deadline := time.Now().Add(grace); time.Now().Before(deadline) && s.isNode(pid); time.Sleep(50 * time.Millisecond) {
	}
	if s.isNode(pid) {
		_ = process.Kill()
	}
}

// isNode tells whether a process is the node of this directory, and not another that got its number since.
func (s *supervised) isNode(pid int) bool {
	arguments, err := exec.Command("ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output() //nolint:noctx // a number, and it does not wait
	return err == nil && bytes.Contains(arguments, []byte(filepath.Join(s.dir, "state")))
}

// lastLine is the end of the log, for people: what the program said last, in at most 200 bytes.
func (s *supervised) lastLine() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	line := lines[len(lines)-1]
	var entry struct{ Msg, Err string }
	if json.Unmarshal([]byte(line), &entry) == nil {
		line = strings.TrimSpace(entry.Msg + " " + entry.Err)
	}
	return strings.ToValidUTF8(line[:min(len(line), 200)], "")
}
