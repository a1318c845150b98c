package iam

import (
	"context"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	expiring "k8s.io/apimachinery/pkg/util/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The bounds of a Cache.
const (
	// maximumCredentials that are remembered at once; the least recently used goes first.
	maximumCredentials = 8192
	// credentialAge is for how long a credential's secret is remembered, however often it is used.
	credentialAge = time.Minute
	// maximumDocuments is for how many objects compiled policies are remembered; documentAge is for how long, so that those of
	// an object that is gone do not stay.
	maximumDocuments = 16384
	documentAge      = 10 * time.Minute
	// accountAge is how long it may take until another namespace's claim to an account id is seen. All else is seen at once.
	accountAge      = time.Second
	maximumAccounts = 4096
)

// Cache is what Credential remembers from one request to the next: credentials with the objects that they were made of,
// compiled policies, and which tokens the API server refused just now. Nothing in it is believed without a look at those objects
// in the informers' cache, or the certainty that none of them has changed since (Observe), so that a change is in force with the
// next request. It is safe for concurrent use; replicas share nothing.
//
// Secrets in it are not wiped when they go, since a request may still be reading them: they were made within secretbytes.Do,
// so that the garbage collector erases them.
type Cache struct {
	credentials, documents, accounts *expiring.LRUExpireCache

	tokens *tokens

	// changes counts what may have changed of what credentials are made of, if observed: see Observe.
	changes  atomic.Uint64
	observed bool
}

type clock func() time.Time

// Now is the time.
func (c clock) Now() time.Time { return c() }

// NewCache makes a Cache. The clock is time.Now if nil.
func NewCache(now func() time.Time) *Cache {
	if now == nil {
		now = time.Now
	}
	return &Cache{
		credentials: expiring.NewLRUExpireCacheWithClock(maximumCredentials, clock(now)),
		documents:   expiring.NewLRUExpireCacheWithClock(maximumDocuments, clock(now)),
		accounts:    expiring.NewLRUExpireCacheWithClock(maximumAccounts, clock(now)),
		tokens:      newTokens(clock(now)),
	}
}

// Clear forgets everything, for example when the keyring is sealed.
func (c *Cache) Clear() {
	for _, part := range c.parts() {
		part.RemoveAll(func(any) bool { return true })
	}
}

// Start drops what is too old twice a minute, until ctx ends, and then everything. Without it, secrets stay in an idle process.
// It answers nil.
func (c *Cache) Start(ctx context.Context) error {
	ticker := time.NewTicker(credentialAge / 2)
	defer ticker.Stop()
	defer c.Clear()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			c.Expire()
		}
	}
}

// NeedLeaderElection is false: every replica has its own.
func (c *Cache) NeedLeaderElection() bool { return false }

// Expire drops what is too old.
func (c *Cache) Expire() {
	for _, part := range c.parts() {
		young := map[any]bool{}
		for _, key := range part.Keys() {
			young[key] = true
		}
		part.RemoveAll(func(key any) bool { return !young[key] })
	}
}

// Len is how many credentials and how many objects' compiled policies are remembered.
func (c *Cache) Len() (credentials, documents int) {
	return len(c.credentials.Keys()), len(c.documents.Keys())
}

func (c *Cache) parts() []*expiring.LRUExpireCache {
	return []*expiring.LRUExpireCache{c.credentials, c.documents, c.accounts, c.tokens.refused, c.tokens.issuers}
}

// source is one object that something was made of, as it was then.
type source struct {
	kind    kind
	key     client.ObjectKey
	uid     types.UID
	version string
}

func sourceOf(k kind, obj client.Object) source {
	return source{kind: k, key: client.ObjectKeyFromObject(obj), uid: obj.GetUID(), version: obj.GetResourceVersion()}
}
