package kms

import (
	"bytes"
	"encoding/json"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/keys"
)

// token is one as a node seals it, with a body that nothing opens.
func token(t testing.TB, spec string) []byte {
	t.Helper()
	s, err := hsm.ParseKeySpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	return hsm.Sealed{Kind: hsm.KindToken, Spec: s, Epoch: 1, Nonce: make([]byte, hsm.NonceSize), Body: make([]byte, 64)}.Bytes()
}

func content(t testing.TB, m moduleMaterial) []byte {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTheEnvelopeOfAKeyInAModuleIsOfItsSpecOrNothing(t *testing.T) {
	private, err := keys.GeneratePrivateKey(keys.NISTP256)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := keys.ParsePrivateKey(keys.NISTP256, private)
	if err != nil {
		t.Fatal(err)
	}
	public := parsed.Public().DER()
	symmetric, curve := token(t, "SYMMETRIC_DEFAULT"), token(t, "ECC_NIST_P256")
	for name, tt := range map[string]struct {
		spec    keys.Spec
		content []byte
		good    bool
	}{
		"a symmetric key":                      {keys.SymmetricDefault, content(t, moduleMaterial{ClusterID: "c", Token: symmetric}), true},
		"a key that signs":                     {keys.NISTP256, content(t, moduleMaterial{ClusterID: "c", Token: curve, PublicKey: public}), true},
		"a symmetric key as one that signs":    {keys.NISTP256, content(t, moduleMaterial{ClusterID: "c", Token: symmetric, PublicKey: public}), false},
		"a key that signs as a symmetric one":  {keys.SymmetricDefault, content(t, moduleMaterial{ClusterID: "c", Token: curve}), false},
		"a key that signs without public half": {keys.NISTP256, content(t, moduleMaterial{ClusterID: "c", Token: curve}), false},
		"another curve's":                      {keys.NISTP384, content(t, moduleMaterial{ClusterID: "c", Token: curve, PublicKey: public}), false},
		"of no cluster":                        {keys.SymmetricDefault, content(t, moduleMaterial{Token: symmetric}), false},
		"a token that is cut":                  {keys.SymmetricDefault, content(t, moduleMaterial{ClusterID: "c", Token: symmetric[:20]}), false},
		"the bytes of a software key":          {keys.SymmetricDefault, bytes.Repeat([]byte{7}, 32), false},
		"nothing":                              {keys.SymmetricDefault, nil, false},
	} {
		m, err := parseModuleMaterial(tt.spec, tt.content)
		if (err == nil) != tt.good || tt.good && (m.public != nil) == tt.spec.Symmetric() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestATokenIsBoundToItsKeyAndItsCluster(t *testing.T) {
	key := func(id string) *v1alpha1.KMSKey { return &v1alpha1.KMSKey{Status: v1alpha1.KMSKeyStatus{KeyID: id}} }
	one := bound("cluster-a", key("1"))
	for _, other := range [][]byte{bound("cluster-b", key("1")), bound("cluster-a", key("2")), bound("cluster-a1", key(""))} {
		if bytes.Equal(one, other) {
			t.Error("two keys have one binding")
		}
	}
	if !bytes.Equal(one, bound("cluster-a", key("1"))) {
		t.Error("a key's binding changed")
	}
}

func TestAKeyInAModuleIsIndexedByItsClusterAndNotRotated(t *testing.T) {
	key := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "k"}}
	if !Rotates(key) || IndexKeyStore(key) != nil {
		t.Error("a software key is in a cluster")
	}
	key.Spec.Origin, key.Spec.CustomKeyStoreRef = v1alpha1.KeyOriginCloudHSM, &v1alpha1.CustomKeyStoreReference{Name: "c"}
	if got := IndexKeyStore(key); Rotates(key) || len(got) != 1 || got[0] != "shop/c" {
		t.Errorf("%v", got)
	}
	key.Spec.CustomKeyStoreRef.Namespace = "vault"
	if got := IndexKeyStore(key); len(got) != 1 || got[0] != "vault/c" {
		t.Errorf("%v", got)
	}
}

func FuzzTheContentOfAnEnvelope(f *testing.F) {
	f.Add([]byte(`{"clusterId":"c","token":"AAAA"}`))
	f.Add(content(f, moduleMaterial{ClusterID: "c", Token: token(f, "ECC_NIST_P256")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, spec := range []keys.Spec{keys.SymmetricDefault, keys.NISTP256} {
			if m, err := parseModuleMaterial(spec, b); err == nil && (m.ClusterID == "" || len(m.Token) < hsm.Overhead || (m.public == nil) != spec.Symmetric()) {
				t.Errorf("%+v", m)
			}
		}
	})
}
