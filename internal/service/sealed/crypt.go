package sealed

import (
	"context"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
)

// sealed makes the Envelope of a version with its ciphertext.
func (v *Versions) sealed(ctx context.Context, of Subject, version versions.Version, c Content) (*v1alpha1.Envelope, error) {
	if c.Key == nil {
		return v.sealedByKeyring(of, version, c)
	}
	e := store.New(of.Namespace, v.Kind.Class, v.Owner(of.Name), of.ARN, version, c.Key.Status.ARN)
	e.Spec.Binary = c.Binary
	dataKey, encrypted, err := v.KMS.GenerateDataKey(ctx, c.Key, v.Kind.Context(e.Spec.Subject, e.Spec.Version))
	if err != nil {
		return nil, err
	}
	defer dataKey.Wipe()
	header, err := v.header(c.Key)
	if err != nil {
		return nil, err
	}
	e.Spec.EncryptedDataKey = encrypted
	e.Spec.Ciphertext, err = keys.Seal(dataKey, header, store.Bound(e), c.Value)
	return e, err
}

func (v *Versions) sealedByKeyring(of Subject, version versions.Version, c Content) (*v1alpha1.Envelope, error) {
	ring, err := v.Keyring.Get()
	if err != nil {
		return nil, err
	}
	e := store.New(of.Namespace, v.Kind.Class, v.Owner(of.Name), of.ARN, version, store.DomainKey(ring))
	e.Spec.Binary = c.Binary
	e.Spec.Ciphertext, err = ring.Seal(v.Kind.Blob, store.Bound(e), c.Value)
	return e, err
}

func (v *Versions) open(ctx context.Context, found Version) (value secretbytes.Bytes, err error) {
	e := found.Envelope
	switch {
	case found.Key == nil && v.Kind.Public:
		return v.Keyring.OpenPublic(v.Kind.Blob, store.Bound(e), e.Spec.Ciphertext)
	case found.Key == nil:
		return v.Keyring.Open(v.Kind.Blob, store.Bound(e), e.Spec.Ciphertext)
	}
	dataKey, err := v.KMS.Decrypt(ctx, found.Key, v.Kind.Context(e.Spec.Subject, e.Spec.Version), e.Spec.EncryptedDataKey)
	if err != nil {
		return value, err
	}
	defer dataKey.Wipe()
	header, err := v.header(found.Key)
	if err != nil {
		return value, err
	}
	return keys.Open(dataKey, header, store.Bound(e), e.Spec.Ciphertext)
}

func (v *Versions) header(key *v1alpha1.KMSKey) (keys.Header, error) {
	h := keys.Header{Kind: v.Kind.Blob}
	var err error
	h.KeyID, err = keys.ParseKeyID(key.Status.KeyID)
	return h, err
}
