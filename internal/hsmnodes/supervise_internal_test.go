package hsmnodes

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func within(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatalf("it did not happen: %s", what)
}

// sleeper is a process whose arguments name a node's directory.
func sleeper(dir string) *exec.Cmd {
	return exec.Command("sh", "-c", "echo '{\"msg\":\"began\"}'; exec sleep 60 # "+filepath.Join(dir, "state"))
}

func pidIn(dir string) int {
	text, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

func alive(pid int) bool { return pid > 0 && syscall.Kill(pid, 0) == nil }

func TestAProcessThatEndsIsStartedAgainAndEndsWithItsSupervisor(t *testing.T) {
	dir := t.TempDir()
	s := supervise(dir, func() (*exec.Cmd, error) { return sleeper(dir), nil })
	within(t, "it runs", func() bool { return alive(pidIn(dir)) })
	first := pidIn(dir)
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	within(t, "it says so", func() bool { return strings.Contains(s.message(), "ended") })
	within(t, "it runs again", func() bool { return alive(pidIn(dir)) && pidIn(dir) != first && s.message() == "" })
	second := pidIn(dir)
	s.end()
	if alive(second) || pidIn(dir) != 0 {
		t.Error("it runs on")
	}
}

func TestAProgramThatIsNotThereIsSaid(t *testing.T) {
	dir := t.TempDir()
	s := supervise(dir, func() (*exec.Cmd, error) { return exec.Command(filepath.Join(dir, "missing")), nil })
	defer s.end()
	within(t, "it says so", func() bool { return strings.Contains(s.message(), "no such file") })
}

func TestWhatAProgramSaidLastIsTold(t *testing.T) {
	dir := t.TempDir()
	s := supervise(dir, func() (*exec.Cmd, error) {
		return exec.Command("sh", "-c", "echo one; echo '{\"msg\":\"no token\",\"err\":\"because\"}'; exit 3"), nil
	})
	defer s.end()
	within(t, "it says so", func() bool {
		return strings.Contains(s.message(), "no token because") && strings.Contains(s.message(), "exit status 3")
	})
}

// What runs on after a manager was killed is no second process on one token.
func TestAProcessThatAFormerManagerLeftBehindIsEndedAndAnothersIsNot(t *testing.T) {
	dir := t.TempDir()
	left := exec.Command("sh", "-c", "sleep 60; : "+filepath.Join(dir, "state"))
	strangers := exec.Command("sleep", "60")
	for _, c := range []*exec.Cmd{left, strangers} {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Process.Kill() }()
	}
	ended := make(chan error, 1)
	go func() { ended <- left.Wait() }()
	for _, c := range []*exec.Cmd{strangers, left} {
		if err := os.WriteFile(filepath.Join(dir, "pid"), []byte(strconv.Itoa(c.Process.Pid)), 0o600); err != nil {
			t.Fatal(err)
		}
		s := &supervised{dir: dir}
		s.endFormer()
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("it was not ended")
	}
	if !alive(strangers.Process.Pid) {
		t.Error("a process of another was ended, since it has the number that a node had")
	}
	_ = strangers.Process.Kill()
	_ = strangers.Wait()
}

func TestAPortIsChosenOnceAndOneThatIsNoneIsChosenAnew(t *testing.T) {
	dir := t.TempDir()
	first, err := addressOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := addressOf(dir); err != nil || again != first {
		t.Errorf("%s and then %s: %v", first, again, err)
	}
	for _, bad := range []string{"", "x", "0", "70000", "-1"} {
		if err := os.WriteFile(filepath.Join(dir, "port"), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if address, err := addressOf(dir); err != nil || strings.HasSuffix(address, ":"+bad) {
			t.Errorf("%q: %s, %v", bad, address, err)
		}
	}
}

func TestAPortThatAnotherProgramTookIsChosenAnewWhenTheNodeStartsAndNotBefore(t *testing.T) {
	dir := t.TempDir()
	first, err := addressOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	if free, err := freeAddressOf(dir); err != nil || free != first {
		t.Fatalf("%s was free, and %s is taken: %v", first, free, err)
	}
	squatter, err := net.Listen("tcp", first)
	if err != nil {
		t.Fatal(err)
	}
	defer squatter.Close()
	if told, err := addressOf(dir); err != nil || told != first {
		t.Errorf("a node that runs is at %s, and %s is told: %v", first, told, err)
	}
	second, err := freeAddressOf(dir)
	if err != nil || second == first {
		t.Fatalf("%s: %v", second, err)
	}
	if told, err := addressOf(dir); err != nil || told != second {
		t.Errorf("%s is told and not %s: %v", told, second, err)
	}
}

func TestWhyAProcessHasNoCommandIsSaid(t *testing.T) {
	s := supervise(t.TempDir(), func() (*exec.Cmd, error) { return nil, errors.New("no port is free") })
	defer s.end()
	within(t, "it says so", func() bool { return strings.Contains(s.message(), "no port is free") })
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pin")
	for _, content := range []string{"a", "b", "b"} {
		if err := replace(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != content {
			t.Errorf("%q, %v", got, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	}
}
