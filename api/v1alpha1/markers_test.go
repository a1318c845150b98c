package v1alpha1_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/test/environment"
)

// marker is one place of a generated schema, and what it asks there. Kubernetes' own types (conditions, selectors) are
// left out.
type marker struct {
	kind, path string
	schema     map[string]any
}

// markers walks the generated CRDs.
func markers() []marker {
	files, err := filepath.Glob(filepath.Join(environment.Root(), "config", "crd", "strongroom.dev_*.yaml"))
	if err != nil || len(files) == 0 {
		panic(fmt.Sprint("no CRDs: ", err))
	}
	var out []marker
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			panic(err)
		}
		crd := map[string]any{}
		if err := yaml.Unmarshal(text, &crd); err != nil {
			panic(err)
		}
		kind, _, _ := unstructured.NestedString(crd, "spec", "names", "kind")
		versions, _, _ := unstructured.NestedSlice(crd, "spec", "versions")
		for _, version := range versions {
			root, _, _ := unstructured.NestedMap(version.(map[string]any), "schema", "openAPIV3Schema")
			out = append(out, walk(kind, "", root)...)
		}
	}
	return out
}

func walk(kind, path string, schema map[string]any) []marker {
	if slices.Contains([]string{"metadata", "apiVersion", "kind", "status.conditions"}, path) {
		return nil
	}
	out := []marker{{kind, path, schema}}
	if path == "spec.target.restart[].selector" || path == "spec.allowedNamespaces" {
		return out
	}
	properties, _, _ := unstructured.NestedMap(schema, "properties")
	for name, child := range properties {
		out = append(out, walk(kind, strings.TrimPrefix(path+"."+name, "."), child.(map[string]any))...)
	}
	if items, found, _ := unstructured.NestedMap(schema, "items"); found {
		out = append(out, walk(kind, path+"[]", items)...)
	}
	return out
}

// whole are valid objects that have every field between them.
var whole = map[string][]string{
	"KMSKey": {`
spec: {description: d, aliases: [alias/a], keySpec: SYMMETRIC_DEFAULT, keyUsage: ENCRYPT_DECRYPT, enabled: true,
  rotation: {enabled: true, periodInDays: 100}, deletion: {pendingWindowInDays: 8, scheduled: true}, region: us-east-1, policy: {Version: "2012-10-17"}, tags: [{key: k, value: v}]}
status: {observedGeneration: 1, keyId: k, arn: a, keyState: Enabled, sealingPublicKey: k, policyBinding: {policyDigest: d, principals: [{arn: a, uniqueId: u}]}, onDemandRotations: 1, rotationEnabledTime: "2026-11-24T12:00:00Z", nextRotationTime: "2026-11-24T12:00:00Z", deletionTime: "2026-11-24T12:00:00Z", deletionGeneration: 1,
  lastHandledReconcileAt: a, lastHandledRotateAt: b,
  keyMaterials: [{id: "` + long + `", sequence: 1, state: CURRENT, rotationType: AUTOMATIC, createdTime: "2026-11-24T12:00:00Z"}]}`, `
spec: {origin: AWS_CLOUDHSM, customKeyStoreRef: {name: a, namespace: b}}`, `
spec: {origin: EXTERNAL, importedMaterial: {importToken: eHg=, encryptedKeyMaterial: eHg=, validTo: "2026-11-24T12:00:00Z", importType: NEW_KEY_MATERIAL, description: d}}
status: {lastImportSequence: 3, lastDroppedImportSequence: 2, expirationModel: KEY_MATERIAL_EXPIRES, validTo: "2026-11-24T12:00:00Z", lastHandledImport: d,
  keyMaterials: [{id: "` + long + `", sequence: 3, state: PENDING_ROTATION, createdTime: "2026-11-24T12:00:00Z",
    import: {state: IMPORTED, rank: 2, pendingRotation: true, rotationTime: "2026-11-24T12:00:00Z", validTo: "2026-11-24T12:00:00Z", description: d, request: r}}]}`, `
spec: {keySpec: ECC_NIST_P256, keyUsage: SIGN_VERIFY, certificateAuthorityRef: {name: a}}
status: {certificateAuthority: {arn: a, name: b, certified: true}}`, `
spec: {multiRegion: true}`, `
spec: {multiRegion: true, replicaRegions: [{region: eu-west-1, name: r}]}
status: {lastUsage: {operation: Decrypt, time: "2026-11-24T12:00:00Z", eventID: e, requestID: r}, usageTrackedSince: "2026-11-24T12:00:00Z",
  replicas: [{region: eu-west-1, name: r, uid: u}], droppedImports: [{request: r, time: "2026-11-24T12:00:00Z"}]}`, `
spec: {multiRegion: true, region: eu-west-1, replicaOf: {name: p, region: us-east-1}}`},
	"Keyring": {`
spec: {rotation: {enabled: true, periodInDays: 7}}
status: {observedGeneration: 1, currentEpoch: 2, lastRotatedTime: "2026-11-24T12:00:00Z", nextRotationTime: "2026-11-24T12:00:00Z", domainKeys: 2,
  epochs: [{epoch: 2, createdTime: "2026-11-24T12:00:00Z", envelopes: 1}],
  rewrap: {epoch: 2, total: 2, done: 1, startedTime: "2026-11-24T12:00:00Z", completedTime: "2026-11-24T12:00:00Z"}, lastHandledReconcileAt: a, lastHandledRotateAt: b}`},
	"KMSGrant": {`
spec: {kmsKeyRef: {name: k}, keyId: i, name: nn, granteePrincipal: "arn:aws:iam::111122223333:role/app", retiringPrincipal: "arn:aws:iam::111122223333:user/ada", operations: [Decrypt],
  constraints: {encryptionContextEquals: {a: b}, encryptionContextSubset: {a: b}}, issuingAccount: "111122223333"}
status: {observedGeneration: 1, grantId: g, keyArn: k, binding: {policyDigest: d, principals: [{arn: a, uniqueId: u}]}, lastHandledReconcileAt: a}`},
	"HSMCluster": {`
spec: {size: 3, mode: FIPS, softHSM: {}, allowedNamespaces: {}, customKeyStore: {name: s, connected: false}, tags: [{key: k, value: v}]}
status: {observedGeneration: 1, clusterId: c, state: ACTIVE, lastHandledReconcileAt: a, trustAnchorCertificate: c,
  nodes: [{name: node, state: ACTIVE, endpoint: "h:1", module: m, firmware: f, message: m}],
  domainKeys: [{epoch: 1, keyCheckValue: "0011223344", wrappingKeyCheckValue: "0011223344"}]}`, `
spec: {size: 1, pkcs11: {library: /lib.so, tokenLabel: t, pinSecretRef: {name: p, key: k}}}`},
	"Secret": {`
spec: {name: aws, region: us-east-1, tags: [{key: k, value: v}], description: d, kmsKeyRef: {name: k}, resourcePolicy: {Version: "2012-10-17"}, suspend: true, deletion: {recoveryWindowInDays: 8},
  generate: {password: {length: 5, excludeCharacters: a, excludeNumbers: true, excludePunctuation: true, excludeUppercase: true,
    excludeLowercase: false, includeSpace: true, requireEachIncludedType: false}},
  rotation: {enabled: true, schedule: rate(1 days), duration: 2h},
  target: {name: t, creationPolicy: Owner, template: {data: {a: b}}, restart: [{kind: Deployment, name: w}]}}
status: {observedGeneration: 1, arn: a, currentVersionId: v, lastRotatedTime: "2026-11-24T12:00:00Z", lastHandledReconcileAt: a,
  lastHandledRotateAt: b, importedFrom: a/b, projection: {name: t, keys: [a], digest: d}, policyBinding: {policyDigest: d, principals: [{arn: a, uniqueId: u}]},
  versions: [{versionId: "` + long + `", sequence: 1, stages: [AWSCURRENT], createdTime: "2026-11-24T12:00:00Z"}]}`, `
spec: {generate: {json: {template: "{}", key: k, password: {length: 5, excludeCharacters: a, excludeNumbers: true,
  excludePunctuation: true, excludeUppercase: true, excludeLowercase: false, includeSpace: true, requireEachIncludedType: false}}},
  target: {type: Opaque, metadata: {labels: {a: b}, annotations: {a: b}}}}`, `
spec: {target: {template: {data: {a: b}}, sources: [{alias: a, secretRef: {name: s}}]}}`, `
spec: {target: {template: {data: {a: b}}, sources: [{alias: a, parameterRef: {name: s}}], immutable: true}}
status: {observedGeneration: 1, projection: {name: t, digest: d, immutable: true, retained: [{name: r, since: "2026-11-24T12:00:00Z"}]}}`, `
spec: {generate: {bytes: {length: 5, encoding: Hex}}}`, `
spec: {generate: {uuid: {}}}`, `
spec: {sealed: srs1.AAAA}`, `
spec: {rotation: {strategy: AlternatingUsers, postgres: {adminSecretRef: {name: a}, driftPolicy: Report, tls: {mode: verify-full, caSecretRef: {name: c, key: k}}}}}
status: {observedGeneration: 1, rotation: {versionId: "` + long + `", startedTime: "2026-11-24T12:00:00Z", step: setSecret, attempts: 1,
  nextAttemptTime: "2026-11-24T12:00:00Z"},
  rotationTest: {configuration: c, time: "2026-11-24T12:00:00Z", versionId: v, passedVersionId: v, passedUser: u, pendingVersionId: v, attempts: 1}}`, `
spec: {rotation: {job: {cronJobRef: {name: a}}}}`, `
spec: {rotation: {function: {serviceRef: {name: a}, port: 8080, tls: {caSecretRef: {name: c, key: k}}}}}`, `
spec: {rotation: {strategy: AlternatingUsers, mysql: {adminSecretRef: {name: a}, driftPolicy: Report, tls: {mode: verify-full, caSecretRef: {name: c, key: k}}}}}`, `
spec: {rotation: {strategy: AlternatingUsers, redis: {adminSecretRef: {name: a}, driftPolicy: Report, tls: {mode: verify-full, caSecretRef: {name: c, key: k}}}}}`, `
spec: {rotation: {strategy: AlternatingUsers, mongodb: {adminSecretRef: {name: a}, driftPolicy: Report, tls: {mode: verify-full, caSecretRef: {name: c, key: k}}}}}`, `
spec: {rotation: {strategy: AlternatingUsers, sqlserver: {adminSecretRef: {name: a}, driftPolicy: Report, tls: {mode: verify-full, caSecretRef: {name: c, key: k}}}}}`, `
spec: {replicaRegions: [{region: eu-west-1, kmsKeyRef: {name: k}, forceOverwriteReplicaSecret: true}]}
status: {observedGeneration: 1, resealed: {source: s, key: k, sealed: t, digest: d, message: m},
  targetParameters: [{alias: a, name: p, expireTime: "2026-11-24T12:00:00Z", keys: [k]}],
  replication: [{region: eu-west-1, secretName: s, state: Failed, message: m}]}`, `
spec: {region: eu-west-1, replicaOf: {name: p, region: us-east-1}}`, `
spec: {valueFrom: {secretKeyRef: {name: s, key: k}, policy: Once}}`},
	"Parameter": {`
spec: {name: p, type: String, tier: Standard, allowedPattern: a, dataType: text, description: d, region: us-east-1, tags: [{key: k, value: v}],
  deletion: {recoveryWindowInDays: 8}, suspend: true}
status: {observedGeneration: 1, arn: a, version: 1, tier: Standard, lastModifiedTime: "2026-11-24T12:00:00Z", importedFrom: a/b,
  lastHandledReconcileAt: a, lastHandledRotateAt: b, projection: {kind: ConfigMap, name: t, key: k, digest: d},
  versions: [{version: 1, labels: [a], createdTime: "2026-11-24T12:00:00Z"}]}`, `
spec: {type: String, value: v, tier: Advanced, resourcePolicy: {Version: "2012-10-17"}}
status: {observedGeneration: 1, policyBinding: {policyDigest: d, principals: [{arn: a, uniqueId: u}]}}`, `
spec: {type: String, tier: Advanced, policies: [{type: Expiration, timestamp: "2027-01-02T03:04:05Z"}, {type: ExpirationNotification, before: 1, unit: Days}]}
status: {observedGeneration: 1, policies: [{type: Expiration, dueTime: "2027-01-02T03:04:05Z", status: Pending}]}`, `
spec: {type: String, tier: Advanced, policies: [{type: ExpirationNotification, before: 1, unit: Days}, {type: Expiration, timestamp: "2027-01-02T03:04:05Z"}]}`, `
spec: {type: String, tier: Advanced, policies: [{type: NoChangeNotification, after: 1, unit: Days}]}`, `
spec: {type: SecureString, sealed: srs1.AAAA}`, `
spec: {type: String, target: {configMap: {name: t, key: k, creationPolicy: Owner}, restart: [{kind: Deployment, name: w}]}}`, `
spec: {type: String, target: {restart: [{kind: Deployment, selector: {matchLabels: {a: b}}}], configMap: {}}}`, `
spec: {type: SecureString, kmsKeyRef: {name: k}, target: {secret: {name: t, key: k, creationPolicy: Owner}},
  generate: {password: {length: 5, excludeCharacters: a, excludeNumbers: true, excludePunctuation: true, excludeUppercase: true,
    excludeLowercase: false, includeSpace: true, requireEachIncludedType: false}}}`, `
spec: {type: SecureString, generate: {json: {template: "{}", key: k, password: {length: 5, excludeCharacters: a, excludeNumbers: true,
  excludePunctuation: true, excludeUppercase: true, excludeLowercase: false, includeSpace: true, requireEachIncludedType: false}}}}`, `
spec: {type: SecureString, generate: {bytes: {length: 5, encoding: Hex}}}`, `
spec: {type: SecureString, generate: {uuid: {}}}`, `
spec: {type: SecureString, valueFrom: {secretKeyRef: {name: s, key: k}, policy: Once}}`},
	"ParameterTree": {`
spec: {path: /p, recursive: true, region: us-east-1, suspend: true, filter: {types: [String], tags: [{key: k, values: [v]}], label: l, include: [a], exclude: [b]},
  target: {secret: {name: t, creationPolicy: Owner}, restart: [{kind: Deployment, name: w}]}}
status: {observedGeneration: 1, arn: a, parameters: 1, lastHandledReconcileAt: a,
  projection: {kind: ConfigMap, generation: 1, name: t, keys: [a], shows: [s], digest: d, immutable: true, retained: [{name: r, since: "2026-11-24T12:00:00Z"}]}}`, `
spec: {path: /p, keys: {stripPrefix: /p, format: Dotted}, target: {configMap: {name: t, creationPolicy: Owner}, restart: [{kind: Deployment, selector: {matchLabels: {a: b}}}]}}`, `
spec: {path: /p, target: {secret: {metadata: {labels: {a: b}, annotations: {a: b}}}}}`, `
spec: {path: /p, target: {secret: {immutable: true}}}`},
	"IAMPolicy": {`
spec: {name: aws, path: /p/, description: d, document: {Version: "2012-10-17"}}
status: {observedGeneration: 1, arn: a, uniqueId: u, lastHandledReconcileAt: a, defaultVersionId: v1, lastVersion: 1,
  versions: [{versionId: v1, createdTime: "2026-11-24T12:00:00Z", document: {Version: "2012-10-17"}}]}`},
	"IAMGroup": {`
spec: {name: aws, path: /p/,
  policies: [{name: p, document: {Version: "2012-10-17"}}], managedPolicyArns: ["arn:aws:iam::aws:policy/ReadOnlyAccess"]}
status: {observedGeneration: 1, arn: a, uniqueId: u, lastHandledReconcileAt: a}`},
	"IAMRole": {`
spec: {name: aws, path: /p/, description: d, serviceAccounts: [a], assumeRolePolicy: {Version: "2012-10-17"}, maxSessionDuration: 3600,
  policies: [{name: p, document: {Version: "2012-10-17"}}], managedPolicyArns: ["arn:aws:iam::aws:policy/ReadOnlyAccess"], permissionsBoundary: "arn:aws:iam::aws:policy/ReadOnlyAccess", tags: [{key: k, value: v}]}
status: {trust: {policyDigest: d, principals: [{arn: a, uniqueId: u}]}, observedGeneration: 1, arn: a, uniqueId: u, lastHandledReconcileAt: a}`},
	"IAMUser": {`
spec: {name: aws, path: /p/, accessKeys: [{name: k, inactive: true, secretName: s}], groups: [g],
  policies: [{name: p, document: {Version: "2012-10-17"}}], managedPolicyArns: ["arn:aws:iam::aws:policy/ReadOnlyAccess"], permissionsBoundary: "arn:aws:iam::aws:policy/ReadOnlyAccess", tags: [{key: k, value: v}]}
status: {observedGeneration: 1, arn: a, uniqueId: u, lastHandledReconcileAt: a, lastAccessKeySequence: 1,
  accessKeys: [{name: k, sequence: 1, accessKeyId: AKIAAAAAAAAAAAAAAAAA, secretName: s, createdTime: "2026-11-24T12:00:00Z"}]}`},
	"CertificateAuthority": {`
spec: {type: Subordinate, authorityRef: {name: r}, subject: {commonName: c, organization: o, organizationalUnit: u, country: DE, state: s, locality: l},
  keyAlgorithm: RSA_2048, kmsKeyRef: {name: k}, validity: 9999d, renewBefore: 1d, pathLength: 0, crl: {expirationInDays: 7}, target: {name: t},
  nameConstraints: {permitted: {dnsDomains: [a], ipRanges: [10.0.0.0/8], emailAddresses: [a], uriDomains: [a]},
    excluded: {dnsDomains: [a], ipRanges: [10.0.0.0/8], emailAddresses: [a], uriDomains: [a]}},
  revoked: [{serial: "00000000000000000000000000000000", reason: UNSPECIFIED}], deletion: {recoveryWindowInDays: 8}, region: us-east-1, tags: [{key: k, value: v}]}
status: {observedGeneration: 1, arn: a, kmsKeyArn: k, certificate: c, certificateChain: c, serial: s, notBefore: "2026-11-24T12:00:00Z", notAfter: "2026-11-24T12:00:00Z",
  renewalTime: "2026-11-24T12:00:00Z", lastHandledReconcileAt: a, lastHandledRotateAt: b,
  crl: {number: 1, thisUpdate: "2026-11-24T12:00:00Z", nextUpdate: "2026-11-24T12:00:00Z", revoked: 1, digest: d, sha256: s}, revokedGeneration: 1,
  projection: {name: t, keys: [a], digest: d},
  versions: [{versionId: "` + long + `", sequence: 1, stages: [AWSCURRENT], createdTime: "2026-11-24T12:00:00Z"}]}`},
	"Certificate": {`
spec: {domainName: a, subjectAlternativeNames: [b], keyAlgorithm: RSA_2048, authorityRef: {name: r}, validity: 9999d, renewBefore: 1d, kmsKeyRef: {name: k},
  target: {name: t, creationPolicy: Owner, restart: [{kind: Deployment, name: w}]}, deletion: {recoveryWindowInDays: 8}, region: us-east-1,
  tags: [{key: k, value: v}], suspend: true}
status: {observedGeneration: 1, arn: a, type: PRIVATE, serial: s, fingerprint: f, names: [nn], keyAlgorithm: RSA_2048, notBefore: "2026-11-24T12:00:00Z",
  notAfter: "2026-11-24T12:00:00Z", renewalTime: "2026-11-24T12:00:00Z", issuer: i, chain: [c], authorityArn: a, importedFrom: s,
  projection: {name: t, keys: [a], digest: d}, lastHandledReconcileAt: a, lastHandledRotateAt: b,
  versions: [{versionId: "` + long + `", sequence: 1, stages: [AWSCURRENT], createdTime: "2026-11-24T12:00:00Z"}]}`, `
spec: {importFrom: {secretRef: {name: s}, policy: Once}}`},
	"Envelope": {`
spec: {class: SecretVersion, owner: {kind: Secret, name: a}, subject: arn, version: v, sequence: 1, stages: [AWSCURRENT],
  binary: true, createdTime: "2026-11-24T12:00:00Z", expireTime: "2026-11-24T12:00:00Z", keyArn: k, encryptedDataKey: QUJD, ciphertext: QUJD,
  import: {state: IMPORTED, rank: 2, pendingRotation: true, rotationTime: "2026-11-24T12:00:00Z", validTo: "2026-11-24T12:00:00Z", description: d, request: r}}`},
}

// aRoot is the shortest ARN of a principal.
const aRoot = "arn:aws:iam::111122223333:root"

// filler is a valid text of a length, where text of one letter is none.
func filler(kind, path string, n int) string {
	switch {
	case kind == tree && (path == "spec.path" || path == "spec.keys.stripPrefix") && n >= 1:
		return "/" + strings.Repeat("x", n-1)
	case path == "spec.pkcs11.library" && n >= 1:
		return "/" + strings.Repeat("x", n-1)
	case path == "spec.aliases[]" && n >= 7:
		return "alias/" + strings.Repeat("x", n-6)
	case (path == "spec.region" || path == "spec.replicaRegions[].region" || path == "spec.replicaOf.region") && n >= 6:
		return "eu-" + strings.Repeat("x", n-5) + "-1"
	case path == "spec.rotation.schedule" && n > 100:
		return "cron(0 " + strings.Repeat("1", n-len("cron(0  ? * SUN *)")) + " ? * SUN *)"
	case path == "spec.generate.json.template" && n >= 2:
		return "{" + strings.Repeat(" ", n-2) + "}"
	case path == "spec.rotation.duration" && n == 3:
		return "24h"
	case strings.HasSuffix(path, ".ipRanges[]") && n == 4:
		return "::/0"
	case strings.HasSuffix(path, ".ipRanges[]") && n == 43:
		return "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"
	case path == "spec.sealed" && n > len("srs1."):
		return "srs1." + strings.Repeat("x", n-len("srs1."))
	case path == "spec.validity" && n >= 2:
		return strings.Repeat("9", n-1) + "d"
	case path == "spec.renewBefore" && n >= 2:
		return "1" + strings.Repeat("0", n-2) + "h"
	case path == "spec.subject.country" && n == 2:
		return "DE"
	case path == "spec.revoked[].serial":
		return strings.Repeat("a", n)
	case path == "spec.policies[].timestamp" && n == 35:
		return "2027-01-02T03:04:05.123456789+10:30"
	case path == "spec.policies[].timestamp":
		return "2027-01-02T03:04:05Z"[:n]
	case path == "spec.issuingAccount":
		return strings.Repeat("1", n)
	case (path == "spec.granteePrincipal" || path == "spec.retiringPrincipal") && n > len(aRoot):
		return "arn:aws:iam::111122223333:user/" + strings.Repeat("x", n-len("arn:aws:iam::111122223333:user/"))
	case path == "spec.granteePrincipal" || path == "spec.retiringPrincipal":
		return aRoot[:n]
	}
	if (path == "spec.permissionsBoundary" || path == "spec.managedPolicyArns[]") && n >= 25 {
		return "arn:aws:iam::aws:policy/" + strings.Repeat("x", n-24)
	}
	if path == "spec.path" && n >= 2 {
		return "/" + strings.Repeat("x", n-2) + "/"
	}
	return strings.Repeat("x", n)
}

// item is the nth item of a list, unlike the others.
func item(kind, path string, n int, first any) any {
	switch path {
	case "spec.aliases":
		return fmt.Sprint("alias/", n)
	case "status.policies":
		return map[string]any{"type": "NoChangeNotification", "status": "Pending"}
	case "status.versions":
		if kind == "Parameter" {
			return map[string]any{"version": int64(n + 1), "createdTime": "2026-11-24T12:00:00Z"}
		}
		if version, ok := first.(map[string]any); ok && version["document"] != nil {
			return map[string]any{"versionId": fmt.Sprint("v", n+1), "createdTime": "2026-11-24T12:00:00Z", "document": map[string]any{}}
		}
		return map[string]any{"versionId": fmt.Sprintf("%032d", n), "sequence": int64(1), "createdTime": "2026-11-24T12:00:00Z"}
	case "status.nodes":
		return map[string]any{"name": fmt.Sprint("n", n), "state": "ACTIVE"}
	case "status.epochs":
		return map[string]any{"epoch": int64(n + 1), "envelopes": int64(1)}
	case "status.domainKeys":
		return map[string]any{"epoch": int64(n + 1), "keyCheckValue": "0011223344", "wrappingKeyCheckValue": "0011223344"}
	case "spec.revoked":
		return map[string]any{"serial": fmt.Sprintf("%032x", n)}
	case "spec.nameConstraints.permitted.ipRanges", "spec.nameConstraints.excluded.ipRanges":
		return fmt.Sprintf("10.%d.0.0/16", n)
	case "status.keyMaterials":
		return map[string]any{"id": long, "sequence": int64(n + 1), "state": "NON_CURRENT", "createdTime": "2026-11-24T12:00:00Z"}
	case "spec.tags", "spec.filter.tags":
		return map[string]any{"key": fmt.Sprint("k", n)}
	case "spec.filter.types":
		return []string{"String", "StringList", "SecureString", "Other"}[n]
	case "spec.replicaRegions":
		return map[string]any{"region": fmt.Sprint("eu-west-", n)}
	case "status.replicas":
		return map[string]any{"region": fmt.Sprint("eu-west-", n), "name": "r", "uid": "u"}
	case "status.droppedImports":
		return map[string]any{"request": fmt.Sprint("r", n), "time": "2026-11-24T12:00:00Z"}
	case "status.replication":
		return map[string]any{"region": fmt.Sprint("eu-west-", n), "state": "InSync"}
	case "spec.policies":
		if kind == parameter {
			return map[string]any{"type": "NoChangeNotification", "after": int64(n + 1), "unit": "Days"}
		}
		return map[string]any{"name": fmt.Sprint("p", n), "document": map[string]any{}}
	case "spec.managedPolicyArns":
		return fmt.Sprint("arn:aws:iam::aws:policy/p", n)
	case "spec.operations":
		return []string{
			"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo", "Sign", "Verify", "GetPublicKey",
			"CreateGrant", "RetireGrant", "DescribeKey", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext", "GenerateMac", "VerifyMac",
			"DeriveSharedSecret", "Encapsulate", "Decapsulate", "one too many",
		}[n]
	case "status.policyBinding.principals", "status.trust.principals", "status.binding.principals":
		return map[string]any{"arn": fmt.Sprint("a", n), "uniqueId": "u"}
	case "spec.accessKeys":
		return map[string]any{"name": fmt.Sprint("k", n)}
	case "status.accessKeys":
		return map[string]any{"name": fmt.Sprint("k", n), "sequence": int64(1), "accessKeyId": "AKIAAAAAAAAAAAAAAAAA", "createdTime": "2026-11-24T12:00:00Z"}
	case "status.projection.retained":
		return map[string]any{"name": fmt.Sprint("n", n), "since": "2026-11-24T12:00:00Z"}
	case "status.targetParameters":
		return map[string]any{"alias": fmt.Sprint("a", n), "name": "p"}
	case "spec.target.sources":
		return map[string]any{"alias": fmt.Sprint("a", n), "secretRef": map[string]any{"name": "s"}}
	case "spec.target.restart":
		return first
	}
	return fmt.Sprint("x", n)
}

// try sends an object with a value at a path, or without one if it is nil, and says what the API server answers.
func (m marker) try(value any) error {
	GinkgoHelper()
	for _, text := range whole[m.kind] {
		o := object(m.kind, "marked-"+strings.ToLower(m.kind), "")
		fields := map[string]any{}
		Expect(yaml.Unmarshal([]byte(text), &fields)).To(Succeed())
		o.Object["spec"] = fields["spec"]
		if status, found := fields["status"]; found && strings.HasPrefix(m.path, "status") {
			o.Object["status"] = status
		}
		if !replace(o.Object, strings.Split(m.path, "."), value) {
			continue
		}
		m.accompany(o, value)
		if !strings.HasPrefix(m.path, "status.") {
			return strict.Create(ctx, o, client.DryRunAll)
		}
		return updateStatus(o)
	}
	return fmt.Errorf("no object of whole has the field %s: add it", m.path)
}

// databases are the rotators of databases.
var databases = []string{"spec.rotation.postgres", "spec.rotation.mysql", "spec.rotation.redis", "spec.rotation.mongodb", "spec.rotation.sqlserver"}

// accompany gives an object what a value needs beside it: a key's spec and its usage go together.
func (m marker) accompany(o *unstructured.Unstructured, value any) {
	spec, _ := o.Object["spec"].(map[string]any)
	switch {
	case m.kind == key && value == nil && m.path == "spec.origin":
		delete(spec, "customKeyStoreRef")
	case m.kind == key && value == nil && m.path == "spec.customKeyStoreRef":
		delete(spec, "origin")
	case m.kind == hsm && value == nil && m.path == "spec.softHSM":
		spec["pkcs11"] = map[string]any{"library": "/lib.so", "tokenLabel": "t", "pinSecretRef": map[string]any{"name": "p", "key": "k"}}
	case m.kind == hsm && value == nil && m.path == "spec.pkcs11":
		spec["softHSM"] = map[string]any{}
	case m.kind == secret && value == nil && m.path == "spec.rotation.schedule":
		spec["rotation"] = map[string]any{"postgres": map[string]any{}}
		delete(spec, "generate")
	case m.kind == secret && value == nil && (slices.Contains(databases, m.path) || m.path == "spec.rotation.function" || m.path == "spec.rotation.job"):
		spec["rotation"] = map[string]any{"schedule": "rate(1 day)"}
		spec["generate"] = map[string]any{"uuid": map[string]any{}}
	case m.kind == secret && value == nil && slices.Contains(databases, strings.TrimSuffix(m.path, ".adminSecretRef")):
		delete(spec["rotation"].(map[string]any), "strategy")
	case m.kind == tree && value != nil && m.path == "spec.keys.stripPrefix":
		spec["path"] = value // it is a beginning of the path
	case m.kind != key || value == nil:
	case m.path == "spec.keySpec" && value != "SYMMETRIC_DEFAULT":
		spec["keyUsage"] = "SIGN_VERIFY"
		switch text := fmt.Sprint(value); {
		case strings.HasPrefix(text, "HMAC_"):
			spec["keyUsage"] = "GENERATE_VERIFY_MAC"
		case strings.HasPrefix(text, "ML_KEM_"):
			spec["keyUsage"] = "ENCAPSULATE_DECAPSULATE"
		}
		delete(spec, "rotation")
	case m.path == "spec.origin" && (value == "AWS_KMS" || value == "EXTERNAL"):
		delete(spec, "customKeyStoreRef")
	case m.path == "spec.keyUsage" && value != "ENCRYPT_DECRYPT":
		spec["keySpec"] = "ECC_NIST_P256"
		switch value {
		case "GENERATE_VERIFY_MAC":
			spec["keySpec"] = "HMAC_256"
		case "ENCAPSULATE_DECAPSULATE":
			spec["keySpec"] = "ML_KEM_768"
		}
		delete(spec, "rotation")
	}
}

// updateStatus tries a status on an object that has the spec.
func updateStatus(o *unstructured.Unstructured) error {
	GinkgoHelper()
	o.SetName("status-" + o.GetName())
	stored := o.DeepCopy()
	Expect(client.IgnoreAlreadyExists(strict.Create(ctx, stored))).To(Succeed())
	Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(o), stored)).To(Succeed())
	stored.Object["status"] = o.Object["status"]
	return strict.Status().Update(ctx, stored, client.DryRunAll)
}

// replace sets a value deep in an object, in the first item of a list, if it is there.
func replace(in any, path []string, value any) bool {
	fields, isObject := in.(map[string]any)
	name, inList := strings.CutSuffix(path[0], "[]")
	if _, found := fields[name]; !isObject || !found {
		return false
	}
	if !inList {
		switch {
		case len(path) > 1:
			return replace(fields[name], path[1:], value)
		case value == nil:
			delete(fields, name)
		default:
			fields[name] = runtime.DeepCopyJSONValue(value)
		}
		return true
	}
	list, isList := fields[name].([]any)
	if !isList || len(list) == 0 {
		return false
	}
	if len(path) > 1 {
		return replace(list[0], path[1:], value)
	}
	list[0] = runtime.DeepCopyJSONValue(value)
	return true
}

// at is the value of whole at a path.
func (m marker) at() any {
	for _, text := range whole[m.kind] {
		var value any = map[string]any{}
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			panic(err)
		}
		for name := range strings.SplitSeq(m.path, ".") {
			fields, _ := value.(map[string]any)
			value = fields[strings.TrimSuffix(name, "[]")]
			if list, isList := value.([]any); isList && strings.HasSuffix(name, "[]") {
				value = list[0]
			}
		}
		if value != nil {
			return value
		}
	}
	return nil
}

// field is the path as the API server writes it.
func (m marker) field() string { return strings.ReplaceAll(m.path, "[]", "[0]") }
