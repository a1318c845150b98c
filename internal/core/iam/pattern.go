package iam

import (
	"fmt"
	"strings"
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
	// core is what the token and those behind it are searched for by, if it begins a part of a pattern that is. See arrange.
	core *core
}

// pattern is a compiled string of a policy. A pattern without variables is one without any work at evaluation but the
// match itself.
type pattern struct {
	tokens    []token
	variables bool
	// exact is the whole pattern where it holds neither wildcards nor variables.
	exact   string
	isExact bool
	// size is what the tokens take to be looked through: one for each, and one for each byte of them.
	size int64
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
	p.arrange()
	return p, nil
}

// simplify notes a pattern that is one literal, or empty, and how large it is.
func (p *pattern) simplify() {
	for i := range p.tokens {
		p.size += 1 + int64(len(p.tokens[i].text))
	}
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
// and that has no default, matches nothing: ok is false. So do one of several tags, whatever its default is, and a pattern that is longer than there is work left for.
func (p *pattern) resolve(sc *scope) (resolved *pattern, ok bool) {
	if !p.variables {
		return p, true
	}
	out := &pattern{tokens: make([]token, 0, len(p.tokens))}
	var text []byte // literals side by side are one: match searches for it as a whole
	for _, t := range p.tokens {
		switch t.kind {
		case literal:
			text = append(text, t.text...)
			continue
		case variable:
			value := t.fallback
			values, found := sc.Values(t.text)
			several := len(values) > 1 && isTag(t.text)
			if found && len(values) == 1 {
				value = values[0]
			} else if several || !t.hasFallback {
				sc.unresolved, sc.ambiguous = true, sc.ambiguous || several
				return nil, false
			}
			if !sc.work.spend(int64(len(value))) {
				return nil, false
			}
			text = append(text, value...)
			continue
		}
		out.addLiteral(text)
		text = text[:0]
		out.tokens = append(out.tokens, t)
	}
	out.addLiteral(text)
	for i := range out.tokens {
		out.size += 1 + int64(len(out.tokens[i].text))
	}
	return out, true
}

func (p *pattern) addLiteral(text []byte) {
	if len(text) > 0 {
		p.tokens = append(p.tokens, token{kind: literal, text: string(text)})
	}
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

func (a *arnPattern) match(arn string, sc *scope) bool {
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
		if !ok || !p.match(part, sc.work) {
			return false
		}
	}
	return true
}
