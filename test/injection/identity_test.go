package injection_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

// documented are the manifests of docs/pods.md, a list for each block.
func documented() [][]*unstructured.Unstructured {
	GinkgoHelper()
	text, err := os.ReadFile(filepath.Join(environment.Root(), "docs", "pods.md"))
	Expect(err).NotTo(HaveOccurred())
	var out [][]*unstructured.Unstructured
	for _, part := range strings.Split(string(text), "```yaml\n")[1:] {
		block, _, ok := strings.Cut(part, "```\n")
		Expect(ok).To(BeTrue())
		out = append(out, parse([]byte(block)))
	}
	return out
}

// container is what a process of a pod sees: its variables and its files.
type container struct {
	env   map[string]string
	files map[string][]byte
}

// start does what the kubelet does with a pod's first container, and fails as it does while a ConfigMap or a key is missing.
func start(g Gomega, p *corev1.Pod) container {
	c := container{env: map[string]string{}, files: map[string][]byte{}}
	config := &corev1.ConfigMap{}
	value := func(name, key string) string {
		g.Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: p.Namespace, Name: name}, config)).To(Succeed())
		g.Expect(config.Data).To(HaveKey(key))
		return config.Data[key]
	}
	for _, e := range p.Spec.Containers[0].Env {
		v := e.Value
		for name, known := range c.env {
			v = strings.ReplaceAll(v, "$("+name+")", known)
		}
		if e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil {
			v = value(e.ValueFrom.ConfigMapKeyRef.Name, e.ValueFrom.ConfigMapKeyRef.Key)
		}
		if e.ValueFrom != nil && e.ValueFrom.FieldRef != nil {
			g.Expect(e.ValueFrom.FieldRef.FieldPath).To(Equal("metadata.name"))
			v = p.Name
		}
		c.env[e.Name] = v
	}
	at := p.Spec.Containers[0].VolumeMounts[0].MountPath + "/"
	for _, source := range p.Spec.Volumes[0].Projected.Sources {
		if t := source.ServiceAccountToken; t != nil {
			token, err := cp.Token(ctx, p.Namespace, p.Spec.ServiceAccountName, t.Audience)
			g.Expect(err).NotTo(HaveOccurred())
			c.files[at+t.Path] = []byte(token)
		}
		if m := source.ConfigMap; m != nil {
			c.files[at+m.Items[0].Path] = []byte(value(m.Name, m.Items[0].Key))
		}
	}
	return c
}

// http is the client of an SDK in the container. Only its dialling knows better: there is no Service here.
func (c container) http(gateway net.Addr) *http.Client {
	GinkgoHelper()
	pool := x509.NewCertPool()
	Expect(pool.AppendCertsFromPEM(c.files[c.env["AWS_CA_BUNDLE"]])).To(BeTrue())
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			Expect(address).To(Equal("strongroom-gateway.strongroom-system.svc:443"))
			return (&net.Dialer{}).DialContext(ctx, "tcp", gateway.String())
		},
	}}
}

// assume is what SDKs do first.
func (c container) assume(web *http.Client) (aws.Credentials, error) {
	out, err := sts.New(sts.Options{
		Region: c.env["AWS_REGION"], BaseEndpoint: aws.String(c.env["AWS_ENDPOINT_URL"]), HTTPClient: web, RetryMaxAttempts: 1,
	}).AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String(c.env["AWS_ROLE_ARN"]), RoleSessionName: aws.String(c.env["AWS_ROLE_SESSION_NAME"]),
		WebIdentityToken: aws.String(string(c.files[c.env["AWS_WEB_IDENTITY_TOKEN_FILE"]])),
	})
	if err != nil {
		return aws.Credentials{}, err
	}
	return aws.Credentials{
		AccessKeyID: *out.Credentials.AccessKeyId, SecretAccessKey: *out.Credentials.SecretAccessKey, SessionToken: *out.Credentials.SessionToken,
	}, nil
}

func (c container) read(web *http.Client, as aws.Credentials, id string) (string, error) {
	out, err := secretsmanager.New(secretsmanager.Options{
		Region: c.env["AWS_REGION"], BaseEndpoint: aws.String(c.env["AWS_ENDPOINT_URL"]), HTTPClient: web, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return as, nil }),
	}).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
	if err != nil {
		return "", err
	}
	return *out.SecretString, nil
}

// serve runs a whole operator with a gateway, with the manager's own rights and no others.
func serve() net.Addr {
	GinkgoHelper()
	for _, file := range []string{"service_account.yaml", "role.yaml", "role_binding.yaml"} {
		apply(read("config", "rbac", file))
	}
	cfg := rest.CopyConfig(cp.Config)
	cfg.Impersonate.UserName = "system:serviceaccount:strongroom-system:strongroom-manager"
	op, err := environment.RunOperator(ctx, cfg, operator.Options{
		GatewayBindAddress: "127.0.0.1:0", AuditLog: filepath.Join(GinkgoT().TempDir(), "audit.log"),
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(op.Stop)
	Eventually(op.Gateway.Bound).ShouldNot(BeNil())
	return op.Gateway.Bound()
}

var _ = Describe("The documented pod", func() {
	It("is its role at the gateway with what it gets and no more, whether pod or role comes first", func() {
		gateway := serve()
		Expect(cp.Namespace(ctx, "shop", nil)).To(Succeed())
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop"}}
		Expect(cp.Client.Create(ctx, account)).To(Succeed())
		for name, secret := range map[string]string{"own": "prod/shop/db", "other": "prod/bank/db"} {
			s := environment.Secret("shop", name, func(s *v1alpha1.Secret) {
				s.Spec.Name, s.Spec.KMSKeyRef = secret, nil // under the account's own key, which takes no right on KMS
			})
			Expect(cp.Client.Create(ctx, s)).To(Succeed())
		}

		manifests := documented()[0]
		Expect(manifests).To(HaveLen(2))
		apply(manifests[1:])
		p := &corev1.Pod{}
		Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: "shop", Name: "shop"}, p)).To(Succeed())
		apply(manifests[:1])

		var c container
		Eventually(func(g Gomega) { c = start(g, p) }).Should(Succeed())
		Expect(c.env).To(HaveKeyWithValue("AWS_ROLE_ARN", "arn:aws:iam::"+arn.DeriveAccount("shop")+":role/shop"))
		web := c.http(gateway)
		DeferCleanup(web.CloseIdleConnections)
		var as aws.Credentials
		Eventually(func() (err error) { as, err = c.assume(web); return err }).Should(Succeed())
		Eventually(func() (string, error) { return c.read(web, as, "prod/shop/db") }).ShouldNot(BeEmpty())
		_, err := c.read(web, as, "prod/bank/db")
		Expect(err).To(MatchError(ContainSubstring("AccessDeniedException")))

		By("healing what pods read")
		bundle := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: v1alpha1.GatewayConfigMap}}
		Expect(cp.Client.Delete(ctx, bundle)).To(Succeed())
		Eventually(func(g Gomega) { g.Expect(start(g, p).env).To(Equal(c.env)) }).Should(Succeed())

		By("refusing a role of a name that there is none of")
		p.ObjectMeta = metav1.ObjectMeta{Namespace: "shop", Name: "stranger", Labels: p.Labels, Annotations: map[string]string{v1alpha1.RoleAnnotation: "none"}}
		p.Spec = corev1.PodSpec{ServiceAccountName: "shop", Containers: []corev1.Container{{Name: "app", Image: "shop"}}}
		create(p)
		_, err = start(Default, p).assume(web)
		Expect(err).To(MatchError(ContainSubstring("AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity")))
	})

	It("by hand has what the policy would give it", func() {
		Expect(client.IgnoreAlreadyExists(cp.Namespace(ctx, "shop", nil))).To(Succeed())
		apply(documented()[1])
		p := &corev1.Pod{}
		Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: "shop", Name: "by-hand"}, p)).To(Succeed())
		Expect(p.Spec.Containers[0].Env).To(Equal(injected(ownRole + "shop")))
		Expect(p.Spec.Containers[0].VolumeMounts).To(Equal([]corev1.VolumeMount{mount}))
		Expect(p.Spec.Volumes).To(Equal([]corev1.Volume{volume}))
	})
})
