package databases

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// sqlStatement is one that is understood, and what it does: rows of an answer, or the number of an error.
type sqlStatement struct {
	pattern sqlPattern
	columns int
	do      func(c *SQLCatalog, s *sqlSession, args []string) (rows [][]any, number int)
}

// sqlStatementsKnown are all that are understood besides GRANT, DENY and REVOKE. They are written out here, and not taken from the rotator.
var sqlStatementsKnown = slices.Concat(sqlQueries, sqlCommands)

var sqlQueries = []sqlStatement{
	{pattern("SELECT name FROM sys.database_principals WHERE principal_id = DATABASE_PRINCIPAL_ID() AND authentication_type = 2"), 1, (*SQLCatalog).myself},
	{pattern("SELECT name, CAST(SERVERPROPERTY('EngineEdition') AS int), CAST(containment AS int), " +
		"CAST(ISNULL(HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW ANY DEFINITION'), 0) AS int), " +
		"CAST(ISNULL(HAS_PERMS_BY_NAME(QUOTENAME(name), 'DATABASE', 'VIEW DEFINITION'), 0) AS int) FROM sys.databases WHERE database_id = DB_ID()"), 5, (*SQLCatalog).place},
	{pattern("SELECT principal_id, name, type, CAST(authentication_type AS int), default_schema_name, CONVERT(nvarchar(180), sid, 1) " +
		"FROM sys.database_principals WHERE name = $STRING"), 6, (*SQLCatalog).principals},
	{pattern("SELECT p.principal_id, p.name, p.type, CONVERT(nvarchar(180), p.sid, 1), CAST(p.is_disabled AS int), p.default_database_name, " +
		"CAST(l.is_policy_checked AS int), CAST(l.is_expiration_checked AS int) " +
		"FROM sys.server_principals p LEFT JOIN sys.sql_logins l ON l.principal_id = p.principal_id WHERE p.name = $STRING"), 8, (*SQLCatalog).logins},
	{pattern("SELECT r.name FROM sys.server_role_members m JOIN sys.server_principals r ON r.principal_id = m.role_principal_id WHERE m.member_principal_id = $INT"),
		1, (*SQLCatalog).serverRoles},
	{pattern("SELECT class, permission_name, state FROM sys.server_permissions WHERE grantee_principal_id = $INT"), 3, (*SQLCatalog).serverPermissions},
	{pattern("SELECT name FROM sys.server_principals WHERE owning_principal_id = $INT"), 1, (*SQLCatalog).serverOwned},
	{pattern("SELECT name, CASE WHEN owner_sid = $BINARY THEN 1 ELSE 0 END, CAST(ISNULL(HAS_DBACCESS(name), 0) AS int), " +
		"CAST(ISNULL(HAS_PERMS_BY_NAME(QUOTENAME(name), 'DATABASE', 'VIEW DEFINITION'), 0) AS int) FROM sys.databases WHERE state = 0"), 4, (*SQLCatalog).databases},
	{pattern("SELECT principal_id, name, default_schema_name FROM $NAME.sys.database_principals WHERE sid = $BINARY"), 3, (*SQLCatalog).users},
	{pattern("WITH held (id, depth) AS (SELECT role_principal_id, 1 FROM $NAME.sys.database_role_members WHERE member_principal_id = $INT " +
		"UNION ALL SELECT m.role_principal_id, h.depth + 1 FROM $NAME.sys.database_role_members m JOIN held h ON m.member_principal_id = h.id) " +
		"SELECT p.principal_id, p.name, CAST(p.is_fixed_role AS int), MIN(h.depth) FROM held h JOIN $NAME.sys.database_principals p ON p.principal_id = h.id " +
		"GROUP BY p.principal_id, p.name, p.is_fixed_role"), 4, (*SQLCatalog).roles},
	{pattern("SELECT name FROM $NAME.sys.database_principals WHERE owning_principal_id IN ($INTS)"), 1, (*SQLCatalog).owned},
	{pattern("SELECT p.grantee_principal_id, p.class, p.permission_name, p.state, p.minor_id, COALESCE(s.name, os.name, ts.name, xs.name), COALESCE(o.name, t.name, x.name), c.name " +
		"FROM $NAME.sys.database_permissions p " +
		"LEFT JOIN $NAME.sys.schemas s ON p.class = 3 AND s.schema_id = p.major_id " +
		"LEFT JOIN $NAME.sys.all_objects o ON p.class = 1 AND o.object_id = p.major_id " +
		"LEFT JOIN $NAME.sys.schemas os ON os.schema_id = o.schema_id " +
		"LEFT JOIN $NAME.sys.columns c ON p.class = 1 AND c.object_id = p.major_id AND c.column_id = p.minor_id " +
		"LEFT JOIN $NAME.sys.types t ON p.class = 6 AND t.user_type_id = p.major_id " +
		"LEFT JOIN $NAME.sys.schemas ts ON ts.schema_id = t.schema_id " +
		"LEFT JOIN $NAME.sys.xml_schema_collections x ON p.class = 10 AND x.xml_collection_id = p.major_id " +
		"LEFT JOIN $NAME.sys.schemas xs ON xs.schema_id = x.schema_id WHERE p.grantee_principal_id IN ($INTS)"), 8, (*SQLCatalog).permissions},
}

// run carries out a statement. columns is 0 if it has no answer.
func (c *SQLCatalog) run(s *sqlSession, statement []sqlToken) (columns int, rows [][]any, number int) {
	words := make([]string, len(statement))
	for n, t := range statement {
		words[n] = t.text
	}
	for beginning, number := range c.Refuse {
		if strings.HasPrefix(strings.Join(words, " "), beginning) {
			return 0, nil, number
		}
	}
	for _, known := range sqlStatementsKnown {
		if args, ok := known.pattern.match(statement); ok {
			rows, number = known.do(c, s, args)
			return known.columns, rows, number
		}
	}
	if args, ok := inMaster.match(statement); ok {
		tokens, _ := sqlTokens(args[0])
		return c.run(&sqlSession{login: s.login, database: c.Databases["master"]}, tokens)
	}
	if change, ok := parseSQLChange(statement); ok {
		return 0, nil, c.change(s, change)
	}
	return 0, nil, 102
}

func number(is bool) int {
	if is {
		return 1
	}
	return 0
}

// orNull is a text, or NULL for an empty one.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// sees says whether a session sees the rights of others on the server.
func sees(s *sqlSession) bool {
	return s.login != nil && (s.login.Rights["VIEW ANY DEFINITION"] || s.login.Rights["CONTROL SERVER"])
}

func (c *SQLCatalog) myself(s *sqlSession, _ []string) ([][]any, int) {
	if s.user == nil {
		return nil, 0
	}
	return [][]any{{s.user.Name}}, 0
}

func (c *SQLCatalog) place(s *sqlSession, _ []string) ([][]any, int) {
	return [][]any{{s.database.Name, c.Edition, number(s.database.Contained), number(sees(s)), number(sees(s) || s.database.owns(s))}}, 0
}

func (c *SQLCatalog) principals(s *sqlSession, args []string) ([][]any, int) {
	p := find(s.database.Principals, args[0])
	if p == nil {
		return nil, 0
	}
	return [][]any{{p.ID, p.Name, p.Type, p.Authentication, orNull(p.Schema), p.SID}}, 0
}

func (c *SQLCatalog) logins(s *sqlSession, args []string) ([][]any, int) {
	l := c.login(args[0])
	if l == nil || !sees(s) && !s.login.Rights["ALTER ANY LOGIN"] && l != s.login && l.ID != 1 {
		return nil, 0
	}
	if l.Type != "S" {
		return [][]any{{l.ID, l.Name, l.Type, l.SID, number(l.Disabled), orNull(l.Database), nil, nil}}, 0
	}
	return [][]any{{l.ID, l.Name, l.Type, l.SID, number(l.Disabled), l.Database, number(l.Policy), number(l.Expire)}}, 0
}

// seen is a login by its id, whose rights a session sees.
func (c *SQLCatalog) seen(s *sqlSession, id string) *SQLLogin {
	for _, l := range c.Logins {
		if strconv.Itoa(l.ID) == id && (sees(s) || l == s.login) {
			return l
		}
	}
	return &SQLLogin{}
}

func names(of []string) (rows [][]any) {
	for _, name := range of {
		rows = append(rows, []any{name})
	}
	return rows
}

func (c *SQLCatalog) serverRoles(s *sqlSession, args []string) ([][]any, int) {
	return names(c.seen(s, args[0]).Roles), 0
}

func (c *SQLCatalog) serverOwned(s *sqlSession, args []string) ([][]any, int) {
	return names(c.seen(s, args[0]).Owns), 0
}

func (c *SQLCatalog) serverPermissions(s *sqlSession, args []string) (rows [][]any, _ int) {
	for securable, state := range c.seen(s, args[0]).Permissions {
		rows = append(rows, []any{securable.Class, securable.Name, state})
	}
	return rows, 0
}

func (c *SQLCatalog) databases(s *sqlSession, args []string) (rows [][]any, _ int) {
	for _, name := range slices.Sorted(maps.Keys(c.Databases)) {
		if d := c.Databases[name]; !d.Offline {
			open := c.opens(s.login, d)
			rows = append(rows, []any{d.Name, number(d.Owner == args[0]), number(open), number(open && sees(s))})
		}
	}
	return rows, 0
}

// named is a database that a session may open.
func (c *SQLCatalog) named(s *sqlSession, names ...string) (*SQLDatabase, int) {
	d := find(c.Databases, names[0])
	for _, name := range names {
		if d == nil || find(c.Databases, name) != d {
			return nil, 911
		}
	}
	if d != s.database && (s.login == nil || !c.opens(s.login, d)) {
		return nil, 916
	}
	return d, 0
}

func (c *SQLCatalog) users(s *sqlSession, args []string) ([][]any, int) {
	d, failed := c.named(s, args[0])
	if failed != 0 {
		return nil, failed
	}
	if p := d.of(args[1]); p != nil {
		return [][]any{{p.ID, p.Name, orNull(p.Schema)}}, 0
	}
	return nil, 0
}

func (c *SQLCatalog) roles(s *sqlSession, args []string) (rows [][]any, _ int) {
	d, failed := c.named(s, args[0], args[2], args[3])
	if failed != 0 {
		return nil, failed
	}
	id, _ := strconv.Atoi(args[1])
	for role, depth := range d.rolesOf(id) {
		rows = append(rows, []any{role.ID, role.Name, number(role.Fixed), depth})
	}
	return rows, 0
}

func (c *SQLCatalog) owned(s *sqlSession, args []string) (rows [][]any, _ int) {
	d, failed := c.named(s, args[0])
	if failed != 0 {
		return nil, failed
	}
	for _, p := range d.Principals {
		if slices.Contains(strings.Split(args[1], ","), strconv.Itoa(p.Owner)) {
			rows = append(rows, []any{p.Name})
		}
	}
	return rows, 0
}

func (c *SQLCatalog) permissions(s *sqlSession, args []string) (rows [][]any, _ int) {
	last := len(args) - 1
	d, failed := c.named(s, args[:last]...)
	if failed != 0 {
		return nil, failed
	}
	for _, p := range d.Principals {
		if !slices.Contains(strings.Split(args[last], ","), strconv.Itoa(p.ID)) {
			continue
		}
		for securable, state := range p.Permissions {
			minor := 0
			if securable.Column != "" {
				minor = 3
			}
			rows = append(rows, []any{p.ID, securable.Class, securable.Name, state, minor, orNull(securable.Schema), orNull(securable.Object), orNull(securable.Column)})
		}
	}
	return rows, 0
}
