package databases

import (
	"slices"
	"strings"
)

// sqlToken of a statement: a word in capitals, a mark, or what is quoted.
type sqlToken struct {
	// kind is w for a word or mark, n for a name in brackets, s for a string, i for a number and x for a binary.
	kind byte
	text string
}

// sqlTokens splits a batch as SQL Server does. It is false if that has a quote that does not end, or a character that none of these has.
func sqlTokens(text string) (out []sqlToken, ok bool) {
	for text = strings.TrimLeft(text, " \r\n\t"); text != ""; text = strings.TrimLeft(text, " \r\n\t") {
		t, length := sqlTokenOf(text)
		if length == 0 || length > len(text) {
			return nil, false
		}
		out, text = append(out, t), text[length:]
	}
	return out, true
}

// sqlTokenOf is the token that a text begins with, and its length.
func sqlTokenOf(text string) (t sqlToken, length int) {
	switch c := text[0]; {
	case c == '[':
		t.kind = 'n'
		t.text, length = unquoteSQL(text[1:], ']')
		return t, length + 1
	case c == '\'' || strings.HasPrefix(text, "N'"):
		skip := strings.IndexByte(text, '\'') + 1
		t.kind = 's'
		t.text, length = unquoteSQL(text[skip:], '\'')
		// https://learn.microsoft.com/en-us/sql/t-sql/language-elements/sql-server-utilities-statements-backslash
		t.text = strings.NewReplacer("\\\r\n", "", "\\\n", "").Replace(t.text)
		return t, length + skip
	case strings.HasPrefix(text, "0x"):
		length = 2 + span(text[2:], "0123456789ABCDEF")
		return sqlToken{'x', text[:length]}, length
	case c >= '0' && c <= '9':
		length = span(text, "0123456789")
		return sqlToken{'i', text[:length]}, length
	case strings.IndexByte("(),.;:=+", c) >= 0:
		return sqlToken{'w', text[:1]}, 1
	}
	length = span(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_$")
	return sqlToken{'w', strings.ToUpper(text[:length])}, length
}

// unquoteSQL reads up to a quote that is not doubled. used is beyond the text if there is none.
func unquoteSQL(text string, quote byte) (content string, used int) {
	var out strings.Builder
	for n := 0; n < len(text); n++ {
		if text[n] == quote {
			if n+1 == len(text) || text[n+1] != quote {
				return out.String(), n + 1
			}
			n++
		}
		out.WriteByte(text[n])
	}
	return "", len(text) + 2
}

func span(text, of string) int {
	n := 0
	for n < len(text) && strings.IndexByte(of, text[n]) >= 0 {
		n++
	}
	return n
}

// sqlPattern is a statement in which $NAME, $STRING, $INT, $INTS, $BINARY and $WORD stand for what differs.
type sqlPattern []sqlToken

func pattern(text string) sqlPattern {
	out, ok := sqlTokens(text)
	if !ok {
		panic("no pattern: " + text)
	}
	return out
}

var sqlPlaces = map[string]byte{"$NAME": 'n', "$STRING": 's', "$INT": 'i', "$INTS": 'i', "$BINARY": 'x', "$WORD": 'w'}

// match reads a statement to its last token. The arguments are what stands at the pattern's places; several numbers are separated by commas.
func (p sqlPattern) match(statement []sqlToken) (args []string, ok bool) {
	for _, want := range p {
		if len(statement) == 0 {
			return nil, false
		}
		is := statement[0]
		kind, place := sqlPlaces[want.text]
		if want.kind != 'w' || !place {
			if is != want {
				return nil, false
			}
			statement = statement[1:]
			continue
		}
		if is.kind != kind {
			return nil, false
		}
		text := is.text
		statement = statement[1:]
		for want.text == "$INTS" && len(statement) > 1 && statement[0].text == "," && statement[1].kind == 'i' {
			text += "," + statement[1].text
			statement = statement[2:]
		}
		args = append(args, text)
	}
	return args, len(statement) == 0
}

// sqlStatements splits a batch into its statements.
func sqlStatements(batch string) (out [][]sqlToken, ok bool) {
	all, ok := sqlTokens(batch)
	if !ok {
		return nil, false
	}
	for {
		end := slices.Index(all, sqlToken{'w', ";"})
		if end < 0 {
			return append(out, all), len(all) > 0
		}
		out, all = append(out, all[:end]), all[end+1:]
	}
}

// sqlChange is a GRANT, DENY or REVOKE.
type sqlChange struct {
	verb string
	SQLSecurable
	grantee string
	// option says WITH GRANT OPTION, or GRANT OPTION FOR; cascade says CASCADE.
	option, cascade bool
}

// parseSQLChange reads one, as far as the rotator writes them.
func parseSQLChange(tokens []sqlToken) (out sqlChange, ok bool) {
	p := &sqlParser{tokens}
	for _, verb := range []string{"GRANT", "DENY", "REVOKE"} {
		if p.words(verb) {
			out.verb = verb
		}
	}
	preposition := "TO"
	if out.verb == "REVOKE" {
		preposition, out.option = "FROM", p.words("GRANT OPTION FOR")
	}
	out.Name = p.permission()
	if out.verb == "" || out.Name == "" || p.words("ON") && !p.securable(&out.SQLSecurable) {
		return out, false
	}
	if !p.words(preposition) || !p.name(&out.grantee) {
		return out, false
	}
	if out.verb == "GRANT" {
		out.option = p.words("WITH GRANT OPTION")
	} else {
		out.cascade = p.words("CASCADE")
	}
	return out, len(p.left) == 0
}

type sqlParser struct{ left []sqlToken }

func (p *sqlParser) words(text string) bool {
	want := strings.Fields(text)
	if len(p.left) < len(want) {
		return false
	}
	for n, w := range want {
		if p.left[n] != (sqlToken{'w', w}) {
			return false
		}
	}
	p.left = p.left[len(want):]
	return true
}

func (p *sqlParser) name(into *string) bool {
	if len(p.left) == 0 || p.left[0].kind != 'n' {
		return false
	}
	*into, p.left = p.left[0].text, p.left[1:]
	return true
}

// permission reads a permission's name.
func (p *sqlParser) permission() string {
	var name []string
	for len(p.left) > 0 && p.left[0].kind == 'w' && !slices.Contains([]string{"ON", "TO", "FROM"}, p.left[0].text) {
		name, p.left = append(name, p.left[0].text), p.left[1:]
	}
	return strings.Join(name, " ")
}

// securable reads what a permission is on.
func (p *sqlParser) securable(s *SQLSecurable) bool {
	switch {
	case p.words("SCHEMA : :"):
		s.Class = 3
		return p.name(&s.Schema)
	case p.words("OBJECT : :"):
		s.Class = 1
	case p.words("TYPE : :"):
		s.Class = 6
	case p.words("XML SCHEMA COLLECTION : :"):
		s.Class = 10
	default:
		return false
	}
	if !p.name(&s.Schema) || !p.words(".") || !p.name(&s.Object) {
		return false
	}
	return s.Class != 1 || !p.words("(") || p.name(&s.Column) && p.words(")")
}
