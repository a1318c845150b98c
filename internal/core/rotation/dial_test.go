package rotation_test

import (
	"context"
	"io"
	"net"
	"testing"

	"strongroom.dev/strongroom/internal/core/rotation"
)

// A server could send without an end, for whoever writes a secret names it.
func TestAConnectionIsReadToItsLimitAndNotBeyond(t *testing.T) {
	for _, tt := range []struct {
		sent, read int
		fine       bool
	}{{99, 99, true}, {100, 100, false}, {101, 100, false}, {1 << 20, 100, false}} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if conn, err := listener.Accept(); err == nil {
				_, _ = conn.Write(make([]byte, tt.sent))
				_ = conn.Close()
			}
		}()
		conn, err := rotation.Dialer(100)(context.Background(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		if len(got) != tt.read || (err == nil) != tt.fine {
			t.Errorf("of %d bytes %d are read: %v", tt.sent, len(got), err)
		}
		_ = conn.Close()
		_ = listener.Close()
	}
}

func TestNobodyAtTheAddressIsAnErrorOfTheNetwork(t *testing.T) {
	_, err := rotation.Dialer(100)(context.Background(), "tcp", "127.0.0.1:1")
	if !rotation.IsNetwork(err) {
		t.Error(err)
	}
}
