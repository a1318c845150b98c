package keyring_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// cacheModel is the cache in the simplest form: a list of what is in it, the least recently used first.
type cacheModel struct {
	size    int
	maxAge  time.Duration
	entries []modelEntry
}

type modelEntry struct {
	id     string
	loaded time.Time
}

func (m *cacheModel) expire(now time.Time) {
	m.entries = slices.DeleteFunc(m.entries, func(e modelEntry) bool {
		return now.Before(e.loaded) || now.Sub(e.loaded) >= m.maxAge
	})
}

func (m *cacheModel) forget(id string) {
	m.entries = slices.DeleteFunc(m.entries, func(e modelEntry) bool { return e.id == id })
}

// use tells whether the material is loaded.
func (m *cacheModel) use(id string, now time.Time) (loads bool) {
	m.expire(now)
	i := slices.IndexFunc(m.entries, func(e modelEntry) bool { return e.id == id })
	e := modelEntry{id, now}
	if i >= 0 {
		e = m.entries[i]
		m.entries = slices.Delete(m.entries, i, i+1)
	}
	m.entries = append(m.entries, e)
	if len(m.entries) > m.size {
		m.entries = m.entries[1:]
	}
	return i < 0
}

// Whatever is done in whatever order, the cache loads when the model does, holds as much, and what it does not hold is wiped.
// The clock may go back in one step, but what was loaded in the future is then gone, so order of loading is order of age.
func TestTheCacheDoesWhatASimpleModelDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var clk clock
		model := &cacheModel{size: rapid.IntRange(1, 4).Draw(t, "size"), maxAge: time.Minute}
		c := keyring.NewMaterialCache(model.size, model.maxAge, clk.now)
		made := map[string][][]byte{}
		id := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"})
		t.Repeat(map[string]func(*rapid.T){
			"use": func(t *rapid.T) {
				name, loaded := id.Draw(t, "id"), false
				load := func() (secretbytes.Bytes, error) {
					loaded = true
					m := repeated(name[0])
					made[name] = append(made[name], m.Reveal())
					return m, nil
				}
				err := keyring.Use(c, name, load, func(m secretbytes.Bytes) error {
					if !m.Equal(repeated(name[0])) {
						t.Fatalf("%s is not its material", name)
					}
					return nil
				})
				if want := model.use(name, clk.now()); err != nil || loaded != want {
					t.Fatalf("%s is loaded: %t, want %t, %v", name, loaded, want, err)
				}
			},
			"wait": func(t *rapid.T) { clk.advance(time.Duration(rapid.IntRange(0, 70).Draw(t, "seconds")) * time.Second) },
			"turn the clock back": func(t *rapid.T) {
				clk.advance(-time.Duration(rapid.IntRange(1, 90).Draw(t, "seconds")) * time.Second)
				c.Expire()
				model.expire(clk.now())
			},
			"forget": func(t *rapid.T) { name := id.Draw(t, "id"); c.Forget(name); model.forget(name) },
			"expire": func(*rapid.T) { c.Expire(); model.expire(clk.now()) },
			"clear":  func(*rapid.T) { c.Clear(); model.entries = nil },
			"": func(t *rapid.T) {
				if c.Len() != len(model.entries) {
					t.Fatalf("%d entries, want %d: %v", c.Len(), len(model.entries), model.entries)
				}
				for name, all := range made {
					held := slices.ContainsFunc(model.entries, func(e modelEntry) bool { return e.id == name })
					for i, b := range all {
						if newest := i == len(all)-1; wiped(b) == (held && newest) {
							t.Fatalf("load %d of %d of %s, which is held: %t, is wiped: %t", i+1, len(all), name, held, wiped(b))
						}
					}
				}
			},
		})
	})
}
