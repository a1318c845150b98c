package v1alpha1_test

import "strings"

// sourced is a target of sources, and whatever else.
func sourced(sources string) string {
	return target("template: {data: {a: b}}, sources: [" + sources + "]")
}

// targetRules are those of what targets are made of.
func targetRules() []rule {
	return []rule{
		{
			kind: secret, path: "spec.target", message: "an immutable core Secret is made anew for each content", field: "spec.target.immutable",
			accepts: []string{target("immutable: true"), target("immutable: true, creationPolicy: Owner"), target("immutable: false, creationPolicy: Merge")},
			refuses: []string{target("immutable: true, creationPolicy: Merge"), target("immutable: true, creationPolicy: Adopt")},
		},
		{
			kind: secret, path: "spec.target", message: "sources are seen by a template alone", field: "spec.target.sources",
			accepts: []string{sourced("{alias: a, secretRef: {name: b}}")}, refuses: []string{target("sources: [{alias: a, secretRef: {name: b}}]")},
		},
		{
			kind: secret, path: "", message: "a template sees the secret's own values as .current", field: "spec.target.sources",
			accepts: []string{sourced("{alias: a, secretRef: {name: b}}"), sourced("{alias: a, parameterRef: {name: rule}}"), target("template: {data: {a: b}}")},
			refuses: []string{sourced("{alias: a, secretRef: {name: rule}}"), sourced("{alias: a, secretRef: {name: b}}, {alias: b, secretRef: {name: rule}}")},
		},
		{
			kind: secret, path: "spec.target.sources[]", message: "exactly one of the fields in [secretRef parameterRef]", field: "spec.target.sources[0]",
			accepts: []string{sourced("{alias: a, secretRef: {name: b}}, {alias: b, parameterRef: {name: b}}")},
			refuses: []string{sourced("{alias: a}"), sourced("{alias: a, secretRef: {name: b}, parameterRef: {name: b}}")},
		},
		{
			kind: secret, path: "spec.target.sources[].alias", message: "^[a-zA-Z_][a-zA-Z0-9_]*$", field: "spec.target.sources[0].alias",
			accepts: []string{sourced("{alias: _aZ9, secretRef: {name: b}}"), sourced("{alias: " + strings.Repeat("a", 63) + ", secretRef: {name: b}}")},
			refuses: []string{sourced("{alias: a-b, secretRef: {name: b}}"), sourced("{alias: 9a, secretRef: {name: b}}"), sourced("{alias: a.b, secretRef: {name: b}}"), sourced("{alias: ä, secretRef: {name: b}}")},
		},
		{
			kind: secret, path: "spec.target.sources[].secretRef.name", message: "name is a DNS name", field: "spec.target.sources[0].secretRef.name",
			accepts: []string{sourced("{alias: a, secretRef: {name: a-b.c0}}")}, refuses: []string{sourced("{alias: a, secretRef: {name: a/b}}"), sourced("{alias: a, secretRef: {name: ../b}}")},
		},
		{
			kind: secret, path: "spec.target.sources[].parameterRef.name", message: "name is a DNS name", field: "spec.target.sources[0].parameterRef.name",
			accepts: []string{sourced("{alias: a, parameterRef: {name: a-b.c0}}")}, refuses: []string{sourced("{alias: a, parameterRef: {name: /prod/b}}"), sourced("{alias: a, parameterRef: {name: B}}")},
		},
	}
}
