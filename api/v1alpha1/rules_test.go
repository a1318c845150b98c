package v1alpha1_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// rule is a rule of CEL, or a pattern, with specs that it lets through and specs that it refuses. A rule about a change has
// pairs of specs instead, before and after.
type rule struct {
	kind, path string
	// message of the rule as the schema has it, from its beginning; a pattern itself.
	message string
	accepts []string
	refuses []string
	// field that the refusal names.
	field string
	// called is the metadata.name of what is refused; a short one if it is empty.
	called string
	// changes makes accepts and refuses lists of pairs.
	changes bool
	// unreachable says why nothing can be refused by it as yet.
	unreachable string
}

const (
	nothingLeft = "excludeLowercase: true, excludeUppercase: true, excludeNumbers: true, excludePunctuation: true"
	envelope    = "{class: SecretVersion, owner: {kind: Secret, name: a}, subject: arn, version: v, sequence: 1, " +
		"createdTime: '2026-11-24T12:00:00Z', keyArn: k, ciphertext: QUJD}"
)

func jsonPassword(options string) string {
	return with("json: {template: '{}', key: k, password: {"+options+"}}", "")
}

func following(source, policy, target string) string {
	return "{valueFrom: {secretKeyRef: {name: " + source + ", key: k}, policy: " + policy + "}, target: " + target + "}"
}

func templates(data string) string { return target("template: {data: " + data + "}") }

// signing is the spec of an asymmetric key.
// inCluster is a key of an HSMCluster.
func inCluster(more string) string {
	return "{" + more + "origin: AWS_CLOUDHSM, customKeyStoreRef: {name: vault-floor}}"
}

func signing(keySpec, more string) string {
	return "{keySpec: " + keySpec + ", keyUsage: SIGN_VERIFY" + more + "}"
}

// aModule is a PKCS#11 module.
const aModule = "{library: /opt/vendor/lib.so, tokenLabel: t, pinSecretRef: {name: p, key: k}}"

func inStore(store string) string { return "{origin: AWS_CLOUDHSM, customKeyStoreRef: " + store + "}" }

func softHSM(rest string) string { return "{size: 1, softHSM: {}" + rest + "}" }

func module(library, label string) string {
	return "{size: 1, pkcs11: {library: " + library + ", tokenLabel: " + label + ", pinSecretRef: {name: p, key: k}}}"
}

const aRegion = "a region is written as AWS does"

var (
	regions   = []string{"{region: us-gov-west-1}", "{region: ap-southeast-12}"}
	noRegions = []string{"{region: US-EAST-1}", "{region: us-east}", "{region: useast1}", `{region: "us-east-1\n"}`, "{region: '-us-east-1'}"}
)

var rules = append(slices.Concat(iamRules(), certificateRules(), parameterRules(), treeRules(), databaseRules(), targetRules(), grantRules(), multiRegionRules()), []rule{
	{kind: key, path: "spec", message: "origin AWS_CLOUDHSM and customKeyStoreRef go together", field: "spec.customKeyStoreRef",
		accepts: []string{"{}", "{origin: AWS_KMS}", inStore("{name: a}")}, refuses: []string{"{origin: AWS_CLOUDHSM}", "{customKeyStoreRef: {name: a}}"}},
	{kind: key, path: "spec", message: "origin cannot be changed", field: "spec.origin", changes: true,
		accepts: []string{"{}", "{origin: AWS_KMS}", inStore("{name: a}"), "{origin: AWS_CLOUDHSM, customKeyStoreRef: {name: a}, description: d}"},
		refuses: []string{"{}", inStore("{name: a}"), inStore("{name: a}"), "{}"}},
	{kind: key, path: "spec", message: "customKeyStoreRef cannot be changed", field: "spec.customKeyStoreRef", changes: true,
		accepts: []string{inStore("{name: a, namespace: b}"), "{origin: AWS_CLOUDHSM, customKeyStoreRef: {name: a, namespace: b}, enabled: false}"},
		refuses: []string{inStore("{name: a}"), inStore("{name: b}"), inStore("{name: a}"), inStore("{name: a, namespace: default}"), inStore("{name: a, namespace: b}"), inStore("{name: a}")}},
	{kind: key, path: "spec", message: "key material in a custom key store is not rotated", field: "spec.rotation",
		accepts: []string{"{origin: AWS_CLOUDHSM, customKeyStoreRef: {name: a}, rotation: {enabled: false}}"}, refuses: []string{"{origin: AWS_CLOUDHSM, customKeyStoreRef: {name: a}, rotation: {enabled: true}}"}},
	{kind: key, path: "spec", message: "imported key material is not rotated automatically", field: "spec.rotation",
		accepts: []string{"{origin: EXTERNAL, rotation: {enabled: false}}"}, refuses: []string{"{origin: EXTERNAL, rotation: {enabled: true}}"}},
	{kind: key, path: "spec", message: "material is imported into keys of origin EXTERNAL alone", field: "spec.importedMaterial",
		accepts: []string{"{origin: EXTERNAL}", "{origin: EXTERNAL, importedMaterial: {importToken: eHg=, encryptedKeyMaterial: eHg=}}"},
		refuses: []string{"{importedMaterial: {importToken: eHg=, encryptedKeyMaterial: eHg=}}", inStore("{name: a}, importedMaterial: {importToken: eHg=, encryptedKeyMaterial: eHg=}")}},
	{kind: key, path: "spec.importedMaterial.importToken", message: "^[A-Za-z0-9+/]*={0,2}$", field: "spec.importedMaterial.importToken",
		accepts: []string{"{origin: EXTERNAL, importedMaterial: {importToken: a+/b, encryptedKeyMaterial: eHg=}}"},
		refuses: []string{"{origin: EXTERNAL, importedMaterial: {importToken: a-_b, encryptedKeyMaterial: eHg=}}"}},
	{kind: key, path: "spec.importedMaterial.encryptedKeyMaterial", message: "^[A-Za-z0-9+/]*={0,2}$", field: "spec.importedMaterial.encryptedKeyMaterial",
		accepts: []string{"{origin: EXTERNAL, importedMaterial: {importToken: eHg=, encryptedKeyMaterial: a+/b}}"},
		refuses: []string{"{origin: EXTERNAL, importedMaterial: {importToken: eHg=, encryptedKeyMaterial: 'a b'}}"}},
	{kind: key, path: "spec.importedMaterial.description", message: "^[a-zA-Z0-9:/_\\s.-]*$", field: "spec.importedMaterial.description",
		accepts: []string{"{origin: EXTERNAL, importedMaterial: {importToken: eHg=, encryptedKeyMaterial: eHg=, description: 'of 2026: a/b_c.d-e'}}"},
		refuses: []string{"{origin: EXTERNAL, importedMaterial: {importToken: eHg=, encryptedKeyMaterial: eHg=, description: 'ä'}}"}},
	{kind: key, path: "spec.customKeyStoreRef.name", message: "name is a DNS name", field: "spec.customKeyStoreRef.name",
		accepts: []string{inStore("{name: a.b-c}")}, refuses: []string{inStore("{name: A}"), inStore("{name: -a}"), inStore("{name: a_b}")}},
	{kind: key, path: "spec.customKeyStoreRef.namespace", message: "namespace is a DNS label", field: "spec.customKeyStoreRef.namespace",
		accepts: []string{inStore("{name: a, namespace: a-b}")}, refuses: []string{inStore("{name: a, namespace: A}"), inStore("{name: a, namespace: a.b}")}},
	{kind: "Keyring", path: "spec.rotation", message: "periodInDays has no effect", field: "spec.rotation.periodInDays",
		accepts: []string{"{rotation: {enabled: true, periodInDays: 1}}", "{rotation: {enabled: false}}", "{}"}, refuses: []string{"{rotation: {enabled: false, periodInDays: 30}}"}},
	{kind: hsm, path: "spec", message: "give exactly one of softHSM and pkcs11", field: "spec",
		accepts: []string{softHSM(""), "{size: 1, pkcs11: " + aModule + "}"}, refuses: []string{"{size: 1}", softHSM(", pkcs11: " + aModule)}},
	{kind: hsm, path: "spec", message: "softHSM and pkcs11 cannot take each other's place", field: "spec", changes: true,
		accepts: []string{softHSM(""), "{size: 2, softHSM: {}}"}, refuses: []string{softHSM(""), "{size: 1, pkcs11: " + aModule + "}"}},
	{kind: hsm, path: "spec", message: "mode cannot be changed", field: "spec.mode", changes: true,
		accepts: []string{softHSM(""), softHSM(", mode: FIPS"), softHSM(", mode: NON_FIPS"), "{size: 3, softHSM: {}, mode: NON_FIPS}"},
		refuses: []string{softHSM(""), softHSM(", mode: NON_FIPS"), softHSM(", mode: NON_FIPS"), softHSM("")}},
	{kind: hsm, path: "spec.pkcs11.library", message: "library is an absolute path", field: "spec.pkcs11.library",
		accepts: []string{module("/a", "t"), module("/opt/a-b_c.d+e/lib.so", "t")}, refuses: []string{module("a/b", "t"), module("/opt/../etc/x.so", "t"), module("'/a b'", "t")}},
	{kind: hsm, path: "spec.pkcs11.tokenLabel", message: "tokenLabel is of letters", field: "spec.pkcs11.tokenLabel",
		accepts: []string{module("/a", "A.b-c_1")}, refuses: []string{module("/a", "'a b'"), module("/a", "ä")}},
	{kind: hsm, path: "spec.pkcs11.tokenLabel", message: "tokenLabel cannot be changed", field: "spec.pkcs11.tokenLabel", changes: true,
		accepts: []string{module("/a", "t"), module("/b", "t")}, refuses: []string{module("/a", "t"), module("/a", "u")}},
	{kind: hsm, path: "spec.pkcs11.pinSecretRef.name", message: "name is a DNS name", field: "spec.pkcs11.pinSecretRef.name",
		accepts: []string{module("/a", "t")}, refuses: []string{"{size: 1, pkcs11: {library: /a, tokenLabel: t, pinSecretRef: {name: A, key: k}}}"}},
	{kind: hsm, path: "spec.pkcs11.pinSecretRef.key", message: "^[-._a-zA-Z0-9]+$", field: "spec.pkcs11.pinSecretRef.key",
		accepts: []string{module("/a", "t")}, refuses: []string{"{size: 1, pkcs11: {library: /a, tokenLabel: t, pinSecretRef: {name: a, key: 'a b'}}}"}},
	{kind: key, path: "", message: "alias/aws/SERVICE is reserved", field: "spec.aliases",
		accepts: []string{"{}", "{aliases: [alias/aws, alias/awsx/a, alias/a/aws/b]}"},
		refuses: []string{"{aliases: [alias/aws/secretsmanager]}", "{aliases: [alias/a, alias/aws/rule]}", "{aliases: [alias/aws/]}"}},
	{kind: key, path: "spec", message: "keySpec cannot be changed", changes: true, field: "spec.keySpec",
		accepts: []string{"{}", "{keySpec: SYMMETRIC_DEFAULT}", "{keySpec: SYMMETRIC_DEFAULT}", "{}", signing("RSA_2048", ""), signing("RSA_2048", ", description: d")},
		refuses: []string{signing("RSA_2048", ""), signing("RSA_3072", ""), signing("ECC_NIST_P256", ""), "{}", "{}", signing("ECC_NIST_P384", "")}},
	{kind: key, path: "spec", message: "keyUsage cannot be changed", changes: true, field: "spec.keyUsage",
		accepts: []string{"{}", "{keyUsage: ENCRYPT_DECRYPT}", "{keyUsage: ENCRYPT_DECRYPT}", "{}"},
		refuses: []string{signing("RSA_2048", ""), "{}", "{}", signing("ECC_NIST_P256", ""), signing("RSA_2048", ""), "{keySpec: RSA_2048, keyUsage: ENCRYPT_DECRYPT}"}},
	{kind: key, path: "spec", message: "an RSA key encrypts or signs", field: "spec.keyUsage",
		accepts: []string{"{}", "{keySpec: SYMMETRIC_DEFAULT}", signing("RSA_2048", ""), "{keySpec: RSA_4096, keyUsage: ENCRYPT_DECRYPT}", signing("ECC_NIST_P521", "")},
		refuses: []string{"{keySpec: RSA_2048}", "{keySpec: RSA_3072, keyUsage: KEY_AGREEMENT}", "{keySpec: RSA_4096, keyUsage: GENERATE_VERIFY_MAC}", "{keySpec: RSA_2048, keyUsage: ENCAPSULATE_DECAPSULATE}"}},
	{kind: key, path: "spec", message: "a key on a curve signs or agrees", field: "spec.keyUsage",
		accepts: []string{"{}", signing("ECC_NIST_P384", ""), "{keySpec: ECC_NIST_P256, keyUsage: KEY_AGREEMENT}"},
		refuses: []string{"{keySpec: ECC_NIST_P521}", "{keySpec: ECC_NIST_P256, keyUsage: ENCRYPT_DECRYPT}", "{keySpec: ECC_NIST_P256, keyUsage: GENERATE_VERIFY_MAC}", "{keySpec: ECC_NIST_P256, keyUsage: ENCAPSULATE_DECAPSULATE}"}},
	{kind: key, path: "spec", message: "a key of Ed25519, secp256k1 or ML-DSA signs", field: "spec.keyUsage",
		accepts: []string{"{}", signing("ECC_NIST_EDWARDS25519", ""), signing("ECC_SECG_P256K1", ""), signing("ML_DSA_44", ""), "{keySpec: ECC_NIST_P256, keyUsage: KEY_AGREEMENT}"},
		refuses: []string{"{keySpec: ECC_NIST_EDWARDS25519}", "{keySpec: ECC_SECG_P256K1, keyUsage: KEY_AGREEMENT}", "{keySpec: ML_DSA_65, keyUsage: ENCRYPT_DECRYPT}",
			"{keySpec: ML_DSA_87, keyUsage: GENERATE_VERIFY_MAC}", "{keySpec: ECC_NIST_EDWARDS25519, keyUsage: KEY_AGREEMENT}",
			"{keySpec: ML_DSA_44, keyUsage: ENCAPSULATE_DECAPSULATE}"}},
	{kind: key, path: "spec", message: "the modules of an HSMCluster have no such keys", field: "spec.keySpec",
		accepts: []string{inCluster(""), inCluster("keySpec: ECC_NIST_P521, keyUsage: SIGN_VERIFY, "), inCluster("keySpec: RSA_2048, keyUsage: SIGN_VERIFY, "), signing("ML_DSA_44", "")},
		refuses: []string{inCluster("keySpec: ECC_NIST_EDWARDS25519, keyUsage: SIGN_VERIFY, "), inCluster("keySpec: ECC_SECG_P256K1, keyUsage: SIGN_VERIFY, "),
			inCluster("keySpec: ML_DSA_65, keyUsage: SIGN_VERIFY, "), inCluster("keySpec: ML_KEM_768, keyUsage: ENCAPSULATE_DECAPSULATE, ")}},
	{kind: key, path: "spec", message: "a key of ML-KEM encapsulates", field: "spec.keyUsage",
		accepts: []string{"{}", "{keySpec: ML_KEM_768, keyUsage: ENCAPSULATE_DECAPSULATE}", "{keySpec: ML_KEM_1024, keyUsage: ENCAPSULATE_DECAPSULATE}", signing("ML_DSA_44", "")},
		refuses: []string{"{keySpec: ML_KEM_768}", signing("ML_KEM_1024", ""), "{keySpec: ML_KEM_768, keyUsage: ENCRYPT_DECRYPT}", "{keySpec: ML_KEM_1024, keyUsage: KEY_AGREEMENT}"}},
	{kind: key, path: "spec", message: "an HMAC key makes message authentication codes", field: "spec.keyUsage",
		accepts: []string{"{}", "{keySpec: HMAC_224, keyUsage: GENERATE_VERIFY_MAC}", "{keySpec: HMAC_512, keyUsage: GENERATE_VERIFY_MAC}"},
		refuses: []string{"{keySpec: HMAC_256}", "{keySpec: HMAC_384, keyUsage: ENCRYPT_DECRYPT}", "{keySpec: HMAC_384, keyUsage: ENCAPSULATE_DECAPSULATE}", signing("HMAC_256", "")}},
	{kind: key, path: "spec", message: "keys in an HSMCluster are SYMMETRIC_DEFAULT, or sign", field: "spec.keyUsage",
		accepts: []string{inCluster(""), inCluster("keySpec: SYMMETRIC_DEFAULT, "), inCluster("keySpec: RSA_2048, keyUsage: SIGN_VERIFY, ")},
		refuses: []string{inCluster("keySpec: RSA_2048, keyUsage: ENCRYPT_DECRYPT, "), inCluster("keySpec: ECC_NIST_P256, keyUsage: KEY_AGREEMENT, "),
			inCluster("keySpec: HMAC_256, keyUsage: GENERATE_VERIFY_MAC, ")}},
	{kind: key, path: "spec", message: "a symmetric key encrypts", field: "spec.keyUsage",
		accepts: []string{"{keyUsage: ENCRYPT_DECRYPT}", "{keySpec: SYMMETRIC_DEFAULT, keyUsage: ENCRYPT_DECRYPT}", signing("RSA_4096", "")},
		refuses: []string{"{keyUsage: SIGN_VERIFY}", "{keySpec: SYMMETRIC_DEFAULT, keyUsage: SIGN_VERIFY}"}},
	{kind: key, path: "spec", message: "the material of SYMMETRIC_DEFAULT keys alone is rotated", field: "spec.rotation",
		accepts: []string{"{keySpec: SYMMETRIC_DEFAULT, rotation: {enabled: true}}", "{rotation: {enabled: true}}", signing("RSA_2048", ", rotation: {enabled: false}")},
		refuses: []string{signing("RSA_2048", ", rotation: {enabled: true}"), "{keySpec: HMAC_256, keyUsage: GENERATE_VERIFY_MAC, rotation: {enabled: true}}", signing("ECC_NIST_P256", ", rotation: {enabled: true, periodInDays: 90}")}},
	{kind: key, path: "spec", message: "an authority's key signs", field: "spec.certificateAuthorityRef",
		accepts: []string{signing("RSA_2048", ", certificateAuthorityRef: {name: internal}"), signing("ECC_NIST_P256", "")},
		refuses: []string{"{certificateAuthorityRef: {name: internal}}", "{keySpec: RSA_2048, keyUsage: ENCRYPT_DECRYPT, certificateAuthorityRef: {name: internal}}"}},
	{kind: key, path: "spec.certificateAuthorityRef.name", message: "name is a DNS name", field: "spec.certificateAuthorityRef.name",
		accepts: []string{signing("RSA_2048", ", certificateAuthorityRef: {name: internal.v2}")}, refuses: []string{signing("RSA_2048", ", certificateAuthorityRef: {name: Internal}")}},
	{kind: key, path: "", message: "region cannot be changed", field: "spec.region", changes: true,
		accepts: []string{"{region: eu-west-1}", "{region: eu-west-1, description: d}", "{}", "{description: d}"},
		refuses: []string{"{region: eu-west-1}", "{region: eu-west-2}", "{region: eu-west-1}", "{}", "{}", "{region: eu-west-1}"}},
	{kind: key, path: "spec.region", message: aRegion, field: "spec.region", accepts: regions, refuses: noRegions},
	{kind: secret, path: "spec.region", message: aRegion, field: "spec.region", accepts: regions, refuses: noRegions},
	{kind: secret, path: "spec", message: "region cannot be changed", field: "spec.region", changes: true,
		accepts: []string{"{region: eu-west-1}", "{region: eu-west-1, description: d}", "{}", "{description: d}"},
		refuses: []string{"{region: eu-west-1}", "{region: eu-west-2}", "{region: eu-west-1}", "{}", "{}", "{region: eu-west-1}"}},
	{kind: secret, path: "spec.replicaRegions[].region", message: aRegion, field: "spec.replicaRegions[0].region",
		accepts: []string{"{replicaRegions: [{region: eu-west-1}]}"}, refuses: []string{"{replicaRegions: [{region: Frankfurt}]}"}},
	{kind: secret, path: "spec.replicaRegions[].kmsKeyRef.name", message: "name is a DNS name", field: "spec.replicaRegions[0].kmsKeyRef.name",
		accepts: []string{"{replicaRegions: [{region: eu-west-1, kmsKeyRef: {name: a-b}}]}"}, refuses: []string{"{replicaRegions: [{region: eu-west-1, kmsKeyRef: {name: a/b}}]}"}},
	{kind: secret, path: "spec.replicaOf.region", message: aRegion, field: "spec.replicaOf.region",
		accepts: []string{"{region: eu-west-1, replicaOf: {name: a, region: us-east-1}}"}, refuses: []string{"{region: eu-west-1, replicaOf: {name: a, region: Frankfurt}}"}},
	{kind: secret, path: "spec.replicaOf.name", message: "name is a DNS name", field: "spec.replicaOf.name",
		accepts: []string{"{replicaOf: {name: a-b.c, region: us-east-1}}"}, refuses: []string{"{replicaOf: {name: a/b, region: us-east-1}}"}},
	{kind: secret, path: "spec", message: "a secret does not become a replica later", field: "spec.replicaOf", changes: true,
		accepts: []string{"{replicaOf: {name: a, region: us-west-1}}", "{replicaOf: {name: a, region: us-west-1}, description: d}", "{replicaOf: {name: a, region: us-west-1}}", "{}"},
		refuses: []string{"{}", "{replicaOf: {name: a, region: us-west-1}}", "{replicaOf: {name: a, region: us-west-1}}", "{replicaOf: {name: b, region: us-west-1}}"}},
	{kind: secret, path: "spec", message: "a replica is rotated and replicated at its primary", field: "spec.replicaOf",
		accepts: []string{"{replicaOf: {name: a, region: us-west-1}}", "{replicaOf: {name: a, region: us-west-1}, target: {}}"},
		refuses: []string{"{replicaOf: {name: a, region: us-west-1}, rotation: {postgres: {}}}", "{replicaOf: {name: a, region: us-west-1}, replicaRegions: [{region: eu-west-1}]}"}},
	{kind: secret, path: "spec", message: "a replica is in another region than its primary", field: "spec.replicaOf.region",
		accepts: []string{"{region: eu-west-1, replicaOf: {name: a, region: us-west-1}}"}, refuses: []string{"{region: eu-west-1, replicaOf: {name: a, region: eu-west-1}}"}},
	{kind: secret, path: "spec", message: "a secret is replicated to other regions than its own", field: "spec.replicaRegions",
		accepts: []string{"{region: eu-west-1, replicaRegions: [{region: us-west-1}]}", "{replicaRegions: [{region: us-west-1}]}"},
		refuses: []string{"{region: eu-west-1, replicaRegions: [{region: us-west-1}, {region: eu-west-1}]}"}},
	{kind: key, path: "spec.aliases", message: "an alias is alias/ and then", field: "spec.aliases",
		accepts: []string{"{aliases: []}", "{aliases: [alias/aZ0/_-]}"},
		refuses: []string{"{aliases: [Alias/abc]}", "{aliases: ['alias/a.b']}", "{aliases: ['alias/ä']}", `{aliases: ["alias/a\nb"]}`, "{aliases: [alias/a, xalias/b]}"}},
	{kind: key, path: "spec.rotation", message: "periodInDays has no effect while enabled is false", field: "spec.rotation.periodInDays",
		accepts: []string{"{rotation: {enabled: false}}", "{rotation: {enabled: true}}"}, refuses: []string{"{rotation: {enabled: false, periodInDays: 365}}"}},

	{kind: secret, path: "spec", message: "name cannot be changed", changes: true, field: "spec.name",
		accepts: []string{with("uuid: {}", ", name: a"), with("bytes: {}", ", name: a"), with("uuid: {}", ""), with("uuid: {}", ", description: x")},
		refuses: []string{with("uuid: {}", ", name: a"), with("uuid: {}", ", name: A"), with("uuid: {}", ", name: a"), with("uuid: {}", ""), with("uuid: {}", ""), with("uuid: {}", ", name: a")}},
	{kind: secret, path: "spec", message: "only a value that Strongroom makes can be rotated", field: "spec.rotation",
		accepts: []string{rotation("schedule: rate(1 days)"), "{valueFrom: {secretKeyRef: {name: a, key: b}}}", "{rotation: {postgres: {}}}", "{rotation: {mysql: {}}}", "{rotation: {redis: {}}}", "{rotation: {mongodb: {}}}", "{rotation: {sqlserver: {}}}", "{rotation: {function: {serviceRef: {name: a}}}}", "{rotation: {job: {cronJobRef: {name: a}}}}"},
		refuses: []string{
			"{valueFrom: {secretKeyRef: {name: a, key: b}}, rotation: {schedule: rate(1 days)}}", "{rotation: {schedule: rate(1 days)}}",
			"{valueFrom: {secretKeyRef: {name: a, key: b}}, rotation: {postgres: {}}}", "{valueFrom: {secretKeyRef: {name: a, key: b}}, rotation: {function: {serviceRef: {name: a}}}}",
			"{valueFrom: {secretKeyRef: {name: a, key: b}}, rotation: {job: {cronJobRef: {name: a}}}}",
		}},
	{kind: secret, path: "spec", message: "a database's credential is a JSON object", field: "spec.generate",
		accepts: []string{with("json: {template: '{}', key: k}", ", rotation: {postgres: {}}")},
		refuses: []string{rotation("postgres: {}"), rotation("mysql: {}"), rotation("redis: {}"), rotation("mongodb: {}"), rotation("sqlserver: {}")}},
	{kind: secret, path: "spec", message: "a rotation function makes the values itself", field: "spec.generate",
		accepts: []string{"{rotation: {function: {serviceRef: {name: a}}}}"},
		refuses: []string{with("json: {template: '{}', key: k}", ", rotation: {function: {serviceRef: {name: a}}}"), rotation("schedule: rate(1 days), function: {serviceRef: {name: a}}")}},
	{kind: secret, path: "spec", message: "a rotation job makes the values itself", field: "spec.generate",
		accepts: []string{"{rotation: {job: {cronJobRef: {name: a}}}}"},
		refuses: []string{with("json: {template: '{}', key: k}", ", rotation: {job: {cronJobRef: {name: a}}}"), rotation("schedule: rate(1 days), job: {cronJobRef: {name: a}}")}},
	{kind: secret, path: "spec.rotation.job.cronJobRef.name", message: "name is a DNS name", field: "spec.rotation.job.cronJobRef.name",
		accepts: []string{"{rotation: {job: {cronJobRef: {name: a-b.c0}}}}"}, refuses: []string{"{rotation: {job: {cronJobRef: {name: a/b}}}}", "{rotation: {job: {cronJobRef: {name: A}}}}"}},
	{kind: secret, path: "spec.rotation.function.serviceRef.name", message: "name is a Service's", field: "spec.rotation.function.serviceRef.name",
		accepts: []string{"{rotation: {function: {serviceRef: {name: a-0}}}}"},
		refuses: []string{"{rotation: {function: {serviceRef: {name: 0a}}}}", "{rotation: {function: {serviceRef: {name: a.b}}}}", "{rotation: {function: {serviceRef: {name: A}}}}",
			"{rotation: {function: {serviceRef: {name: a-}}}}"}},
	{kind: secret, path: "spec.rotation.function.tls.caSecretRef.key", message: "^[-._a-zA-Z0-9]+$", field: "spec.rotation.function.tls.caSecretRef.key",
		accepts: []string{"{rotation: {function: {serviceRef: {name: a}, tls: {caSecretRef: {name: a, key: ca_1.crt}}}}}"},
		refuses: []string{"{rotation: {function: {serviceRef: {name: a}, tls: {caSecretRef: {name: a, key: a/b}}}}}"}},
	{kind: secret, path: "spec.rotation.function.tls.caSecretRef.name", message: "name is a DNS name", field: "spec.rotation.function.tls.caSecretRef.name",
		accepts: []string{"{rotation: {function: {serviceRef: {name: a}, tls: {caSecretRef: {name: a-b.c0, key: k}}}}}"},
		refuses: []string{"{rotation: {function: {serviceRef: {name: a}, tls: {caSecretRef: {name: a/b, key: k}}}}}"}},
	{kind: secret, path: "spec.rotation", message: "a window needs the times at which it opens", field: "spec.rotation.duration",
		accepts: []string{"{rotation: {postgres: {}, schedule: rate(1 days), duration: 2h}}"},
		refuses: []string{"{rotation: {postgres: {}, duration: 2h}}"}},
	{kind: secret, path: "spec.rotation", message: "schedule is when the value rotates", field: "spec.rotation.schedule",
		accepts: []string{rotation("schedule: rate(1 days)"), "{rotation: {postgres: {}}}", "{rotation: {mysql: {}}}", "{rotation: {redis: {}}}", "{rotation: {mongodb: {}}}", "{rotation: {sqlserver: {}}}", "{rotation: {function: {serviceRef: {name: a}}}}", "{rotation: {job: {cronJobRef: {name: a}}}}"},
		refuses: []string{rotation(""), "{generate: {uuid: {}}, rotation: {enabled: false}}"}},
	{kind: secret, path: "spec.rotation", message: "a strategy is for the users of a database", field: "spec.rotation.strategy",
		accepts: []string{"{rotation: {strategy: SingleUser, postgres: {}}}", "{rotation: {strategy: SingleUser, mysql: {}}}", "{rotation: {strategy: SingleUser, redis: {}}}", "{rotation: {strategy: SingleUser, mongodb: {}}}", "{rotation: {strategy: SingleUser, sqlserver: {}}}"},
		refuses: []string{rotation("schedule: rate(1 days), strategy: SingleUser")}},
	{kind: secret, path: "spec", message: "at most one of the fields in [generate valueFrom sealed replicaOf]", field: "spec",
		accepts: []string{"{}", with("uuid: {}", ""), "{valueFrom: {secretKeyRef: {name: a, key: b}}}"},
		refuses: []string{
			"{generate: {uuid: {}}, valueFrom: {secretKeyRef: {name: a, key: b}}}", "{generate: {uuid: {}}, sealed: srs1.AAAA}",
			"{valueFrom: {secretKeyRef: {name: a, key: b}}, sealed: srs1.AAAA}",
		}},
	{kind: secret, path: "spec.sealed", message: "^srs1[.][-_a-zA-Z0-9]+$", field: "spec.sealed",
		accepts: []string{"{sealed: srs1.AZaz09-_}"}, refuses: []string{"{sealed: srs1.}", "{sealed: hunter2}", "{sealed: srs1.A=}", `{sealed: "srs1.A\n"}`}},
	{kind: secret, path: "spec.generate", message: "exactly one of the fields in [password json bytes uuid]", field: "spec.generate",
		accepts: []string{with("password: {}", ""), with("bytes: {}", ""), with("uuid: {}", ""), with("json: {template: '{}', key: k}", "")},
		refuses: []string{with("", ""), with("password: {}, uuid: {}", ""), with("json: {template: '{}', key: k}, bytes: {}", "")}},
	{kind: secret, path: "spec.generate.password", message: "every type of character is excluded", field: "spec.generate.password.excludePunctuation",
		accepts: []string{password(nothingLeft + ", includeSpace: true"), password(strings.Replace(nothingLeft, "Numbers: true", "Numbers: false", 1))},
		refuses: []string{password(nothingLeft), password(nothingLeft + ", includeSpace: false")}},
	{kind: secret, path: "spec.generate.json.password", message: "every type of character is excluded", field: "spec.generate.json.password.excludePunctuation",
		accepts: []string{jsonPassword(nothingLeft + ", includeSpace: true")}, refuses: []string{jsonPassword(nothingLeft)}},
	{kind: secret, path: "spec.generate.password", message: "a password that holds each type", field: "spec.generate.password.length",
		accepts: []string{password("length: 4"), password("length: 3, excludePunctuation: true"), password("length: 1, requireEachIncludedType: false"),
			password("length: 1, excludeLowercase: true, excludeUppercase: true, excludeNumbers: true"), password("length: 5, includeSpace: true")},
		refuses: []string{password("length: 3"), password("length: 2, excludeNumbers: true, requireEachIncludedType: true"), password("length: 4, includeSpace: true")}},
	{kind: secret, path: "spec.generate.json.password", message: "a password that holds each type", field: "spec.generate.json.password.length",
		accepts: []string{jsonPassword("length: 4"), jsonPassword("")}, refuses: []string{jsonPassword("length: 3")}},
	{kind: secret, path: "spec.generate.json.template", message: "template is a JSON object", field: "spec.generate.json.template",
		accepts: []string{with("json: {template: '{}', key: k}", ""), with(`json: {template: " \n{\"a\":1}\t", key: k}`, "")},
		refuses: []string{with("json: {template: '[]', key: k}", ""), with("json: {template: '{', key: k}", ""), with("json: {template: 'x{}', key: k}", ""), with("json: {template: '{}x', key: k}", "")}},
	{kind: secret, path: "spec.name", message: "^[a-zA-Z0-9/_+=.@-]+$", field: "spec.name",
		accepts: []string{with("uuid: {}", ", name: 'aZ09/_+=.@-'")},
		refuses: []string{with("uuid: {}", ", name: 'a b'"), with("uuid: {}", ", name: 'a:b'"), with("uuid: {}", ", name: 'ä'"), with("uuid: {}", `, name: "a\n"`)}},
	{kind: secret, path: "spec.rotation.schedule", message: "schedule is rate(N hours)", field: "spec.rotation.schedule",
		accepts: []string{rotation("schedule: rate(1 day)"), rotation("schedule: rate(999 days)"), rotation("schedule: 'cron(0 8 1 * ? *)'"), rotation("schedule: 'cron(0 */4 ? JAN-MAR MON#2 *)'")},
		refuses: []string{rotation("schedule: rate(01 days)"), rotation("schedule: rate(1  day)"), rotation("schedule: rate(-1 days)"), rotation("schedule: rate(1 weeks)"),
			rotation("schedule: 'cron()'"), rotation("schedule: 'cron(a) '"), rotation("schedule: '0 8 1 * ? *'"), rotation("schedule: RATE(1 days)"),
			rotation("schedule: 'cron(5 8 1 * ? *)'"), rotation("schedule: 'cron(0 8 1 * ?)'"), rotation("schedule: 'cron(0 8 1 * ? 2030)'"), rotation("schedule: rate(1000 days)")}},
	{kind: secret, path: "spec.rotation.schedule", message: "a rate is from 4 hours to 999 days", field: "spec.rotation.schedule",
		accepts: []string{rotation("schedule: rate(4 hours)"), rotation("schedule: rate(23976 hours)")},
		refuses: []string{rotation("schedule: rate(3 hours)"), rotation("schedule: rate(1 hour)"), rotation("schedule: rate(23977 hours)")}},
	{kind: secret, path: "spec.rotation", message: "the window reaches the next one", field: "spec.rotation.duration",
		accepts: []string{rotation("schedule: rate(4 hours), duration: 4h"), rotation("schedule: rate(24 hours), duration: 24h"), rotation("schedule: rate(4 days), duration: 24h")},
		refuses: []string{rotation("schedule: rate(4 hours), duration: 5h"), rotation("schedule: rate(23 hours), duration: 24h")}},
	{kind: secret, path: "", message: "the target is the core Secret that is followed", field: "spec.target.name",
		accepts: []string{following("rule", "Once", "{}"), following("rule", "Follow", "{name: b}"), following("a", "Follow", "{}"), "{valueFrom: {secretKeyRef: {name: rule, key: b}}, target: {}}"},
		refuses: []string{following("rule", "Follow", "{}"), following("a", "Follow", "{name: a}")}},
	{kind: secret, path: "spec.kmsKeyRef.name", message: "name is a DNS name", field: "spec.kmsKeyRef.name",
		accepts: []string{with("uuid: {}", ", kmsKeyRef: {name: a-b.c0}")}, refuses: []string{with("uuid: {}", ", kmsKeyRef: {name: alias/a}"), with("uuid: {}", ", kmsKeyRef: {name: A}")}},
	{kind: secret, path: "spec.valueFrom.secretKeyRef.name", message: "name is a DNS name", field: "spec.valueFrom.secretKeyRef.name",
		accepts: []string{following("a-b.c0", "Follow", "{}")}, refuses: []string{following("a/b", "Follow", "{}"), following("a-", "Once", "{}")}},
	{kind: secret, path: "spec.target.restart[].name", message: "name is a DNS name", field: "spec.target.restart[0].name",
		accepts: []string{target("restart: [{kind: Deployment, name: a-b.c0}]")}, refuses: []string{target("restart: [{kind: Deployment, name: Web}]")}},
	{kind: secret, path: "spec.target.restart[].selector", message: "an empty selector would restart", field: "spec.target.restart[0].selector",
		accepts: []string{target("restart: [{kind: Deployment, selector: {matchLabels: {a: b}}}]"), target("restart: [{kind: Deployment, selector: {matchExpressions: [{key: a, operator: Exists}]}}]")},
		refuses: []string{target("restart: [{kind: Deployment, selector: {}}]"), target("restart: [{kind: Deployment, selector: {matchLabels: {}, matchExpressions: []}}]")}},
	{kind: secret, path: "spec.rotation.duration", message: "duration is a whole number of hours", field: "spec.rotation.duration",
		accepts: []string{rotation("schedule: rate(1 days), duration: 1h"), rotation("schedule: rate(1 days), duration: 20h"), rotation("schedule: rate(1 days), duration: 24h")},
		refuses: []string{rotation("schedule: rate(1 days), duration: 0h"), rotation("schedule: rate(1 days), duration: 25h"), rotation("schedule: rate(1 days), duration: 01h"),
			rotation("schedule: rate(1 days), duration: 3H"), rotation("schedule: rate(1 days), duration: '3'"), rotation("schedule: rate(1 days), duration: ''")}},
	{kind: secret, path: "spec.target", message: "the type of a target that is merged into", field: "spec.target.type",
		accepts: []string{target("creationPolicy: Merge"), target("creationPolicy: Adopt, type: Opaque"), target("type: Opaque")},
		refuses: []string{target("creationPolicy: Merge, type: Opaque")}},
	{kind: secret, path: "spec.target", message: "labels and annotations of a target that is merged into", field: "spec.target.metadata",
		accepts: []string{target("creationPolicy: Adopt, metadata: {labels: {a: b}}"), target("metadata: {annotations: {a: b}}")},
		refuses: []string{target("creationPolicy: Merge, metadata: {labels: {a: b}}"), target("creationPolicy: Merge, metadata: {annotations: {a: b}}")}},
	{kind: secret, path: "spec.target.type", message: "tokens of the control plane and releases of Helm", field: "spec.target.type",
		accepts: []string{target("type: kubernetes.io/tls"), target("type: example.com/helm.sh"), target("type: kubernetes.io/basic-auth")},
		refuses: []string{target("type: bootstrap.kubernetes.io/token"), target("type: helm.sh/release.v1"), target("type: kubernetes.io/service-account-token")}},
	{kind: secret, path: "spec.target.metadata.labels", message: "a label's key is a name", field: "spec.target.metadata.labels",
		accepts: []string{target("metadata: {labels: {team: a, example.com/team: a, A_b.c-9: a}}"), target("metadata: {labels: {" + strings.Repeat("k", 63) + ": a}}")},
		refuses: []string{target("metadata: {labels: {'a b': a}}"), target("metadata: {labels: {a/b/c: a}}"), target("metadata: {labels: {-a: a}}"), target("metadata: {labels: {" + strings.Repeat("k", 64) + ": a}}")}},
	{kind: secret, path: "spec.target.metadata.labels", message: "labels of kubernetes.io", field: "spec.target.metadata.labels",
		accepts: []string{target("metadata: {labels: {app.kubernetes.io/name: a, notkubernetes.io/a: a, strongroom.dev.example.com/a: a}}")},
		refuses: []string{target("metadata: {labels: {kubernetes.io/a: a}}"), target("metadata: {labels: {node.kubernetes.io/a: a}}"), target("metadata: {labels: {x.k8s.io/a: a}}"),
			target("metadata: {labels: {strongroom.dev/managed: source}}"), target("metadata: {labels: {x.app.kubernetes.io/a: a}}")}},
	{kind: secret, path: "spec.target.metadata.annotations", message: "an annotation's key is a name", field: "spec.target.metadata.annotations",
		accepts: []string{target("metadata: {annotations: {team: a, example.com/team: a, A_b.c-9: a}}"), target("metadata: {annotations: {" + strings.Repeat("k", 63) + ": a}}")},
		refuses: []string{target("metadata: {annotations: {'a b': a}}"), target("metadata: {annotations: {a/b/c: a}}"), target("metadata: {annotations: {-a: a}}"), target("metadata: {annotations: {" + strings.Repeat("k", 64) + ": a}}")}},
	{kind: secret, path: "spec.target.metadata.annotations", message: "annotations of kubernetes.io", field: "spec.target.metadata.annotations",
		accepts: []string{target("metadata: {annotations: {app.kubernetes.io/name: a, notkubernetes.io/a: a, strongroom.dev.example.com/a: a}}")},
		refuses: []string{target("metadata: {annotations: {kubernetes.io/service-account.name: admin}}"), target("metadata: {annotations: {node.kubernetes.io/a: a}}"), target("metadata: {annotations: {x.k8s.io/a: a}}"),
			target("metadata: {annotations: {strongroom.dev/arn: a}}"), target("metadata: {annotations: {x.app.kubernetes.io/a: a}}")}},
	{kind: secret, path: "spec.target.name", message: "name is a DNS name", field: "spec.target.name",
		accepts: []string{target("name: a"), target("name: a-b.c0"), target("name: '0'")},
		refuses: []string{target("name: A"), target("name: a_b"), target("name: -a"), target("name: a-"), target("name: a..b"), target("name: .a"), target("name: a/b")}},
	{kind: secret, path: "spec.target.template.data", message: "a key of data has letters", field: "spec.target.template.data",
		accepts: []string{templates("{aZ0-_.: x}"), templates("{" + strings.Repeat("k", 253) + ": x}")},
		refuses: []string{templates("{'a b': x}"), templates("{a/b: x}"), templates("{a: x, 'ä': x}"), templates("{" + strings.Repeat("k", 254) + ": x}")}},
	{kind: secret, path: "spec.target.template.data", message: "a template has at most 16384", field: "spec.target.template.data",
		accepts: []string{templates("{a: ''}"), templates("{a: " + strings.Repeat("x", 16384) + "}")},
		refuses: []string{templates("{a: x, b: " + strings.Repeat("x", 16385) + "}")}},
	{kind: secret, path: "spec.target.restart[]", message: "exactly one of the fields in [name selector]", field: "spec.target.restart[1]",
		accepts: []string{target("restart: [{kind: Deployment, name: a}, {kind: Deployment, selector: {matchLabels: {a: b}}}]")},
		refuses: []string{target("restart: [{kind: Deployment, name: a}, {kind: Deployment}]"), target("restart: [{kind: Deployment, name: a}, {kind: Deployment, name: a, selector: {matchLabels: {a: b}}}]")}},
	{kind: secret, path: "spec.valueFrom.secretKeyRef.key", message: "^[-._a-zA-Z0-9]+$", field: "spec.valueFrom.secretKeyRef.key",
		accepts: []string{"{valueFrom: {secretKeyRef: {name: a, key: aZ0-_.}}}"},
		refuses: []string{"{valueFrom: {secretKeyRef: {name: a, key: a/b}}}", "{valueFrom: {secretKeyRef: {name: a, key: 'ä'}}}", `{valueFrom: {secretKeyRef: {name: a, key: "a\n"}}}`}},

	{kind: "Envelope", path: "spec.ciphertext", message: "^[A-Za-z0-9+/]*={0,2}$", field: "spec.ciphertext",
		accepts: []string{strings.Replace(envelope, "QUJD", "+/8=", 1)}, refuses: []string{strings.Replace(envelope, "QUJD", "-_8=", 1), strings.Replace(envelope, "QUJD", "QU JD", 1)}},
	{kind: "Envelope", path: "spec.encryptedDataKey", message: "^[A-Za-z0-9+/]*={0,2}$", field: "spec.encryptedDataKey",
		accepts: []string{strings.Replace(envelope, "keyArn: k", "keyArn: k, encryptedDataKey: +/8=", 1)}, refuses: []string{strings.Replace(envelope, "keyArn: k", "keyArn: k, encryptedDataKey: -_8=", 1)}},
	{kind: "Envelope", path: "spec", message: "an Envelope is immutable:", changes: true, field: "spec",
		accepts: []string{envelope, envelope},
		refuses: []string{envelope, strings.Replace(envelope, "sequence: 1", "sequence: 2", 1), envelope, strings.Replace(envelope, "version: v", "version: w", 1),
			envelope, strings.Replace(envelope, "keyArn: k", "keyArn: k, stages: [a]", 1), envelope, strings.Replace(envelope, "name: a", "name: b", 1),
			envelope, strings.Replace(envelope, "keyArn: k", "keyArn: k, binary: true", 1), strings.Replace(envelope, "keyArn: k", "keyArn: k, binary: true", 1), envelope,
			envelope, strings.Replace(envelope, "keyArn: k", "keyArn: k, encryptedDataKey: QUJD", 1), envelope, strings.Replace(envelope, "subject: arn", "subject: arm", 1),
			envelope, strings.Replace(envelope, "keyArn: k", "keyArn: k, expireTime: '2026-11-24T12:00:00Z'", 1), envelope, strings.Replace(envelope, "12:00:00", "12:00:01", 1),
			envelope, strings.Replace(envelope, "keyArn: k", "keyArn: k, import: {state: IMPORTED, rank: 1}", 1), envelope, strings.Replace(envelope, "SecretVersion", "Tombstone", 1),
			underDomainKey("9", "QUJD"), strings.Replace(underDomainKey("10", "QUJE"), "sequence: 1", "sequence: 2", 1)}},
	{kind: "Envelope", path: "spec", message: "an Envelope is immutable, but", changes: true, field: "spec",
		accepts: []string{envelope, envelope, underDomainKey("1", "QUJD"), underDomainKey("2", "QUJE"), underDomainKey("9", "QUJD"), underDomainKey("10", "QUJE")},
		refuses: []string{envelope, strings.Replace(envelope, "QUJD", "QUJE", 1), envelope, strings.Replace(envelope, "keyArn: k", "keyArn: l", 1), envelope, underDomainKey("2", "QUJD"),
			underDomainKey("1", "QUJD"), underDomainKey("1", "QUJE"), underDomainKey("2", "QUJD"), underDomainKey("1", "QUJE"), underDomainKey("10", "QUJD"), underDomainKey("9", "QUJE"),
			underDomainKey("1", "QUJD"), envelope, underDomainKey("1", "QUJD"), underDomainKey("x", "QUJE"), underDomainKey("1", "QUJD"), underDomainKey("02", "QUJE"),
			underDomainKey("1", "QUJD"), underDomainKey("99999999999999999999", "QUJE"), underDomainKey("x", "QUJD"), underDomainKey("2", "QUJE")}},
}...)

// underDomainKey is the spec of an Envelope under the domain key of an epoch.
func underDomainKey(epoch, ciphertext string) string {
	return strings.Replace(strings.Replace(envelope, "keyArn: k", "keyArn: 'strongroom:domain-key/"+epoch+"'", 1), "QUJD", ciphertext, 1)
}

// update makes an object of one spec, changes it to another, and says what the API server answers to that.
func update(kind, before, after string) error {
	GinkgoHelper()
	o := object(kind, "changed-by-rule", before)
	Expect(strict.Create(ctx, o)).To(Succeed())
	defer func() { Expect(cp.Client.Delete(ctx, o)).To(Succeed()) }()
	changed := object(kind, "changed-by-rule", after)
	changed.SetResourceVersion(o.GetResourceVersion())
	return strict.Update(ctx, changed, client.DryRunAll)
}

var _ = Describe("A rule", func() {
	for _, r := range rules {
		It(fmt.Sprintf("of %s %s, %q, lets through what it should and refuses with its own message what it should not", r.kind, r.path, r.message), func() {
			attempts := func(called string, specs []string) (out []error) {
				for chunk := range slices.Chunk(specs, map[bool]int{false: 1, true: 2}[r.changes]) {
					if r.changes {
						out = append(out, update(r.kind, chunk[0], chunk[1]))
					} else {
						out = append(out, create(r.kind, called, chunk[0]))
					}
				}
				return out
			}
			for i, err := range attempts("rule", r.accepts) {
				Expect(err).NotTo(HaveOccurred(), "accepted %d", i)
			}
			for i, err := range attempts(cmp.Or(r.called, "rule"), r.refuses) {
				Expect(err).To(MatchError(And(ContainSubstring(r.field), ContainSubstring(r.message))), "refused %d", i)
			}
		})
	}

	It("of a generated CRD has a case, and every case is of a rule", func() {
		want := map[string]bool{}
		for _, r := range rules {
			want[r.kind+" "+r.path+": "+r.message] = true
			Expect(len(r.accepts)).To(BeNumerically(">", 0), r.message)
			Expect(len(r.refuses) > 0 || r.unreachable != "").To(BeTrue(), r.message)
		}
		take := func(m marker, text string) {
			for _, r := range rules {
				if r.kind == m.kind && r.path == m.path && strings.HasPrefix(text, r.message) {
					delete(want, r.kind+" "+r.path+": "+r.message)
					return
				}
			}
			Fail(fmt.Sprintf("the rule of %s %s has no case: %s", m.kind, m.path, text))
		}
		for _, m := range markers() {
			validations, _, _ := unstructured.NestedSlice(m.schema, "x-kubernetes-validations")
			for _, v := range validations {
				message, _, _ := unstructured.NestedString(v.(map[string]any), "message")
				Expect(message).NotTo(BeEmpty(), "the rule of %s %s has no message", m.kind, m.path)
				take(m, message)
			}
			if pattern, found, _ := unstructured.NestedString(m.schema, "pattern"); found {
				take(m, pattern)
			}
		}
		Expect(want).To(BeEmpty(), "cases of rules that are not in the CRDs")
	})

	It("that nothing can break yet is about a field that has one value only", func() {
		all := markers()
		for _, r := range rules {
			if r.unreachable == "" {
				continue
			}
			i := slices.IndexFunc(all, func(m marker) bool { return m.kind == r.kind && m.path == r.unreachable })
			Expect(i).To(BeNumerically(">=", 0))
			Expect(all[i].schema["enum"]).To(HaveLen(1), "%s can be changed now: give the rule a case that it refuses", r.unreachable)
		}
	})
})
