package keyring

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// DefaultCacheSize is how many pieces of key material a MaterialCache holds when nothing else is said.
	DefaultCacheSize = 1024
	// DefaultCacheAge is for how long it holds each.
	DefaultCacheAge = 60 * time.Second
)

var (
	errLoadPanicked = errors.New("loading the key material panicked")
	errOtherType    = errors.New("the key material of that id is cached as another type: a mistake of the program")
)

// Material is what a MaterialCache holds: the bytes of a key, or a key that is parsed already, as secretbytes.Bytes and
// *keys.PrivateKey are.
type Material interface {
	// Wipe erases the material; nobody uses it any more.
	Wipe()
}

// MaterialCache holds unwrapped key material: a bounded number of pieces, each for a bounded time after it was loaded,
// however often it is used. Material is lent and never handed out, and is erased as soon as it is out of the cache and
// the last user is gone. Memory so holds at most as many pieces as the cache's size and the users of the moment together.
// It is safe for concurrent use.
type MaterialCache struct {
	size   int
	maxAge time.Duration
	now    func() time.Time

	mu      sync.Mutex
	entries map[string]*entry
	recent  *list.List // of *entry, the last used in front
	oldest  *list.List // of *entry, the first loaded in front
	// latest is the time of the last look at ages.
	latest time.Time
}

// entry is in the cache while recent is set. Everything but material and err is under the cache's lock; those two are
// written before ready is closed, and read after.
type entry struct {
	id             string
	loaded         time.Time // when loading began, as what was loaded is at least that old
	users          int
	recent, oldest *list.Element

	ready    chan struct{}
	material Material // nil if loading panicked
	err      error
}

// NewMaterialCache makes a cache of size pieces of material, each held for at most maxAge by the clock now. What is 0 or
// nil is DefaultCacheSize, DefaultCacheAge and time.Now.
func NewMaterialCache(size int, maxAge time.Duration, now func() time.Time) *MaterialCache {
	if size <= 0 {
		size = DefaultCacheSize
	}
	if maxAge <= 0 {
		maxAge = DefaultCacheAge
	}
	if now == nil {
		now = time.Now
	}
	return &MaterialCache{
		size: size, maxAge: maxAge, now: now,
		entries: make(map[string]*entry), recent: list.New(), oldest: list.New(),
	}
}

// Use lends the material of id to use, after load has loaded it if it is not here. It answers load's or use's error as
// it is. A failed load is not remembered, and those who waited for it load for themselves.
//
// id must name the material entirely, the installation's key, the key material and the type that it is opened as: whoever
// gives the same id gets the same material. What load answers belongs to the cache, which erases it: load must keep no copy and
// must not itself Use the same id, and use must not keep what it is lent or read it when it has returned.
func Use[M Material](c *MaterialCache, id string, load func() (M, error), use func(M) error) error {
	for {
		e, mine := c.acquire(id)
		again, err := useEntry(c, e, mine, load, use)
		if !again {
			return err
		}
	}
}

func useEntry[M Material](c *MaterialCache, e *entry, mine bool, load func() (M, error), use func(M) error) (again bool, err error) {
	defer c.release(e)
	if mine {
		c.fill(e, func() (Material, error) { return load() })
	}
	<-e.ready
	if e.err != nil {
		// Somebody else's load may have failed for a reason of its own, such as a cancelled request.
		return !mine, e.err
	}
	material, ok := e.material.(M)
	if !ok {
		return false, errOtherType
	}
	return false, use(material)
}

// acquire answers the entry of id with one user more. If it is mine, there was none and the caller must fill it.
func (c *MaterialCache) acquire(id string) (e *entry, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	c.expire(now)
	e, ok := c.entries[id]
	if !ok {
		e = &entry{id: id, loaded: now, ready: make(chan struct{})}
		e.recent, e.oldest = c.recent.PushFront(e), c.oldest.PushBack(e)
		c.entries[id] = e
		for len(c.entries) > c.size {
			c.evict(c.recent.Back().Value.(*entry))
		}
	} else {
		c.recent.MoveToFront(e.recent)
	}
	e.users++
	return e, !ok
}

func (c *MaterialCache) fill(e *entry, load func() (Material, error)) {
	e.err = errLoadPanicked
	defer func() {
		if e.err != nil {
			c.mu.Lock()
			c.evict(e)
			c.mu.Unlock()
		}
		close(e.ready)
	}()
	e.material, e.err = load()
}

func (c *MaterialCache) release(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.users--
	c.wipeIfUnused(e)
}

// expire evicts what is too old, and everything loaded in the future: the clock was turned back, so ages are unknown.
func (c *MaterialCache) expire(now time.Time) {
	if now.Before(c.latest) { // entries are in the order of loading, which is no more that of their times
		for _, e := range c.entries {
			if now.Before(e.loaded) {
				c.evict(e)
			}
		}
	}
	c.latest = now
	for front := c.oldest.Front(); front != nil; front = c.oldest.Front() {
		e := front.Value.(*entry)
		if age := now.Sub(e.loaded); age >= 0 && age < c.maxAge {
			break
		}
		c.evict(e)
	}
}

func (c *MaterialCache) evict(e *entry) {
	if e.recent == nil {
		return // it was already
	}
	c.recent.Remove(e.recent)
	c.oldest.Remove(e.oldest)
	e.recent, e.oldest = nil, nil
	delete(c.entries, e.id)
	c.wipeIfUnused(e)
}

// wipeIfUnused erases material that is out of the cache and that nobody is lent. While it is being loaded, its loader
// is a user.
func (c *MaterialCache) wipeIfUnused(e *entry) {
	if e.recent == nil && e.users == 0 && e.material != nil {
		e.material.Wipe()
	}
}

// Forget drops the material of id, for example of a key that was disabled. Who is using it or loading it goes on; the
// next Use loads anew.
func (c *MaterialCache) Forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[id]; ok {
		c.evict(e)
	}
}

// Clear drops everything, for example when the keyring is sealed.
func (c *MaterialCache) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.entries {
		c.evict(e)
	}
}

// Expire drops what is too old. Use does so too, but nobody may use the cache for hours.
func (c *MaterialCache) Expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire(c.now())
}

// Len is how many pieces of material are in the cache, with those being loaded.
func (c *MaterialCache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}

// Start expires what is too old twice in the time of the greatest age, until ctx ends, and then clears the cache.
// Without it, material stays in an idle process. It answers nil.
func (c *MaterialCache) Start(ctx context.Context) error {
	ticker := time.NewTicker(max(c.maxAge/2, time.Millisecond))
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
