package server

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"

	"strongroom.dev/strongroom/internal/core/trail"
	"strongroom.dev/strongroom/internal/gateway/admission"
)

// deadlines is a ResponseWriter that notes when it was told to read no more.
type deadlines struct {
	http.ResponseWriter
	mu  sync.Mutex
	cut time.Time
}

func (d *deadlines) SetReadDeadline(to time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if to.Before(time.Now()) {
		d.cut = time.Now()
	}
	return nil
}

func (d *deadlines) cutOff() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cut
}

// apart has paces of its own: a timer is of the clock that it was made under.
func apart(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	fresh := paces.New
	defer func() { paces = sync.Pool{New: fresh} }()
	paces = sync.Pool{New: fresh}
	synctest.Test(t, test)
}

func TestASenderIsCutOffWhenItIsSlowerThanItMayBe(t *testing.T) {
	for _, c := range []struct {
		name  string
		first time.Duration // when it begins
		rate  int           // bytes a second
		until time.Duration
		cut   time.Duration // 0: it is not
	}{
		{"one that sends nothing", time.Hour, 0, time.Minute, paceGrace},
		{"one that begins in time and keeps up", paceGrace - time.Second, 2 * paceRate, time.Minute, 0},
		{"one that keeps up to the byte", time.Second, paceRate, time.Minute, 0},
		{"one that begins too late", paceGrace + time.Second, 1 << 30, time.Minute, paceGrace},
		{"one that sends half as fast", 0, paceRate / 2, time.Minute, 2 * paceGrace},
		{"one that sends a byte a second", 0, 1, time.Minute, paceGrace},
	} {
		apart(t, func(t *testing.T) {
			w := &deadlines{}
			p := beginPace(w)
			began := time.Now()
			time.Sleep(c.first)
			for c.rate > 0 && time.Since(began) < c.until && w.cutOff().IsZero() {
				p.came(c.rate)
				time.Sleep(time.Second)
			}
			cut := w.cutOff()
			p.end()
			took := cut.Sub(began).Round(time.Second)
			if cut.IsZero() != (c.cut == 0) || !cut.IsZero() && (took < c.cut || took > c.cut+time.Second) {
				t.Errorf("%s: cut off after %v, and not %v", c.name, took, c.cut)
			}
		})
	}
}

func TestAPaceThatHasEndedCutsNobodyOff(t *testing.T) {
	apart(t, func(t *testing.T) {
		for range 100 {
			first := &deadlines{}
			beginPace(first).end()
			second := &deadlines{}
			p := beginPace(second) // which may be the first's
			time.Sleep(paceGrace - 1)
			p.end()
			time.Sleep(2 * paceGrace)
			if !first.cutOff().IsZero() || !second.cutOff().IsZero() {
				t.Fatal("it was cut off")
			}
		}
	})
}

func newServer(t *testing.T) *Server {
	t.Helper()
	s, err := New(Options{Regions: []string{"us-east-1"}, Credentials: nobody{}, Trail: trail.NewWriter(io.Discard), Now: time.Now, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestFourSourcesThatAnnounceLargeBodiesDoNotTakeTheMemory: sixteen announced bodies of each source were all there was. They hold what came
// of them, and others get what they need at once.
func TestFourSourcesThatAnnounceLargeBodiesDoNotTakeTheMemory(t *testing.T) {
	s := newServer(t)
	var all sync.WaitGroup
	var ends []io.Closer
	for source := range 4 {
		for n := range 60 {
			reader, writer := io.Pipe()
			r := httptest.NewRequest(http.MethodPost, "/", reader)
			r.ContentLength = maximumBody
			if n%2 == 1 {
				r.ContentLength = -1
			}
			r.Header.Set("X-Amz-Target", "secretsmanager.PutSecretValue")
			r.RemoteAddr = fmt.Sprintf("192.0.2.%d:%d", source, 1024+n)
			all.Go(func() { s.ServeHTTP(httptest.NewRecorder(), r) })
			if _, err := writer.Write(make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
			ends = append(ends, writer)
		}
	}
	for _, from := range []string{"198.51.100.1:1024", "192.0.2.1:9999"} { // another, and one of them
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", maximumBody)))
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		began := time.Now()
		s.ServeHTTP(w, r)
		if took := time.Since(began); w.Code == http.StatusServiceUnavailable || took > admission.Patience/2 {
			t.Errorf("%s: %d after %v", from, w.Code, took)
		}
	}
	for _, end := range ends {
		_ = end.Close()
	}
	all.Wait()
	whole, err := s.memory.Acquire(t.Context(), admission.Source{}, admission.MaximumMemory*admission.DefaultShare/100)
	if err != nil {
		t.Errorf("they gave back less than they took: %v", err)
	}
	whole.Release()
}

// TestABodyForWhichThereIsNoMemoryIsRefusedWhenItComes, and not before.
func TestABodyForWhichThereIsNoMemoryIsRefusedWhenItComes(t *testing.T) {
	s := newServer(t)
	s.memory = admission.NewMemory(2*admission.Overhead, 100, time.Millisecond)
	ask := func(body int) int {
		r, w := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", body))), httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Code
	}
	for body, want := range map[int]int{0: 400, 100: 400, maximumTrusted: 400, admission.Overhead + maximumTrusted - 1: 400, 2 * admission.Overhead: 503, maximumBody: 503} {
		if got := ask(body); (got == http.StatusServiceUnavailable) != (want == http.StatusServiceUnavailable) {
			t.Errorf("a body of %d bytes: %d", body, got)
		}
	}
}

// TestConnectionsThatAnnounceABodyAndSendNoneAreCutOff, over HTTP/1.1 and 2; one that sends is answered meanwhile and afterwards.
func TestConnectionsThatAnnounceABodyAndSendNoneAreCutOff(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	door := httptest.NewUnstartedServer(s)
	door.EnableHTTP2 = true
	door.StartTLS()
	defer door.Close()
	began := time.Now()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			c, err := tls.Dial("tcp", door.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = c.Close() }()
			if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nX-Amz-Target: TrentService.Encrypt\r\nContent-Length: 200000\r\n\r\n{"); err != nil {
				t.Error(err)
			}
			answer, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Error(err)
				return
			}
			if answer.StatusCode != http.StatusBadRequest || !answer.Close {
				t.Errorf("%d, and it may go on: %t", answer.StatusCode, !answer.Close)
			}
		})
		all.Go(func() { // a stream of one connection of HTTP/2
			reader, writer := net.Pipe()
			defer func() { _ = writer.Close() }()
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, door.URL, reader)
			r.ContentLength = 200_000
			answer, err := door.Client().Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = answer.Body.Close() }()
			if answer.ProtoMajor != 2 || answer.StatusCode != http.StatusBadRequest {
				t.Errorf("%s %d", answer.Proto, answer.StatusCode)
			}
		})
	}
	for range 3 {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, door.URL, strings.NewReader(strings.Repeat("x", 100_000)))
		answer, err := door.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _ = answer.Body.Close(); answer.StatusCode != http.StatusBadRequest || time.Since(began) > paceGrace-time.Second {
			t.Errorf("%d after %v", answer.StatusCode, time.Since(began))
		}
	}
	all.Wait()
	if took := time.Since(began); took < paceGrace || took > 3*paceGrace {
		t.Errorf("they were cut off after %v", took)
	}
}
