package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// PIN reads a PIN of the moment. The caller owns it.
type PIN func() (secretbytes.Bytes, error)

// maxPIN is more than any module takes, in bytes.
const maxPIN = 256

// FilePIN reads a PIN from a file each time it is asked, without the line break at its end.
func FilePIN(path string) PIN {
	return func() (secretbytes.Bytes, error) {
		b, err := os.ReadFile(path)
		if err != nil {
			return secretbytes.Bytes{}, fmt.Errorf("reading a PIN: %w", err)
		}
		return validPIN(bytes.TrimRight(b, "\r\n"), path)
	}
}

// EnvironmentPIN reads a PIN from an environment variable.
func EnvironmentPIN(variable string) PIN {
	return func() (secretbytes.Bytes, error) { return validPIN([]byte(os.Getenv(variable)), variable) }
}

func validPIN(b []byte, from string) (secretbytes.Bytes, error) {
	if len(b) == 0 || len(b) > maxPIN {
		clear(b)
		return secretbytes.Bytes{}, fmt.Errorf("%w: the PIN in %s has %d bytes; give 1 to %d", hsm.ErrInvalidArgument, from, len(b), maxPIN)
	}
	return secretbytes.Own(b), nil
}

// flags are what the token tells of one of its PINs without a login.
type flags struct{ countLow, finalTry, locked bool }

// guard makes sure that a token is never locked: a PIN that was refused is not tried again, by this process or a later one. It keeps a
// slow salted digest of the last PIN that was tried, and removes it when that was right.
type guard struct {
	path string // readable for this node alone
	name string // of the PIN, for people
}

// attempt is the content of the guard's file.
type attempt struct {
	hsm.PINDigest
	Refused bool `json:"refused"`
}

func newGuard(dir, name, file string) guard {
	return guard{path: filepath.Join(dir, file), name: name}
}

// verdict decides whether a PIN may be tried. If same, the file is of this PIN. A file that does not say Refused is of an attempt
// whose end nobody saw; what it came to is told by the token's flag, which falls with each right PIN.
func verdict(name string, f flags, same, refused bool) error {
	switch {
	case f.locked:
		return fmt.Errorf("%w: the token takes no %s any more", hsm.ErrPINLocked, name)
	case f.finalTry:
		return fmt.Errorf("%w: the token would lock after one more wrong %s, so none is tried; log in with the right one by the vendor's tool, or set another", hsm.ErrPINLocked, name)
	case same && (refused || f.countLow):
		return fmt.Errorf("%w: the token refused this %s before; it is not tried again before it is another, so that the token is not locked", hsm.ErrWrongPIN, name)
	}
	return nil
}

// try calls login with pin if it may. What is going to be tried is on disk before it is: a crash in the middle does not forget it.
func (g guard) try(pin secretbytes.Bytes, f flags, login func() error) error {
	last, err := g.read()
	if err != nil {
		return err
	}
	same := false
	if last != nil {
		if same, err = last.Is(pin); err != nil {
			return err
		}
	}
	if err := verdict(g.name, f, same, last != nil && last.Refused); err != nil {
		return err
	}
	var now attempt
	if now.PINDigest, err = hsm.DigestPIN(pin); err != nil {
		return err
	}
	if err := g.write(now); err != nil {
		return err
	}
	err = login()
	switch {
	case err == nil:
		if removed := os.Remove(g.path); removed != nil {
			return fmt.Errorf("forgetting a right PIN: %w", removed)
		}
		return nil
	case errors.Is(err, hsm.ErrWrongPIN), errors.Is(err, hsm.ErrPINLocked):
		now.Refused = true
		return errors.Join(err, g.write(now))
	}
	return err
}

// read answers nil if nothing was tried. A damaged file counts as a refused PIN that nobody knows: it is said, and none is tried.
func (g guard) read() (*attempt, error) {
	b, err := os.ReadFile(g.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var a attempt
	if err == nil {
		err = json.Unmarshal(b, &a)
	}
	if err == nil && !a.Valid() {
		err = errors.New("it is cut off")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: whether a PIN was refused before cannot be told: %s: %w; remove that file if the PIN is right", hsm.ErrWrongPIN, g.path, err)
	}
	return &a, nil
}

// write puts the file in place whole or not at all: by a rename, after its bytes are on disk.
func (g guard) write(a attempt) error {
	b, err := json.Marshal(a)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(g.path), ".attempt-*")
	if err != nil {
		return fmt.Errorf("noting that a PIN is tried: %w", err)
	}
	defer os.Remove(f.Name()) // it is renamed by then
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), g.path)
	}
	if err != nil {
		return fmt.Errorf("noting that a PIN is tried: %w", err)
	}
	return nil
}
