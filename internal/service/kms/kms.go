// Package kms is the use cases of AWS KMS over KMSKey objects: what controllers and the gateway call.
//
// What it reads comes from the cache, without a copy and without a request. Writes wait until this process's cache has them, so
// that reads need not wait for writes.
package kms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/internal/store"
)

var (
	errKeyNotFound = errors.New("the KMSKey does not exist")
	errKeyUnusable = errors.New("the KMSKey cannot be used")
)

// Service encrypts, decrypts, signs and verifies under KMSKeys.
type Service struct {
	// Reader reads from a cache with ARNIndex, AliasIndex and KeyIDIndex, and with account.IDIndex of Namespaces.
	Reader client.Reader
	// Client writes, and shows its own writes to its reads. Live reads from the API server.
	Client client.Client
	Live   client.Reader
	// Region is that of keys that name none.
	Region string
	// Regions are those that keys can be in and be replicated to, Region among them.
	Regions []string
	// Store keeps key material.
	Store *store.Store
	// Keyring opens key material.
	Keyring *keyring.Holder
	// Materials is the one place where opened key material is kept.
	Materials *keyring.MaterialCache
	// KeyStores are the HSMClusters that keys of origin AWS_CLOUDHSM are in.
	KeyStores *cloudhsm.Clusters
	// Policies keeps compiled key policies; without it each use compiles.
	Policies *PolicyCache
	// Usages are the last uses of keys; without it none are noted.
	Usages *Usages
	// Random is crypto/rand if nil.
	Random io.Reader
	// Now is the clock.
	Now func() time.Time
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=kmskeys,verbs=get;list;watch

// ByName finds a KMSKey by name. The fault says KeyNotFound.
func (s *Service) ByName(ctx context.Context, namespace, name string) (*v1alpha1.KMSKey, error) {
	return s.byName(ctx, namespace, name)
}

// SharedByName is ByName without a copy. It is the cache's own: read it only.
func (s *Service) SharedByName(ctx context.Context, namespace, name string) (*v1alpha1.KMSKey, error) {
	return s.byName(ctx, namespace, name, client.UnsafeDisableDeepCopy)
}

func (s *Service) byName(ctx context.Context, namespace, name string, options ...client.GetOption) (*v1alpha1.KMSKey, error) {
	key := &v1alpha1.KMSKey{}
	err := s.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, key, options...)
	if apierrors.IsNotFound(err) {
		return nil, fault.Stalled(v1alpha1.ReasonKeyNotFound,
			fmt.Errorf("%w: %s/%s; create it, or name another in kmsKeyRef", errKeyNotFound, namespace, name))
	}
	if err != nil {
		return nil, fmt.Errorf("reading KMSKey %s: %w", name, err)
	}
	if Gone(key) {
		return nil, fault.Stalled(v1alpha1.ReasonKeyNotFound, fmt.Errorf("%w: %s/%s was deleted, and finalizers of others hold its object; "+
			"have them removed and create it again, or name another in kmsKeyRef", errKeyNotFound, namespace, name))
	}
	s.asOfNow(key)
	return key, nil
}

// ByARN finds the KMSKey of a namespace that has an ARN. The fault says KeyNotFound. It is the cache's own: read it only.
func (s *Service) ByARN(ctx context.Context, namespace, arn string) (*v1alpha1.KMSKey, error) {
	var found v1alpha1.KMSKeyList
	err := s.Reader.List(ctx, &found, client.InNamespace(namespace), client.MatchingFields{ARNIndex: arn}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("looking for the KMSKey %s: %w", arn, err)
	}
	found.Items = slices.DeleteFunc(found.Items, func(k v1alpha1.KMSKey) bool { return Gone(&k) })
	if len(found.Items) == 0 {
		return nil, fault.Stalled(v1alpha1.ReasonKeyNotFound,
			fmt.Errorf("%w: %s; apply the deleted KMSKey again, or restore it from a backup", errKeyNotFound, arn))
	}
	s.asOfNow(&found.Items[0])
	return &found.Items[0], nil
}

func unusable(key *v1alpha1.KMSKey, why string) error {
	return fault.Waiting(v1alpha1.ReasonKeyUnusable,
		fmt.Errorf("%w: KMSKey %s/%s: %s", errKeyUnusable, key.Namespace, key.Name, why))
}

// CurrentMaterial is the material that encrypts and signs.
func CurrentMaterial(key *v1alpha1.KMSKey) (v1alpha1.KeyMaterial, bool) {
	for _, m := range key.Status.KeyMaterials {
		if m.State == v1alpha1.KeyMaterialCurrent {
			return m, true
		}
	}
	return v1alpha1.KeyMaterial{}, false
}

// current is the material that encrypts and signs. The fault says KeyUnusable.
func current(key *v1alpha1.KMSKey) (v1alpha1.KeyMaterial, error) {
	material, ok := CurrentMaterial(key)
	if !ok {
		return material, unusable(key, "it has no key material yet")
	}
	return material, nil
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
