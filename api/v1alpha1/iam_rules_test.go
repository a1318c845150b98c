package v1alpha1_test

import (
	"fmt"
	"slices"
	"strings"
)

// iamRules are the cases of IAM's kinds.
func iamRules() []rule {
	policyAnd := func(fields string) string { return "{document: {}" + fields + "}" }
	plain := func(fields string) string { return "{" + strings.TrimPrefix(fields, ", ") + "}" }
	return slices.Concat(
		identityRules("IAMPolicy", policyAnd, 129, "metadata.name is over the 128"),
		nameRules("IAMGroup", plain, 129, "metadata.name is over the 128"), policyRules("IAMGroup"),
		identityRules("IAMRole", plain, 65, "metadata.name is over the 64"), permissionRules("IAMRole"),
		identityRules("IAMUser", plain, 65, "metadata.name is over the 64"), permissionRules("IAMUser"),
		[]rule{
			{kind: key, path: "spec.tags[].key", message: "tag keys that begin with aws:", field: "spec.tags[0].key",
				accepts: []string{"{tags: [{key: aws}]}"}, refuses: []string{"{tags: [{key: 'aws:a'}]}", "{tags: [{key: 'AWS:a'}]}"}},
			{kind: hsm, path: "spec.tags[].key", message: "tag keys that begin with aws:", field: "spec.tags[0].key",
				accepts: []string{softHSM(", tags: [{key: aws}]")}, refuses: []string{softHSM(", tags: [{key: 'aws:a'}]")}},
			{kind: secret, path: "spec.tags[].key", message: "tag keys that begin with aws:", field: "spec.tags[0].key",
				accepts: []string{with("uuid: {}", ", tags: [{key: aws}]")}, refuses: []string{with("uuid: {}", ", tags: [{key: 'aws:a'}]")}},
			{kind: "IAMRole", path: "spec.serviceAccounts[]", message: "a service account is NAME", field: "spec.serviceAccounts",
				accepts: []string{"{serviceAccounts: [shop, other/shop, a.b, n-s/a.b]}"},
				refuses: []string{"{serviceAccounts: [Shop]}", "{serviceAccounts: [a/b/c]}", "{serviceAccounts: [a.b/c]}", "{serviceAccounts: [/a]}", "{serviceAccounts: ['*']}"}},
			{kind: "IAMUser", path: "spec.accessKeys[].name", message: "name is a DNS label", field: "spec.accessKeys[0].name",
				accepts: []string{"{accessKeys: [{name: a-1}]}"}, refuses: []string{"{accessKeys: [{name: A}]}", "{accessKeys: [{name: a.b}]}", "{accessKeys: [{name: -a}]}"}},
			{kind: "IAMUser", path: "spec.accessKeys[].secretName", message: "secretName is a DNS name", field: "spec.accessKeys[0].secretName",
				accepts: []string{"{accessKeys: [{name: a, secretName: a.b-c}]}"}, refuses: []string{"{accessKeys: [{name: a, secretName: A}]}", "{accessKeys: [{name: a, secretName: a/b}]}"}},
			{kind: "IAMUser", path: "spec.accessKeys", message: "two access keys have one secretName", field: "spec.accessKeys",
				accepts: []string{"{accessKeys: [{name: a, secretName: s}, {name: b, secretName: t}]}", "{accessKeys: [{name: a}, {name: b}]}"},
				refuses: []string{"{accessKeys: [{name: a, secretName: s}, {name: b, secretName: s}]}"}},
			{kind: "IAMUser", path: "spec.groups", message: "a group is metadata.name of an IAMGroup", field: "spec.groups",
				accepts: []string{"{groups: [developers, a.b-c]}"}, refuses: []string{"{groups: [Developers]}", "{groups: [a/b]}", "{groups: ['-a']}"}},
			{kind: "IAMGroup", path: "spec", message: "a group has at most 10 managed policies", field: "spec.managedPolicyArns",
				accepts: []string{managedPolicies(10)}, refuses: []string{managedPolicies(11)}},
			{kind: "IAMUser", path: "", message: "metadata.name is over 189", called: strings.Repeat("x", 190),
				accepts: []string{"{}"}, refuses: []string{"{name: short}"}},
		})
}

// managedPolicies is a spec with so many.
func managedPolicies(n int) string {
	arns := make([]string, n)
	for i := range arns {
		arns[i] = fmt.Sprintf("'arn:aws:iam::aws:policy/P%d'", i)
	}
	return "{managedPolicyArns: [" + strings.Join(arns, ", ") + "]}"
}

// identityRules are those of name and path, which cannot be changed. spec makes a spec with more fields.
func identityRules(kind string, spec func(string) string, tooLong int, message string) []rule {
	return append(nameRules(kind, spec, tooLong, message), []rule{
		{kind: kind, path: "spec", message: "name cannot be changed", field: "spec.name", changes: true,
			accepts: []string{spec(", name: aws"), spec(", name: aws"), spec(""), spec("")},
			refuses: []string{spec(", name: aws"), spec(", name: awx"), spec(", name: aws"), spec(""), spec(""), spec(", name: aws")}},
		{kind: kind, path: "spec", message: "path cannot be changed", field: "spec.path", changes: true,
			accepts: []string{spec(", path: /a/"), spec(", path: /a/")},
			refuses: []string{spec(", path: /a/"), spec(", path: /b/"), spec(", path: /a/"), spec(""), spec(""), spec(", path: /a/")}},
	}...)
}

// nameRules are those of name and path alone.
func nameRules(kind string, spec func(string) string, tooLong int, message string) []rule {
	return []rule{
		{kind: kind, path: "", message: message, field: "spec.name", called: strings.Repeat("x", tooLong),
			accepts: []string{spec(""), spec(", name: aws")}, refuses: []string{spec("")}},
		{kind: kind, path: "spec.name", message: `^[\w+=,.@-]+$`, field: "spec.name",
			accepts: []string{spec(`, name: "aZ_0+=,.@-"`)}, refuses: []string{spec(", name: a/b"), spec(", name: 'a b'"), spec(", name: 'a:b'")}},
		{kind: kind, path: "spec.path", message: `^/([!-.0-~]+/)*$`, field: "spec.path",
			accepts: []string{spec(", path: /"), spec(", path: /a/b/")}, refuses: []string{spec(", path: a/"), spec(", path: /a"), spec(", path: //"), spec(", path: '/a b/'")}},
	}
}

const managed = "a managed policy is arn:aws:iam::ACCOUNT:policy/NAME"

// policyRules are those of what roles, users and groups have in common.
func policyRules(kind string) []rule {
	return []rule{
		{kind: kind, path: "spec.policies[].name", message: `^[\w+=,.@-]+$`, field: "spec.policies[0].name",
			accepts: []string{"{policies: [{name: 'a@b', document: {}}]}"}, refuses: []string{"{policies: [{name: 'a b', document: {}}]}"}},
		{kind: kind, path: "spec.managedPolicyArns", message: managed, field: "spec.managedPolicyArns",
			accepts: []string{"{managedPolicyArns: ['arn:aws:iam::123456789012:policy/a/b', 'arn:aws:iam::aws:policy/X']}"},
			refuses: []string{"{managedPolicyArns: ['arn:aws:iam::1234:policy/abcdef']}", "{managedPolicyArns: ['arn:aws:iam::123456789012:role/a']}"}},
	}
}

// permissionRules are those of what roles and users have in common.
func permissionRules(kind string) []rule {
	return append(policyRules(kind), []rule{
		{kind: kind, path: "spec.permissionsBoundary", message: managed, field: "spec.permissionsBoundary",
			accepts: []string{"{permissionsBoundary: 'arn:aws:iam::aws:policy/X'}"},
			refuses: []string{"{permissionsBoundary: 'arn:aws:iam::aws:role/Xabc'}", "{permissionsBoundary: 'arn:aws:iam::1234:policy/abcdef'}"}},
		{kind: kind, path: "spec.tags", message: "two tags have one key", field: "spec.tags",
			accepts: []string{"{tags: [{key: a}, {key: b}]}"}, refuses: []string{"{tags: [{key: a}, {key: A}]}"}},
		{kind: kind, path: "spec.tags[].key", message: "tag keys that begin with aws:", field: "spec.tags[0].key",
			accepts: []string{"{tags: [{key: aws}, {key: 'a:b'}]}"}, refuses: []string{"{tags: [{key: 'aws:a'}]}", "{tags: [{key: 'AWS:a'}]}"}},
	}...)
}
