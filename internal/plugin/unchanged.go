package plugin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// blockSize is how much of a file is read, and known again, at once.
const blockSize = 1 << 20

// errChanged says that a file is not what it was when it was read first.
var errChanged = errors.New("the file was changed while it was read")

// unchanged is a file as it was when it was read first. Whoever may write to the file cannot exchange what was looked at, or what a digest is of, for something else that is then
// used: nothing is handed out that is not as it was.
type unchanged struct {
	file   io.ReaderAt
	blocks [][sha256.Size]byte // the digest of each; the last may be a part of one
	size   int64
	digest [sha256.Size]byte
}

// readFirst reads a file to its end, which is what it has to be from then on.
func readFirst(file io.ReaderAt) (*unchanged, error) {
	u, all, block := &unchanged{file: file}, sha256.New(), make([]byte, blockSize)
	for {
		n, err := io.ReadFull(io.NewSectionReader(file, u.size, blockSize), block)
		if n > 0 {
			_, _ = all.Write(block[:n])
			u.blocks, u.size = append(u.blocks, sha256.Sum256(block[:n])), u.size+int64(n)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			all.Sum(u.digest[:0])
			return u, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// hex is the SHA-256 of all of it.
func (u *unchanged) hex() string { return hex.EncodeToString(u.digest[:]) }

// open reads it from the beginning. It fails with errChanged.
func (u *unchanged) open() io.Reader { return &unchangedReader{of: u, block: make([]byte, blockSize)} }

// unchangedReader has left of the last block that it read.
type unchangedReader struct {
	of          *unchanged
	next        int
	block, left []byte
}

// Read implements io.Reader.
func (r *unchangedReader) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

func (r *unchangedReader) fill() error {
	if r.next == len(r.of.blocks) {
		return io.EOF // what was added since is not of the file
	}
	at := int64(r.next) * blockSize
	block := r.block[:min(blockSize, r.of.size-at)]
	if _, err := io.ReadFull(io.NewSectionReader(r.of.file, at, int64(len(block))), block); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: it is shorter", errChanged)
		}
		return err
	}
	if sum := sha256.Sum256(block); !bytes.Equal(sum[:], r.of.blocks[r.next][:]) {
		return errChanged
	}
	r.next, r.left = r.next+1, block
	return nil
}
