package v1alpha1_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

func TestValidation(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Validation by the API server")
}

var (
	ctx    = context.Background()
	cp     *environment.ControlPlane
	strict client.Client
)

var _ = BeforeSuite(func() {
	var err error
	cp, err = environment.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(cp.Stop()).To(Succeed()) })
	strict = client.WithFieldValidation(cp.Client, metav1.FieldValidationStrict)
})

// object makes an object from the JSON or YAML of its spec.
func object(kind, name, spec string) *unstructured.Unstructured {
	GinkgoHelper()
	o := &unstructured.Unstructured{Object: map[string]any{}}
	text := "apiVersion: strongroom.dev/v1alpha1\nkind: " + kind + "\nmetadata: {name: " + name + ", namespace: default}\n"
	if spec != "" {
		text += "spec: " + spec + "\n"
	}
	Expect(yaml.Unmarshal([]byte(text), &o.Object)).To(Succeed())
	return o
}

func create(kind, name, spec string) error {
	return strict.Create(ctx, object(kind, name, spec), client.DryRunAll)
}

const (
	long   = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" // 64
	secret = "Secret"
	key    = "KMSKey"
	hsm    = "HSMCluster"
)

func with(generate, rest string) string { return "{generate: {" + generate + "}" + rest + "}" }

func password(options string) string { return with("password: {"+options+"}", "") }

func target(t string) string { return with("uuid: {}", ", target: {"+t+"}") }

func rotation(r string) string { return with("uuid: {}", ", rotation: {"+r+"}") }

var _ = DescribeTable("Accepted", func(kind, spec string) { Expect(create(kind, "accepted", spec)).To(Succeed()) },
	Entry("the least key", key, ""),
	Entry("an empty spec of a key", key, "{}"),
	Entry("a key with aliases", key, "{aliases: [alias/a, alias/b-c_d/e]}"),
	Entry("the longest alias", key, "{aliases: [alias/"+strings.Repeat("x", 250)+"]}"),
	Entry("the longest description of a key", key, "{description: "+strings.Repeat("x", 8192)+"}"),
	Entry("the shortest rotation period", key, "{rotation: {enabled: true, periodInDays: 90}}"),
	Entry("the longest rotation period", key, "{rotation: {enabled: true, periodInDays: 2560}}"),
	Entry("rotation that is off", key, "{rotation: {enabled: false}}"),
	Entry("the shortest waiting period", key, "{deletion: {pendingWindowInDays: 7}}"),
	Entry("the longest waiting period", key, "{deletion: {pendingWindowInDays: 30}}"),
	Entry("a disabled key", key, "{enabled: false}"),
	Entry("an RSA key of 2048 bits", key, signing("RSA_2048", "")),
	Entry("an RSA key of 3072 bits", key, signing("RSA_3072", "")),
	Entry("an RSA key of 4096 bits", key, signing("RSA_4096", "")),
	Entry("a key on P-256", key, signing("ECC_NIST_P256", "")),
	Entry("a key on P-384", key, signing("ECC_NIST_P384", "")),
	Entry("a key on P-521", key, signing("ECC_NIST_P521", "")),
	Entry("a key of Ed25519", key, signing("ECC_NIST_EDWARDS25519", "")),
	Entry("a key on secp256k1", key, signing("ECC_SECG_P256K1", "")),
	Entry("a key of ML-DSA-44", key, signing("ML_DSA_44", "")),
	Entry("a key of ML-DSA-65", key, signing("ML_DSA_65", "")),
	Entry("a key of ML-DSA-87", key, signing("ML_DSA_87", "")),
	Entry("a key of ML-KEM-768", key, "{keySpec: ML_KEM_768, keyUsage: ENCAPSULATE_DECAPSULATE}"),
	Entry("a key of ML-KEM-1024", key, "{keySpec: ML_KEM_1024, keyUsage: ENCAPSULATE_DECAPSULATE}"),
	Entry("an asymmetric key whose rotation is off", key, signing("RSA_2048", ", rotation: {enabled: false}")),
	Entry("a symmetric key by name", key, "{keySpec: SYMMETRIC_DEFAULT, keyUsage: ENCRYPT_DECRYPT}"),

	Entry("an HSMCluster without nodes, which is a custom key store", hsm, "{size: 0, softHSM: {}, customKeyStore: {name: Bank's Kürzel}, tags: [{key: a}]}"),
	Entry("a key in an HSMCluster", key, "{origin: AWS_CLOUDHSM, customKeyStoreRef: {name: vault-floor, namespace: strongroom-system}}"),
	Entry("an RSA key that encrypts", key, "{keySpec: RSA_2048, keyUsage: ENCRYPT_DECRYPT}"),
	Entry("an HMAC key", key, "{keySpec: HMAC_256, keyUsage: GENERATE_VERIFY_MAC}"),
	Entry("a key that agrees", key, "{keySpec: ECC_NIST_P256, keyUsage: KEY_AGREEMENT}"),
	Entry("a key that signs in an HSMCluster of its own namespace", key, "{keySpec: ECC_NIST_P256, keyUsage: SIGN_VERIFY, origin: AWS_CLOUDHSM, customKeyStoreRef: {name: vault-floor}}"),
	Entry("a key of Strongroom itself by name", key, "{origin: AWS_KMS}"),
	Entry("an HSMCluster with SoftHSM", hsm, "{size: 3, mode: FIPS, softHSM: {}}"),
	Entry("the smallest HSMCluster", hsm, "{size: 1, softHSM: {}}"),
	Entry("an HSMCluster with another library", hsm, "{size: 10, mode: NON_FIPS, pkcs11: "+aModule+"}"),
	Entry("an HSMCluster for all namespaces", hsm, "{size: 1, softHSM: {}, allowedNamespaces: {}}"),
	Entry("an HSMCluster for some namespaces", hsm, "{size: 1, softHSM: {}, allowedNamespaces: {matchLabels: {a: b}}}"),

	Entry("a password with AWS's defaults", secret, password("")),
	Entry("a password of 4 characters", secret, password("length: 4")),
	Entry("a password of 4096 characters", secret, password("length: 4096")),
	Entry("a password of one character of any type", secret, password("length: 1, requireEachIncludedType: false")),
	Entry("a password of spaces", secret, password("includeSpace: true, excludeLowercase: true, excludeUppercase: true, excludeNumbers: true, excludePunctuation: true")),
	Entry("a JSON document", secret, with(`json: {template: '{"a":1}', key: password}`, "")),
	Entry("bytes", secret, with("bytes: {length: 4096, encoding: Hex}", "")),
	Entry("bytes with the defaults", secret, with("bytes: {}", "")),
	Entry("a UUID", secret, with("uuid: {}", "")),
	Entry("an import", secret, "{valueFrom: {secretKeyRef: {name: a, key: b.c_d-E}}}"),
	Entry("a followed import", secret, "{valueFrom: {secretKeyRef: {name: a, key: b}, policy: Follow}}"),
	Entry("an AWS name", secret, with("uuid: {}", ", name: prod/shop/db_+=.@-9")),
	Entry("the longest AWS name", secret, with("uuid: {}", ", name: "+strings.Repeat(long, 8))),
	Entry("a rate", secret, rotation("schedule: rate(30 days), duration: 24h")),
	Entry("a rate in hours", secret, rotation("schedule: rate(4 hours), duration: 1h")),
	Entry("a cron", secret, rotation(`schedule: "cron(0 4 ? * SUN *)"`)),
	Entry("the least target", secret, target("")),
	Entry("a target with everything", secret, target(`name: a.b-c, type: kubernetes.io/basic-auth, creationPolicy: Adopt, template: {data: {a.b_C-1: "{{.current}}"}}, restart: [{kind: Deployment, name: x}, {kind: DaemonSet, selector: {matchLabels: {a: b}}}]`)),
	Entry("a merge", secret, target("creationPolicy: Merge")),
	Entry("the shortest recovery window", secret, with("uuid: {}", ", deletion: {recoveryWindowInDays: 7}")),
	Entry("the longest recovery window", secret, with("uuid: {}", ", deletion: {recoveryWindowInDays: 30}")),
	Entry("a suspended secret", secret, with("uuid: {}", ", suspend: true")),
)

var _ = DescribeTable("Refused with a message that names the field and the remedy",
	func(kind, spec string, says ...string) {
		err := create(kind, "refused", spec)
		Expect(err).To(HaveOccurred())
		for _, text := range says {
			Expect(err.Error()).To(ContainSubstring(text))
		}
	},
	Entry("an alias without its prefix", key, "{aliases: [not-an-alias]}", "spec.aliases", "alias/shop"),
	Entry("an alias with a bad character", key, "{aliases: ['alias/a b']}", "spec.aliases", "alias/shop"),
	Entry("an alias that is too long", key, "{aliases: [alias/"+strings.Repeat("x", 251)+"]}", "spec.aliases[0]", "256"),
	Entry("an alias twice", key, "{aliases: [alias/a, alias/a]}", "spec.aliases[1]", "Duplicate"),
	Entry("AWS's own alias on another key", key, "{aliases: [alias/aws/secretsmanager]}", "spec.aliases", "choose another alias"),
	Entry("a description of a key that is too long", key, "{description: "+strings.Repeat("x", 8193)+"}", "spec.description", "8192"),
	Entry("a rotation period that is too short", key, "{rotation: {enabled: true, periodInDays: 89}}", "spec.rotation.periodInDays", "90"),
	Entry("a rotation period that is too long", key, "{rotation: {enabled: true, periodInDays: 2561}}", "spec.rotation.periodInDays", "2560"),
	Entry("a rotation period without rotation", key, "{rotation: {enabled: false, periodInDays: 90}}", "spec.rotation.periodInDays", "set enabled to true"),
	Entry("rotation without a word", key, "{rotation: {}}", "spec.rotation.enabled", "Required"),
	Entry("a waiting period that is too short", key, "{deletion: {pendingWindowInDays: 6}}", "spec.deletion.pendingWindowInDays", "7"),
	Entry("a waiting period that is too long", key, "{deletion: {pendingWindowInDays: 31}}", "spec.deletion.pendingWindowInDays", "30"),
	Entry("a key type that is not there", key, signing("SM2", ""), "spec.keySpec", "SYMMETRIC_DEFAULT"),
	Entry("a usage that is not there", key, "{keyUsage: WRAP_UNWRAP}", "spec.keyUsage", "ENCRYPT_DECRYPT"),
	Entry("a key of ML-KEM-512, which Strongroom has not", key, "{keySpec: ML_KEM_512, keyUsage: ENCAPSULATE_DECAPSULATE}", "spec.keySpec", "ML_KEM_768"),
	Entry("an asymmetric key without its usage", key, "{keySpec: RSA_2048}", "spec.keyUsage", "set keyUsage to ENCRYPT_DECRYPT or SIGN_VERIFY"),
	Entry("a key on a curve that encrypts", key, "{keySpec: ECC_NIST_P256, keyUsage: ENCRYPT_DECRYPT}", "spec.keyUsage", "set keyUsage to SIGN_VERIFY or KEY_AGREEMENT"),
	Entry("a symmetric key that signs", key, "{keyUsage: SIGN_VERIFY}", "spec.keyUsage", "ECC_NIST_P256"),
	Entry("an asymmetric key that rotates", key, signing("RSA_2048", ", rotation: {enabled: true}"), "spec.rotation", "leave rotation out"),
	Entry("a field of a key that does not exist", key, "{rotations: {}}", "spec.rotations", "unknown field"),

	Entry("an HSMCluster without a spec", hsm, "", "spec", "Required"),
	Entry("an HSMCluster without a size", hsm, "{softHSM: {}}", "spec.size", "Required"),
	Entry("an HSMCluster of fewer than no nodes", hsm, "{size: -1, softHSM: {}}", "spec.size", "0"),
	Entry("a custom key store without a name", hsm, "{size: 1, softHSM: {}, customKeyStore: {connected: true}}", "spec.customKeyStore.name", "Required"),
	Entry("an HSMCluster of too many nodes", hsm, "{size: 11, softHSM: {}}", "spec.size", "10"),
	Entry("an HSMCluster of no module", hsm, "{size: 1}", "exactly one of softHSM and pkcs11"),
	Entry("an HSMCluster of two modules", hsm, "{size: 1, softHSM: {}, pkcs11: "+aModule+"}", "exactly one of softHSM and pkcs11"),
	Entry("a mode that is not there", hsm, "{size: 1, softHSM: {}, mode: fips}", "spec.mode", "NON_FIPS"),
	Entry("a library that is no path", hsm, "{size: 1, pkcs11: {library: lib.so, tokenLabel: t, pinSecretRef: {name: p, key: k}}}", "spec.pkcs11.library", "absolute path"),
	Entry("a module without a PIN", hsm, "{size: 1, pkcs11: {library: /lib.so, tokenLabel: t}}", "spec.pkcs11.pinSecretRef", "Required"),
	Entry("a quorum, which is not there yet", hsm, "{size: 1, softHSM: {}, quorum: {approvals: 2}}", "spec.quorum", "unknown field"),
	Entry("a backup, which is not there yet", hsm, "{size: 1, softHSM: {}, backup: {retention: 7}}", "spec.backup", "unknown field"),
	Entry("an origin without a key store", key, "{origin: AWS_CLOUDHSM}", "spec.customKeyStoreRef", "go together"),
	Entry("a key store without an origin", key, "{customKeyStoreRef: {name: a}}", "spec.customKeyStoreRef", "go together"),
	Entry("a key store of Strongroom's own keys", key, "{origin: AWS_KMS, customKeyStoreRef: {name: a}}", "spec.customKeyStoreRef", "go together"),
	Entry("rotation in a key store", key, "{origin: AWS_CLOUDHSM, customKeyStoreRef: {name: a}, rotation: {enabled: true}}", "spec.rotation", "not rotated"),
	Entry("an origin that is not there", key, "{origin: EXTERNAL_KEY_STORE}", "spec.origin", "AWS_CLOUDHSM"),

	Entry("no spec", secret, "", "spec", "Required"),
	Entry("two sources of a value", secret, "{generate: {uuid: {}}, valueFrom: {secretKeyRef: {name: a, key: b}}}", "at most one of"),
	Entry("no generator", secret, "{generate: {}}", "spec.generate", "exactly one of"),
	Entry("two generators", secret, with("uuid: {}, bytes: {}", ""), "spec.generate", "exactly one of"),
	Entry("a password that is too long", secret, password("length: 4097"), "spec.generate.password.length", "4096"),
	Entry("a password of no length", secret, password("length: -1"), "spec.generate.password.length", "1"),
	Entry("a password too short for its types", secret, password("length: 3"), "spec.generate.password.length", "requireEachIncludedType"),
	Entry("a password of nothing", secret, password("excludeLowercase: true, excludeUppercase: true, excludeNumbers: true, excludePunctuation: true"), "spec.generate.password", "leave at least one"),
	Entry("too many excluded characters", secret, password("excludeCharacters: "+strings.Repeat("x", 4097)), "excludeCharacters", "4096"),
	Entry("JSON without a key", secret, with("json: {template: '{}'}", ""), "spec.generate.json.key", "Required"),
	Entry("JSON without a template", secret, with("json: {key: a}", ""), "spec.generate.json.template", "Required"),
	Entry("a JSON template that is too long", secret, with("json: {key: a, template: '"+strings.Repeat("x", 16385)+"'}", ""), "spec.generate.json.template", "16384"),
	Entry("too many bytes", secret, with("bytes: {length: 4097}", ""), "spec.generate.bytes.length", "4096"),
	Entry("an encoding that is not there", secret, with("bytes: {encoding: Base32}", ""), "spec.generate.bytes.encoding", "Base64URL"),
	Entry("a plaintext", secret, "{value: hunter2}", "spec.value", "unknown field"),
	Entry("an import without a key", secret, "{valueFrom: {secretKeyRef: {name: a}}}", "spec.valueFrom.secretKeyRef.key", "Required"),
	Entry("an import of a bad key", secret, "{valueFrom: {secretKeyRef: {name: a, key: 'a b'}}}", "spec.valueFrom.secretKeyRef.key"),
	Entry("an import policy that is not there", secret, "{valueFrom: {secretKeyRef: {name: a, key: b}, policy: Always}}", "spec.valueFrom.policy", "Follow"),
	Entry("an imported secret with rotation", secret, "{valueFrom: {secretKeyRef: {name: a, key: b}}, rotation: {schedule: rate(1 days)}}", "spec.rotation", "remove rotation"),
	Entry("a bad AWS name", secret, with("uuid: {}", ", name: 'a b'"), "spec.name"),
	Entry("an AWS name that is too long", secret, with("uuid: {}", ", name: "+strings.Repeat(long, 8)+"x"), "spec.name", "512"),
	Entry("a description that is too long", secret, with("uuid: {}", ", description: "+strings.Repeat("x", 2049)), "spec.description", "2048"),
	Entry("a schedule of another kind", secret, rotation("schedule: every day"), "spec.rotation.schedule", "rate(30 days)"),
	Entry("a rate in minutes", secret, rotation("schedule: rate(5 minutes)"), "spec.rotation.schedule", "rate(N hours)"),
	Entry("a rate of nothing", secret, rotation("schedule: rate(0 days)"), "spec.rotation.schedule"),
	Entry("a schedule that is too long", secret, rotation("schedule: cron("+strings.Repeat("x", 256)+")"), "spec.rotation.schedule", "256"),
	Entry("a window of no length", secret, rotation("schedule: rate(1 days), duration: 0h"), "spec.rotation.duration", "1h to 24h"),
	Entry("a window of over a day", secret, rotation("schedule: rate(1 days), duration: 25h"), "spec.rotation.duration", "1h to 24h"),
	Entry("a window in minutes", secret, rotation("schedule: rate(1 days), duration: 90m"), "spec.rotation.duration", "whole number of hours"),
	Entry("a target's name that is none", secret, target("name: Shop_DB"), "spec.target.name", "lower-case"),
	Entry("a policy that is not there", secret, target("creationPolicy: Orphan"), "spec.target.creationPolicy", "Merge"),
	Entry("a merge with a type", secret, target("creationPolicy: Merge, type: Opaque"), "spec.target.type", "remove type"),
	Entry("a label's value that is none", secret, target("metadata: {labels: {a: 'a b'}}"), "spec.target.metadata.labels.a", "should match"),
	Entry("a label's value that is too long", secret, target("metadata: {labels: {a: "+strings.Repeat("x", 64)+"}}"), "spec.target.metadata.labels.a", "63"),
	Entry("an annotation's value that is too long", secret, target("metadata: {annotations: {a: "+strings.Repeat("x", 1025)+"}}"), "spec.target.metadata.annotations.a", "1024"),
	Entry("metadata of nothing", secret, target("metadata: {}"), "spec.target.metadata", "at least 1"),
	Entry("an empty template", secret, target("template: {data: {}}"), "spec.target.template.data", "at least 1"),
	Entry("a template with a bad key", secret, target("template: {data: {'a b': x}}"), "spec.target.template.data", "letters, digits"),
	Entry("a template that is too long", secret, target("template: {data: {a: '"+strings.Repeat("x", 16385)+"'}}"), "spec.target.template.data", "16384"),
	Entry("a restart of nothing", secret, target("restart: [{kind: Deployment}]"), "spec.target.restart[0]", "exactly one of"),
	Entry("a restart by name and selector", secret, target("restart: [{kind: Deployment, name: a, selector: {}}]"), "spec.target.restart[0]", "exactly one of"),
	Entry("a restart of a kind that cannot be", secret, target("restart: [{kind: Pod, name: a}]"), "spec.target.restart[0].kind", "StatefulSet"),
	Entry("a recovery window that is too short", secret, with("uuid: {}", ", deletion: {recoveryWindowInDays: 6}"), "spec.deletion.recoveryWindowInDays", "7"),
	Entry("a recovery window that is too long", secret, with("uuid: {}", ", deletion: {recoveryWindowInDays: 31}"), "spec.deletion.recoveryWindowInDays", "30"),
)

var _ = Describe("A change", func() {
	DescribeTable("of what cannot change is refused", func(kind, before, after, says string) {
		o := object(kind, "immutable", before)
		Expect(strict.Create(ctx, o)).To(Succeed())
		DeferCleanup(func() { Expect(cp.Client.Delete(ctx, o)).To(Succeed()) })
		changed := object(kind, "immutable", after)
		changed.SetResourceVersion(o.GetResourceVersion())
		Expect(strict.Update(ctx, changed)).To(MatchError(ContainSubstring(says)))
	},
		Entry("the AWS name", secret, with("uuid: {}", ", name: a"), with("uuid: {}", ", name: b"), "spec.name"),
		Entry("the AWS name that is taken away", secret, with("uuid: {}", ", name: a"), with("uuid: {}", ""), "cannot be changed"),
		Entry("the AWS name that is set late", secret, with("uuid: {}", ""), with("uuid: {}", ", name: a"), "cannot be changed"),
	)

	It("of a key's spec to the same in other words is accepted", func() {
		o := object(key, "worded", "{}")
		Expect(strict.Create(ctx, o)).To(Succeed())
		changed := object(key, "worded", "{keySpec: SYMMETRIC_DEFAULT}")
		changed.SetResourceVersion(o.GetResourceVersion())
		Expect(strict.Update(ctx, changed)).To(Succeed())
	})

	It("of generator, rotation and target is accepted", func() {
		o := object(secret, "mutable", with("uuid: {}", ", name: a"))
		Expect(strict.Create(ctx, o)).To(Succeed())
		changed := object(secret, "mutable", with("bytes: {}", ", name: a, rotation: {schedule: rate(1 days)}, target: {}"))
		changed.SetResourceVersion(o.GetResourceVersion())
		Expect(strict.Update(ctx, changed)).To(Succeed())
	})
})

var _ = Describe("An Envelope", func() {
	const spec = "{class: SecretVersion, owner: {kind: Secret, name: a}, subject: arn, version: v, sequence: 1, " +
		"createdTime: '2026-11-24T12:00:00Z', keyArn: k, ciphertext: QUJD}"

	It("cannot be changed", func() {
		o := object("Envelope", "envelope", spec)
		Expect(strict.Create(ctx, o)).To(Succeed())
		Expect(unstructured.SetNestedField(o.Object, "QUJE", "spec", "ciphertext")).To(Succeed())
		Expect(strict.Update(ctx, o)).To(MatchError(ContainSubstring("immutable")))
	})

	DescribeTable("is refused", func(before, after string) {
		Expect(create("Envelope", "refused", strings.Replace(spec, before, after, 1))).NotTo(Succeed())
	},
		Entry("of another class", "SecretVersion", "Other"),
		Entry("without ciphertext", ", ciphertext: QUJD", ""),
		Entry("with an empty ciphertext", "QUJD", "''"),
		Entry("with a negative sequence", "sequence: 1", "sequence: -1"),
		Entry("without an owner", "owner: {kind: Secret, name: a}, ", ""),
	)
})

var _ = Describe("What the API server shows", func() {
	It("of a new object is a status that is honest before any controller has seen it", func() {
		s := &v1alpha1.Secret{}
		o := object(secret, "fresh", with("uuid: {}", ""))
		Expect(strict.Create(ctx, o)).To(Succeed())
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(o), s)).To(Succeed())
		Expect(s.Status.ObservedGeneration).To(Equal(int64(-1)))
		Expect(meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionUnknown))
		Expect(meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReconciling)).To(BeTrue())
	})

	It("of a spec is what the user wrote, without a default added", func() {
		for kind, spec := range map[string]string{
			key: "{rotation: {enabled: true}}", secret: with("password: {}", ", rotation: {schedule: rate(1 days)}, target: {template: {data: {a: b}}}"),
		} {
			o := object(kind, "undefaulted", spec)
			wrote, err := json.Marshal(o.Object["spec"])
			Expect(err).NotTo(HaveOccurred())
			Expect(strict.Create(ctx, o)).To(Succeed())
			read, err := json.Marshal(o.Object["spec"])
			Expect(err).NotTo(HaveOccurred())
			Expect(string(read)).To(Equal(string(wrote)))
		}
	})

	It("applied twice is changed once", func() {
		o := object(secret, "applied", with("uuid: {}", ""))
		apply := func() string {
			applied := o.DeepCopy()
			Expect(cp.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(applied), client.FieldOwner("test"))).To(Succeed())
			return applied.GetResourceVersion()
		}
		apply()
		// The second apply stores the default of status, if no controller has written one yet. From then on:
		Expect(apply()).To(Equal(apply()))
	})

	It("in discovery has the short names and the category, and Envelopes are not in it", func() {
		resources, err := discovery.NewDiscoveryClientForConfigOrDie(cp.Config).ServerResourcesForGroupVersion("strongroom.dev/v1alpha1")
		Expect(err).NotTo(HaveOccurred())
		found := map[string]metav1.APIResource{}
		for _, r := range resources.APIResources {
			found[r.Name] = r
		}
		Expect(found["secrets"].ShortNames).To(ConsistOf("sms"))
		Expect(found["kmskeys"].ShortNames).To(ConsistOf("kmskey"))
		Expect(found["secrets"].Categories).To(ConsistOf("strongroom"))
		Expect(found["kmskeys"].Categories).To(ConsistOf("strongroom"))
		Expect(found["envelopes"].Categories).To(BeEmpty())
	})

	It("can be selected by key and by target", func() {
		o := object(secret, "selected", with("uuid: {}", ", kmsKeyRef: {name: k1}, target: {name: t1}"))
		Expect(strict.Create(ctx, o)).To(Succeed())
		for _, field := range []client.MatchingFields{{"spec.kmsKeyRef.name": "k1"}, {"spec.target.name": "t1"}} {
			var list v1alpha1.SecretList
			Expect(cp.Client.List(ctx, &list, field)).To(Succeed())
			Expect(list.Items).To(HaveLen(1))
		}
	})
})

var _ = Describe("The samples", func() {
	It("are all accepted", func() {
		files, err := filepath.Glob(filepath.Join(environment.Root(), "config", "samples", "*.yaml"))
		Expect(err).NotTo(HaveOccurred())
		Expect(len(files)).To(BeNumerically(">=", 3))
		Expect(cp.Namespace(ctx, "shop", nil)).To(Succeed())
		for _, file := range files {
			text, err := os.ReadFile(file)
			Expect(err).NotTo(HaveOccurred())
			decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
			for {
				o := &unstructured.Unstructured{Object: map[string]any{}}
				if err := decoder.Decode(&o.Object); errors.Is(err, io.EOF) {
					break
				} else {
					Expect(err).NotTo(HaveOccurred(), file)
				}
				if o.GetKind() == "Namespace" {
					continue
				}
				if o.GetNamespace() == "" {
					o.SetNamespace("default")
				}
				Expect(strict.Create(ctx, o, client.DryRunAll)).To(Succeed(), file+" "+o.GetName())
			}
		}
	})
})
