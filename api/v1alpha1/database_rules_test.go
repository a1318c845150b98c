package v1alpha1_test

import "fmt"

// databaseRules are those of the databases' rotators, which are alike.
func databaseRules() []rule {
	out := []rule{{
		kind: secret, path: "spec.rotation", message: "at most one of the fields in [postgres mysql redis mongodb sqlserver function job]", field: "spec.rotation",
		accepts: []string{"{rotation: {mysql: {}}}"},
		refuses: []string{"{rotation: {postgres: {}, mysql: {}}}", "{rotation: {postgres: {}, function: {serviceRef: {name: a}}}}", "{rotation: {mysql: {}, redis: {}}}", "{rotation: {mongodb: {}, redis: {}}}", "{rotation: {sqlserver: {}, mongodb: {}}}", "{rotation: {job: {cronJobRef: {name: a}}, redis: {}}}", "{rotation: {postgres: {}, mysql: {}, redis: {}}}"},
	}}
	for _, engine := range []string{"postgres", "mysql", "redis", "mongodb", "sqlserver"} {
		path := "spec.rotation." + engine
		spec := func(format string, of ...any) []string {
			return []string{"{rotation: {" + engine + ": " + fmt.Sprintf(format, of...) + "}}"}
		}
		ca := func(name, key string) []string { return spec("{tls: {caSecretRef: {name: %s, key: %s}}}", name, key) }
		out = append(out,
			rule{kind: secret, path: "spec.rotation", message: "the second user is made and changed by an admin: set " + engine + ".adminSecretRef", field: path,
				accepts: []string{
					"{rotation: {strategy: AlternatingUsers, " + engine + ": {adminSecretRef: {name: a}}}}", "{rotation: {strategy: SingleUser, " + engine + ": {}}}",
				},
				refuses: []string{"{rotation: {strategy: AlternatingUsers, " + engine + ": {}}}"}},
			rule{kind: secret, path: path + ".adminSecretRef.name", message: "name is a DNS name", field: path + ".adminSecretRef.name",
				accepts: spec("{adminSecretRef: {name: a-b.c0}}"), refuses: spec("{adminSecretRef: {name: A}}")},
			rule{kind: secret, path: path + ".tls.caSecretRef.key", message: "^[-._a-zA-Z0-9]+$", field: path + ".tls.caSecretRef.key",
				accepts: ca("a", "ca_1.crt"), refuses: ca("a", "a/b")},
			rule{kind: secret, path: path + ".tls.caSecretRef.name", message: "name is a DNS name", field: path + ".tls.caSecretRef.name",
				accepts: ca("a-b.c0", "k"), refuses: ca("a/b", "k")},
		)
	}
	return out
}
