// Package secretsmanager is the use cases of AWS Secrets Manager over Secret objects: what controllers and the gateway call.
// What only the gateway calls fails with the errors of AWS's SDK, which are answered as they are; what controllers call
// fails with faults.
package secretsmanager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/store"
)

const (
	// MaximumValue is the length of a secret's value in bytes.
	// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
	MaximumValue = 65536
	// DefaultRecoveryWindow of a deleted secret that names none.
	DefaultRecoveryWindow = 30 * 24 * time.Hour
	// DefaultKeyName is the KMSKey of an account's own key for secrets.
	DefaultKeyName = "aws-secretsmanager"
	// DefaultKeyAlias is its alias.
	DefaultKeyAlias = "alias/aws/secretsmanager"
)

// Service stores and reads the versions of secrets.
type Service struct {
	// Client reads Secrets from a cache that has NameIndex, shows it its own writes, and writes them.
	Client client.Client
	// Region is the operator's own: that of Secrets which name none.
	Region string
	// KMS encrypts data keys.
	KMS *kms.Service
	// Store keeps Envelopes.
	Store *store.Store
	// Random is crypto/rand if nil.
	Random io.Reader
	// Now is the clock.
	Now func() time.Time
}

const ownerKind = "Secret"

// Owner names a Secret in Envelopes.
func Owner(name string) v1alpha1.EnvelopeOwner {
	return v1alpha1.EnvelopeOwner{Kind: ownerKind, Name: name}
}

// PutInput is a new version.
type PutInput struct {
	// Namespace and Name of the Secret.
	Namespace, Name string
	// ARN of the secret.
	ARN string
	// ID of the version; a new one if empty.
	ID string
	// Sequence of the version: one above the index's last.
	Sequence int64
	// Stages it is to hold.
	Stages []string
	// Key encrypts it.
	Key *v1alpha1.KMSKey
	// Value in the clear. Binary tells that it is bytes and not text.
	Value  secretbytes.Bytes
	Binary bool
}

// Put encrypts and stores a version and returns its index entry. If an earlier attempt stored that sequence number, that
// one is returned, with another ID than PutInput names, and Value is dropped. The caller commits it by writing the index.
func (s *Service) Put(ctx context.Context, in PutInput) (versions.Version, error) {
	v, _, err := s.put(ctx, in)
	return v, err
}

// put is Put, and tells whether the version is this call's own.
func (s *Service) put(ctx context.Context, in PutInput) (v versions.Version, made bool, err error) {
	if err := CheckValue(in.Value); err != nil {
		return v, false, err
	}
	id := in.ID
	if id == "" {
		if id, err = s.NewVersionID(); err != nil {
			return v, false, err
		}
	}
	version := versions.Version{ID: id, Sequence: in.Sequence, Stages: in.Stages, Created: s.Now()}
	e := store.New(in.Namespace, v1alpha1.EnvelopeSecretVersion, Owner(in.Name), in.ARN, version, in.Key.Status.ARN)
	e.Spec.Binary = in.Binary
	if err := s.seal(ctx, e, in.Key, in.Value); err != nil {
		return v, false, err
	}
	stored, err := s.Store.Create(ctx, e)
	if err != nil {
		return v, false, err
	}
	if stored != e { // not this attempt's: it must be whole
		if err := s.verify(ctx, stored, in.Name, in.ARN); err != nil {
			return v, false, err
		}
	}
	return store.Version(stored), stored == e, nil
}

// Verify opens a version and forgets it: nil means that it is what it should be and can be read.
func (s *Service) Verify(ctx context.Context, namespace, name, arn string, v versions.Version) error {
	value, err := s.Value(ctx, namespace, name, arn, v)
	value.Wipe()
	return err
}

func (s *Service) verify(ctx context.Context, e *v1alpha1.Envelope, name, arn string) error {
	if err := store.CheckIdentity(e, Owner(name), arn, store.Version(e)); err != nil {
		return err
	}
	key, err := s.KMS.ByARN(ctx, e.Namespace, e.Spec.KeyARN)
	if err != nil {
		return err
	}
	value, err := s.open(ctx, e, key)
	value.Wipe()
	return err
}

// Value reads a version of the Secret of a name. It wraps store.ErrMissing or store.ErrTampered.
func (s *Service) Value(ctx context.Context, namespace, name, arn string, v versions.Version) (secretbytes.Bytes, error) {
	sealed, err := s.Fetch(ctx, namespace, name, arn, v)
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	return s.Open(ctx, sealed)
}

// Sealed is a version that was found and not opened yet: its Envelope and the key that opens it. Both are to be read only.
type Sealed struct {
	Envelope *v1alpha1.Envelope
	Key      *v1alpha1.KMSKey
}

// Fetch finds the Envelope and the key of a version of the Secret of a name, which alone it belongs to: two Secrets can have one
// AWS name, one after the other, and a status that names the other's ARN. It asks the cache alone. It wraps store.ErrMissing or
// store.ErrTampered, or is a fault that says KeyNotFound.
func (s *Service) Fetch(ctx context.Context, namespace, name, arn string, v versions.Version) (Sealed, error) {
	e, err := s.Store.Get(ctx, namespace, v1alpha1.EnvelopeSecretVersion, Owner(name), arn, v)
	if err != nil {
		return Sealed{}, err
	}
	key, err := s.KMS.ByARN(ctx, namespace, e.Spec.KeyARN)
	return Sealed{Envelope: e, Key: key}, err
}

// Open decrypts a version. The caller wipes the value. It wraps store.ErrTampered, or is a fault that says KeyUnusable.
func (s *Service) Open(ctx context.Context, sealed Sealed) (secretbytes.Bytes, error) {
	return s.open(ctx, sealed.Envelope, sealed.Key)
}

// InFlight finds the version that was stored and not yet committed: the one after the index's last.
func InFlight(envelopes []v1alpha1.Envelope, arn string, ix versions.Index) (versions.Version, bool) {
	for i := range envelopes {
		e := &envelopes[i]
		if e.Spec.Class == v1alpha1.EnvelopeSecretVersion && e.Spec.Subject == arn && e.Spec.Sequence == ix.Last()+1 {
			return store.Version(e), true
		}
	}
	return versions.Version{}, false
}

// CheckValue says whether a value can be stored. The fault says InvalidValue and nothing of the value.
func CheckValue(value secretbytes.Bytes) error {
	switch n := value.Len(); {
	case n == 0:
		return fault.Stalled(v1alpha1.ReasonInvalidValue, errors.New("the value is empty; a secret has at least 1 byte"))
	case n > MaximumValue:
		return fault.Stalled(v1alpha1.ReasonInvalidValue,
			fmt.Errorf("the value has %d bytes; a secret has at most %d", n, MaximumValue))
	}
	return nil
}

// seal encrypts the value under a data key of its own, and the data key under the KMS key with AWS's encryption context.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
func (s *Service) seal(ctx context.Context, e *v1alpha1.Envelope, key *v1alpha1.KMSKey, value secretbytes.Bytes) error {
	dataKey, encrypted, err := s.KMS.GenerateDataKey(ctx, key, encryptionContext(e))
	if err != nil {
		return err
	}
	defer dataKey.Wipe()
	header, err := header(key)
	if err != nil {
		return err
	}
	e.Spec.EncryptedDataKey = encrypted
	e.Spec.Ciphertext, err = keys.Seal(dataKey, header, store.Binding(e), value)
	return err
}

func (s *Service) open(ctx context.Context, e *v1alpha1.Envelope, key *v1alpha1.KMSKey) (secretbytes.Bytes, error) {
	dataKey, err := s.KMS.Decrypt(ctx, key, encryptionContext(e), e.Spec.EncryptedDataKey)
	if err != nil {
		return secretbytes.Bytes{}, tampered(e, err)
	}
	defer dataKey.Wipe()
	header, err := header(key)
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	value, err := keys.Open(dataKey, header, store.Binding(e), e.Spec.Ciphertext)
	if err != nil {
		return secretbytes.Bytes{}, tampered(e, err)
	}
	return value, nil
}

func tampered(e *v1alpha1.Envelope, err error) error {
	if errors.Is(err, keys.ErrInvalidCiphertext) {
		return fmt.Errorf("%w: Envelope %s of version %s does not open; restore it from a backup",
			store.ErrTampered, e.Name, e.Spec.Version)
	}
	return err
}

func encryptionContext(e *v1alpha1.Envelope) keys.Context {
	return keys.Context{"SecretARN": e.Spec.Subject, "SecretVersionId": e.Spec.Version}
}

func header(key *v1alpha1.KMSKey) (keys.Header, error) {
	h := keys.Header{Kind: keys.KindSecretVersion}
	var err error
	h.KeyID, err = keys.ParseKeyID(key.Status.KeyID)
	return h, err
}

// NewVersionID makes the VersionId of a version: a UUID of version 4, as AWS's SDKs do.
func (s *Service) NewVersionID() (string, error) {
	random, err := secretbytes.Random(s.Random, 16)
	if err != nil {
		return "", err
	}
	id, err := uuid.FromBytes(random.Reveal())
	if err != nil {
		return "", err
	}
	id[6] = id[6]&0x0f | 0x40 // RFC 9562: version 4
	id[8] = id[8]&0x3f | 0x80 // RFC 9562: variant 10
	return id.String(), nil
}
