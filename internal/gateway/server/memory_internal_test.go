package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/go-logr/logr"

	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/trail"
	"strongroom.dev/strongroom/internal/gateway/admission"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

// bodyOf reads a body, and tells how much memory it asked for.
func bodyOf(from io.Reader, length int64, exactly bool) (body []byte, took int64, err error) {
	b := bodyReader{from: from, length: length, exactly: exactly, pace: beginPace(httptest.NewRecorder()), grow: func(bytes int64) error {
		took += bytes
		return nil
	}}
	defer b.pace.end()
	body, err = b.read()
	return body, took + maximumTrusted, err
}

func TestABodyIsReadWholeHoweverItComes(t *testing.T) {
	for _, n := range []int{0, 1, 511, 512, 513, maximumTrusted - 1, maximumTrusted, maximumTrusted + 1, 100_000, maximumBody} {
		text := bytes.Repeat([]byte("strongroom"), n/10+1)[:n]
		for name, r := range map[string]func() io.Reader{
			"at once":            func() io.Reader { return bytes.NewReader(text) },
			"in halves":          func() io.Reader { return iotest.HalfReader(bytes.NewReader(text)) },
			"with its end in it": func() io.Reader { return iotest.DataErrReader(bytes.NewReader(text)) },
		} {
			for _, exactly := range []bool{true, false} {
				length := int64(n)
				if !exactly {
					length = maximumBody
				}
				body, took, err := bodyOf(r(), length, exactly)
				if took > 2*max(int64(n)+1, maximumTrusted) {
					t.Errorf("%d bytes %s, exactly %v: %d were asked for", n, name, exactly, took)
				}
				if err != nil || !bytes.Equal(body, text) {
					t.Errorf("%d bytes %s, exactly %v: %d bytes, %v", n, name, exactly, len(body), err)
				}
				if int64(cap(body)) > length+1 {
					t.Errorf("%d bytes %s take %d", n, name, cap(body))
				}
			}
		}
	}
}

func TestABodyThatEndsEarlyOrFailsIsRefused(t *testing.T) {
	if _, _, err := bodyOf(strings.NewReader("short"), 6, true); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	broken := errors.New("broken")
	if _, _, err := bodyOf(iotest.ErrReader(broken), 6, false); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestMemoryIsNotTakenForWhatDoesNotCome(t *testing.T) {
	body, _, _ := bodyOf(strings.NewReader("little"), maximumBody, true)
	if cap(body) > maximumTrusted {
		t.Errorf("%d bytes for a body of which 6 came", cap(body))
	}
}

// nobody has no credential.
type nobody struct{}

func (nobody) Credential(context.Context, string, string) (serviceiam.Credential, error) {
	return serviceiam.Credential{Secret: secretbytes.Copy([]byte("x"))}, serviceiam.ErrUnknownAccessKey
}

// TestARequestWaitsForMemoryAndIsRefusedAsAWSDoes fills the memory of one source with a request whose body does not end.
func TestARequestWaitsForMemoryAndIsRefusedAsAWSDoes(t *testing.T) {
	s, err := New(Options{Regions: []string{"us-east-1"}, Credentials: nobody{}, Trail: trail.NewWriter(io.Discard), Now: time.Now, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	const body = 1000
	s.memory = admission.NewMemory(8*admission.Overhead, 20, 20*time.Millisecond)
	reader, writer := io.Pipe()
	slow := httptest.NewRequest(http.MethodPost, "/", reader)
	slow.ContentLength = body
	slow.RemoteAddr = "192.0.2.1:1024"
	ended := make(chan int)
	go func() {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, slow)
		ended <- w.Code
	}()
	if _, err := writer.Write([]byte("x")); err != nil { // it is being read
		t.Fatal(err)
	}
	ask := func(from, target string) *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
		r.RemoteAddr = from
		r.Header.Set("X-Amz-Target", target)
		s.ServeHTTP(w, r)
		return w
	}
	if w := ask("192.0.2.1:1025", "TrentService.ListKeys"); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "ServiceUnavailable") {
		t.Errorf("the source that has its share: %d %s", w.Code, w.Body)
	}
	if w := ask("192.0.2.1:1025", ""); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "<Code>ServiceUnavailable</Code>") {
		t.Errorf("in a query: %d %s", w.Code, w.Body)
	}
	if w := ask("192.0.2.2:1025", "TrentService.ListKeys"); w.Code != http.StatusBadRequest {
		t.Errorf("another source: %d %s", w.Code, w.Body)
	}
	_ = writer.Close()
	if code := <-ended; code != http.StatusBadRequest {
		t.Errorf("the slow request: %d", code)
	}
	for range 10 { // each gives back what it had
		if w := ask("192.0.2.1:1025", "TrentService.ListKeys"); w.Code != http.StatusBadRequest {
			t.Fatalf("afterwards: %d %s", w.Code, w.Body)
		}
	}
}
