package iam

import (
	"context"
	"encoding/json/v2"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

// The bounds of asking for the API server's keys.
const (
	// keysAgain is how long it takes at least from one question for the keys to the next: a token can name any.
	keysAgain = 10 * time.Second
	// keysPatience is how long one may take.
	keysPatience = 5 * time.Second
	// maximumKeys are those of a set that are looked at: an API server has one or two.
	maximumKeys = 16
)

// tokenAlgorithms are those that Kubernetes signs tokens of service accounts by.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#service-account-tokens
var tokenAlgorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.ES384, jose.ES512}

// signature is what the keys of the API server tell of a token.
type signature int

const (
	// unknownSigner: no key that is known has the token's name of one, or none is known.
	unknownSigner signature = iota
	// goodSignature: one of the keys signed it. Whether it is good now is the API server's to say.
	goodSignature
	// forgedSignature: it names a key that did not sign it, or cannot be read.
	forgedSignature
)

// signers are the keys that the API server signs tokens by, as it tells them. They refuse and never accept: what was not signed by one
// need not be asked for.
type signers struct {
	mu    sync.Mutex
	keys  []jose.JSONWebKey
	asked time.Time
}

// look verifies a token's signature. It asks for the keys if the token's is not among those that are known, and was not asked just now.
func (s *signers) look(ctx context.Context, token string, now time.Time, ask func(context.Context) ([]byte, error)) signature {
	parsed, err := jose.ParseSignedCompact(token, tokenAlgorithms)
	if err != nil || len(parsed.Signatures) != 1 {
		return forgedSignature
	}
	id := parsed.Signatures[0].Header.KeyID
	for _, key := range s.named(ctx, id, now, ask) {
		if _, err := parsed.Verify(key.Key); err == nil {
			return goodSignature
		}
		if id != "" {
			return forgedSignature
		}
	}
	return unknownSigner
}

// named are the keys of an id, or all for a token that names none.
func (s *signers) named(ctx context.Context, id string, now time.Time, ask func(context.Context) ([]byte, error)) []jose.JSONWebKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.find(id); len(found) > 0 {
		return found
	}
	if !s.asked.IsZero() && now.Sub(s.asked) < keysAgain {
		return nil
	}
	s.asked = now
	// Whoever asks and hangs up must not keep the keys from those who come after.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysPatience)
	defer cancel()
	text, err := ask(ctx)
	var set jose.JSONWebKeySet
	if err != nil || json.Unmarshal(text, &set) != nil {
		return nil
	}
	s.keys = set.Keys[:min(len(set.Keys), maximumKeys)]
	return s.find(id)
}

func (s *signers) find(id string) (out []jose.JSONWebKey) {
	for _, key := range s.keys {
		if id == "" || key.KeyID == id {
			out = append(out, key)
		}
	}
	return out
}

// KeysOf asks an API server for the keys that it signs tokens of service accounts by. Kubernetes lets every service account ask
// (ClusterRole system:service-account-issuer-discovery).
// https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery
func KeysOf(config *rest.Config) func(context.Context) ([]byte, error) {
	api := sync.OnceValues(func() (*discovery.DiscoveryClient, error) { return discovery.NewDiscoveryClientForConfig(config) })
	return func(ctx context.Context) ([]byte, error) {
		c, err := api()
		if err != nil {
			return nil, fmt.Errorf("asking the API server for its keys: %w", err)
		}
		return c.RESTClient().Get().AbsPath("/openid/v1/jwks").SetHeader("Accept", "application/jwk-set+json").DoRaw(ctx)
	}
}

// unsigned is why a token need not be asked for by its signature; nil if it must be. Tokens whose key is not known are asked for a few
// times a second: the API server may have a key that it did not tell of yet. Where its keys cannot be read, signatures tell nothing.
func (s *Service) unsigned(ctx context.Context, token string) error {
	if s.SigningKeys == nil {
		return nil
	}
	t, now := s.Cache.tokens, s.Now()
	switch t.signers.look(ctx, token, now, s.SigningKeys) {
	case forgedSignature:
		return ErrTokenRejected
	case unknownSigner:
		if t.signers.known() && !t.strangers.AllowN(now, 1) {
			return errStranger
		}
	}
	return nil
}

func (s *signers) known() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.keys) > 0
}
