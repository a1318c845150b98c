package admission_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"strongroom.dev/strongroom/internal/gateway/admission"
)

func source(address string) admission.Source {
	return admission.SourceOf(netip.MustParseAddr(address))
}

func TestASourceIsAnIPv4AddressOrTheNetworkOfAnIPv6Address(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8::1", "2001:db8::ffff:2", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::1%eth1", true},
		{"192.0.2.1", "2001:db8::1", false},
	} {
		if got := source(c.a) == source(c.b); got != c.same {
			t.Errorf("%s and %s are one source: %v", c.a, c.b, got)
		}
	}
	if admission.SourceOf(netip.Addr{}) != (admission.Source{}) {
		t.Error("no address has a source")
	}
}

func acquire(t *testing.T, m *admission.Memory, address string, bytes int64) admission.Held {
	t.Helper()
	held, err := m.Acquire(t.Context(), source(address), bytes)
	if err != nil {
		t.Fatalf("%s, %d bytes: %v", address, bytes, err)
	}
	return held
}

func TestASourceGetsItsShareOfTheMemoryAndOthersTheirsOfTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := admission.NewMemory(100, 25, time.Second)
		full := acquire(t, m, "192.0.2.1", 25)
		began := time.Now()
		if _, err := m.Acquire(t.Context(), source("192.0.2.1"), 1); !errors.Is(err, admission.ErrNoMemory) {
			t.Errorf("over its share: %v", err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("refused after %s, and it was to wait for 1 s", took)
		}
		other := acquire(t, m, "192.0.2.2", 18) // a quarter of what both leave
		if _, err := m.Acquire(t.Context(), source("192.0.2.2"), 1); !errors.Is(err, admission.ErrNoMemory) {
			t.Errorf("over its share of the rest: %v", err)
		}
		full.Release()
		full.Release() // gives nothing back twice
		more := acquire(t, m, "192.0.2.2", 7)
		if _, err := m.Acquire(t.Context(), source("192.0.2.2"), 1); !errors.Is(err, admission.ErrNoMemory) {
			t.Errorf("over its share, after one that was given back twice: %v", err)
		}
		other.Release()
		more.Release()
	})
}

func TestWhoeverWaitsGetsWhatIsGivenBackInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := admission.NewMemory(100, 100, time.Second)
		held := acquire(t, m, "192.0.2.1", 100)
		time.AfterFunc(900*time.Millisecond, held.Release)
		later := acquire(t, m, "192.0.2.2", 60)
		later.Release()
	})
}

func TestWhatIsMoreThanAShareIsRefusedWithoutAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := admission.NewMemory(100, 25, time.Hour)
		began := time.Now()
		if _, err := m.Acquire(t.Context(), source("192.0.2.1"), 26); !errors.Is(err, admission.ErrNoMemory) || time.Since(began) > 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

func TestAClientThatGoesAwayWaitsNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := admission.NewMemory(100, 100, time.Hour)
		held := acquire(t, m, "192.0.2.1", 100)
		defer held.Release()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := m.Acquire(ctx, source("192.0.2.2"), 1); !errors.Is(err, admission.ErrNoMemory) {
			t.Error(err)
		}
	})
}

func TestSoManyWaitAndTheRestIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := admission.NewMemory(100, 100, time.Second)
		held := acquire(t, m, "192.0.2.1", 100)
		defer held.Release()
		var atOnce, waited atomic.Int64
		var all sync.WaitGroup
		for range 1500 {
			all.Go(func() {
				began := time.Now()
				if _, err := m.Acquire(t.Context(), source("192.0.2.1"), 1); !errors.Is(err, admission.ErrNoMemory) {
					t.Error(err)
				}
				if time.Since(began) == 0 {
					atOnce.Add(1)
				} else {
					waited.Add(1)
				}
			})
		}
		all.Wait()
		if waited.Load() != 1024 || atOnce.Load() != 476 {
			t.Errorf("%d waited, %d were refused at once", waited.Load(), atOnce.Load())
		}
	})
}

func TestTheBoundHoldsUnderMany(t *testing.T) {
	m := admission.NewMemory(1000, 50, 10*time.Second)
	var now, most atomic.Int64
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			of, bytes := admission.SourceOf(netip.AddrFrom4([4]byte{192, 0, 2, byte(i % 5)})), int64(1+i*7%400)
			held, err := m.Acquire(t.Context(), of, bytes)
			if err != nil {
				t.Error(err)
				return
			}
			for n := now.Add(bytes); ; {
				if was := most.Load(); n <= was || most.CompareAndSwap(was, n) {
					break
				}
			}
			time.Sleep(time.Millisecond)
			now.Add(-bytes)
			held.Release()
		})
	}
	all.Wait()
	if most.Load() > 1000 {
		t.Errorf("%d bytes were held of 1000", most.Load())
	}
	last := acquire(t, m, "198.51.100.1", 500) // all came back
	last.Release()
}

// addressed is a connection of an address.
type addressed struct {
	net.Conn
	from   string
	closed *atomic.Int64
}

func (a addressed) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(a.from), 1024))
}

func (a addressed) Close() error {
	a.closed.Add(1)
	return nil
}

// line is a listener whose connections come from these addresses, one after another.
type line struct {
	net.Listener
	from   []string
	closed atomic.Int64
}

func (l *line) Accept() (net.Conn, error) {
	if len(l.from) == 0 {
		return nil, net.ErrClosed
	}
	next := addressed{from: l.from[0], closed: &l.closed}
	l.from = l.from[1:]
	return next, nil
}

func TestASourceGetsItsShareOfTheConnectionsAndAPlaceAgainWhenOneIsClosed(t *testing.T) {
	refused := 0
	inner := &line{from: []string{"192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1"}}
	l := admission.LimitSources(inner, 8, 25, func() { refused++ })
	accept := func(want string) net.Conn {
		t.Helper()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if host, _, _ := net.SplitHostPort(c.RemoteAddr().String()); host != want {
			t.Fatalf("accepted %s, not %s", host, want)
		}
		return c
	}
	first := accept("192.0.2.1")
	accept("192.0.2.1")
	accept("192.0.2.2") // the third of the first source was refused
	accept("2001:db8::1")
	accept("2001:db8::2")
	if refused != 1 || inner.closed.Load() != 1 {
		t.Errorf("%d refused, %d closed", refused, inner.closed.Load())
	}
	for range 2 { // a second Close frees no second place
		_ = first.Close()
	}
	accept("192.0.2.1")
	if refused != 2 {
		t.Errorf("%d refused, and the third of the network was to be, too", refused)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
