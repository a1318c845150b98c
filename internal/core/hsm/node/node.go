// Package node is an HSM node: one token in a child process, served over gRPC to whoever has a certificate of its cluster.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/child"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// Options are what a node is made of.
type Options struct {
	// Cluster is the name of the HSM cluster, which certificates must have.
	Cluster string
	// Library is the path of the PKCS#11 library, and TokenLabel the label of the token, at most 32 bytes.
	Library, TokenLabel string
	// OAEPHash is SHA_1 or SHA_256, the same for all nodes of a cluster.
	OAEPHash string
	// Sessions is how many operations the module works on at once, 1 to 64.
	Sessions int
	// MaxCachedKeys is how many keys of tokens stay unwrapped in the module.
	MaxCachedKeys int
	// PIN is the user's, and SOPIN the security officer's, or nil if the node is not to initialise and clone.
	PIN, SOPIN PIN
	// SharedToken is of a node that has its token together with others, and which is set up by the vendor's tools: it logs in when Initialize is called, and never by
	// itself, so that who calls it can let nodes try a PIN one after the other.
	SharedToken bool
	// StateDir keeps which PINs were refused. It must outlive the node.
	StateDir string
	TLS      mtls.Source
	// Command makes the command of the child process.
	Command func() *exec.Cmd
	Logger  *slog.Logger
}

func (o Options) check() error {
	switch {
	case o.Cluster == "":
		return fmt.Errorf("%w: the cluster has no name", hsm.ErrInvalidArgument)
	case o.Library == "":
		return fmt.Errorf("%w: there is no library", hsm.ErrInvalidArgument)
	case o.TokenLabel == "" || len(o.TokenLabel) > 32:
		return fmt.Errorf("%w: a token label of %d bytes; give 1 to 32", hsm.ErrInvalidArgument, len(o.TokenLabel))
	case o.OAEPHash != "SHA_1" && o.OAEPHash != "SHA_256":
		return fmt.Errorf("%w: the hash %q for OAEP; give SHA_1 or SHA_256", hsm.ErrInvalidArgument, o.OAEPHash)
	case o.Sessions < 1 || o.Sessions > 64:
		return fmt.Errorf("%w: %d sessions; give 1 to 64", hsm.ErrInvalidArgument, o.Sessions)
	case o.MaxCachedKeys < 1 || o.MaxCachedKeys > 65536:
		return fmt.Errorf("%w: %d cached keys; give 1 to 65536", hsm.ErrInvalidArgument, o.MaxCachedKeys)
	case o.PIN == nil:
		return fmt.Errorf("%w: there is no PIN", hsm.ErrInvalidArgument)
	}
	return o.checkStateDir()
}

func (o Options) checkStateDir() error {
	if info, err := os.Stat(o.StateDir); err != nil || !info.IsDir() {
		return fmt.Errorf("%w: the state directory %q is not there", hsm.ErrInvalidArgument, o.StateDir)
	}
	return nil
}

// Node is safe for concurrent use.
type Node struct {
	hsmpb.UnimplementedNodeServer
	Options
	process             *child.Process
	userPIN, officerPIN guard

	login sync.Mutex // held while a PIN is tried or the token initialised

	mu     sync.Mutex
	module *hsmpb.ModuleInfo
	token  tokenState
	// out is why a node of a shared token is not logged in.
	out error
}

// tokenState is how far the token of the child that serves is.
type tokenState int

const (
	unknown tokenState = iota
	uninitialized
	loggedOut // of a shared token
	loggedIn
)

// New makes a node. Run starts it.
func New(options Options) (*Node, error) {
	if err := options.check(); err != nil {
		return nil, err
	}
	n := &Node{Options: options}
	n.userPIN = newGuard(options.StateDir, "user PIN", "user-pin-attempt.json")
	n.officerPIN = newGuard(options.StateDir, "security officer's PIN", "so-pin-attempt.json")
	n.process = child.New(child.Config{Command: options.Command, Started: n.started, Logger: options.Logger})
	return n, nil
}

// Run keeps the child process running until ctx ends.
func (n *Node) Run(ctx context.Context) { n.process.Run(ctx) }

// ChildPID is the process that has loaded the module, and 0 if none serves.
func (n *Node) ChildPID() int { return n.process.PID() }

// started opens the module in a new child, and logs in if the token is initialised.
func (n *Node) started(ctx context.Context, conn *child.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	n.login.Lock()
	defer n.login.Unlock()
	n.set(nil, unknown)
	var opened hsmpb.OpenResponse
	err := conn.Call(ctx, child.Open, &hsmpb.OpenRequest{
		Library: n.Library, TokenLabel: n.TokenLabel, OaepHash: n.OAEPHash, Sessions: int32(n.Sessions), MaxCachedKeys: int32(n.MaxCachedKeys),
	}, &opened)
	if err != nil {
		return err
	}
	if n.SharedToken {
		return n.openShared(&opened)
	}
	n.set(opened.GetModule(), uninitialized)
	if !opened.GetToken().GetUserPinInitialized() {
		n.Logger.Info("the token is not initialised", "label", n.TokenLabel)
		return nil
	}
	return n.logIn(ctx, conn.Call, opened.GetToken())
}

// call is child.Conn.Call or child.Process.Call.
type call = func(context.Context, child.Method, message, message) error

// logIn tries the user's PIN if it may.
func (n *Node) logIn(ctx context.Context, call call, state *hsmpb.TokenState) error {
	pin, err := n.PIN()
	if err != nil {
		return fmt.Errorf("%w: %w", hsm.ErrWrongPIN, err)
	}
	defer pin.Wipe()
	return n.logInWith(ctx, call, state, pin)
}

func (n *Node) logInWith(ctx context.Context, call call, state *hsmpb.TokenState, pin secretbytes.Bytes) error {
	err := n.userPIN.try(pin, userFlags(state), func() error {
		return call(ctx, child.Login, &hsmpb.LoginRequest{Pin: pin.Reveal()}, &hsmpb.LoginResponse{})
	})
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.token, n.out = loggedIn, nil
	n.Logger.Info("logged in", "label", n.TokenLabel)
	return nil
}

func userFlags(s *hsmpb.TokenState) flags {
	return flags{s.GetUserPinCountLow(), s.GetUserPinFinalTry(), s.GetUserPinLocked()}
}

func soFlags(s *hsmpb.TokenState) flags {
	return flags{s.GetSoPinCountLow(), s.GetSoPinFinalTry(), s.GetSoPinLocked()}
}

func (n *Node) set(module *hsmpb.ModuleInfo, token tokenState) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.module, n.token, n.out = module, token, nil
}

func (n *Node) get() (*hsmpb.ModuleInfo, tokenState) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.module, n.token
}

// pins reads both PINs, and what the token tells of them. The caller wipes them.
func (n *Node) pins(ctx context.Context) (soPIN, pin secretbytes.Bytes, state *hsmpb.TokenState, err error) {
	if n.SOPIN == nil {
		return soPIN, pin, nil, fmt.Errorf("%w: give it --so-pin-file", hsm.ErrNoSecurityOfficer)
	}
	state = &hsmpb.TokenState{}
	if err := n.process.Call(ctx, child.TokenState, &hsmpb.TokenStateRequest{}, state); err != nil {
		return soPIN, pin, nil, err
	}
	if soPIN, err = n.SOPIN(); err != nil {
		return soPIN, pin, nil, fmt.Errorf("%w: %w", hsm.ErrNoSecurityOfficer, err)
	}
	if pin, err = n.PIN(); err != nil {
		soPIN.Wipe()
		return soPIN, pin, nil, fmt.Errorf("%w: %w", hsm.ErrWrongPIN, err)
	}
	return soPIN, pin, state, nil
}

// Ready is nil if the node serves: the token is there and has a domain key.
func (n *Node) Ready(ctx context.Context) error {
	s, err := n.Status(ctx, &hsmpb.StatusRequest{})
	if err != nil {
		return err
	}
	if s.GetState() != hsmpb.State_STATE_ACTIVE {
		return errors.New(s.GetState().String() + " " + s.GetReason() + " " + s.GetMessage())
	}
	return nil
}
