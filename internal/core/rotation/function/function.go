// Package function calls rotation functions that were written for AWS Secrets Manager, by the API of AWS Lambda's runtime interface
// emulator: a POST of the event, to one path, whose answer is the function's.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
// https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
package function

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"time"

	"strongroom.dev/strongroom/internal/core/rotation"
)

const (
	// Path is where the emulator serves a container's function.
	// https://docs.aws.amazon.com/lambda/latest/dg/images-test.html
	Path = "/2015-03-31/functions/function/invocations"
	// Timeout of one step.
	Timeout = 25 * time.Second
	// maximumAnswer bounds what a function can make this process read, in bytes. Rotation functions answer with nothing.
	maximumAnswer = 64 << 10
	// maximumHeader is the same of an answer's header.
	maximumHeader = 16 << 10
)

// ErrFunction says that the function raised an error, or that its answer is none of the API's.
var ErrFunction = errors.New("the rotation function failed")

// Event is what AWS Secrets Manager invokes a rotation function with, by its names.
type Event struct {
	Step rotation.Step
	// SecretID is the secret's ARN.
	SecretID string `json:"SecretId"`
	// ClientRequestToken is the id of the version that is brought in.
	ClientRequestToken string
	// RotationToken is what AWS tells cross-account calls by. Functions pass it to PutSecretValue.
	RotationToken string
}

// Endpoint is where a function is.
type Endpoint struct {
	// Address is HOST:PORT.
	Address string
	// TLS has it called by HTTPS; by HTTP if nil.
	TLS *tls.Config
	// Dial connects; a net.Dialer's if nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Invoke has the function carry out a step and returns when it has. There is one connection a call, no redirect is followed, and no proxy is
// taken from the environment. Errors wrap rotation.ErrUnreachable, rotation.ErrTLS or ErrFunction. Of what a function says they have the
// name of an error's type alone: its message may quote a password.
func (e *Endpoint) Invoke(ctx context.Context, event *Event) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	body, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	scheme := "http"
	if e.TLS != nil {
		scheme = "https"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://"+e.Address+Path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Amz-Invocation-Type", "RequestResponse")
	answer, err := e.client().Do(request)
	if err != nil {
		return e.unreached(ctx, err)
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(answer.Body, maximumAnswer+1))
	defer clear(content)
	if err != nil {
		return e.unreached(ctx, err)
	}
	return judge(answer, content)
}

func (e *Endpoint) client() *http.Client {
	dial := e.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy: nil, DialContext: dial, TLSClientConfig: e.TLS, DisableKeepAlives: true, DisableCompression: true,
			MaxResponseHeaderBytes: maximumHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// unreached says why no answer came. The connection's own words hold addresses, and may hold part of an answer that is none of HTTP's.
func (e *Endpoint) unreached(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return rotation.Because(rotation.ErrUnreachable, "%s did not answer within %s", e.Address, Timeout)
	case rotation.IsTLS(err):
		return rotation.Because(rotation.ErrTLS, "with the rotation function at %s", e.Address)
	case rotation.IsNetwork(err), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return rotation.Because(rotation.ErrUnreachable, "no connection to the rotation function at %s, or it broke", e.Address)
	}
	return rotation.Because(rotation.ErrUnreachable, "what %s answered is no HTTP", e.Address)
}

// failure is how a runtime reports an error of a function.
// https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
type failure struct {
	Type    json.RawMessage `json:"errorType"`
	Message json.RawMessage `json:"errorMessage"`
}

// judge says whether an answer is a success. The emulator answers 200 to functions that failed, too: those bodies tell, or are no JSON, as
// when the function ran out of time.
func judge(answer *http.Response, content []byte) error {
	switch {
	case answer.StatusCode != http.StatusOK:
		return rotation.Because(ErrFunction, "it answered with HTTP status %d", answer.StatusCode)
	case len(content) > maximumAnswer:
		return rotation.Because(ErrFunction, "its answer is longer than %d bytes", maximumAnswer)
	case len(bytes.TrimSpace(content)) > 0 && !json.Valid(content):
		return rotation.Because(ErrFunction, "its answer is no JSON, as of a function that ran out of time")
	}
	var f failure
	object := json.Unmarshal(content, &f) == nil // an answer of another type says nothing
	raised := answer.Header.Get("X-Amz-Function-Error") != ""
	if !raised && (!object || len(f.Type) == 0 && len(f.Message) == 0) {
		return nil
	}
	return rotation.Because(ErrFunction, "it raised %s; its own log has the message", typeName(f.Type))
}

// plain is the name of a type in any language that functions are written in.
var plain = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_.:$]{0,63}$`)

// typeName is an error's type as it may be shown.
func typeName(raw json.RawMessage) string {
	var name string
	if json.Unmarshal(raw, &name) != nil || !plain.MatchString(name) {
		return "an error"
	}
	return name
}
