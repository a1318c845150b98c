package hsmnodes

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheLastLineOfALogIsToldForPeople(t *testing.T) {
	for log, want := range map[string]string{
		"":                                       "",
		"\n\n":                                   "",
		"one\ntwo\n":                             "two",
		"one\n{\"msg\":\"m\",\"err\":\"e\"}\n\n": "m e",
		"{\"msg\":\"m\"}":                        "m",
		"{\"Err\":\"e\"}":                        "e",
		"{\"level\":\"INFO\"}":                   "",
		"{\"msg\":7}":                            "{\"msg\":7}",
		"{\"msg\":\"cut":                         "{\"msg\":\"cut",
		"\xff\xfe":                               "",
		strings.Repeat("ä", 200):                 strings.Repeat("ä", 100),
		"x" + strings.Repeat("ä", 200):           "x" + strings.Repeat("ä", 99),
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "log"), log)
		if got := (&supervised{dir: dir}).lastLine(); got != want {
			t.Errorf("%.40q: %q, want %q", log, got, want)
		}
	}
	if got := (&supervised{dir: t.TempDir()}).lastLine(); got != "" {
		t.Errorf("of no log: %q", got)
	}
}

// A log is what a vendor's library prints: its end becomes part of a condition, and no bytes of it may make that invalid.
func FuzzLastLine(f *testing.F) {
	f.Add([]byte("{\"msg\":\"m\",\"err\":\"e\"}"))
	f.Add([]byte("\xff"))
	f.Add(bytes.Repeat([]byte("ä"), 150))
	f.Fuzz(func(t *testing.T, log []byte) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "log"), string(log))
		if got := (&supervised{dir: dir}).lastLine(); len(got) > 200 || !utf8.ValidString(got) || strings.Contains(got, "\n") && !bytes.Contains(log, []byte("\\n")) {
			t.Fatalf("%q", got)
		}
	})
}

func TestALogIsBegunAnewWhenItIsLarge(t *testing.T) {
	for size, kept := range map[int]bool{10: true, maximumLog: true, maximumLog + 1: false} {
		dir := t.TempDir()
		path := filepath.Join(dir, "log")
		write(t, path, strings.Repeat("x", size))
		log, err := (&supervised{dir: dir}).openLog()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(log, "new")
		_ = log.Close()
		info, err := os.Stat(path)
		if err != nil || (info.Size() > 3) != kept || info.Mode().Perm() != 0o600 {
			t.Errorf("%d bytes became %d, %v", size, info.Size(), err)
		}
	}
}

// The number in a file names a process of this machine: whatever is in there, nobody is ended who is not the node of that directory.
func TestAFileThatNamesNoNodeEndsNobody(t *testing.T) {
	self := os.Getpid()
	for _, content := range []string{"", "x", "0", "1", "-1", fmt.Sprint(-self), fmt.Sprint(self), "99999999999999999999", "4194305", fmt.Sprintf("%d\n%d", self, self)} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "pid"), content)
		(&supervised{dir: dir}).endFormer() // this process is still here to say so
	}
}

func TestADirectoryThatCannotBeWrittenIsSaid(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "missing")
	s := supervise(dir, func() (*exec.Cmd, error) { return exec.Command("true"), nil })
	defer s.end()
	within(t, "it says so", func() bool { return strings.Contains(s.message(), "no such file") })
	if err := replace(filepath.Join(dir, "x"), nil); err == nil {
		t.Error("it is written")
	}
	if _, err := addressOf(dir); err == nil {
		t.Error("a port is chosen and not kept")
	}
}
