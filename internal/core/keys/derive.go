package keys

import (
	"crypto/hkdf"
	"crypto/sha256"
	"hash"
	"sync"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// hashes are what one derivation hashes with: two for each of HKDF's two MACs. They are used again and not made anew, since each object that
// is made within secretbytes.Do is noted by the runtime and erased by the garbage collector, which costs as much as hashing.
type hashes struct {
	all  [4]hash.Hash
	used int
	next func() hash.Hash
}

var derivations = sync.Pool{New: func() any {
	h := &hashes{}
	for i := range h.all {
		h.all[i] = sha256.New()
	}
	h.next = func() hash.Hash {
		if h.used == len(h.all) {
			return sha256.New()
		}
		h.used++
		return h.all[h.used-1]
	}
	return h
}}

// derive is the key of the one message that has this salt. Call it within secretbytes.Do.
func derive(key secretbytes.Bytes, salt, info []byte) ([]byte, error) {
	h := derivations.Get().(*hashes)
	derived, err := hkdf.Key(h.next, key.Reveal(), salt, string(info), KeySize)
	h.wipe()
	derivations.Put(h)
	return derived, err
}

// wipe erases what the hashes hold: the state, by Reset, and the block that was begun, by filling it. A whole block would not be kept, and so
// overwrite nothing.
func (h *hashes) wipe() {
	var zeros [sha256.BlockSize]byte
	for _, of := range h.all[:h.used] {
		of.Reset()
		of.Write(zeros[:sha256.BlockSize-1])
		of.Write(zeros[:1])
		of.Reset()
	}
	h.used = 0
}
