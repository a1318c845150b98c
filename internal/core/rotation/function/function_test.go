package function_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/rotation/function"
)

const password = "correct horse battery staple"

var event = function.Event{
	Step: rotation.StepSet, SecretID: "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf",
	ClientRequestToken: "0d2f3c1e-7a5b-4c8d-9e6f-112233445566", RotationToken: "6a1b2c3d-0000-4000-8000-112233445566",
}

func serve(t *testing.T, answer http.HandlerFunc) *function.Endpoint {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return &function.Endpoint{Address: s.Listener.Addr().String()}
}

func TestAFunctionIsPostedAWSsEventAtTheEmulatorsPath(t *testing.T) {
	var method, path, kind string
	var got map[string]any
	e := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		method, path, kind = r.Method, r.URL.Path, r.Header.Get("Content-Type")
		_ = json.NewDecoder(r.Body).Decode(&got)
	})
	if err := e.Invoke(t.Context(), &event); err != nil {
		t.Fatal(err)
	}
	if method != http.MethodPost || path != "/2015-03-31/functions/function/invocations" || kind != "application/json" {
		t.Errorf("%s %s of %s", method, path, kind)
	}
	want := map[string]any{
		"Step": "setSecret", "SecretId": event.SecretID, "ClientRequestToken": event.ClientRequestToken, "RotationToken": event.RotationToken,
	}
	if len(got) != len(want) {
		t.Errorf("the event is %v", got)
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %v, want %v", name, got[name], value)
		}
	}
}

// What the runtimes of AWS's images answer, and what else may stand at the address.
func TestAnAnswerIsASuccessOrAFailure(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		header string
		body   string
		// says is part of the error; empty for success.
		says string
	}{
		"Python's function without a result":    {200, "", "null", ""},
		"nothing at all":                        {200, "", "", ""},
		"a text":                                {200, "", `"done"`, ""},
		"an object":                             {200, "", `{"statusCode": 200, "body": "x"}`, ""},
		"a list":                                {200, "", `[1]`, ""},
		"the longest answer that is read":       {200, "", `"` + strings.Repeat("x", 64<<10-2) + `"`, ""},
		"one byte more":                         {200, "", `"` + strings.Repeat("x", 64<<10-1) + `"`, "longer than 65536 bytes"},
		"an error of Python":                    {200, "", `{"errorMessage": "no: ` + password + `", "errorType": "ValueError", "stackTrace": []}`, "raised ValueError"},
		"an error of Java":                      {200, "", `{"errorMessage": "` + password + `", "errorType": "com.example.Refused$Login"}`, "raised com.example.Refused$Login"},
		"an error of Ruby":                      {200, "", `{"errorMessage": "` + password + `", "errorType": "Function<PG::ConnectionBad>"}`, "raised an error"},
		"an error without a type":               {200, "", `{"errorMessage": "` + password + `"}`, "raised an error"},
		"an error whose type is no text":        {200, "", `{"errorType": 1}`, "raised an error"},
		"a type that is a sentence":             {200, "", `{"errorType": "the password is ` + password + `"}`, "raised an error"},
		"a type of 64 letters":                  {200, "", `{"errorType": "` + strings.Repeat("E", 64) + `"}`, strings.Repeat("E", 64)},
		"a type of 65 letters":                  {200, "", `{"errorType": "` + strings.Repeat("E", 65) + `"}`, "raised an error"},
		"a type with a line break":              {200, "", `{"errorType": "A\nB"}`, "raised an error"},
		"the header that tells an error, alone": {200, "Unhandled", `"` + password + `"`, "raised an error"},
		"the header with a body that is none":   {200, "Handled", "", "raised an error"},
		"the emulator's word of a timeout":      {200, "", "Task timed out after 3.00 seconds", "no JSON"},
		"JSON that is cut off":                  {200, "", `{"a":`, "no JSON"},
		"another status of success":             {202, "", "", "HTTP status 202"},
		"a server's failure":                    {500, "", password, "HTTP status 500"},
		"nothing at the path":                   {404, "", password, "HTTP status 404"},
	} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if tt.header != "" {
					w.Header().Set("X-Amz-Function-Error", tt.header)
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			})
			err := e.Invoke(t.Context(), &event)
			switch {
			case tt.says == "" && err != nil:
				t.Error(err)
			case tt.says != "" && (!errors.Is(err, function.ErrFunction) || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("%v, want %q", err, tt.says)
			case err != nil && strings.Contains(err.Error(), password):
				t.Errorf("%v quotes the password", err)
			}
		})
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	followed := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		e := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, status) })
		if err := e.Invoke(t.Context(), &event); !errors.Is(err, function.ErrFunction) || followed {
			t.Errorf("%d: %v, followed: %t", status, err, followed)
		}
	}
}

func TestAProxyOfTheEnvironmentIsNotAsked(t *testing.T) {
	asked := false
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer proxy.Close()
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	e := serve(t, func(http.ResponseWriter, *http.Request) {})
	to := e.Address
	// A name that is not loopback's, for which Go asks no proxy anyway.
	e.Address = "rotate.shop.svc:8080"
	e.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != "rotate.shop.svc:8080" {
			t.Errorf("%s is connected to", address)
		}
		return (&net.Dialer{}).DialContext(ctx, network, to)
	}
	if err := e.Invoke(t.Context(), &event); err != nil || asked {
		t.Errorf("%v, asked: %t", err, asked)
	}
}

func TestAFunctionThatIsNotThereIsUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	e := &function.Endpoint{Address: listener.Addr().String()}
	if err := e.Invoke(t.Context(), &event); !errors.Is(err, rotation.ErrUnreachable) {
		t.Error(err)
	}
}

func TestAConnectionThatBreaksIsUnreachableAndNothingOfItIsQuoted(t *testing.T) {
	for name, answer := range map[string]string{
		"without a word": "", "that is no HTTP": password + "\r\n\r\n", "within the body": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + password,
		"with a header without end": "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			e := &function.Endpoint{Address: "rotate:8080", Dial: func(context.Context, string, string) (net.Conn, error) {
				here, there := net.Pipe()
				go func() {
					_, _ = there.Read(make([]byte, 4096))
					_, _ = io.WriteString(there, answer)
					_ = there.Close()
				}()
				return here, nil
			}}
			err := e.Invoke(t.Context(), &event)
			if !errors.Is(err, rotation.ErrUnreachable) || strings.Contains(err.Error(), password) {
				t.Error(err)
			}
		})
	}
}

func TestAFunctionThatTakesTooLongIsLeft(t *testing.T) {
	left := make(chan struct{})
	e := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		close(left)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := e.Invoke(ctx, &event); !errors.Is(err, rotation.ErrUnreachable) || !strings.Contains(err.Error(), "did not answer") {
		t.Error(err)
	}
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Error("the connection stays open")
	}
}

func TestOnlyACertificateOfTheAuthoritiesForTheNameIsTrusted(t *testing.T) {
	called := false
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	defer s.Close()
	s.Config.ErrorLog = nil
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	for name, tt := range map[string]struct {
		config *tls.Config
		good   bool
	}{
		"of the authorities":       {&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: "example.com"}, true},
		"of another name":          {&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: "rotate.shop.svc"}, false},
		"of an authority not told": {&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool(), ServerName: "example.com"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			called = false
			e := &function.Endpoint{Address: s.Listener.Addr().String(), TLS: tt.config}
			err := e.Invoke(t.Context(), &event)
			if tt.good && err != nil || !tt.good && !errors.Is(err, rotation.ErrTLS) || called != tt.good {
				t.Errorf("%v, called: %t", err, called)
			}
		})
	}
	plain := serve(t, func(http.ResponseWriter, *http.Request) { called = true })
	plain.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: "example.com"}
	if err := plain.Invoke(t.Context(), &event); err == nil {
		t.Error("a function without TLS is called in the clear")
	}
}

// Whatever is answered, it is judged, and of what it says nothing but a name comes back.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{"", "null", `{"errorType":"ValueError","errorMessage":"x"}`, `{"errorType":1}`, "Task timed out", "[", `{"errorType":"a b"}`} {
		f.Add([]byte(seed), "", 200)
		f.Add([]byte(seed), "Unhandled", 500)
	}
	f.Fuzz(func(t *testing.T, body []byte, header string, status int) {
		if status < 200 || status > 599 || strings.ContainsAny(header, "\r\n\x00") {
			return
		}
		marked := bytes.Clone(body)
		err := function.Judge(status, header, marked)
		if !bytes.Equal(marked, body) {
			t.Error("the answer is changed")
		}
		if err == nil {
			if status != 200 || header != "" {
				t.Errorf("%d %q %q is a success", status, header, body)
			}
			return
		}
		if !errors.Is(err, function.ErrFunction) || len(err.Error()) > 200 || strings.ContainsAny(err.Error(), "\n\r") {
			t.Errorf("%q", err)
		}
	})
}
