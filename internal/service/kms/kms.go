// Package kms is the use cases of AWS KMS over KMSKey objects: what controllers and, later, the gateway call.
package kms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/store"
)

// ARNIndex is the cache index of KMSKeys by status.arn.
const ARNIndex = "arn"

// DataKeyLength is the length of a data key in bytes: AES-256.
const DataKeyLength = 32

var (
	errKeyNotFound = errors.New("the KMSKey does not exist")
	errKeyUnusable = errors.New("the KMSKey cannot be used")
)

// Service encrypts and decrypts under KMSKeys.
type Service struct {
	// Reader reads from a cache with ARNIndex.
	Reader client.Reader
	// Store keeps key material.
	Store *store.Store
	// Keyring opens key material.
	Keyring *keyring.Holder
	// Materials is the one place where opened key material is kept.
	Materials *keyring.MaterialCache
	// Random is crypto/rand if nil.
	Random io.Reader
	// Now is the clock.
	Now func() time.Time
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=kmskeys,verbs=get;list;watch

// ByName finds a KMSKey by name. The fault says KeyNotFound.
func (s *Service) ByName(ctx context.Context, namespace, name string) (*v1alpha1.KMSKey, error) {
	key := &v1alpha1.KMSKey{}
	err := s.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, key)
	if apierrors.IsNotFound(err) {
		return nil, fault.Stalled(v1alpha1.ReasonKeyNotFound,
			fmt.Errorf("%w: %s/%s; create it, or name another in kmsKeyRef", errKeyNotFound, namespace, name))
	}
	if err != nil {
		return nil, fmt.Errorf("reading KMSKey %s: %w", name, err)
	}
	return key, nil
}

// ByARN finds the KMSKey of a namespace that has an ARN. The fault says KeyNotFound. It is the cache's own: read it only.
func (s *Service) ByARN(ctx context.Context, namespace, arn string) (*v1alpha1.KMSKey, error) {
	var found v1alpha1.KMSKeyList
	err := s.Reader.List(ctx, &found, client.InNamespace(namespace), client.MatchingFields{ARNIndex: arn}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("looking for the KMSKey %s: %w", arn, err)
	}
	if len(found.Items) == 0 {
		return nil, fault.Stalled(v1alpha1.ReasonKeyNotFound,
			fmt.Errorf("%w: %s; apply the deleted KMSKey again, or restore it from a backup", errKeyNotFound, arn))
	}
	return &found.Items[0], nil
}

// IndexARN lists the values of ARNIndex.
func IndexARN(obj client.Object) []string {
	if key, ok := obj.(*v1alpha1.KMSKey); ok && key.Status.ARN != "" {
		return []string{key.Status.ARN}
	}
	return nil
}

// makesNew are the operations whose result needs the key later, to be read or believed.
var makesNew = map[keys.Operation]bool{
	keys.Encrypt: true, keys.ReEncrypt: true, keys.GenerateDataKey: true, keys.GenerateDataKeyWithoutPlaintext: true,
	keys.GenerateDataKeyPair: true, keys.GenerateDataKeyPairWithoutPlaintext: true, keys.Sign: true, keys.GenerateMac: true,
}

// CheckUsable says whether a key's state allows an operation. While its deletion is held back by what it encrypts, a key reads
// that and makes nothing new, which would hold it longer. The fault says KeyUnusable.
func CheckUsable(key *v1alpha1.KMSKey, operation keys.Operation) error {
	state := key.Status.KeyState
	if state == "" {
		state = v1alpha1.KeyStateCreating
	}
	if err := keys.State(state).Permits(operation); err != nil {
		return unusable(key, fmt.Sprintf("it is %s", state))
	}
	if !key.DeletionTimestamp.IsZero() && makesNew[operation] {
		return unusable(key, "it is being deleted, so nothing new is encrypted under it; name another key, or keep this one as its "+
			"condition DeletionBlocked says")
	}
	return nil
}

func unusable(key *v1alpha1.KMSKey, why string) error {
	return fault.Waiting(v1alpha1.ReasonKeyUnusable,
		fmt.Errorf("%w: KMSKey %s/%s: %s", errKeyUnusable, key.Namespace, key.Name, why))
}

// GenerateDataKey makes a data key, in the clear and encrypted under the key's current material.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html
func (s *Service) GenerateDataKey(ctx context.Context, key *v1alpha1.KMSKey, ec keys.Context) (
	dataKey secretbytes.Bytes, encrypted []byte, err error,
) {
	if err := CheckUsable(key, keys.GenerateDataKey); err != nil {
		return dataKey, nil, err
	}
	material, ok := CurrentMaterial(key)
	if !ok {
		return dataKey, nil, unusable(key, "it has no key material yet")
	}
	header, err := header(key, material)
	if err != nil {
		return dataKey, nil, err
	}
	if dataKey, err = secretbytes.Random(s.Random, DataKeyLength); err != nil {
		return dataKey, nil, err
	}
	err = s.useMaterial(ctx, key, material, func(m secretbytes.Bytes) error {
		encrypted, err = keys.Seal(m, header, ec, dataKey)
		return err
	})
	if err != nil {
		dataKey.Wipe()
		return secretbytes.Bytes{}, nil, err
	}
	return dataKey, encrypted, nil
}

// Decrypt opens what was encrypted under any material of the key. Everything that is wrong with the ciphertext or its
// context is keys.ErrInvalidCiphertext.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
func (s *Service) Decrypt(ctx context.Context, key *v1alpha1.KMSKey, ec keys.Context, ciphertext []byte) (
	plaintext secretbytes.Bytes, err error,
) {
	if err := CheckUsable(key, keys.Decrypt); err != nil {
		return plaintext, err
	}
	claimed, err := keys.ParseHeader(ciphertext)
	if err != nil {
		return plaintext, err
	}
	for _, material := range key.Status.KeyMaterials {
		expected, err := header(key, material)
		if err != nil {
			return plaintext, err
		}
		if expected != claimed {
			continue
		}
		err = s.useMaterial(ctx, key, material, func(m secretbytes.Bytes) error {
			plaintext, err = keys.Open(m, expected, ec, ciphertext)
			return err
		})
		return plaintext, err
	}
	return plaintext, keys.ErrInvalidCiphertext
}

// CurrentMaterial is the material that encrypts.
func CurrentMaterial(key *v1alpha1.KMSKey) (v1alpha1.KeyMaterial, bool) {
	for _, m := range key.Status.KeyMaterials {
		if m.State == v1alpha1.KeyMaterialCurrent {
			return m, true
		}
	}
	return v1alpha1.KeyMaterial{}, false
}

func header(key *v1alpha1.KMSKey, material v1alpha1.KeyMaterial) (keys.Header, error) {
	h := keys.Header{Kind: keys.KindCiphertext}
	var err error
	if h.KeyID, err = keys.ParseKeyID(key.Status.KeyID); err != nil {
		return h, fmt.Errorf("key id of KMSKey %s: %w", key.Name, err)
	}
	h.MaterialID, err = keys.MaterialIDPrefix(material.ID)
	return h, err
}
