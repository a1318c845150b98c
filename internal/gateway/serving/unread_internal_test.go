package serving

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestARequestThatNoHandlerSeesIsCountedAndLoggedWithItsSource(t *testing.T) {
	var mu sync.Mutex
	var logged []string
	log := funcr.New(func(_, args string) {
		mu.Lock()
		defer mu.Unlock()
		logged = append(logged, args)
	}, funcr.Options{})
	u := &unread{log: log, next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "served")
	})}
	s := httptest.NewUnstartedServer(u)
	s.Config.ConnContext, s.Config.ConnState, s.Config.MaxHeaderBytes = u.context, u.state, 4096
	s.Start()
	defer s.Close()
	const ok = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	for name, tt := range map[string]struct {
		sent   string
		status int // of the last answer, 0 for none
		unread float64
	}{
		"a request":                            {ok, 200, 0},
		"two requests":                         {ok + ok, 200, 0},
		"that expects to go on":                {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx", 200, 0},
		"nothing":                              {"", 0, 0},
		"that expects something else":          {"POST / HTTP/1.1\r\nHost: a\r\nExpect: foo\r\nContent-Length: 1\r\n\r\nx", 417, 1},
		"of an unknown transfer coding":        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501, 1},
		"that is no HTTP":                      {"hello\r\n\r\n", 400, 1},
		"of a head that is too large":          {"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 16<<10) + "\r\n\r\n", 431, 1},
		"one that is read, and one that isn't": {ok + "GET / HTTP/1.1\r\nHost: a\r\nExpect: foo\r\n\r\n", 417, 1},
		"half of a head":                       {"GET / HTTP/1.1\r\nHost", 400, 1},
	} {
		before := testutil.ToFloat64(unreadRequests)
		mu.Lock()
		logged = nil
		mu.Unlock()
		if got := lastStatus(t, s.Listener.Addr().String(), tt.sent); got != tt.status {
			t.Errorf("%s: %d", name, got)
		}
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			left := 0
			u.connections.Range(func(any, any) bool { left++; return true })
			if left == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d connections are remembered", name, left)
			}
		}
		if got := testutil.ToFloat64(unreadRequests) - before; got != tt.unread {
			t.Errorf("%s: %v were counted", name, got)
		}
		mu.Lock()
		if len(logged) != int(tt.unread) || len(logged) == 1 && !strings.Contains(logged[0], `"sourceIPAddress"="127.0.0.1:`) {
			t.Errorf("%s: %q", name, logged)
		}
		mu.Unlock()
	}
}

// lastStatus sends bytes over a connection of their own, and gives the status of the last answer.
func lastStatus(t *testing.T, address, sent string) (status int) {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(c, sent)
	_ = c.(*net.TCPConn).CloseWrite()
	for r := bufio.NewReader(c); ; {
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			return status
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusContinue {
			status = answer.StatusCode
		}
	}
}
