package v1alpha1_test

import "strings"

const tree = "ParameterTree"

// below is a tree of a path, shown in a ConfigMap, and whatever else.
func below(path, rest string) string {
	return "{path: " + path + ", target: {configMap: {}}" + rest + "}"
}

// planted is a tree with a target.
func planted(target string) string { return "{path: /a, target: {" + target + "}}" }

func filtered(filter string) string { return below("/a", ", filter: {"+filter+"}") }

func treeRules() []rule {
	return append(treeTargetRules(), []rule{
		{kind: tree, path: "spec", message: "stripPrefix is the path or a beginning of it", field: "spec.keys.stripPrefix",
			accepts: []string{
				below("/a/b", ", keys: {stripPrefix: /a}"), below("/a/b", ", keys: {stripPrefix: /a/b}"), below("/a/b", ", keys: {stripPrefix: /}"),
				below("/", ", keys: {stripPrefix: /}"), below("/a/b", ", keys: {format: UpperSnake}"),
			},
			refuses: []string{
				below("/a/b", ", keys: {stripPrefix: /b}"), below("/ab", ", keys: {stripPrefix: /a}"), below("/a", ", keys: {stripPrefix: /a/b}"),
				below("/", ", keys: {stripPrefix: /a}"),
			}},
		{kind: tree, path: "spec", message: "a SecureString is not shown in a ConfigMap", field: "spec.filter.types",
			accepts: []string{
				filtered("types: [String, StringList]"), below("/a", ""), "{path: /a, filter: {types: [SecureString]}, target: {secret: {}}}",
			},
			refuses: []string{filtered("types: [SecureString]"), filtered("types: [String, SecureString]")}},
		{kind: tree, path: "spec.path", message: "a path begins with a slash, ends with none", field: "spec.path",
			accepts: []string{below("/", ""), below("/aZ0._-", ""), below("/a/b", "")},
			refuses: []string{below("a", ""), below("/a/", ""), below("//", ""), below("/a//b", ""), below("'/a b'", ""), below("/ä", ""), below("/a/*", ""), below(`"/a\n"`, "")}},
		{kind: tree, path: "spec.path", message: "a path has at most 14 levels", field: "spec.path",
			accepts: []string{below(strings.Repeat("/a", 14), "")}, refuses: []string{below(strings.Repeat("/a", 15), "")}},
		{kind: tree, path: "spec.region", message: aRegion, field: "spec.region",
			accepts: []string{below("/a", ", region: us-gov-west-1")}, refuses: []string{below("/a", ", region: US-EAST-1"), below("/a", ", region: us-east")}},
		{kind: tree, path: "spec.keys.stripPrefix", message: "^(/|(/[a-zA-Z0-9_.-]+)+)$", field: "spec.keys.stripPrefix",
			accepts: []string{below("/a", ", keys: {stripPrefix: /a}")}, refuses: []string{below("/a", ", keys: {stripPrefix: a}"), below("/a", ", keys: {stripPrefix: /a/}")}},
		{kind: tree, path: "spec.filter.include[]", message: "^([a-zA-Z0-9_./-]*[*]{1,2}){0,8}[a-zA-Z0-9_./-]*$", field: "spec.filter.include[0]",
			accepts: []string{filtered("include: ['**/db-*', a.b_c]"), filtered("include: ['*a*a*a*a*a*a*a*a']")}, refuses: []string{filtered("include: ['a?']"), filtered("include: ['*a*a*a*a*a*a*a*a*']"), filtered("include: ['[a]']")}},
		{kind: tree, path: "spec.filter.exclude[]", message: "^([a-zA-Z0-9_./-]*[*]{1,2}){0,8}[a-zA-Z0-9_./-]*$", field: "spec.filter.exclude[0]",
			accepts: []string{filtered("exclude: ['*']")}, refuses: []string{filtered("exclude: ['{a,b}']"), filtered("exclude: ['a b']")}},
	}...)
}

// treeTargetRules are those of what a tree is shown in.
func treeTargetRules() []rule {
	return []rule{
		{kind: tree, path: "spec.target", message: "exactly one of the fields in [configMap secret]", field: "spec.target",
			accepts: []string{planted("configMap: {}"), planted("secret: {}")}, refuses: []string{planted(""), planted("configMap: {}, secret: {}")}},
		{kind: tree, path: "spec.target.configMap.name", message: "name is a DNS name", field: "spec.target.configMap.name",
			accepts: []string{planted("configMap: {name: a-b.c0}")}, refuses: []string{planted("configMap: {name: A}"), planted("configMap: {name: a/b}")}},
		{kind: tree, path: "spec.target.configMap.name", message: "the ConfigMap kube-root-ca.crt", field: "spec.target.configMap.name",
			accepts: []string{planted("configMap: {name: kube-root-ca.crt.shop}"), planted("secret: {name: kube-root-ca.crt}")},
			refuses: []string{planted("configMap: {name: kube-root-ca.crt}"), planted("configMap: {name: kube-root-ca.crt, creationPolicy: Merge}")}},
		{kind: tree, path: "", message: "the ConfigMap kube-root-ca.crt", field: "spec.target.configMap", called: "kube-root-ca.crt",
			accepts: []string{planted("configMap: {}"), planted("configMap: {name: shop}")}, refuses: []string{planted("configMap: {}"), planted("configMap: {creationPolicy: Adopt}")}},
		{kind: tree, path: "spec.target.secret.name", message: "name is a DNS name", field: "spec.target.secret.name",
			accepts: []string{planted("secret: {name: a-b.c0}")}, refuses: []string{planted("secret: {name: A}"), planted("secret: {name: ../a}")}},
		{kind: tree, path: "spec.target.secret", message: "labels and annotations of a target that is merged into", field: "spec.target.secret.metadata",
			accepts: []string{planted("secret: {metadata: {labels: {a: b}}}"), planted("secret: {creationPolicy: Adopt, metadata: {labels: {a: b}}}")},
			refuses: []string{planted("secret: {creationPolicy: Merge, metadata: {labels: {a: b}}}")}},
		{kind: tree, path: "spec.target.secret", message: "an immutable core Secret is made anew for each content", field: "spec.target.secret.immutable",
			accepts: []string{planted("secret: {immutable: true}"), planted("secret: {immutable: true, creationPolicy: Owner}"), planted("secret: {creationPolicy: Merge}")},
			refuses: []string{planted("secret: {immutable: true, creationPolicy: Merge}"), planted("secret: {immutable: true, creationPolicy: Adopt}")}},
		{kind: tree, path: "spec.target.secret.metadata.labels", message: "a label's key is a name", field: "spec.target.secret.metadata.labels",
			accepts: []string{planted("secret: {metadata: {labels: {example.com/a: b}}}")}, refuses: []string{planted("secret: {metadata: {labels: {'a b': c}}}")}},
		{kind: tree, path: "spec.target.secret.metadata.labels", message: "labels of kubernetes.io", field: "spec.target.secret.metadata.labels",
			accepts: []string{planted("secret: {metadata: {labels: {app.kubernetes.io/name: b}}}")}, refuses: []string{planted("secret: {metadata: {labels: {strongroom.dev/managed: b}}}")}},
		{kind: tree, path: "spec.target.secret.metadata.annotations", message: "an annotation's key is a name", field: "spec.target.secret.metadata.annotations",
			accepts: []string{planted("secret: {metadata: {annotations: {example.com/a: b}}}")}, refuses: []string{planted("secret: {metadata: {annotations: {'a b': c}}}")}},
		{kind: tree, path: "spec.target.secret.metadata.annotations", message: "annotations of kubernetes.io", field: "spec.target.secret.metadata.annotations",
			accepts: []string{planted("secret: {metadata: {annotations: {a: b}}}")}, refuses: []string{planted("secret: {metadata: {annotations: {kubernetes.io/service-account.name: b}}}")}},
		{kind: tree, path: "spec.target.restart[]", message: "exactly one of the fields in [name selector]", field: "spec.target.restart[0]",
			accepts: []string{planted("configMap: {}, restart: [{kind: Deployment, name: a}]")},
			refuses: []string{planted("configMap: {}, restart: [{kind: Deployment, name: a, selector: {matchLabels: {a: b}}}]")}},
		{kind: tree, path: "spec.target.restart[].name", message: "name is a DNS name", field: "spec.target.restart[0].name",
			accepts: []string{planted("configMap: {}, restart: [{kind: Deployment, name: a}]")}, refuses: []string{planted("configMap: {}, restart: [{kind: Deployment, name: Web}]")}},
		{kind: tree, path: "spec.target.restart[].selector", message: "an empty selector would restart", field: "spec.target.restart[0].selector",
			accepts: []string{planted("configMap: {}, restart: [{kind: Deployment, selector: {matchLabels: {a: b}}}]")},
			refuses: []string{planted("configMap: {}, restart: [{kind: Deployment, selector: {}}]")}},
	}
}
