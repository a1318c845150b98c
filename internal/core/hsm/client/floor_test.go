//go:build cgo

package client_test

import (
	"context"
	"net"
	"os"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"

	"strongroom.dev/strongroom/internal/core/hsm/child"
	"strongroom.dev/strongroom/internal/core/hsm/client"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/hsm/hsmtest"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
)

// canned is a node that has its answers ready: no module, no process of one.
type canned struct{ hsmpb.UnimplementedNodeServer }

func (canned) Encrypt(context.Context, *hsmpb.EncryptRequest) (*hsmpb.EncryptResponse, error) {
	return &hsmpb.EncryptResponse{Ciphertext: make([]byte, 104)}, nil
}

// BenchmarkFloor is what a request costs before a module has done anything: the call over mutual TLS, and the way to the module's process. An operation through a node
// cannot be faster than the two together and the library, so no more can be asked of BenchmarkKeysInTheHSM.
func BenchmarkFloor(b *testing.B) {
	a := hsmtest.NewAuthority(b)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(mtls.Server(a.Source(b, mtls.Node, "node")))), grpc.NumStreamWorkers(8))
	hsmpb.RegisterNodeServer(server, canned{})
	go func() { _ = server.Serve(listener) }()
	b.Cleanup(server.Stop)
	c, err := client.New(client.Options{Cluster: hsmtest.Cluster, Addresses: []string{listener.Addr().String()}, TLS: a.Source(b, mtls.Operator, "bench")})
	must(b, err)
	b.Cleanup(func() { _ = c.Close() })
	token := client.KeyToken{Token: make([]byte, 104)}
	both(b, "rpc", func() error { return encrypt(b, c, token) })

	conn := hop(b)
	request := &hsmpb.EncryptRequest{Key: &hsmpb.KeyToken{Token: make([]byte, 104)}, Plaintext: make([]byte, 64)}
	both(b, "process", func() error { return conn.Call(b.Context(), child.Encrypt, request, &hsmpb.EncryptResponse{}) })
}

// hop is the two ends of a socket as node and module have it, in one process.
func hop(b *testing.B) *child.Conn {
	b.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	must(b, err)
	var ends [2]net.Conn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "socket")
		ends[i], err = net.FileConn(f)
		must(b, err)
		must(b, f.Close())
	}
	go func() {
		_ = child.Serve(ends[1], map[child.Method]child.Handler{child.Encrypt: func([]byte) (proto.Message, error) { return &hsmpb.EncryptResponse{Ciphertext: make([]byte, 104)}, nil }})
	}()
	conn := child.NewConn(ends[0])
	b.Cleanup(func() { _ = conn.Close() })
	return conn
}
