package v1alpha1_test

import "strings"

// grantOf is the spec of a KMSGrant with more fields, or with one in the place of its own.
func grantOf(more string) string {
	spec := "{kmsKeyRef: {name: k}, granteePrincipal: 'arn:aws:iam::111122223333:role/app', operations: [Decrypt]"
	for _, field := range []string{"kmsKeyRef: {name: k}, ", "granteePrincipal: 'arn:aws:iam::111122223333:role/app', "} {
		if name, _, _ := strings.Cut(field, ":"); strings.HasPrefix(more, name+":") {
			spec = strings.Replace(spec, field, "", 1)
		}
	}
	return spec + ", " + more + "}"
}

// grantRules are the cases of KMSGrants.
func grantRules() []rule {
	const kind = "KMSGrant"
	principal := func(field string) rule {
		say := func(values ...string) (out []string) {
			for _, value := range values {
				out = append(out, grantOf(field+": '"+value+"'"))
			}
			return out
		}
		return rule{
			kind: kind, path: "spec." + field, message: field + " is the ARN of a user", field: "spec." + field,
			accepts: say("arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:user/team/ada", "arn:aws:sts::111122223333:assumed-role/app/pod",
				"arn:aws:sts::111122223333:federated-user/bob"),
			refuses: say("arn:aws:iam::111122223333:group/developers", "arn:aws:iam::111122223333:user/a*", "arn:aws:iam::11112222333:user/adamant",
				"arn:aws:sts::111122223333:assumed-role/app", "arn:aws-cn:iam::111122223333:user/ada", "arn:aws:iam::111122223333:rooted"),
		}
	}
	constraint := func(name string) rule {
		say := func(pairs string) string { return grantOf("constraints: {" + name + ": " + pairs + "}") }
		return rule{
			kind: kind, path: "spec.constraints." + name, message: "a constraint has at most 384 characters", field: "spec.constraints." + name,
			accepts: []string{say("{a: " + strings.Repeat("x", 383) + "}"), say("{a: b, c: d}")},
			refuses: []string{say("{a: " + strings.Repeat("x", 384) + "}"), say("{a: " + strings.Repeat("x", 200) + ", b: " + strings.Repeat("x", 200) + "}")},
		}
	}
	return []rule{
		principal("granteePrincipal"), principal("retiringPrincipal"), constraint("encryptionContextEquals"), constraint("encryptionContextSubset"),
		{
			kind: kind, path: "spec.constraints", message: "constraints have encryptionContextEquals", field: "spec.constraints",
			accepts: []string{grantOf("constraints: {encryptionContextEquals: {a: b}}"), grantOf("constraints: {encryptionContextSubset: {a: b}}")},
			refuses: []string{grantOf("constraints: {}")},
		},
		{
			kind: kind, path: "spec.kmsKeyRef.name", message: "name is a DNS name", field: "spec.kmsKeyRef.name",
			accepts: []string{grantOf("kmsKeyRef: {name: a.b-c}")}, refuses: []string{grantOf("kmsKeyRef: {name: A}"), grantOf("kmsKeyRef: {name: a/b}")},
		},
		{
			kind: kind, path: "spec.name", message: "name has letters, digits", field: "spec.name",
			accepts: []string{grantOf("name: 'a:B/c_d-9'")}, refuses: []string{grantOf("name: 'a b'"), grantOf("name: a.b")},
		},
		{
			kind: kind, path: "spec.issuingAccount", message: "an account id is 12 digits", field: "spec.issuingAccount",
			accepts: []string{grantOf("issuingAccount: '111122223333'")}, refuses: []string{grantOf("issuingAccount: 11112222333a")},
		},
		{
			kind: kind, path: "spec", message: "a grant cannot be changed", field: "spec", changes: true,
			accepts: []string{grantOf("name: a"), grantOf("name: a")},
			refuses: []string{grantOf("name: a"), grantOf("name: b"), grantOf("name: a"), grantOf("keyId: a"), grantOf("name: a"), grantOf("granteePrincipal: '" + aRoot + "'")},
		},
	}
}
