package kms_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/kms"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
	"strongroom.dev/strongroom/test/environment"
)

// cpu is the time that the process has spent.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure runs an operation and reports the process's CPU time of each.
func measure(b *testing.B, op gateway.Operation, call *gateway.Call, in any) {
	b.Helper()
	if _, err := op.Invoke(context.Background(), call, in); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	before := cpu()
	for b.Loop() {
		if _, err := op.Invoke(context.Background(), call, in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(b.N)/1000, "cpu-µs/op")
}

// BenchmarkOperations runs on a real API server's cache, with 10 keys and with as many as BENCH_KEYS says (2,000).
func BenchmarkOperations(b *testing.B) {
	cp, err := environment.Start(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer cp.Stop()
	run, err := environment.RunReconcilers(b.Context(), cp)
	if err != nil {
		b.Fatal(err)
	}
	defer run.Stop()
	many := 2000
	if text := os.Getenv("BENCH_KEYS"); text != "" {
		if _, err := fmt.Sscan(text, &many); err != nil {
			b.Fatal(err)
		}
	}
	made := 0
	for _, keys := range []int{10, many} {
		var id string
		for ; made < keys; made++ {
			id = benchmarkKey(b, run, made)
		}
		benchmarkAll(b, run, keys, id)
	}
}

// benchmarkKey makes a key in the namespace default.
func benchmarkKey(b *testing.B, run *environment.Reconcilers, n int) string {
	b.Helper()
	key, err := run.Services.KMS.Create(b.Context(), newKey(fmt.Sprint("alias/k", n)))
	if err != nil {
		b.Fatal(err)
	}
	return key.Status.KeyID
}

func newKey(alias string) *v1alpha1.KMSKey {
	id := fmt.Sprintf("%08x-0000-4000-8000-000000000000", len(alias))
	copy := []byte(id)
	for i, c := range alias[len("alias/k"):] {
		copy[24+i] = byte(c)
	}
	return &v1alpha1.KMSKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: string(copy)},
		Spec:       v1alpha1.KMSKeySpec{Aliases: []string{alias}},
	}
}

func benchmarkAll(b *testing.B, run *environment.Reconcilers, keys int, id string) {
	policy, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}`), iam.Identity)
	if err != nil {
		b.Fatal(err)
	}
	account := arn.DeriveAccount("default")
	call := &gateway.Call{
		Identity: &serviceiam.Identity{Namespace: "default", Identity: []*iam.Policy{policy},
			Principal: iam.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":user/alice"}},
		Region: region, Service: "kms", Time: time.Now(), SourceIP: netip.MustParseAddr("192.0.2.1"),
	}
	ops := map[string]gateway.Operation{}
	for _, o := range kms.New(kms.Dependencies{KMS: run.Services.KMS, Authorities: run.Services.Authorities}).Operations {
		ops[o.Name] = o
	}
	ec := map[string]string{"app": "shop"}
	var key v1alpha1.KMSKey
	if err := cpGet(run, id, &key); err != nil {
		b.Fatal(err)
	}
	encrypt := ops["Encrypt"]
	out, err := encrypt.Invoke(b.Context(), call, &awskms.EncryptInput{KeyId: &id, Plaintext: make([]byte, 64), EncryptionContext: ec})
	if err != nil {
		b.Fatal(err)
	}
	blob := out.(*awskms.EncryptOutput).CiphertextBlob
	for _, bench := range []struct {
		name, operation string
		in              any
	}{
		{"Encrypt64B", "Encrypt", &awskms.EncryptInput{KeyId: &id, Plaintext: make([]byte, 64), EncryptionContext: ec}},
		{"Encrypt64BByAlias", "Encrypt", &awskms.EncryptInput{KeyId: &key.Spec.Aliases[0], Plaintext: make([]byte, 64), EncryptionContext: ec}},
		{"Decrypt64B", "Decrypt", &awskms.DecryptInput{CiphertextBlob: blob, EncryptionContext: ec}},
		{"GenerateDataKey", "GenerateDataKey", &awskms.GenerateDataKeyInput{KeyId: &id, NumberOfBytes: aws.Int32(32)}},
		{"DescribeKey", "DescribeKey", &awskms.DescribeKeyInput{KeyId: &id}},
	} {
		b.Run(fmt.Sprintf("%s/keys=%d", bench.name, keys), func(b *testing.B) { measure(b, ops[bench.operation], call, bench.in) })
	}
}

func cpGet(run *environment.Reconcilers, id string, key *v1alpha1.KMSKey) error {
	return run.GetClient().Get(context.Background(), client.ObjectKey{Namespace: "default", Name: id}, key)
}
