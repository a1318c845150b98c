package acmpca

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/fault"
)

// unsealed is a service with a domain key of its own.
func unsealed(t *testing.T) *Service {
	t.Helper()
	root := keyring.NewSoftwareRoot("test", secretbytes.Own([]byte(strings.Repeat("r", 32))))
	record, err := keyring.NewDomainKey(context.Background(), root, 1, rand.Reader, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Unseal(context.Background(), root, []keyring.DomainKeyRecord{record})
	if err != nil {
		t.Fatal(err)
	}
	s := &Service{Keyring: &keyring.Holder{}}
	s.Keyring.Set(ring)
	return s
}

func internalAuthority(id string) *v1alpha1.CertificateAuthority {
	return &v1alpha1.CertificateAuthority{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "internal"},
		Status:     v1alpha1.CertificateAuthorityStatus{ARN: arn.CertificateAuthority("us-east-1", "111122223333", id)},
	}
}

// stored is a key as the API server has it: without the policy's white space.
func stored(t *testing.T, s *Service, ca *v1alpha1.CertificateAuthority) *v1alpha1.KMSKey {
	t.Helper()
	key, err := s.NewKey(ca)
	if err != nil {
		t.Fatal(err)
	}
	var policy any
	if err := json.Unmarshal(key.Spec.Policy.Raw, &policy); err != nil {
		t.Fatal(err)
	}
	if key.Spec.Policy.Raw, err = json.Marshal(policy); err != nil {
		t.Fatal(err)
	}
	return key
}

func TestAKeyIsTakenByItsNameIfItWasMadeHere(t *testing.T) {
	s := unsealed(t)
	mine, gone := internalAuthority("mine"), internalAuthority("gone")
	held := func(ca *v1alpha1.CertificateAuthority) func(*v1alpha1.KMSKey) {
		return func(k *v1alpha1.KMSKey) {
			k.Status.CertificateAuthority = &v1alpha1.KeyAuthority{ARN: ca.Status.ARN, Name: ca.Name}
		}
	}
	policy := func(text string) func(*v1alpha1.KMSKey) {
		return func(k *v1alpha1.KMSKey) {
			k.Spec.Policy = &v1alpha1.PolicyDocument{JSON: apiextensionsv1.JSON{Raw: []byte(text)}}
		}
	}
	bare := func(k *v1alpha1.KMSKey) { k.Annotations = nil }
	owner := func(k *v1alpha1.KMSKey) {
		k.OwnerReferences = []metav1.OwnerReference{{Kind: "ConfigMap", Name: "theirs"}}
	}
	for _, tt := range []struct {
		name      string
		of        *v1alpha1.CertificateAuthority
		changes   []func(*v1alpha1.KMSKey)
		named     bool
		certified bool
		says      string // of the refusal, empty for none
	}{
		{name: "one that was made for it is taken", of: mine},
		{name: "as is one that was made for an authority of the name that is gone", of: gone},
		{name: "one without a proof is not", of: mine, changes: []func(*v1alpha1.KMSKey){func(k *v1alpha1.KMSKey) { delete(k.Annotations, v1alpha1.AuthorityMACAnnotation) }}, says: "not made"},
		{name: "nor is one that says nothing", of: mine, changes: []func(*v1alpha1.KMSKey){bare}, says: "not made"},
		{name: "nor one that names the authority in its spec", of: mine, changes: []func(*v1alpha1.KMSKey){bare, func(k *v1alpha1.KMSKey) {
			k.Spec.CertificateAuthorityRef = &v1alpha1.LocalReference{Name: "internal"}
		}}, says: "not made"},
		{name: "nor one with the proof of another authority", of: gone, changes: []func(*v1alpha1.KMSKey){func(k *v1alpha1.KMSKey) {
			k.Annotations[v1alpha1.AuthorityAnnotation] = mine.Status.ARN
		}}, says: "not made"},
		{name: "nor one with the proof of another key", of: mine, changes: []func(*v1alpha1.KMSKey){func(k *v1alpha1.KMSKey) { k.Name = "ca-other" }}, says: "not made"},
		{name: "nor one with the proof of another namespace", of: mine, changes: []func(*v1alpha1.KMSKey){func(k *v1alpha1.KMSKey) { k.Namespace = "bank" }}, says: "not made"},
		{name: "nor one with an owner", of: mine, changes: []func(*v1alpha1.KMSKey){owner}, says: "owners"},
		{name: "nor one with another policy", of: mine, changes: []func(*v1alpha1.KMSKey){policy(`{"Statement":[]}`)}, says: "policy"},
		{name: "nor one with a policy that cannot be read", of: mine, changes: []func(*v1alpha1.KMSKey){policy(`{`)}, says: "policy"},
		{name: "nor one without a policy", of: mine, changes: []func(*v1alpha1.KMSKey){func(k *v1alpha1.KMSKey) { k.Spec.Policy = nil }}, says: "policy"},
		{name: "nor one in an HSM of somebody", of: mine, changes: []func(*v1alpha1.KMSKey){func(k *v1alpha1.KMSKey) { k.Spec.Origin = v1alpha1.KeyOriginCloudHSM }}, says: "HSMCluster"},
		{name: "nor a replica", of: mine, changes: []func(*v1alpha1.KMSKey){func(k *v1alpha1.KMSKey) { k.Spec.MultiRegion = true }}, says: "multi-Region"},
		{name: "one whose status says that it is the authority's is its own", of: mine, changes: []func(*v1alpha1.KMSKey){bare, held(mine)}},
		{name: "one that another had without a proof is not taken by the name", of: gone, changes: []func(*v1alpha1.KMSKey){bare, held(gone)}, says: "not made"},
		{name: "one that another had and that was made here may have been changed since", of: gone, changes: []func(*v1alpha1.KMSKey){held(gone), policy(`{"Statement":[]}`), owner}},
		{name: "one of imported material is not taken, with whatever proof", of: mine, changes: []func(*v1alpha1.KMSKey){held(mine), func(k *v1alpha1.KMSKey) {
			k.Spec.Origin = v1alpha1.KeyOriginExternal
		}}, says: "EXTERNAL"},
		{name: "but by kmsKeyRef, as any other", of: mine, named: true, changes: []func(*v1alpha1.KMSKey){bare, func(k *v1alpha1.KMSKey) { k.Spec.Origin = v1alpha1.KeyOriginExternal }}},
		{name: "or by the certificate that there is for it", of: mine, certified: true, changes: []func(*v1alpha1.KMSKey){bare, owner}},
	} {
		ca, key := mine.DeepCopy(), stored(t, s, tt.of)
		for _, change := range tt.changes {
			change(key)
		}
		if tt.named {
			ca.Spec.KMSKeyRef = &v1alpha1.LocalReference{Name: key.Name}
		}
		err := s.checkChosen(ca, key, tt.certified)
		switch {
		case tt.says == "" && err != nil, tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
			t.Errorf("%s: %v", tt.name, err)
		case err != nil && (fault.Of(err).Reason != v1alpha1.ReasonKeyMismatch || !fault.Of(err).Stalled || !strings.Contains(err.Error(), "kmsKeyRef")):
			t.Errorf("%s: %s: %v", tt.name, fault.Of(err).Reason, err)
		}
	}
}

func TestTheProofOfAKeyIsTheInstallations(t *testing.T) {
	one, other := unsealed(t), unsealed(t)
	ca := internalAuthority("mine")
	if err := other.checkChosen(ca, stored(t, one, ca), false); err == nil {
		t.Error("a key is taken that another installation has made")
	}
	again, key := stored(t, one, ca), stored(t, one, ca)
	if again.Annotations[v1alpha1.AuthorityMACAnnotation] != key.Annotations[v1alpha1.AuthorityMACAnnotation] {
		t.Error("a key that is made again after a crash has another proof")
	}
	sealed := &Service{Keyring: &keyring.Holder{}}
	if _, err := sealed.NewKey(ca); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("a key is made without a proof: %v", err)
	}
	if err := sealed.checkChosen(ca, key, false); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("a key is judged without a domain key: %v", err)
	}
}
