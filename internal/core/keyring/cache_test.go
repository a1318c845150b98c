package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// vault makes material and remembers the bytes themselves, to see when the cache wipes them.
type vault struct {
	mu    sync.Mutex
	loads int
	made  [][]byte
}

func (v *vault) load() (secretbytes.Bytes, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	b := bytes.Repeat([]byte{7}, 32)
	v.loads++
	v.made = append(v.made, b)
	return secretbytes.Own(b), nil
}

func wiped(b []byte) bool { return bytes.Equal(b, make([]byte, len(b))) }

func look(secretbytes.Bytes) error { return nil }

type clock struct{ nanos atomic.Int64 }

func (c *clock) now() time.Time          { return now.Add(time.Duration(c.nanos.Load())) }
func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

func use(t testing.TB, c *keyring.MaterialCache, id string, v *vault) {
	t.Helper()
	if err := keyring.Use(c, id, v.load, func(m secretbytes.Bytes) error {
		if !m.Equal(repeated(7)) {
			t.Errorf("%s: not the material", id)
		}
		return nil
	}); err != nil {
		t.Errorf("%s: %v", id, err)
	}
}

func TestMaterialIsLoadedOnceAndWipedWhenItIsTooOld(t *testing.T) {
	var v vault
	var clk clock
	c := keyring.NewMaterialCache(0, 0, clk.now)
	use(t, c, "a", &v)
	clk.advance(keyring.DefaultCacheAge - 1)
	use(t, c, "a", &v)
	if v.loads != 1 || wiped(v.made[0]) || c.Len() != 1 {
		t.Fatalf("%d loads, wiped %v, %d entries", v.loads, wiped(v.made[0]), c.Len())
	}
	clk.advance(1) // its age counts from loading, however often it is used
	use(t, c, "a", &v)
	if v.loads != 2 || !wiped(v.made[0]) || wiped(v.made[1]) {
		t.Errorf("after a minute: %d loads", v.loads)
	}
	clk.advance(keyring.DefaultCacheAge)
	c.Expire()
	if !wiped(v.made[1]) || c.Len() != 0 {
		t.Errorf("after Expire: %d entries", c.Len())
	}
}

func TestAClockTurnedBackDoesNotKeepMaterial(t *testing.T) {
	var v vault
	var clk clock
	c := keyring.NewMaterialCache(10, time.Minute, clk.now)
	use(t, c, "a", &v)
	clk.advance(-time.Hour)
	use(t, c, "a", &v)
	if v.loads != 2 || !wiped(v.made[0]) {
		t.Errorf("%d loads", v.loads)
	}
}

func TestTheLeastRecentlyUsedMaterialGoesFirst(t *testing.T) {
	var v vault
	c := keyring.NewMaterialCache(2, time.Minute, nil)
	use(t, c, "a", &v)
	use(t, c, "b", &v)
	use(t, c, "a", &v)
	use(t, c, "c", &v)
	if c.Len() != 2 || wiped(v.made[0]) || !wiped(v.made[1]) || wiped(v.made[2]) {
		t.Fatalf("%d entries, wiped: a %v, b %v, c %v", c.Len(), wiped(v.made[0]), wiped(v.made[1]), wiped(v.made[2]))
	}
	use(t, c, "a", &v)
	if v.loads != 3 {
		t.Errorf("a was loaded again: %d loads", v.loads)
	}
}

func TestMaterialInUseIsWipedOnlyWhenItsLastUserIsGone(t *testing.T) {
	for name, evict := range map[string]func(*keyring.MaterialCache, *clock, *vault){
		"forgotten": func(c *keyring.MaterialCache, _ *clock, _ *vault) { c.Forget("a"); c.Forget("a"); c.Forget("nothing") },
		"cleared":   func(c *keyring.MaterialCache, _ *clock, _ *vault) { c.Clear() },
		"expired":   func(c *keyring.MaterialCache, clk *clock, _ *vault) { clk.advance(time.Hour); c.Expire() },
		"displaced": func(c *keyring.MaterialCache, _ *clock, v *vault) { use(t, c, "b", v) },
	} {
		t.Run(name, func(t *testing.T) {
			var v vault
			var clk clock
			c := keyring.NewMaterialCache(1, time.Minute, clk.now)
			err := keyring.Use(c, "a", v.load, func(outer secretbytes.Bytes) error {
				err := keyring.Use(c, "a", v.load, func(inner secretbytes.Bytes) error {
					evict(c, &clk, &v)
					if wiped(inner.Reveal()) {
						t.Error("wiped while two use it")
					}
					return nil
				})
				if wiped(outer.Reveal()) {
					t.Error("wiped while one uses it")
				}
				use(t, c, "a", &v) // another piece, as the first is out of the cache
				return err
			})
			if err != nil || !wiped(v.made[0]) {
				t.Errorf("after the last user: wiped %v, %v", wiped(v.made[0]), err)
			}
			c.Clear()
			for i, b := range v.made {
				if !wiped(b) {
					t.Errorf("load %d is left", i)
				}
			}
		})
	}
}

func TestAFailedLoadIsNotRemembered(t *testing.T) {
	var v vault
	c := keyring.NewMaterialCache(2, time.Minute, nil)
	failure, half := errors.New("no such token"), bytes.Repeat([]byte{7}, 8)
	err := keyring.Use(c, "a", func() (secretbytes.Bytes, error) { return secretbytes.Own(half), failure }, func(secretbytes.Bytes) error {
		t.Error("used without material")
		return nil
	})
	if !errors.Is(err, failure) || c.Len() != 0 || !wiped(half) {
		t.Errorf("%v, %d entries, wiped %v", err, c.Len(), wiped(half))
	}
	use(t, c, "a", &v)
	if v.loads != 1 {
		t.Errorf("%d loads", v.loads)
	}
}

func TestAnErrorOfTheUserIsAnsweredAndTheMaterialStays(t *testing.T) {
	var v vault
	c := keyring.NewMaterialCache(2, time.Minute, nil)
	failure := errors.New("it does not open")
	if err := keyring.Use(c, "a", v.load, func(secretbytes.Bytes) error { return failure }); !errors.Is(err, failure) {
		t.Errorf("%v", err)
	}
	use(t, c, "a", &v)
	if v.loads != 1 {
		t.Errorf("%d loads", v.loads)
	}
}

func TestAPanicLeavesTheCacheInOrder(t *testing.T) {
	var v vault
	c := keyring.NewMaterialCache(2, time.Minute, nil)
	panics := func(f func()) {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		f()
	}
	panics(func() { _ = keyring.Use(c, "a", func() (secretbytes.Bytes, error) { panic("load") }, look) })
	if c.Len() != 0 {
		t.Errorf("%d entries after a panicked load", c.Len())
	}
	panics(func() { _ = keyring.Use(c, "a", v.load, func(secretbytes.Bytes) error { panic("use") }) })
	c.Forget("a")
	if !wiped(v.made[0]) {
		t.Error("the panicked user is still counted")
	}
}

func TestConcurrentUsersShareOneLoad(t *testing.T) {
	var v vault
	c := keyring.NewMaterialCache(2, time.Minute, nil)
	started, goOn := make(chan struct{}), make(chan struct{})
	slow := func() (secretbytes.Bytes, error) { close(started); <-goOn; return v.load() }
	var wg sync.WaitGroup
	wg.Go(func() { _ = keyring.Use(c, "a", slow, look) })
	<-started
	for range 10 {
		wg.Go(func() { use(t, c, "a", &v) })
	}
	c2 := make(chan struct{})
	go func() { use(t, c, "b", &v); close(c2) }() // another id does not wait
	<-c2
	close(goOn)
	wg.Wait()
	if v.loads != 2 {
		t.Errorf("%d loads for two ids", v.loads)
	}
}

func TestWhoWaitsForALoadThatFailsLoadsForItself(t *testing.T) {
	var v vault
	c := keyring.NewMaterialCache(2, time.Minute, nil)
	started, goOn := make(chan struct{}), make(chan struct{})
	cancelled := func() (secretbytes.Bytes, error) {
		close(started)
		<-goOn
		return secretbytes.Bytes{}, context.Canceled
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := keyring.Use(c, "a", cancelled, look); !errors.Is(err, context.Canceled) {
			t.Errorf("the cancelled one: %v", err)
		}
	})
	<-started
	for range 5 {
		wg.Go(func() { use(t, c, "a", &v) })
	}
	close(goOn)
	wg.Wait()
	if v.loads != 1 {
		t.Errorf("%d loads", v.loads)
	}
}

func TestMaterialForgottenWhileItIsLoadedIsNotKept(t *testing.T) {
	var v vault
	c := keyring.NewMaterialCache(2, time.Minute, nil)
	err := keyring.Use(c, "a", func() (secretbytes.Bytes, error) { c.Forget("a"); return v.load() }, func(m secretbytes.Bytes) error {
		if wiped(m.Reveal()) {
			t.Error("wiped before its loader used it")
		}
		return nil
	})
	if err != nil || c.Len() != 0 || !wiped(v.made[0]) {
		t.Errorf("%v, %d entries, wiped %v", err, c.Len(), wiped(v.made[0]))
	}
}

func TestStartExpiresByItselfAndClearsAtTheEnd(t *testing.T) {
	var v vault
	var clk clock
	c := keyring.NewMaterialCache(10, 2*time.Millisecond, clk.now)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	use(t, c, "old", &v)
	clk.advance(time.Second)
	go func() { ended <- c.Start(ctx) }()
	for deadline := time.Now().Add(10 * time.Second); c.Len() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the old material stayed")
		}
	}
	use(t, c, "new", &v) // the clock stands still, so only the end clears it
	cancel()
	if err := <-ended; err != nil || c.Len() != 0 || !wiped(v.made[0]) || !wiped(v.made[1]) {
		t.Errorf("%v, %d entries", err, c.Len())
	}
}

// Many users, few places, and evictions at random: nobody ever sees wiped or foreign bytes, and nothing is left.
func TestNobodySeesWipedOrForeignMaterial(t *testing.T) {
	var clk clock
	var made sync.Map
	c := keyring.NewMaterialCache(3, time.Second, clk.now)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(worker)))
			for i := range 2000 {
				n := byte(rng.IntN(8) + 1)
				switch rng.IntN(20) {
				case 0:
					c.Forget(fmt.Sprint(n))
				case 1:
					clk.advance(300 * time.Millisecond)
				case 2:
					c.Clear()
				}
				load := func() (secretbytes.Bytes, error) {
					b := bytes.Repeat([]byte{n}, 32)
					made.Store(&b[0], b)
					if rng.IntN(10) == 0 {
						return secretbytes.Own(b), errors.New("a failed load")
					}
					return secretbytes.Own(b), nil
				}
				err := keyring.Use(c, fmt.Sprint(n), load, func(m secretbytes.Bytes) error {
					if !m.Equal(repeated(n)) {
						t.Errorf("worker %d, round %d: material %d is not itself", worker, i, n)
					}
					return nil
				})
				if err != nil && !strings.Contains(err.Error(), "a failed load") {
					t.Error(err)
				}
				if c.Len() > 3 {
					t.Errorf("%d entries", c.Len())
				}
			}
		})
	}
	wg.Wait()
	c.Clear()
	made.Range(func(_, b any) bool {
		if !wiped(b.([]byte)) {
			t.Error("material is left after everybody is gone")
			return false
		}
		return true
	})
}

// parsed is material that is no bytes.
type parsed struct{ wiped bool }

func (p *parsed) Wipe() { p.wiped = true }

func TestMaterialOfAnyTypeIsKeptAsItIsAndWipedAsAnyOther(t *testing.T) {
	c := keyring.NewMaterialCache(10, time.Minute, nil)
	key := &parsed{}
	for range 2 {
		err := keyring.Use(c, "a", func() (*parsed, error) { return key, nil }, func(lent *parsed) error {
			if lent != key || lent.wiped {
				t.Error("it is not what was loaded")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	var v vault
	if err := keyring.Use(c, "a", v.load, look); err == nil || v.loads != 0 {
		t.Errorf("material was lent as another type: %v", err)
	}
	c.Clear()
	if !key.wiped {
		t.Error("it was not wiped")
	}
}

func TestALoadThatFailsMayAnswerNothing(t *testing.T) {
	c := keyring.NewMaterialCache(10, time.Minute, nil)
	failure := errors.New("no such key")
	if err := keyring.Use(c, "a", func() (*keys.PrivateKey, error) { return nil, failure }, func(*keys.PrivateKey) error { return nil }); !errors.Is(err, failure) {
		t.Errorf("%v", err)
	}
	if c.Len() != 0 {
		t.Errorf("%d entries", c.Len())
	}
}
