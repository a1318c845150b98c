package v1alpha1_test

import "strings"

const parameter = "Parameter"

func text(rest string) string { return "{type: String" + rest + "}" }

func secure(rest string) string { return "{type: SecureString" + rest + "}" }

func made(generator string) string { return secure(", generate: {" + generator + "}") }

func imported(ref string) string { return secure(", valueFrom: {secretKeyRef: {" + ref + "}}") }

func shown(t string) string { return text(", target: {" + t + "}") }

func restarts(r string) string {
	return shown("configMap: {}, restart: [{kind: Deployment, " + r + "}]")
}

const expires = "{type: Expiration, timestamp: '2027-01-02T03:04:05Z'}"

func policed(policies string) string { return text(", tier: Advanced, policies: [" + policies + "]") }

func parameterRules() []rule {
	return []rule{
		{kind: parameter, path: "", message: "names that begin with aws or ssm", field: "spec.name", called: "aws-rule",
			accepts: []string{text("")}, refuses: []string{text("")}},
		{kind: parameter, path: "", message: "the target is the core Secret that is imported", field: "spec.target.secret.name",
			accepts: []string{secure(", valueFrom: {secretKeyRef: {name: a, key: k}}, target: {secret: {name: b}}")},
			refuses: []string{secure(", valueFrom: {secretKeyRef: {name: a, key: k}}, target: {secret: {name: a}}"),
				secure(", valueFrom: {secretKeyRef: {name: rule, key: k}}, target: {secret: {}}")}},
		{kind: parameter, path: "spec", message: "at most one of the fields in [value generate valueFrom sealed]", field: "spec",
			accepts: []string{text(""), text(", value: a"), secure(""), made("uuid: {}")},
			refuses: []string{secure(", generate: {uuid: {}}, valueFrom: {secretKeyRef: {name: a, key: b}}"), secure(", generate: {uuid: {}}, sealed: srs1.AAAA")}},
		{kind: parameter, path: "spec", message: "name cannot be changed", field: "spec.name", changes: true,
			accepts: []string{text(", name: a"), text(", name: a, value: b")}, refuses: []string{text(", name: a"), text(", name: b"), text(""), text(", name: a")}},
		{kind: parameter, path: "spec", message: "region cannot be changed", field: "spec.region", changes: true,
			accepts: []string{text(", region: eu-west-1"), text(", region: eu-west-1, value: b")},
			refuses: []string{text(", region: eu-west-1"), text(", region: eu-west-2"), text(""), text(", region: eu-west-1")}},
		{kind: parameter, path: "spec", message: "an Advanced parameter cannot become Standard", field: "spec.tier", changes: true,
			accepts: []string{text(", tier: Advanced"), text(", tier: Intelligent-Tiering"), text(", tier: Standard"), text(", tier: Advanced")},
			refuses: []string{text(", tier: Advanced"), text(", tier: Standard"), text(", tier: Advanced"), text("")}},
		{kind: parameter, path: "spec", message: "a SecureString has no value in the clear", field: "spec.value",
			accepts: []string{text(", value: a"), "{type: StringList, value: 'a,b'}"}, refuses: []string{secure(", value: a")}},
		{kind: parameter, path: "spec", message: "only a SecureString is generated", field: "spec.generate",
			accepts: []string{made("uuid: {}")}, refuses: []string{text(", generate: {uuid: {}}"), "{type: StringList, generate: {uuid: {}}}"}},
		{kind: parameter, path: "spec", message: "only a SecureString is imported", field: "spec.valueFrom",
			accepts: []string{imported("name: a, key: k")}, refuses: []string{text(", valueFrom: {secretKeyRef: {name: a, key: k}}")}},
		{kind: parameter, path: "spec", message: "only a SecureString is sealed", field: "spec.sealed",
			accepts: []string{secure(", sealed: srs1.AAAA")}, refuses: []string{text(", sealed: srs1.AAAA"), "{type: StringList, sealed: srs1.AAAA}"}},
		{kind: parameter, path: "spec.sealed", message: "^srs1[.][-_a-zA-Z0-9]+$", field: "spec.sealed",
			accepts: []string{secure(", sealed: srs1.AZaz09-_")}, refuses: []string{secure(", sealed: srs1."), secure(", sealed: hunter2"), secure(", sealed: srs1.A=")}},
		{kind: parameter, path: "spec", message: "only a SecureString is encrypted", field: "spec.kmsKeyRef",
			accepts: []string{secure(", kmsKeyRef: {name: k}")}, refuses: []string{text(", kmsKeyRef: {name: k}")}},
		{kind: parameter, path: "spec", message: "a SecureString is not shown in a ConfigMap", field: "spec.target.configMap",
			accepts: []string{secure(", target: {secret: {}}"), shown("configMap: {}")}, refuses: []string{secure(", target: {configMap: {}}")}},
		{kind: parameter, path: "spec", message: "the value is over its tier's size", field: "spec.value",
			accepts: []string{text(", value: " + strings.Repeat("x", 4096)), text(", tier: Advanced, value: " + strings.Repeat("x", 8192)),
				text(", tier: Intelligent-Tiering, value: " + strings.Repeat("ä", 4096))},
			refuses: []string{text(", value: " + strings.Repeat("x", 4097)), text(", value: " + strings.Repeat("ä", 2049)),
				text(", tier: Advanced, value: " + strings.Repeat("ä", 4097))}},
		{kind: parameter, path: "spec", message: "only an advanced parameter has policies", field: "spec.policies",
			accepts: []string{policed(expires), text(", tier: Intelligent-Tiering, policies: [" + expires + "]"), text(", policies: []")},
			refuses: []string{text(", policies: [" + expires + "]"), text(", tier: Standard, policies: [" + expires + "]")}},
		{kind: parameter, path: "spec", message: "only an advanced parameter has a resource policy", field: "spec.resourcePolicy",
			accepts: []string{text(`, tier: Advanced, resourcePolicy: {Version: "2012-10-17"}`), text(`, tier: Intelligent-Tiering, resourcePolicy: {Version: "2012-10-17"}`)},
			refuses: []string{text(`, resourcePolicy: {Version: "2012-10-17"}`), text(`, tier: Standard, resourcePolicy: {Version: "2012-10-17"}`)}},
		{kind: parameter, path: "spec.policies", message: "a parameter expires once", field: "spec.policies",
			accepts: []string{policed(expires)}, refuses: []string{policed(expires + ", {type: Expiration, timestamp: '2028-01-02T03:04:05Z'}")}},
		{kind: parameter, path: "spec.policies", message: "an ExpirationNotification is about an Expiration", field: "spec.policies",
			accepts: []string{policed("{type: ExpirationNotification, before: 1, unit: Days}, " + expires)},
			refuses: []string{policed("{type: ExpirationNotification, before: 1, unit: Days}")}},
		{kind: parameter, path: "spec.policies[]", message: "an Expiration has a timestamp", field: "spec.policies[0].timestamp",
			accepts: []string{policed(expires)}, refuses: []string{policed("{type: Expiration}"), policed("{type: NoChangeNotification, after: 1, unit: Days, timestamp: '2027-01-02T03:04:05Z'}")}},
		{kind: parameter, path: "spec.policies[]", message: "an ExpirationNotification says how long before", field: "spec.policies[0].before",
			accepts: []string{policed("{type: ExpirationNotification, before: 99999, unit: Hours}, " + expires)},
			refuses: []string{policed("{type: ExpirationNotification, unit: Hours}, " + expires), policed("{type: NoChangeNotification, after: 1, before: 1, unit: Days}")}},
		{kind: parameter, path: "spec.policies[]", message: "a NoChangeNotification says how long after", field: "spec.policies[0].after",
			accepts: []string{policed("{type: NoChangeNotification, after: 1, unit: Hours}")},
			refuses: []string{policed("{type: NoChangeNotification, unit: Hours}"), policed("{type: Expiration, timestamp: '2027-01-02T03:04:05Z', after: 1}")}},
		{kind: parameter, path: "spec.policies[]", message: "a notification has a unit", field: "spec.policies[0].unit",
			accepts: []string{policed("{type: NoChangeNotification, after: 1, unit: Days}")},
			refuses: []string{policed("{type: NoChangeNotification, after: 1}"), policed("{type: Expiration, timestamp: '2027-01-02T03:04:05Z', unit: Days}")}},
		{kind: parameter, path: "spec.policies[].timestamp", message: `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[-+][0-9]{2}:[0-9]{2})$`, field: "spec.policies[0].timestamp",
			accepts: []string{policed("{type: Expiration, timestamp: '2027-01-02T03:04:05.123456789+10:30'}")},
			refuses: []string{policed("{type: Expiration, timestamp: '2027-01-02 03:04:05Z'}"), policed("{type: Expiration, timestamp: '2027-01-02T03:04:05+00'}")}},
		{kind: parameter, path: "spec", message: "the value does not match allowedPattern", field: "spec.value",
			accepts: []string{text(", value: info, allowedPattern: '^(debug|info)$'"), text(", value: loud, allowedPattern: '^[a-z]{9}$'")}, // which the controller refuses
			refuses: []string{text(", value: loud, allowedPattern: '^(debug|info)$'")}},
		{kind: parameter, path: "spec.name", message: "a name has letters, digits and", field: "spec.name",
			accepts: []string{text(", name: aZ0._-"), text(", name: /a"), text(", name: /a/b.c/d_e")},
			refuses: []string{text(", name: a/b"), text(", name: 'a b'"), text(", name: /a/"), text(", name: a//b"), text(`, name: "a\n"`)}},
		{kind: parameter, path: "spec.name", message: "a path has at most 15 levels", field: "spec.name",
			accepts: []string{text(", name: " + strings.Repeat("/a", 15))}, refuses: []string{text(", name: " + strings.Repeat("/a", 16))}},
		{kind: parameter, path: "spec.name", message: "names that begin with aws or ssm", field: "spec.name",
			accepts: []string{text(", name: /a/aws")}, refuses: []string{text(", name: AWSx"), text(", name: /ssm/a")}},
		{kind: parameter, path: "spec.type", message: "type cannot be changed", field: "spec.type", changes: true,
			accepts: []string{text(""), text(", value: a")}, refuses: []string{text(""), secure("")}},
		{kind: parameter, path: "spec.value", message: "a value cannot refer to another parameter", field: "spec.value",
			accepts: []string{text(", value: '{a}'")}, refuses: []string{text(", value: '{{ssm:a}}'")}},
		{kind: parameter, path: "spec.region", message: aRegion, field: "spec.region",
			accepts: []string{text(", region: us-gov-west-1")}, refuses: []string{text(", region: US-EAST-1"), text(", region: us-east")}},
		{kind: parameter, path: "spec.tags[].key", message: "tag keys that begin with aws:", field: "spec.tags[0].key",
			accepts: []string{text(", tags: [{key: awsx}]")}, refuses: []string{text(", tags: [{key: 'AWS:x'}]")}},
		{kind: parameter, path: "spec.kmsKeyRef.name", message: "name is a DNS name", field: "spec.kmsKeyRef.name",
			accepts: []string{secure(", kmsKeyRef: {name: a-b.c0}")}, refuses: []string{secure(", kmsKeyRef: {name: alias/a}")}},
		{kind: parameter, path: "spec.valueFrom.secretKeyRef.name", message: "name is a DNS name", field: "spec.valueFrom.secretKeyRef.name",
			accepts: []string{imported("name: a-b.c0, key: k")}, refuses: []string{imported("name: a/b, key: k")}},
		{kind: parameter, path: "spec.valueFrom.secretKeyRef.key", message: "^[-._a-zA-Z0-9]+$", field: "spec.valueFrom.secretKeyRef.key",
			accepts: []string{imported("name: a, key: aZ0-_.")}, refuses: []string{imported("name: a, key: a/b")}},
		{kind: parameter, path: "spec.generate", message: "exactly one of the fields in [password json bytes uuid]", field: "spec.generate",
			accepts: []string{made("uuid: {}")}, refuses: []string{made(""), made("uuid: {}, bytes: {}")}},
		{kind: parameter, path: "spec.generate.password", message: "every type of character is excluded", field: "spec.generate.password.excludePunctuation",
			accepts: []string{made("password: {" + nothingLeft + ", includeSpace: true}")}, refuses: []string{made("password: {" + nothingLeft + "}")}},
		{kind: parameter, path: "spec.generate.password", message: "a password that holds each type", field: "spec.generate.password.length",
			accepts: []string{made("password: {length: 4}")}, refuses: []string{made("password: {length: 3}")}},
		{kind: parameter, path: "spec.generate.json.password", message: "every type of character is excluded", field: "spec.generate.json.password.excludePunctuation",
			accepts: []string{made("json: {template: '{}', key: k, password: {" + nothingLeft + ", includeSpace: true}}")},
			refuses: []string{made("json: {template: '{}', key: k, password: {" + nothingLeft + "}}")}},
		{kind: parameter, path: "spec.generate.json.password", message: "a password that holds each type", field: "spec.generate.json.password.length",
			accepts: []string{made("json: {template: '{}', key: k, password: {length: 4}}")}, refuses: []string{made("json: {template: '{}', key: k, password: {length: 3}}")}},
		{kind: parameter, path: "spec.generate.json.template", message: "template is a JSON object", field: "spec.generate.json.template",
			accepts: []string{made("json: {template: '{}', key: k}")}, refuses: []string{made("json: {template: '[]', key: k}")}},
		{kind: parameter, path: "spec.target", message: "exactly one of the fields in [configMap secret]", field: "spec.target",
			accepts: []string{shown("configMap: {}"), shown("secret: {}")}, refuses: []string{shown(""), shown("configMap: {}, secret: {}")}},
		{kind: parameter, path: "spec.target.configMap.name", message: "name is a DNS name", field: "spec.target.configMap.name",
			accepts: []string{shown("configMap: {name: a-b.c0}")}, refuses: []string{shown("configMap: {name: A}")}},
		{kind: parameter, path: "spec.target", message: "the ConfigMap kube-root-ca.crt", field: "spec.target.configMap.name",
			accepts: []string{shown("configMap: {name: kube-root-ca.crt.shop}"), shown("secret: {name: kube-root-ca.crt}")},
			refuses: []string{shown("configMap: {name: kube-root-ca.crt}"), shown("configMap: {name: kube-root-ca.crt, key: k, creationPolicy: Merge}")}},
		{kind: parameter, path: "", message: "the ConfigMap kube-root-ca.crt", field: "spec.target.configMap", called: "kube-root-ca.crt",
			accepts: []string{shown("configMap: {}"), shown("configMap: {name: shop}")}, refuses: []string{shown("configMap: {}"), shown("configMap: {key: k}")}},
		{kind: parameter, path: "spec.target.configMap.key", message: "^[-._a-zA-Z0-9]+$", field: "spec.target.configMap.key",
			accepts: []string{shown("configMap: {key: aZ0-_.}")}, refuses: []string{shown("configMap: {key: a/b}")}},
		{kind: parameter, path: "spec.target.secret.name", message: "name is a DNS name", field: "spec.target.secret.name",
			accepts: []string{shown("secret: {name: a-b.c0}")}, refuses: []string{shown("secret: {name: A}")}},
		{kind: parameter, path: "spec.target.secret.key", message: "^[-._a-zA-Z0-9]+$", field: "spec.target.secret.key",
			accepts: []string{shown("secret: {key: aZ0-_.}")}, refuses: []string{shown("secret: {key: a/b}")}},
		{kind: parameter, path: "spec.target.restart[]", message: "exactly one of the fields in [name selector]", field: "spec.target.restart[0]",
			accepts: []string{restarts("name: a")}, refuses: []string{restarts("name: a, selector: {matchLabels: {a: b}}")}},
		{kind: parameter, path: "spec.target.restart[].name", message: "name is a DNS name", field: "spec.target.restart[0].name",
			accepts: []string{restarts("name: a")}, refuses: []string{restarts("name: Web")}},
		{kind: parameter, path: "spec.target.restart[].selector", message: "an empty selector would restart", field: "spec.target.restart[0].selector",
			accepts: []string{restarts("selector: {matchLabels: {a: b}}")}, refuses: []string{restarts("selector: {}")}},
	}
}
