package child

import (
	"encoding/binary"
	"fmt"
	"io"

	"strongroom.dev/strongroom/internal/core/hsm"
)

// A frame is its length of 4 bytes, big-endian and without these 4; the request's number of 8 bytes; a byte that is the method of a
// request, or the outcome of a response; and the body. An outcome of 0 has the response's message, and 1 an error: its reason, a 0, its text.
const (
	frameHeader = 4 + 8 + 1
	maxBody     = hsm.MaxMessage

	outcomeOK    = 0
	outcomeError = 1
)

type frame struct {
	id   uint64
	what byte
	body []byte
}

// encode is one slice, so that it is one write.
func (f frame) encode() ([]byte, error) {
	if len(f.body) > maxBody {
		return nil, fmt.Errorf("%w: a message of %d bytes, and the limit is %d", hsm.ErrInvalidArgument, len(f.body), maxBody)
	}
	b := make([]byte, frameHeader, frameHeader+len(f.body))
	binary.BigEndian.PutUint32(b, uint32(len(f.body)+frameHeader-4))
	binary.BigEndian.PutUint64(b[4:], f.id)
	b[12] = f.what
	return append(b, f.body...), nil
}

// readFrame reads one frame and allocates no more than maxBody for it.
func readFrame(r io.Reader) (frame, error) {
	var header [frameHeader]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return frame{}, err
	}
	size := binary.BigEndian.Uint32(header[:])
	if size < frameHeader-4 || size > frameHeader-4+maxBody {
		return frame{}, fmt.Errorf("a frame of %d bytes", size)
	}
	f := frame{id: binary.BigEndian.Uint64(header[4:]), what: header[12], body: make([]byte, size-(frameHeader-4))}
	if _, err := io.ReadFull(r, f.body); err != nil {
		return frame{}, fmt.Errorf("a frame that was cut off: %w", err)
	}
	return f, nil
}
