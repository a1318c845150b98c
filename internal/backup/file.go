package backup

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// line is one line of a backup: one of header, object and trailer is there. Late is of an object, and earlier versions do not heed it.
type line struct {
	Header  *Header         `json:"header,omitempty"`
	Object  json.RawMessage `json:"object,omitempty"`
	Late    bool            `json:"late,omitempty"`
	Trailer *Trailer        `json:"trailer,omitempty"`
}

// Writer writes a backup.
type Writer struct {
	sealed  io.WriteCloser
	zipped  *gzip.Writer
	lines   *json.Encoder
	objects int64
}

// NewWriter begins a backup that each of the recipients can open. Nothing of it is whole before Close.
func NewWriter(dst io.Writer, h Header, recipients ...age.Recipient) (*Writer, error) {
	sealed, err := age.Encrypt(dst, recipients...)
	if err != nil {
		return nil, fmt.Errorf("sealing the backup: %w", err)
	}
	w := &Writer{sealed: sealed, zipped: gzip.NewWriter(sealed)}
	w.lines = json.NewEncoder(w.zipped)
	h.Format, h.Version = Format, Version
	return w, w.write(line{Header: &h})
}

func (w *Writer) write(l line) error {
	if err := w.lines.Encode(l); err != nil {
		return fmt.Errorf("writing the backup: %w", err)
	}
	return nil
}

// Add writes an object, without what is its own in this cluster alone.
func (w *Writer) Add(o *unstructured.Unstructured) error { return w.add(o, false) }

// AddLate is Add of an object that has to be younger than all others, once made again: it claims what an older one has.
func (w *Writer) AddLate(o *unstructured.Unstructured) error { return w.add(o, true) }

func (w *Writer) add(o *unstructured.Unstructured, late bool) error {
	text, err := portable(o).MarshalJSON()
	if err != nil {
		return fmt.Errorf("writing %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	w.objects++
	return w.write(line{Object: text, Late: late})
}

// Close ends the backup. It does not close what the backup is written to.
func (w *Writer) Close() error {
	err := w.write(line{Trailer: &Trailer{Objects: w.objects}})
	if err == nil {
		err = w.zipped.Close()
	}
	if err == nil {
		err = w.sealed.Close()
	}
	return err
}

// Reader reads a backup.
type Reader struct {
	lines  *bufio.Scanner
	header Header
	read   int64
	late   bool
}

// NewReader opens a backup with one of the identities. It fails with *age.NoIdentityMatchError if none opens it, and with ErrFormat if it is none.
func NewReader(src io.Reader, identities ...age.Identity) (*Reader, error) {
	opened, err := age.Decrypt(src, identities...)
	if err != nil {
		return nil, fmt.Errorf("opening the backup: %w", err)
	}
	unzipped, err := gzip.NewReader(opened)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return newLines(unzipped)
}

// newLines is NewReader of the lines in the clear.
func newLines(src io.Reader) (*Reader, error) {
	r := &Reader{lines: bufio.NewScanner(src)}
	r.lines.Buffer(nil, maximumLine)
	first, err := r.next()
	switch {
	case err != nil:
		return nil, err
	case first.Header == nil || first.Header.Format != Format || first.Header.Version != Version || first.Header.Namespace == "":
		return nil, ErrFormat
	}
	r.header = *first.Header
	return r, nil
}

// Header is the backup's first line.
func (r *Reader) Header() Header { return r.header }

// Late tells whether the object that Next answered last was written by AddLate.
func (r *Reader) Late() bool { return r.late }

// Next is the next object, or io.EOF when all were read and the backup is whole. It fails with ErrTruncated if it is not, and with ErrFormat if there is
// something else.
func (r *Reader) Next() (*unstructured.Unstructured, error) {
	l, err := r.next()
	switch {
	case err != nil:
		return nil, err
	case l.Trailer != nil:
		return nil, r.end(*l.Trailer)
	case l.Object == nil:
		return nil, ErrFormat
	}
	r.read, r.late = r.read+1, l.Late
	o := &unstructured.Unstructured{}
	if utiljson.Unmarshal(l.Object, &o.Object) != nil { // which keeps whole numbers whole
		return nil, ErrFormat
	}
	if _, known := rankOf(o); !known || o.GetName() == "" {
		return nil, fmt.Errorf("%w: object %d is a %.80q named %.80q", ErrFormat, r.read, o.GroupVersionKind().String(), o.GetName())
	}
	return portable(o), nil
}

// end is io.EOF if nothing is missing and nothing follows.
func (r *Reader) end(t Trailer) error {
	if t.Objects != r.read {
		return fmt.Errorf("%w: %d of %d objects are there", ErrTruncated, r.read, t.Objects)
	}
	if r.lines.Scan() {
		return ErrFormat
	}
	if err := r.lines.Err(); err != nil {
		return unreadable(err)
	}
	return io.EOF
}

func (r *Reader) next() (l line, err error) {
	if !r.lines.Scan() {
		if err := r.lines.Err(); err != nil {
			return l, unreadable(err)
		}
		return l, ErrTruncated
	}
	if err := json.Unmarshal(r.lines.Bytes(), &l); err != nil {
		return l, ErrFormat // not why: the text may be of a key
	}
	return l, nil
}

// unreadable is why no line could be read.
func unreadable(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return ErrTruncated
	case errors.Is(err, bufio.ErrTooLong), errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader):
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return fmt.Errorf("reading the backup: %w", err)
}
