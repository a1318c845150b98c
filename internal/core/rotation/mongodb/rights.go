package mongodb

import (
	"slices"

	"strongroom.dev/strongroom/internal/core/rotation"
)

// reserved are the databases that are the server's own: users, replication, sharding.
var reserved = []string{"", "admin", "local", "config"}

// modest are the roles that MongoDB brings along and that are about the data of one database.
// https://www.mongodb.com/docs/manual/reference/built-in-roles/
var modest = []string{"read", "readWrite", "dbAdmin"}

// work is what may be done to a database's data: the actions of the modest roles.
// https://www.mongodb.com/docs/manual/reference/privilege-actions/
var work = []string{
	"find", "insert", "remove", "update", "bypassDocumentValidation", "changeStream", "killCursors", "useUUID",
	"createCollection", "dropCollection", "renameCollectionSameDB", "convertToCapped", "emptycapped", "collMod", "compact", "validate",
	"createIndex", "dropIndex", "reIndex", "listCollections", "listIndexes", "createSearchIndexes", "dropSearchIndex", "listSearchIndexes",
	"updateSearchIndex", "cleanupStructuredEncryptionData", "compactStructuredEncryptionData", "collStats", "dbHash", "dbStats", "indexStats",
	"storageDetails", "planCacheRead", "planCacheWrite", "planCacheIndexFilter", "analyze", "configureQueryAnalyzer", "enableProfiler", "dropDatabase",
}

// own is what a user may do to itself, on whatever resource.
var own = []string{"changeOwnPassword", "changeOwnCustomData"}

// ordinary refuses users that an admin's rights are not used for: those that may do more than work with the data of databases of
// applications. What is not known is more.
func (u *user) ordinary() error {
	if u == nil {
		return nil
	}
	if u.Privileges == nil {
		return u.modest()
	}
	for _, p := range *u.Privileges {
		for _, action := range p.Actions {
			if !slices.Contains(own, action) && !p.harmless(action) {
				return tooMighty(u, "may "+action+" "+p.where())
			}
		}
	}
	return nil
}

// modest judges by the names of roles, of a server that does not say what is in them.
func (u *user) modest() error {
	for _, r := range u.Roles {
		if !slices.Contains(modest, r.Role) || slices.Contains(reserved, r.Database) {
			return tooMighty(u, "has the role "+r.Role+" of database "+r.Database+", and the server does not say what may be done by it,")
		}
	}
	return nil
}

func tooMighty(u *user, what string) error {
	return rotation.Because(rotation.ErrPermission, "user %s %s, which is more than an application needs; an admin's rights are not used to change it: "+
		"take that from it (readWrite on its own database is fine), or rotate it with its own secret and without adminSecretRef", u.Username, what)
}

// harmless says whether an action is on data of one database that is not the server's own, or is to list the databases' names.
func (p *privilege) harmless(action string) bool {
	if cluster, ok := p.Resource["cluster"].(bool); ok && cluster && len(p.Resource) == 1 {
		return action == "listDatabases"
	}
	database, ok := p.Resource["db"].(string)
	if !ok || len(p.Resource) != 2 || slices.Contains(reserved, database) || !slices.Contains(work, action) {
		return false
	}
	for _, kind := range []string{"collection", "system_buckets"} { // the second are the buckets of time series
		if _, ok := p.Resource[kind].(string); ok {
			return true
		}
	}
	return false
}

// where names a resource, for people.
func (p *privilege) where() string {
	database, ok := p.Resource["db"].(string)
	switch {
	case !ok:
		return "on the server"
	case database == "":
		return "on all databases"
	}
	return "on database " + database
}
