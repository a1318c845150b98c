package sqlserver

import (
	"cmp"
	"slices"
	"strings"
)

// The classes of permissions that are understood here: what they are on.
// https://learn.microsoft.com/en-us/sql/relational-databases/system-catalog-views/sys-database-permissions-transact-sql
const (
	classDatabase            = 0
	classObject              = 1
	classSchema              = 3
	classType                = 6
	classXMLSchemaCollection = 10
	classServer              = 100
)

// The states of a permission.
const (
	granted   = "G"
	grantable = "W" // WITH GRANT OPTION
	denied    = "D"
	revoked   = "R" // of a column of a table on which it is granted
)

// securable is a permission and what it is on. Nothing of the server's text goes into a statement but by its parts.
type securable struct {
	class int
	// name of the permission: words in capitals.
	name string
	// schema and object, and the column if it is on one alone. A schema has no object.
	schema, object, column string
}

// permissions of a principal: the state of each.
type permissions map[securable]string

// on is the clause that says what it is on.
func (s securable) on() string {
	object := identifier(s.schema) + "." + identifier(s.object)
	switch s.class {
	case classObject:
		if s.column != "" {
			object += " (" + identifier(s.column) + ")"
		}
		return " ON OBJECT::" + object
	case classSchema:
		return " ON SCHEMA::" + identifier(s.schema)
	case classType:
		return " ON TYPE::" + object
	case classXMLSchemaCollection:
		return " ON XML SCHEMA COLLECTION::" + object
	}
	return ""
}

// table is the permission on all columns.
func (s securable) table() securable {
	s.column = ""
	return s
}

// compare orders what is on a table before what is on its columns: to grant the former ends what is denied of the latter.
func (s securable) compare(o securable) int {
	return cmp.Or(cmp.Compare(s.class, o.class), cmp.Compare(s.schema, o.schema), cmp.Compare(s.object, o.object), cmp.Compare(s.name, o.name),
		cmp.Compare(s.column, o.column))
}

// changes are the statements that give a principal the permissions of another, and take what it has beyond them.
// https://learn.microsoft.com/en-us/sql/t-sql/statements/grant-transact-sql
func changes(first, second permissions, principal string) (out []string) {
	all := make([]securable, 0, len(first)+len(second))
	for s := range first {
		all = append(all, s)
	}
	for s := range second {
		if _, both := first[s]; !both {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, securable.compare)
	changed := map[securable]bool{}
	for _, s := range all {
		want, is := first[s], second[s]
		if s.column != "" && changed[s.table()] {
			is = "" // whatever it was, the table's has ended it
		}
		if statements := s.change(want, is, identifier(principal)); len(statements) > 0 {
			changed[s] = true
			out = append(out, statements...)
		}
	}
	return out
}

// change turns one state into another. Empty is none.
func (s securable) change(want, is, principal string) []string {
	what := s.name + s.on()
	switch {
	case want == is:
		return nil
	case want == "", want == revoked:
		return []string{"REVOKE " + what + " FROM " + principal + " CASCADE"}
	case want == denied:
		return []string{"DENY " + what + " TO " + principal + " CASCADE"}
	case want == grantable:
		return []string{"GRANT " + what + " TO " + principal + " WITH GRANT OPTION"}
	case is == grantable:
		return []string{"REVOKE GRANT OPTION FOR " + what + " FROM " + principal + " CASCADE"}
	}
	return []string{"GRANT " + what + " TO " + principal}
}

// members are the statements that give a user the roles of another, and take what it has beyond them.
func members(first, second []string, user string) (out []string) {
	for _, r := range first {
		if !slices.Contains(second, r) {
			out = append(out, "ALTER ROLE "+identifier(r)+" ADD MEMBER "+identifier(user))
		}
	}
	for _, r := range second {
		if !slices.Contains(first, r) {
			out = append(out, "ALTER ROLE "+identifier(r)+" DROP MEMBER "+identifier(user))
		}
	}
	return out
}

// isPermission says whether a text is a permission's name, which goes into statements as it is.
func isPermission(name string) bool {
	return name != "" && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ ") == "" && name == strings.TrimSpace(name)
}
