package mysql

import (
	"errors"
	"slices"
	"strings"
)

// grant is one line of SHOW GRANTS: rights on an object. Nothing of the server's text goes into a statement but by its parts.
type grant struct {
	privileges []privilege
	// kind of the object: empty for a database or table, else FUNCTION, PROCEDURE, PACKAGE or PACKAGE BODY.
	kind string
	// database and object are * for all. A database is a pattern if the object is *.
	database, object string
	// option says that the rights may be handed on.
	option bool
}

type privilege struct {
	name    string
	columns []string
}

const all = "*"

// harmless are the rights on all databases that an application may have: they reach no data of others, and none of the server's own.
var harmless = []string{"USAGE", "SHOW DATABASES", "CREATE TEMPORARY TABLES", "LOCK TABLES"}

var (
	errGrant  = errors.New("has a grant that is not understood here")
	errRole   = errors.New("has roles, whose rights are not looked into: grant the rights themselves")
	errOption = errors.New("may hand on rights on all databases")
)

// check says whether an application may have the rights.
func (g grant) check() error {
	if g.database != all {
		if g.reaches("mysql") {
			return errors.New("has rights on the server's own database mysql")
		}
		return nil
	}
	if g.option {
		return errOption
	}
	for _, p := range g.privileges {
		if !slices.Contains(harmless, p.name) {
			return errors.New("has " + p.name + " ON *.*, more than an application needs (grant rights on its databases)")
		}
	}
	return nil
}

// reaches says whether rights on a database are these. Where they are for all of its tables its name is a pattern, as in LIKE.
func (g grant) reaches(database string) bool {
	if g.object != all || g.kind != "" {
		return strings.EqualFold(g.database, database)
	}
	return like(strings.ToLower(g.database), database)
}

func like(pattern, text string) bool {
	switch {
	case pattern == "":
		return text == ""
	case strings.HasPrefix(pattern, "%%"):
		return like(pattern[1:], text)
	case pattern[0] == '%':
		return like(pattern[1:], text) || text != "" && like(pattern, text[1:])
	case text == "":
		return false
	case pattern[0] == '_':
		return like(pattern[1:], text[1:])
	case pattern[0] == '\\' && len(pattern) > 1:
		pattern = pattern[1:]
	}
	return pattern[0] == text[0] && like(pattern[1:], text[1:])
}

// to is the statement that gives another account the same, empty if it gives nothing.
func (g grant) to(account string) string {
	var out []string
	for _, p := range g.privileges {
		text := p.name
		if len(p.columns) > 0 {
			quoted := make([]string, len(p.columns))
			for n, c := range p.columns {
				quoted[n] = identifier(c)
			}
			text += " (" + strings.Join(quoted, ", ") + ")"
		}
		if p.name != "USAGE" {
			out = append(out, text)
		}
	}
	if len(out) == 0 && !g.option {
		return ""
	}
	if len(out) == 0 {
		out = []string{"USAGE"}
	}
	statement := "GRANT " + strings.Join(out, ", ") + " ON "
	if g.kind != "" {
		statement += g.kind + " "
	}
	statement += name(g.database) + "." + name(g.object) + " TO " + account
	if g.option {
		statement += " WITH GRANT OPTION"
	}
	return statement
}

func name(object string) string {
	if object == all {
		return all
	}
	return identifier(object)
}

// parseGrant reads a line of SHOW GRANTS for an account. It takes what it knows to the last token, and refuses everything else: names in it
// are chosen by others.
func parseGrant(line string, of *account) (grant, error) {
	p, err := tokens(line)
	if err != nil {
		return grant{}, err
	}
	if p.word("SET") || p.at(0).kind == word && p.at(0).text == "GRANT" && p.at(1).kind == quoted {
		return grant{}, errRole
	}
	if !p.word("GRANT") {
		return grant{}, errGrant
	}
	var g grant
	ok := p.privileges(&g) && p.object(&g) && p.grantee(of) && p.rest(&g)
	if !ok {
		return grant{}, errGrant
	}
	return g, nil
}

// privileges reads up to ON, which it takes.
func (p *parser) privileges(g *grant) bool {
	for {
		var words []string
		for p.at(0).kind == word && p.at(0).text != "ON" {
			words = append(words, p.next().text)
		}
		if len(words) == 0 {
			return false
		}
		one := privilege{name: strings.Join(words, " ")}
		if strings.IndexFunc(one.name, func(r rune) bool { return r != ' ' && r != '_' && (r < 'A' || r > 'Z') }) >= 0 {
			return false
		}
		if p.mark('(') && !p.columns(&one) {
			return false
		}
		g.privileges = append(g.privileges, one)
		if p.word("ON") {
			return true
		}
		if !p.mark(',') {
			return false
		}
	}
}

// columns reads the columns that a privilege is for, up to the closing parenthesis, which it takes.
func (p *parser) columns(of *privilege) bool {
	for {
		if k := p.at(0).kind; k != quoted && k != word {
			return false
		}
		of.columns = append(of.columns, p.next().text)
		if p.mark(')') {
			return true
		}
		if !p.mark(',') {
			return false
		}
	}
}

func (p *parser) object(g *grant) bool {
	switch {
	case p.word("TABLE"):
	case p.word("FUNCTION"):
		g.kind = "FUNCTION"
	case p.word("PROCEDURE"):
		g.kind = "PROCEDURE"
	case p.word("PACKAGE"):
		if g.kind = "PACKAGE"; p.word("BODY") {
			g.kind = "PACKAGE BODY"
		}
	}
	return p.part(&g.database) && p.mark('.') && p.part(&g.object) && (g.database != all || g.object == all)
}

func (p *parser) part(into *string) bool {
	if p.mark('*') {
		*into = all
		return true
	}
	if p.at(0).kind != quoted || p.at(0).text == all {
		return false
	}
	*into = p.next().text
	return true
}

// grantee is the account itself: the line is about nobody else.
func (p *parser) grantee(of *account) bool {
	if !p.word("TO") {
		return false
	}
	user := p.next()
	at := p.mark('@')
	host := p.next()
	return at && user.names() && host.names() && user.text == of.username && strings.EqualFold(host.text, of.host)
}

// rest reads how the account logs in, and its limits, which are not rights.
func (p *parser) rest(g *grant) bool {
	if p.word("IDENTIFIED") && !p.identified() {
		return false
	}
	if p.word("REQUIRE") {
		for p.at(0).kind == word && p.at(0).text != "WITH" {
			p.next()
			if p.at(0).kind == str {
				p.next()
			}
		}
	}
	if p.word("WITH") {
		for p.at(0).kind == word {
			switch limit := p.next().text; {
			case limit == "GRANT" && p.word("OPTION"):
				g.option = true
			case strings.HasPrefix(limit, "MAX_") && p.at(0).kind == word:
				p.next()
			default:
				return false
			}
		}
	}
	return p.at(0).kind == end
}

// identified reads what follows IDENTIFIED: BY PASSWORD 'hash', or VIA plugin USING 'hash' OR ...
func (p *parser) identified() bool {
	if p.word("BY") {
		return p.word("PASSWORD") && p.next().kind == str
	}
	if !p.word("VIA") && !p.word("WITH") {
		return false
	}
	for {
		if k := p.next().kind; k != word && k != str {
			return false
		}
		if (p.word("USING") || p.word("AS")) && p.next().kind != str {
			return false
		}
		if !p.word("OR") {
			return true
		}
	}
}

// pluginOf reads MariaDB's SHOW CREATE USER.
func pluginOf(line string) (string, error) {
	p, err := tokens(line)
	if err != nil {
		return "", err
	}
	if !p.word("CREATE") || !p.word("USER") || !p.next().names() || !p.mark('@') || !p.next().names() {
		return "", errGrant
	}
	if !p.word("IDENTIFIED") || p.word("BY") {
		return native, nil
	}
	if !p.word("VIA") {
		return "", errGrant
	}
	plugin := p.next().text
	if p.word("USING") {
		p.next()
	}
	if p.word("OR") {
		return "", foreign(plugin + " or another")
	}
	return plugin, nil
}
