package mysql_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/rotation/mysql"
	"strongroom.dev/strongroom/test/databases"
)

// packet frames a message of the protocol.
func packet(sequence byte, content string) string {
	return string([]byte{byte(len(content)), byte(len(content) >> 8), byte(len(content) >> 16), sequence}) + content
}

// greeting is a server's, with a plugin that it proposes.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
func greeting(plugin string) string {
	return packet(0, "\x0a8.0.0\x00\x01\x00\x00\x00saltsalt\x00\x00\x82\x2d\x02\x00\x08\x00\x15"+strings.Repeat("\x00", 10)+"saltsaltsalt\x00"+plugin+"\x00")
}

// A secret's value names its server. Whoever writes one may run that server.
func TestAServerOfAnAttackersLearnsNoPasswordAndTakesNothingDown(t *testing.T) {
	proposed := greeting("mysql_native_password")
	for what, messages := range map[string][]string{
		"nothing":                       nil,
		"another protocol":              {"HTTP/1.1 400 Bad Request\r\n\r\n"},
		"a greeting that is cut short":  {packet(0, "\x0a8")},
		"the password in the clear":     {proposed, packet(2, "\xfemysql_clear_password\x00salt")},
		"a hash of before MySQL 4.1":    {proposed, packet(2, "\xfe")},
		"a salt that is too short":      {proposed, packet(2, "\xfemysql_native_password\x00s")},
		"an empty answer":               {proposed, packet(2, "")},
		"a plugin that is unknown":      {proposed, packet(2, "\xfedialog\x00salt")},
		"a file, as the answer":         {proposed, packet(2, "\x00\x00\x00\x02\x00\x00\x00"), packet(1, "\xfb/etc/passwd")},
		"endless columns":               {proposed, packet(2, "\x00\x00\x00\x02\x00\x00\x00"), packet(1, "\xfe\xff\xff\xff\xff\xff\xff\xff\x7f")},
		"an answer without an end":      {proposed, packet(2, "\x00\x00\x00\x02\x00\x00\x00"), strings.Repeat("\xff\xff\xff\x01"+strings.Repeat("x", 1<<20), 8)},
		"a public key that is no key":   {greeting("caching_sha2_password"), packet(2, "\x01\x04"), packet(4, "\x01-----BEGIN")},
		"an error that quotes":          {proposed, packet(2, "\xff\x15\x04#28000canary")},
		"an error of an unknown number": {proposed, packet(2, "\xff\xff\xff#HY000canary")},
	} {
		t.Run(what, func(t *testing.T) {
			listener, err := net.Listen("tcp", databases.Host+":0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = listener.Close() }()
			heard := make(chan string, 1)
			go func() {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				defer func() { _ = conn.Close() }()
				all := ""
				for n, m := range messages {
					_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
					if n > 0 {
						buffer := make([]byte, 4096)
						read, _ := conn.Read(buffer)
						all += string(buffer[:read])
					}
					_, _ = io.WriteString(conn, m)
				}
				_ = conn.SetDeadline(time.Now().Add(200 * time.Millisecond))
				rest, _ := io.ReadAll(conn)
				heard <- all + string(rest)
			}()
			c := credential(t, "shop", "canary")
			c.Port = uint16(listener.Addr().(*net.TCPAddr).Port)
			err = mysql.Engine{TLS: rotation.TLS{Mode: rotation.TLSDisable}}.Login(ctx, c)
			if err == nil || strings.Contains(err.Error(), "canary") {
				t.Error(err)
			}
			known := false
			for _, cause := range []error{rotation.ErrUnreachable, rotation.ErrServer, rotation.ErrInvalid, rotation.ErrRefused} {
				known = known || errors.Is(err, cause)
			}
			if !known {
				t.Error("no cause:", err)
			}
			if all := <-heard; strings.Contains(all, "canary") {
				t.Errorf("the server was told %q", all)
			}
		})
	}
}
