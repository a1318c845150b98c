package secretsmanager_test

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/secretsmanager"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
	"strongroom.dev/strongroom/test/environment"
)

// sizes are the numbers of secrets; BENCH_SECRETS adds one.
func sizes() []int {
	out := []int{100, 10_000, 100_000}
	if n, err := strconv.Atoi(os.Getenv("BENCH_SECRETS")); err == nil {
		out = append(out, n)
	}
	return out
}

// BenchmarkGetSecretValue reads one secret of 64 bytes among many, as an operation is carried out: found, authorized, opened. The
// others are in the cache alone: the API server is not asked on this path, and would take minutes to be filled.
func BenchmarkGetSecretValue(b *testing.B) {
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
	api, namespace, id := benchSecret(b, cp, r)
	call := benchCall(b, namespace)
	op := operationOf(b, api, "GetSecretValue")
	in := &sdk.GetSecretValueInput{SecretId: &id}
	there := 0
	for _, n := range sizes() {
		there = fill(b, r, namespace, there, n)
		b.Run(fmt.Sprintf("secrets=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			runtime.GC()
			before := cpu()
			defer func() { b.ReportMetric(float64((cpu()-before).Nanoseconds())/1e3/float64(b.N), "cpu-µs/op") }()
			for b.Loop() {
				out, err := op.Invoke(ctx, call, in)
				if err != nil || len(*out.(*sdk.GetSecretValueOutput).SecretString) != 64 {
					b.Fatal(err)
				}
			}
		})
	}
}

// cpu is what the process has used so far, the collector's work included: other than time, it means something on a shared machine.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func operationOf(b *testing.B, s gateway.Service, name string) *gateway.Operation {
	for i := range s.Operations {
		if s.Operations[i].Name == name {
			return &s.Operations[i]
		}
	}
	b.Fatal("no operation " + name)
	return nil
}

func benchCall(b *testing.B, namespace string) *gateway.Call {
	policy, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:*","Resource":"arn:aws:secretsmanager:*:*:secret:prod/*"}]}`), iam.Identity)
	if err != nil {
		b.Fatal(err)
	}
	account := arn.DeriveAccount(namespace)
	return &gateway.Call{
		Identity: &serviceiam.Identity{
			Namespace: namespace, Identity: []*iam.Policy{policy},
			Principal: iam.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":user/bench"},
		},
		Region: home, Time: time.Now(), SourceIP: netip.MustParseAddr("10.0.0.1"), Service: "secretsmanager", Operation: "GetSecretValue",
	}
}

// benchSecret makes the secret that is read.
func benchSecret(b *testing.B, cp *environment.ControlPlane, r *environment.Reconcilers) (gateway.Service, string, string) {
	namespace, err := cp.NewNamespace(ctx)
	if err != nil {
		b.Fatal(err)
	}
	key := environment.KMSKey(namespace, "aws-secretsmanager")
	if err := r.GetClient().Create(ctx, key); err != nil {
		b.Fatal(err)
	}
	if _, err := r.KMSKey.Reconcile(ctx, environment.Request(key)); err != nil {
		b.Fatal(err)
	}
	api := secretsmanager.New(secretsmanager.Dependencies{Secrets: r.Services.Secrets})
	call := benchCall(b, namespace)
	id := "prod/db"
	in := &sdk.CreateSecretInput{Name: &id, ClientRequestToken: token(), SecretString: ptr.To(fmt.Sprintf("%064d", 1))}
	if _, err := operationOf(b, api, "CreateSecret").Invoke(ctx, call, in); err != nil {
		b.Fatal(err)
	}
	return api, namespace, id
}

// fill puts secrets and their Envelopes into the cache.
func fill(b *testing.B, r *environment.Reconcilers, namespace string, from, to int) int {
	store := func(obj client.Object) cache.Indexer {
		informer, err := r.GetCache().GetInformer(ctx, obj)
		if err != nil {
			b.Fatal(err)
		}
		return informer.(cache.SharedIndexInformer).GetIndexer()
	}
	secrets, envelopes := store(&v1alpha1.Secret{}), store(&v1alpha1.Envelope{})
	for n := from; n < to; n++ {
		name := fmt.Sprintf("filler-%d", n)
		subject := "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/" + name + "-AbCdEf"
		_ = secrets.Add(&v1alpha1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "1", ResourceVersion: "1"},
			Spec:       v1alpha1.SecretSpec{Name: "prod/" + name}, Status: v1alpha1.SecretStatus{ARN: subject},
		})
		_ = envelopes.Add(&v1alpha1.Envelope{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, ResourceVersion: "1"},
			Spec: v1alpha1.EnvelopeSpec{Class: v1alpha1.EnvelopeSecretVersion, Subject: subject, Sequence: 1,
				Owner: v1alpha1.EnvelopeOwner{Kind: "Secret", Name: name}, KeyARN: "arn"},
		})
	}
	return to
}
