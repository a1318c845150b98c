package server

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/trail"
)

// TestAnExpectationThatIsNotMetIsToldOfAndTheBodyIsNotRead, in each protocol's form, and has a record. Over HTTP/1.1 net/http answers 417 by
// itself.
func TestAnExpectationThatIsNotMetIsToldOfAndTheBodyIsNotRead(t *testing.T) {
	for _, c := range []struct {
		expect []string
		target string
		status int
		says   string
	}{
		{nil, "TrentService.ListKeys", 400, "MissingAuthenticationTokenException"},
		{[]string{"100-continue"}, "TrentService.ListKeys", 400, "MissingAuthenticationTokenException"},
		{[]string{"100-Continue"}, "TrentService.ListKeys", 400, "MissingAuthenticationTokenException"},
		{[]string{"foo"}, "TrentService.ListKeys", 417, `"ExpectationFailedException"`},
		{[]string{""}, "TrentService.ListKeys", 417, `"ExpectationFailedException"`},
		{[]string{"100-continue", "foo"}, "TrentService.ListKeys", 417, `"ExpectationFailedException"`},
		{[]string{"100-continue, foo"}, "TrentService.ListKeys", 417, `"ExpectationFailedException"`},
		{[]string{"foo"}, "", 417, "<Code>ExpectationFailed</Code>"},
	} {
		s := newServer(t)
		var log bytes.Buffer
		s.Trail = trail.NewWriter(&log)
		body := strings.NewReader("{}")
		r := httptest.NewRequest(http.MethodPost, "/", body)
		r.ProtoMajor, r.Proto = 2, "HTTP/2.0"
		r.Header["Expect"] = c.expect
		r.Header.Set("X-Amz-Target", c.target)
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != c.status || c.says != "MissingAuthenticationTokenException" && !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%q: %d %s", c.expect, w.Code, w.Body)
		}
		if c.status == http.StatusExpectationFailed && (body.Len() != 2 || !strings.Contains(log.String(), "ExpectationFailed")) {
			t.Errorf("%q: %d bytes are left, recorded is %s", c.expect, body.Len(), &log)
		}
	}
}

// TestOverHTTP2AnExpectationIsRefused, which an HTTP/2 server hands on.
func TestOverHTTP2AnExpectationIsRefused(t *testing.T) {
	s := newServer(t)
	door := httptest.NewUnstartedServer(s)
	door.EnableHTTP2 = true
	door.StartTLS()
	defer door.Close()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, door.URL, strings.NewReader("{}"))
	r.Header.Set("Expect", "foo")
	answer, err := door.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if answer.ProtoMajor != 2 || answer.StatusCode != http.StatusExpectationFailed || !strings.Contains(string(text), "ExpectationFailed") {
		t.Errorf("%s %d %s", answer.Proto, answer.StatusCode, text)
	}
}
