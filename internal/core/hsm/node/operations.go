package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/child"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
)

type message = proto.Message

// Status answers whatever happens, within two seconds.
func (n *Node) Status(ctx context.Context, _ *hsmpb.StatusRequest) (*hsmpb.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	module, token := n.get()
	s := &hsmpb.StatusResponse{TokenLabel: n.TokenLabel, CanClone: n.SOPIN != nil, ModuleStarts: n.process.Starts(), Module: module}
	var info hsmpb.InfoResponse
	err := n.process.Err()
	if err == nil {
		err = n.process.Call(ctx, child.Info, &hsmpb.InfoRequest{}, &info)
	}
	s.Capacity, s.DomainKeys = info.GetCapacity(), info.GetDomainKeys()
	s.State = stateOf(err, token, len(s.GetDomainKeys()), s.GetModuleStarts())
	if err == nil && token == loggedOut {
		err = n.whyOut()
	}
	if err != nil {
		s.Reason, s.Message = hsm.Reason(err), err.Error()
	}
	return s, nil
}

func stateOf(err error, token tokenState, domainKeys int, starts int64) hsmpb.State {
	switch {
	case err != nil && starts == 0:
		return hsmpb.State_STATE_STARTING
	case err != nil:
		return hsmpb.State_STATE_DEGRADED
	case token != loggedIn:
		return hsmpb.State_STATE_UNINITIALIZED
	case domainKeys == 0:
		return hsmpb.State_STATE_INITIALIZED
	default:
		return hsmpb.State_STATE_ACTIVE
	}
}

// forward asks the child as it is.
func forward[R, A proto.Message](ctx context.Context, n *Node, method child.Method, request R, answer A) (A, error) {
	return answer, n.process.Call(ctx, method, request, answer)
}

// Random is hsmpb.NodeServer's.
func (n *Node) Random(ctx context.Context, r *hsmpb.RandomRequest) (*hsmpb.RandomResponse, error) {
	return forward(ctx, n, child.Random, r, &hsmpb.RandomResponse{})
}

// Wrap is hsmpb.NodeServer's.
func (n *Node) Wrap(ctx context.Context, r *hsmpb.WrapRequest) (*hsmpb.WrapResponse, error) {
	defer clear(r.GetKey())
	return forward(ctx, n, child.Wrap, r, &hsmpb.WrapResponse{})
}

// Unwrap is hsmpb.NodeServer's.
func (n *Node) Unwrap(ctx context.Context, r *hsmpb.UnwrapRequest) (*hsmpb.UnwrapResponse, error) {
	return forward(ctx, n, child.Unwrap, r, &hsmpb.UnwrapResponse{})
}

// GenerateKey is hsmpb.NodeServer's.
func (n *Node) GenerateKey(ctx context.Context, r *hsmpb.GenerateKeyRequest) (*hsmpb.GenerateKeyResponse, error) {
	return forward(ctx, n, child.GenerateKey, r, &hsmpb.GenerateKeyResponse{})
}

// Encrypt is hsmpb.NodeServer's.
func (n *Node) Encrypt(ctx context.Context, r *hsmpb.EncryptRequest) (*hsmpb.EncryptResponse, error) {
	defer clear(r.GetPlaintext())
	return forward(ctx, n, child.Encrypt, r, &hsmpb.EncryptResponse{})
}

// Decrypt is hsmpb.NodeServer's.
func (n *Node) Decrypt(ctx context.Context, r *hsmpb.DecryptRequest) (*hsmpb.DecryptResponse, error) {
	return forward(ctx, n, child.Decrypt, r, &hsmpb.DecryptResponse{})
}

// Sign is hsmpb.NodeServer's.
func (n *Node) Sign(ctx context.Context, r *hsmpb.SignRequest) (*hsmpb.SignResponse, error) {
	return forward(ctx, n, child.Sign, r, &hsmpb.SignResponse{})
}

// Initialize initialises the token as far as it is not, and logs in. It can be repeated after any crash.
func (n *Node) Initialize(ctx context.Context, r *hsmpb.InitializeRequest) (*hsmpb.InitializeResponse, error) {
	n.login.Lock()
	defer n.login.Unlock()
	if err := n.process.Err(); err != nil {
		return nil, err
	}
	if _, token := n.get(); token == loggedIn {
		return &hsmpb.InitializeResponse{}, nil
	}
	if n.SharedToken {
		return &hsmpb.InitializeResponse{}, n.logInShared(ctx, hsm.PINDigest{Salt: r.GetPinSalt(), Digest: r.GetPinDigest()})
	}
	soPIN, pin, state, err := n.pins(ctx)
	if err != nil {
		return nil, fmt.Errorf("initialising the token: %w", err)
	}
	defer soPIN.Wipe()
	defer pin.Wipe()
	err = n.officerPIN.try(soPIN, soFlags(state), func() error {
		request := &hsmpb.InitializeTokenRequest{SoPin: soPIN.Reveal(), Pin: pin.Reveal()}
		return n.process.Call(ctx, child.InitializeToken, request, &hsmpb.InitializeTokenResponse{})
	})
	if err != nil {
		return nil, fmt.Errorf("initialising the token: %w", err)
	}
	if err := n.process.Call(ctx, child.TokenState, &hsmpb.TokenStateRequest{}, state); err != nil {
		return nil, err
	}
	if err := n.logIn(ctx, n.process.Call, state); err != nil {
		return nil, err
	}
	n.Logger.Info("the token was initialised", "label", n.TokenLabel)
	return &hsmpb.InitializeResponse{}, nil
}

// CreateDomainKey is hsmpb.NodeServer's.
func (n *Node) CreateDomainKey(ctx context.Context, r *hsmpb.CreateDomainKeyRequest) (*hsmpb.CreateDomainKeyResponse, error) {
	return forward(ctx, n, child.CreateDomainKey, r, &hsmpb.CreateDomainKeyResponse{})
}

// Join is hsmpb.NodeServer's.
func (n *Node) Join(ctx context.Context, r *hsmpb.JoinRequest) (*hsmpb.JoinResponse, error) {
	return forward(ctx, n, child.Join, r, &hsmpb.JoinResponse{})
}

// Clone is hsmpb.NodeServer's. The user logs in again after the officer, with the PIN of the moment, which may be another than the one that it
// logged in with: both are guarded.
func (n *Node) Clone(ctx context.Context, r *hsmpb.CloneRequest) (*hsmpb.CloneResponse, error) {
	n.login.Lock()
	defer n.login.Unlock()
	soPIN, pin, state, err := n.pins(ctx)
	if err != nil {
		return nil, err
	}
	defer soPIN.Wipe()
	defer pin.Wipe()
	answer, failed := &hsmpb.CloneResponse{}, error(nil)
	err = n.userPIN.try(pin, userFlags(state), func() error {
		failed = n.officerPIN.try(soPIN, soFlags(state), func() error {
			request := &hsmpb.CloneTokenRequest{SoPin: soPIN.Reveal(), Pin: pin.Reveal(), TransportKey: r.GetTransportKey()}
			return n.process.Call(ctx, child.CloneToken, request, answer)
		})
		if errors.Is(failed, hsm.ErrModule) || ctx.Err() != nil {
			return failed // whether the user is logged in again cannot be told: the attempt stays on record, and the token's flag says what it came to
		}
		return nil // the officer's PIN, or the request, was refused, and the user's was right or was not asked for
	})
	return answer, cmp.Or(failed, err)
}

// Import is hsmpb.NodeServer's.
func (n *Node) Import(ctx context.Context, r *hsmpb.ImportRequest) (*hsmpb.ImportResponse, error) {
	return forward(ctx, n, child.Import, r, &hsmpb.ImportResponse{})
}
