package hsmcluster

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/hsm"
	hsmclient "strongroom.dev/strongroom/internal/core/hsm/client"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/fault"
)

var (
	errLost    = errors.New("no node holds the domain key of this cluster")
	errForeign = errors.New("a node holds another domain key than this cluster's")
)

// node is what the decision about domain keys knows of one.
type node struct {
	state hsmpb.State
	// keys that it holds, by epoch.
	keys []v1alpha1.HSMDomainKey
}

// action is what to do next to bring domain keys to all nodes. At most one of its fields is set.
type action struct {
	// create in the first node.
	create bool
	// donor and joiners are numbers of nodes; there are none if joiners is empty.
	donor   int
	joiners []int
	err     error
}

// decideDomainKeys is the decision about domain keys. A domain key is made only if the cluster never had one and all nodes answer that they have none: a
// node that does not answer may have it.
func decideDomainKeys(recorded []v1alpha1.HSMDomainKey, nodes []node) action {
	donor, most := -1, 0
	for i, n := range nodes {
		if err := checkForeign(recorded, i, n); err != nil {
			return action{err: err}
		}
		if n.state == hsmpb.State_STATE_ACTIVE && len(n.keys) > most {
			donor, most = i, len(n.keys)
		}
	}
	all := !slices.ContainsFunc(nodes, func(n node) bool { return n.state != hsmpb.State_STATE_INITIALIZED })
	switch {
	case donor < 0 && len(recorded) == 0 && all:
		return action{create: true}
	case donor < 0 && all:
		return action{err: fault.Stalled(v1alpha1.ReasonDomainKeyLost, fmt.Errorf("%w (epoch %d, key check value %s): bring back the volume of a node that had it; without it, nothing that was made under it opens",
			errLost, recorded[len(recorded)-1].Epoch, recorded[len(recorded)-1].KeyCheckValue))}
	case donor < 0:
		return action{} // those that may have it do not answer
	}
	return action{donor: donor, joiners: lacking(nodes, most)}
}

// lacking are the nodes that answer and do not have as many domain keys as there are.
func lacking(nodes []node, most int) (joiners []int) {
	for i, n := range nodes {
		if n.state == hsmpb.State_STATE_INITIALIZED || n.state == hsmpb.State_STATE_ACTIVE && len(n.keys) < most {
			joiners = append(joiners, i)
		}
	}
	return joiners
}

// checkForeign fails if a node holds another domain key than the cluster's.
func checkForeign(recorded []v1alpha1.HSMDomainKey, number int, n node) error {
	for _, k := range n.keys {
		if foreign(recorded, k) {
			return fault.Stalled(v1alpha1.ReasonDomainKeyMismatch, fmt.Errorf("%w: node %d, epoch %d: key check value %s; put the right token in its place, or an empty one, which gets the cluster's",
				errForeign, number, k.Epoch, k.KeyCheckValue))
		}
	}
	return nil
}

// foreign tells whether a key is another than the recorded one of its epoch.
func foreign(recorded []v1alpha1.HSMDomainKey, key v1alpha1.HSMDomainKey) bool {
	return slices.ContainsFunc(recorded, func(k v1alpha1.HSMDomainKey) bool { return k.Epoch == key.Epoch && k != key })
}

// initialise initialises empty tokens, makes the domain key in the first node of a new cluster, and clones it to the others. Each step finds what an earlier pass did.
func (r *Reconciler) initialise(ctx context.Context, p *pass) error {
	h, err := r.initialiseTokens(ctx, p)
	if err != nil {
		return err
	}
	todo := onlyFormer(p.wraps, decideDomainKeys(p.cluster.Status.DomainKeys, nodesIn(h)))
	switch {
	case todo.err != nil:
		p.health = h
		return todo.err
	case todo.create:
		first, err := p.client.Node(p.nodes[0].Address)
		if err != nil {
			return err
		}
		if _, err := first.CreateDomainKey(ctx, 1); err != nil {
			p.health = h
			return fmt.Errorf("making the domain key in node %s: %w", p.nodes[0].Name, err)
		}
		p.created = true
		after := p.client.Check(ctx) // nodes of a shared token have it now
		if todo = decideDomainKeys(p.cluster.Status.DomainKeys, nodesIn(&after)); todo.err != nil {
			p.health = &after
			return todo.err
		}
	}
	var failed error
	for _, joiner := range todo.joiners {
		if err := p.client.Add(ctx, p.nodes[todo.donor].Address, p.nodes[joiner].Address); err != nil {
			failed = errors.Join(failed, fmt.Errorf("bringing the domain keys to node %s: %w", p.nodes[joiner].Name, err))
		}
	}
	if failed != nil { // the others serve meanwhile; health says what is so
		return errors.Join(r.health(ctx, p), failed)
	}
	return nil
}

// initialiseTokens answers what nodes say after it initialised those that are empty.
func (r *Reconciler) initialiseTokens(ctx context.Context, p *pass) (*hsmclient.Health, error) {
	h := p.client.Check(ctx)
	again := false
	if p.cluster.Spec.PKCS11 != nil {
		return r.logIn(ctx, p, &h)
	}
	for i, n := range h.Nodes {
		if n.Status.GetState() != hsmpb.State_STATE_UNINITIALIZED {
			continue
		}
		api, err := p.client.Node(n.Address)
		if err != nil {
			return nil, err
		}
		if err := api.Initialize(ctx); err != nil {
			p.health = &h
			return nil, fmt.Errorf("initialising the token of node %s: %w", p.nodes[i].Name, err)
		}
		again = true
	}
	if again {
		h = p.client.Check(ctx)
	}
	return &h, nil
}

func nodesIn(h *hsmclient.Health) []node {
	var out []node
	for _, n := range h.Nodes {
		out = append(out, node{n.Status.GetState(), domainKeys(n.Status)})
	}
	return out
}

func domainKeys(s *hsmpb.StatusResponse) []v1alpha1.HSMDomainKey {
	var out []v1alpha1.HSMDomainKey
	for _, k := range s.GetDomainKeys() {
		out = append(out, v1alpha1.HSMDomainKey{
			Epoch: k.GetEpoch(), KeyCheckValue: hex.EncodeToString(k.GetKeyCheckValue()), WrappingKeyCheckValue: hex.EncodeToString(k.GetWrappingKeyCheckValue()),
		})
	}
	return out
}

// health asks all nodes, records the domain keys that they have, and fails unless all serve.
//
// Crash-safe: the record comes before status, which lets KMSKeys use the cluster.
func (r *Reconciler) health(ctx context.Context, p *pass) error {
	h := p.client.Check(ctx)
	p.health = &h
	status := &p.cluster.Status
	var most []v1alpha1.HSMDomainKey
	for _, n := range h.Nodes {
		if n.Err == nil && h.Epoch != 0 && len(n.Status.GetDomainKeys()) > len(most) {
			most = domainKeys(n.Status)
		}
	}
	if len(most) > len(status.DomainKeys) {
		status.DomainKeys = most
	}
	if len(status.DomainKeys) > len(p.credentials.DomainKeys) {
		if err := r.Clusters.RecordDomainKeys(ctx, status.ClusterID, status.DomainKeys); err != nil {
			return err
		}
	}
	return unhealthy(p)
}

// unhealthy is the fault of a cluster whose nodes do not all serve.
func unhealthy(p *pass) error {
	if errors.Is(p.health.Err, hsm.ErrMismatch) {
		return fault.Stalled(v1alpha1.ReasonDomainKeyMismatch, p.health.Err)
	}
	var out []string
	for _, n := range nodesOf(p) {
		if n.State != v1alpha1.HSMActive {
			out = append(out, n.Name+": "+n.Message)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return fault.Waiting(v1alpha1.ReasonNodesUnavailable, fmt.Errorf("%d of %d nodes do not serve: %s", len(out), len(p.nodes), strings.Join(out, "; ")))
}
