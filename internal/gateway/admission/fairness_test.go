package admission_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/gateway/admission"
)

// TestMemoryIsGivenIfAndOnlyIfThereIsSome compares any history of requests with a count on paper.
func TestMemoryIsGivenIfAndOnlyIfThereIsSome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Int64Range(1, 200).Draw(t, "total")
		percent := rapid.IntRange(5, 100).Draw(t, "percent")
		m := admission.NewMemory(total, percent, 0)
		type given struct {
			held  admission.Held
			from  int
			bytes int64
		}
		var out []given
		used, all := map[int]int64{}, int64(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(out) > 0 && rapid.Bool().Draw(t, "release") {
				i := rapid.IntRange(0, len(out)-1).Draw(t, "which")
				for range rapid.IntRange(1, 2).Draw(t, "times") {
					out[i].held.Release()
				}
				used[out[i].from] -= out[i].bytes
				all -= out[i].bytes
				out = append(out[:i], out[i+1:]...)
				continue
			}
			from, bytes := rapid.IntRange(1, 5).Draw(t, "source"), rapid.Int64Range(1, 80).Draw(t, "bytes")
			held, err := m.Acquire(context.Background(), source(fmt.Sprintf("192.0.2.%d", from)), bytes)
			// What it has is to what is left at most as its share is to the others'.
			fits := all+bytes <= total && (used[from]+bytes)*int64(100-percent) <= (total-all-bytes)*int64(percent)
			if (err == nil) != fits {
				t.Fatalf("%d of %d had %d of %d, and asked for %d: %v", from, total, used[from], all, bytes, err)
			}
			if err == nil {
				out = append(out, given{held, from, bytes})
				used[from] += bytes
				all += bytes
			}
		}
	})
}

func TestASourceThatFloodsHoldsNobodyElseUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := admission.NewMemory(100, 25, time.Minute)
		full := acquire(t, m, "192.0.2.1", 25)
		ctx, cancel := context.WithCancel(t.Context())
		var flood sync.WaitGroup
		for range 5000 {
			flood.Go(func() { _, _ = m.Acquire(ctx, source("192.0.2.1"), 1) })
		}
		synctest.Wait()
		began := time.Now()
		for i := range 3 {
			held := acquire(t, m, fmt.Sprintf("192.0.2.%d", 2+i), 10)
			defer held.Release()
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the others waited for %s", took)
		}
		cancel()
		flood.Wait()
		full.Release()
	})
}

func TestWhoWaitsFirstIsServedFirstThoughOthersNeedLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := admission.NewMemory(100, 100, time.Minute)
		held := acquire(t, m, "192.0.2.1", 100)
		var mu sync.Mutex
		var order []int64
		var all sync.WaitGroup
		for _, bytes := range []int64{90, 1, 2, 3} {
			all.Go(func() {
				got, err := m.Acquire(t.Context(), source("192.0.2.1"), bytes)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, bytes)
				mu.Unlock()
				time.Sleep(time.Second)
				got.Release()
			})
			synctest.Wait() // each is in the queue before the next comes
		}
		held.Release()
		synctest.Wait()
		mu.Lock()
		if len(order) != 4 {
			t.Errorf("%v were served, and there is room for all", order)
		}
		mu.Unlock()
		all.Wait()
		last := acquire(t, m, "192.0.2.1", 100)
		last.Release()
	})
}

func TestALargeRequestIsNotPassedByForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := admission.NewMemory(100, 100, time.Minute)
		first := acquire(t, m, "192.0.2.1", 50)
		served := make(chan struct{})
		go func() {
			held, err := m.Acquire(t.Context(), source("192.0.2.2"), 100)
			if err != nil {
				t.Error(err)
			}
			held.Release()
			close(served)
		}()
		synctest.Wait()
		// Small ones that come later would fit, and wait behind it.
		refused := make(chan error)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := m.Acquire(ctx, source("192.0.2.3"), 1)
			refused <- err
		}()
		if err := <-refused; !errors.Is(err, admission.ErrNoMemory) {
			t.Errorf("a small request went past one that waits: %v", err)
		}
		first.Release()
		<-served
	})
}

func TestWhoeverGivesUpLeavesItsPlaceInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := admission.NewMemory(100, 100, time.Hour)
		held := acquire(t, m, "192.0.2.1", 100)
		for range 3 { // three times as many as may wait, each after the others gave up
			ctx, cancel := context.WithCancel(t.Context())
			var all sync.WaitGroup
			for i := range 1024 {
				all.Go(func() { _, _ = m.Acquire(ctx, source(fmt.Sprintf("10.0.%d.%d", i/256, i%256)), 1) })
			}
			synctest.Wait()
			cancel()
			all.Wait()
		}
		got := make(chan error)
		go func() {
			later, err := m.Acquire(t.Context(), source("192.0.2.9"), 1)
			later.Release()
			got <- err
		}()
		synctest.Wait()
		held.Release()
		if err := <-got; err != nil {
			t.Errorf("there was no place to wait: %v", err)
		}
	})
}

func TestNothingIsKeptOfWhoWasRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := admission.NewMemory(100, 25, time.Second)
		for i := range 300 { // each is over its share, or finds nothing
			if _, err := m.Acquire(t.Context(), source(fmt.Sprintf("10.1.%d.%d", i/256, i%256)), 26); !errors.Is(err, admission.ErrNoMemory) {
				t.Fatal(err)
			}
		}
		var all []admission.Held
		for i, bytes := range []int64{25, 18, 14, 10} { // and so all of it is there for others
			all = append(all, acquire(t, m, fmt.Sprintf("192.0.2.%d", i), bytes))
		}
		for i := range all {
			all[i].Release()
		}
	})
}

func TestTheZeroHeldHoldsNothing(t *testing.T) {
	var none admission.Held
	none.Release()
	none.Release()
}

func TestASourceHasOnePlaceAtLeast(t *testing.T) {
	l := admission.LimitSources(&line{from: []string{"192.0.2.1", "192.0.2.1"}}, 4, 5, func() {})
	if _, err := l.Accept(); err != nil {
		t.Error(err)
	}
}

// nameless is a connection without an IP address, as one of a Unix socket.
type nameless struct{ net.Conn }

func (nameless) RemoteAddr() net.Addr { return &net.UnixAddr{Name: "@", Net: "unix"} }
func (nameless) Close() error         { return nil }

type namelessLine struct {
	net.Listener
	left int
}

func (l *namelessLine) Accept() (net.Conn, error) {
	if l.left--; l.left < 0 {
		return nil, net.ErrClosed
	}
	return nameless{}, nil
}

func TestConnectionsWithoutAnAddressAreOneSource(t *testing.T) {
	refused := 0
	l := admission.LimitSources(&namelessLine{left: 5}, 8, 25, func() { refused++ })
	for range 2 {
		if _, err := l.Accept(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) || refused != 3 {
		t.Errorf("%d were refused, %v", refused, err)
	}
}

// TestPlacesAreGivenBackWhoeverClosesWhen opens and closes from many sides at once; run it with -race.
func TestPlacesAreGivenBackWhoeverClosesWhen(t *testing.T) {
	from := make([]string, 4000)
	for i := range from {
		from[i] = netip.AddrFrom4([4]byte{192, 0, 2, byte(i % 3)}).String()
	}
	var mu sync.Mutex
	open, most := map[string]int{}, 0
	l := admission.LimitSources(&line{from: from}, 16, 25, func() {})
	var all sync.WaitGroup
	for {
		c, err := l.Accept()
		if err != nil {
			break
		}
		host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		mu.Lock()
		open[host]++
		most = max(most, open[host])
		mu.Unlock()
		all.Go(func() {
			mu.Lock()
			open[host]--
			mu.Unlock()
			_ = c.Close()
			_ = c.Close()
		})
	}
	all.Wait()
	if most > 4 {
		t.Errorf("%d connections of one source were open", most)
	}
}
