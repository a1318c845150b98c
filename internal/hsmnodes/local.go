package hsmnodes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"strongroom.dev/strongroom/internal/loopback"
)

// Local runs nodes as processes of this machine: for make run and for tests. One manager alone may have its directory.
//
//	DIRECTORY/CLUSTER/N/softhsm2.conf, tokens/      the token
//	                   /state/                      what the node keeps
//	                   /tls.crt, tls.key, ca.crt, pin, so-pin
//	                   /port, pid, log
//
// Ports are chosen once, so that a node is where it was after the manager started anew, and again if another program has a node's port when the node starts. A
// node that a manager left behind is ended when the next one takes over its directory. Nodes end with Start's context.
type Local struct {
	// Directory that all of it is in, which is made. It must be this user's alone.
	Directory string
	// Command is the program strongroom with arguments.
	Command func(arguments ...string) *exec.Cmd
	// Libraries that nodes of other HSMs than SoftHSM may load, and for whom: see ParseLibraries.
	Libraries []Library

	mu      sync.Mutex
	running map[string]*supervised // by the node's directory
	stopped bool
}

var _ Host = (*Local)(nil)

const (
	// maximumNodes of a cluster, by the schema's limit.
	maximumNodes = 10
)

// NeedLeaderElection is true: only the leader runs nodes.
func (l *Local) NeedLeaderElection() bool { return true }

// Start ends all nodes when ctx ends. It answers nil.
func (l *Local) Start(ctx context.Context) error {
	<-ctx.Done()
	l.mu.Lock()
	l.stopped = true
	nodes := l.running
	l.running = nil
	l.mu.Unlock()
	var all sync.WaitGroup
	for _, s := range nodes {
		all.Go(s.end)
	}
	all.Wait()
	return nil
}

// Module implements Host.
func (l *Local) Module(library string) string { return module(library, l.Libraries, isOneFile) }

// Names implements Host.
func (l *Local) Names(Cluster) []string { return []string{loopback.Host} }

// Certificate implements Host: that of the first node.
func (l *Local) Certificate(_ context.Context, c Cluster) (certificate, key []byte, err error) {
	dir := l.dir(c, 0)
	certificate, err = os.ReadFile(filepath.Join(dir, "tls.crt"))
	if err == nil {
		key, err = os.ReadFile(filepath.Join(dir, "tls.key"))
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	}
	return certificate, key, err
}

func (l *Local) dir(c Cluster, number int) string {
	return filepath.Join(l.Directory, c.ID, strconv.Itoa(number))
}

// Apply implements Host.
func (l *Local) Apply(_ context.Context, c Cluster, f *Files) ([]Node, error) {
	if err := checkLibrary(c, l.Libraries); err != nil {
		return nil, err
	}
	library, _ := c.module()
	if _, err := os.Stat(library); err != nil {
		remedy := "install it on the machine that the manager runs on, or name another in spec.pkcs11.library"
		if c.SoftHSM {
			remedy = "run hack/softhsm.sh, or apt-get install -y softhsm2"
		}
		return nil, fmt.Errorf("%w: %w; %s", ErrNoLibrary, err, remedy)
	}
	var nodes []Node
	for number := range c.Size {
		n, err := l.apply(c, number, f)
		if err != nil {
			return nil, fmt.Errorf("node %d of %s: %w", number, c.ID, err)
		}
		nodes = append(nodes, n)
	}
	l.end(c, c.Size)
	return nodes, nil
}

// apply writes one node's files and lets it run. What it reads is written before it starts, and each file takes another's place at once.
func (l *Local) apply(c Cluster, number int, f *Files) (Node, error) {
	dir := l.dir(c, number)
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "tokens"), 0o700), os.MkdirAll(filepath.Join(dir, "state"), 0o700)); err != nil {
		return Node{}, err
	}
	files := map[string][]byte{
		"tls.key": f.Key, "tls.crt": f.Certificate, "ca.crt": f.Authority, "pin": f.PIN.Reveal(), "so-pin": f.SOPIN.Reveal(),
		"softhsm2.conf": []byte("directories.tokendir = " + filepath.Join(dir, "tokens") + "\nlog.level = ERROR\n"),
	}
	for name, content := range files {
		if err := replace(filepath.Join(dir, name), content); err != nil {
			return Node{}, err
		}
	}
	address, err := addressOf(dir)
	if err != nil {
		return Node{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return Node{}, errors.New("the manager is ending")
	}
	s := l.running[dir]
	if s == nil {
		officer := f.SOPIN.Len() > 0 // the files are wiped when Apply has answered
		s = supervise(dir, func() (*exec.Cmd, error) {
			address, err := freeAddressOf(dir)
			if err != nil {
				return nil, err
			}
			return l.command(c, dir, address, officer), nil
		})
		if l.running == nil {
			l.running = map[string]*supervised{}
		}
		l.running[dir] = s
	}
	return Node{Name: c.ID + "-" + strconv.Itoa(number), Address: address, Message: s.message()}, nil
}

func (l *Local) command(c Cluster, dir, address string, officer bool) *exec.Cmd {
	library, label := c.module()
	in := func(name string) string { return filepath.Join(dir, name) }
	arguments := []string{"hsm", "--cluster", c.ID, "--library", library, "--token-label", label, "--pin-file", in("pin"),
		"--state-dir", in("state"), "--tls-cert-file", in("tls.crt"), "--tls-key-file", in("tls.key"), "--tls-ca-file", in("ca.crt"),
		"--bind-address", address, "--health-probe-bind-address", "0"}
	if officer {
		arguments = append(arguments, "--so-pin-file", in("so-pin"))
	}
	if !c.SoftHSM {
		arguments = append(arguments, "--shared-token")
	}
	cmd := l.Command(arguments...)
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, "SOFTHSM2_CONF="+in("softhsm2.conf"), "GODEBUG="+c.goDebug(), "GOTRACEBACK=none")
	return cmd
}

// Allows implements Host.
func (l *Local) Allows(c Cluster) error { return checkLibrary(c, l.Libraries) }

// Stop implements Host.
func (l *Local) Stop(ctx context.Context, c Cluster) error { return l.Remove(ctx, c) }

// Remove implements Host.
func (l *Local) Remove(_ context.Context, c Cluster) error {
	l.end(c, 0)
	return nil
}

// Erase implements Host: it removes the cluster's directory.
func (l *Local) Erase(_ context.Context, c Cluster) error {
	l.end(c, 0)
	if err := os.RemoveAll(filepath.Join(l.Directory, c.ID)); err != nil {
		return fmt.Errorf("erasing the tokens of %s: %w", c.ID, err)
	}
	return nil
}

// end stops the nodes of a cluster from a number on.
func (l *Local) end(c Cluster, from int) {
	var all sync.WaitGroup
	for number := from; number < maximumNodes; number++ {
		dir := l.dir(c, number)
		l.mu.Lock()
		s := l.running[dir]
		delete(l.running, dir)
		l.mu.Unlock()
		if s != nil {
			all.Go(s.end)
		}
	}
	all.Wait()
}

// addressOf is a node's address: with the port that was chosen, or with one that is chosen now.
func addressOf(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "port"))
	if err != nil {
		return chooseAddress(dir)
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || port <= 0 || port >= 1<<16 {
		return chooseAddress(dir)
	}
	return net.JoinHostPort(loopback.Host, strconv.Itoa(port)), nil
}

// freeAddressOf is the address of a node that does not run. Between the choice of a port and a start, which may be days, any program can have taken it, also as the near
// end of a connection; then another is chosen, which the next Apply tells. Who takes it after this look is seen at the start after the one that fails.
func freeAddressOf(dir string) (string, error) {
	address, err := addressOf(dir)
	if err != nil {
		return "", err
	}
	listener, err := net.Listen("tcp", address) //nolint:noctx // it does not wait
	if err != nil {
		return chooseAddress(dir)
	}
	return address, listener.Close()
}

// chooseAddress chooses a port that is free, and writes it down.
func chooseAddress(dir string) (string, error) {
	address, err := loopback.FreeAddress()
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	return address, replace(filepath.Join(dir, "port"), []byte(port+"\n"))
}

// replace writes a file so that it is there whole, or as it was. It is left alone if it is the same.
func replace(path string, content []byte) error {
	if there, err := os.ReadFile(path); err == nil && string(there) == string(content) {
		return nil
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
