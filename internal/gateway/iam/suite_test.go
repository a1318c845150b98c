package iam_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/smithy-go"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway/serving"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

func TestIAM(t *testing.T) {
	environment.Specs(t, "IAM operations")
}

const (
	namespace = "iam-api"
	account   = "210987654321"
	read      = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:Get*","Resource":"*"}]}`
	everybody = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`
)

var (
	ctx       = context.Background()
	cp        *environment.ControlPlane
	transport *http.Client
	endpoint  string
	admin     *sdk.Client
)

// The whole of it: the real manager with its controllers, its gateway over TLS, and the SDK's client.
var _ = BeforeSuite(func() {
	var err error
	cp, err = environment.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(cp.Stop()).To(Succeed()) })
	op, err := environment.RunOperator(ctx, cp.Config, operator.Options{
		GatewayBindAddress: "127.0.0.1:0", AuditLog: GinkgoT().TempDir() + "/audit.log", Now: time.Now,
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(op.Stop()).To(Succeed()) })
	Eventually(func() error { return op.Gateway.Ready(nil) }).Should(Succeed())
	endpoint = "https://" + op.Gateway.Bound().String()

	var bundle corev1.ConfigMap
	Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: environment.OperatorNamespace, Name: serving.BundleConfigMapName}, &bundle)).To(Succeed())
	roots := x509.NewCertPool()
	Expect(roots.AppendCertsFromPEM([]byte(bundle.Data[serving.BundleKey]))).To(BeTrue())
	transport = &http.Client{Transport: environment.Whole(&http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}})}

	Expect(cp.Namespace(ctx, namespace, map[string]string{v1alpha1.AccountIDLabel: account})).To(Succeed())
	admin = newUser("admin", "arn:aws:iam::aws:policy/AdministratorAccess")
})

// newUser makes an IAMUser by kubectl's way, and a client of its access key.
func newUser(name string, policies ...string) *sdk.Client {
	GinkgoHelper()
	user := &v1alpha1.IAMUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.IAMUserSpec{
			AccessKeys: []v1alpha1.AccessKey{{Name: "one"}}, Permissions: v1alpha1.Permissions{ManagedPolicyARNs: policies},
		},
	}
	Expect(cp.Client.Create(ctx, user)).To(Succeed())
	var handed corev1.Secret
	Eventually(func() error {
		return cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name + "-one"}, &handed)
	}).Should(Succeed())
	c := clientOf(string(handed.Data["AWS_ACCESS_KEY_ID"]), string(handed.Data["AWS_SECRET_ACCESS_KEY"]))
	Eventually(func() error { // the key is in force when status names it
		_, err := c.GetUser(ctx, &sdk.GetUserInput{})
		if code(err) == "AccessDenied" {
			return nil
		}
		return err
	}).Should(Succeed())
	return c
}

func clientOf(id, secret string) *sdk.Client {
	return sdk.New(sdk.Options{
		Region: "us-east-1", BaseEndpoint: &endpoint, HTTPClient: transport, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
	})
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func message(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorMessage()
	}
	return ""
}

// plain is a document out of an answer.
func plain(document *string) string {
	GinkgoHelper()
	text, err := url.QueryUnescape(aws.ToString(document))
	Expect(err).NotTo(HaveOccurred())
	return text
}

func object[T client.Object](name string, into T) T {
	GinkgoHelper()
	Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, into)).To(Succeed())
	return into
}

var s = aws.String
