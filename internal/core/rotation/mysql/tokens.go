package mysql

import "strings"

// kind of a token.
type kind int

const (
	end    kind = iota
	word        // a keyword, a number or a name without quotes
	quoted      // an identifier in backticks
	str         // a string in quotes
	mark        // one of ( ) , . @ *
)

type token struct {
	kind kind
	text string
}

// names says whether a token may be a part of an account's name, which MySQL 5.7 writes as strings and others as identifiers.
func (t token) names() bool { return t.kind == quoted || t.kind == str }

// parser reads tokens.
type parser struct{ tokens []token }

func (p *parser) at(n int) token {
	if n >= len(p.tokens) {
		return token{}
	}
	return p.tokens[n]
}

func (p *parser) next() token {
	t := p.at(0)
	if t.kind != end {
		p.tokens = p.tokens[1:]
	}
	return t
}

func (p *parser) take(k kind, text string) bool {
	if t := p.at(0); t.kind != k || t.text != text {
		return false
	}
	p.next()
	return true
}

func (p *parser) word(text string) bool { return p.take(word, text) }
func (p *parser) mark(m byte) bool      { return p.take(mark, string(m)) }

// tokens splits a statement that a server made.
func tokens(line string) (*parser, error) {
	p := &parser{}
	for line != "" {
		c := line[0]
		switch {
		case c == ' ':
			line = line[1:]
		case c == '`' || c == '\'':
			content, rest, ok := unquote(line)
			if !ok {
				return nil, errGrant
			}
			k := quoted
			if c == '\'' {
				k = str
			}
			p.tokens, line = append(p.tokens, token{k, content}), rest
		case strings.IndexByte("(),.@*", c) >= 0:
			p.tokens, line = append(p.tokens, token{mark, line[:1]}), line[1:]
		case letter(c):
			n := 1
			for n < len(line) && letter(line[n]) {
				n++
			}
			p.tokens, line = append(p.tokens, token{word, line[:n]}), line[n:]
		default:
			return nil, errGrant
		}
	}
	return p, nil
}

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}

// unquote reads a quoted token at the beginning of a line: a doubled quote is one, and in a string a backslash takes the next as it is.
func unquote(line string) (content, rest string, ok bool) {
	quote := line[0]
	var out strings.Builder
	for n := 1; n < len(line); n++ {
		switch {
		case line[n] == '\\' && quote == '\'' && n+1 < len(line):
			n++
		case line[n] == quote && n+1 < len(line) && line[n+1] == quote:
			n++
		case line[n] == quote:
			return out.String(), line[n+1:], true
		}
		out.WriteByte(line[n])
	}
	return "", "", false
}
