package node

import (
	"context"
	"errors"
	"fmt"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/child"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
)

// openShared takes a shared token as it is: it must be there, with a user PIN. What it answers, users of the HSMCluster are told, so it names no tokens of others: the log does. The node logs in when it is told to. That also holds for a module that was
// started anew: what all nodes of a token lose at once, such as the connection to it, they would otherwise all try an old PIN after.
func (n *Node) openShared(opened *hsmpb.OpenResponse) error {
	token := opened.GetToken()
	switch {
	case !token.GetInitialized():
		n.Logger.Warn("the library has no initialised token with that label", "label", n.TokenLabel, "labels", known(opened.GetTokenLabels()))
		return fmt.Errorf("%w: the library has no token with the label %q; set spec.pkcs11.tokenLabel of another HSMCluster, or --token-label, to one that it has, or make one by the vendor's tools",
			hsm.ErrUninitialized, n.TokenLabel)
	case !token.GetUserPinInitialized():
		return fmt.Errorf("%w: the token %q has no user PIN: set one by the vendor's tools", hsm.ErrUninitialized, n.TokenLabel)
	}
	n.set(opened.GetModule(), loggedOut)
	n.Logger.Info("waiting to be told to log in", "label", n.TokenLabel)
	return nil
}

// known are labels for the log of the node, which its operators read: as many as fit.
func known(labels []string) []string { return labels[:min(len(labels), 64)] }

// whyOut is why the node is not logged in.
func (n *Node) whyOut() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.out != nil {
		return n.out
	}
	return hsm.ErrLoggedOut
}

// ComparePIN is hsmpb.NodeServer's.
func (n *Node) ComparePIN(_ context.Context, r *hsmpb.ComparePINRequest) (*hsmpb.ComparePINResponse, error) {
	meant := hsm.PINDigest{Salt: r.GetPinSalt(), Digest: r.GetPinDigest()}
	if !meant.Valid() {
		return nil, fmt.Errorf("%w: give the salted digest of a PIN", hsm.ErrInvalidArgument)
	}
	pin, err := n.PIN()
	if err != nil { // it is not there yet, as far as the caller is concerned
		return &hsmpb.ComparePINResponse{}, nil
	}
	defer pin.Wipe()
	same, err := meant.Is(pin)
	return &hsmpb.ComparePINResponse{Same: same}, err
}

// logInShared tries the PIN that meant is of, and no other: a file that is older or newer than what the caller knows of is not what it decided about. The node's own
// guard is asked besides.
func (n *Node) logInShared(ctx context.Context, meant hsm.PINDigest) error {
	if !meant.Valid() {
		return fmt.Errorf("%w: a node of a shared token is told which PIN to log in with", hsm.ErrInvalidArgument)
	}
	pin, err := n.PIN()
	if err != nil {
		return fmt.Errorf("%w: %w", hsm.ErrOtherPIN, err)
	}
	defer pin.Wipe()
	same, err := meant.Is(pin)
	if err != nil {
		return err
	}
	if !same {
		return fmt.Errorf("%w: its files are older or newer; it was not tried", hsm.ErrOtherPIN)
	}
	var state hsmpb.TokenState
	if err := n.process.Call(ctx, child.TokenState, &hsmpb.TokenStateRequest{}, &state); err != nil {
		return err
	}
	err = n.logInWith(ctx, n.process.Call, &state, pin)
	if errors.Is(err, hsm.ErrWrongPIN) || errors.Is(err, hsm.ErrPINLocked) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.out = err
	}
	return err
}
