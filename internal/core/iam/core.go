package iam

import "strings"

// core searches for literals with question marks between them, beginning and ending with a literal, by the shift-and method: a bit for
// each byte of the literals and each question mark says whether all up to there fits what was read last. A byte of a text costs an operation
// for each 64 bits, whatever the text is.
// R. Baeza-Yates, G. Gonnet: A New Approach to Text Searching, CACM 35 (1992).
type core struct {
	part
	words int
	// row is which of the masks a byte has: 0 for one that is in no literal.
	row [256]uint16
	// masks are words for each row: where the byte fits.
	masks []uint64
	// any are the question marks.
	any []uint64
	// last is the bit of the last word that says that all fits.
	last uint64
}

const (
	wordBits = 64
	// coreSetUp is what making a core costs for each bit, in steps.
	coreSetUp = 8
)

// wordsOf is how many words have so many bits.
func wordsOf(size int64) int64 { return (size + wordBits - 1) / wordBits }

func newCore(p part) *core {
	size := p.size()
	c := &core{part: p, words: int(wordsOf(size)), last: 1 << uint((size-1)%wordBits)}
	rows := 1
	for i := range p {
		for _, b := range []byte(p[i].text) {
			if c.row[b] == 0 {
				c.row[b] = uint16(rows)
				rows++
			}
		}
	}
	c.masks, c.any = make([]uint64, rows*c.words), make([]uint64, c.words)
	bit := 0
	for i := range p {
		if p[i].kind == anyOne {
			c.any[bit/wordBits] |= 1 << uint(bit%wordBits)
			bit++
		}
		for _, b := range []byte(p[i].text) {
			c.masks[int(c.row[b])*c.words+bit/wordBits] |= 1 << uint(bit%wordBits)
			bit++
		}
	}
	return c
}

// skip is what is behind the first place of s where all fits. Where nothing has begun to fit, the next place is looked for by the first
// literal, and tried at once: if it does not fit, the bits stay as long as it did, so that no byte is tried twice.
func (c *core) skip(s string, work *Meter) (rest string, ok bool) {
	var few [16]uint64
	state := few[:]
	if c.words > len(few) {
		state = make([]uint64, c.words)
	}
	state = state[:c.words]
	used := 0      // words of state that may have a bit
	character := 0 // where the character ends that is being read
	for i := 0; i < len(s); i++ {
		if used == 0 {
			at := strings.Index(s[i:], c.part[0].text)
			if at < 0 {
				return "", false
			}
			i += at
			if _, rest, ok := c.head(s[i:]); ok {
				return rest, true
			}
		}
		starts := i >= character
		if starts {
			character = i + first(s[i:])
		}
		if used < c.words {
			used++
		}
		if !work.spend(int64(used)) {
			return "", false
		}
		masks := c.masks[int(c.row[s[i]])*c.words:][:used]
		if used = c.step(state[:used], masks, starts); used == c.words && state[used-1]&c.last != 0 {
			return s[i+1:], true
		}
	}
	return "", false
}

// step reads a byte. What fitted up to a bit fits up to the next one if that is the byte, or a question mark at which a character starts;
// the rest of a character stays with its question mark. It tells how many words have a bit.
func (c *core) step(state, masks []uint64, starts bool) (used int) {
	carry := uint64(0)
	if starts {
		carry = 1
	}
	for w, was := range state {
		shifted := was<<1 | carry
		carry = was >> (wordBits - 1)
		if starts {
			shifted &= masks[w] | c.any[w]
		} else {
			shifted = shifted&masks[w] | was&c.any[w]
		}
		state[w] = shifted
		if shifted != 0 {
			used = w + 1
		}
	}
	return used
}
