package iam

import (
	"strings"
	"unicode/utf8"
)

// match tells whether the whole of s fits, and false if there is not enough work left to know. What is before the first star and behind
// the last one has its place. Each part between two stars is taken where it is first, which leaves the most to the others: no place is gone
// back to. A question mark is one character; an invalid byte counts as one.
//
// The time is linear in the pattern and s together, and for a part with a question mark between literals n·m/64: see core.
func (p *pattern) match(s string, work *Meter) bool {
	if p.isExact {
		work.left -= comparing + int64(len(p.exact))>>4
		return s == p.exact
	}
	if !work.spend(comparing + p.size) {
		return false
	}
	tokens := part(p.tokens)
	t, s, ok := tokens.head(s)
	if !ok || t == len(tokens) {
		return ok && s == ""
	}
	last, s, ok := tokens.tail(s)
	if !ok || t == last {
		return ok
	}
	if !work.spend(int64(len(s))) {
		return false
	}
	for t++; t <= last; t++ {
		end := t
		for tokens[end].kind != anyRun {
			end++
		}
		if s, ok = tokens[t:end].skip(s, work); !ok {
			return false
		}
		t = end
	}
	return true
}

// head takes what is before the first star off the beginning of s, and tells where the star is: at the end if there is none.
func (p part) head(s string) (star int, rest string, ok bool) {
	for i := range p {
		switch t := &p[i]; t.kind {
		case anyRun:
			return i, s, true
		case anyOne:
			if s == "" {
				return i, s, false
			}
			s = s[first(s):]
		default:
			if s, ok = strings.CutPrefix(s, t.text); !ok {
				return i, s, false
			}
		}
	}
	return len(p), s, true
}

// tail takes what is behind the last star off the end of s, and tells where the star is. There is one.
func (p part) tail(s string) (star int, rest string, ok bool) {
	for i := len(p) - 1; ; i-- {
		switch t := &p[i]; t.kind {
		case anyRun:
			return i, s, true
		case anyOne:
			if s == "" {
				return i, s, false
			}
			_, n := utf8.DecodeLastRuneInString(s)
			s = s[:len(s)-n]
		default:
			if s, ok = strings.CutSuffix(s, t.text); !ok {
				return i, s, false
			}
		}
	}
}

// first is the length of the first character of s, which is not empty.
func first(s string) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// part is some of the tokens of a pattern: between two stars, literals and question marks.
type part []token

// trim cuts the question marks off both sides, and counts them.
func (p part) trim() (before int, core part, behind int) {
	for len(p) > 0 && p[0].kind == anyOne {
		p = p[1:]
		before++
	}
	for len(p) > 0 && p[len(p)-1].kind == anyOne {
		p = p[:len(p)-1]
		behind++
	}
	return before, p, behind
}

// skip is what is behind the first place in s where the part is.
func (p part) skip(s string, work *Meter) (rest string, ok bool) {
	before, p, behind := p.trim()
	if s, ok = characters(s, before); !ok {
		return "", false
	}
	switch len(p) {
	case 0:
	case 1:
		at := strings.Index(s, p[0].text)
		if at < 0 {
			return "", false
		}
		s = s[at+len(p[0].text):]
	default:
		c := p[0].core
		if c == nil { // of a pattern with variables
			if !work.spend(coreSetUp * p.size()) {
				return "", false
			}
			c = newCore(p)
		}
		if s, ok = c.skip(s, work); !ok {
			return "", false
		}
	}
	return characters(s, behind)
}

// characters takes so many of them off the beginning of s.
func characters(s string, n int) (rest string, ok bool) {
	for range n {
		if s == "" {
			return "", false
		}
		s = s[first(s):]
	}
	return s, true
}

// size is how many bits the part takes: one for each byte and each question mark.
func (p part) size() (n int64) {
	for i := range p {
		n += max(1, int64(len(p[i].text)))
	}
	return n
}

// arrange makes, once, what the parts that have question marks between literals are searched for by. Those with variables are not known
// before there is a request.
func (p *pattern) arrange() {
	if p.variables {
		return
	}
	begin := len(p.tokens)
	for i := range p.tokens {
		if p.tokens[i].kind != anyRun {
			continue
		}
		if begin < i {
			if _, core, _ := part(p.tokens[begin:i]).trim(); len(core) > 1 {
				core[0].core = newCore(core)
			}
		}
		begin = i + 1
	}
}
