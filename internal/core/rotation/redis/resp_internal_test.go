package redis

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestAnswersAreReadWithinTheirLimits(t *testing.T) {
	for _, tt := range []struct {
		what, wire string
		want       any
		err        error
	}{
		{"a status", "+OK\r\n", "OK", nil},
		{"an error", "-ERR no\r\n", refusal{"ERR no"}, nil},
		{"a number", ":-7\r\n", int64(-7), nil},
		{"text", "$5\r\na\r\nbc\r\n", "a\r\nbc", nil},
		{"no text", "$-1\r\n", nil, nil},
		{"an empty text", "$0\r\n\r\n", "", nil},
		{"a list", "*3\r\n+a\r\n*1\r\n:1\r\n-ERR x\r\n", []any{"a", []any{int64(1)}, refusal{"ERR x"}}, nil},
		{"no list", "*-1\r\n", nil, nil},
		{"the longest text, announced", "$1048576\r\nx", nil, io.ErrUnexpectedEOF},
		{"a text that is longer", "$1048577\r\n", nil, errProtocol},
		{"a text that would take all memory", "$9223372036854775807\r\n", nil, errProtocol},
		{"a length below nothing", "$-2\r\n", nil, errProtocol},
		{"a list that is longer", "*4097\r\n", nil, errProtocol},
		{"lists in lists", strings.Repeat("*1\r\n", 9) + ":1\r\n", nil, errProtocol},
		{"a text that goes on", "$1\r\nab\r\n", nil, errProtocol},
		{"a number that is none", ":x\r\n", nil, errProtocol},
		{"a line without CR", "+OK\n", nil, errProtocol},
		{"an empty line", "\r\n", nil, errProtocol},
		{"another protocol", "HTTP/1.1 400 Bad Request\r\n", nil, errProtocol},
		{"a line without an end", "+" + strings.Repeat("x", maximumLine), nil, errProtocol},
		{"the end", "", nil, io.EOF},
	} {
		got, err := read(bufio.NewReaderSize(strings.NewReader(tt.wire), maximumLine), 0)
		if !errors.Is(err, tt.err) || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %v, %v", tt.what, got, err)
		}
	}
}

func TestACommandIsOnePieceOfMemoryThatCanBeWiped(t *testing.T) {
	args := []string{"AUTH", "shop", strings.Repeat("p\r\n", 500)}
	got := encode(args)
	if want := "*3\r\n$4\r\nAUTH\r\n$4\r\nshop\r\n$1500\r\n" + args[2] + "\r\n"; string(got) != want {
		t.Errorf("%q", got)
	}
	if n := testing.AllocsPerRun(10, func() { encode(args) }); n > 5 {
		t.Errorf("%v allocations: the buffer grew, and left copies of a password", n)
	}
}

func TestACommandEndsWithItsContext(t *testing.T) {
	near, far := net.Pipe()
	defer func() { _ = far.Close() }()
	go func() { _, _ = io.Copy(io.Discard, far) }()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, err := newClient(near).do(ctx, "PING"); err == nil || time.Since(begin) > 5*time.Second {
		t.Error(err, time.Since(begin))
	}
}

// Whatever a server sends, this ends, without a panic and without taking more memory than was sent, by orders of magnitude.
func FuzzAnswer(f *testing.F) {
	for _, wire := range []string{"+OK\r\n", "*2\r\n$1\r\na\r\n*1\r\n:1\r\n", "$1048576\r\n", "*4096\r\n*4096\r\n", "-ERR x\r\n", "$-1\r\n"} {
		f.Add([]byte(wire))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		answer, err := read(bufio.NewReader(bytes.NewReader(wire)), 0)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
			t.Errorf("%d bytes made it take %d", len(wire), grown)
		}
		if err == nil {
			_, _ = parseUser(answer)
		}
	})
}
