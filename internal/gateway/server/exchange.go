package server

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/admission"
	"strongroom.dev/strongroom/internal/gateway/audit"
	"strongroom.dev/strongroom/internal/gateway/sigv4"
)

// exchange is one request and its answer.
type exchange struct {
	request   *http.Request
	start     time.Time
	requestID string
	body      []byte
	held      admission.Held  // the memory of the body, until the request is authenticated
	spent     admission.Spent // what it has of the account's budget, from then on

	protocol  protocol
	service   *service
	operation *operation
	// asked is the operation's name as the request has it, whether it is served or not.
	asked  string
	signed *sigv4.Request // nil for an unsigned request
	form   []byte         // of a query: the body, or the URL's
	call   gateway.Call

	input, output any
	failure       *failure // nil for success
	out           *[]byte  // the answer's buffer
}

func (s *Server) begin(r *http.Request) *exchange {
	e := &exchange{request: r, start: s.Now(), requestID: newID(), protocol: protocolOf(r)}
	e.call = gateway.Call{RequestID: e.requestID, EventID: newID(), Time: e.start, SourceIP: remote(r)}
	return e
}

// remote is the connection's other end. What proxies say in headers is not believed.
func remote(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr, _ := netip.ParseAddr(host)
	return addr.WithZone("")
}

// expected refuses a request that expects what nobody here meets, before its body is asked for. Of HTTP/1.1 net/http does so by itself; HTTP/2
// hands them on.
// https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1
func expected(e *exchange) error {
	for _, expectation := range e.request.Header["Expect"] {
		if !strings.EqualFold(expectation, "100-continue") {
			return errExpected
		}
	}
	return nil
}

// maximumTrusted is the length that memory is made for before anything came: admission.Overhead has room for it. For more, it grows with
// what really comes.
const maximumTrusted = 4 << 10

// read reads the body whole: the signature is of all of it. Of memory the request holds the overhead from now on, and its body's part as it
// comes, whatever length it announces, until it is authenticated, or over.
func (s *Server) read(e *exchange, w http.ResponseWriter) (err error) {
	limit := int64(maximumBody)
	if named := s.named(e); named != nil {
		limit = named.maximumBody
	}
	if e.request.ContentLength > limit {
		return errTooLarge
	}
	if e.held, err = s.memory.Acquire(e.request.Context(), admission.SourceOf(e.call.SourceIP), admission.Overhead); err != nil {
		return errNoMemory
	}
	if e.request.ContentLength == 0 {
		return nil
	}
	b := bodyReader{
		from: http.MaxBytesReader(nil, e.request.Body, limit), length: limit, pace: beginPace(w),
		grow: func(bytes int64) error { return e.held.Grow(e.request.Context(), bytes) },
	}
	defer b.pace.end()
	if e.request.ContentLength > 0 {
		b.length, b.exactly = e.request.ContentLength, true
	}
	e.body, err = b.read()
	return readFailure(err)
}

// bodyReader reads a body of at most length bytes, or of exactly as many.
type bodyReader struct {
	from    io.Reader
	length  int64
	exactly bool
	// grow asks for so much more memory.
	grow func(bytes int64) error
	pace *pace
}

// read is the whole body, or as much as there is of it with an error. Memory for it is doubled, so that what is held is at most twice what
// came, and half of that again while it is moved. What is left behind is overwritten.
func (b *bodyReader) read() (body []byte, err error) {
	body = make([]byte, 0, min(b.length, maximumTrusted))
	for {
		if len(body) == cap(body) {
			if b.exactly && int64(len(body)) == b.length {
				return body, nil
			}
			size := min(max(2*int64(cap(body)), 512), b.length+1)
			if err := b.grow(size - int64(cap(body))); err != nil {
				return body, err
			}
			grown := append(make([]byte, 0, size), body...)
			clear(body)
			body = grown
		}
		n, err := b.from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		b.pace.came(n)
		switch {
		case errors.Is(err, io.EOF) && b.exactly && int64(len(body)) < b.length:
			return body, io.ErrUnexpectedEOF
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return body, err
		}
	}
}

func readFailure(err error) error {
	if err == nil {
		return nil
	}
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return errTooLarge
	case errors.Is(err, admission.ErrNoMemory):
		return errNoMemory
	}
	return errTruncated
}

// buffers are those of answers and of records.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

// maximumPooled is the capacity over which a buffer is not kept.
const maximumPooled = 64 << 10

func (e *exchange) buffer() []byte {
	e.out = buffers.Get().(*[]byte)
	return (*e.out)[:0]
}

// answered notes the answer that was made in the buffer. If it had to grow, what was written before is overwritten where it was.
func (e *exchange) answered(body []byte) []byte {
	if was := (*e.out)[:cap(*e.out)]; len(was) > 0 && len(body) > 0 && &was[0] != &body[0] {
		clear(was)
	}
	*e.out = body
	return body
}

// release overwrites what may be secret of a request that is carried out and written down as an answer: the body, and the members of the
// input and the output that are. It gives back what memory is held for them. A second call does nothing.
func (e *exchange) release() {
	clear(e.body)
	if e.operation != nil && e.input != nil {
		e.operation.wipeInput.wipe(e.input)
		e.operation.wipeOutput.wipe(e.output)
	}
	e.body, e.input, e.output = nil, nil, nil
	e.held.Release()
	e.spent.Return()
}

// wipe releases, and overwrites the answer.
func (e *exchange) wipe() {
	e.release()
	if e.out == nil {
		return
	}
	clear((*e.out)[:cap(*e.out)]) // all of it: what was being written when an encoder gave up, too
	if cap(*e.out) <= maximumPooled {
		buffers.Put(e.out)
	}
}

// Headers of answers that are always the same. net/http copies them.
var noStore, noSniff, rpcAnswers = []string{"no-store"}, []string{"nosniff"}, []string{rpcName}

// send writes the answer. What the client does not take is the client's loss: the record is written.
func (e *exchange) send(w http.ResponseWriter, body []byte) {
	header := w.Header()
	if e.protocol == (rpcProtocol{}) {
		header["Smithy-Protocol"] = rpcAnswers
	}
	one := [2]string{strconv.Itoa(len(body)), e.requestID}
	if len(body) > 0 {
		header["Content-Type"] = e.protocol.answerTypes()
	} else {
		header["Content-Type"] = nil // or net/http makes one up
	}
	header["Content-Length"], header["X-Amzn-Requestid"] = one[:1:1], one[1:]
	header["Cache-Control"], header["X-Content-Type-Options"] = noStore, noSniff
	status := http.StatusOK
	if e.failure != nil {
		status = e.failure.status
	} else {
		for name, value := range e.call.AnswerHeaders() {
			header.Set(name, value)
		}
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// event is the request's record.
func (e *exchange) event() audit.Event {
	event := audit.Event{
		Identity: e.call.Identity, Time: e.start, Operation: e.asked, Region: e.call.Region, SourceIP: e.call.SourceIP,
		UserAgent: e.request.UserAgent(), RequestID: e.requestID, EventID: e.call.EventID,
		Resources: e.call.Resources, Additional: e.call.Additional, Host: e.request.Host,
	}
	if e.service != nil {
		event.Service, event.APIVersion = e.service.SigningName, e.service.APIVersion
	}
	if e.signed != nil {
		event.AccessKeyID = e.signed.AccessKeyID
	}
	if state := e.request.TLS; state != nil {
		event.TLSVersion, event.CipherSuite = tlsVersion(state.Version), cipherSuites[state.CipherSuite]
	}
	if e.failure != nil {
		event.ErrorCode, event.ErrorMessage = e.failure.code, e.failure.message
	}
	if e.operation != nil {
		event.ReadOnly = e.operation.ReadOnly
		event.Parameters = audit.Members{Value: e.input, Plan: e.operation.input}
		if e.failure == nil && (!e.operation.ReadOnly || e.operation.Issues) {
			event.Response = audit.Members{Value: e.output, Plan: e.operation.output}
		}
	}
	return event
}

// tlsVersion is as CloudTrail writes it.
func tlsVersion(v uint16) string {
	switch v {
	case tls.VersionTLS12:
		return "TLSv1.2"
	case tls.VersionTLS13:
		return "TLSv1.3"
	}
	return ""
}

// cipherSuites are the names of those that a connection may have: crypto/tls makes its list anew at each question.
var cipherSuites = func() map[uint16]string {
	names := map[uint16]string{}
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		names[suite.ID] = suite.Name
	}
	return names
}()

// stack is where the code is, without values.
func stack() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	text := ""
	for {
		frame, more := frames.Next()
		text += frame.Function + ":" + strconv.Itoa(frame.Line) + "\n"
		if !more {
			return text
		}
	}
}
