package child

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"sync"

	"google.golang.org/protobuf/proto"

	"strongroom.dev/strongroom/internal/core/hsm"
)

// Method is what is asked of the child. Its numbers are of one program and its own child, and may change.
type Method byte

// The methods, and their messages in package hsmpb.
const (
	Open Method = iota + 1
	TokenState
	InitializeToken
	Login
	Info
	Random
	Wrap
	Unwrap
	GenerateKey
	Encrypt
	Decrypt
	Sign
	CreateDomainKey
	Join
	CloneToken
	Import
)

// Handler carries out one method: it reads the request from body and answers the response.
type Handler func(body []byte) (proto.Message, error)

// Handle makes a Handler of a function over messages. R is a message's struct.
func Handle[R any, P interface {
	*R
	proto.Message
}, A proto.Message](carryOut func(P) (A, error)) Handler {
	return func(body []byte) (proto.Message, error) {
		request := P(new(R))
		if err := proto.Unmarshal(body, request); err != nil {
			return nil, hsm.ErrInvalidArgument
		}
		return carryOut(request)
	}
}

// maxConcurrent is how many requests the child works on at once; more wait in the socket.
const maxConcurrent = 64

// Serve answers requests until the parent closes the connection, and then answers nil. Requests are carried out at the same time.
func Serve(rw io.ReadWriter, handlers map[Method]Handler) error {
	var (
		in      = bufio.NewReader(rw)
		writing sync.Mutex
		places  = make(chan struct{}, maxConcurrent)
	)
	for {
		request, err := readFrame(in)
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
		places <- struct{}{}
		go func() {
			defer func() { <-places }()
			out := respond(request, handlers)
			clear(request.body)
			writing.Lock()
			defer writing.Unlock()
			_, _ = rw.Write(out) // the parent is gone: the reader finds that too
			clear(out)
		}()
	}
}

func respond(request frame, handlers map[Method]Handler) []byte {
	response := frame{id: request.id, what: outcomeOK}
	body, err := handle(request, handlers)
	if err == nil {
		response.body = body
		if out, err := response.encode(); err == nil {
			clear(body)
			return out
		}
		err = hsm.ErrInvalidArgument
	}
	response.what, response.body = outcomeError, encodeError(err)
	out, _ := response.encode() // an error's text is cut to what fits
	return out
}

func handle(request frame, handlers map[Method]Handler) ([]byte, error) {
	handler, ok := handlers[Method(request.what)]
	if !ok {
		return nil, hsm.ErrUnsupported
	}
	answer, err := handler(request.body)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(answer)
}

func encodeError(err error) []byte {
	const maxText = 4096
	text := err.Error()
	return append([]byte(hsm.Reason(err)+"\x00"), text[:min(len(text), maxText)]...)
}

func decodeError(body []byte) error {
	reason, text, _ := bytes.Cut(body, []byte{0})
	return hsm.FromReason(string(reason), string(text))
}
