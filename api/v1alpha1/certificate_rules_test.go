package v1alpha1_test

import (
	"strconv"
	"strings"
)

const (
	certificate = "Certificate"
	authority   = "CertificateAuthority"
	aSerial     = "0a0b0c0d0e0f10111213141516171819"
)

// leafSpec is a certificate of an authority, with more; rootSpec a root authority.
func leafSpec(more string) string {
	return "{domainName: shop.example.com, authorityRef: {name: internal}" + more + "}"
}

func rootSpec(more string) string { return "{type: Root, subject: {commonName: Shop}" + more + "}" }

func subjectSpec(more string) string { return "{type: Root, subject: {commonName: Shop" + more + "}}" }

func subtrees(of, names string) string {
	return rootSpec(", nameConstraints: {" + of + ": {" + names + "}}")
}

// among makes a spec of each value among others of a kind of names.
func among(of, names string, values ...string) (out []string) {
	for _, v := range values {
		out = append(out, subtrees(of, names+": [other.example, "+strconv.Quote(v)+"]"))
	}
	return out
}

// each makes a spec of each value.
func each(spec func(string) string, field string, values ...string) (out []string) {
	for _, v := range values {
		out = append(out, spec(", "+field+": "+v))
	}
	return out
}

// certificateRules are the rules of Certificate and CertificateAuthority.
func certificateRules() []rule {
	dnsName := "name is a DNS name"
	times, noTimes := []string{"90d", "1h", "99999d"}, []string{"3w", "0d", "01d", "1.5d", "-1d", `"1d\n"`}
	out := []rule{
		{kind: authority, path: "", message: "an authority does not issue its own certificate", field: "spec.authorityRef",
			accepts: []string{"{type: Subordinate, authorityRef: {name: other}, subject: {commonName: x}}"},
			refuses: []string{"{type: Subordinate, authorityRef: {name: rule}, subject: {commonName: x}}"}},
		{kind: authority, path: "", message: "pathLength and nameConstraints cannot be changed", field: "spec", changes: true,
			accepts: []string{rootSpec(""), rootSpec("")},
			refuses: []string{rootSpec(""), rootSpec(", pathLength: 1"), rootSpec(", pathLength: 1"), rootSpec(""),
				rootSpec(""), subtrees("permitted", "dnsDomains: [a]"), subtrees("permitted", "dnsDomains: [a]"), rootSpec("")}},
		{kind: authority, path: "spec", message: "type cannot be changed", field: "spec.type", changes: true,
			accepts: []string{rootSpec(""), rootSpec(", validity: 9d")},
			refuses: []string{rootSpec(""), "{type: Subordinate, authorityRef: {name: x}, subject: {commonName: Shop}}"}},
		{kind: authority, path: "spec", message: "subject cannot be changed", field: "spec.subject", changes: true,
			accepts: []string{rootSpec(""), rootSpec("")}, refuses: []string{rootSpec(""), "{type: Root, subject: {commonName: other}}"}},
		{kind: authority, path: "spec", message: "keyAlgorithm cannot be changed", field: "spec.keyAlgorithm", changes: true,
			accepts: []string{rootSpec(""), rootSpec(", keyAlgorithm: RSA_2048")}, refuses: []string{rootSpec(""), rootSpec(", keyAlgorithm: EC_prime256v1")}},
		{kind: authority, path: "spec", message: "kmsKeyRef cannot be changed", field: "spec.kmsKeyRef", changes: true,
			accepts: []string{rootSpec(", kmsKeyRef: {name: a}"), rootSpec(", kmsKeyRef: {name: a}")},
			refuses: []string{rootSpec(""), rootSpec(", kmsKeyRef: {name: a}"), rootSpec(", kmsKeyRef: {name: a}"), rootSpec(", kmsKeyRef: {name: b}")}},
		{kind: authority, path: "spec", message: "authorityRef names the issuer of a Subordinate authority", field: "spec.authorityRef",
			accepts: []string{rootSpec(""), "{type: Subordinate, authorityRef: {name: x}, subject: {commonName: x}}"},
			refuses: []string{rootSpec(", authorityRef: {name: x}"), "{type: Subordinate, subject: {commonName: x}}"}},
		{kind: authority, path: "spec", message: "renewBefore is shorter than validity", field: "spec.renewBefore",
			accepts: []string{rootSpec(", renewBefore: 3649d"), rootSpec(", validity: 10d, renewBefore: 239h")},
			refuses: []string{rootSpec(", renewBefore: 3650d"), rootSpec(", validity: 10d, renewBefore: 240h")}},
		{kind: authority, path: "spec.pathLength", message: "pathLength cannot be changed", field: "spec.pathLength", changes: true,
			accepts: []string{rootSpec(", pathLength: 1"), rootSpec(", pathLength: 1")}, refuses: []string{rootSpec(", pathLength: 1"), rootSpec(", pathLength: 2")}},
		{kind: authority, path: "spec.nameConstraints", message: "nameConstraints cannot be changed", field: "spec.nameConstraints", changes: true,
			accepts: []string{subtrees("permitted", "dnsDomains: [a]"), subtrees("permitted", "dnsDomains: [a]")},
			refuses: []string{subtrees("permitted", "dnsDomains: [a]"), subtrees("permitted", "dnsDomains: [b]")}},
		{kind: authority, path: "spec.subject.country", message: "country is two capital letters", field: "spec.subject.country",
			accepts: []string{subjectSpec(", country: DE")}, refuses: []string{subjectSpec(", country: de"), subjectSpec(", country: D1")}},
		{kind: authority, path: "spec.revoked[].serial", message: "^[0-9a-f]+$", field: "spec.revoked[0].serial",
			accepts: []string{rootSpec(", revoked: [{serial: " + aSerial + "}]")}, refuses: []string{rootSpec(", revoked: [{serial: " + strings.ToUpper(aSerial) + "}]")}},
		{kind: authority, path: "spec.target.name", message: dnsName, field: "spec.target.name",
			accepts: []string{rootSpec(", target: {name: a.b-c}")}, refuses: []string{rootSpec(", target: {name: A}"), rootSpec(", target: {name: a..b}")}},
		{kind: authority, path: "spec.target.name", message: "the ConfigMap kube-root-ca.crt", field: "spec.target.name",
			accepts: []string{rootSpec(", target: {name: kube-root-ca.crt.shop}")}, refuses: []string{rootSpec(", target: {name: kube-root-ca.crt}")}},

		{kind: certificate, path: "", message: "the target is the core Secret that is imported from", field: "spec.target.name",
			accepts: []string{"{importFrom: {secretRef: {name: theirs}}, target: {name: ours}}", "{importFrom: {secretRef: {name: rule}}}"},
			refuses: []string{"{importFrom: {secretRef: {name: x}}, target: {name: x}}", "{importFrom: {secretRef: {name: rule}}, target: {}}"}},
		{kind: certificate, path: "spec", message: "domainName is what the authority of authorityRef issues for", field: "spec.domainName",
			accepts: []string{leafSpec(""), "{}"}, refuses: []string{"{domainName: a.example.com}", "{authorityRef: {name: x}}"}},
		{kind: certificate, path: "spec", message: "subjectAlternativeNames, keyAlgorithm, validity and renewBefore are of a certificate", field: "spec.authorityRef",
			accepts: []string{leafSpec(", validity: 90d, subjectAlternativeNames: [a], keyAlgorithm: RSA_2048, renewBefore: 1d")},
			refuses: []string{"{validity: 90d}", "{importFrom: {secretRef: {name: x}}, keyAlgorithm: RSA_2048}", "{subjectAlternativeNames: [a]}", "{renewBefore: 1d}"}},
		{kind: certificate, path: "spec", message: "renewBefore is shorter than validity", field: "spec.renewBefore",
			accepts: []string{leafSpec(", renewBefore: 394d"), leafSpec(", validity: 2h, renewBefore: 1h")},
			refuses: []string{leafSpec(", renewBefore: 395d"), leafSpec(", validity: 90d, renewBefore: 90d"), leafSpec(", validity: 24h, renewBefore: 1d")}},
		{kind: certificate, path: "spec", message: "at most one of the fields in [authorityRef importFrom] may be set", field: "spec",
			accepts: []string{leafSpec("")}, refuses: []string{leafSpec(", importFrom: {secretRef: {name: x}}")}},
		{kind: certificate, path: "spec.target.creationPolicy", message: "a key and its certificate are not merged", field: "spec.target.creationPolicy",
			accepts: []string{leafSpec(", target: {creationPolicy: Adopt}")}, refuses: []string{leafSpec(", target: {creationPolicy: Merge}")}},
		{kind: certificate, path: "spec.target.name", message: dnsName, field: "spec.target.name",
			accepts: []string{leafSpec(", target: {name: a.b-c}")}, refuses: []string{leafSpec(", target: {name: A}"), leafSpec(", target: {name: a..b}")}},
		{kind: certificate, path: "spec.importFrom.secretRef.name", message: dnsName, field: "spec.importFrom.secretRef.name",
			accepts: []string{"{importFrom: {secretRef: {name: a.b-c}}}"}, refuses: []string{"{importFrom: {secretRef: {name: A}}}"}},
		{kind: certificate, path: "spec.target.restart[]", message: "exactly one of the fields in [name selector] must be set", field: "spec.target.restart[0]",
			accepts: []string{leafSpec(", target: {restart: [{kind: Deployment, name: a}]}")}, refuses: []string{leafSpec(", target: {restart: [{kind: Deployment}]}")}},
		{kind: certificate, path: "spec.target.restart[].name", message: dnsName, field: "spec.target.restart[0].name",
			accepts: []string{leafSpec(", target: {restart: [{kind: Deployment, name: a}]}")}, refuses: []string{leafSpec(", target: {restart: [{kind: Deployment, name: A}]}")}},
		{kind: certificate, path: "spec.target.restart[].selector", message: "an empty selector would restart every workload", field: "spec.target.restart[0].selector",
			accepts: []string{leafSpec(", target: {restart: [{kind: Deployment, selector: {matchLabels: {a: b}}}]}")},
			refuses: []string{leafSpec(", target: {restart: [{kind: Deployment, selector: {}}]}")}},
	}
	for _, of := range []string{"permitted", "excluded"} {
		path := "spec.nameConstraints." + of
		out = append(out,
			rule{kind: authority, path: path + ".dnsDomains", message: "a domain is a DNS name in lower case", field: path + ".dnsDomains",
				accepts: []string{subtrees(of, "dnsDomains: [example.com, .example.org]")},
				refuses: []string{subtrees(of, "dnsDomains: ['*.example.com']"), subtrees(of, "dnsDomains: [Example.com]"), subtrees(of, "dnsDomains: [a..b]")}},
			rule{kind: authority, path: path + ".ipRanges", message: "a range is written in CIDR notation", field: path + ".ipRanges",
				accepts: []string{subtrees(of, "ipRanges: [10.0.0.0/8, '2001:db8::/32']")},
				refuses: []string{subtrees(of, "ipRanges: [10.0.0.1/8]"), subtrees(of, "ipRanges: [10.0.0.0]"), subtrees(of, "ipRanges: [example.com]")}},
			rule{kind: authority, path: path + ".emailAddresses", message: "an email constraint is a mailbox", field: path + ".emailAddresses",
				accepts: among(of, "emailAddresses", "example.com", ".example.com", "ops@example.com", "a.b+c/d=E'f`{g}~@a-b.example.com", "x", "1.example"),
				refuses: among(of, "emailAddresses", "*.example.com", "*@example.com.", "@example.com", "a@", "a@b@c", "Example.com", "ops@.example.com", ".a@example.com", "a..b@example.com",
					"a b@example.com", "münchen.de", "10.0.0.1", "a@10.0.0.1", "<a@example.com>", "mailto:a@example.com", "example.com.", "..example.com", "-a.example", "a@b\n")},
			rule{kind: authority, path: path + ".uriDomains", message: "a URI constraint is a host", field: path + ".uriDomains",
				accepts: among(of, "uriDomains", "example.com", ".example.com", "prod", "a-1.b2.example"),
				refuses: among(of, "uriDomains", "https://example.com", "example.com:443", "example.com/a", "10.0.0.1", "[::1]", "*.example.com", "Example.com", "user@example.com", "example.com.", ".", "a..b")})
	}
	for kind, spec := range map[string]func(string) string{authority: rootSpec, certificate: leafSpec} {
		out = append(out,
			rule{kind: kind, path: "spec", message: "region cannot be changed", field: "spec.region", changes: true,
				accepts: []string{spec(", region: eu-west-1"), spec(", region: eu-west-1")},
				refuses: []string{spec(""), spec(", region: eu-west-1"), spec(", region: eu-west-1"), spec(", region: eu-west-2")}},
			rule{kind: kind, path: "spec.region", message: aRegion, field: "spec.region",
				accepts: each(spec, "region", "us-gov-west-1"), refuses: each(spec, "region", "US-EAST-1", "us-east", "useast1")},
			rule{kind: kind, path: "spec.validity", message: "a time is a whole number of days or hours", field: "spec.validity",
				accepts: each(spec, "validity", times...), refuses: each(spec, "validity", noTimes...)},
			rule{kind: kind, path: "spec.renewBefore", message: "a time is a whole number of days or hours", field: "spec.renewBefore",
				accepts: each(spec, "renewBefore", "1d", "1h"), refuses: each(spec, "renewBefore", "3w", "0d")},
			rule{kind: kind, path: "spec.kmsKeyRef.name", message: dnsName, field: "spec.kmsKeyRef.name",
				accepts: each(spec, "kmsKeyRef", "{name: a.b-c}"), refuses: each(spec, "kmsKeyRef", "{name: A}")},
			rule{kind: kind, path: "spec.tags[].key", message: "tag keys that begin with aws: are AWS's own", field: "spec.tags[0].key",
				accepts: each(spec, "tags", "[{key: a}]"), refuses: each(spec, "tags", "[{key: 'aws:a'}]", "[{key: 'AWS:a'}]")})
	}
	for kind, specs := range map[string][2]string{
		authority:   {"{type: Subordinate, authorityRef: {name: a.b}, subject: {commonName: x}}", "{type: Subordinate, authorityRef: {name: A}, subject: {commonName: x}}"},
		certificate: {"{domainName: a, authorityRef: {name: a.b}}", "{domainName: a, authorityRef: {name: A}}"},
	} {
		out = append(out, rule{kind: kind, path: "spec.authorityRef.name", message: dnsName, field: "spec.authorityRef.name", accepts: specs[:1], refuses: specs[1:]})
	}
	return out
}
