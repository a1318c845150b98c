package sealed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/store"
)

// Kind is what tells the versions of one kind of object from another's.
type Kind struct {
	// Owner is the object's kind in Kubernetes.
	Owner string
	// Class of the Envelopes, and Blob the kind of their ciphertexts.
	Class v1alpha1.EnvelopeClass
	Blob  keys.Kind
	// Public tells that a value that no KMSKey encrypts is no secret, but sealed to be known again.
	Public bool
	// Context is the encryption context of a version's data key.
	Context func(subject, version string) keys.Context
	// InForce finds the version of an index whose value counts.
	InForce func(ix versions.Index) (versions.Version, bool)
	// Fits says whether an object of a type may take over versions that one of its name has stored, by their Envelopes, and by that one's last spec
	// as JSON, nil if it is not known. Its error is returned as it is, before anything is taken. Where it is nil,
	// objects of the kind have no types; of a subject without a type it is not asked.
	Fits func(objectType string, stored []*v1alpha1.Envelope, former []byte) error
}

// Versions stores and reads the versions of one kind.
type Versions struct {
	Kind Kind
	// KMS encrypts data keys, and Keyring what needs none.
	KMS     *kms.Service
	Keyring *keyring.Holder
	// Store keeps Envelopes.
	Store *store.Store
	// Random is crypto/rand if nil.
	Random io.Reader
	// Now is the clock.
	Now func() time.Time
}

// Subject is whose versions are meant.
type Subject struct {
	// Namespace and Name of the object, and the ARN that its versions are bound to.
	Namespace, Name, ARN string
	// Reading of the object (store.Reading), and its Type if its kind has types; for what takes versions over, and not for what reads them.
	Reading, Type string
	// Keyed tells that all versions of the object are encrypted under a KMSKey, so that one that is not was put there by somebody, and is not read: whoever may use the key has not made it.
	Keyed bool
}

// Owner names the object in Envelopes.
func (v *Versions) Owner(name string) v1alpha1.EnvelopeOwner {
	return v1alpha1.EnvelopeOwner{Kind: v.Kind.Owner, Name: name}
}

// Keeps tells whether there is anything of an object under an ARN. It asks the cache alone.
func (v *Versions) Keeps(ctx context.Context, namespace, name, arn string) (bool, error) {
	found, err := v.Store.OfOwner(ctx, namespace, v.Owner(name))
	return slices.ContainsFunc(found, func(e v1alpha1.Envelope) bool { return e.Spec.Subject == arn }), err
}

// Content is what a new version holds.
type Content struct {
	// ID of the version; a new one if empty.
	ID string
	// Sequence of the version: one above the index's last.
	Sequence int64
	// Stages it is to hold.
	Stages []string
	// Key encrypts it; the keyring alone if nil.
	Key *v1alpha1.KMSKey
	// Value in the clear. Binary tells that it is bytes and not text.
	Value  secretbytes.Bytes
	Binary bool
}

// Put encrypts and stores a version and returns its index entry. If an earlier attempt stored that sequence number, that one is
// returned with made false, and the value is dropped.
//
// Crash-safe: the Envelope's name has the sequence, so one writer alone makes it; the caller commits it by writing the index.
func (v *Versions) Put(ctx context.Context, of Subject, c Content) (version versions.Version, made bool, err error) {
	if c.ID == "" {
		if c.ID, err = NewID(v.Random); err != nil {
			return version, false, err
		}
	}
	version = versions.Version{ID: c.ID, Sequence: c.Sequence, Stages: c.Stages, Created: v.Now()}
	e, err := v.sealed(ctx, of, version, c)
	if err != nil {
		return versions.Version{}, false, err
	}
	stored, err := v.Store.Create(ctx, e)
	if err != nil {
		return versions.Version{}, false, err
	}
	if stored != e { // not this attempt's: it must be whole
		if err := v.verifyStored(ctx, of, stored); err != nil {
			return versions.Version{}, false, uncommitted(err)
		}
	}
	return store.Version(stored), stored == e, nil
}

// Verify opens a version and forgets it: nil means that it is what it should be and can be read.
func (v *Versions) Verify(ctx context.Context, of Subject, version versions.Version) error {
	value, err := v.Value(ctx, of, version)
	value.Wipe()
	return err
}

func (v *Versions) verifyStored(ctx context.Context, of Subject, e *v1alpha1.Envelope) error {
	if err := store.CheckIdentity(e, v.Owner(of.Name), of.ARN, store.Version(e)); err != nil {
		return err
	}
	if err := v.fitsNext(of.Type, e); err != nil {
		return err
	}
	if err := v.Store.Take(ctx, of.Reading, e); err != nil {
		return err
	}
	found, err := v.withKey(ctx, of, e)
	if err != nil {
		return err
	}
	value, err := v.decrypt(ctx, found)
	value.Wipe()
	return err
}

// Value reads a version. It wraps store.ErrMissing or store.ErrTampered, or is a fault that says KeyNotFound or KeyUnusable. The
// caller wipes the value.
func (v *Versions) Value(ctx context.Context, of Subject, version versions.Version) (secretbytes.Bytes, error) {
	found, err := v.Fetch(ctx, of, version)
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	return v.Open(ctx, found)
}

// Version is one that was found and not opened yet: its Envelope and the key that opens it, nil if that is the keyring. Both are
// to be read only.
type Version struct {
	Envelope *v1alpha1.Envelope
	Key      *v1alpha1.KMSKey
}

// Fetch finds the Envelope and the key of a version of an object, which alone it belongs to: two objects can have one ARN, one
// after the other, and a status that names the other's ARN. It asks the cache alone. It wraps store.ErrMissing or
// store.ErrTampered, or is a fault that says KeyNotFound.
func (v *Versions) Fetch(ctx context.Context, of Subject, version versions.Version) (Version, error) {
	e, err := v.Store.Get(ctx, of.Namespace, v.Kind.Class, v.Owner(of.Name), of.ARN, version)
	if err != nil {
		return Version{}, err
	}
	return v.withKey(ctx, of, e)
}

func (v *Versions) withKey(ctx context.Context, of Subject, e *v1alpha1.Envelope) (Version, error) {
	switch keyed := len(e.Spec.EncryptedDataKey) > 0; {
	case !keyed && of.Keyed:
		return Version{}, fmt.Errorf("%w: Envelope %s of version %s is encrypted under no KMSKey, as all versions of this %s are", store.ErrTampered, e.Name, e.Spec.Version, v.Kind.Owner)
	case !keyed:
		return Version{Envelope: e}, nil
	}
	key, err := v.KMS.ByARN(ctx, e.Namespace, e.Spec.KeyARN)
	return Version{Envelope: e, Key: key}, err
}

// Open decrypts a version. The caller wipes the value. It wraps store.ErrTampered, or is a fault that says KeyUnusable.
func (v *Versions) Open(ctx context.Context, found Version) (secretbytes.Bytes, error) {
	value, err := v.decrypt(ctx, found)
	if errors.Is(err, store.ErrTampered) {
		return secretbytes.Bytes{}, fmt.Errorf("%w; restore it from a backup", err)
	}
	return value, err
}

// decrypt is Open without advice on what to do about an Envelope that does not open.
func (v *Versions) decrypt(ctx context.Context, found Version) (secretbytes.Bytes, error) {
	e := found.Envelope
	value, err := v.open(ctx, found)
	if errors.Is(err, keys.ErrInvalidCiphertext) {
		return secretbytes.Bytes{}, fmt.Errorf("%w: Envelope %s of version %s does not open", store.ErrTampered, e.Name, e.Spec.Version)
	}
	return value, err
}

// NewID makes the id of a version: a UUID of version 4 (RFC 9562), as AWS's SDKs do. random is crypto/rand if nil.
func NewID(random io.Reader) (string, error) {
	b, err := secretbytes.Random(random, 16)
	if err != nil {
		return "", err
	}
	id, err := uuid.FromBytes(b.Reveal())
	if err != nil {
		return "", err
	}
	id[6] = id[6]&0x0f | 0x40 // version 4
	id[8] = id[8]&0x3f | 0x80 // variant 10
	return id.String(), nil
}
