package plugin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestAFileIsReadAsItWasReadFirstOrNotAtAll(t *testing.T) {
	for name, size := range map[string]int{"empty": 0, "a byte": 1, "less than a block": blockSize - 1, "a block": blockSize, "more than a block": blockSize + 1, "blocks": 3 * blockSize} {
		was := bytes.Repeat([]byte("backup"), size/6+1)[:size]
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, was, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = file.Close() }()
		u, err := readFirst(file)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(was); u.hex() != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: the digest is %s", name, u.hex())
		}
		reads := func(want error) {
			t.Helper()
			got, err := io.ReadAll(u.open())
			if !errors.Is(err, want) || want == nil && !bytes.Equal(got, was) || !bytes.HasPrefix(was, got) {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
		}
		reads(nil)
		reads(nil) // again

		if _, err := file.WriteAt([]byte("more"), int64(size)); err != nil {
			t.Fatal(err)
		}
		reads(nil) // what follows is not of it
		if size == 0 {
			continue
		}
		for _, at := range []int64{0, int64(size) / 2, int64(size) - 1} {
			if _, err := file.WriteAt([]byte{was[at] ^ 1}, at); err != nil {
				t.Fatal(err)
			}
			reads(errChanged)
			if _, err := file.WriteAt(was[at:at+1], at); err != nil {
				t.Fatal(err)
			}
		}
		reads(nil)
		if err := file.Truncate(int64(size) - 1); err != nil {
			t.Fatal(err)
		}
		reads(errChanged)
	}
}

func TestAFileThatIsChangedInTheMiddleOfAReadingIsNotReadToItsEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, 2*blockSize), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	u, err := readFirst(file)
	if err != nil {
		t.Fatal(err)
	}
	reader := u.open()
	if _, err := io.ReadFull(reader, make([]byte, blockSize/2)); err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte("another"), blockSize); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, reader); !errors.Is(err, errChanged) || n != blockSize/2 {
		t.Errorf("%d bytes, %v", n, err)
	}
}
