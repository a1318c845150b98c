package kms_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
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

// BenchmarkGrants runs on a real API server's cache, on a key with 10 grants and with as many as BENCH_GRANTS says (49,900: AWS's limit is 50,000), all of one grantee and
// each for a tenant of its own by the encryption context.
func BenchmarkGrants(b *testing.B) {
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
	most := 49_900
	if text := os.Getenv("BENCH_GRANTS"); text != "" {
		if _, err := fmt.Sscan(text, &most); err != nil {
			b.Fatal(err)
		}
	}
	for _, count := range []int{10, most} {
		key, err := run.Services.KMS.Create(b.Context(), newKey(fmt.Sprint("alias/k", count)))
		if err != nil {
			b.Fatal(err)
		}
		grantee := "arn:aws:iam::" + arn.DeriveAccount("default") + ":user/alice"
		crowd(b, cp, run, key, grantee, count)
		benchmarkGrants(b, run, key.Status.KeyID, count)
	}
}

// crowd makes a key's grants, and waits until the cache has them.
func crowd(b *testing.B, cp *environment.ControlPlane, run *environment.Reconcilers, key *v1alpha1.KMSKey, grantee string, count int) {
	b.Helper()
	var next atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for n := next.Add(1); n <= int64(count); n = next.Add(1) {
				g := &v1alpha1.KMSGrant{
					ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: fmt.Sprintf("%016x%048x", uint64(n)*0x9e3779b97f4a7c15, count)},
					Spec: v1alpha1.KMSGrantSpec{
						KMSKeyRef: v1alpha1.LocalReference{Name: key.Name}, GranteePrincipal: grantee, Operations: []v1alpha1.GrantOperation{"Encrypt", "Decrypt"},
						Constraints: &v1alpha1.GrantConstraints{EncryptionContextEquals: map[string]string{"tenant": fmt.Sprint(n)}},
					},
				}
				if err := cp.Client.Create(b.Context(), g); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	for seen := 0; seen < count; time.Sleep(100 * time.Millisecond) {
		var found v1alpha1.KMSGrantList
		if err := run.GetClient().List(context.Background(), &found, client.InNamespace(key.Namespace), client.MatchingFields{"kms-key": key.Name}, client.UnsafeDisableDeepCopy); err != nil {
			b.Fatal(err)
		}
		seen = len(found.Items)
	}
}

func benchmarkGrants(b *testing.B, run *environment.Reconcilers, id string, count int) {
	account := arn.DeriveAccount("default")
	as := func(statement string) *gateway.Call {
		policy, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":[`+statement+`]}`), iam.Identity)
		if err != nil {
			b.Fatal(err)
		}
		return &gateway.Call{
			Identity: &serviceiam.Identity{Namespace: "default", Identity: []*iam.Policy{policy},
				Principal: iam.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":user/alice"}},
			Region: region, Service: "kms", Time: time.Now(), SourceIP: netip.MustParseAddr("192.0.2.1"),
		}
	}
	admin, grantee := as(everything), as(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)
	ops := map[string]gateway.Operation{}
	for _, o := range kms.New(kms.Dependencies{KMS: run.Services.KMS, Authorities: run.Services.Authorities}).Operations {
		ops[o.Name] = o
	}
	list := ops["ListGrants"]
	first, err := list.Invoke(b.Context(), withOperation(admin, "ListGrants"), &awskms.ListGrantsInput{KeyId: &id, Limit: aws.Int32(5)})
	if err != nil {
		b.Fatal(err)
	}
	marker := first.(*awskms.ListGrantsOutput).NextMarker
	for _, bench := range []struct {
		name, operation string
		call            *gateway.Call
		in              any
	}{
		{"ListGrants", "ListGrants", admin, &awskms.ListGrantsInput{KeyId: &id, Limit: aws.Int32(100)}},
		{"ListGrantsNextPage", "ListGrants", admin, &awskms.ListGrantsInput{KeyId: &id, Limit: aws.Int32(100), Marker: marker}},
		{"ListGrantsOfGrantee", "ListGrants", admin, &awskms.ListGrantsInput{KeyId: &id, GranteePrincipal: &grantee.Identity.Principal.ARN}},
		{"CreateGrant", "CreateGrant", admin, &awskms.CreateGrantInput{
			KeyId: &id, GranteePrincipal: aws.String("arn:aws:iam::" + account + ":root"), Operations: []types.GrantOperation{"Decrypt"}, Name: aws.String("same"),
		}},
		{"EncryptByGrant", "Encrypt", grantee, &awskms.EncryptInput{KeyId: &id, Plaintext: make([]byte, 64), EncryptionContext: map[string]string{"tenant": "7"}}},
		{"EncryptByPolicy", "Encrypt", admin, &awskms.EncryptInput{KeyId: &id, Plaintext: make([]byte, 64), EncryptionContext: map[string]string{"tenant": "7"}}},
	} {
		b.Run(fmt.Sprintf("%s/grants=%d", bench.name, count), func(b *testing.B) {
			measure(b, ops[bench.operation], withOperation(bench.call, bench.operation), bench.in)
		})
	}
	b.Run(fmt.Sprintf("CreateGrantAnew/grants=%d", count), func(b *testing.B) { // a grant of another name each time, which is revoked again
		create, revoke := ops["CreateGrant"], ops["RevokeGrant"]
		for b.Loop() {
			made, err := create.Invoke(b.Context(), withOperation(admin, "CreateGrant"), &awskms.CreateGrantInput{
				KeyId: &id, GranteePrincipal: aws.String("arn:aws:iam::" + account + ":root"), Operations: []types.GrantOperation{"Decrypt"},
			})
			if err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			if _, err := revoke.Invoke(b.Context(), withOperation(admin, "RevokeGrant"), &awskms.RevokeGrantInput{KeyId: &id, GrantId: made.(*awskms.CreateGrantOutput).GrantId}); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
}

// withOperation is a call of another operation.
func withOperation(call *gateway.Call, operation string) *gateway.Call {
	other := *call
	other.Operation = operation
	return &other
}
