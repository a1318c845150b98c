package rotation

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
)

// Unconnected says why no connection was made, in words of our own.
func Unconnected(err error) string {
	var name *net.DNSError
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return "no connection was made: the host's name is not known"
	case errors.As(err, &name):
		return "no connection was made: the host's name could not be looked up"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "no connection was made: nothing listens at its port"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no connection was made: there is no way to the host"
	case errors.Is(err, errTooMuch):
		return "no connection was made: it sent more than is read"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "no connection was made: it did not answer in time"
	}
	return "no connection was made"
}

// errTooMuch ends a connection.
var errTooMuch = errors.New("the server sent more than is read")

// Dialer connects, and reads at most so many bytes of a connection: an answer to anything that is asked here is short, and a server that
// a secret names is not to be trusted with this process's memory.
func Dialer(maximum int64) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &bounded{Conn: conn, left: maximum}, nil
	}
}

type bounded struct {
	net.Conn
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooMuch
	}
	n, err := b.Conn.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
