package child

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
)

const asChild = "STRONGROOMTEST_AS_CHILD"

// TestMain makes this test's binary the child too: Random answers its own process's number, Sign dies, Wrap answers its environment, Decrypt waits, and
// Encrypt fails as a device that is lost.
func TestMain(m *testing.M) {
	switch os.Getenv(asChild) {
	case "":
		os.Exit(m.Run())
	case "ends":
		os.Exit(3)
	case "babbles":
		conn, _ := Socket()
		_, _ = conn.Write(bytes.Repeat([]byte{0xff}, 64))
		select {}
	}
	conn, err := Socket()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	err = Serve(conn, map[Method]Handler{
		Random: Handle(func(*hsmpb.RandomRequest) (*hsmpb.RandomResponse, error) {
			return &hsmpb.RandomResponse{Random: fmt.Append(nil, os.Getpid())}, nil
		}),
		Sign: Handle(func(*hsmpb.SignRequest) (*hsmpb.SignResponse, error) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}),
		Wrap: Handle(func(*hsmpb.WrapRequest) (*hsmpb.WrapResponse, error) {
			return &hsmpb.WrapResponse{Wrapped: []byte(strings.Join(os.Environ(), "\n"))}, nil
		}),
		Encrypt: Handle(func(*hsmpb.EncryptRequest) (*hsmpb.EncryptResponse, error) { return nil, hsm.ErrModuleLost }),
		Decrypt: Handle(func(*hsmpb.DecryptRequest) (*hsmpb.DecryptResponse, error) { select {} }),
	})
	if err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// run keeps a Process running until the test ends.
func run(t *testing.T, config Config) *Process {
	t.Helper()
	if config.Command == nil {
		config.Command = command("serves")
	}
	if config.Started == nil {
		config.Started = func(context.Context, *Conn) error { return nil }
	}
	config.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	config.MinBackoff, config.MaxBackoff = time.Millisecond, 20*time.Millisecond
	p := New(config)
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { p.Run(ctx) })
	t.Cleanup(func() { cancel(); ended.Wait() })
	return p
}

func command(as string) func() *exec.Cmd {
	return func() *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asChild+"="+as)
		return cmd
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatalf("it did not happen: %s", what)
}

func pid(t *testing.T, p *Process) string {
	t.Helper()
	var r hsmpb.RandomResponse
	eventually(t, "it answers", func() bool { return p.Call(t.Context(), Random, &hsmpb.RandomRequest{}, &r) == nil })
	return string(r.GetRandom())
}

func TestAChildThatDiesInACallFailsItAndAnotherServesTheNext(t *testing.T) {
	p := run(t, Config{})
	first := pid(t, p)
	if p.PID() == 0 || fmt.Sprint(p.PID()) != first || p.Err() != nil || p.Starts() != 1 {
		t.Errorf("process %d, of %d, %v; it says %s", p.PID(), p.Starts(), p.Err(), first)
	}
	err := p.Call(t.Context(), Sign, &hsmpb.SignRequest{}, &hsmpb.SignResponse{})
	if !errors.Is(err, hsm.ErrModule) || !strings.Contains(err.Error(), "in flight") {
		t.Errorf("%v", err)
	}
	if second := pid(t, p); second == first || p.Starts() != 2 {
		t.Errorf("%s after %s, of %d", second, first, p.Starts())
	}
}

func TestAllWhoWaitWhenAChildDiesAreTold(t *testing.T) {
	p := run(t, Config{})
	pid(t, p)
	errs := make(chan error, 20)
	for range cap(errs) {
		go func() { errs <- p.Call(t.Context(), Decrypt, &hsmpb.DecryptRequest{}, &hsmpb.DecryptResponse{}) }()
	}
	time.Sleep(20 * time.Millisecond) // most of them wait by now; those that do not are told too
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for range cap(errs) {
		if err := <-errs; !errors.Is(err, hsm.ErrModule) {
			t.Errorf("%v", err)
		}
	}
}

func TestAChildWhoseModuleIsLostIsStartedAnew(t *testing.T) {
	p := run(t, Config{})
	first := pid(t, p)
	if err := p.Call(t.Context(), Encrypt, &hsmpb.EncryptRequest{}, &hsmpb.EncryptResponse{}); !errors.Is(err, hsm.ErrModuleLost) {
		t.Errorf("%v", err)
	}
	eventually(t, "another", func() bool { return p.Starts() == 2 && p.Err() == nil })
	if pid(t, p) == first {
		t.Error("it is the same")
	}
}

// Open and Login come before any request: one that comes meanwhile is told so, and is not asked of a module that nobody logged in to.
func TestNoRequestReachesAChildThatIsNotPrepared(t *testing.T) {
	prepared, attempts := make(chan struct{}), 0
	p := run(t, Config{Started: func(ctx context.Context, c *Conn) error {
		if attempts++; attempts == 1 {
			return hsm.ErrWrongPIN
		}
		select {
		case <-prepared:
		case <-ctx.Done():
		}
		return c.Call(ctx, Random, &hsmpb.RandomRequest{}, &hsmpb.RandomResponse{})
	}})
	eventually(t, "the second child", func() bool { return p.Starts() == 2 })
	err := p.Call(t.Context(), Random, &hsmpb.RandomRequest{}, &hsmpb.RandomResponse{})
	if !errors.Is(err, hsm.ErrWrongPIN) || p.PID() != 0 {
		t.Errorf("process %d: %v", p.PID(), err)
	}
	close(prepared)
	pid(t, p)
}

func TestAProgramThatIsNotThereOrEndsAtOnceOrBabblesIsSaidAndTriedAgain(t *testing.T) {
	for name, c := range map[string]func() *exec.Cmd{
		"is not there": func() *exec.Cmd { return exec.Command("/missing/strongroom") }, "ends": command("ends"), "babbles": command("babbles"),
	} {
		p := run(t, Config{Command: c, Started: func(ctx context.Context, c *Conn) error {
			return c.Call(ctx, Open, &hsmpb.OpenRequest{}, &hsmpb.OpenResponse{})
		}})
		if name != "is not there" {
			eventually(t, "it "+name+" and is tried again", func() bool { return p.Starts() >= 2 })
		}
		err := p.Call(t.Context(), Random, &hsmpb.RandomRequest{}, &hsmpb.RandomResponse{})
		if !errors.Is(err, hsm.ErrModule) || p.PID() != 0 {
			t.Errorf("%s: %v", name, err)
		}
		if name == "is not there" {
			eventually(t, "it is said", func() bool { return strings.Contains(p.Err().Error(), "/missing/strongroom") })
		}
	}
}

func TestTheEndOfTheParentEndsTheChild(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	p := New(Config{Command: command("serves"), Started: func(context.Context, *Conn) error { return nil }, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	ended := make(chan struct{})
	go func() { defer close(ended); p.Run(ctx) }()
	pid(t, p)
	child := p.PID()
	cancel()
	<-ended
	if err := syscall.Kill(child, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d: %v", child, err)
	}
	if err := p.Call(context.Background(), Random, &hsmpb.RandomRequest{}, &hsmpb.RandomResponse{}); !errors.Is(err, hsm.ErrModule) || !strings.Contains(err.Error(), "shutting down") {
		t.Errorf("%v", err)
	}
}

func TestAChildGetsEverythingButThePINsOfTheEnvironment(t *testing.T) {
	t.Setenv("STRONGROOM_HSM_PIN", "CANARY")
	t.Setenv("STRONGROOM_HSM_SO_PIN", "CANARY")
	t.Setenv("VENDORS_OWN", "kept")
	p := run(t, Config{})
	pid(t, p)
	var r hsmpb.WrapResponse
	if err := p.Call(t.Context(), Wrap, &hsmpb.WrapRequest{}, &r); err != nil {
		t.Fatal(err)
	}
	if text := string(r.GetWrapped()); strings.Contains(text, "CANARY") || !strings.Contains(text, "VENDORS_OWN=kept") {
		t.Error(text)
	}
}

func TestTheHiddenCommandSaysThatItIsForItsParentAlone(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asChild+"=serves")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "for strongroom hsm to start") {
		t.Errorf("%v: %s", err, out)
	}
}

// hostile is a child that answers bytes of a test's choice.
func hostile(t *testing.T, answer func(request frame) []byte) *Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	go func() {
		for {
			f, err := readFrame(theirs)
			if err != nil {
				return
			}
			if _, err := theirs.Write(answer(f)); err != nil {
				return
			}
		}
	}()
	c := NewConn(ours)
	t.Cleanup(func() { _ = c.Close(); _ = theirs.Close(); <-c.Done() })
	return c
}

// The library in the child is a vendor's, and what it may make of the child's memory is unknown: no answer of it is believed to be well formed.
func TestAnAnswerThatIsNoneIsAFailedModule(t *testing.T) {
	made := func(what byte, body []byte) func(frame) []byte {
		return func(r frame) []byte { b, _ := frame{id: r.id, what: what, body: body}.encode(); return b }
	}
	for name, answer := range map[string]func(frame) []byte{
		"an outcome that is not known":   made(7, nil),
		"a message that cannot be read":  made(outcomeOK, []byte{0xff, 0xff}),
		"an error without a reason":      made(outcomeError, nil),
		"an error of a reason of nobody": made(outcomeError, []byte("Odd\x00text")),
		"a frame that is too short":      func(frame) []byte { return []byte{0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0} },
		"a frame that is too long":       func(frame) []byte { return []byte{0, 8, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0} },
		"a frame of 4 GiB":               func(frame) []byte { return bytes.Repeat([]byte{0xff}, frameHeader) },
	} {
		err := hostile(t, answer).Call(t.Context(), Random, &hsmpb.RandomRequest{}, &hsmpb.RandomResponse{})
		if !errors.Is(err, hsm.ErrModule) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnAnswerThatNobodyAskedForIsNobodys(t *testing.T) {
	calls := 0
	c := hostile(t, func(r frame) []byte {
		calls++
		other, _ := frame{id: r.id + 1000, what: outcomeOK, body: []byte{0x0a, 1, 'x'}}.encode()
		own, _ := frame{id: r.id, what: outcomeOK, body: []byte{0x0a, 1, byte('0' + calls)}}.encode()
		return append(append(other, own...), own...) // the second of them comes too late
	})
	for want := 1; want <= 3; want++ {
		var r hsmpb.RandomResponse
		if err := c.Call(t.Context(), Random, &hsmpb.RandomRequest{}, &r); err != nil || string(r.GetRandom()) != fmt.Sprint(want) {
			t.Errorf("%q, %v, want %d", r.GetRandom(), err, want)
		}
	}
}

func TestAFramesBodyHasTheLimitOfMessages(t *testing.T) {
	for size, good := range map[int]bool{0: true, 1: true, maxBody - 1: true, maxBody: true, maxBody + 1: false} {
		b, err := frame{id: 1, what: 2, body: make([]byte, size)}.encode()
		if (err == nil) != good || err != nil && !errors.Is(err, hsm.ErrInvalidArgument) {
			t.Errorf("%d bytes: %v", size, err)
		}
		if err != nil {
			continue
		}
		if f, err := readFrame(bytes.NewReader(b)); err != nil || len(f.body) != size || f.id != 1 || f.what != 2 {
			t.Errorf("%d bytes are read back as %d of request %d: %v", size, len(f.body), f.id, err)
		}
		if _, err := readFrame(bytes.NewReader(b[:len(b)-1])); err == nil {
			t.Errorf("%d bytes that were cut off are read", size)
		}
	}
}

func TestAnErrorsTextIsCutAndItsReasonStays(t *testing.T) {
	long := fmt.Errorf("%w: %s", hsm.ErrPINLocked, strings.Repeat("x", 1<<20))
	got := decodeError(encodeError(long))
	if !errors.Is(got, hsm.ErrPINLocked) || len(got.Error()) != 4096 {
		t.Errorf("%d bytes, %s", len(got.Error()), hsm.Reason(got))
	}
}

func TestAnAnswerOverTheLimitIsAnErrorAndNotACutMessage(t *testing.T) {
	c, _ := pair(t, map[Method]Handler{Wrap: Handle(func(*hsmpb.WrapRequest) (*hsmpb.WrapResponse, error) {
		return &hsmpb.WrapResponse{Wrapped: make([]byte, maxBody+1)}, nil
	})})
	if err := c.Call(t.Context(), Wrap, &hsmpb.WrapRequest{}, &hsmpb.WrapResponse{}); !errors.Is(err, hsm.ErrInvalidArgument) {
		t.Errorf("%v", err)
	}
}

// What comes from the child, whole: whatever bytes it sends, who waits is told, and nothing panics.
func FuzzConn(f *testing.F) {
	good, _ := frame{id: 1, what: outcomeOK, body: []byte{0x0a, 1, 'x'}}.encode()
	failed, _ := frame{id: 1, what: outcomeError, body: []byte("WrongPIN\x00text")}.encode()
	f.Add(good)
	f.Add(failed)
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		ours, theirs := net.Pipe()
		c := NewConn(ours)
		go func() {
			_, _ = readFrame(theirs)
			_, _ = theirs.Write(b)
			_ = theirs.Close()
		}()
		err := c.Call(context.Background(), Random, &hsmpb.RandomRequest{}, &hsmpb.RandomResponse{})
		_ = c.Close()
		<-c.Done()
		if err != nil && hsm.Reason(err) == "" {
			t.Fatalf("%x: %v", b, err)
		}
	})
}
