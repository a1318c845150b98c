package client

import (
	"bytes"
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
)

// Node is one node's API, for what is done to a node and not to the cluster. Its errors are those of package hsm.
type Node struct{ api hsmpb.NodeClient }

// Node finds the node of an address, or fails with hsm.ErrInvalidArgument.
func (c *Cluster) Node(address string) (Node, error) {
	for _, n := range c.nodes {
		if n.address == address {
			return Node{n.api}, nil
		}
	}
	return Node{}, fmt.Errorf("%w: cluster %s has no node %s", hsm.ErrInvalidArgument, c.name, address)
}

// Status of the node. It answers also while the node's module is down.
func (n Node) Status(ctx context.Context) (*hsmpb.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	s, err := n.api.Status(ctx, &hsmpb.StatusRequest{})
	return s, hsmpb.FromStatus(err)
}

// Initialize the node's token as far as it is not.
func (n Node) Initialize(ctx context.Context) error {
	return n.initialize(ctx, &hsmpb.InitializeRequest{})
}

// LogIn lets a node of a shared token log in with the PIN of its file, if it is the one that is meant. It fails with hsm.ErrOtherPIN if it is not, and with
// hsm.ErrWrongPIN if the token refuses it, or did before.
func (n Node) LogIn(ctx context.Context, meant hsm.PINDigest) error {
	return n.initialize(ctx, &hsmpb.InitializeRequest{PinSalt: meant.Salt, PinDigest: meant.Digest})
}

// HasPIN tells whether the PIN of the node's file is the one that is meant. The node tries nothing. One of an earlier version cannot tell, and has it as far as is known: LogIn finds out.
func (n Node) HasPIN(ctx context.Context, meant hsm.PINDigest) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	r, err := n.api.ComparePIN(ctx, &hsmpb.ComparePINRequest{PinSalt: meant.Salt, PinDigest: meant.Digest})
	if status.Code(err) == codes.Unimplemented {
		return true, nil
	}
	return r.GetSame(), hsmpb.FromStatus(err)
}

func (n Node) initialize(ctx context.Context, request *hsmpb.InitializeRequest) error {
	ctx, cancel := context.WithTimeout(ctx, slowTimeout)
	defer cancel()
	_, err := n.api.Initialize(ctx, request)
	return hsmpb.FromStatus(err)
}

// CreateDomainKey makes the domain key of an epoch, on one node of the cluster alone; Add brings it to the others. It fails with hsm.ErrExists if
// the node has one.
func (n Node) CreateDomainKey(ctx context.Context, epoch int64) (*hsmpb.DomainKey, error) {
	ctx, cancel := context.WithTimeout(ctx, slowTimeout)
	defer cancel()
	r, err := n.api.CreateDomainKey(ctx, &hsmpb.CreateDomainKeyRequest{Epoch: epoch})
	return r.GetDomainKey(), hsmpb.FromStatus(err)
}

// Add brings all domain keys of donor to joiner, and compares key check values at the end. It can be repeated after any failure, and with a joiner
// that has some or all of them.
func (c *Cluster) Add(ctx context.Context, donor, joiner string) error {
	from, err := c.Node(donor)
	if err != nil {
		return err
	}
	to, err := c.Node(joiner)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, slowTimeout)
	defer cancel()
	join, err := to.api.Join(ctx, &hsmpb.JoinRequest{})
	if err != nil {
		return fmt.Errorf("making a transport key at %s: %w", joiner, hsmpb.FromStatus(err))
	}
	clone, err := from.api.Clone(ctx, &hsmpb.CloneRequest{TransportKey: join.GetTransportKey()})
	if err != nil {
		return fmt.Errorf("cloning the domain keys of %s: %w", donor, hsmpb.FromStatus(err))
	}
	imported, err := to.api.Import(ctx, &hsmpb.ImportRequest{DomainKeys: clone.GetDomainKeys()})
	if err != nil {
		return fmt.Errorf("importing domain keys at %s: %w", joiner, hsmpb.FromStatus(err))
	}
	return compare(clone.GetDomainKeys(), imported.GetDomainKeys())
}

// compare fails with hsm.ErrMismatch if a key that was sent is not there as it was sent.
func compare(sent []*hsmpb.WrappedDomainKey, got []*hsmpb.DomainKey) error {
	there := map[int64]*hsmpb.DomainKey{}
	for _, k := range got {
		there[k.GetEpoch()] = k
	}
	for _, s := range sent {
		want, k := s.GetDomainKey(), there[s.GetDomainKey().GetEpoch()]
		if k == nil || !bytes.Equal(k.GetKeyCheckValue(), want.GetKeyCheckValue()) || !bytes.Equal(k.GetWrappingKeyCheckValue(), want.GetWrappingKeyCheckValue()) {
			return fmt.Errorf("%w: epoch %d after it was cloned", hsm.ErrMismatch, want.GetEpoch())
		}
	}
	return nil
}
