package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
)

// NodeHealth is what a check found of a node.
type NodeHealth struct {
	Address string
	// Status is what the node says, nil if it does not answer.
	Status *hsmpb.StatusResponse
	// Err is why it is not asked, nil if it is.
	Err error
}

// Health is what a check found.
type Health struct {
	Nodes []NodeHealth
	// Epoch is the newest that all healthy nodes hold, which new keys are wrapped under. 0 if there is none.
	Epoch int64
	// Err is nil if at least one node is healthy and no two nodes contradict each other.
	Err error
}

// Healthy counts the nodes that are asked.
func (h Health) Healthy() int {
	count := 0
	for _, n := range h.Nodes {
		if n.Err == nil {
			count++
		}
	}
	return count
}

// Check asks every node for its status, compares key check values, and lets what one node wrapped be unwrapped by the next. Nodes that fail
// it are not asked before a later check finds them well. If ctx ends meanwhile, Err is that, and nothing changes. Call it every few seconds; it does
// not do so by itself.
func (c *Cluster) Check(ctx context.Context) Health {
	h := Health{Nodes: c.statuses(ctx)}
	disagree(h.Nodes)
	h.Epoch = commonEpoch(h.Nodes)
	if h.Epoch != 0 {
		c.canary(ctx, h)
	}
	for _, n := range h.Nodes {
		if errors.Is(n.Err, hsm.ErrMismatch) {
			h.Err = errors.Join(h.Err, fmt.Errorf("node %s: %w", n.Address, n.Err))
		}
	}
	if h.Healthy() == 0 {
		h.Err = fmt.Errorf("%w of cluster %s", hsm.ErrNoNodes, c.name)
		for _, n := range h.Nodes {
			h.Err = fmt.Errorf("%w; node %s: %w", h.Err, n.Address, n.Err)
		}
	}
	if ctx.Err() != nil { // what nodes did not answer in time to a caller that went says nothing of them
		h.Err = fmt.Errorf("checking cluster %s: %w", c.name, ctx.Err())
		return h
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch = h.Epoch
	for i, n := range c.nodes {
		n.out = h.Nodes[i].Err
		if n.out == nil {
			n.breaker = breaker{} // it just worked
		}
	}
	return h
}

func (c *Cluster) statuses(ctx context.Context) []NodeHealth {
	out := make([]NodeHealth, len(c.nodes))
	var all sync.WaitGroup
	for i, n := range c.nodes {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
			defer cancel()
			status, err := n.api.Status(ctx, &hsmpb.StatusRequest{})
			if err != nil {
				status, err = nil, hsmpb.FromStatus(err)
			}
			out[i] = NodeHealth{Address: n.address, Status: status, Err: err}
			if err == nil {
				out[i].Err = stateErr(status)
			}
		})
	}
	all.Wait()
	return out
}

// stateErr is why a node that answers cannot be asked.
func stateErr(s *hsmpb.StatusResponse) error {
	switch s.GetState() {
	case hsmpb.State_STATE_ACTIVE:
		return nil
	case hsmpb.State_STATE_UNINITIALIZED:
		if s.GetReason() != "" {
			return hsm.FromReason(s.GetReason(), s.GetMessage())
		}
		return hsm.ErrUninitialized
	case hsmpb.State_STATE_INITIALIZED:
		return hsm.ErrNoDomainKey
	default:
		return hsm.FromReason(s.GetReason(), s.GetMessage())
	}
}

// disagree marks healthy nodes whose key of an epoch is another than that of most. Where there is no most, all who hold that epoch are marked:
// nobody can tell who is right, and a key wrapped by the wrong one would open nowhere else.
func disagree(nodes []NodeHealth) {
	votes := map[int64]map[string]int{}
	for _, n := range nodes {
		if n.Err != nil {
			continue
		}
		for _, k := range n.Status.GetDomainKeys() {
			if votes[k.GetEpoch()] == nil {
				votes[k.GetEpoch()] = map[string]int{}
			}
			votes[k.GetEpoch()][checkValues(k)]++
		}
	}
	for i, n := range nodes {
		if n.Err != nil {
			continue
		}
		for _, k := range n.Status.GetDomainKeys() {
			all, mine := 0, votes[k.GetEpoch()][checkValues(k)]
			for _, count := range votes[k.GetEpoch()] {
				all += count
			}
			if 2*mine <= all {
				nodes[i].Err = fmt.Errorf("%w: its key of epoch %d is %x, and other nodes hold another; set the node up anew, or the others", hsm.ErrMismatch, k.GetEpoch(), k.GetKeyCheckValue())
			}
		}
	}
}

func checkValues(k *hsmpb.DomainKey) string {
	return string(k.GetKeyCheckValue()) + "/" + string(k.GetWrappingKeyCheckValue())
}

// commonEpoch is the newest epoch that all healthy nodes hold, so that what is wrapped under it can be unwrapped everywhere.
func commonEpoch(nodes []NodeHealth) int64 {
	healthy, holders := 0, map[int64]int{}
	for _, n := range nodes {
		if n.Err != nil {
			continue
		}
		healthy++
		for _, k := range n.Status.GetDomainKeys() {
			holders[k.GetEpoch()]++
		}
	}
	newest := int64(0)
	for epoch, count := range holders {
		if count == healthy {
			newest = max(newest, epoch)
		}
	}
	return newest
}

// canary lets each healthy node wrap a random key and the next one unwrap it, and marks those that fail.
func (c *Cluster) canary(ctx context.Context, h Health) {
	var healthy []int
	for i, n := range h.Nodes {
		if n.Err == nil {
			healthy = append(healthy, i)
		}
	}
	failed := map[*node]error{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for i, from := range healthy {
		to := healthy[(i+1)%len(healthy)]
		all.Go(func() {
			who, err := c.probe(ctx, c.nodes[from], c.nodes[to], h.Epoch)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[who] = err
			}
		})
	}
	all.Wait()
	for _, at := range healthy {
		h.Nodes[at].Err = failed[c.nodes[at]]
	}
}

// probe wraps at one node and unwraps at another, and answers which of the two failed. Both hold keys of the same check values, so if the one that
// wrapped opens it itself, the other is to be blamed for not doing so.
func (c *Cluster) probe(ctx context.Context, from, to *node, epoch int64) (*node, error) {
	key := make([]byte, hsm.KeySize)
	_, _ = rand.Read(key) // it never fails
	aad := []byte("strongroom/canary")
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	wrapped, err := from.api.Wrap(attempt, &hsmpb.WrapRequest{Key: key, Aad: aad, Epoch: epoch})
	if err != nil {
		return from, fmt.Errorf("its canary: %w", hsmpb.FromStatus(err))
	}
	opens := func(n *node) error {
		ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
		defer cancel()
		got, err := n.api.Unwrap(ctx, &hsmpb.UnwrapRequest{Wrapped: wrapped.GetWrapped(), Aad: aad})
		if err == nil && string(got.GetKey()) != string(key) {
			err = hsm.ErrInvalidCiphertext
		}
		return hsmpb.FromStatus(err)
	}
	err = opens(to)
	if err == nil {
		return nil, nil
	}
	if !errors.Is(err, hsm.ErrInvalidCiphertext) {
		return to, fmt.Errorf("a canary of %s: %w", from.address, err)
	}
	if opens(from) == nil {
		return to, fmt.Errorf("%w: it does not open the canary of %s, which that one opens itself", hsm.ErrModule, from.address)
	}
	return from, fmt.Errorf("%w: its canary opens neither at %s nor at itself", hsm.ErrModule, to.address)
}
