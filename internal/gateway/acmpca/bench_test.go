package acmpca_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/acmpca"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/acmpca"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
	"strongroom.dev/strongroom/test/environment"
)

// BenchmarkIssueCertificate issues for a P-256 key by a P-256 authority, as the operation is carried out: found, authorized, the request
// checked, signed, and recorded by one write to the API server, which is another process.
func BenchmarkIssueCertificate(b *testing.B) {
	cp, err := environment.Start(ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = cp.Stop() }()
	r, err := environment.RunReconcilers(ctx, cp)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = r.Stop() }()
	service := acmpca.New(acmpca.Dependencies{Authorities: r.Services.Authorities})
	namespace, authority := benchAuthority(b, cp, r)
	call := benchCall(b, namespace)
	key, err := pki.GenerateKey(pki.ECPrime256v1)
	if err != nil {
		b.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "shop.example.com"}, DNSNames: []string{"shop.example.com"},
	}, key)
	if err != nil {
		b.Fatal(err)
	}
	in := issuing(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	for i := range service.Operations {
		if op := &service.Operations[i]; op.Name == "IssueCertificate" {
			b.ReportAllocs()
			runtime.GC()
			before := cpu()
			for b.Loop() {
				if out, err := op.Invoke(ctx, call, in); err != nil || out.(*sdk.IssueCertificateOutput).CertificateArn == nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((cpu()-before).Nanoseconds())/1e3/float64(b.N), "cpu-µs/op")
		}
	}
}

// cpu is what the process has used so far.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchAuthority makes an authority that is in force.
func benchAuthority(b *testing.B, cp *environment.ControlPlane, r *environment.Reconcilers) (namespace, authority string) {
	namespace, err := cp.NewNamespace(ctx)
	if err != nil {
		b.Fatal(err)
	}
	ca := &v1alpha1.CertificateAuthority{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "bench"}}
	ca.Spec = v1alpha1.CertificateAuthoritySpec{
		Type: v1alpha1.CertificateAuthorityRoot, Subject: v1alpha1.CertificateSubject{CommonName: "Bench"}, KeyAlgorithm: v1alpha1.KeyAlgorithmECPrime256v1,
	}
	if err := cp.Client.Create(ctx, ca); err != nil {
		b.Fatal(err)
	}
	key := environment.KMSKey(namespace, ca.KMSKeyName())
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		_, _ = r.CertificateAuthority.Reconcile(ctx, environment.Request(ca)) // until the cache has what the other has made
		_, _ = r.KMSKey.Reconcile(ctx, environment.Request(key))
		cached := &v1alpha1.CertificateAuthority{}
		if r.GetClient().Get(ctx, client.ObjectKeyFromObject(ca), cached) == nil && cached.Status.NotAfter != nil {
			return namespace, cached.Status.ARN
		}
	}
	b.Fatal("the authority is not ready")
	return "", ""
}

func benchCall(b *testing.B, namespace string) *gateway.Call {
	policy, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"acm-pca:*","Resource":"*"}]}`), iam.Identity)
	if err != nil {
		b.Fatal(err)
	}
	account := arn.DeriveAccount(namespace)
	return &gateway.Call{
		Identity: &serviceiam.Identity{
			Type: serviceiam.TypeIAMUser, Namespace: namespace, UserID: "AIDAEXAMPLE", Name: "bench",
			Principal: iam.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":user/bench"}, Identity: []*iam.Policy{policy},
		},
		Region: environment.Region, RequestID: "request", Time: time.Now(), SourceIP: netip.MustParseAddr("10.0.0.1"),
		Service: acmpca.SigningName, Operation: "IssueCertificate",
	}
}
