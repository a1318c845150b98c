package postgres_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/rotation/postgres"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// message is one of PostgreSQL's protocol.
// https://www.postgresql.org/docs/current/protocol-message-formats.html
func message(kind byte, body string) []byte {
	out := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4))
	return append(out, body...)
}

// hostile is a server that reads the first message of each connection and then answers as it likes. It says how much it could write.
func hostile(t *testing.T, answer func(io.Writer) error) (c *rotation.Credential, written func() int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	wrote := make(chan int64, 16)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			head := make([]byte, 4)
			if _, err := io.ReadFull(conn, head); err == nil {
				_, _ = io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(head))-4)
			}
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			to := &counter{to: conn}
			for err == nil {
				err = answer(to)
			}
			_ = conn.Close()
			wrote <- to.n
		}
	}()
	port := listener.Addr().(*net.TCPAddr).Port
	return &rotation.Credential{Host: "127.0.0.1", Port: uint16(port), Username: "shop", Password: secretbytes.Own([]byte("hunter2"))},
		func() int64 { return <-wrote }
}

type counter struct {
	to io.Writer
	n  int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += int64(n)
	return n, err
}

func login(c *rotation.Credential) error {
	return postgres.Engine{TLS: rotation.TLS{Mode: rotation.TLSDisable}}.Login(ctx, c)
}

func TestAServerThatSendsWithoutEndIsNotReadWithoutEnd(t *testing.T) {
	for name, text := range map[string][]byte{
		"parameters": message('S', "name\x00"+strings.Repeat("x", 1<<19)+"\x00"), "notices": message('N', "M"+strings.Repeat("x", 1<<19)+"\x00\x00"),
	} {
		c, written := hostile(t, func(w io.Writer) error {
			_, err := w.Write(text)
			return err
		})
		began := time.Now()
		if err := login(c); !errors.Is(err, rotation.ErrUnreachable) {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("%s: it is read for %v", name, took)
		}
		// What the kernel holds between the two is not read.
		if n := written(); n > 24<<20 {
			t.Errorf("%s: %d bytes could be written", name, n)
		}
	}
}

func TestWhatAServerSaysForACodeIsNotTold(t *testing.T) {
	for _, code := range []string{"53hunter2", "hunter2", "", "5", "28P01hunter2", "28p01", "28P0\n"} {
		sent := false
		c, _ := hostile(t, func(w io.Writer) error {
			if sent {
				return io.EOF
			}
			sent = true
			_, err := w.Write(message('E', "SFATAL\x00C"+code+"\x00Mhunter2\x00\x00"))
			return err
		})
		if err := login(c); err == nil || strings.Contains(err.Error(), "hunter") || code != "" && strings.Contains(err.Error(), code) && len(code) > 1 {
			t.Errorf("%q: %v", code, err)
		}
	}
}

func TestTheReasonWhyThereIsNoConnectionIsTold(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(listener.Addr().(*net.TCPAddr).Port)
	_ = listener.Close()
	for want, c := range map[string]*rotation.Credential{
		"nothing listens at its port": {Host: "127.0.0.1", Port: port, Username: "shop", Password: secretbytes.Own([]byte("x"))},
		"the host's name":             {Host: "db.invalid", Port: port, Username: "shop", Password: secretbytes.Own([]byte("x"))},
	} {
		if err := login(c); !errors.Is(err, rotation.ErrUnreachable) || !strings.Contains(err.Error(), want) {
			t.Error(err)
		}
	}
}
