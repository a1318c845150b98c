package kms

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
)

// Owner names a KMSKey in Envelopes.
func Owner(name string) v1alpha1.EnvelopeOwner {
	return v1alpha1.EnvelopeOwner{Kind: "KMSKey", Name: name}
}

// CreateMaterial makes and stores the key material of a sequence number, and returns its index entry. If an earlier
// attempt stored one, that one is returned: the Envelope's name allows one only. The caller commits it by writing
// the index. An RSA key is made when turn says so, and its error is answered as it is.
func (s *Service) CreateMaterial(ctx context.Context, key *v1alpha1.KMSKey, keyID, arn string, sequence int64,
	rotation v1alpha1.RotationType, turn keys.Turn,
) (v1alpha1.KeyMaterial, error) {
	ring, err := s.Keyring.Get()
	if err != nil {
		return v1alpha1.KeyMaterial{}, err
	}
	id, err := keys.NewMaterialID(s.Random)
	if err != nil {
		return v1alpha1.KeyMaterial{}, err
	}
	version := versions.Version{ID: id, Sequence: sequence, Created: s.Now()}
	if rotation != "" {
		version.Stages = []string{string(rotation)}
	}
	e := store.New(key.Namespace, v1alpha1.EnvelopeKeyMaterial, Owner(key.Name), arn, version, store.DomainKey(ring))
	header, err := tokenHeader(keyID, id)
	if err != nil {
		return v1alpha1.KeyMaterial{}, err
	}
	generated, err := s.backend(key).Generate(ctx, SpecOf(key), turn)
	if err != nil {
		return v1alpha1.KeyMaterial{}, err
	}
	material := labelled(key, generated)
	defer material.Wipe()
	if e.Spec.Ciphertext, err = ring.WrapToken(header, store.Bound(e), material); err != nil {
		return v1alpha1.KeyMaterial{}, fmt.Errorf("wrapping key material: %w", err)
	}
	stored, err := s.Store.Create(ctx, e)
	if err != nil {
		return v1alpha1.KeyMaterial{}, err
	}
	found := store.Version(stored)
	found.Sequence = sequence
	if err := store.CheckIdentity(stored, Owner(key.Name), arn, found); err != nil {
		return v1alpha1.KeyMaterial{}, err
	}
	opened, err := s.unwrap(keyID, stored) // also proves that an earlier attempt's token is whole
	if err != nil {
		return v1alpha1.KeyMaterial{}, err
	}
	opened.Wipe()
	return MaterialOf(stored), nil
}

// MaterialOf is the index entry of a KeyMaterial Envelope, as CURRENT; of imported material it is a record for TakeImports.
func MaterialOf(e *v1alpha1.Envelope) v1alpha1.KeyMaterial {
	m := v1alpha1.KeyMaterial{
		ID: e.Spec.Version, Sequence: e.Spec.Sequence, State: v1alpha1.KeyMaterialCurrent, CreatedTime: e.Spec.CreatedTime,
		Import: e.Spec.Import.DeepCopy(),
	}
	if len(e.Spec.Stages) > 0 {
		m.RotationType = v1alpha1.RotationType(e.Spec.Stages[0])
	}
	return m
}

// VerifyMaterial opens one material and forgets it: nil means that it can be used, and that what is encrypted under it can be
// read. The fault says KeyUnusable if it is a key of another spec.
func (s *Service) VerifyMaterial(ctx context.Context, key *v1alpha1.KMSKey, material v1alpha1.KeyMaterial) error {
	if External(key) || material.Import != nil {
		return s.verifyImported(ctx, key, material)
	}
	return s.backend(key).Check(ctx, Material{key, material})
}

// useMaterial lends the opened material to use, as open makes it of the Envelope's bytes, which it owns. It checks the Envelope
// each time, and opens it only when the cache does not hold it.
func useMaterial[M keyring.Material](ctx context.Context, s *Service, m Material, open func(secretbytes.Bytes) (M, error),
	use func(M) error,
) error {
	e, err := s.Store.Get(ctx, m.Key.Namespace, v1alpha1.EnvelopeKeyMaterial, Owner(m.Key.Name), m.Key.Status.ARN,
		versions.Version{ID: m.ID, Sequence: m.Sequence})
	if err != nil {
		return err
	}
	if err := s.usableImport(m, e); err != nil {
		return err
	}
	return keyring.Use(s.Materials, openedAs(m, e), func() (opened M, err error) {
		material, err := s.unwrap(m.Key.Status.KeyID, e)
		if err != nil {
			return opened, err
		}
		if material, err = unlabelled(m, material); err != nil {
			return opened, err
		}
		return open(material)
	}, use)
}

// openedAs is the name of opened material in the cache. The object's version is in it: an Envelope that was exchanged is opened, and so checked, anew.
// So are spec, usage and origin, which are what the material is opened as.
func openedAs(m Material, e *v1alpha1.Envelope) string {
	return string(e.UID) + "/" + e.ResourceVersion + "/" + string(SpecOf(m.Key)) + "/" + string(UsageOf(m.Key)) + "/" + strconv.FormatBool(InModule(m.Key))
}

func (s *Service) unwrap(keyID string, e *v1alpha1.Envelope) (secretbytes.Bytes, error) {
	header, err := tokenHeader(keyID, e.Spec.Version)
	if err != nil { // of ids that CreateMaterial never makes
		return secretbytes.Bytes{}, fmt.Errorf("%w: key material %s: %w", store.ErrTampered, e.Name, err)
	}
	material, err := s.Keyring.UnwrapToken(header, store.Bound(e), e.Spec.Ciphertext)
	if store.Elsewhere(e, err) {
		return secretbytes.Bytes{}, err
	}
	if err != nil {
		return secretbytes.Bytes{}, fmt.Errorf("%w: key material %s does not open", store.ErrTampered, e.Name)
	}
	return material, nil
}

func tokenHeader(keyID, materialID string) (keys.Header, error) {
	h := keys.Header{Kind: keys.KindKeyToken}
	var err error
	if h.KeyID, err = keys.ParseKeyID(keyID); err != nil {
		return h, err
	}
	h.MaterialID, err = keys.MaterialIDPrefix(materialID)
	return h, err
}

// The limits and defaults of AWS KMS.
const (
	// DefaultRotationDays is the period of automatic rotation where a key names none.
	DefaultRotationDays = 365
	// MaximumOnDemandRotations of one key.
	// https://docs.aws.amazon.com/kms/latest/APIReference/API_RotateKeyOnDemand.html
	MaximumOnDemandRotations = 25
	// DefaultPendingWindow is the waiting period of a deleted key that names none.
	DefaultPendingWindow = 30 * 24 * time.Hour
)
