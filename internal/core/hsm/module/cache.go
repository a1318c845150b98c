//go:build cgo

package module

import (
	"container/list"
	"sync"

	"github.com/miekg/pkcs11"

	"strongroom.dev/strongroom/internal/core/hsm"
)

// cache keeps the session objects of the tokens that were used last, up to size, so that not every use unwraps. An object is destroyed
// when it is out of the cache and nobody uses it.
type cache struct {
	size    int
	destroy func(...pkcs11.ObjectHandle)

	mu      sync.Mutex
	entries map[cacheKey]*cached
	recent  *list.List // most recently used first
}

// cacheKey is the SHA-256 of a token and its AAD: whoever has another AAD does not find it.
type cacheKey [32]byte

type cached struct {
	key    cacheKey
	object pkcs11.ObjectHandle
	spec   hsm.KeySpec
	users  int
	at     *list.Element // nil once it is out
	gone   bool          // the module destroyed it by itself
}

func newCache(size int, destroy func(...pkcs11.ObjectHandle)) *cache {
	return &cache{size: max(size, 1), destroy: destroy, entries: map[cacheKey]*cached{}, recent: list.New()}
}

// get lends the entry of key, or nil if there is none. The caller gives it back by release.
func (c *cache) get(key cacheKey) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e != nil {
		c.recent.MoveToFront(e.at)
		e.users++
	}
	return e
}

// add lends an entry for an object. If somebody was faster, object is destroyed and theirs is lent.
func (c *cache) add(key cacheKey, object pkcs11.ObjectHandle, spec hsm.KeySpec) *cached {
	c.mu.Lock()
	e := c.entries[key]
	var unused []pkcs11.ObjectHandle
	if e != nil {
		unused = append(unused, object)
	} else {
		e = &cached{key: key, object: object, spec: spec}
		e.at, c.entries[key] = c.recent.PushFront(e), e
		for len(c.entries) > c.size {
			unused = append(unused, c.evict(c.recent.Back().Value.(*cached))...)
		}
	}
	e.users++
	c.mu.Unlock()
	c.destroy(unused...) // not under the lock: it waits for the module
	return e
}

// evict takes e out and answers its object if it is to be destroyed now. The caller holds mu.
func (c *cache) evict(e *cached) []pkcs11.ObjectHandle {
	c.recent.Remove(e.at)
	e.at = nil
	delete(c.entries, e.key)
	if e.users > 0 {
		return nil
	}
	return []pkcs11.ObjectHandle{e.object}
}

func (c *cache) release(e *cached) {
	c.mu.Lock()
	e.users--
	unused := e.users == 0 && e.at == nil && !e.gone
	c.mu.Unlock()
	if unused {
		c.destroy(e.object)
	}
}

// forget drops everything without destroying it: the user logged out, and the module did.
func (c *cache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.entries {
		e.at, e.gone = nil, true
	}
	c.entries = map[cacheKey]*cached{}
	c.recent.Init()
}

func (c *cache) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}
