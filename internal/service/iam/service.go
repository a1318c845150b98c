package iam

import (
	"context"
	"io"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/service/principals"
	"strongroom.dev/strongroom/internal/store"
)

// The cache indexes.
const (
	// ARNIndex finds IAMUsers, IAMRoles, IAMGroups and IAMPolicies by status.arn.
	ARNIndex = principals.ARNIndex
	// AccessKeyIndex finds IAMUsers by the ids of their access keys.
	AccessKeyIndex = "accessKeyId"
)

// Service is the use cases of IAM.
type Service struct {
	// Client reads from a cache that has the indexes, and writes. Live reads from the API server.
	Client client.Client
	Live   client.Reader
	// Tokens makes TokenReviews. It is a client without a cache, as client.New makes it: the caching one wants to watch what it
	// made, and nobody can watch TokenReviews.
	Tokens client.Writer
	// SigningKeys asks the API server for the keys that it signs tokens by: a JSON Web Key Set, /openid/v1/jwks. Without it, or if it
	// fails, every token that may be the cluster's is asked for.
	SigningKeys func(context.Context) ([]byte, error)
	// Store keeps access keys.
	Store *store.Store
	// Keyring opens them.
	Keyring *keyring.Holder
	// Random is crypto/rand if nil.
	Random io.Reader
	// Now is the clock.
	Now func() time.Time
	// Cache is what Credential remembers: NewCache.
	Cache *Cache
}
