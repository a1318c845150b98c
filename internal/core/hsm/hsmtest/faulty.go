//go:build cgo

package hsmtest

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/hsm/node"
)

//go:embed testdata/faulty.c
var faultySource []byte

// Faults is SoftHSM behind a library that fails when a test asks it to: at a function of PKCS#11, such as C_Sign. The logins are
// C_Login-user and C_Login-officer.
type Faults struct {
	// Library is its path.
	Library string
	dir     string
}

// NewFaults builds the library.
func NewFaults(t testing.TB) *Faults {
	t.Helper()
	dir := t.TempDir()
	f := &Faults{Library: filepath.Join(dir, "libfaulty.so"), dir: dir}
	source := filepath.Join(dir, "faulty.c")
	if err := os.WriteFile(source, faultySource, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "cc", "-shared", "-fPIC", "-DREAL=\""+Library+"\"", "-o", f.Library, source, "-ldl", "-lpthread").CombinedOutput(); err != nil {
		t.Fatalf("building a library of faults: %v: %s", err, out)
	}
	return f
}

// Environment is the variable that the library finds its faults by.
func (f *Faults) Environment() string { return "FAULTY_DIRECTORY=" + f.dir }

// In lets a node load the library.
func (f *Faults) In(o *node.Options) {
	o.Library = f.Library
	command := o.Command
	o.Command = func() *exec.Cmd {
		cmd := command()
		cmd.Env = append(cmd.Env, f.Environment())
		return cmd
	}
}

// CrashAt lets the module's process die at the nth call of a function from now, before it is carried out.
func (f *Faults) CrashAt(t testing.TB, function string, n int) {
	t.Helper()
	f.put(t, "crash."+function, strconv.Itoa(n))
}

// CrashAfter lets the module's process die at the nth call of a function from now, after it was carried out.
func (f *Faults) CrashAfter(t testing.TB, function string, n int) {
	t.Helper()
	f.put(t, "crash-after."+function, strconv.Itoa(n))
}

// Fail lets a function answer a code of PKCS#11 until the function that it returns is called.
func (f *Faults) Fail(t testing.TB, function string, code uint) (mend func()) {
	t.Helper()
	return f.put(t, "error."+function, strconv.FormatUint(uint64(code), 10))
}

// Hang lets a function not answer until the function that it returns is called.
func (f *Faults) Hang(t testing.TB, function string) (release func()) {
	t.Helper()
	return f.put(t, "hang."+function, "")
}

// Lock lets the token lock a PIN after three wrong ones in a row, as smart cards do.
func (f *Faults) Lock(t testing.TB) {
	t.Helper()
	f.put(t, "locks", "")
}

// Calls is how often a function was called.
func (f *Faults) Calls(t testing.TB, function string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(f.dir, "calls"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	count := 0
	for line := range strings.Lines(string(text)) {
		if strings.TrimSpace(line) == function {
			count++
		}
	}
	return count
}

// Wrong is how many wrong PINs in a row the token was given: by the user, and by the security officer.
func (f *Faults) Wrong(t testing.TB) (user, officer int) {
	t.Helper()
	count := func(name string) int {
		text, _ := os.ReadFile(filepath.Join(f.dir, name)) // none is none
		n, _ := strconv.Atoi(string(text))
		return n
	}
	return count("wrong-user"), count("wrong-officer")
}

// put makes a file at once, so that the library never reads half of it.
func (f *Faults) put(t testing.TB, name, content string) (remove func()) {
	t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	remove = func() { _ = os.Remove(path) }
	t.Cleanup(remove)
	return remove
}
