package trail_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"strongroom.dev/strongroom/internal/core/trail"
)

// slow holds its first write until it is let go, and counts writes.
type slow struct {
	mu      sync.Mutex
	out     bytes.Buffer
	writes  int
	entered chan struct{}
	release chan struct{}
}

func (s *slow) Write(p []byte) (int, error) {
	s.mu.Lock()
	s.writes++
	first := s.writes == 1
	s.mu.Unlock()
	if first {
		close(s.entered)
		<-s.release
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(p)
}

func TestRecordsThatWaitAreWrittenTogether(t *testing.T) {
	out := &slow{entered: make(chan struct{}), release: make(chan struct{})}
	w := trail.NewWriter(out)
	var all sync.WaitGroup
	put := func(i int) {
		defer all.Done()
		if err := w.Append(fmt.Appendf(nil, "record %02d", i)); err != nil {
			t.Error(err)
		}
	}
	all.Add(1)
	go put(0)
	<-out.entered
	const waiting = 40
	started := sync.WaitGroup{}
	for i := 1; i <= waiting; i++ {
		all.Add(1)
		started.Add(1)
		go func() { started.Done(); put(i) }()
	}
	started.Wait()
	close(out.release)
	all.Wait()
	lines := strings.Split(strings.TrimSuffix(out.out.String(), "\n"), "\n")
	seen := map[string]bool{}
	for _, line := range lines {
		seen[line] = true
	}
	if len(lines) != waiting+1 || len(seen) != waiting+1 {
		t.Errorf("%d lines, %d different", len(lines), len(seen))
	}
	if out.writes > waiting { // some of them, at least, went together
		t.Errorf("%d writes for %d records", out.writes, waiting+1)
	}
}

// broken fails at its nth write, after a part of it.
type broken struct {
	bytes.Buffer
	writes, failAt, part int
}

var errDisk = errors.New("no space left on device")

func (b *broken) Write(p []byte) (int, error) {
	b.writes++
	if b.writes == b.failAt {
		b.Buffer.Write(p[:b.part])
		return b.part, errDisk
	}
	return b.Buffer.Write(p)
}

func TestARecordThatCannotBeWrittenIsSaidAndDamagesNoOther(t *testing.T) {
	for _, part := range []int{0, 4} {
		out := &broken{failAt: 2, part: part}
		w := trail.NewWriter(out)
		for i, want := range []error{nil, errDisk, nil} {
			if err := w.Append(fmt.Appendf(nil, `{"n":%d}`, i)); !errors.Is(err, want) {
				t.Fatalf("record %d: %v", i, err)
			}
		}
		lines := strings.Split(out.String(), "\n")
		if lines[0] != `{"n":0}` || lines[len(lines)-2] != `{"n":2}` {
			t.Errorf("after %d bytes of a record: %q", part, lines)
		}
	}
}

func TestARecordIsOneLineOfLimitedLength(t *testing.T) {
	var out bytes.Buffer
	w := trail.NewWriter(&out)
	for name, record := range map[string][]byte{
		"two lines": []byte("{}\n{}"), "too long": make([]byte, trail.MaximumRecord+1),
	} {
		if err := w.Append(record); !errors.Is(err, trail.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.Append(bytes.Repeat([]byte("x"), trail.MaximumRecord)); err != nil {
		t.Error(err)
	}
	if out.Len() != trail.MaximumRecord+1 {
		t.Errorf("%d bytes were written", out.Len())
	}
}

func TestAFileIsGoneOnWithOnANewLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	for _, tt := range []struct{ before, after string }{
		{"", "{}\n"},
		{"{\"a\":1}\n", "{\"a\":1}\n{}\n"},
		{"{\"a\":", "{\"a\":\n{}\n"}, // the process before died while it wrote
	} {
		if err := os.WriteFile(path, []byte(tt.before), 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := trail.OpenFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Append([]byte("{}")), w.Close()); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); string(got) != tt.after {
			t.Errorf("%q became %q", tt.before, got)
		}
		if err := w.Append([]byte("{}")); !errors.Is(err, trail.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}

func TestAFileThatIsMadeIsItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	w, err := trail.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := trail.OpenFile(filepath.Join(path, "below")); err == nil {
		t.Error("a path that cannot be was opened")
	}
}

func BenchmarkAppend(b *testing.B) {
	w, err := trail.OpenFile(filepath.Join(b.TempDir(), "audit.log"))
	if err != nil {
		b.Fatal(err)
	}
	record := bytes.Repeat([]byte("x"), 900)
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Append(record); err != nil {
			b.Fatal(err)
		}
	}
}
