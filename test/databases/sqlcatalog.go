package databases

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// SQLSecurable is a permission and what it is on, with the class that SQL Server's catalog has.
type SQLSecurable struct {
	Class                        int
	Name, Schema, Object, Column string
}

// SQLPermissions are the states of permissions: G, W, D or R.
type SQLPermissions map[SQLSecurable]string

// SQLLogin is a login.
type SQLLogin struct {
	ID                                        int
	Name, SID, Password, Type, Database       string
	Disabled, Locked, Expired, Policy, Expire bool
	// Roles and Owns are names of server roles.
	Roles, Owns []string
	Permissions SQLPermissions
	// Rights are the permissions that the server itself asks for, of an admin.
	Rights map[string]bool
}

// SQLPrincipal is a user or role of a database.
type SQLPrincipal struct {
	ID             int
	Name, Type     string
	Authentication int
	Schema, SID    string
	Password       string
	Fixed          bool
	Owner          int
	Members        []int
	Permissions    SQLPermissions
}

// SQLDatabase is a database.
type SQLDatabase struct {
	Name               string
	Contained, Offline bool
	Owner              string
	// Closed says that nobody may open it.
	Closed     bool
	Principals map[string]*SQLPrincipal

	next int
}

// SQLCatalog is what a server knows.
type SQLCatalog struct {
	Logins    map[string]*SQLLogin
	Databases map[string]*SQLDatabase
	// Encryption is what it answers to PRELOGIN, Route HOST:PORT to which it sends logins, Edition what it says it is.
	Encryption byte
	Route      string
	Edition    int
	// Refuse is the error of statements that begin with a text.
	Refuse map[string]int
	// Statements that it got, and names that logged in or tried.
	Statements, LoggedIn []string

	next int
}

func newSQLCatalog() *SQLCatalog {
	c := &SQLCatalog{Logins: map[string]*SQLLogin{}, Databases: map[string]*SQLDatabase{}, Encryption: encryptOn, Edition: 3, Refuse: map[string]int{}, next: 256}
	sa := c.Login("sa", "Nobody-knows-this-1")
	sa.ID, sa.SID, sa.Roles, sa.Rights = 1, "0x01", []string{"sysadmin"}, map[string]bool{"CONTROL SERVER": true}
	for _, name := range []string{"master", "model", "msdb", "tempdb", "shop"} {
		c.Database(name)
	}
	return c
}

// TurnOff turns TLS off, Force asks for it of everybody, and Offer leaves it to clients.
func (c *SQLCatalog) TurnOff() { c.Encryption = encryptNotSupported }

// Force asks for TLS of everybody.
func (c *SQLCatalog) Force() { c.Encryption = encryptRequired }

// Offer leaves TLS to clients.
func (c *SQLCatalog) Offer() { c.Encryption = encryptOn }

// Login makes a login whose password no policy holds for, or gives one another password.
func (c *SQLCatalog) Login(name, password string) *SQLLogin {
	if l := c.login(name); l != nil {
		l.Password = password
		return l
	}
	c.next++
	l := &SQLLogin{
		ID: c.next, Name: name, SID: fmt.Sprintf("0x%032X", c.next), Password: password, Type: "S", Database: "master",
		Permissions: SQLPermissions{{Class: 100, Name: "CONNECT SQL"}: "G"}, Rights: map[string]bool{},
	}
	c.Logins[name] = l
	return l
}

// Database makes a database.
func (c *SQLCatalog) Database(name string) *SQLDatabase {
	d := &SQLDatabase{Name: name, Owner: "0x01", Principals: map[string]*SQLPrincipal{}, next: 16384}
	c.Databases[name] = d
	for _, role := range []string{"db_owner", "db_accessadmin", "db_securityadmin", "db_ddladmin", "db_backupoperator", "db_datareader", "db_datawriter",
		"db_denydatareader", "db_denydatawriter"} {
		d.Role(role).Fixed = true
	}
	return d
}

// Role makes a role.
func (d *SQLDatabase) Role(name string, members ...int) *SQLPrincipal {
	d.next++
	p := &SQLPrincipal{ID: d.next, Name: name, Type: "R", SID: fmt.Sprintf("0x%032X", d.next), Owner: 1, Members: members, Permissions: SQLPermissions{}}
	d.Principals[name] = p
	return p
}

// User gives a login a user of its name in a database, or returns the one it has.
func (c *SQLCatalog) User(database, name string) *SQLPrincipal {
	d, l := c.Databases[database], c.login(name)
	if p := d.of(l.SID); p != nil {
		return p
	}
	p := d.Role(name)
	p.Type, p.Authentication, p.Schema, p.SID, p.Owner = "S", 1, "dbo", l.SID, 0
	p.Permissions[SQLSecurable{Name: "CONNECT"}] = "G"
	return p
}

// ContainedUser makes a user with a password.
func (d *SQLDatabase) ContainedUser(name, password string) *SQLPrincipal {
	p := d.Role(name)
	p.Type, p.Authentication, p.Schema, p.Password, p.Owner = "S", 2, "dbo", password, 0
	p.Permissions[SQLSecurable{Name: "CONNECT"}] = "G"
	return p
}

// sameName compares names as the usual collation does: neither case nor blanks at the end count.
func sameName(a, b string) bool {
	return strings.EqualFold(strings.TrimRight(a, " "), strings.TrimRight(b, " "))
}

func find[V any](all map[string]*V, name string) *V {
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if sameName(key, name) {
			return all[key]
		}
	}
	return nil
}

func (c *SQLCatalog) login(name string) *SQLLogin { return find(c.Logins, name) }

// of is the user with a security identifier.
func (d *SQLDatabase) of(sid string) *SQLPrincipal {
	for _, p := range d.Principals {
		if p.Type == "S" && p.SID == sid {
			return p
		}
	}
	return nil
}

// rolesOf are the roles of a principal with how far away they are.
func (d *SQLDatabase) rolesOf(id int) map[*SQLPrincipal]int {
	out := map[*SQLPrincipal]int{}
	for depth, members := 1, []int{id}; len(members) > 0; depth++ {
		var next []int
		for _, role := range d.Principals {
			if _, seen := out[role]; !seen && role.Type == "R" && slices.ContainsFunc(members, func(m int) bool { return slices.Contains(role.Members, m) }) {
				out[role] = depth
				next = append(next, role.ID)
			}
		}
		members = next
	}
	return out
}

// owns says whether a session may do anything in a database.
func (d *SQLDatabase) owns(s *sqlSession) bool {
	user := s.user
	if s.login != nil {
		if s.login.Rights["CONTROL SERVER"] || s.login.SID == d.Owner {
			return true
		}
		user = d.of(s.login.SID)
	}
	if user == nil {
		return false
	}
	for role := range d.rolesOf(user.ID) {
		if role.Name == "db_owner" {
			return true
		}
	}
	return false
}

// opens says whether a login may open a database.
func (c *SQLCatalog) opens(l *SQLLogin, d *SQLDatabase) bool {
	if d.Closed || d.Offline {
		return false
	}
	user := d.of(l.SID)
	return d.Name == "master" || d.Name == "tempdb" || d.Name == "msdb" || l.Rights["CONNECT ANY DATABASE"] || l.Rights["CONTROL SERVER"] ||
		user != nil && user.Permissions[SQLSecurable{Name: "CONNECT"}] == "G"
}

// withPassword is the user of a contained database that has a password of its own, nil if there is none.
func (d *SQLDatabase) withPassword(name string) *SQLPrincipal {
	if d == nil || !d.Contained {
		return nil
	}
	if p := find(d.Principals, name); p != nil && p.Authentication == 2 {
		return p
	}
	return nil
}

// proves says whether a password is a login's, that may log in by one.
func (l *SQLLogin) proves(password string) bool {
	may := l.Permissions[SQLSecurable{Class: 100, Name: "CONNECT SQL"}] == "G" || l.Rights["CONTROL SERVER"]
	return l.Type == "S" && l.Password == password && may
}

// admit judges a login. The numbers are the errors in SQL Server's order.
func (c *SQLCatalog) admit(said login7) (*sqlSession, []int) {
	d := find(c.Databases, said.database)
	if user := d.withPassword(said.username); user != nil {
		if user.Password != said.password || user.Permissions[SQLSecurable{Name: "CONNECT"}] != "G" {
			return nil, []int{18456}
		}
		return &sqlSession{user: user, database: d}, nil
	}
	l := c.login(said.username)
	switch {
	case l == nil || !l.proves(said.password):
		return nil, []int{18456}
	case l.Disabled:
		return nil, []int{18470}
	case l.Locked:
		return nil, []int{18486}
	case l.Expired:
		return nil, []int{18487}
	case d == nil || !c.opens(l, d):
		return nil, []int{4060, 18456}
	}
	return &sqlSession{login: l, database: d}, nil
}
