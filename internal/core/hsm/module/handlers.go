//go:build cgo

package module

import (
	"fmt"
	"sync/atomic"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/child"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
)

// service is what the child process serves: one module, once it was opened.
type service struct{ module atomic.Pointer[Module] }

// Handlers are what the child process serves, by child.Serve.
func Handlers() (map[child.Method]child.Handler, error) {
	var s service
	return map[child.Method]child.Handler{
		child.Open:            child.Handle(s.open),
		child.TokenState:      child.Handle(with(&s, func(m *Module, _ *hsmpb.TokenStateRequest) (*hsmpb.TokenState, error) { return m.TokenState() })),
		child.InitializeToken: child.Handle(with(&s, initialize)),
		child.Login:           child.Handle(with(&s, login)),
		child.Info:            child.Handle(with(&s, info)),
		child.Random:          child.Handle(with(&s, random)),
		child.Wrap:            child.Handle(with(&s, wrapKey)),
		child.Unwrap:          child.Handle(with(&s, unwrapKey)),
		child.GenerateKey:     child.Handle(with(&s, generateKey)),
		child.Encrypt:         child.Handle(with(&s, encrypt)),
		child.Decrypt:         child.Handle(with(&s, decrypt)),
		child.Sign:            child.Handle(with(&s, sign)),
		child.CreateDomainKey: child.Handle(with(&s, createDomainKey)),
		child.Join:            child.Handle(with(&s, join)),
		child.CloneToken:      child.Handle(with(&s, clone)),
		child.Import:          child.Handle(with(&s, importKeys)),
	}, nil
}

func (s *service) open(request *hsmpb.OpenRequest) (*hsmpb.OpenResponse, error) {
	if s.module.Load() != nil {
		return nil, fmt.Errorf("%w: the module is open", hsm.ErrInvalidArgument)
	}
	m, err := Load(request)
	if err != nil {
		return nil, err
	}
	info, err := m.Describe()
	if err != nil {
		return nil, err
	}
	state, err := m.TokenState()
	if err != nil {
		return nil, err
	}
	s.module.Store(m)
	return &hsmpb.OpenResponse{Module: info, Token: state, TokenLabels: m.labels}, nil
}

func with[P, A any](s *service, carryOut func(*Module, P) (A, error)) func(P) (A, error) {
	return func(request P) (answer A, err error) {
		m := s.module.Load()
		if m == nil {
			return answer, fmt.Errorf("%w: it is not open", hsm.ErrModule)
		}
		return carryOut(m, request)
	}
}

func initialize(m *Module, r *hsmpb.InitializeTokenRequest) (*hsmpb.InitializeTokenResponse, error) {
	return &hsmpb.InitializeTokenResponse{}, m.Initialize(r.GetSoPin(), r.GetPin())
}

func login(m *Module, r *hsmpb.LoginRequest) (*hsmpb.LoginResponse, error) {
	if err := m.Login(r.GetPin()); err != nil {
		return nil, err
	}
	return &hsmpb.LoginResponse{DomainKeys: m.DomainKeys()}, nil
}

func info(m *Module, _ *hsmpb.InfoRequest) (*hsmpb.InfoResponse, error) {
	if err := m.LookAgain(); err != nil {
		return nil, err
	}
	capacity, err := m.Capacity()
	return &hsmpb.InfoResponse{Capacity: capacity, DomainKeys: m.DomainKeys()}, err
}

func random(m *Module, r *hsmpb.RandomRequest) (*hsmpb.RandomResponse, error) {
	b, err := m.Random(int(r.GetSize()))
	return &hsmpb.RandomResponse{Random: b}, err
}

func wrapKey(m *Module, r *hsmpb.WrapRequest) (*hsmpb.WrapResponse, error) {
	defer clear(r.GetKey())
	wrapped, err := m.Wrap(r.GetKey(), r.GetAad(), r.GetEpoch())
	return &hsmpb.WrapResponse{Wrapped: wrapped}, err
}

func unwrapKey(m *Module, r *hsmpb.UnwrapRequest) (*hsmpb.UnwrapResponse, error) {
	key, err := m.Unwrap(r.GetWrapped(), r.GetAad())
	return &hsmpb.UnwrapResponse{Key: key}, err
}

func generateKey(m *Module, r *hsmpb.GenerateKeyRequest) (*hsmpb.GenerateKeyResponse, error) {
	spec, err := hsm.ParseKeySpec(r.GetKeySpec())
	if err != nil {
		return nil, err
	}
	token, public, err := m.GenerateKey(spec, r.GetAad(), r.GetEpoch())
	return &hsmpb.GenerateKeyResponse{Token: token, PublicKey: public}, err
}

func encrypt(m *Module, r *hsmpb.EncryptRequest) (*hsmpb.EncryptResponse, error) {
	defer clear(r.GetPlaintext())
	ciphertext, err := m.Encrypt(r.GetKey(), r.GetPlaintext(), r.GetAad())
	return &hsmpb.EncryptResponse{Ciphertext: ciphertext}, err
}

func decrypt(m *Module, r *hsmpb.DecryptRequest) (*hsmpb.DecryptResponse, error) {
	plaintext, err := m.Decrypt(r.GetKey(), r.GetCiphertext(), r.GetAad())
	return &hsmpb.DecryptResponse{Plaintext: plaintext}, err
}

func sign(m *Module, r *hsmpb.SignRequest) (*hsmpb.SignResponse, error) {
	signature, err := m.Sign(r.GetKey(), r.GetSigningAlgorithm(), r.GetDigest())
	return &hsmpb.SignResponse{Signature: signature}, err
}

func createDomainKey(m *Module, r *hsmpb.CreateDomainKeyRequest) (*hsmpb.CreateDomainKeyResponse, error) {
	key, err := m.CreateDomainKey(r.GetEpoch())
	return &hsmpb.CreateDomainKeyResponse{DomainKey: key}, err
}

func join(m *Module, _ *hsmpb.JoinRequest) (*hsmpb.JoinResponse, error) {
	key, err := m.Join()
	return &hsmpb.JoinResponse{TransportKey: key}, err
}

func clone(m *Module, r *hsmpb.CloneTokenRequest) (*hsmpb.CloneResponse, error) {
	keys, err := m.Clone(r.GetSoPin(), r.GetPin(), r.GetTransportKey())
	return &hsmpb.CloneResponse{DomainKeys: keys}, err
}

func importKeys(m *Module, r *hsmpb.ImportRequest) (*hsmpb.ImportResponse, error) {
	keys, err := m.Import(r.GetDomainKeys())
	return &hsmpb.ImportResponse{DomainKeys: keys}, err
}
