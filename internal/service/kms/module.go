package kms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/hsm"
	hsmclient "strongroom.dev/strongroom/internal/core/hsm/client"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

var errOtherCluster = errors.New("the stored key material is in another HSMCluster")

// KeyStoreIndex finds KMSKeys by the HSMCluster that they are in, as NAMESPACE/NAME, in all namespaces.
const KeyStoreIndex = cloudhsm.KeyIndex

// IndexKeyStore lists the values of KeyStoreIndex.
func IndexKeyStore(obj client.Object) []string {
	if key, ok := obj.(*v1alpha1.KMSKey); ok && InModule(key) {
		return []string{cloudhsm.KeyStoreOf(key).String()}
	}
	return nil
}

// InModule tells whether a key is generated and used in an HSMCluster.
func InModule(key *v1alpha1.KMSKey) bool {
	return key.Spec.Origin == v1alpha1.KeyOriginCloudHSM && key.Spec.CustomKeyStoreRef != nil
}

// ModuleHas tells whether keys of a spec and usage can be in an HSMCluster: its modules encrypt by symmetric keys, and sign by those of RSA and NIST's
// curves.
func ModuleHas(spec keys.Spec, usage keys.Usage) bool {
	_, err := hsm.ParseKeySpec(string(spec))
	return err == nil && (spec == keys.SymmetricDefault || usage == keys.SignVerify)
}

// Rotates tells whether new material is made for a key when it is rotated. As in AWS KMS, for one in a custom key store it is not, nor for one whose
// material is imported.
// https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html
func Rotates(key *v1alpha1.KMSKey) bool {
	return SpecOf(key).Rotates() && !InModule(key) && !External(key)
}

// module is the Backend of one key in an HSMCluster. What its Envelope keeps is the key token: the key as the cluster's own keys wrapped it, which
// only a node opens, inside of its PKCS#11 module. The plaintexts of symmetric operations pass through this process, and nothing of the key.
type module struct {
	*Service
	key *v1alpha1.KMSKey
}

var _ Backend = module{}

// moduleMaterial is the content of an Envelope.
type moduleMaterial struct {
	ClusterID string `json:"clusterId"`
	Token     []byte `json:"token"`
	// PublicKey is the DER of the SubjectPublicKeyInfo of an asymmetric key.
	PublicKey []byte `json:"publicKey,omitempty"`

	public *keys.PublicKey
}

// Wipe implements keyring.Material.
func (m *moduleMaterial) Wipe() { clear(m.Token) }

// parseModuleMaterial reads what Generate wrote. It fails unless it is of that spec.
func parseModuleMaterial(spec keys.Spec, content []byte) (*moduleMaterial, error) {
	m := &moduleMaterial{}
	if err := json.Unmarshal(content, m); err != nil || m.ClusterID == "" {
		return nil, errOtherSpec
	}
	sealed, err := hsm.ParseSealed(hsm.KindToken, m.Token)
	if err != nil || sealed.Spec.Name != string(spec) {
		return nil, errOtherSpec
	}
	if spec.Symmetric() {
		return m, nil
	}
	m.public, err = keys.ParsePublicKey(spec, m.PublicKey)
	return m, err
}

// bound is what a key token is bound to: it opens for this key alone, so that one that was put into another key's Envelope is nothing there.
func bound(id string, key *v1alpha1.KMSKey) []byte {
	return keys.Context{"strongroom:hsm-cluster": id, "strongroom:key-id": key.Status.KeyID}.Encode()
}

// Generate implements Backend. An RSA_4096 key takes tens of seconds in SoftHSM at worst, but none of this process's turns.
func (m module) Generate(ctx context.Context, spec keys.Spec, _ keys.Turn) (content secretbytes.Bytes, err error) {
	s, err := hsm.ParseKeySpec(string(spec))
	if err != nil {
		return content, err
	}
	err = m.ask(ctx, func(cluster *hsmclient.Cluster, id string) error {
		token, public, err := cluster.GenerateKey(ctx, s, bound(id, m.key))
		if err != nil {
			return err
		}
		text, err := json.Marshal(moduleMaterial{ClusterID: id, Token: token.Token, PublicKey: public})
		content = secretbytes.Own(text)
		return err
	})
	return content, err
}

// Check implements Backend: the material is whole, and a node serves.
func (m module) Check(ctx context.Context, material Material) error {
	return m.use(ctx, material, func(cluster *hsmclient.Cluster, _ hsmclient.KeyToken, _ *keys.PublicKey) error {
		return cluster.Check(ctx).Err
	})
}

// Sign implements Backend.
func (m module) Sign(ctx context.Context, material Material, algorithm keys.SigningAlgorithm, message keys.Message) (signature []byte, err error) {
	err = m.use(ctx, material, func(cluster *hsmclient.Cluster, token hsmclient.KeyToken, public *keys.PublicKey) error {
		if err := public.Spec().CheckAlgorithm(algorithm); err != nil {
			return err
		}
		digest, err := message.Digest(algorithm)
		if err != nil {
			return err
		}
		signature, err = cluster.Sign(ctx, token, string(algorithm), digest)
		return err
	})
	return signature, err
}

// PublicKey implements Backend. It asks no node.
func (m module) PublicKey(ctx context.Context, material Material) (public *keys.PublicKey, err error) {
	err = m.useMaterial(ctx, material, func(opened *moduleMaterial) error {
		if public = opened.public; public == nil {
			return otherSpec(material)
		}
		return nil
	})
	return public, err
}

// Open implements Backend: there are no such keys in modules, which KMSKey's rules say.
func (m module) Open(context.Context, Material, keys.EncryptionAlgorithm, []byte) (secretbytes.Bytes, error) {
	return secretbytes.Bytes{}, m.without()
}

// SharedSecret implements Backend, as Open does.
func (m module) SharedSecret(context.Context, Material, *keys.PublicKey) (secretbytes.Bytes, error) {
	return secretbytes.Bytes{}, m.without()
}

// Decapsulate implements Backend, as Open does.
func (m module) Decapsulate(context.Context, Material, keys.EncapsulationAlgorithm, []byte) (secretbytes.Bytes, error) {
	return secretbytes.Bytes{}, m.without()
}

// Mac implements Backend, as Open does.
func (m module) Mac(context.Context, Material, keys.MacAlgorithm, []byte) ([]byte, error) {
	return nil, m.without()
}

func (m module) without() error {
	return wrongUsage(m.key, keys.ErrKeyUsage, "keys in an HSMCluster encrypt if they are SYMMETRIC_DEFAULT, and sign")
}

// Encrypt implements Backend, with a blob that keys.ParseHeader reads and the module opens.
func (m module) Encrypt(ctx context.Context, material Material, h keys.Header, ec keys.Context, plaintext secretbytes.Bytes) (ciphertext []byte, err error) {
	aad, err := keys.ModuleAAD(h, ec)
	if err != nil {
		return nil, err
	}
	err = m.use(ctx, material, func(cluster *hsmclient.Cluster, token hsmclient.KeyToken, _ *keys.PublicKey) error {
		body, err := cluster.Encrypt(ctx, token, plaintext, aad)
		if err == nil {
			ciphertext = keys.NewModuleBlob(h, body)
		}
		return err
	})
	return ciphertext, err
}

// Decrypt implements Backend.
func (m module) Decrypt(ctx context.Context, material Material, h keys.Header, ec keys.Context, ciphertext []byte) (plaintext secretbytes.Bytes, err error) {
	body, err := keys.ModuleBody(h, ciphertext)
	if err != nil {
		return plaintext, err
	}
	aad, err := keys.ModuleAAD(h, ec)
	if err != nil {
		return plaintext, keys.ErrInvalidCiphertext
	}
	err = m.use(ctx, material, func(cluster *hsmclient.Cluster, token hsmclient.KeyToken, _ *keys.PublicKey) error {
		plaintext, err = cluster.Decrypt(ctx, token, body, aad)
		if errors.Is(err, hsm.ErrInvalidCiphertext) {
			return keys.ErrInvalidCiphertext
		}
		return err
	})
	return plaintext, err
}

// useMaterial lends a key's material if it is of the cluster that the key names. It asks no node.
func (m module) useMaterial(ctx context.Context, material Material, use func(*moduleMaterial) error) error {
	inCluster := func(opened *moduleMaterial) error {
		if name := cloudhsm.KeyStoreOf(m.key); opened.ClusterID != cloudhsm.ClusterID(name.Namespace, name.Name) {
			return m.otherCluster(ctx, opened.ClusterID)
		}
		return use(opened)
	}
	return useMaterial(ctx, m.Service, material, func(opened secretbytes.Bytes) (*moduleMaterial, error) {
		defer opened.Wipe()
		parsed, err := parseModuleMaterial(SpecOf(m.key), opened.Reveal())
		if err != nil {
			return nil, otherSpec(material)
		}
		return parsed, nil
	}, inCluster)
}

// otherCluster is what material says that is whole and in another cluster than the key: a KMSKey was deleted, and then applied anew with another customKeyStoreRef while its
// material was kept.
func (m module) otherCluster(ctx context.Context, id string) error {
	where := "the HSMCluster with the id " + id
	if m.KeyStores != nil {
		name, err := m.KeyStores.NameOf(ctx, m.key.Namespace, id)
		if err != nil {
			return err
		}
		if name != (types.NamespacedName{}) {
			where = "HSMCluster " + name.String()
		}
	}
	return fault.Stalled(v1alpha1.ReasonKeyUnusable, fmt.Errorf("%w: the key material of KMSKey %s/%s is in %s, and not in HSMCluster %s: it waits there. Apply the KMSKey with the customKeyStoreRef that it had, "+
		"which restores it, or give the new key another name", errOtherCluster, m.key.Namespace, m.key.Name, where, cloudhsm.KeyStoreOf(m.key)))
}

// use lends a key's token together with the client of its cluster.
func (m module) use(ctx context.Context, material Material, use func(*hsmclient.Cluster, hsmclient.KeyToken, *keys.PublicKey) error) error {
	return m.useMaterial(ctx, material, func(opened *moduleMaterial) error {
		return m.ask(ctx, func(cluster *hsmclient.Cluster, id string) error {
			return use(cluster, hsmclient.KeyToken{Token: opened.Token, AAD: bound(id, m.key)}, opened.public)
		})
	})
}

// ask lends the client of the key's cluster. That nodes fail is cloudhsm.ErrUnavailable, and that the caller had no more time stays what it is.
func (m module) ask(ctx context.Context, use func(cluster *hsmclient.Cluster, id string) error) error {
	name := cloudhsm.KeyStoreOf(m.key)
	if m.KeyStores == nil {
		return cloudhsm.Unavailable(name, errors.New("this program has no connections to HSM nodes"))
	}
	cluster, id, err := m.KeyStores.Open(ctx, m.key)
	if err != nil {
		return err
	}
	if err = use(cluster, id); err != nil && ctx.Err() == nil && cloudhsm.Failed(err) {
		return cloudhsm.Unavailable(name, err)
	}
	return err
}
