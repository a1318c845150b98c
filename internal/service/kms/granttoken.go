package kms

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

const (
	// MaximumGrantToken is the longest grant token, in bytes.
	// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateGrant.html
	MaximumGrantToken = 8192
	// grantConsistency is for how long a replica that does not see the grant of a token looks for it at the API server: AWS KMS needs as long to
	// make a grant known everywhere.
	// https://docs.aws.amazon.com/kms/latest/developerguide/grants.html#terms-eventual-consistency
	grantConsistency = 5 * time.Minute
)

// ErrGrantToken says that a token is not one of this installation's.
var ErrGrantToken = errors.New("the grant token is not valid")

// goneGrants are grants that are known to be gone, by their UIDs, which never come back: a token is looked for in vain once.
var goneGrants = lru.New(4096)

// grantTokenClaims are what a token says: which grant it is of. It gives nothing that the grant does not give.
type grantTokenClaims struct {
	Namespace string    `json:"ns"`
	Name      string    `json:"n"`
	UID       types.UID `json:"u"`
	KeyARN    string    `json:"k"`
	Issued    int64     `json:"i"`
}

func grantTokenContext() keys.Context { return keys.Context{"token": "grant"} }

// GrantToken makes a token of a grant: each is another, and all are of the same use, for as long as there is the grant. It is sealed under the
// domain key, so that every replica can read it, and nobody can make one.
func (s *Service) GrantToken(g *v1alpha1.KMSGrant, keyARN string) (string, error) {
	ring, err := s.Keyring.Get()
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(grantTokenClaims{g.Namespace, g.Name, g.UID, keyARN, s.Now().Unix()})
	if err != nil {
		return "", fmt.Errorf("encoding a grant token: %w", err)
	}
	sealed, err := ring.Seal(keys.KindGrantToken, grantTokenContext(), secretbytes.Own(claims))
	return encodeGrantToken(sealed), err
}

func encodeGrantToken(sealed []byte) string { return base64.RawURLEncoding.EncodeToString(sealed) }

// TokenGrant is what a grant token is of.
type TokenGrant struct {
	// KeyARN is the key's.
	KeyARN string
	// Grant and its key are nil if there is no such grant any more. They may be the cache's own: read them only.
	Grant *v1alpha1.KMSGrant
	Key   *v1alpha1.KMSKey
}

// OpenGrantToken finds the grant of a token. It fails with ErrGrantToken for a text that is no token.
//
// The grant is read from the cache. If it is not there, and the token is younger than grantConsistency, it is read from the API server: then this
// replica's watch may not have told of it yet. That is once a token: a grant that is gone is remembered.
func (s *Service) OpenGrantToken(ctx context.Context, token string) (TokenGrant, error) {
	var out TokenGrant
	claims, err := s.grantTokenClaims(token)
	if err != nil {
		return out, err
	}
	out.KeyARN = claims.KeyARN
	g := &v1alpha1.KMSGrant{}
	name := client.ObjectKey{Namespace: claims.Namespace, Name: claims.Name}
	err = s.Reader.Get(ctx, name, g, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if client.IgnoreNotFound(err) != nil {
		return out, fmt.Errorf("reading KMSGrant %s: %w", name.Name, err)
	}
	if err != nil || g.UID != claims.UID {
		if g, err = s.unseenGrant(ctx, name, &claims); g == nil || err != nil {
			return out, err
		}
	}
	if out.Key, err = s.keyOfGrant(ctx, g); out.Key != nil {
		out.Grant = g
	}
	return out, err
}

func (s *Service) grantTokenClaims(token string) (claims grantTokenClaims, err error) {
	if len(token) > MaximumGrantToken {
		return claims, ErrGrantToken
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return claims, ErrGrantToken
	}
	text, err := s.Keyring.Open(keys.KindGrantToken, grantTokenContext(), sealed)
	if errors.Is(err, keyring.ErrSealed) {
		return claims, err
	}
	if err != nil || json.Unmarshal(text.Reveal(), &claims) != nil {
		return claims, ErrGrantToken
	}
	return claims, nil
}

// unseenGrant is the grant of a token that the cache does not have, nil if there is none.
func (s *Service) unseenGrant(ctx context.Context, name client.ObjectKey, claims *grantTokenClaims) (*v1alpha1.KMSGrant, error) {
	if _, gone := goneGrants.Get(claims.UID); gone || s.Now().Sub(time.Unix(claims.Issued, 0)) > grantConsistency {
		return nil, nil
	}
	g := &v1alpha1.KMSGrant{}
	err := s.Live.Get(ctx, name, g)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading KMSGrant %s: %w", name.Name, err)
	}
	if err != nil || g.UID != claims.UID {
		goneGrants.Add(claims.UID, struct{}{})
		return nil, nil
	}
	return g, nil
}
