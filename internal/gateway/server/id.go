package server

import (
	"bufio"
	"crypto/rand"
	"sync"

	"github.com/google/uuid"
)

// randoms read crypto/rand many ids at a time: a read costs some microseconds however little it reads. Ids are told to callers
// and logged; nothing secret is made of these bytes.
var randoms = sync.Pool{New: func() any { return bufio.NewReaderSize(rand.Reader, 64*16) }}

// newID is a random UUID, for a request or an event.
func newID() string {
	reader := randoms.Get().(*bufio.Reader)
	defer randoms.Put(reader)
	return uuid.Must(uuid.NewRandomFromReader(reader)).String() // crypto/rand does not fail
}
