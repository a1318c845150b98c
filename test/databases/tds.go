package databases

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"unicode/utf16"
)

// What is spoken of TDS 7.4, the protocol of Microsoft SQL Server.
// https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-tds/b46a581a-39de-4745-b076-ec4dbb7d13ec
const (
	packetBatch    = 1
	packetReply    = 4
	packetLogin7   = 16
	packetPrelogin = 18

	encryptOn           = 1
	encryptNotSupported = 2
	encryptRequired     = 3

	tokenColumns   = 0x81
	tokenError     = 0xaa
	tokenLoginAck  = 0xad
	tokenRow       = 0xd1
	tokenEnvChange = 0xe3
	tokenDone      = 0xfd

	doneMore  = 1
	doneError = 2

	maximumTDS    = 4096
	maximumAsked  = 1 << 20
	typeIntN      = 0x26
	typeNVarChar  = 0xe7
	envRouting    = 20
	versionTDS74  = 0x74000004
	preloginCrypt = 1
	preloginEnd   = 0xff
)

var errTDS = errors.New("no message of TDS")

// readTDS reads a message, of as many packets as it has.
func readTDS(from io.Reader) (kind byte, message []byte, err error) {
	for {
		var header [8]byte
		if _, err := io.ReadFull(from, header[:]); err != nil {
			return 0, nil, err
		}
		size := int(binary.BigEndian.Uint16(header[2:])) - len(header)
		if size < 0 || len(message)+size > maximumAsked {
			return 0, nil, errTDS
		}
		part := make([]byte, size)
		if _, err := io.ReadFull(from, part); err != nil {
			return 0, nil, err
		}
		kind, message = header[0], append(message, part...)
		if header[1]&1 != 0 {
			return kind, message, nil
		}
	}
}

// writeTDS writes a message in packets.
func writeTDS(to io.Writer, kind byte, message []byte) error {
	var out []byte
	for sequence := byte(1); ; sequence++ {
		part := message[:min(len(message), maximumTDS-8)]
		message = message[len(part):]
		header := [8]byte{kind, 0, 0, 0, 0, 0, sequence}
		binary.BigEndian.PutUint16(header[2:], uint16(len(part)+len(header)))
		if len(message) == 0 {
			header[1] = 1
		}
		out = append(append(out, header[:]...), part...)
		if len(message) == 0 {
			_, err := to.Write(out)
			return err
		}
	}
}

// handshakes is a connection on which TLS shakes hands inside of TDS's messages, and which is TLS's alone when that is over.
type handshakes struct {
	net.Conn
	over     bool
	in, sent bytes.Buffer
}

func (h *handshakes) Read(p []byte) (int, error) {
	if h.over {
		return h.Conn.Read(p)
	}
	if err := h.flush(); err != nil {
		return 0, err
	}
	if h.in.Len() == 0 {
		kind, message, err := readTDS(h.Conn)
		if err != nil {
			return 0, err
		}
		if kind != packetPrelogin {
			return 0, errTDS
		}
		h.in.Write(message)
	}
	return h.in.Read(p)
}

func (h *handshakes) Write(p []byte) (int, error) {
	if h.over {
		return h.Conn.Write(p)
	}
	return h.sent.Write(p)
}

func (h *handshakes) flush() error {
	if h.sent.Len() == 0 {
		return nil
	}
	defer h.sent.Reset()
	return writeTDS(h.Conn, packetPrelogin, h.sent.Bytes())
}

// prelogin answers the first message, and returns the connection that the login comes on.
func prelogin(conn net.Conn, message []byte, wants byte, config *tls.Config) (net.Conn, error) {
	asked, err := preloginOption(message, preloginCrypt)
	if err != nil {
		return nil, err
	}
	answer := wants
	if asked == encryptNotSupported && wants == encryptOn {
		answer = encryptNotSupported
	}
	// VERSION and ENCRYPTION, each with its offset and length.
	reply := []byte{0, 0, 11, 0, 6, preloginCrypt, 0, 17, 0, 1, preloginEnd, 15, 0, 0x10, 0, 0, 0, answer}
	if err := writeTDS(conn, packetReply, reply); err != nil {
		return nil, err
	}
	if answer == encryptNotSupported {
		return conn, nil
	}
	under := &handshakes{Conn: conn}
	secured := tls.Server(under, config)
	if err := secured.Handshake(); err != nil {
		_ = under.flush() // the alert
		return nil, err
	}
	if err := under.flush(); err != nil {
		return nil, err
	}
	under.over = true
	return secured, nil
}

func preloginOption(message []byte, which byte) (byte, error) {
	for at := 0; at+5 <= len(message) && message[at] != preloginEnd; at += 5 {
		offset, size := int(binary.BigEndian.Uint16(message[at+1:])), int(binary.BigEndian.Uint16(message[at+3:]))
		if message[at] == which && size == 1 && offset < len(message) {
			return message[offset], nil
		}
	}
	return 0, errTDS
}

// login7 is what a login says.
type login7 struct{ username, password, database string }

// parseLogin7 reads a login, whose password is scrambled and not encrypted: halves of bytes are exchanged, and 0xA5 is added without carry.
// https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-tds/773a62b6-ee89-4c02-9e5e-344882630aac
func parseLogin7(message []byte) (out login7, err error) {
	for _, field := range []struct {
		at        int
		into      *string
		scrambled bool
	}{{40, &out.username, false}, {44, &out.password, true}, {68, &out.database, false}} {
		if len(message) < field.at+4 {
			return out, errTDS
		}
		offset, size := int(binary.LittleEndian.Uint16(message[field.at:])), 2*int(binary.LittleEndian.Uint16(message[field.at+2:]))
		if offset+size > len(message) {
			return out, errTDS
		}
		raw := bytes.Clone(message[offset : offset+size])
		for n := range raw {
			if field.scrambled {
				raw[n] ^= 0xa5
				raw[n] = raw[n]<<4 | raw[n]>>4
			}
		}
		*field.into = fromUCS2(raw)
	}
	return out, nil
}

// parseBatch reads the text of a batch, which headers come before.
func parseBatch(message []byte) (string, error) {
	if len(message) < 4 {
		return "", errTDS
	}
	headers := binary.LittleEndian.Uint32(message)
	if int64(headers) > int64(len(message)) {
		return "", errTDS
	}
	return fromUCS2(message[headers:]), nil
}

func fromUCS2(raw []byte) string {
	units := make([]uint16, len(raw)/2)
	for n := range units {
		units[n] = binary.LittleEndian.Uint16(raw[2*n:])
	}
	return string(utf16.Decode(units))
}

func toUCS2(text string) (out []byte) {
	for _, u := range utf16.Encode([]rune(text)) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}

// reply is a message to a client.
type reply struct{ tokens []byte }

func (r *reply) short(text string) []byte {
	u := toUCS2(text)
	return append([]byte{byte(len(u) / 2)}, u...)
}

// sized adds a token with its length.
func (r *reply) sized(token byte, content []byte) {
	r.tokens = binary.LittleEndian.AppendUint16(append(r.tokens, token), uint16(len(content)))
	r.tokens = append(r.tokens, content...)
}

func (r *reply) acknowledge() {
	content := binary.BigEndian.AppendUint32([]byte{1}, versionTDS74)
	content = append(content, r.short("Microsoft SQL Server")...)
	r.sized(tokenLoginAck, append(content, 16, 0, 0, 0))
}

// route names another server.
func (r *reply) route(host string, port uint16) {
	name := toUCS2(host)
	data := binary.LittleEndian.AppendUint16([]byte{0}, port)
	data = append(binary.LittleEndian.AppendUint16(data, uint16(len(name)/2)), name...)
	content := binary.LittleEndian.AppendUint16([]byte{envRouting}, uint16(len(data)))
	r.sized(tokenEnvChange, append(append(content, data...), 0, 0))
}

func (r *reply) fail(number int, words string) {
	message := toUCS2(words)
	content := binary.LittleEndian.AppendUint32(nil, uint32(number))
	content = binary.LittleEndian.AppendUint16(append(content, 1, 16), uint16(len(message)/2))
	content = append(append(content, message...), 0, 0, 1, 0, 0, 0)
	r.sized(tokenError, content)
}

func (r *reply) done(status uint16) {
	r.tokens = binary.LittleEndian.AppendUint16(append(r.tokens, tokenDone), status)
	r.tokens = append(r.tokens, make([]byte, 10)...)
}

// rows adds an answer: each column is of whole numbers or of texts.
func (r *reply) rows(columns int, rows [][]any) {
	numbers := make([]bool, columns)
	for _, row := range rows {
		for n, v := range row {
			if _, is := v.(int); is {
				numbers[n] = true
			}
		}
	}
	r.tokens = binary.LittleEndian.AppendUint16(append(r.tokens, tokenColumns), uint16(columns))
	for _, number := range numbers {
		r.tokens = append(r.tokens, 0, 0, 0, 0, 1, 0) // user type, nullable
		if number {
			r.tokens = append(r.tokens, typeIntN, 4)
		} else {
			r.tokens = append(r.tokens, typeNVarChar, 0x40, 0x1f, 9, 4, 0xd0, 0, 0x34)
		}
		r.tokens = append(r.tokens, 0) // no name
	}
	for _, row := range rows {
		r.tokens = append(r.tokens, tokenRow)
		for n, v := range row {
			switch v := v.(type) {
			case int:
				r.tokens = binary.LittleEndian.AppendUint32(append(r.tokens, 4), uint32(v))
			case string:
				u := toUCS2(v)
				r.tokens = append(binary.LittleEndian.AppendUint16(r.tokens, uint16(len(u))), u...)
			default:
				if numbers[n] {
					r.tokens = append(r.tokens, 0)
				} else {
					r.tokens = append(r.tokens, 0xff, 0xff)
				}
			}
		}
	}
}
