package mongodb

import (
	"errors"
	"net"
	"strings"
	"testing"
)

func TestAServerCannotAskForMoreIterationsThanItTakesSecondsToDo(t *testing.T) {
	for sent, want := range map[string]bool{
		"r=nonce,s=c2FsdA==,i=15000": false, "r=nonce,s=c2FsdA==,i=9999999": false, "": false, "r=a,s=b,i=": false, "i=99999999": false,
		"r=nonce,s=c2FsdA==,i=10000000": true, "r=nonce,s=c2FsdA==,i=2147483647": true, "r=nonce,s=c2FsdA==,i=+2147483647": true, "r=a,s=b,i=00015000": true,
		"r=,i,,i=2147483647": true, ",i=1500,i=1500,i=1500": false, ",i=x12345678": false, ",,i=123456789": true,
	} {
		for _, size := range []int{1, 3, 100} {
			var r rounds
			got := false
			for left := sent; left != ""; left = left[min(size, len(left)):] {
				got = got || r.excessive([]byte(left[:min(size, len(left))]))
			}
			if got != want {
				t.Errorf("%q in pieces of %d: %v", sent, size, got)
			}
		}
	}
}

func FuzzRounds(f *testing.F) {
	f.Add([]byte("r=nonce,s=c2FsdA==,i=2147483647"), 3)
	f.Fuzz(func(t *testing.T, sent []byte, at int) {
		at = min(max(at, 0), len(sent))
		var whole, parts rounds
		want := whole.excessive(sent)
		if got := parts.excessive(sent[:at]) || parts.excessive(sent[at:]); got != want {
			t.Errorf("%q is judged otherwise in two pieces, at %d", sent, at)
		}
		if want && !strings.Contains(string(sent), ",i=") {
			t.Errorf("%q has no count", sent)
		}
	})
}

func TestAConnectionThatAsksForTooManyIterationsEnds(t *testing.T) {
	here, there := net.Pipe()
	var why error
	w := &watched{Conn: here, broke: func(err error) { why = err }}
	go func() {
		_, _ = there.Write([]byte("r=nonce,s=c2FsdA==,i=2147483647"))
		_ = there.Close()
	}()
	n, err := w.Read(make([]byte, 100))
	if n != 0 || !errors.Is(err, errRounds) || !errors.Is(why, errRounds) {
		t.Error(n, err, why)
	}
	if _, err := w.Read(make([]byte, 100)); err == nil {
		t.Error("it goes on")
	}
}
