package environment

import (
	"bytes"
	"io"
	"net/http"
)

// Whole sends each request's body from memory. AWS's SDK for Go (smithy-go) closes a body as soon as it has the head of the answer, and from then on says io.EOF as a failure where net/http looks whether there is more
// of it: net/http then closes the connection, in the middle of an answer that is longer than what it has read. Who answers from the same machine is quick enough for that, and tests have no second attempt, by which the
// SDK gets over it.
func Whole(next http.RoundTripper) http.RoundTripper { return whole{next} }

type whole struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (w whole) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return w.next.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if err := r.Body.Close(); err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body)) // which net/http knows to be in memory, and sends with the head
	return w.next.RoundTrip(r)
}
