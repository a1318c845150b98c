package iam

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// tokenKind tells the parts of a pattern apart.
type tokenKind uint8

const (
	literal  tokenKind = iota
	anyRun             // *
	anyOne             // ?
	variable           // ${key} or ${key, 'default'}
)

type token struct {
	kind tokenKind
	// text is the literal, or the variable's key in lower case.
	text string
	// fallback is what a variable stands for when the request lacks its key.
	fallback    string
	hasFallback bool
}

// pattern is a compiled string of a policy. A pattern without variables is one without any work at evaluation but the
// match itself.
type pattern struct {
	tokens    []token
	variables bool
	// exact is the whole pattern where it holds neither wildcards nor variables.
	exact   string
	isExact bool
}

// compilePattern compiles a string. Wildcards are what they look like if wild, and themselves if not; variables are
// looked for if vars. ${*}, ${?} and ${$} stand for the character itself.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
func compilePattern(s string, wild, vars bool) (pattern, error) {
	var p pattern
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			p.tokens = append(p.tokens, token{kind: literal, text: text.String()})
			text.Reset()
		}
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case wild && (c == '*' || c == '?'):
			flush()
			p.wildcard(c)
		case vars && c == '$' && strings.HasPrefix(s[i:], "${"):
			t, length, err := readVariable(s[i:])
			if err != nil {
				return p, err
			}
			i += length - 1
			if t.kind == literal {
				text.WriteString(t.text)
				continue
			}
			flush()
			p.variables = true
			p.tokens = append(p.tokens, t)
		default:
			text.WriteByte(c)
		}
	}
	flush()
	p.simplify()
	return p, nil
}

// simplify notes a pattern that is one literal, or empty.
func (p *pattern) simplify() {
	switch {
	case len(p.tokens) == 0:
		p.isExact = true
	case len(p.tokens) == 1 && p.tokens[0].kind == literal:
		p.isExact, p.exact = true, p.tokens[0].text
	}
}

func (p *pattern) wildcard(c byte) {
	if c == '?' {
		p.tokens = append(p.tokens, token{kind: anyOne})
	} else if n := len(p.tokens); n == 0 || p.tokens[n-1].kind != anyRun { // ** is *
		p.tokens = append(p.tokens, token{kind: anyRun})
	}
}

// readVariable reads the variable that s begins with, and tells how long it is.
func readVariable(s string) (t token, length int, err error) {
	end := strings.IndexByte(s, '}')
	if end < 0 {
		return t, 0, fmt.Errorf("the policy variable in %q does not end: close it with }", s)
	}
	t, err = parseVariable(s[2:end])
	return t, end + 1, err
}

func parseVariable(body string) (token, error) {
	switch body {
	case "*", "?", "$":
		return token{kind: literal, text: body}, nil
	}
	key, fallback, has := strings.Cut(body, ",")
	key = strings.TrimSpace(key)
	if key == "" || strings.ContainsAny(key, " ${}*?'") {
		return token{}, fmt.Errorf("${%s} is not a policy variable: write ${key} or ${key, 'default'}", body)
	}
	t := token{kind: variable, text: strings.ToLower(key)}
	if has {
		fallback = strings.TrimSpace(fallback)
		if len(fallback) < 2 || fallback[0] != '\'' || fallback[len(fallback)-1] != '\'' {
			return token{}, fmt.Errorf("the default in ${%s} is not in single quotes", body)
		}
		t.fallback, t.hasFallback = fallback[1:len(fallback)-1], true
	}
	return t, nil
}

// resolve replaces variables by the request's values. A variable whose key the request lacks, or has several values of,
// and that has no default, matches nothing: ok is false.
func (p pattern) resolve(sc *scope) (resolved pattern, ok bool) {
	if !p.variables {
		return p, true
	}
	out := pattern{tokens: make([]token, 0, len(p.tokens))}
	var text []byte // literals side by side are one: match searches for it as a whole
	for _, t := range p.tokens {
		switch t.kind {
		case literal:
			text = append(text, t.text...)
			continue
		case variable:
			value := t.fallback
			if values, found := sc.Values(t.text); found && len(values) == 1 {
				value = values[0]
			} else if !t.hasFallback {
				sc.unresolved = true
				return pattern{}, false
			}
			text = append(text, value...)
			continue
		}
		out.addLiteral(text)
		text = text[:0]
		out.tokens = append(out.tokens, t)
	}
	out.addLiteral(text)
	return out, true
}

func (p *pattern) addLiteral(text []byte) {
	if len(text) > 0 {
		p.tokens = append(p.tokens, token{kind: literal, text: string(text)})
	}
}

// match tells whether the whole of s fits. The time is what cost says: a star remembers only its last place, so that no pattern is
// exponential, and what follows it is searched for and not tried at each place, so that it is linear but for question marks.
func (p pattern) match(s string) bool {
	if p.isExact {
		return s == p.exact
	}
	tokens := p.tokens
	t, i := 0, 0
	star, mark := -1, 0
	for {
		if t == len(tokens) && i == len(s) {
			return true
		}
		if t < len(tokens) {
			if tokens[t].kind == anyRun {
				star, t = t, t+1
				if mark = p.seek(t, s, i); mark < 0 {
					return false
				}
				i = mark
				continue
			}
			if n, ok := tokens[t].takes(s[i:]); ok {
				i += n
				t++
				continue
			}
		}
		if star < 0 || mark >= len(s) {
			return false
		}
		if mark = p.seek(star+1, s, mark+runeLength(s[mark:])); mark < 0 {
			return false
		}
		t, i = star+1, mark
	}
}

// seek is the first place from one on where what follows a star may begin, -1 if there is none. A literal begins where a character
// does, and the last one can only be at the end.
func (p pattern) seek(t int, s string, from int) int {
	if t == len(p.tokens) {
		return len(s)
	}
	next := &p.tokens[t]
	if next.kind != literal || next.text == "" || !utf8.RuneStart(next.text[0]) {
		return from
	}
	if t == len(p.tokens)-1 {
		if len(s)-from < len(next.text) || !strings.HasSuffix(s, next.text) {
			return -1
		}
		return len(s) - len(next.text)
	}
	at := strings.Index(s[from:], next.text)
	if at < 0 {
		return -1
	}
	return from + at
}

// takes tells how much of the beginning of s a literal or a question mark stands for.
func (t *token) takes(s string) (n int, ok bool) {
	if t.kind == anyOne {
		return runeLength(s), s != ""
	}
	return len(t.text), t.kind == literal && strings.HasPrefix(s, t.text)
}

// runeLength is the length of the first character in bytes; an invalid byte counts as one.
func runeLength(s string) int {
	for i := 1; i < len(s) && i < 4; i++ {
		if s[i]&0xC0 != 0x80 {
			return i
		}
	}
	return min(len(s), 4)
}

// fold makes a pattern of action names, which are matched in lower case.
func fold(s string) (pattern, error) { return compilePattern(strings.ToLower(s), true, false) }

// arnPattern matches an ARN part by part, so that a wildcard of one part does not reach into the next; the sixth part is
// all the rest.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
type arnPattern struct {
	all   bool // *
	parts [6]pattern
}

func compileARN(s string, vars bool) (arnPattern, error) {
	if s == "*" {
		return arnPattern{all: true}, nil
	}
	parts := splitARN(s)
	if len(parts) != 6 {
		return arnPattern{}, fmt.Errorf("%q is not an ARN: write * or arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE", s)
	}
	if parts[0] != "arn" && parts[0] != "*" {
		return arnPattern{}, fmt.Errorf("%q is not an ARN: it does not begin with arn", s)
	}
	var out arnPattern
	for i, part := range parts {
		p, err := compilePattern(part, true, vars)
		if err != nil {
			return out, err
		}
		out.parts[i] = p
	}
	return out, nil
}

// splitARN cuts at the first five colons that are not within a policy variable.
func splitARN(s string) []string {
	var parts []string
	depth, begin := 0, 0
	for i := 0; i < len(s) && len(parts) < 5; i++ {
		switch {
		case s[i] == '$' && i+1 < len(s) && s[i+1] == '{':
			depth++
		case s[i] == '}' && depth > 0:
			depth--
		case s[i] == ':' && depth == 0:
			parts = append(parts, s[begin:i])
			begin = i + 1
		}
	}
	return append(parts, s[begin:])
}

func (a arnPattern) match(arn string, sc *scope) bool {
	if a.all {
		return true
	}
	rest := arn
	for i := range a.parts {
		part := rest
		if i < 5 {
			var found bool
			if part, rest, found = strings.Cut(rest, ":"); !found {
				return false
			}
		}
		p, ok := a.parts[i].resolve(sc)
		if !ok || !p.match(part) {
			return false
		}
	}
	return true
}
