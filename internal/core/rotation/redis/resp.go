package redis

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// The limits of an answer. Client libraries allocate what a server says that it will send; the servers here are named by whoever writes a
// secret.
const (
	maximumLine     = 64 << 10
	maximumBulk     = 1 << 20
	maximumElements = 4096
	maximumDepth    = 8
)

var errProtocol = errors.New("what answers does not speak Redis's protocol")

// refusal is an error that the server answered. Its text is for telling errors apart, and is not shown.
type refusal struct{ text string }

func (refusal) Error() string { return "refused" }

// code is the first word of the server's text.
func (r refusal) code() string {
	code, _, _ := strings.Cut(r.text, " ")
	return code
}

// client speaks RESP2, one command at a time. https://redis.io/docs/latest/develop/reference/protocol-spec/
type client struct {
	conn   net.Conn
	reader *bufio.Reader
}

func newClient(conn net.Conn) *client {
	return &client{conn: conn, reader: bufio.NewReaderSize(conn, maximumLine)}
}

// do carries out a command. Its answer is a string, an int64, a []any or nil; an answer that is an error is a refusal.
func (c *client) do(ctx context.Context, args ...string) (any, error) {
	if deadline, has := ctx.Deadline(); has {
		if err := c.conn.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	request := encode(args)
	_, err := c.conn.Write(request)
	clear(request) // it may hold a password
	if err != nil {
		return nil, err
	}
	answer, err := read(c.reader, 0)
	if err != nil {
		return nil, err
	}
	if refused, is := answer.(refusal); is {
		return nil, refused
	}
	return answer, nil
}

// encode writes a command as an array of strings, into one piece of memory.
func encode(args []string) []byte {
	size := 16
	for _, a := range args {
		size += len(a) + 16
	}
	var out bytes.Buffer
	out.Grow(size)
	out.WriteString("*" + strconv.Itoa(len(args)) + "\r\n")
	for _, a := range args {
		out.WriteString("$" + strconv.Itoa(len(a)) + "\r\n")
		out.WriteString(a)
		out.WriteString("\r\n")
	}
	return out.Bytes()
}

// read reads one answer. An error of the server is a value of it: there are some within arrays.
func read(r *bufio.Reader, depth int) (any, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, errProtocol
	}
	if err != nil {
		return nil, err
	}
	if len(line) < 3 || line[len(line)-2] != '\r' || depth > maximumDepth {
		return nil, errProtocol
	}
	content := string(line[1 : len(line)-2])
	switch line[0] {
	case '+':
		return content, nil
	case '-':
		return refusal{content}, nil
	case ':':
		n, err := strconv.ParseInt(content, 10, 64)
		if err != nil {
			return nil, errProtocol
		}
		return n, nil
	case '$':
		return readBulk(r, content)
	case '*':
		return readArray(r, content, depth)
	}
	return nil, errProtocol
}

// length reads a length, -1 for nothing at all.
func length(text string, maximum int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < -1 || n > maximum {
		return 0, errProtocol
	}
	return n, nil
}

func readBulk(r *bufio.Reader, size string) (any, error) {
	n, err := length(size, maximumBulk)
	if err != nil || n < 0 {
		return nil, err
	}
	content := make([]byte, n+2)
	if _, err := io.ReadFull(r, content); err != nil {
		return nil, err
	}
	if content[n] != '\r' || content[n+1] != '\n' {
		return nil, errProtocol
	}
	return string(content[:n]), nil
}

func readArray(r *bufio.Reader, size string, depth int) (any, error) {
	n, err := length(size, maximumElements)
	if err != nil || n < 0 {
		return nil, err
	}
	var out []any
	for range n {
		element, err := read(r, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, element)
	}
	return out, nil
}
