package environment_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"strongroom.dev/strongroom/test/environment"
)

// broken is a body that says io.EOF as a failure, as that of a request which the SDK has closed.
type broken struct{ io.Reader }

func (broken) WriteTo(io.Writer) (int64, error) { return 0, io.EOF }
func (broken) Close() error                     { return nil }

func TestARequestIsSentWholeWhateverItsBodyIs(t *testing.T) {
	var got atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got.Store(string(body))
	}))
	defer server.Close()
	client := &http.Client{Transport: environment.Whole(http.DefaultTransport)}
	for want, body := range map[string]io.Reader{"": nil, "text": broken{strings.NewReader("text")}} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body)
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = int64(len(want))
		answer, err := client.Do(r)
		if err != nil {
			t.Fatalf("%q: %v", want, err)
		}
		_ = answer.Body.Close()
		if got.Load() != want {
			t.Errorf("%q came for %q", got.Load(), want)
		}
	}
}

var errRead = errors.New("it cannot be read")

func TestABodyThatCannotBeReadIsNotSent(t *testing.T) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1:1", io.MultiReader(strings.NewReader("a part"), failing{}))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := environment.Whole(http.DefaultTransport).RoundTrip(r)
	if err == nil {
		_ = answer.Body.Close()
	}
	if !errors.Is(err, errRead) {
		t.Errorf("%v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errRead }
