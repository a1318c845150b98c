package v1alpha1_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/util/yaml"
)

const (
	certificate = "Certificate"
	authority   = "CertificateAuthority"
)

// leafSpec is a certificate of an authority, with more.
func leafSpec(more string) string {
	return "{domainName: shop.example.com, authorityRef: {name: internal}" + more + "}"
}

// rootSpec is a root authority, with more.
func rootSpec(more string) string {
	return "{type: Root, subject: {commonName: Shop internal CA}" + more + "}"
}

var _ = DescribeTable("Accepted of certificates", func(kind, spec string) { Expect(create(kind, "accepted", spec)).To(Succeed()) },
	Entry("the sample's root", authority, rootSpec(", keyAlgorithm: EC_prime256v1, kmsKeyRef: {name: shop-ca}, validity: 3650d")),
	Entry("the least root", authority, rootSpec("")),
	Entry("a subordinate", authority, "{type: Subordinate, authorityRef: {name: root}, subject: {commonName: x, country: DE}, pathLength: 0}"),
	Entry("constraints", authority, rootSpec(", nameConstraints: {permitted: {dnsDomains: [example.com, .example.org], ipRanges: [10.0.0.0/8, '2001:db8::/32']}}")),
	Entry("a revocation", authority, rootSpec(", revoked: [{serial: 0a0b0c0d0e0f10111213141516171819}]")),
	Entry("the sample's certificate", certificate, leafSpec(", subjectAlternativeNames: [www.shop.example.com], keyAlgorithm: EC_prime256v1, validity: 90d, renewBefore: 30d, target: {name: shop-tls}")),
	Entry("the least certificate", certificate, leafSpec("")),
	Entry("one that the API imports", certificate, "{}"),
	Entry("an import", certificate, "{importFrom: {secretRef: {name: theirs}}, target: {name: ours}}"),
	Entry("a time in hours", certificate, leafSpec(", validity: 2h, renewBefore: 1h")),
	Entry("a renewal within the default validity", certificate, leafSpec(", renewBefore: 394d")),
)

var _ = DescribeTable("Refused of certificates", func(kind, spec, field string, says ...string) {
	err := create(kind, "refused", spec)
	Expect(err).To(HaveOccurred())
	Expect(err.Error()).To(ContainSubstring(field))
	for _, text := range says {
		Expect(err.Error()).To(ContainSubstring(text))
	}
},
	Entry("a root with an issuer", authority, rootSpec(", authorityRef: {name: x}"), "spec.authorityRef", "Root is its own"),
	Entry("a subordinate without one", authority, "{type: Subordinate, subject: {commonName: x}}", "spec.authorityRef", "names the issuer"),
	Entry("a subordinate of itself", authority, "{type: Subordinate, authorityRef: {name: refused}, subject: {commonName: x}}", "spec.authorityRef", "does not issue its own"),
	Entry("no subject", authority, "{type: Root}", "spec.subject", "Required"),
	Entry("no common name", authority, "{type: Root, subject: {organization: x}}", "spec.subject.commonName", "Required"),
	Entry("another type", authority, "{type: Leaf, subject: {commonName: x}}", "spec.type", "Subordinate"),
	Entry("a weak key", authority, rootSpec(", keyAlgorithm: RSA_1024"), "spec.keyAlgorithm", "RSA_2048"),
	Entry("a country in small letters", authority, rootSpec("")[:len(rootSpec(""))-2]+", country: de}}", "spec.subject.country", "capital"),
	Entry("constraints of nothing", authority, rootSpec(", nameConstraints: {}"), "spec.nameConstraints", "at least 1"),
	Entry("a range with a host", authority, rootSpec(", nameConstraints: {permitted: {ipRanges: [10.0.0.1/8]}}"), "ipRanges", "CIDR"),
	Entry("a domain that is none", authority, rootSpec(", nameConstraints: {permitted: {dnsDomains: ['*.example.com']}}"), "dnsDomains", "DNS name"),
	Entry("a serial number in capitals", authority, rootSpec(", revoked: [{serial: 0A0B0C0D0E0F10111213141516171819}]"), "spec.revoked[0].serial"),
	Entry("a reason that AWS has not", authority, rootSpec(", revoked: [{serial: "+strings.Repeat("a", 32)+", reason: CERTIFICATE_HOLD}]"), "spec.revoked[0].reason"),
	Entry("a renewal before its begin", authority, rootSpec(", validity: 10d, renewBefore: 240h"), "spec.renewBefore", "shorter than validity"),
	Entry("a path length below 0", authority, rootSpec(", pathLength: -1"), "spec.pathLength"),
	Entry("a certificate of nobody", certificate, "{domainName: a.example.com}", "spec.domainName", "set both, or neither"),
	Entry("a certificate for nothing", certificate, "{authorityRef: {name: x}}", "spec.domainName", "set both, or neither"),
	Entry("issued and imported", certificate, leafSpec(", importFrom: {secretRef: {name: x}}"), "spec", "at most one"),
	Entry("an import with a validity", certificate, "{importFrom: {secretRef: {name: x}}, validity: 90d}", "spec.authorityRef", "set authorityRef"),
	Entry("an import of its own target", certificate, "{importFrom: {secretRef: {name: x}}, target: {name: x}}", "spec.target.name", "imported from"),
	Entry("an import of its own target by default", certificate, "{importFrom: {secretRef: {name: refused}}, target: {}}", "spec.target.name", "imported from"),
	Entry("a merge", certificate, leafSpec(", target: {creationPolicy: Merge}"), "spec.target.creationPolicy", "not merged"),
	Entry("a time in weeks", certificate, leafSpec(", validity: 3w"), "spec.validity", "days or hours"),
	Entry("no time", certificate, leafSpec(", validity: 0d"), "spec.validity", "days or hours"),
	Entry("a renewal that is all of the validity", certificate, leafSpec(", validity: 90d, renewBefore: 90d"), "spec.renewBefore", "shorter than validity"),
	Entry("a renewal beyond the default validity", certificate, leafSpec(", renewBefore: 395d"), "spec.renewBefore", "395d"),
	Entry("ACME, which is not there yet", certificate, "{acme: {}}", "spec.acme"),
)

var _ = DescribeTable("What cannot be changed of certificates", func(kind, before, after, field string) {
	o := object(kind, "unchanging-"+strings.ToLower(kind), before)
	Expect(strict.Create(ctx, o)).To(Succeed())
	DeferCleanup(func() { Expect(cp.Client.Delete(ctx, o)).To(Succeed()) })
	spec := map[string]any{}
	Expect(yaml.Unmarshal([]byte(after), &spec)).To(Succeed())
	o.Object["spec"] = spec
	Expect(strict.Update(ctx, o)).To(MatchError(And(ContainSubstring(field), ContainSubstring("cannot be changed"))))
},
	Entry("the type", authority, rootSpec(""), "{type: Subordinate, authorityRef: {name: x}, subject: {commonName: Shop internal CA}}", "spec.type"),
	Entry("the subject", authority, rootSpec(""), "{type: Root, subject: {commonName: other}}", "spec.subject"),
	Entry("the key", authority, rootSpec(""), rootSpec(", kmsKeyRef: {name: x}"), "spec.kmsKeyRef"),
	Entry("the key algorithm", authority, rootSpec(""), rootSpec(", keyAlgorithm: EC_prime256v1"), "spec.keyAlgorithm"),
	Entry("the path length", authority, rootSpec(", pathLength: 1"), rootSpec(", pathLength: 2"), "spec.pathLength"),
	Entry("constraints that were not there", authority, rootSpec(""), rootSpec(", nameConstraints: {permitted: {dnsDomains: [a]}}"), "nameConstraints"),
	Entry("the region of an authority", authority, rootSpec(""), rootSpec(", region: eu-west-1"), "spec.region"),
	Entry("the region of a certificate", certificate, leafSpec(""), leafSpec(", region: eu-west-1"), "spec.region"),
)
