package bench

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/gateway/serving"
	"strongroom.dev/strongroom/test/environment"
)

var (
	manyKeys     = flag.Int("bench-keys", 10_000, "keys of the gateway's second measurement")
	manySecrets  = flag.Int("bench-secrets", 10_000, "secrets of the gateway's second measurement")
	manyPolicies = flag.Int("bench-policies", 1000, "managed policies of the gateway's third measurement")
	each         = flag.Duration("bench-time", 3*time.Second, "how long each operation of the gateway is measured")
	only         = flag.String("bench-operations", "", "regular expression of the operations of the gateway that are measured, all if empty")
	profile      = flag.String("bench-profile", "", "folder for CPU and allocation profiles of the gateway, one of each measurement")
)

const (
	gatewayAccount = "default"
	// realObjects of a kind are made by the API server and controllers, and asked for by the requests. The rest, up to the
	// numbers of the table, is in the gateway's cache alone: on these paths nobody asks the API server, which would take hours.
	realObjects = 10
	fewSecrets  = 100
)

// operations that are measured. The plaintexts, data keys, messages and secrets have 64 bytes, where 4KiB does not follow.
// Sign and its like are followed by the spec of the key, GenerateDataKeyPair by that of the pair.
// GetParameter is followed by the type of the parameter, GetParametersByPath by that of the ten which it answers. All of them ask the API server nothing.
var operations = []string{
	"Encrypt", "Decrypt", "GenerateDataKey", "GetSecretValue", "GetParameter String", "GetParameter SecureString", "GetParametersByPath String",
	"Sign ECC_NIST_P256", "Sign RSA_2048", "Verify ECC_NIST_P256", "Verify RSA_2048", "GenerateMac HMAC_256", "VerifyMac HMAC_256",
	"Encrypt 4KiB", "Decrypt 4KiB", "GenerateDataKeyPair ECC_NIST_P256", "GenerateDataKeyPair RSA_2048",
}

// issuing is measured apart, for each certificate is written down before it is answered.
const issuing = "IssueCertificate"

// algorithms are those that are measured, by the specs of keys that sign or make codes.
var algorithms = map[v1alpha1.KeySpec]string{
	v1alpha1.KeySpecECCNISTP256: "ECDSA_SHA_256", v1alpha1.KeySpecRSA2048: "RSASSA_PKCS1_V1_5_SHA_256", v1alpha1.KeySpecHMAC256: "HMAC_SHA_256",
}

// gatewayBench is a gateway with an account to measure.
type gatewayBench struct {
	*bench
	gateway, bare *peer
	floor         *peer // a bare server that does what no gateway can leave out
	user          signer
	keys          []string                    // ids
	specKeys      map[v1alpha1.KeySpec]string // ids
	// ciphertexts are one of each key, by the operation that opens it, and signatures those of the message, codes among them, by the spec of the key; in base64.
	ciphertexts map[string][]string
	signatures  map[v1alpha1.KeySpec]string
	// authority is the ARN of a root with a software key of P-256, and csr a request to it in base64.
	authority, csr string
}

// TestGateway measures what a request to the gateway costs, with TLS, signatures, policies and audit, beside a bare server.
func TestGateway(t *testing.T) {
	if *objects == 0 { // does the harness work?
		*manyKeys, *manySecrets, *manyPolicies, *each = 20, 200, 20, 200*time.Millisecond
	}
	g := &gatewayBench{bench: start(t)}
	g.gateway = g.spawn("TestGatewayProcess", "-bench-gateway="+g.config, "-bench-audit="+filepath.Join(g.dir, "trail.log"))
	g.account()
	g.gateway.trust = g.bundle()
	g.bare = g.spawn("TestBareProcess", "-bench-bare="+bareUser.secret)
	g.floor = g.spawn("TestBareProcess", "-bench-bare="+bareUser.secret, "-bench-least="+filepath.Join(g.dir, "floor.log"))
	g.onceBefore()
	g.gateway.command("fill secrets %d", fewSecrets)
	offset := g.auditOffset()
	served := 0
	few := fmt.Sprintf("%d keys, %d secrets, %d policies", realObjects, fewSecrets, realObjects)
	base := map[string]cost{}
	measured := chosen()
	for _, operation := range measured {
		bare := g.measure(g.bare, bareUser, operation, "bare")
		base[operation] = g.measure(g.gateway, g.user, operation, few)
		g.row(operation, few, base[operation], bare)
		if opened[operation] > 0 {
			floor := g.measure(g.floor, bareUser, operation, "floor")
			g.add(operation+", what no gateway can leave out", "%s, and the gateway %.2f of it", floor, base[operation].cpu/floor.cpu)
		}
		served += base[operation].requests
	}
	if *only != "" { // to look at these, and at nothing else
		g.noRequests(offset, served)
		g.print()
		return
	}
	for _, more := range []struct {
		fill       string
		to         int
		operations []string
	}{
		{"keys", *manyKeys, operations[:3]},
		{"secrets", *manySecrets, operations[3:4]},
		{"policies", *manyPolicies, []string{"Encrypt", "GetSecretValue"}},
	} {
		g.gateway.command("fill %s %d", more.fill, more.to)
		for _, operation := range more.operations {
			what := fmt.Sprintf("%d %s", more.to, more.fill)
			many := g.measure(g.gateway, g.user, operation, what)
			g.add(fmt.Sprintf("%s, %s", operation, what), "%s, %.2f of the first", many, many.cpu/base[operation].cpu)
			served += many.requests
		}
	}
	g.noRequests(offset, served)
	bare := g.measure(g.bare, bareUser, issuing, "bare")
	g.row(issuing+" ECC_NIST_P256", "written to the API server", g.measure(g.gateway, g.user, issuing, "issuing"), bare)
	g.print()
}

// chosen are the operations that are asked for.
func chosen() []string {
	wanted := regexp.MustCompile(*only)
	return slices.DeleteFunc(slices.Clone(operations), func(name string) bool { return !wanted.MatchString(name) })
}

// row adds a measurement beside the bare server's, and beside what the operation's primitive costs in the gateway's process.
func (g *gatewayBench) row(operation, what string, c, bare cost) {
	text := fmt.Sprintf("%s, %.2f of the bare server's %.1f µs", c, c.cpu/bare.cpu, bare.cpu)
	if primitive := g.gateway.primitive(operation); primitive > 0 {
		text += fmt.Sprintf(", %.2f of the primitive's %.2f µs", c.cpu/primitive, primitive)
	}
	g.add(fmt.Sprintf("%s, %s", operation, what), "%s", text)
}

// noRequests fails the test if the gateway has asked the API server anything while it was measured. The hourly note of when a key was used last, which begins at a random time, is no request's: one of each key is left out.
func (g *gatewayBench) noRequests(offset int64, served int) {
	time.Sleep(time.Second) // the log is written a little later
	noted := map[string]bool{}
	counts := slices.DeleteFunc(g.auditedAll(offset), func(e auditEvent) bool {
		first := !noted[e.RequestURI] && e.ObjectRef.Resource == "kmskeys" && e.ObjectRef.Subresource == "status"
		noted[e.RequestURI] = true
		return first
	})
	g.add(fmt.Sprintf("API-server requests while %d were served", served), "%d", len(counts))
	if len(counts) > 0 {
		g.t.Errorf("the gateway asked the API server: %v", counts)
	}
}

// account makes a user, whose ten policies allow everything together, and what the user asks for.
func (g *gatewayBench) account() {
	g.create(environment.KMSKey(gatewayAccount, "key"))
	for i := range realObjects {
		key := environment.KMSKey(gatewayAccount, fmt.Sprintf("key-%d", i))
		g.create(key)
		g.keys = append(g.keys, key.Status.KeyID)
		g.create(environment.Secret(gatewayAccount, secretName(i), func(s *v1alpha1.Secret) {
			s.Spec.Generate.Password.Length = 64
		}))
	}
	g.specKeys = map[v1alpha1.KeySpec]string{}
	for spec := range algorithms {
		key := environment.KMSKey(gatewayAccount, strings.ToLower(strings.ReplaceAll(string(spec), "_", "-")), func(k *v1alpha1.KMSKey) {
			k.Spec.KeySpec, k.Spec.KeyUsage = spec, v1alpha1.KeyUsageSignVerify
			if spec == v1alpha1.KeySpecHMAC256 {
				k.Spec.KeyUsage = v1alpha1.KeyUsageGenerateVerifyMac
			}
		})
		g.create(key)
		g.specKeys[spec] = key.Status.KeyID
	}
	g.parameters()
	g.issuer()
	g.caller()
}

// caller makes the user who asks.
func (g *gatewayBench) caller() {
	user := &v1alpha1.IAMUser{ObjectMeta: metav1.ObjectMeta{Namespace: gatewayAccount, Name: "bench"}}
	user.Spec.AccessKeys = []v1alpha1.AccessKey{{Name: "main"}}
	for i := range realObjects {
		policy := &v1alpha1.IAMPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: gatewayAccount, Name: fmt.Sprintf("policy-%d", i)}}
		policy.Spec.Document.Raw = document(i)
		g.create(policy)
		user.Spec.ManagedPolicyARNs = append(user.Spec.ManagedPolicyARNs,
			fmt.Sprintf("arn:aws:iam::%s:policy/%s", arn.DeriveAccount(gatewayAccount), policy.Name))
	}
	g.create(user)
	var handed corev1.Secret
	g.must(g.client.Get(g.ctx, client.ObjectKey{Namespace: gatewayAccount, Name: "bench-main"}, &handed))
	g.user = signer{id: string(handed.Data["AWS_ACCESS_KEY_ID"]), secret: string(handed.Data["AWS_SECRET_ACCESS_KEY"])}
}

// parameters makes the parameters that are read: of each type as many as there are secrets.
func (g *gatewayBench) parameters() {
	for i := range realObjects {
		g.create(environment.Parameter(gatewayAccount, parameterName("String", i), func(p *v1alpha1.Parameter) {
			p.Spec = v1alpha1.ParameterSpec{Type: v1alpha1.ParameterString, Value: strings.Repeat("strong64", 8)}
		}))
		g.create(environment.Parameter(gatewayAccount, fmt.Sprintf("path-%d", i), func(p *v1alpha1.Parameter) {
			p.Spec = v1alpha1.ParameterSpec{Name: fmt.Sprintf("/shop/app/%d", i), Type: v1alpha1.ParameterString, Value: strings.Repeat("strong64", 8)}
		}))
		g.create(environment.Parameter(gatewayAccount, parameterName("SecureString", i), func(p *v1alpha1.Parameter) {
			p.Spec = v1alpha1.ParameterSpec{Type: v1alpha1.ParameterSecureString, Generate: &v1alpha1.SecretGenerator{
				Password: &v1alpha1.PasswordGenerator{Length: 64},
			}}
		}))
	}
}

func parameterName(kind string, i int) string { return fmt.Sprintf("%s-%d", strings.ToLower(kind), i) }

// issuer makes the authority that issues, and a request to it.
func (g *gatewayBench) issuer() {
	authority := benchAuthority(gatewayAccount)
	g.create(authority)
	g.authority = authority.Status.ARN
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	g.must(err)
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "shop.example.com"}}, key)
	g.must(err)
	g.csr = base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}))
}

func secretName(i int) string { return fmt.Sprintf("secret-%d", i) }

// document is a policy's. Only the last one allows what is measured.
func document(i int) []byte {
	action, resource := fmt.Sprintf("kms:Describe%d*", i), fmt.Sprintf("arn:aws:kms:*:*:key/team-%d-*", i)
	if i == realObjects-1 {
		action, resource = `kms:*","secretsmanager:*","ssm:*","acm-pca:*`, "*"
	}
	return fmt.Appendf(nil, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["%s"],"Resource":"%s"},`+
		`{"Effect":"Deny","Action":"s3:Delete%d*","Resource":"*","Condition":{"StringLike":{"aws:PrincipalArn":"*/other"}}}]}`,
		action, resource, i)
}

// create makes an object and waits until it is ready.
func (g *gatewayBench) create(obj conditioned) {
	g.t.Helper()
	g.must(g.client.Create(g.ctx, obj))
	g.eventually(time.Minute, func() bool {
		g.must(g.client.Get(g.ctx, client.ObjectKeyFromObject(obj), obj))
		return meta.IsStatusConditionTrue(obj.GetConditions(), v1alpha1.ConditionReady)
	})
}

// bundle is the authority that the gateway has published.
func (g *gatewayBench) bundle() []byte {
	var published corev1.ConfigMap
	name := client.ObjectKey{Namespace: environment.OperatorNamespace, Name: serving.BundleConfigMapName}
	g.must(g.client.Get(g.ctx, name, &published))
	return []byte(published.Data[serving.BundleKey])
}

// onceBefore makes what is opened and verified when that is measured.
func (g *gatewayBench) onceBefore() {
	c := g.dial(g.gateway)
	defer c.Close()
	g.ciphertexts, g.signatures = map[string][]string{}, map[v1alpha1.KeySpec]string{}
	for encrypts, opens := range map[string]string{"Encrypt": "Decrypt", "Encrypt 4KiB": "Decrypt 4KiB"} {
		for _, request := range g.requests64(g.gateway, g.user, encrypts) {
			var out struct{ CiphertextBlob string }
			g.must(json.Unmarshal(c.mustDo(g.bench, request), &out))
			g.ciphertexts[opens] = append(g.ciphertexts[opens], out.CiphertextBlob)
		}
	}
	for spec := range algorithms {
		operation := "Sign"
		if spec == v1alpha1.KeySpecHMAC256 {
			operation = "GenerateMac"
		}
		var out struct{ Signature, Mac string }
		g.must(json.Unmarshal(c.mustDo(g.bench, g.requests64(g.gateway, g.user, operation+" "+string(spec))[0]), &out))
		g.signatures[spec] = out.Signature + out.Mac
	}
}

// requests64 are signed requests of an operation, one of each object.
func (g *gatewayBench) requests64(to *peer, by signer, operation string) (out [][]byte) {
	for i := range realObjects {
		name, spec, _ := strings.Cut(operation, " ")
		service, body := "kms", g.ofKMS(operation, i)
		switch name {
		case "GetParameter":
			service, body = "ssm", fmt.Sprintf(`{"Name":%q,"WithDecryption":true}`, parameterName(spec, i))
		case "GetParametersByPath":
			service, body = "ssm", `{"Path":"/shop/app","WithDecryption":true}`
		case issuing:
			service = "acm-pca"
			body = fmt.Sprintf(`{"CertificateAuthorityArn":%q,"Csr":%q,"SigningAlgorithm":"SHA256WITHECDSA","Validity":{"Type":"DAYS","Value":30}}`,
				g.authority, g.csr)
		case "GetSecretValue":
			service, body = "secretsmanager", fmt.Sprintf(`{"SecretId":%q}`, secretName(i))
		}
		request, err := by.sign(to.address, service, name, body)
		g.must(err)
		out = append(out, request)
	}
	return out
}

// ofKMS is the body of a request to KMS about the ith object, empty for one to another service.
func (g *gatewayBench) ofKMS(operation string, i int) string {
	name, variant, _ := strings.Cut(operation, " ")
	plaintext, spec := base64.StdEncoding.EncodeToString(message), v1alpha1.KeySpec(variant)
	if variant == "4KiB" {
		plaintext = base64.StdEncoding.EncodeToString(large)
	}
	switch name {
	case "Encrypt":
		return fmt.Sprintf(`{"KeyId":%q,"Plaintext":%q,"EncryptionContext":{"app":"shop"}}`, g.keys[i], plaintext)
	case "Decrypt":
		return fmt.Sprintf(`{"CiphertextBlob":%q,"EncryptionContext":{"app":"shop"}}`, g.ciphertexts[operation][i])
	case "GenerateDataKey":
		return fmt.Sprintf(`{"KeyId":%q,"NumberOfBytes":64,"EncryptionContext":{"app":"shop"}}`, g.keys[i])
	case "GenerateDataKeyPair":
		return fmt.Sprintf(`{"KeyId":%q,"KeyPairSpec":%q,"EncryptionContext":{"app":"shop"}}`, g.keys[i], variant)
	case "Sign":
		return fmt.Sprintf(`{"KeyId":%q,"Message":%q,"SigningAlgorithm":%q}`, g.specKeys[spec], plaintext, algorithms[spec])
	case "Verify":
		return fmt.Sprintf(`{"KeyId":%q,"Message":%q,"SigningAlgorithm":%q,"Signature":%q}`, g.specKeys[spec], plaintext, algorithms[spec], g.signatures[spec])
	case "GenerateMac":
		return fmt.Sprintf(`{"KeyId":%q,"Message":%q,"MacAlgorithm":%q}`, g.specKeys[spec], plaintext, algorithms[spec])
	case "VerifyMac":
		return fmt.Sprintf(`{"KeyId":%q,"Message":%q,"MacAlgorithm":%q,"Mac":%q}`, g.specKeys[spec], plaintext, algorithms[spec], g.signatures[spec])
	}
	return ""
}
