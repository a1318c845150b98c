package bench

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/internal/store"
)

// filler puts objects into an operator's cache, as if they were the API server's.
type filler struct {
	op    *operator.Operator
	there map[string]int
}

// fill makes objects of a kind until there are n: keys, secrets, policies or parameters.
func (f *filler) fill(ctx context.Context, kind string, n int) error {
	made := map[string]func(int) []client.Object{"keys": fillerKey, "secrets": fillerSecret, "policies": fillerPolicy, "parameters": fillerParameter}[kind]
	for i := f.there[kind]; i < n; i++ {
		for _, obj := range made(i) {
			obj.SetNamespace(gatewayAccount)
			obj.SetUID(types.UID(fillerID(i)))
			obj.SetResourceVersion("1")
			obj.SetCreationTimestamp(metav1.Now())
			informer, err := f.op.GetCache().GetInformer(ctx, obj)
			if err != nil {
				return err
			}
			if err := informer.(cache.SharedIndexInformer).GetIndexer().Add(obj); err != nil {
				return err
			}
		}
		f.there[kind] = i + 1
	}
	return nil
}

func fillerID(i int) string { return fmt.Sprintf("%08x-0000-4000-8000-000000000000", i) }

func fillerKey(i int) []client.Object {
	id, material := fillerID(i), hex.EncodeToString(fmt.Appendf(nil, "%032d", i))
	key := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Name: id}}
	key.Spec.Aliases = []string{fmt.Sprintf("alias/filler-%d", i)}
	key.Status.KeyID, key.Status.ARN = id, arn.KMSKey(benchRegion, arn.DeriveAccount(gatewayAccount), id)
	key.Status.KeyState = v1alpha1.KeyStateEnabled
	key.Status.KeyMaterials = []v1alpha1.KeyMaterial{{ID: material, Sequence: 1, State: v1alpha1.KeyMaterialCurrent, CreatedTime: metav1.Now()}}
	return []client.Object{key, fillerEnvelope(v1alpha1.EnvelopeKeyMaterial, "KMSKey", id, key.Status.ARN, material)}
}

func fillerSecret(i int) []client.Object {
	name := fmt.Sprintf("filler-%d", i)
	s := &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}}
	s.Spec.Name = "prod/" + name
	s.Status.ARN = arn.Secret(benchRegion, arn.DeriveAccount(gatewayAccount), s.Spec.Name, "AbCdEf")
	s.Status.Versions = []v1alpha1.SecretVersion{{VersionID: fillerID(i), Sequence: 1, Stages: []string{"AWSCURRENT"}}}
	return []client.Object{s, fillerEnvelope(v1alpha1.EnvelopeSecretVersion, "Secret", name, s.Status.ARN, fillerID(i))}
}

// fillerParameter is a SecureString below /filler, whose Envelope can be read and not opened: its key is gone.
func fillerParameter(i int) []client.Object {
	name := fmt.Sprintf("filler-parameter-%d", i)
	p := &v1alpha1.Parameter{ObjectMeta: metav1.ObjectMeta{Name: name}}
	p.Spec.Name, p.Spec.Type = fmt.Sprintf("/filler/team-%d/%06d", i%7, i), v1alpha1.ParameterSecureString
	p.Status.ARN = arn.Parameter(benchRegion, arn.DeriveAccount(gatewayAccount), p.Spec.Name)
	p.Status.Version, p.Status.Tier = 1, v1alpha1.TierStandard
	p.Status.Versions = []v1alpha1.ParameterVersion{{Version: 1, CreatedTime: metav1.Now()}}
	e := fillerEnvelope(v1alpha1.EnvelopeParameterVersion, "Parameter", name, p.Status.ARN, "1")
	e.Name, e.Spec.EncryptedDataKey = store.Name(v1alpha1.EnvelopeParameterVersion, p.Status.ARN, 1), make([]byte, 60)
	return []client.Object{p, e}
}

func fillerPolicy(i int) []client.Object {
	policy := &v1alpha1.IAMPolicy{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("filler-%d", i)}}
	policy.Spec.Document.Raw = document(realObjects + i)
	policy.Status.ARN = fmt.Sprintf("arn:aws:iam::%s:policy/%s", arn.DeriveAccount(gatewayAccount), policy.Name)
	return []client.Object{policy}
}

func fillerEnvelope(class v1alpha1.EnvelopeClass, kind, owner, subject, version string) *v1alpha1.Envelope {
	return &v1alpha1.Envelope{
		ObjectMeta: metav1.ObjectMeta{Name: "filler-" + owner},
		Spec: v1alpha1.EnvelopeSpec{
			Class: class, Subject: subject, Version: version, Sequence: 1, Owner: v1alpha1.EnvelopeOwner{Kind: kind, Name: owner},
			KeyARN: "arn", Ciphertext: make([]byte, 160), CreatedTime: metav1.NewTime(time.Now()),
		},
	}
}
