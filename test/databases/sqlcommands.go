package databases

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

var sqlCommands = []sqlStatement{
	{pattern("ALTER LOGIN $NAME WITH PASSWORD = $STRING OLD_PASSWORD = $STRING"), 0, func(c *SQLCatalog, s *sqlSession, a []string) ([][]any, int) {
		return nil, c.alterLogin(s, a[0], a[1], &a[2])
	}},
	{pattern("ALTER LOGIN $NAME WITH PASSWORD = $STRING"), 0, func(c *SQLCatalog, s *sqlSession, a []string) ([][]any, int) {
		return nil, c.alterLogin(s, a[0], a[1], nil)
	}},
	{pattern("CREATE LOGIN $NAME WITH PASSWORD = $STRING"), 0, func(c *SQLCatalog, s *sqlSession, a []string) ([][]any, int) {
		return nil, c.createLogin(s, a[0], a[1], "master", "OFF", "ON")
	}},
	{pattern("CREATE LOGIN $NAME WITH PASSWORD = $STRING, DEFAULT_DATABASE = $NAME, CHECK_EXPIRATION = $WORD, CHECK_POLICY = $WORD"), 0,
		func(c *SQLCatalog, s *sqlSession, a []string) ([][]any, int) {
			return nil, c.createLogin(s, a[0], a[1], a[2], a[3], a[4])
		}},
	{pattern("CREATE USER $NAME FOR LOGIN $NAME"), 0, func(c *SQLCatalog, s *sqlSession, a []string) ([][]any, int) {
		return nil, c.createUser(s, a[0], a[1], "dbo")
	}},
	{pattern("CREATE USER $NAME FOR LOGIN $NAME WITH DEFAULT_SCHEMA = $NAME"), 0, func(c *SQLCatalog, s *sqlSession, a []string) ([][]any, int) {
		return nil, c.createUser(s, a[0], a[1], a[2])
	}},
	{pattern("CREATE USER $NAME WITH PASSWORD = $STRING"), 0, func(c *SQLCatalog, s *sqlSession, a []string) ([][]any, int) {
		return nil, c.createContained(s, a[0], a[1], "dbo")
	}},
	{pattern("CREATE USER $NAME WITH PASSWORD = $STRING, DEFAULT_SCHEMA = $NAME"), 0, func(c *SQLCatalog, s *sqlSession, a []string) ([][]any, int) {
		return nil, c.createContained(s, a[0], a[1], a[2])
	}},
	{pattern("ALTER USER $NAME WITH PASSWORD = $STRING OLD_PASSWORD = $STRING"), 0, func(c *SQLCatalog, s *sqlSession, a []string) ([][]any, int) {
		return nil, c.alterUser(s, a[0], a[1], &a[2])
	}},
	{pattern("ALTER USER $NAME WITH PASSWORD = $STRING"), 0, func(c *SQLCatalog, s *sqlSession, a []string) ([][]any, int) {
		return nil, c.alterUser(s, a[0], a[1], nil)
	}},
	{pattern("ALTER USER $NAME WITH DEFAULT_SCHEMA = $NAME"), 0, (*SQLCatalog).defaultSchema},
	{pattern("ALTER ROLE $NAME ADD MEMBER $NAME"), 0, func(c *SQLCatalog, s *sqlSession, a []string) ([][]any, int) { return nil, c.member(s, a, true) }},
	{pattern("ALTER ROLE $NAME DROP MEMBER $NAME"), 0, func(c *SQLCatalog, s *sqlSession, a []string) ([][]any, int) { return nil, c.member(s, a, false) }},
}

// inMaster is a statement that is carried out in master, whatever the session's database is. It is apart, since it carries out others.
var inMaster = pattern("EXECUTE master.sys.sp_executesql $STRING")

// policy is what Windows asks of a password by default. https://learn.microsoft.com/en-us/sql/relational-databases/security/password-policy
func policy(password string) int {
	kinds := 0
	for _, is := range []func(rune) bool{unicode.IsUpper, unicode.IsLower, unicode.IsDigit, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }} {
		kinds += number(strings.ContainsFunc(password, is))
	}
	switch {
	case len([]rune(password)) < 8:
		return 15116
	case kinds < 3:
		return 15118
	}
	return 0
}

// alterLogin sets a password. A login may do that of itself if it tells the one it has.
func (c *SQLCatalog) alterLogin(s *sqlSession, name, password string, old *string) int {
	l := c.login(name)
	if l == nil || s.login == nil {
		return 15151
	}
	mighty := slices.Contains(l.Roles, "sysadmin") || l.Permissions[SQLSecurable{Class: 100, Name: "CONTROL SERVER"}] != ""
	may := s.login.Rights["CONTROL SERVER"] || s.login.Rights["ALTER ANY LOGIN"] && !mighty
	if old != nil {
		may = *old == l.Password && (l == s.login || s.login.Rights["ALTER ANY LOGIN"])
	}
	if !may {
		return 15151
	}
	if failed := policy(password); l.Policy && failed != 0 {
		return failed
	}
	l.Password, l.Expired = password, false
	return 0
}

func (c *SQLCatalog) createLogin(s *sqlSession, name, password, database, expiration, checked string) int {
	switch {
	case s.login == nil || !s.login.Rights["ALTER ANY LOGIN"] && !s.login.Rights["CONTROL SERVER"]:
		return 15247
	case c.login(name) != nil:
		return 15025
	case find(c.Databases, database) == nil:
		return 15010
	case expiration == "ON" && checked == "OFF":
		return 15122
	case checked == "ON" && policy(password) != 0:
		return policy(password)
	}
	l := c.Login(name, password)
	l.Database, l.Policy, l.Expire = database, checked == "ON", expiration == "ON"
	return 0
}

func (c *SQLCatalog) createUser(s *sqlSession, name, login, schema string) int {
	l := c.login(login)
	switch {
	case !s.database.owns(s):
		return 15247
	case l == nil:
		return 15007
	case find(s.database.Principals, name) != nil:
		return 15023
	case s.database.of(l.SID) != nil:
		return 15063
	case !sameName(name, login):
		return 102 // the rotator makes none
	}
	c.User(s.database.Name, login).Schema = schema
	return 0
}

func (c *SQLCatalog) createContained(s *sqlSession, name, password, schema string) int {
	switch {
	case !s.database.owns(s):
		return 15247
	case !s.database.Contained && c.Edition != 5:
		return 33233
	case find(s.database.Principals, name) != nil:
		return 15023
	case policy(password) != 0:
		return policy(password)
	}
	s.database.ContainedUser(name, password).Schema = schema
	return 0
}

func (c *SQLCatalog) alterUser(s *sqlSession, name, password string, old *string) int {
	p := find(s.database.Principals, name)
	switch {
	case p == nil || p.Authentication != 2:
		return 15151
	case old != nil && (*old != p.Password || p != s.user && !s.database.owns(s)), old == nil && !s.database.owns(s):
		return 15151
	case policy(password) != 0:
		return policy(password)
	}
	p.Password = password
	return 0
}

func (c *SQLCatalog) defaultSchema(s *sqlSession, args []string) ([][]any, int) {
	p := find(s.database.Principals, args[0])
	if p == nil || !s.database.owns(s) {
		return nil, 15151
	}
	p.Schema = args[1]
	return nil, 0
}

func (c *SQLCatalog) member(s *sqlSession, args []string, is bool) int {
	role, p := find(s.database.Principals, args[0]), find(s.database.Principals, args[1])
	if role == nil || p == nil || role.Type != "R" || !s.database.owns(s) {
		return 15151
	}
	role.Members = slices.DeleteFunc(role.Members, func(id int) bool { return id == p.ID })
	if is {
		role.Members = append(role.Members, p.ID)
	}
	return 0
}

// onServer are the permissions on the server that are known.
var onServer = []string{"CONNECT SQL", "VIEW ANY DATABASE", "VIEW SERVER STATE", "CONTROL SERVER", "ALTER ANY LOGIN"}

// change carries out a GRANT, DENY or REVOKE.
func (c *SQLCatalog) change(s *sqlSession, change sqlChange) int {
	on := change.SQLSecurable
	if on.Class == 0 && slices.Contains(onServer, on.Name) {
		return c.changeOnServer(s, change)
	}
	grantee := find(s.database.Principals, change.grantee)
	if grantee == nil || !s.database.owns(s) {
		return 15151
	}
	if change.verb == "GRANT" && on.Class == 1 && on.Column == "" { // which ends what is said of columns
		for other := range grantee.Permissions {
			table := other
			if table.Column = ""; table == on && other != on {
				delete(grantee.Permissions, other)
			}
		}
	}
	return change.on(grantee.Permissions, on)
}

func (c *SQLCatalog) changeOnServer(s *sqlSession, change sqlChange) int {
	if s.database.Name != "master" {
		return 4621
	}
	grantee := c.login(change.grantee)
	if grantee == nil || s.login == nil || !s.login.Rights["CONTROL SERVER"] {
		return 15151
	}
	on := change.SQLSecurable
	on.Class = 100
	return change.on(grantee.Permissions, on)
}

func (change sqlChange) on(all SQLPermissions, on SQLSecurable) int {
	table := on
	table.Column = ""
	switch is := all[on]; {
	case change.verb == "GRANT" && change.option:
		all[on] = "W"
	case change.verb == "GRANT":
		all[on] = "G"
	case is == "W" && !change.cascade:
		return 4611
	case change.verb == "DENY":
		all[on] = "D"
	case change.option:
		all[on] = "G"
	case on.Column != "" && all[table] != "":
		all[on] = "R"
	default:
		delete(all, on)
	}
	return 0
}

// String names a permission for a test's report.
func (s SQLSecurable) String() string {
	return fmt.Sprintf("%d %s %s.%s(%s)", s.Class, s.Name, s.Schema, s.Object, s.Column)
}
