package sqlserver

import (
	"fmt"
	"strconv"
	"strings"
)

// The questions to the server. Each is a statement of its own and none is joined to another by UNION, since names and permissions have
// other collations. What is no text and no whole number is made one, so that an answer does not depend on the driver.
// https://learn.microsoft.com/en-us/sql/relational-databases/system-catalog-views/security-catalog-views-transact-sql
const (
	// queryMyself asks whether a session is of a user of a contained database.
	queryMyself = "SELECT name FROM sys.database_principals WHERE principal_id = DATABASE_PRINCIPAL_ID() AND authentication_type = 2"
	// queryPlace asks which server and database a session is in, and what it may see.
	queryPlace = "SELECT name, CAST(SERVERPROPERTY('EngineEdition') AS int), CAST(containment AS int), " +
		"CAST(ISNULL(HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW ANY DEFINITION'), 0) AS int), " +
		"CAST(ISNULL(HAS_PERMS_BY_NAME(QUOTENAME(name), 'DATABASE', 'VIEW DEFINITION'), 0) AS int) FROM sys.databases WHERE database_id = DB_ID()"
)

// queryPrincipal asks for a user or role of the session's database.
func queryPrincipal(name string) string {
	return "SELECT principal_id, name, type, CAST(authentication_type AS int), default_schema_name, CONVERT(nvarchar(180), sid, 1) " +
		"FROM sys.database_principals WHERE name = " + literal(name)
}

// queryLogin asks for a login or server role.
func queryLogin(name string) string {
	return "SELECT p.principal_id, p.name, p.type, CONVERT(nvarchar(180), p.sid, 1), CAST(p.is_disabled AS int), p.default_database_name, " +
		"CAST(l.is_policy_checked AS int), CAST(l.is_expiration_checked AS int) " +
		"FROM sys.server_principals p LEFT JOIN sys.sql_logins l ON l.principal_id = p.principal_id WHERE p.name = " + literal(name)
}

// queryServerRights asks for a login's roles, permissions and what it owns of the server, and for the databases that are online.
func queryServerRights(id int, sid string) string {
	return fmt.Sprintf("SELECT r.name FROM sys.server_role_members m JOIN sys.server_principals r ON r.principal_id = m.role_principal_id WHERE m.member_principal_id = %[1]d; "+
		"SELECT class, permission_name, state FROM sys.server_permissions WHERE grantee_principal_id = %[1]d; "+
		"SELECT name FROM sys.server_principals WHERE owning_principal_id = %[1]d; "+
		"SELECT name, CASE WHEN owner_sid = %[2]s THEN 1 ELSE 0 END, CAST(ISNULL(HAS_DBACCESS(name), 0) AS int), "+
		"CAST(ISNULL(HAS_PERMS_BY_NAME(QUOTENAME(name), 'DATABASE', 'VIEW DEFINITION'), 0) AS int) FROM sys.databases WHERE state = 0", id, sid)
}

// queryUsers asks for a login's user in each of some databases.
func queryUsers(databases []string, sid string) string {
	out := make([]string, len(databases))
	for n, d := range databases {
		out[n] = fmt.Sprintf("SELECT principal_id, name, default_schema_name FROM %s.sys.database_principals WHERE sid = %s", identifier(d), sid)
	}
	return strings.Join(out, "; ")
}

// queryRoles asks for the roles of a user, and theirs, with how far away each is.
func queryRoles(database string, id int) string {
	return strings.ReplaceAll(fmt.Sprintf("WITH held (id, depth) AS (SELECT role_principal_id, 1 FROM $.sys.database_role_members WHERE member_principal_id = %d "+
		"UNION ALL SELECT m.role_principal_id, h.depth + 1 FROM $.sys.database_role_members m JOIN held h ON m.member_principal_id = h.id) "+
		"SELECT p.principal_id, p.name, CAST(p.is_fixed_role AS int), MIN(h.depth) FROM held h JOIN $.sys.database_principals p ON p.principal_id = h.id "+
		"GROUP BY p.principal_id, p.name, p.is_fixed_role", id), "$", identifier(database))
}

// queryRights asks which roles some users and roles own, and for their permissions, with names of what they are on.
func queryRights(database string, ids []int) string {
	in := make([]string, len(ids))
	for n, id := range ids {
		in[n] = strconv.Itoa(id)
	}
	return strings.NewReplacer("$", identifier(database), "#", strings.Join(in, ", ")).Replace("SELECT name FROM $.sys.database_principals WHERE owning_principal_id IN (#); " +
		"SELECT p.grantee_principal_id, p.class, p.permission_name, p.state, p.minor_id, COALESCE(s.name, os.name, ts.name, xs.name), COALESCE(o.name, t.name, x.name), c.name " +
		"FROM $.sys.database_permissions p " +
		"LEFT JOIN $.sys.schemas s ON p.class = 3 AND s.schema_id = p.major_id " +
		"LEFT JOIN $.sys.all_objects o ON p.class = 1 AND o.object_id = p.major_id " +
		"LEFT JOIN $.sys.schemas os ON os.schema_id = o.schema_id " +
		"LEFT JOIN $.sys.columns c ON p.class = 1 AND c.object_id = p.major_id AND c.column_id = p.minor_id " +
		"LEFT JOIN $.sys.types t ON p.class = 6 AND t.user_type_id = p.major_id " +
		"LEFT JOIN $.sys.schemas ts ON ts.schema_id = t.schema_id " +
		"LEFT JOIN $.sys.xml_schema_collections x ON p.class = 10 AND x.xml_collection_id = p.major_id " +
		"LEFT JOIN $.sys.schemas xs ON xs.schema_id = x.schema_id WHERE p.grantee_principal_id IN (#)")
}
