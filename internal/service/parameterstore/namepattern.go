package parameterstore

import "strings"

// NamePattern is a pattern of names below a path: * is any characters of one level, ** any characters, and **/ any levels or none, so that **/password is password wherever it is.
//
// It is an automaton of one state for each place in the pattern, all of which are looked at by a few operations on words of 64 (Baeza-Yates and Gonnet's Shift-And): a name costs as many steps as it has
// characters times the words of the pattern, at most five, whatever both are. Backtracking, or an expression of RE2, costs up to a step for each character of the one and of the other.
type NamePattern struct {
	// words is how many of 64 states the automaton has, and last the state in which a name matches when it ends.
	words, last int
	// class of a byte is the index of its states in consume: 0 is that of all bytes that the pattern does not have.
	class [256]uint8
	// consume has the states that a byte leads on from, to the next one.
	consume [][]uint64
	// any and level are the states that every byte leads back to, and every one but a slash. skip are those that are left without one, when they are come to.
	any, level, skip []uint64
}

// CompilePattern compiles a pattern of names. It has 1 to 256 letters, digits and . _ - / *, and at most 8 wildcards: anything else is an error.
func CompilePattern(pattern string) (*NamePattern, error) {
	if !isPattern(pattern) {
		return nil, errPatternText
	}
	states := len(pattern) + 1 - strings.Count(pattern, "*")
	words := (states + 63) / 64
	p := &NamePattern{
		words: words, last: states - 1, consume: [][]uint64{make([]uint64, words)},
		any: make([]uint64, words), level: make([]uint64, words), skip: make([]uint64, words),
	}
	state := 0
	for rest := pattern; rest != ""; {
		literal, after, found := strings.Cut(rest, "*")
		for i := range len(literal) {
			p.leadOn(literal[i], state)
			state++
		}
		rest = strings.TrimLeft(after, "*")
		switch {
		case found && rest != after && strings.HasPrefix(rest, "/") && (state == 0 || strings.HasSuffix(literal, "/")):
			set(p.any, state)
			set(p.skip, state)
			p.leadOn('/', state)
			state++
			rest = rest[1:]
		case found && rest != after:
			set(p.any, state)
		case found:
			set(p.level, state)
		}
	}
	return p, nil
}

func set(states []uint64, state int) { states[state/64] |= 1 << (state % 64) }

// leadOn has a byte lead from a state to the next one.
func (p *NamePattern) leadOn(c byte, state int) {
	if p.class[c] == 0 {
		p.class[c] = uint8(len(p.consume)) // of some 65 that a pattern may have
		p.consume = append(p.consume, make([]uint64, p.words))
	}
	set(p.consume[p.class[c]], state)
}

// MatchString tells whether a name matches from its beginning to its end.
func (p *NamePattern) MatchString(name string) bool {
	matches, _ := p.match(name)
	return matches
}

// maximumWords is that of a pattern of maximumPattern bytes, whose end is a state, too.
const maximumWords = (maximumPattern + 1 + 63) / 64

// match also tells how many words it looked at.
func (p *NamePattern) match(name string) (matches bool, steps int) {
	var room [maximumWords]uint64
	states := room[:p.words]
	states[0] = 1 | (p.skip[0]&1)<<1
	for i := range len(name) {
		consume, slash := p.consume[p.class[name[i]]], name[i] == '/'
		var carry, left, alive uint64 // what leads out of the word before: consumed, and skipped
		for w, now := range states {
			steps++
			back := now & p.any[w]
			if !slash {
				back |= now & p.level[w]
			}
			on := now & consume[w]
			next := on<<1 | carry
			carry = on >> 63
			skipped := next & p.skip[w]
			states[w] = back | next | skipped<<1 | left
			left = skipped >> 63
			alive |= states[w]
		}
		if alive == 0 {
			return false, steps
		}
	}
	return states[p.last/64]>>(p.last%64)&1 == 1, steps
}
