package mongodb

import (
	"errors"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"strongroom.dev/strongroom/internal/core/rotation"
)

// on is a resource of a database.
func on(database, collection string) bson.M { return bson.M{"db": database, "collection": collection} }

func TestWhatAUserMayDoDecidesWhetherAnAdminsRightsAreUsed(t *testing.T) {
	cluster, any := bson.M{"cluster": true}, bson.M{"anyResource": true}
	for _, tt := range []struct {
		what    string
		on      bson.M
		actions string
		fine    bool
	}{
		{"read", on("shop", ""), "changeStream collStats dbHash dbStats find killCursors listCollections listIndexes planCacheRead", true},
		{"readWrite", on("shop", ""), "find insert remove update createCollection createIndex dropCollection dropIndex renameCollectionSameDB convertToCapped", true},
		{"dbAdmin", on("shop", "system.profile"), "find collMod validate enableProfiler dropDatabase bypassDocumentValidation", true},
		{"one collection", on("shop", "orders"), "find", true},
		{"time series", bson.M{"db": "shop", "system_buckets": "orders"}, "find insert", true},
		{"the names of databases", cluster, "listDatabases", true},
		{"its own password", on("admin", ""), "changeOwnPassword changeOwnCustomData", true},
		{"nothing", on("admin", ""), "", true},
		{"users of its database", on("shop", ""), "find createUser", false},
		{"passwords of others", on("shop", ""), "changePassword", false},
		{"roles of its database", on("shop", ""), "grantRole", false},
		{"roles' privileges", on("shop", ""), "updateRole", false},
		{"all databases", on("", ""), "find", false},
		{"a collection of all databases", on("", "orders"), "find", false},
		{"admin", on("admin", "system.users"), "find", false},
		{"the oplog", on("local", ""), "find", false},
		{"sharding", on("config", ""), "update", false},
		{"the server", cluster, "shutdown", false},
		{"the server's state", cluster, "serverStatus", false},
		{"anything", any, "anyAction", false},
		{"anything, to read", any, "find", false},
		{"a server that is false", bson.M{"cluster": false}, "listDatabases", false},
		{"a resource that is not known", bson.M{"tenant": "shop"}, "find", false},
		{"a resource with more in it", bson.M{"db": "shop", "collection": "", "tenant": "x"}, "find", false},
		{"a database without a collection", bson.M{"db": "shop", "tenant": "x"}, "find", false},
		{"a database that is no string", bson.M{"db": 1, "collection": ""}, "find", false},
		{"an action that is not known", on("shop", ""), "reshardCollection", false},
		{"internal actions", cluster, "internal", false},
	} {
		u := &user{Username: "shop", Privileges: &[]privilege{{on("shop", ""), []string{"find"}}, {tt.on, strings.Fields(tt.actions)}}}
		err := u.ordinary()
		if tt.fine != (err == nil) || !tt.fine && !errors.Is(err, rotation.ErrPermission) {
			t.Errorf("%s: %v", tt.what, err)
		}
	}
}

func TestWithoutPrivilegesTheNamesOfRolesDecide(t *testing.T) {
	for r, fine := range map[role]bool{
		{"read", "shop"}: true, {"readWrite", "shop"}: true, {"dbAdmin", "shop"}: true,
		{"read", "admin"}: false, {"read", "local"}: false, {"readWrite", "config"}: false, {"read", ""}: false,
		{"dbOwner", "shop"}: false, {"userAdmin", "shop"}: false, {"root", "admin"}: false, {"__system", "admin"}: false, {"readAnyDatabase", "admin"}: false,
		{"clusterMonitor", "admin"}: false, {"backup", "admin"}: false, {"somebodys", "shop"}: false, {"Read", "shop"}: false,
	} {
		if err := (&user{Username: "shop", Roles: []role{{"read", "other"}, r}}).ordinary(); fine != (err == nil) || !fine && !errors.Is(err, rotation.ErrPermission) {
			t.Errorf("%v: %v", r, err)
		}
	}
	if (*user)(nil).ordinary() != nil || (&user{}).ordinary() != nil {
		t.Error("nobody, or a user who may do nothing, is refused")
	}
}
