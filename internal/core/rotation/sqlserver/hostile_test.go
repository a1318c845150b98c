package sqlserver_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/test/databases"
)

// packet frames a message of TDS.
func packet(kind byte, content string) string {
	size := len(content) + 8
	return string([]byte{kind, 1, byte(size >> 8), byte(size), 0, 0, 1, 0}) + content
}

// prelogin is a server's answer to the first message, with what it wants of encryption.
func prelogin(encryption byte) string {
	return packet(4, string([]byte{0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 16, 0, 0, 0, 0, 0, encryption}))
}

// utf16 is a text of ASCII as TDS has it.
func utf16(text string) (out string) {
	for _, c := range text {
		out += string(byte(c)) + "\x00"
	}
	return out
}

// A secret's value names its server. Whoever writes one may run that server.
func TestAServerOfAnAttackersTakesNothingDown(t *testing.T) {
	refusal := "\xaa" + string([]byte{26, 0}) + "\x18\x48\x00\x00\x01\x0e" + "\x06\x00" + utf16("canary") + "\x00\x00\x01\x00\x00\x00" + "\xfd\x02\x00" + strings.Repeat("\x00", 10)
	for what, messages := range map[string][]string{
		"nothing":                      nil,
		"another protocol":             {"HTTP/1.1 400 Bad Request\r\n\r\n"},
		"an empty answer":              {packet(4, "")},
		"a packet shorter than itself": {"\x04\x01\x00\x02\x00\x00\x01\x00"},
		"a packet longer than allowed": {"\x04\x01\xff\xff\x00\x00\x01\x00" + strings.Repeat("x", 0xffff)},
		"options beyond the end":       {packet(4, "\x01\xff\xff\xff\xff\xff")},
		"no word of encryption":        {packet(4, "\x00\x00\x06\x00\x00\xff")},
		"an option without content":    {packet(4, "\x01\x00\x06\x00\x00\xff")},
		"encryption of no kind":        {prelogin(9)},
		"TLS where none is wanted":     {prelogin(1)},
		"TLS for the login alone":      {prelogin(0)},
		"no answer to the login":       {prelogin(2)},
		"an unknown token":             {prelogin(2), packet(4, "\x01\x02\x03")},
		"a token that is cut short":    {prelogin(2), packet(4, "\xad\xff\xff\x01")},
		"an empty acknowledgement":     {prelogin(2), packet(4, "\xad\x00\x00")},
		"a challenge of Windows":       {prelogin(2), packet(4, "\xed\x04\x00abcd")},
		"a challenge of Entra":         {prelogin(2), packet(4, "\xee\x04\x00\x00\x00\x01\x00\x00\x00")},
		"a packet size of nothing":     {prelogin(2), packet(4, "\xe3\x07\x00\x04\x01"+utf16("0")+"\x01"+utf16("0"))},
		"a packet size without end":    {prelogin(2), packet(4, "\xe3\x13\x00\x04\x07"+utf16("9999999")+"\x01"+utf16("0")), "\x04\x01\xff\xff\x00\x00\x01\x00" + strings.Repeat("x", 0xffff)},
		"an error that quotes":         {prelogin(2), packet(4, refusal)},
		"an answer without an end":     {prelogin(2), strings.Repeat("\x04\x00\x10\x00\x00\x00\x01\x00"+strings.Repeat("\xab\x00\x00", 1362)+"\xab\x00", 2000)},
		"columns without end":          {prelogin(2), packet(4, "\x81\xfe\xff"+strings.Repeat("\x00\x00\x00\x00\x00\x00\xe7\xff\xff\x00\x00\x00\x00\x00\x00", 10))},
	} {
		t.Run(what, func(t *testing.T) {
			listener, err := net.Listen("tcp", databases.Host+":0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = listener.Close() }()
			go func() {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				defer func() { _ = conn.Close() }()
				for _, m := range messages {
					_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
					_, _ = conn.Read(make([]byte, 4096))
					_, _ = io.WriteString(conn, m)
				}
				_ = conn.SetDeadline(time.Now().Add(200 * time.Millisecond))
				_, _ = io.ReadAll(conn)
			}()
			c := credential(t, "shop", "canary")
			c.Port = uint16(listener.Addr().(*net.TCPAddr).Port)
			err = mode(rotation.TLSDisable).Login(ctx, c)
			if err == nil || strings.Contains(err.Error(), "canary") {
				t.Error(err)
			}
			known := false
			for _, cause := range []error{rotation.ErrUnreachable, rotation.ErrServer, rotation.ErrInvalid, rotation.ErrRefused, rotation.ErrTLS} {
				known = known || errors.Is(err, cause)
			}
			if !known {
				t.Error("no cause:", err)
			}
		})
	}
}

func TestACallEndsWithItsContextWhateverTheServerDoes(t *testing.T) {
	for what, messages := range map[string][]string{"silence": nil, "silence after the first answer": {prelogin(2)}} {
		listener, err := net.Listen("tcp", databases.Host+":0")
		if err != nil {
			t.Fatal(err)
		}
		end := make(chan struct{})
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			for _, m := range messages {
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = io.WriteString(conn, m)
			}
			<-end
		}()
		c := credential(t, "shop", "canary")
		c.Port = uint16(listener.Addr().(*net.TCPAddr).Port)
		short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		began := time.Now()
		if err := mode(rotation.TLSDisable).Login(short, c); !errors.Is(err, rotation.ErrUnreachable) || time.Since(began) > 5*time.Second {
			t.Errorf("%s: %v after %v", what, err, time.Since(began))
		}
		cancel()
		close(end)
		_ = listener.Close()
	}
}

func TestAServerThatIsNotProvenIsToldNoPassword(t *testing.T) {
	name := user(t)
	stranger := mode(rotation.TLSVerifyFull) // by the system's authorities
	var before, after int
	server.Change(func(c *databases.SQLCatalog) { before = len(c.LoggedIn) })
	if err := stranger.Login(ctx, credential(t, name, "old")); !errors.Is(err, rotation.ErrTLS) {
		t.Error(err)
	}
	server.Change(func(c *databases.SQLCatalog) { after = len(c.LoggedIn) })
	if before != after {
		t.Error("the login came all the same")
	}
}
