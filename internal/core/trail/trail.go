// Package trail keeps audit records: lines of a file or of standard output, each written before what it tells of is answered.
//
// Records of requests that come at the same time are written together: one of them writes for all, the others wait. So a
// record costs one write of the operating system when there is little to do, and a part of one when there is much.
package trail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// MaximumRecord is how many bytes a record may have: CloudTrail's own limit of an event.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/WhatIsCloudTrail-Limits.html
const MaximumRecord = 256 << 10

var (
	// ErrTooLarge says that a record is over MaximumRecord or holds a line break.
	ErrTooLarge = errors.New("an audit record is one line of at most 262144 bytes")
	// ErrClosed says that the Writer was closed.
	ErrClosed = errors.New("the audit trail is closed")
)

// Writer appends records. It is safe for use by many at once.
type Writer struct {
	out io.Writer

	mu      sync.Mutex
	pending *batch
	writing bool
	// torn says that the last write was cut short: the next one begins a new line, so that one record at most is damaged.
	torn   bool
	closed bool
	idle   *sync.Cond
	spare  []byte
}

// batch is the records that are written together. Done is made by the first one that waits for another's write, and closed when they are written; err is set before.
type batch struct {
	lines []byte
	done  chan struct{}
	err   error
}

// NewWriter makes a Writer to what takes lines, such as standard output.
func NewWriter(out io.Writer) *Writer {
	w := &Writer{out: out}
	w.idle = sync.NewCond(&w.mu)
	return w
}

// OpenFile makes a Writer that appends to a file, made readable for its owner alone. Every write goes to the end of the file as
// it is then, so a file that is cut or copied away while it is written to is gone on with.
func OpenFile(path string) (*Writer, error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the audit trail: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("opening the audit trail: %w", err)
	}
	w := NewWriter(file)
	w.torn = info.Mode().IsRegular() && info.Size() > 0 && !endsInNewline(path, info.Size())
	return w, nil
}

// endsInNewline says whether a file's last record is whole: the process before may have died while it wrote.
func endsInNewline(path string, size int64) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	last := make([]byte, 1)
	_, err = file.ReadAt(last, size-1)
	return err == nil && last[0] == '\n'
}

// Append writes a record, without a line break, and returns when the operating system has it: from then on it survives the
// end of this process. An error says that it may not be there, and so that what it tells of must not be answered.
func (w *Writer) Append(record []byte) error {
	if len(record) > MaximumRecord || bytes.IndexByte(record, '\n') >= 0 {
		return ErrTooLarge
	}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return ErrClosed
	}
	if w.pending == nil {
		w.pending = &batch{lines: w.spare[:0]}
		w.spare = nil
	}
	mine := w.pending
	mine.lines = append(append(mine.lines, record...), '\n')
	if w.writing { // whoever writes takes this batch when it is done with its own
		if mine.done == nil {
			mine.done = make(chan struct{})
		}
		done := mine.done
		w.mu.Unlock()
		<-done
		return mine.err
	}
	w.writing = true
	for w.pending != nil {
		w.writePending()
	}
	w.writing = false
	w.idle.Broadcast()
	w.mu.Unlock()
	return mine.err
}

// writePending writes the batch that waits. It is called, and returns, with the lock held, and lets go of it in between.
func (w *Writer) writePending() {
	b := w.pending
	w.pending = nil
	torn := w.torn
	w.mu.Unlock()
	written, err := w.write(b.lines, torn)
	w.mu.Lock()
	if err != nil {
		b.err = fmt.Errorf("writing the audit trail: %w", err)
	}
	w.torn = err != nil && (written > 0 || torn)
	if cap(b.lines) <= MaximumRecord {
		w.spare = b.lines
	}
	if b.done != nil { // nobody joins it any more, since it is not pending
		close(b.done)
	}
}

func (w *Writer) write(lines []byte, torn bool) (int, error) {
	if torn {
		if n, err := w.out.Write([]byte{'\n'}); err != nil {
			return n, err
		}
	}
	return w.out.Write(lines)
}

// Close waits for what is being written, and closes a file. Records that come later are refused.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for w.writing {
		w.idle.Wait()
	}
	if closer, ok := w.out.(io.Closer); ok && w.out != os.Stdout {
		return closer.Close()
	}
	return nil
}
