// Package client asks several HSM nodes as if they were one: it picks a node by the power of two choices, gives each attempt two seconds,
// takes nodes that fail out for half a minute, and asks another one meanwhile.
//
// Every operation on keys may be asked of another node: a key token that nobody got is nothing.
package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
)

const (
	// attemptTimeout is how long one node may take for one operation.
	attemptTimeout = 2 * time.Second
	// slowTimeout is that of operations that make keys, RSA above all.
	slowTimeout = time.Minute
	maxNodes    = 64
)

// Options are what a Cluster is made of.
type Options struct {
	// Cluster is the name that the nodes' certificates have.
	Cluster string
	// Addresses of the nodes, HOST:PORT each, 1 to 64.
	Addresses []string
	TLS       mtls.Source
	// Now is the clock, and time.Now if it is nil.
	Now func() time.Time
	// IntN answers a random number under n, and is math/rand/v2's if it is nil.
	IntN func(n int) int
}

// Cluster is a client of all nodes of an HSM cluster. It is safe for concurrent use.
type Cluster struct {
	name  string
	now   func() time.Time
	intN  func(int) int
	nodes []*node

	mu    sync.Mutex
	epoch int64 // that new keys are wrapped under; 0 before the first check, or if there is none
}

type node struct {
	address string
	conn    *grpc.ClientConn
	api     hsmpb.NodeClient

	// Of the cluster's mu.
	breaker  breaker
	inFlight int
	out      error // why the last check took it out
}

// New makes a client. It dials when it is used.
func New(o Options) (*Cluster, error) {
	if len(o.Addresses) < 1 || len(o.Addresses) > maxNodes {
		return nil, fmt.Errorf("%w: %d addresses of HSM nodes; give 1 to %d", hsm.ErrInvalidArgument, len(o.Addresses), maxNodes)
	}
	c := &Cluster{name: o.Cluster, now: o.Now, intN: o.IntN}
	if c.now == nil {
		c.now = time.Now
	}
	if c.intN == nil {
		c.intN = rand.IntN // which node is asked is no secret
	}
	for _, address := range o.Addresses {
		if slices.ContainsFunc(c.nodes, func(n *node) bool { return n.address == address }) {
			return nil, errors.Join(fmt.Errorf("%w: the address %s is given twice", hsm.ErrInvalidArgument, address), c.Close())
		}
		conn, err := grpc.NewClient("passthrough:///"+address,
			grpc.WithTransportCredentials(mtls.Client(o.Cluster, o.TLS)), grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(hsm.MaxMessage), grpc.MaxCallSendMsgSize(hsm.MaxMessage)),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second}, MinConnectTimeout: attemptTimeout}),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 5 * time.Second}))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%w: the address %q: %w", hsm.ErrInvalidArgument, address, err), c.Close())
		}
		c.nodes = append(c.nodes, &node{address: address, conn: conn, api: hsmpb.NewNodeClient(conn)})
	}
	return c, nil
}

// Close ends all connections.
func (c *Cluster) Close() error {
	var err error
	for _, n := range c.nodes {
		err = errors.Join(err, n.conn.Close())
	}
	return err
}

// Addresses are those of the nodes.
func (c *Cluster) Addresses() []string {
	var out []string
	for _, n := range c.nodes {
		out = append(out, n.address)
	}
	return out
}

// elsewhere tells whether another node may do what one could not, and faulty whether that one is to be blamed.
func elsewhere(err error) (other, faulty bool) {
	for _, e := range []error{hsm.ErrNoNodes, hsm.ErrModule, hsm.ErrWrongPIN, hsm.ErrPINLocked, hsm.ErrUninitialized, hsm.ErrNoPKCS11, context.DeadlineExceeded, hsm.ErrPermissionDenied} {
		if errors.Is(err, e) {
			return true, true
		}
	}
	return errors.Is(err, hsm.ErrUnknownEpoch) || errors.Is(err, hsm.ErrNoDomainKey), false
}

// choose picks of two random candidates the one with fewer requests in flight.
func choose(inFlight []int, intN func(int) int) int {
	if len(inFlight) == 1 {
		return 0
	}
	a := intN(len(inFlight))
	b := intN(len(inFlight) - 1)
	if b >= a {
		b++
	}
	if inFlight[b] < inFlight[a] {
		return b
	}
	return a
}

// acquire picks a node that was not tried yet, or nil if there is none.
func (c *Cluster) acquire(tried map[*node]bool) *node {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	var candidates []*node
	var inFlight []int
	for _, n := range c.nodes {
		if !tried[n] && n.out == nil && n.breaker.allows(now) {
			candidates, inFlight = append(candidates, n), append(inFlight, n.inFlight)
		}
	}
	if len(candidates) == 0 {
		return nil
	}
	n := candidates[choose(inFlight, c.intN)]
	n.inFlight++
	n.breaker = n.breaker.begin(now)
	return n
}

func (c *Cluster) release(n *node, failed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n.inFlight--
	n.breaker = n.breaker.end(c.now(), failed)
}

// do asks nodes until one answers. An error that another node would answer too comes back as it is; if no node is left it is
// ErrNoNodes, with what the nodes said.
func (c *Cluster) do(ctx context.Context, timeout time.Duration, ask func(context.Context, hsmpb.NodeClient) error) error {
	tried := map[*node]bool{}
	var failures []error
	for {
		n := c.acquire(tried)
		if n == nil {
			return c.exhausted(failures)
		}
		tried[n] = true
		attempt, cancel := context.WithTimeout(ctx, timeout)
		err := hsmpb.FromStatus(ask(attempt, n.api))
		cancel()
		other, faulty := elsewhere(err)
		gone := ctx.Err() != nil // then the node is not to be blamed
		c.release(n, faulty && !gone)
		if err == nil {
			return nil
		}
		if gone {
			return fmt.Errorf("asking the HSM node %s: %w", n.address, ctx.Err())
		}
		err = fmt.Errorf("node %s: %w", n.address, err)
		if !other {
			return err
		}
		failures = append(failures, err)
	}
}

func (c *Cluster) exhausted(failures []error) error {
	if len(failures) > 0 {
		if last := failures[len(failures)-1]; !slices.ContainsFunc(failures, func(err error) bool { _, faulty := elsewhere(err); return faulty }) {
			return last // they all say that they lack an epoch
		}
		return fmt.Errorf("%w of cluster %s: %w", hsm.ErrNoNodes, c.name, errors.Join(failures...))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.nodes {
		if n.out != nil {
			failures = append(failures, fmt.Errorf("node %s: %w", n.address, n.out))
		} else {
			failures = append(failures, fmt.Errorf("node %s failed %d times and is tried again within %s", n.address, ejectAfter, halfOpenAfter))
		}
	}
	return fmt.Errorf("%w of cluster %s: %w", hsm.ErrNoNodes, c.name, errors.Join(failures...))
}
