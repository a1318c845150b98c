package rotation

import (
	"context"
	"errors"
	"net"
)

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
