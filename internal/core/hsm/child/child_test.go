package child

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
)

func pair(t *testing.T, handlers map[Method]Handler) (*Conn, net.Conn) {
	ours, theirs := net.Pipe()
	go func() { _ = Serve(theirs, handlers) }()
	c := NewConn(ours)
	t.Cleanup(func() { _ = c.Close(); <-c.Done() })
	return c, theirs
}

func echo(r *hsmpb.RandomRequest) (*hsmpb.RandomResponse, error) {
	if r.GetSize() == 13 {
		return nil, hsm.ErrWrongPIN
	}
	return &hsmpb.RandomResponse{Random: []byte{byte(r.GetSize())}}, nil
}

func TestManyRequestsAtOnceGetTheirOwnAnswers(t *testing.T) {
	c, _ := pair(t, map[Method]Handler{Random: Handle(echo)})
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			var r hsmpb.RandomResponse
			err := c.Call(context.Background(), Random, &hsmpb.RandomRequest{Size: int32(i)}, &r)
			if i == 13 {
				if !errors.Is(err, hsm.ErrWrongPIN) {
					t.Errorf("%v", err)
				}
			} else if err != nil || !bytes.Equal(r.GetRandom(), []byte{byte(i)}) {
				t.Errorf("%d: %v, %v", i, r.GetRandom(), err)
			}
		})
	}
	all.Wait()
	if err := c.Call(context.Background(), Sign, &hsmpb.SignRequest{}, &hsmpb.SignResponse{}); !errors.Is(err, hsm.ErrUnsupported) {
		t.Errorf("a method that is not there: %v", err)
	}
}

func TestTheEndOfTheOtherSideFailsRequestsInFlightAndLaterOnes(t *testing.T) {
	begun := make(chan struct{})
	c, theirs := pair(t, map[Method]Handler{Random: Handle(func(*hsmpb.RandomRequest) (*hsmpb.RandomResponse, error) {
		close(begun)
		select {}
	})})
	go func() { <-begun; _ = theirs.Close() }()
	for range 2 {
		err := c.Call(context.Background(), Random, &hsmpb.RandomRequest{}, &hsmpb.RandomResponse{})
		if !errors.Is(err, hsm.ErrModule) || !strings.Contains(err.Error(), "in flight") {
			t.Error(err)
		}
	}
}

func TestACallerThatGoesDoesNotDisturbOthers(t *testing.T) {
	release := make(chan struct{})
	c, _ := pair(t, map[Method]Handler{
		Sign:   Handle(func(*hsmpb.SignRequest) (*hsmpb.SignResponse, error) { <-release; return &hsmpb.SignResponse{}, nil }),
		Random: Handle(echo),
	})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Call(ctx, Sign, &hsmpb.SignRequest{}, &hsmpb.SignResponse{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(release)
	if err := c.Call(context.Background(), Random, &hsmpb.RandomRequest{Size: 1}, &hsmpb.RandomResponse{}); err != nil {
		t.Error(err)
	}
}

func TestAMessageOverTheLimitIsRefusedBeforeItIsSent(t *testing.T) {
	c, _ := pair(t, map[Method]Handler{Random: Handle(echo)})
	err := c.Call(context.Background(), Random, &hsmpb.WrapRequest{Aad: make([]byte, maxBody+1)}, &hsmpb.RandomResponse{})
	if !errors.Is(err, hsm.ErrInvalidArgument) {
		t.Error(err)
	}
}

func TestAChildNeverGetsAPINByItsEnvironment(t *testing.T) {
	got := withoutPINs([]string{"PATH=/bin", "STRONGROOM_HSM_PIN=1", "STRONGROOM_HSM_SO_PIN=2", "SOFTHSM2_CONF=x"})
	if strings.Join(got, " ") != "PATH=/bin SOFTHSM2_CONF=x" {
		t.Error(got)
	}
}

func FuzzReadFrame(f *testing.F) {
	b, _ := frame{id: 1, what: 2, body: []byte("body")}.encode()
	f.Add(b)
	f.Add([]byte{255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		got, err := readFrame(r)
		if err != nil {
			return
		}
		out, err := got.encode()
		if err != nil || !bytes.Equal(out, b[:len(b)-r.Len()]) {
			t.Fatalf("%x is read as %+v: %v", b, got, err)
		}
	})
}

// What a child may be asked, whole: no bytes make it panic or answer more than a frame for a frame.
func FuzzServe(f *testing.F) {
	b, _ := frame{id: 1, what: byte(Random), body: []byte{8, 5}}.encode()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var out lockedBuffer
		_ = Serve(struct {
			io.Reader
			io.Writer
		}{bytes.NewReader(b), &out}, map[Method]Handler{Random: Handle(echo)})
	})
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}
